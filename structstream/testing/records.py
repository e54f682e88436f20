"""What the simulated provider remembers of each request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .dialects.base import Question
    from .faults import Fault

__all__ = ["Ending", "RecordedRequest", "without_secrets"]

Ending = Literal["complete", "cut", "dropped", "reset", "garbled", "disconnected", "closed", "failed"]
"""How an answer ended: sent to its end; by a fault; the client left; the provider was closed; a `document` raised."""

_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization")


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """One request, and what became of it; the fields fill as it goes on.

    Args:
        number: counted from 0 over all connections.
        method, path: the request line; the path without its query.
        query: of the request line, the value of a key replaced; empty for none.
        headers: by lower-case name; the value of each that carries a key is ``[redacted]``.
        body: the JSON body; None where there was none or it was no JSON.
        connection: the number of the connection that it came over, counted from 0.
        fault: the fault that strikes; None for none.
        question: what was asked, as read by the dialect; None where it was no question.
        documents: the text of each choice that the answer is made of, before any fault.
        status: of the answer; None before it.
        bytes_sent: bytes of the body that were handed to the connection.
        events_sent: writes of the body, an event each unless they are coalesced.
        started_at, ended_at, disconnected_at: when the request was read, the answer ended, the connection was lost;
            seconds on the provider's clock; None before it.
        ending: how the answer ended; None before it.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any  # Any: JSON
    connection: int
    started_at: float
    query: str = ""
    fault: Fault | None = None
    question: Question | None = None
    documents: tuple[str, ...] = ()
    status: int | None = None
    bytes_sent: int = 0
    events_sent: int = 0
    ended_at: float | None = None
    disconnected_at: float | None = None
    ending: Ending | None = None
    stalled: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with the value of each that carries a key replaced.

    >>> without_secrets({"authorization": "Bearer sk-1", "accept": "*/*"})
    {'authorization': '[redacted]', 'accept': '*/*'}
    """
    return {name: "[redacted]" if name in _SECRET_HEADERS else value for name, value in headers.items()}
