"""Answers that are no event stream: what an error, a redirect, and a whole answer where a stream was due mean."""

from __future__ import annotations

import json
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .clock import DeadlinePassed
from .errors import ProtocolError, UnexpectedResponseError
from .events import Failed, Finished, TextDelta, ToolDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from .clock import Watchdog
    from .errors import ProviderError
    from .events import ProviderEvent
    from .providers import Provider
    from .transport import HTTPAnswer

__all__ = ["MAX_ERROR_BODY", "REQUEST_IDS", "SAYING_WHY", "collect", "is_json", "moved", "refusal", "unasked"]

MAX_ERROR_BODY = 64 << 10
"""Bytes of an answer that is no answer of the model: enough for its sentence."""

SAYING_WHY = 5.0
"""Seconds for the body of an answer that is no stream, which says why; and for the end of one that has come whole."""

REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-ms-request-id")
"""The headers that may name the call."""

_LOOKS = 16  # at a body that may have come whole, though its end has not

# Any of these makes a body in one piece an answer.
_ANSWERS = frozenset({TextDelta, ToolDelta, Finished})


def moved(provider: str, answer: HTTPAnswer) -> UnexpectedResponseError:
    """Return the error that says where a redirect leads, by its host only: path and query may hold secrets."""
    location = answer.headers.get("location")
    try:
        host = urlsplit(location or "").netloc.rpartition("@")[2]
        where = f"the host {host}" if host else "another path of its host" if location else "nowhere"
    except ValueError:
        where = "an address that cannot be read"
    error = UnexpectedResponseError(
        f"a redirect to {where}: not followed, as the key would go with it; set the base URL to where the API is",
        provider=provider,
        status=answer.status,
        request_id=next((answer.headers[name] for name in REQUEST_IDS if name in answer.headers), None),
    )
    error.retryable = False  # the same call is sent the same way again
    return error


def refusal(provider: Provider, answer: HTTPAnswer | None, body: bytes, *, whole: bool) -> ProviderError:
    """Return what a body that is no answer means.

    Args:
        provider: who was asked.
        answer: status and headers; None where there are none.
        body: as much of it as has come; `MAX_ERROR_BODY` of it are looked at.
        whole: whether it came to its end.
    """
    status, headers = (answer.status, answer.headers) if answer is not None else (0, {})
    error = provider.error(status, headers, body[:MAX_ERROR_BODY], now=_date(headers))
    if not whole and not is_json(body):
        error.cut_off()
    return error


def unasked(provider: Provider, body: bytes) -> Sequence[ProviderEvent]:
    """Return what a whole answer says that came though a stream was asked for; nothing where it is no answer."""
    try:
        events = provider.whole(body)
    except ProtocolError:
        return ()
    said = {type(event) for event in events}
    return events if said & _ANSWERS and Failed not in said else ()


async def collect(
    body: AsyncIterator[bytes],
    collected: bytearray,
    most: int,
    *,
    until: float,
    watchdog: Watchdog,
    now: Callable[[], float],
) -> None:
    """Add to `collected` what comes, until the body ends, is longer than `most`, or is whole and goes on silent.

    Args:
        body: what is read.
        collected: what has come of it before; what it is added to.
        most: bytes.
        until: the deadline, on the clock.
        watchdog: guards each wait.
        now: the clock.

    Raises:
        DeadlinePassed: the body was not whole by then.
        Interrupted, ConnectionFailedError: as the wait and the read.
    """
    looks, looked_at, patience = 0, 0, until
    while len(collected) <= most:
        may_be_whole = collected[-64:].rstrip().endswith((b"}", b"]"))
        # Some looks whatever comes, later ones as it doubles: they stay a small multiple of the reading.
        if may_be_whole and (looks < _LOOKS or len(collected) > 2 * looked_at):
            looks, looked_at = looks + 1, len(collected)
            if is_json(collected):
                patience = min(patience, now() + SAYING_WHY)
        try:
            with watchdog.until(patience):
                data = await anext(body, b"")
        except DeadlinePassed:
            if patience == until:
                raise
            break
        if not data:
            break
        collected += data


def is_json(body: bytes | bytearray) -> bool:
    """Whether a body whose end did not come lacks nothing all the same.

    >>> is_json(b'{"choices": []}'), is_json(b'{"choices": [')
    (True, False)
    """
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _date(headers: Mapping[str, str]) -> float | None:
    """The answer's own date, in seconds since 1970: what a Retry-After that is a date counts from."""
    with suppress(KeyError, ValueError, IndexError, OverflowError):
        return parsedate_to_datetime(headers["date"]).timestamp()
    return None
