"""Where in the text each value stands, by its path; read when somebody asks, each character once."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream
from structstream.text import TextBuffer, render_path

from .builder import UNBOUNDED, Builder

if TYPE_CHECKING:
    from .nodes import Node
    from .shapes import Shape

__all__ = ["Spans"]

_Span = tuple[int, int]


class Spans:
    """The offsets of the closed values of a text that grows.

    Args:
        shape: of the root: paths have the names of its fields.
        text: the JSON text so far.

    >>> from .schema import shape_of
    >>> text = TextBuffer(); text.append('{"a": [1, "two"]')
    >>> spans = Spans(shape_of(dict[str, list[int | str]]), text)
    >>> spans.leaves("a[1]"), spans.leaves("a"), spans.leaves("")
    ([(11, 14)], [(7, 8), (11, 14)], None)
    """

    def __init__(self, shape: Shape, text: TextBuffer) -> None:
        self._text = text
        self._read = 0
        buffer = TextBuffer()
        self._sink = _Recorder(shape, buffer, check=False)
        self._reader = JSONStream(self._sink, limits=UNBOUNDED, allow_nan=True, buffer=buffer)

    def leaves(self, path: str) -> list[_Span] | None:
        """The offsets of the scalars of which the value at `path` consists, strings without their quotes.

        A value that is read as a whole, and an empty container, counts as one. None where no value has closed.
        """
        if self._read < self._text.length:
            text, self._read = self._text.slice(self._read, self._text.length), self._text.length
            with suppress(JSONSyntaxError, JSONLimitError):  # what had closed before stays
                self._reader.feed(text)
        sink = self._sink
        sink.settle()
        found = sink.by_path.get(path)
        if found is None:
            return None
        first, last = bisect_left(sink.starts, found[0]), bisect_left(sink.starts, found[1])
        return sink.leaves[first:last] or [found]


class _Recorder(Builder):
    """Follows a text and notes the offsets of what closes."""

    def _note(self, start: int, end: int, *, leaf: _Span | None = None) -> None:
        self._spans[self.top, len(self.top.values)] = start, end
        if leaf is not None:
            self.starts.append(leaf[0])
            self.leaves.append(leaf)

    def __init__(self, shape: Shape, buffer: TextBuffer, *, check: bool) -> None:
        super().__init__(shape, buffer, check=check)
        self._spans: dict[tuple[Node, int], _Span] = {}
        self.by_path: dict[str, _Span] = {}
        self.leaves: list[_Span] = []
        self.starts: list[int] = []

    def settle(self) -> None:
        """Give what has closed since the last time its path."""
        closings, self.closings = self.closings, []
        for node, pos, _, _ in closings:
            span = self._spans.pop((node, pos), None)
            if span is not None:
                self.by_path[render_path(node.path_of(pos))] = span

    def string(self, text: str, at: int) -> None:
        if not self.skipping:
            end = at + len(text) + 2
            self._note(at, end, leaf=(at + 1, end - 1) if text else (at, end))
        super().string(text, at)

    def close_string(self, end: int) -> None:
        if not self.skipping:
            start = self._string_start
            self._note(start, end, leaf=(start + 1, end - 1) if end - start > 2 else (start, end))
        super().close_string(end)

    def scalar(self, raw: str, end: int) -> None:
        if not self.skipping:
            self._note(end - len(raw), end, leaf=(end - len(raw), end))
        super().scalar(raw, end)

    def close(self, end: int) -> None:
        if self.skipping == 1:
            self._note(self._skip_start, end, leaf=(self._skip_start, end))
        elif not self.skipping and self.top.parent is not None:
            self._spans[self.top.parent, self.top.pos] = self.top.start, end
        super().close(end)
