"""Where a place in a text that comes in pieces stands in the whole of it."""

from __future__ import annotations

from structstream.errors import JSONSyntaxError

__all__ = ["Position"]


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
