"""A moment of an open document: what a step brought, rendered only when somebody asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream
from structstream.text import TextBuffer, render_path

from .builder import UNBOUNDED, Builder
from .nodes import ABSENT, Node, TextNode, is_held, open_path
from .view import view_of

if TYPE_CHECKING:
    from structstream.jsonsink import JSONLimits

    from .builder import Closing
    from .shapes import Shape

__all__ = ["ClosedPaths", "Moment", "Reading"]


class Moment:
    """The document as it was when this was taken: the innermost open place, and how much of it was there."""

    __slots__ = (
        "_builder",
        "_closings",
        "_done",
        "_grown",
        "_hidden",
        "_leaf",
        "_length",
        "_percent",
        "_skipped",
        "_snapshot",
    )

    _hidden: bool  # of a root that is no text; a text is in something
    _percent: float

    def __init__(self, builder: Builder) -> None:
        leaf: Node | TextNode
        text = builder.text
        if text is not None:
            leaf = text
            self._length = text.buffer.length
            self._skipped = 0
        else:
            leaf = builder.document or builder.top
            self._length = len(leaf.values)
            self._hidden = builder.hidden
            self._skipped = builder.skipped() if builder.skipping or builder.document is not None else 0
        self._leaf = leaf
        self._grown = builder.opened is leaf
        builder.opened = None
        self._closings: Sequence[Closing] = builder.take_closings() if builder.closings else ()
        self._snapshot: object = ABSENT
        self._builder = builder
        self._done = builder.buffer.length

    @property
    def snapshot(self) -> object:
        """The values so far: the same object at each look; None where no value has begun."""
        if self._snapshot is ABSENT:
            leaf = self._leaf
            path = leaf.open_path or open_path(leaf)  # mostly known: the call is saved
            if leaf.parent is not None:
                held = self._builder.holds and self._held(1)
                self._snapshot = None if held else view_of(path, 1, self._length)
            else:
                root = path[0]
                shown = isinstance(root, Node) and self._length and not self._hidden
                value = root.values[0] if isinstance(root, Node) and shown else None
                self._snapshot = None if value is ABSENT else value
        return self._snapshot

    @property
    def begun(self) -> bool:
        """Whether a value has begun, and is shown."""
        if self._builder.holds:
            return self.snapshot is not None
        return self._leaf.parent is not None or (self._length > 0 and not self._hidden)

    @property
    def completed(self) -> Sequence[str]:
        """The paths that closed in this step, in the order in which they did."""
        paths: list[str] = []
        for node, pos, raw, shape in self._closings:
            path = node.path_of(pos)
            if raw is not None:
                paths += _paths_within(raw, shape, path)
            paths.append(render_path(path))
        return paths

    @property
    def changed(self) -> Sequence[str]:
        """The paths that closed in this step, and the open one if it is new or has grown."""
        leaf = self._leaf
        if not self._grown or leaf.parent is None or self._held():
            return self.completed
        return [*self.completed, render_path(leaf.parent.path_of(leaf.pos))]

    def _held(self, deepest: int = 0) -> bool:
        """Whether some open object down to a depth, or to the innermost place, is held back by one of its fields."""
        if not self._builder.holds or self._skipped < 0:
            return False
        path = open_path(self._leaf)
        return any(is_held(path, depth, self._length) for depth in range(1, (deepest or len(path) - 1) + 1))

    @property
    def percent(self) -> float:
        """How much of the answer is there, 0 to 99; see `structstream.partial.estimate`."""
        try:
            return self._percent
        except AttributeError:  # nobody has looked yet
            path = open_path(self._leaf)
            self._percent = self._builder.reckoning.percent(path, self._length, self._done, self._skipped)
            return self._percent


def _paths_within(raw: str, shape: Shape, path: list[str | int]) -> list[str]:
    """The paths that closed within a container that came whole: read again, event by event."""
    return [render_path([*path, *inner]) for inner in _closed_in(raw, shape, Reading(UNBOUNDED, allow_nan=True))[:-1]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text was read the first time."""

    limits: JSONLimits
    allow_nan: bool
    ended: bool = False  # its root has closed


def _closed_in(text: str, shape: Shape, reading: Reading) -> list[list[str | int]]:
    buffer = TextBuffer()
    builder = Builder(shape, buffer, check=False)
    reader = JSONStream(builder, limits=reading.limits, allow_nan=reading.allow_nan, buffer=buffer)
    with suppress(JSONSyntaxError, JSONLimitError):  # then it tells what had closed before
        reader.feed(text)
        if reading.ended:
            reader.finish()
    return [node.path_of(pos) for node, pos, _, _ in builder.closings]


class ClosedPaths(Sequence[str]):
    """The paths that close within a text, in order; the text is read for them when somebody asks."""

    def __init__(self, text: str, shape: Shape, reading: Reading, rename: Callable[[str], str | None] = str) -> None:
        self._text = text
        self._shape = shape
        self._reading = reading
        self._rename = rename

    @functools.cached_property
    def _paths(self) -> list[str]:
        rendered = (self._rename(render_path(path)) for path in _closed_in(self._text, self._shape, self._reading))
        return [path for path in rendered if path is not None]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._paths[index]

    def __len__(self) -> int:
        return len(self._paths)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it reads like a list, which has none

    def __reduce__(self) -> tuple[type[list[str]], tuple[list[str]]]:
        return list, (self._paths,)  # a copy needs no text

    def __repr__(self) -> str:
        return repr(self._paths)
