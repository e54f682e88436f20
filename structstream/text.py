"""Text that grows, and paths as text."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MANY", "TextBuffer", "parse_path", "render_path"]


MANY = 1024
"""So many loose pieces of a `TextBuffer` are joined."""


class TextBuffer:
    """Text that only grows, in memory of its own size, with slices at the cost of the slice."""

    __slots__ = ("_blocks", "_starts", "length", "loose")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._starts: list[int] = []
        self.loose: list[str] = []
        """The pieces behind the last block. Whoever adds one for each delta does it here, as `append` does."""
        self.length = 0

    def append(self, text: str) -> None:
        """Add `text` behind the end."""
        self.loose.append(text)
        self.length += len(text)
        if len(self.loose) >= MANY:
            self.settle()

    def settle(self) -> None:
        """Join the pieces, which are looked at or have become `MANY`."""
        block = "".join(self.loose)
        self.loose = []
        if block:
            self._starts.append(self.length - len(block))
            self._blocks.append(block)
            # Each block is at least twice as long as the next: they stay few, and none is joined often.
            while len(self._blocks) > 1 and len(self._blocks[-2]) < 2 * len(self._blocks[-1]):
                last = self._blocks.pop()
                self._starts.pop()
                self._blocks[-1] += last

    def slice(self, start: int, end: int) -> str:
        """Return the characters from offset `start` up to `end`."""
        if self.loose:
            self.settle()
        end = min(end, self.length)
        if start >= end:
            return ""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        offset = self._starts[first]
        if first == last:
            return self._blocks[first][start - offset : end - offset]
        middle = self._blocks[first + 1 : last]
        return "".join((self._blocks[first][start - offset :], *middle, self._blocks[last][: end - self._starts[last]]))

    def text(self) -> str:
        """Return all of it."""
        return self.slice(0, self.length)


def render_path(path: Sequence[object]) -> str:
    """Return a path as text, such as ``items[2].price``; a key that is no plain word stands in brackets and quotes.

    Keys of other types than str and int, as mappings may have, stand there as their text.

    >>> render_path(["orders", 0, "a b"])
    'orders[0]["a b"]'
    """
    parts: list[str] = []
    for item in path:
        if isinstance(item, int):
            parts.append(f"[{item}]")
        elif (name := str(item)).isidentifier():
            parts.append(f".{name}" if parts else name)
        else:
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'["{escaped}"]')
    return "".join(parts)


_PATH_ITEM = re.compile(r'\.?([^\W\d]\w*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


def parse_path(path: str) -> list[str | int]:
    """Return the items of a path as `render_path` writes it.

    Raises:
        ValueError: `path` is no path.

    >>> parse_path('orders[0]["a b"].price')
    ['orders', 0, 'a b', 'price']
    """
    items: list[str | int] = []
    at = 0
    while at < len(path):
        match = _PATH_ITEM.match(path, at)
        if match is None or (path[at] == ".") != (match[1] is not None and at > 0):
            raise ValueError(f'{path!r} is no path: expected a name, [index] or ["key"] at offset {at}')
        if match[1] is not None:
            items.append(match[1])
        else:
            items.append(int(match[2]) if match[2] is not None else re.sub(r"\\(.)", r"\1", match[3]))
        at = match.end()
    return items
