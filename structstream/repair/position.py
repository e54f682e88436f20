"""Where a place stands: in a text that comes in pieces, and in the document that is read from it."""

from __future__ import annotations

import json

from structstream.errors import JSONSyntaxError
from structstream.text import render_path

__all__ = ["Nesting", "Position"]


class Position:
    r"""The place where the current piece of a text begins; lines end with a line feed; all counts are of characters.

    >>> position = Position()
    >>> position.move("one\ntw"); error = position.syntax_error("o!", 1, "nothing", "'!'", "")
    >>> error.offset, error.line, error.column
    (7, 2, 4)
    """

    __slots__ = ("_line", "_line_start", "offset")

    def __init__(self) -> None:
        self.offset = 0
        self._line = 1
        self._line_start = 0

    def move(self, text: str) -> None:
        """Go behind `text`."""
        if "\n" in text:
            self._line += text.count("\n")
            self._line_start = self.offset + text.rfind("\n") + 1
        self.offset += len(text)

    def syntax_error(self, text: str, i: int, expected: str, found: str, path: str) -> JSONSyntaxError:
        """Return the error for `text[i]`, where `text` is the current piece.

        A negative `i` is a place on the same line in the piece before.
        """
        offset = self.offset + i
        before = text[: max(i, 0)]
        lines = before.count("\n")
        start = self.offset + before.rfind("\n") + 1 if lines else self._line_start
        line, column = self._line + lines, offset - start + 1
        return JSONSyntaxError(expected=expected, found=found, offset=offset, line=line, column=column, path=path)


class Nesting:
    r"""The open containers of a document, and the current key or index in each.

    >>> nesting = Nesting()
    >>> nesting.open("["); nesting.next(); nesting.open("{"); nesting.set_key(r"\u0061 b")
    >>> nesting.path(), nesting.closers
    ('[1]["a b"]', [']', '}'])
    """

    __slots__ = ("_places", "closers")

    def __init__(self) -> None:
        self.closers: list[str] = []
        """The bracket that closes each, the innermost last."""
        self._places: list[str | int | None] = []

    def open(self, bracket: str) -> None:
        self.closers.append("}" if bracket == "{" else "]")
        self._places.append(None if bracket == "{" else 0)

    def close(self) -> None:
        self.closers.pop()
        self._places.pop()

    def clear(self) -> None:
        self.closers.clear()
        self._places.clear()

    def next(self) -> None:
        """Go to the next item, or to a member whose key is not known yet."""
        place = self._places[-1]
        self._places[-1] = place + 1 if isinstance(place, int) else None

    def set_key(self, key: str) -> None:
        """Name the current member; `key` is written as in JSON, without its quotes."""
        self._places[-1] = key

    def path(self) -> str:
        """Return the path of the current place."""
        places = [place for place in self._places if place is not None]
        return render_path([json.loads(f'"{place}"') if isinstance(place, str) else place for place in places])
