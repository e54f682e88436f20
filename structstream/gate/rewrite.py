"""JSON text in, the same JSON text out, with some of its strings changed: what a gate is made of."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream

if TYPE_CHECKING:
    from structstream.jsonsink import JSONLimits
    from structstream.verdicts import TextKind

__all__ = ["JSONRewriter", "encode"]

# Characters within a string that may wait to be read by the JSON reader: enough to make it cheap.
_MAX_LAG = 1024

_match_string = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL).match

encode = json.encoder.encode_basestring  # with quotes; nothing but quotes, backslashes and control characters escaped


class JSONRewriter:
    """A `JSONSink` that copies the text which it reads, but for strings, keys and scalars that a subclass changes.

    The text may be cut anywhere. A key, a number or a literal is copied when it has ended, all else as it comes;
    escapes within a string may come out in another form that says the same.

    Args:
        limits: the bounds of the document; None for the defaults.
        allow_nan: whether ``NaN`` and ``Infinity`` are taken.
    """

    def __init__(self, *, limits: JSONLimits | None = None, allow_nan: bool = False) -> None:
        self._stream = JSONStream(self, limits=limits, allow_nan=allow_nan)
        self._out: list[str] = []
        self._raw: list[str] = []  # text from offset `_copied` on that was not copied yet
        self._copied = 0
        self._read = 0  # how many characters came
        self._in_string = False
        self._plain = False  # whether the next character is one of a string's text
        self._lag: list[str] = []  # text of the open string that the reader has not seen yet
        self._lagging = 0
        self._skip = 0  # how many characters of the next piece were handed over already

    # --- for the subclass ---

    def begin_string(self) -> None:
        """A string value begins whose text comes in pieces."""

    def more_string(self, text: str) -> None:
        """More of the string; the subclass emits what may be shown."""

    def end_string(self) -> None:
        """The string ends; the subclass emits the rest of it."""

    def whole(self, text: str, kind: TextKind) -> str | None:
        """Return what stands instead of a whole string, key or scalar (as written); None if it stays."""
        return None

    def whole_container(self, raw: str) -> bool:
        """Return whether a whole container needs no look inside."""
        return False

    def emit(self, text: str) -> None:
        """Put out JSON text; within a string escaped and without its quotes."""
        self._out.append(text)

    # --- what callers use ---

    @property
    def path(self) -> str:
        """The JSON path of the place that was reached, as it was written."""
        return self._stream.path

    def take(self) -> str:
        """Return what was put out since the last call."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else "".join(out)

    def feed(self, text: str) -> None:
        """Read more text; `take` gives what comes of it.

        Raises:
            JSONSyntaxError, JSONLimitError: as `JSONStream.feed`; what stood before the fault was put out.
        """
        if self._plain and '"' not in text and "\\" not in text and text.isprintable():
            self.more_string(text)
            self._lag.append(text)
            self._lagging += len(text)
            if self._lagging > _MAX_LAG:
                self._catch_up("")
            return
        if self._lag:
            self._catch_up(text)
        else:
            self._feed(text)

    def _catch_up(self, text: str) -> None:
        self._skip = self._lagging
        self._lag.append(text)
        text = "".join(self._lag)
        self._lag = []
        self._lagging = 0
        self._feed(text)

    def _feed(self, text: str) -> None:
        stream = self._stream
        self._raw.append(text)
        self._read += len(text)
        self._plain = False
        try:
            stream.feed(text)
        except (JSONSyntaxError, JSONLimitError) as error:
            if not self._in_string:
                self._copy(min(error.offset, stream.mark if stream.in_token else self._read))
            raise
        if self._in_string:
            self._raw = []
            self._copied = self._read
            self._plain = not stream.in_token
        else:
            self._copy(stream.mark if stream.in_token else self._read)

    def finish(self) -> None:
        """End the text: a number at the root ends with it.

        Raises:
            JSONSyntaxError: the document is not complete.
        """
        if self._lag:
            self._catch_up("")
        self._stream.finish()
        self._copy(self._read)

    # --- raw text ---

    def _copy(self, end: int) -> None:
        """Put out the raw text up to an offset."""
        if end > self._copied:
            raw = "".join(self._raw)
            size = end - self._copied
            self.emit(raw[:size])
            self._raw = [raw[size:]] if size < len(raw) else []
            self._copied = end

    def _drop(self, end: int) -> None:
        """Pass over the raw text up to an offset: something else was put out for it."""
        if end > self._copied:
            raw = "".join(self._raw)
            size = end - self._copied
            self._raw = [raw[size:]] if size < len(raw) else []
            self._copied = end

    def _replace(self, start: int, end: int, text: str) -> None:
        self._copy(start)
        self.emit(encode(text))
        self._drop(end)

    # --- the sink ---

    def open_object(self, at: int) -> None:
        pass

    def open_array(self, at: int) -> None:
        pass

    def close(self, end: int) -> None:
        pass

    def key(self, name: str) -> None:
        text = self.whole(name, "key")
        if text is not None:
            self._copy(self._stream.mark)
            self.emit(encode(text))
            self._drop_string()

    def _drop_string(self) -> None:
        """Pass over the raw key that was not copied yet."""
        found = _match_string("".join(self._raw))
        if found is not None:
            self._drop(self._copied + found.end())

    def scalar(self, raw: str, end: int) -> None:
        text = self.whole(raw, "scalar")
        if text is not None:
            self._replace(end - len(raw), end, text)

    def string(self, text: str, at: int) -> None:
        new = self.whole(text, "value")
        if new is not None:
            self._replace(at, at + len(text) + 2, new)

    def open_string(self, at: int) -> bool:
        self._copy(at + 1)
        self._in_string = True
        self.begin_string()
        return True

    def piece(self, text: str) -> None:
        if self._skip:
            skip, self._skip = self._skip, 0
            text = text[skip:]
        if text:
            self.more_string(text)

    def close_string(self, end: int) -> None:
        self._in_string = False
        self._skip = 0
        self._drop(end)
        self.end_string()
        self.emit('"')

    def container(self, raw: str, at: int) -> bool:
        return self.whole_container(raw)
