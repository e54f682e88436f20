"""Where the body of an answer begins to say something: what stands there tells what kind of body it is."""

from __future__ import annotations

import re

__all__ = ["Head"]

_NOTHING = re.compile(rb"(?:[\xef\xbb\xbf\s]|:[^\r\n]*+[\r\n])*+")


class Head:
    r"""Finds the first byte of a body that says something: behind a byte order mark, blank lines and comments.

    >>> head = Head()
    >>> head.feed(b": keep-alive\n\n"), head.feed(b"data: 1\n")
    (b'', b'd')
    """

    def __init__(self) -> None:
        self._comment = b""  # the colon of a comment whose line has not ended

    def feed(self, data: bytes) -> bytes:
        """Return that byte; empty where it has not come yet."""
        data = self._comment + data
        end = _NOTHING.match(data).end()  # type: ignore[union-attr]  # matches the empty text
        sign = data[end : end + 1]
        self._comment = sign if sign == b":" else b""
        return b"" if self._comment else sign
