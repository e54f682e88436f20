"""Values with their paths in, JSON text out: the arguments of a tool call that are streamed as ``partialArgs``.

Each piece names one scalar by an RFC 9535 path and gives its value, or more of a string. As the model writes a document
from its start to its end, so do the pieces: each is written at once, with the keys and brackets that lead to it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import JSONValue

__all__ = ["ArgumentWriter", "Path", "parse_path"]

_Step = str | int
Path = tuple[_Step, ...]
"""Keys and indexes from the root to a value."""

_MAX_DEPTH = 200
_MAX_GAP = 1000  # items of a list that may be passed over: without a bound one short path would make a long text
# RFC 9535, 2.3.1 and 2.3.3: a name after a dot, a name in quotes, an index.
_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*)
    |\[\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<index>\d{1,9}))\s*\]""",
    re.DOTALL | re.VERBOSE,
)


def parse_path(text: str) -> Path:
    """Return the steps of a path that leads to one value, as RFC 9535, 2.3.5.1 writes it ("singular query").

    Raises:
        ValueError: `text` is no such path, or leads to the whole document.

    >>> parse_path("$.orders[0]['unit price']")
    ('orders', 0, 'unit price')
    """
    steps: list[_Step] = []
    at = 1
    while found := _STEP.match(text, at):
        at = found.end()
        if found["index"] is not None:
            steps.append(int(found["index"]))
        elif found["name"] is not None:
            steps.append(found["name"])
        else:
            steps.append(_unquoted(found))
    if not text.startswith("$") or at != len(text) or not steps or isinstance(steps[0], int):
        raise ValueError(f"{text!r} is no path to an argument")
    if len(steps) > _MAX_DEPTH:
        raise ValueError(f"a path of {len(steps)} steps, more than {_MAX_DEPTH}")
    return tuple(steps)


class ArgumentWriter:
    """Writes the arguments of one tool call; what all calls of `add` and `close` return, joined, is one JSON object.

    A value that comes for a place which was passed already cannot be written there any more. It is kept, and `close`
    writes the member of the root that it belongs to once more, whole: the last of two equal keys wins. An item of a
    list that was passed over is ``null``.

    >>> writer = ArgumentWriter()
    >>> writer.add(("a", 0, "b"), "x", more=True)
    '{"a":[{"b":"x'
    >>> writer.add(("a", 0, "b"), "y", more=False) + writer.add(("c",), 1.5, more=False) + writer.close()
    'y"}],"c":1.5}'
    """

    __slots__ = ("_late", "_open", "_quote", "_root", "_strings")

    def __init__(self) -> None:
        self._root: dict[str, JSONValue] = {}  # all values so far, strings in pieces
        self._strings: dict[Path, _Pieces] = {}  # those that have not ended
        self._open: Path = ()  # the path of what was written last
        self._quote = False  # what was written last ends inside a string
        self._late: dict[str, None] = {}  # the keys of the root whose value is not as it was written

    @property
    def mid_string(self) -> bool:
        """Whether a string has not ended."""
        return bool(self._strings)

    @property
    def begun(self) -> bool:
        """Whether anything was written."""
        return bool(self._open)

    def goes_on(self, path: Path) -> bool:
        """Whether a string at `path` has not ended."""
        return path in self._strings

    def add(self, path: Path, value: JSONValue, *, more: bool) -> str:
        """Return the text that a piece adds.

        Args:
            path: where the value stands, as `parse_path` gives it.
            value: what stands there, as a rule a scalar; of a string that has not ended at `path`, what follows.
            more: whether more of the string follows.

        Raises:
            ValueError: the path goes through a scalar, ends at a container, or passes over too much of a list.
        """
        pieces = self._strings.get(path)
        if pieces is not None:
            return self._go_on(path, pieces, value, more=more)
        kept = _Pieces((value,)) if isinstance(value, str) else value
        shared = _shared(path, self._open)
        passed = self._is_passed(path, shared)
        _keep(self._root, path, kept)
        if isinstance(kept, _Pieces) and more:
            self._strings[path] = kept
        if passed or path[0] in self._late:
            self._late[str(path[0])] = None
            return ""
        text = self._leave(shared) + self._enter(path, shared) + _json(value)
        self._open, self._quote = path, path in self._strings
        return text[:-1] if self._quote else text

    def close(self) -> str:
        """Return the text that ends the object."""
        text = self._leave(0) if self._open else "{"
        again = (f",{_json(key)}:{_json(_joined(self._root[key]))}" for key in self._late)
        return text + "".join(again) + "}"

    def _go_on(self, path: Path, pieces: _Pieces, value: JSONValue, *, more: bool) -> str:
        if not isinstance(value, str):
            raise ValueError("a string goes on as something else")
        pieces.append(value)
        if not more:
            del self._strings[path]
        if path != self._open:  # something else was written since
            self._late[str(path[0])] = None
            return ""
        self._quote = more
        return _json(value)[1 : -1 if more else None]

    def _is_passed(self, path: Path, shared: int) -> bool:
        """Whether the place is one behind what was written last."""
        if shared in (len(path), len(self._open)):
            return bool(self._open)
        step, last = path[shared], self._open[shared]
        if isinstance(step, int) and isinstance(last, int):
            return step < last
        container: JSONValue = self._root
        for each in path[:shared]:
            container = container[each]
        return step in container

    def _leave(self, shared: int) -> str:
        """The text that ends what is open, but the container that holds step `shared` of the path."""
        ends = ("}" if isinstance(step, str) else "]" for step in reversed(self._open[shared + 1 :]))
        return ('"' if self._quote else "") + "".join(ends)

    def _enter(self, path: Path, shared: int) -> str:
        """The text that leads from that container to the value."""
        text = ""
        for depth, step in enumerate(path[shared:], shared):
            inside = depth == shared and bool(self._open)
            if isinstance(step, str):
                text += f"{',' if inside else '{'}{_json(step)}:"
            else:
                first = int(self._open[depth]) + 1 if inside else 0
                if step - first > _MAX_GAP:
                    raise ValueError(f"{step - first} items of a list passed over, more than {_MAX_GAP}")
                text += ("," if inside else "[") + "null," * (step - first)
        return text


