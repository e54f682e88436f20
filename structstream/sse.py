"""Bytes of an event stream in, events out (WHATWG HTML, 9.2.6 "Interpreting an event stream").

No I/O, no clock: feed it what the network gave, however it was cut. Lines are split and decoded one by one, which
equals decoding the whole body: the bytes of a line end are never part of a longer UTF-8 sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConfigurationError, SSEError
from .events import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

__all__ = ["SSEDecoder"]

_BOM = b"\xef\xbb\xbf"
_CR, _LF = _LINE_ENDS = b"\r\n"
# Longer reconnection times (30,000 years and more) are ignored: Python refuses to read numbers of over 4,300 digits.
_MAX_RETRY_DIGITS = 15
_MAX_STRAY = 2**16


class SSEDecoder:
    r"""Turns the bytes of one event stream into events, to the letter of the specification.

    The bytes decide, not how they were cut. Memory is bounded by the two limits and the size of one feed; the work is
    linear in the bytes.

    Args:
        max_line_bytes: the longest line that is taken, in bytes without its end.
        max_event_bytes: the most data of one event, in bytes, line feeds between its lines included.

    Raises:
        ConfigurationError: a bound is not positive.

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b'data: {"a": 1}\r')
    []
    >>> decoder.feed(b"\n\r\n")
    [ServerSentEvent(data='{"a": 1}', event='message', id='', retry=None)]
    >>> decoder.close()
    []
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_event",
        "_head",
        "_id",
        "_passed",
        "_retry",
        "_safe",
        "_stray",
        "_tail",
        "fresh",
        "max_event_bytes",
        "max_line_bytes",
    )

    def __init__(
        self,
        *,
        max_line_bytes: int = 16 * 2**20,
        max_event_bytes: int = 16 * 2**20,
    ) -> None:
        for name, bound in (("max_line_bytes", max_line_bytes), ("max_event_bytes", max_event_bytes)):
            if bound < 1:
                raise ConfigurationError(f"{name} must be a positive number of bytes, not {bound!r}")
        self.max_line_bytes = max_line_bytes
        self.max_event_bytes = max_event_bytes
        self._safe = min(max_line_bytes, max_event_bytes)
        self.fresh = False
        """Whether nothing pends: no line, no field, no half line end. Bytes that are one event by themselves need not
        be fed then."""
        self._head: bytes | None = b""  # bytes that may be the start of a BOM; None once that is decided
        self._tail = bytearray()  # the line that has not ended yet
        self._after_cr = False
        self._data: bytes | bytearray | None = None
        self._event = "message"
        self._id = ""
        self._retry: int | None = None
        self._passed: tuple[str, int] | None = None
        self._stray: list[bytes] = []

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes, in order.

        What came before the place where a bound is passed is always handed over: where this call has such events, the
        error is raised by the next call.

        Args:
            data: the next bytes of the body, cut anywhere.

        Raises:
            SSEError: a line or an event passes its bound; every later call raises it again.
        """
        # One network read is mostly one event of one line: no bound can be passed then, nothing pends before it.
        end = len(data) - 2
        alone = self.fresh and data.find(_LF) == end and end <= self._safe and _CR not in data
        if alone and data.startswith(b"data: ") and data[-1] == _LF:
            return [ServerSentEvent(str(data[6:end], "utf-8", "replace"), "message", self._id, self._retry)]
        if self._passed is not None:
            raise SSEError(*self._passed)
        if self._head is not None:
            data = self._without_bom(data)
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == _LF:
                data = data[1:]
        return self._read(data) if data else []

    def close(self, *, dispatch_unterminated: bool = False) -> list[ServerSentEvent]:
        """Return what the end of the body completes: at most one event. Nothing is fed after it.

        Args:
            dispatch_unterminated: what becomes of an event that lacks its blank line. False discards it, as the
                specification says. True dispatches it, last line included, as some providers end their streams so.
                Where the body ends `mid_line` it may as well have been cut there: who then finds this event broken
                should take the stream as cut, not as wrong.

        Raises:
            SSEError: a bound was passed.
        """
        if self._passed is not None:
            raise SSEError(*self._passed)
        rest, self._head = self._head or b"", None
        events = self._read(rest + b"\n\n") if dispatch_unterminated else []
        self._drop()
        return events

    @property
    def last_event_id(self) -> str:
        """The last id that the stream named, to be sent as ``Last-Event-ID`` when it is taken up again."""
        return self._id

    @property
    def mid_line(self) -> bool:
        """Whether the bytes so far end inside a line: then an event that `close` dispatches may have been cut."""
        return bool(self._tail or self._head)

    @property
    def stray(self) -> str:
        """What stood in lines that are no field of the specification's, the first 64 KiB of it.

        They make no event. But some servers that fail in the middle of a stream write their error there: Gemini the
        bare lines of its JSON, llama.cpp an ``error:`` line.
        """
        return b"\n".join(self._stray).decode("utf-8", "replace")

    def _without_bom(self, data: bytes) -> bytes:
        head = (self._head or b"") + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _read(self, data: bytes) -> list[ServerSentEvent]:
        tail = self._tail
        bounded = len(tail) + len(data) > self._safe
        lines = self._complete(data)
        events: list[ServerSentEvent] = []
        for line in lines:
            if not line:
                if self._data is not None:
                    text = str(self._data, "utf-8", "replace")
                    events.append(ServerSentEvent(text, self._event, self._id, self._retry))
                    self._data = None
                self._event = "message"
            elif self._data is None and not bounded and line.startswith(b"data: "):
                self._data = line[6:]
            else:
                self._take(line)
                if self._passed is not None:
                    break
        if len(tail) > self.max_line_bytes:
            self._pass("max_line_bytes", self.max_line_bytes)
        self.fresh = not tail and not self._after_cr and self._data is None and self._event == "message"
        if self._passed is not None:
            self.fresh = False
            if not events:
                raise SSEError(*self._passed)
        return events

    def _complete(self, data: bytes) -> list[bytes]:
        lines = data.splitlines()  # on bytes: at LF, CR and CRLF only
        tail, last = self._tail, data[-1]
        rest = lines.pop() if last not in _LINE_ENDS else b""
        if tail and lines:
            tail += lines[0]
            lines[0] = bytes(tail)
            tail.clear()
        tail += rest
        self._after_cr = last == _CR
        return lines

    def _take(self, line: bytes) -> None:
        if len(line) > self.max_line_bytes:
            return self._pass("max_line_bytes", self.max_line_bytes)
        name, _, value = line.partition(b":")
        handler = self._FIELDS.get(name)
        if handler is not None:
            handler(self, value.removeprefix(b" "))
        elif name and sum(map(len, self._stray)) + len(line) <= _MAX_STRAY:
            self._stray.append(value.removeprefix(b" ") if name == b"error" else line)
        return None

    def _add_data(self, value: bytes) -> None:
        data = self._data
        if data is None:
            self._data = data = value
        else:
            if isinstance(data, bytes):
                self._data = data = bytearray(data)
            data += b"\n"
            data += value
        if len(data) > self.max_event_bytes:
            self._pass("max_event_bytes", self.max_event_bytes)

    def _name_event(self, value: bytes) -> None:
        self._event = value.decode("utf-8", "replace") or "message"

    def _set_id(self, value: bytes) -> None:
        if b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _set_retry(self, value: bytes) -> None:
        if value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self._retry = int(value)

    _FIELDS: ClassVar[Mapping[bytes, Callable[[SSEDecoder, bytes], None]]] = {
        b"data": _add_data,
        b"event": _name_event,
        b"id": _set_id,
        b"retry": _set_retry,
    }

    def _pass(self, bound: str, limit: int) -> None:
        self._passed = (bound, limit)
        self._drop()

    def _drop(self) -> None:
        self._tail.clear()
        self._data = None
