"""The figures of one stream, as a fold over its facts."""

from __future__ import annotations

from operator import sub
from typing import TYPE_CHECKING, Any

from structstream.facts import AttemptBegan, CallbackFailed, FirstToken, Stepped, StepsJoined, StreamBegan
from structstream.metrics import Gaps, StreamingMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structstream.facts import Fact, StreamInfo, Tell
    from structstream.metrics import Prices, QualityScore
    from structstream.response import Outcome

__all__ = ["Meter", "total_cost"]


_NOTED = 256  # times that are kept before their gaps are counted: at once that costs less than one by one


class Meter:
    """An observer of one stream that can be asked what it came to.

    Args:
        prices: what tokens cost; None for no cost.
        quality: scores of the finished stream, by name; one that raises is told as `CallbackFailed` and left out.
    """

    def __init__(self, prices: Prices | None = None, quality: Mapping[str, QualityScore] | None = None) -> None:
        self._prices = prices
        self._quality = quality or {}
        self._began: float | None = None
        self._asked = 0.0
        self._first: float | None = None
        self._times: list[float] = []
        self._gaps = Gaps()
        self._steps = self._joined = self._deltas = self._characters = 0

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if type(fact) is Stepped:
            self._step(fact)
        elif type(fact) is StreamBegan:
            self._began = fact.at
        elif type(fact) is AttemptBegan:
            self._asked = fact.at
        elif type(fact) is FirstToken and self._first is None:
            self._first = self._asked + fact.seconds

        elif type(fact) is StepsJoined:
            self._joined += fact.steps

    def _step(self, fact: Stepped) -> None:
        response, at = fact
        chunks = response.raw_chunks
        self._deltas += len(chunks)
        for text in chunks:
            self._characters += len(text)
        times = self._times
        times.append(at)
        if len(times) > _NOTED:
            self._count()

    def _count(self) -> None:
        """Count the gaps between the times that were noted; the last one is where the next gap begins."""
        times = self._times
        self._gaps.add(*map(sub, times[1:], times))
        self._steps += max(0, len(times) - 1)
        self._times = times[-1:]

    def measured(
        self, outcome: Outcome[Any], at: float, tell: Tell | None = None, *, held: float = 0.0
    ) -> StreamingMetrics:
        """Return the figures of the stream that ended in `outcome`.

        Args:
            outcome: how it ended.
            at: when, in seconds on the service's clock.
            tell: hears of scores that raise; None for nobody.
            held: seconds of the stream in which the caller had not asked for the next step.
        """
        self._count()
        began = at if self._began is None else self._began
        first = self._first
        span = 0.0 if first is None else at - first
        usage, gaps = outcome.usage, self._gaps
        return StreamingMetrics(
            duration=at - began,
            consumer_wait=held,
            provider_wait=max(0.0, at - began - held),
            time_to_first_token=None if first is None else first - began,
            steps=self._steps + len(self._times),
            joined_steps=self._joined,
            deltas=self._deltas,
            characters=self._characters,
            usage=usage,
            tokens_per_second=usage.output_tokens / span if usage is not None and span > 0 else None,
            characters_per_second=self._characters / span if span > 0 else None,
            gap_p50=gaps.percentile(50),
            gap_p95=gaps.percentile(95),
            gap_p99=gaps.percentile(99),
            gap_max=gaps.longest if gaps.count else None,
            attempts=len(outcome.attempts),
            wasted_tokens=outcome.wasted_tokens,
            cost=None if self._prices is None else total_cost(outcome, self._prices),
            quality=self._scores(outcome, tell),
        )

    def _scores(self, outcome: Outcome[Any], tell: Tell | None) -> dict[str, float]:
        scores = {}
        for name, score in self._quality.items():
            try:
                scores[name] = float(score(outcome))
            except Exception as error:  # noqa: BLE001  # a score is the caller's: whatever it raises, the stream ends well
                if tell is not None:
                    tell(CallbackFailed(f"quality {name}", type(error).__name__))
        return scores


def total_cost(outcome: Outcome[Any], prices: Prices) -> float | None:
    """Return what all attempts cost together; None where one that used tokens has no known price, or none reported any.

    >>> from structstream.response import Attempt, Outcome, OutcomeKind, Usage
    >>> called = Attempt(1, "openai", "gpt-4o", "native", OutcomeKind.COMPLETE, usage=Usage(10, 5))
    >>> total_cost(Outcome(OutcomeKind.COMPLETE, attempts=[called]), lambda provider, model, usage: usage.total_tokens)
    15.0
    """
    found = [
        prices(attempt.provider, attempt.model, attempt.usage)
        for attempt in outcome.attempts
        if attempt.usage is not None
    ]
    known = [float(amount) for amount in found if amount is not None]
    return sum(known) if known and len(known) == len(found) else None
