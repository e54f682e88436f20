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

from . import Rest, ended, flowing
from .tally import CHARACTERS_PER_TOKEN, estimated

if TYPE_CHECKING:
    from structstream.errors import StructStreamError
    from structstream.policies import OutputBounds
    from structstream.request import StreamingStructuredRequest

    from . import Call, Layer, Parts

__all__ = ["CostOf", "Spent", "bounding"]

CostOf = Callable[["StreamingStructuredRequest[Any]", Usage], "float | None"]  # Any: of any response model
"""Tells what tokens cost at the model that is asked; None where no price is known."""

_MANY = 1_000_000  # tokens whose price is asked for: that of one may be rounded to nothing


class Spent:
    """What one stream has cost so far.

    Args:
        bounds: the settings.

    >>> from structstream.policies import OutputBounds
    >>> spent = Spent(OutputBounds(max_bytes=5))
    >>> spent.begin(0.0)
    >>> spent.charge(0.75, price=0.0, size=6)
    >>> spent.passed(now=1.0)
    ('max_bytes', 5, 6)
    """

    def __init__(self, bounds: OutputBounds) -> None:
        self._bounds = bounds
        self._began = inf
        self.until = inf
        """When the seconds are over."""
        self.bytes = 0
        self.tokens = 0.0
        self.cost = 0.0

    def begin(self, now: float) -> None:
        """Note that a call begins: the seconds count from the first one."""
        if self._began == inf:
            self._began = now
            self.until = inf if self._bounds.max_seconds is None else now + self._bounds.max_seconds

    def charge(self, tokens: float, price: float, *, size: int = 0) -> None:
        """Count tokens, each of which costs `price`, and their bytes; fewer than none for what was counted too much."""
        self.bytes += size
        self.tokens += tokens
        self.cost += tokens * price

    def room(self, price: float) -> float:
        """Return how many bytes of text may come before a bound of these can be passed: a character has one or more."""
        bounds = self._bounds
        return min(
            inf if bounds.max_bytes is None else bounds.max_bytes - self.bytes,
            inf if bounds.max_tokens is None else (bounds.max_tokens - self.tokens) * CHARACTERS_PER_TOKEN,
            inf
            if bounds.max_cost is None or not price
            else (bounds.max_cost - self.cost) / price * CHARACTERS_PER_TOKEN,
        )

    def passed(self, *, now: float) -> tuple[str, float, float] | None:
        """Return the first bound that is passed, its value, and what was found; None for none."""
        bounds = self._bounds
        for name, most, found in (
            ("max_bytes", bounds.max_bytes, self.bytes),
            ("max_tokens", bounds.max_tokens, self.tokens),
            ("max_seconds", bounds.max_seconds, now - self._began),
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
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            spent.begin(now())
            refusal, price = _priced(request, bounds, spent, cost_of)
            found = spent.passed(now=now())
            if refusal is None and found is not None:
                refusal = BudgetExceededError(found[0], configured=found[1], found=found[2])
            if refusal is not None:
                yield ended(OutcomeKind.BLOCKED, refusal)
                return
            counting = _Counting(spent, price, now)
            try:
                async with aclosing(call(request)) as steps:
                    last = yield Rest(steps, each=counting.hear)
                    counting.charge()
                    if last.outcome is not None:
                        if last.outcome.usage is not None and not last.outcome.usage.estimated:
                            spent.charge(last.outcome.usage.output_tokens - counting.tokens, price)
                        late = _late(last.outcome.error, request, bounds)
                        yield last if late is None else _cut(late, last.outcome, last)
                if (found := counting.passed) is not None:
                    yield _cut(BudgetExceededError(found[0], configured=found[1], found=found[2]), lost(), last)
            finally:
                counting.charge()

        return run

    return layer


class _Counting:
    """Counts each step of a call, and ends the call at the one that passes a bound.

    It is asked at every step. So it counts bytes, and looks at the bounds only where one may be passed.

    Args:
        spent: what the stream has cost so far.
        price: of a token.
        now: the clock.
    """

    __slots__ = ("_more", "_now", "_price", "_room", "_size", "_spent", "_until", "passed", "tokens")

    def __init__(self, spent: Spent, price: float, now: Callable[[], float]) -> None:
        self._spent = spent
        self._price = price
        self._now = now
        self._size = 0  # bytes that came and are not charged
        self._more = 0  # by how many these are more than their characters
        self._room = -1.0  # looked at with the first step: an equal call may be charged before, which a hedge has sent
        self._until = spent.until
        self.tokens = 0.0
        """Those that were charged for this call, as its characters tell."""
        self.passed: tuple[str, float, float] | None = None
        """The bound that was passed; see `Spent.passed`."""

    def hear(self, step: StreamingResponse[Any]) -> bool:
        """Count a step; return whether that passes a bound."""
        size = self._size
        for text in step.raw_chunks:
            if text.isascii():
                size += len(text)
            else:
                wide = len(text.encode("utf-8", "replace"))
                size += wide
                self._more += wide - len(text)
        self._size = size
        if size <= self._room and self._now() <= self._until:
            return False  # as after nearly every step
        self.charge()
        self.passed = self._spent.passed(now=self._now())
        return self.passed is not None

    def charge(self) -> None:
        """Charge the stream with what came since the last time."""
        tokens = (self._size - self._more) / CHARACTERS_PER_TOKEN
        self._spent.charge(tokens, self._price, size=self._size)
        self.tokens += tokens
        self._size = self._more = 0
        self._room = self._spent.room(self._price)


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
