"""Policies around the call: what every one of them is, and how they are stacked.

A policy is a pure decision (time is an argument) and a few lines of async around it, in a file of its own. It takes a
call and returns one, so any of them can be left out, and their order is one expression in the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from structstream.response import Outcome, StreamingResponse

from .flow import Flow, Inner, Parts, Pull, Reader, Rest, flowing

if TYPE_CHECKING:
    from structstream.errors import StructStreamError
    from structstream.request import StreamingStructuredRequest
    from structstream.response import OutcomeKind

__all__ = [
    "Call",
    "Continuing",
    "Endpoint",
    "EndpointOf",
    "Flow",
    "Inner",
    "Layer",
    "Parts",
    "Pause",
    "Pull",
    "Reader",
    "Rest",
    "Steps",
    "arrives",
    "asks",
    "ended",
    "flowing",
    "stack",
]

Steps = AsyncGenerator[StreamingResponse[Any], None]  # Any: of any response model

Call = Callable[["StreamingStructuredRequest[Any]"], Steps]  # Any: of any response model
"""Makes one call and yields its steps, the last one with the outcome.

A failure is a last step with its outcome, and not raised; what is raised is a cancellation, a caller who left
(GeneratorExit), or a fault of ours. Whoever iterates closes it: use `contextlib.aclosing`. The attempts of the outcome
bear numbers that are unique within the stream, counted as the calls begin.
"""

Layer = Callable[[Call], Call]
"""A policy: takes a call, returns the call with the policy around it."""

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds on the service's clock.

Raises:
    StreamCancelledError: the caller left meanwhile.
    StreamTimeoutError: the total deadline of the stream passed, or would pass before.
"""

Continuing = Callable[
    ["StreamingStructuredRequest[Any]", Outcome[Any]], "StreamingStructuredRequest[Any] | None"
]  # Any: of any response model
"""Gives the request that asks for what an outcome lacks; None where nothing was gained or it cannot be done.

The request is the caller's own, with the model that is to be asked; a call of the new request yields snapshots, and an
outcome, of the whole.
"""


class Endpoint(NamedTuple):
    """Who is asked: the provider's name in the routing table, and the model as the provider calls it."""

    provider: str
    model: str


EndpointOf = Callable[["StreamingStructuredRequest[Any]"], Endpoint]  # Any: of any response model
"""Tells who will be asked for a request."""


def stack(call: Call, *layers: Layer | None) -> Call:
    """Return `call` within `layers`, the first of them outermost; None for one that is switched off.

    >>> def telling(name):
    ...     def layer(call):
    ...         def told(request):
    ...             print(name)
    ...             return call(request)
    ...         return told
    ...     return layer
    >>> steps = stack(lambda request: None, telling("retry"), None, telling("breaker"))("request")
    retry
    breaker
    """
    for layer in reversed(layers):
        if layer is not None:
            call = layer(_inner(call))
    return call


def _inner(call: Call) -> Call:
    def begin(request: StreamingStructuredRequest[Any]) -> Steps:
        return Inner(call(request))

    return begin


def asks(request: StreamingStructuredRequest[Any]) -> bool:
    """Whether a call of `request` sends anything: not where an answer that broke off lacks its brackets only.

    >>> from structstream.request import StreamingStructuredRequest
    >>> asks(StreamingStructuredRequest(response_model=int, model="openai/o3", prompt="Legs of a cat?"))
    True
    """
    return request.continuation is None or request.continuation.asks


def ended(kind: OutcomeKind, error: StructStreamError, *, attempt: int = 1) -> StreamingResponse[Any]:
    """Return a last step for a call that was not made, or whose answer nobody waits for any more."""
    outcome: Outcome[Any] = Outcome(kind, error=error)
    error.outcome = outcome
    return StreamingResponse(attempt=attempt, outcome=outcome)


async def arrives(waited: asyncio.Future[Any], pause: Pause, seconds: float) -> bool:  # Any: whatever it brings
    """Wait for `waited`, at most for `seconds`; return whether it came. It is not cancelled by the wait.

    Raises:
        StructStreamError: as `pause`.
    """
    if waited.done():
        return True
    pausing = asyncio.ensure_future(pause(seconds))
    try:
        await asyncio.wait({waited, pausing}, return_when=asyncio.FIRST_COMPLETED)
        if not waited.done():
            pausing.result()  # it is over, or raises what ended it
        return waited.done()
    finally:
        if not pausing.done():
            pausing.cancel()
            with suppress(asyncio.CancelledError):
                await pausing
        elif not pausing.cancelled():
            pausing.exception()  # looked at: an error that came at the same moment is nobody's any more
