"""What is known of an open document: one node an open container, append-only, and moments that look at it.

A snapshot copies nothing. Along the open path each node's closed entries are those before its open child, and the
innermost node knows its length: so the innermost node and one number are a whole snapshot (`Moment`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from structstream.text import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .shapes import ArrayPart, MappingPart, RecordPart, Shape

__all__ = ["ABSENT", "CLOSED", "Absent", "Node", "Open", "OpenPath", "TextNode", "is_held", "open_path"]

OpenPath = list["Node | TextNode"]
"""The open places of a moment, from the root inwards."""


CLOSED: OpenPath = []
"""Stands for the path of a place that has closed: it keeps none, or it would be in a circle with it."""


class Absent:
    """The value of an entry that has nothing to show: invalid, or judged only with the object around it."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"  # there is one: a copy of a snapshot holds the same


ABSENT = Absent()


class Open:
    """What shows an open value."""

    __slots__ = ()

    def _child(self, name: Any) -> Any:  # Any: names and values of any type
        """What is called `name` in it; `ABSENT` where nothing is shown."""
        raise NotImplementedError

    def _children(self) -> Iterator[tuple[Any, Any]]:  # Any: as above
        """The names and values of what has closed in it, and its open container."""
        raise NotImplementedError


class Node:
    """An open container: the values that have closed in it, in order."""

    __slots__ = (
        "certain",
        "deferred",
        "lacks",
        "names",
        "open_path",
        "parent",
        "part",
        "pos",
        "raw",
        "repeated",
        "shape",
        "start",
        "values",
        "where",
    )

    def __init__(
        self,
        shape: Shape,
        part: RecordPart | MappingPart | ArrayPart,
        parent: Node | None,
        start: int,
        *,
        named: bool,
        certain: bool = True,
    ) -> None:
        self.shape = shape
        self.part = part
        self.parent = parent
        self.pos = len(parent.values) if parent is not None else 0  # which entry of its parent it is
        self.start = start  # offset of its bracket
        self.certain = certain  # whether a value that is invalid here makes the whole invalid
        self.values: list[object] = []
        self.names: list[str | int] | None = [] if named else None  # the last one may be ahead of its value
        self.where: dict[object, int] = {}  # the newest entry of each name
        self.repeated = False  # a key came twice
        self.open_path: OpenPath | None = None  # from the root to here, once somebody looked; `CLOSED` at the end
        self.lacks = False  # an entry shows nothing
        self.deferred: list[int] = []  # entries that are judged with this object
        self.raw: dict[str, str] | None = None  # the JSON of its fields, where a validator may read siblings

    def name_of(self, pos: int) -> str | int:
        """What an entry is called in a path."""
        return pos if self.names is None else self.names[pos]

    def entry(self, name: object, length: int) -> int | None:
        """Which entry `name` is among the first `length`; None where it is not there."""
        pos = self.where.get(name)
        if pos is None or pos < length:
            return pos
        if self.repeated and self.names is not None:
            return next((pos for pos in range(length - 1, -1, -1) if self.names[pos] == name), None)
        return None

    def path_of(self, pos: int) -> list[str | int]:
        """From the root of the text to an entry; the entry of the root node is the root."""
        path: list[str | int] = []
        node = self
        while node.parent is not None:
            path.append(node.name_of(pos))
            node, pos = node.parent, node.pos
        return path[::-1]


class TextNode:
    """An open string."""

    __slots__ = ("buffer", "open_path", "parent", "pos", "shape")

    def __init__(self, shape: Shape, parent: Node) -> None:
        self.shape = shape
        self.parent = parent
        self.pos = len(parent.values)
        self.open_path: OpenPath | None = None
        self.buffer = TextBuffer()


def open_path(place: Node | TextNode) -> OpenPath:
    """The places from the root to `place`, which never change while it is open: made once for all moments."""
    path = place.open_path
    if path:
        return path
    made: OpenPath = [place] if place.parent is None else [*open_path(place.parent), place]
    if path is None:
        place.open_path = made
    return made


def is_held(path: OpenPath, depth: int, length: int) -> bool:
    """Whether an open object shows nothing yet, because a field of it is marked to hold it back.

    `length` is that of the innermost place, as in `structstream.partial.view.view_of`.
    """
    node = path[depth]
    if isinstance(node, TextNode) or not getattr(node.part, "holding", ()):
        return False
    inner = path[depth + 1] if depth + 1 < len(path) else None
    closed = length if inner is None else inner.pos
    for name in cast("RecordPart", node.part).holding:
        pos = node.entry(name, closed + (inner is not None))
        if pos is None or (is_held(path, depth + 1, length) if pos == closed else node.values[pos] is ABSENT):
            return True
    return False
