"""What of a text that broke off can stand: its closed values, and the places that are open."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream
from structstream.partial.builder import UNBOUNDED

__all__ = ["Level", "Salvage", "salvage"]

# Of a string that is open: the characters and escapes that are whole.
_WHOLE = re.compile(
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
    r"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*+"
)
_TOLD = 200  # characters of a text that may tell which type an object is of


@dataclass(slots=True)
class Level:
    """A container that is open.

    Args:
        kind: what it is.
        start: the offset of its bracket.
        safe: the offset behind the last value that closed in it, or behind its bracket.
        keys: those of the closed values, of an object.
        count: how many values have closed.
        scalars: short closed values by their keys, to tell types apart.
        key: that of the open value; None where none is open, and in an array.
    """

    kind: Literal["object", "array"]
    start: int
    safe: int
    keys: list[str] = field(default_factory=list)
    count: int = 0
    scalars: dict[str, object] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Salvage:
    """What can stand of a text.

    Args:
        prefix: the text up to the last place where it can go on: behind a closed value, a bracket, or within a string.
        levels: the containers that are open there, the outermost first; the open value of each but the last is the
            next one.
        text: what is there of the string that is open, escapes resolved; None where none is.
    """

    prefix: str
    levels: tuple[Level, ...]
    text: str | None = None

    def cut(self, depth: int) -> Salvage:
        """Return the same without the value that is open in level `depth - 1`, which then starts over."""
        levels = (*self.levels[: depth - 1], replace(self.levels[depth - 1], key=None))
        return Salvage(self.prefix[: levels[-1].safe], levels)

    @property
    def path(self) -> list[str | int]:
        """From the root to the place where it goes on."""
        inner = [self._step(number) for number in range(len(self.levels) - 1)]
        return inner if self.text is None else [*inner, self._step(len(self.levels) - 1)]

    def path_to(self, depth: int) -> list[str | int]:
        """From the root to level `depth`."""
        return [self._step(number) for number in range(depth)]

    def is_open(self, depth: int) -> bool:
        """Whether a value of level `depth` is open, and goes on."""
        return depth < len(self.levels) - 1 or self.text is not None

    def _step(self, number: int) -> str | int:
        level = self.levels[number]
        return level.count if level.kind == "array" else level.key or ""


def salvage(text: str, *, grows: bool) -> Salvage | None:
    """Return what can stand of `text`.

    Args:
        text: JSON, cut anywhere or broken at its end.
        grows: whether a string that is open is one that is shown while it grows. False lets it start over.

    Returns:
        None where nothing is open, or no container has begun.

    >>> salvage('{"name": "Ada", "tags": ["a", "b', grows=True).prefix
    '{"name": "Ada", "tags": ["a", "b'
    >>> salvage('{"name": "Ada", "born": 18', grows=True).prefix
    '{"name": "Ada"'
    """
    outline = _Outline()
    with suppress(JSONSyntaxError, JSONLimitError):  # what stood before the fault is known by then
        JSONStream(outline, limits=UNBOUNDED, allow_nan=True).feed(text)
    if not outline.levels:
        return None
    levels = tuple(outline.levels)
    found = Salvage(text, levels, "".join(outline.pieces) if outline.string_at is not None else None)
    if outline.string_at is None or not grows:
        return found.cut(len(levels))
    whole = _WHOLE.match(text, outline.string_at + 1)
    end = whole.end() if whole else outline.string_at + 1
    return Salvage(text[:end], levels, found.text)


class _Outline:
    """A `JSONSink` that keeps what is open."""

    def __init__(self) -> None:
        self.levels: list[Level] = []
        self.string_at: int | None = None
        self.pieces: list[str] = []

    def open_object(self, at: int) -> None:
        self.levels.append(Level("object", at, at + 1))

    def open_array(self, at: int) -> None:
        self.levels.append(Level("array", at, at + 1))

    def key(self, name: str) -> None:
        self.levels[-1].key = name

    def close(self, end: int) -> None:
        self.levels.pop()
        self._closed(end)

    def scalar(self, raw: str, end: int) -> None:
        self._closed(end, _CONSTANTS.get(raw, raw))

    def open_string(self, at: int) -> bool:
        self.string_at = at
        self.pieces = []
        return True

    def piece(self, text: str) -> None:
        self.pieces.append(text)

    def close_string(self, end: int) -> None:
        self.string_at = None
        self._closed(end, "".join(self.pieces))

    def string(self, text: str, at: int) -> None:
        self._closed(at + len(text) + 2, text)

    def container(self, raw: str, at: int) -> bool:
        self._closed(at + len(raw))
        return True

    def _closed(self, end: int, value: object = None) -> None:
        if not self.levels:
            return
        level = self.levels[-1]
        level.count += 1
        level.safe = end
        if level.key is not None:
            level.keys.append(level.key)
            if value is not None and (not isinstance(value, str) or len(value) <= _TOLD):
                level.scalars[level.key] = value
            level.key = None


_CONSTANTS = {"true": True, "false": False}
