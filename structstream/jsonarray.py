"""Bytes of a JSON array in, its elements out as events: how Gemini streams where nobody asked for an event stream.

The same shape as `SSEDecoder`, so that either can stand before the same provider. Only strings and brackets are looked
at; whether an element is JSON is for its reader to say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import ConfigurationError, ProtocolError, SSEError
from .events import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JSONArrayDecoder"]

_SPACE = b" \t\r\n"
_OPEN, _CLOSE = b"{[", b"}]"
_QUOTE, _ESCAPE, _COMMA = b'"', b"\\", b","
_OUTSIDE = re.compile(rb'["{}\[\],]')
_INSIDE = re.compile(rb'["\\]')


class JSONArrayDecoder:
    r"""Turns the bytes of one JSON array into its elements, each as soon as it has closed.

    The bytes decide, not how they were cut. A body that is one object instead, as an error is, is its own one element.
    Memory is bounded by the longest element; the work is linear in the bytes.

    Args:
        max_event_bytes: the longest element that is taken, in bytes.

    Raises:
        ConfigurationError: the bound is not positive.

    >>> decoder = JSONArrayDecoder()
    >>> decoder.feed(b'[{"a": "]"')
    []
    >>> [event.data for event in decoder.feed(b'},\r\n{"b": [1]}]')]
    ['{"a": "]"}', '{"b": [1]}']
    >>> decoder.close()
    []
    """

    fresh = False
    """No bytes are an element by themselves: a bracket or a comma stands beside them."""

    __slots__ = (
        "_begun",
        "_closed",
        "_depth",
        "_element",
        "_ended",
        "_escaped",
        "_failure",
        "_string",
        "max_event_bytes",
    )

    def __init__(self, *, max_event_bytes: int = 16 * 2**20) -> None:
        if max_event_bytes < 1:
            raise ConfigurationError(f"max_event_bytes must be a positive number of bytes, not {max_event_bytes!r}")
        self.max_event_bytes = max_event_bytes
        self._begun = False  # the array has opened
        self._ended = False
        self._closed = False  # an element has, and no comma followed yet
        self._depth = 0  # of brackets within the element
        self._string = False
        self._escaped = False
        self._element = bytearray()
        self._failure: ProtocolError | SSEError | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the elements that `data` completes, in order.

        What stands before a fault is always handed over: where this call has such elements, the error is raised by the
        next call.

        Args:
            data: the next bytes of the body, cut anywhere.

        Raises:
            ProtocolError: the body is no JSON array; every later call raises it again.
            SSEError: an element passes the bound; every later call raises it again.
        """
        events: list[ServerSentEvent] = []
        if self._failure is None:
            try:
                for event in self._read(data):
                    events.append(event)  # noqa: PERF402  # one by one: a fault comes after some
            except (ProtocolError, SSEError) as failure:
                self._failure = failure
                self._element.clear()
        if self._failure is not None and not events:
            raise self._failure
        return events

    def close(self, *, dispatch_unterminated: bool = False) -> list[ServerSentEvent]:
        """Return what the end of the body completes: nothing, as an element ends by itself. Nothing is fed after it.

        Args:
            dispatch_unterminated: as for `SSEDecoder.close`; half an element is never dispatched.

        Raises:
            ProtocolError, SSEError: as `feed`.
        """
        if self._failure is not None:
            raise self._failure
        self._element.clear()
        return []

    @property
    def mid_line(self) -> bool:
        """Whether the bytes so far end inside an element."""
        return bool(self._element)

    def _read(self, data: bytes) -> Iterator[ServerSentEvent]:
        at = 0
        while at < len(data):
            if not self._element and (at := self._between(data, at)) >= len(data):
                return
            end, complete = self._end_of_element(data, at)
            self._element += data[at:end]
            if len(self._element) > self.max_event_bytes:
                raise SSEError("max_event_bytes", self.max_event_bytes)
            at = end
            if complete:
                text = str(self._element.rstrip(_SPACE), "utf-8", "replace")
                self._element.clear()
                self._closed = True
                yield ServerSentEvent(text)

    def _between(self, data: bytes, at: int) -> int:
        """Step over what stands between elements; return where the next one begins, or the length of `data`."""
        for place in range(at, len(data)):
            sign = data[place : place + 1]
            if sign in _SPACE:
                continue
            if not self._begun:
                self._begun = True
                if sign == b"[":
                    continue
                if sign == b"{":
                    self._ended = True  # nothing may follow the one object
                    return place
            elif not self._ended and sign == b"]":
                self._ended = True
                continue
            elif not self._ended and sign == _COMMA and self._closed:
                self._closed = False
                continue
            elif not self._ended and not self._closed and sign not in _CLOSE + _COMMA:
                return place
            found = data[place : place + 40].decode("utf-8", "replace")
            raise ProtocolError("the body is no JSON array", provider="json array", event=found)
        return len(data)

    def _end_of_element(self, data: bytes, at: int) -> tuple[int, bool]:
        """Return how far the element goes in `data`, and whether it ends there."""
        if self._escaped:
            self._escaped = False
            at += 1
        while found := (_INSIDE if self._string else _OUTSIDE).search(data, at):
            at, sign = found.end(), found[0]
            if sign == _ESCAPE:
                if at == len(data):
                    self._escaped = True
                at += 1
            elif sign == _QUOTE:
                self._string = not self._string
            elif sign in _OPEN:
                self._depth += 1
            elif sign in _CLOSE:
                if not self._depth:  # the array's own end, behind an element without brackets
                    return at - 1, True
                self._depth -= 1
                if not self._depth:
                    return at, True
            elif not self._depth:
                return at - 1, True
        return len(data), False
