"""Bounds on what one stream may cost: bytes, tokens, seconds and money, over all its attempts.

`Spent` counts; `bounding` is the layer around it, and ends the call that passes a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from structstream.errors import BlockedError, BudgetExceededError, StreamTimeoutError
from structstream.response import Outcome, OutcomeKind, StreamingResponse, Usage

from . import ended
from .tally import CHARACTERS_PER_TOKEN, estimated

if TYPE_CHECKING:
    from structstream.errors import StructStreamError
    from structstream.policies import OutputBounds
    from structstream.request import StreamingStructuredRequest

    from . import Call, Layer, Steps

__all__ = ["CostOf", "Spent", "bounding"]

CostOf = Callable[["StreamingStructuredRequest[Any]", Usage], "float | None"]  # Any: of any response model
"""Tells what tokens cost at the model that is asked; None where no price is known."""

_MANY = 1_000_000  # tokens whose price is asked for: that of one may be rounded to nothing


class Spent:
    """What one stream has cost so far.

    Args:
        bounds: the settings.
        began: when the stream began, in seconds on the clock.

    >>> from structstream.policies import OutputBounds
    >>> spent = Spent(OutputBounds(max_bytes=5), began=0.0)
    >>> spent.add("äöü")
    0.75
    >>> spent.passed(now=1.0)
    ('max_bytes', 5, 6)
    """

    def __init__(self, bounds: OutputBounds, *, began: float) -> None:
        self._bounds = bounds
        self._began = began
        most = (bounds.max_bytes, bounds.max_tokens, bounds.max_seconds, bounds.max_cost)
        self._bytes, self._tokens, self._seconds, self._cost = (inf if each is None else each for each in most)
        self.bytes = 0
        self.tokens = 0.0
        self.cost = 0.0

    def add(self, text: str, price: float = 0.0) -> float:
        """Count text that came, of which a token costs `price`; return the tokens that it may be."""
        length = len(text)
        self.bytes += length if text.isascii() else len(text.encode("utf-8", "replace"))
        tokens = length / CHARACTERS_PER_TOKEN
        self.tokens += tokens
        self.cost += tokens * price
        return tokens

    def charge(self, tokens: float, price: float) -> None:
        """Count tokens, each of which costs `price`; fewer than none for what was counted too much."""
        self.tokens += tokens
        self.cost += tokens * price

    def passed(self, *, now: float) -> tuple[str, float, float] | None:
        """Return the first bound that is passed, its value, and what was found; None for none."""
        seconds = now - self._began
        within = self.bytes <= self._bytes and self.tokens <= self._tokens and seconds <= self._seconds
        if within and self.cost <= self._cost:
            return None  # as after nearly every event
        bounds = self._bounds
        for name, most, found in (
            ("max_bytes", bounds.max_bytes, self.bytes),
            ("max_tokens", bounds.max_tokens, self.tokens),
            ("max_seconds", bounds.max_seconds, seconds),
            ("max_cost", bounds.max_cost, self.cost),
        ):
            if most is not None and found > most:
                return name, most, found
        return None


def bounding(
    *,
    bounds: OutputBounds,
    spent: Spent,
    now: Callable[[], float],
    lost: Callable[[], Outcome[Any] | None],
    cost_of: CostOf | None = None,
) -> Layer:
    """Return the layer that ends the call which passes a bound; what had come is kept.

    It stands inside the attempts, where it sees all that comes, also what is not shown.

    Args:
        bounds: the settings.
        spent: what the stream has cost so far.
        now: the clock.
        lost: gives what the call that was closed last left behind.
        cost_of: the prices; needed for `max_cost` alone.
    """

    def layer(call: Call) -> Call:
        async def run(request: StreamingStructuredRequest[Any]) -> Steps:
            refusal, price = _priced(request, bounds, spent, cost_of)
            found = spent.passed(now=now())
            if refusal is None and found is not None:
                refusal = BudgetExceededError(found[0], configured=found[1], found=found[2])
            if refusal is not None:
                yield ended(OutcomeKind.BLOCKED, refusal)
                return
            counted = 0.0
            async with aclosing(call(request)) as steps:
                async for step in steps:
                    if step.outcome is None:
                        for text in step.raw_chunks:
                            counted += spent.add(text, price)
                        if (found := spent.passed(now=now())) is not None:
                            break
                        yield step
                        continue
                    if step.outcome.usage is not None and not step.outcome.usage.estimated:
                        spent.charge(step.outcome.usage.output_tokens - counted, price)
                    late = _late(step.outcome.error, request, bounds)
                    yield step if late is None else _cut(late, step.outcome, step)
            if found is not None:
                yield _cut(BudgetExceededError(found[0], configured=found[1], found=found[2]), lost(), step)

        return run

    return layer


def _late(
    error: StructStreamError | None, request: StreamingStructuredRequest[Any], bounds: OutputBounds
) -> BudgetExceededError | None:
    """Return what the total deadline means where it is the bound on seconds, which is held by it as well."""
    most, total = bounds.max_seconds, request.timeouts.total
    if most is None or (total is not None and total <= most):
        return None
    if not isinstance(error, StreamTimeoutError) or error.deadline != "total":
        return None
    return BudgetExceededError("max_seconds", configured=most, found=error.elapsed)


def _priced(
    request: StreamingStructuredRequest[Any], bounds: OutputBounds, spent: Spent, cost_of: CostOf | None
) -> tuple[BlockedError | None, float]:
    """Charge the prompt; return the price of a token of the answer, or why there is none."""
    if bounds.max_cost is None:
        return None, 0.0
    prompt = None if cost_of is None else cost_of(request, estimated(request, 0))
    many = None if cost_of is None else cost_of(request, Usage(0, _MANY))
    if prompt is None or many is None:
        reason = f"no price is known for {request.model!r}, so max_cost cannot be held; give one"
        return BlockedError("output bounds", reason), 0.0
    spent.cost += prompt
    return None, many / _MANY


def _cut(error: BudgetExceededError, left: Outcome[Any] | None, step: StreamingResponse[Any]) -> StreamingResponse[Any]:
    """Return the last step of a call that was ended: with what it left, but for the reason."""
    if left is None:
        return ended(OutcomeKind.BLOCKED, error, attempt=step.attempt)
    attempts = list(left.attempts)
    if attempts:
        attempts[-1] = replace(attempts[-1], kind=OutcomeKind.BLOCKED, reason=str(error))
    outcome = replace(left, kind=OutcomeKind.BLOCKED, result=None, error=error, attempts=tuple(attempts))
    error.outcome = outcome
    return StreamingResponse(attempt=step.attempt, outcome=outcome)
