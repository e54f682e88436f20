"""Policies around the call: what every one of them is, and how they are stacked.

A policy is a pure decision (time is an argument) and a few lines of async around it, in a file of its own. It takes a
call and returns one, so any of them can be left out, and their order is one expression in the service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from structstream.response import Outcome, StreamingResponse

if TYPE_CHECKING:
    from structstream.errors import StructStreamError
    from structstream.request import StreamingStructuredRequest
    from structstream.response import OutcomeKind

__all__ = ["Call", "Layer", "Pause", "Steps", "ended", "stack"]

Steps = AsyncGenerator[StreamingResponse[Any], None]  # Any: of any response model

Call = Callable[["StreamingStructuredRequest[Any]"], Steps]  # Any: of any response model
"""Makes one call and yields its steps, the last one with the outcome.

A failure is a last step with its outcome, and not raised; what is raised is a cancellation, a caller who left
(GeneratorExit), or a fault of ours. Whoever iterates closes it: use `contextlib.aclosing`.
"""

Layer = Callable[[Call], Call]
"""A policy: takes a call, returns the call with the policy around it."""

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds on the service's clock.

Raises:
    StreamCancelledError: the caller left meanwhile.
    StreamTimeoutError: the total deadline of the stream passed, or would pass before.
"""


def stack(call: Call, *layers: Layer | None) -> Call:
    """Return `call` within `layers`, the first of them outermost; None for one that is switched off.

    >>> stack("call", lambda inner: f"retry({inner})", None, lambda inner: f"breaker({inner})")
    'retry(breaker(call))'
    """
    for layer in reversed(layers):
        if layer is not None:
            call = layer(call)
    return call


def ended(kind: OutcomeKind, error: StructStreamError, *, attempt: int = 1) -> StreamingResponse[Any]:
    """Return a last step for a call that was not made, or whose answer nobody waits for any more."""
    outcome: Outcome[Any] = Outcome(kind, error=error)
    error.outcome = outcome
    return StreamingResponse(attempt=attempt, outcome=outcome)