class _Pieces(list[str]):
    """A string, as it came."""


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _unquoted(found: re.Match[str]) -> str:
    text = found["double"]
    if text is None:  # a single quote is escaped here, a double one in JSON
        text = re.sub(r"\\(.)|\"", lambda one: _SINGLE.get(one[0], one[0]), found["single"], flags=re.DOTALL)
    name: str = json.loads(f'"{text}"', strict=False)
    return name


_SINGLE = {"\\'": "'", '"': '\\"'}


def _shared(path: Path, other: Path) -> int:
    """How many steps the two begin with in common."""
    return next(
        (at for at, (one, two) in enumerate(zip(path, other, strict=False)) if one != two), min(len(path), len(other))
    )


def _keep(root: dict[str, JSONValue], path: Path, value: JSONValue) -> None:
    container: JSONValue = root
    for step, below in zip(path, (*path[1:], None), strict=True):
        if not isinstance(container, list if isinstance(step, int) else dict) or isinstance(container, _Pieces):
            raise ValueError(f"{step!r} stands in what is no container of it")
        if isinstance(container, list) and isinstance(step, int):
            if step - len(container) > _MAX_GAP:
                raise ValueError(f"{step - len(container)} items of a list passed over, more than {_MAX_GAP}")
            container.extend([None] * (step + 1 - len(container)))
        known = container.get(step) if isinstance(container, dict) else container[step]
        if below is None:
            if isinstance(known, dict) or (isinstance(known, list) and not isinstance(known, _Pieces)):
                raise ValueError(f"{step!r} is a container and has a value")
            container[step] = value
        elif known is None:
            container[step] = [] if isinstance(below, int) else {}
        container = container[step]


def _joined(value: JSONValue) -> JSONValue:
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, list):
        return [_joined(item) for item in value]
    return {key: _joined(item) for key, item in value.items()} if isinstance(value, dict) else value
