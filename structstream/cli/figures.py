"""What the demo measures of a stream, and how it says so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from structstream import Outcome, StreamingMetrics, StreamingResponse

__all__ = ["Figures", "percentile", "seconds_shown"]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the sorted `values` lie (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


@dataclass(slots=True)
class Figures:
    """The measurements of one stream, taken by the one who reads it.

    `ask` is called before each step is waited for, `got` when it has come; the CPU time between the two is the reading
    thread's own, so that of the simulated provider, which has its own thread, and of the rendering do not count.
    """

    steps: int = 0
    deltas: int = 0
    first_partial: float | None = None
    cpu: list[float] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _asked: float = 0.0

    def ask(self) -> None:
        """Note that a step is waited for from now on."""
        self._asked = time.thread_time()

    def got(self, response: StreamingResponse[Any]) -> None:  # Any: of any response model
        """Note that a step has come."""
        self.cpu.append(time.thread_time() - self._asked)
        now = time.perf_counter()
        self.steps += 1
        self.deltas += len(response.raw_chunks)
        if self.first_partial is None and response.partial_result is not None:
            self.first_partial = now - self._began

    def lines(self, outcome: Outcome[Any]) -> list[tuple[str, str]]:  # Any: as above
        """Return what to say of the stream: names and values."""
        total = outcome.timings.total
        rows = [("outcome", outcome.kind.value)]
        if outcome.error is not None:
            rows.append(("why", str(outcome.error)))
        if self.first_partial is not None:
            rows.append(("time to first partial", seconds_shown(self.first_partial)))
        if total is not None:
            rows.append(("total time", seconds_shown(total)))
        if outcome.usage is not None:
            rows.append(("tokens", _tokens(outcome, total)))
        rows.append(("deltas", f"{self.deltas} in {self.steps} steps"))
        if outcome.error is not None:
            rows.append(("saved", f"{len(outcome.completed)} closed values, {len(outcome.raw_text)} characters"))
        return rows

    def performance(self, metrics: StreamingMetrics | None) -> list[tuple[str, str]]:
        """Return what the service measured, and the CPU time per step as measured here.

        Args:
            metrics: of the outcome; None where it has none.
        """
        rows = [] if metrics is None else list(_measured(metrics))
        if self.cpu:
            shown = ", ".join(f"{name} {percentile(self.cpu, at) * 1e6:.0f} µs" for name, at in _PERCENTILES)
            rows.append(("CPU per step", shown))
            rows.append(
                (
                    "CPU per delta",
                    f"{sum(self.cpu) / max(1, self.deltas) * 1e6:.0f} µs, connecting and imports included",
                )
            )
        return rows


def _measured(metrics: StreamingMetrics) -> Iterator[tuple[str, str]]:
    if metrics.time_to_first_token is not None:
        yield "time to first token", seconds_shown(metrics.time_to_first_token)
    rates = ((metrics.tokens_per_second, "tokens"), (metrics.characters_per_second, "characters"))
    known = [f"{rate:.0f} {what} a second" for rate, what in rates if rate is not None]
    if known:
        yield "rate", ", ".join(known)
    gaps = (("p50", metrics.gap_p50), ("p95", metrics.gap_p95), ("p99", metrics.gap_p99), ("max", metrics.gap_max))
    shown = ", ".join(f"{name} {gap * 1e3:.1f} ms" for name, gap in gaps if gap is not None)
    if shown:
        yield "gaps between steps", shown
    theirs, ours = seconds_shown(metrics.provider_wait), seconds_shown(metrics.consumer_wait)
    yield "waited", f"{theirs} for the provider, {ours} for us to ask"
    wasted = f", {metrics.wasted_tokens} tokens thrown away" if metrics.wasted_tokens else ""
    yield "attempts", f"{metrics.attempts}{wasted}"
    if metrics.cost is not None:
        yield "cost", f"{metrics.cost:.6f} US dollars"


_PERCENTILES = (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))


def seconds_shown(value: float) -> str:
    """Return a duration as a person reads it.

    >>> seconds_shown(0.0123), seconds_shown(2.5)
    ('12 ms', '2.50 s')
    """
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.2f} s"


def _tokens(outcome: Outcome[Any], total: float | None) -> str:
    usage = outcome.usage
    if usage is None:
        return "not reported"
    first = outcome.timings.first_byte or 0.0
    rate = f", {usage.output_tokens / (total - first):.0f} a second" if total is not None and total > first else ""
    return f"{usage.output_tokens} out, {usage.input_tokens} in{rate}"
