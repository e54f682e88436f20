"""Prometheus: the metrics, and the observer that fills them.

The five ``STRUCTURED_LLM_STREAMING_…`` names and all others stand on the global registry, as is the custom; an observer
with a registry of its own fills metrics of the same names there. A label is a name of a model, a provider, a guardrail,
an outcome or a class of error, the first so many of each and then ``other``; no metric holds content.

In a process group of prometheus_client (``PROMETHEUS_MULTIPROC_DIR``) the gap between tokens is each process's own.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import sub
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from structstream.errors import ConfigurationError
from structstream.facts import (
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    FirstToken,
    Hedged,
    Judged,
    Replanned,
    Stepped,
    StepsJoined,
    StreamBegan,
    StreamEnded,
    Waited,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client import Metric

    from structstream.facts import Fact, StreamInfo
    from structstream.metrics import Prices
    from structstream.response import StreamingResponse

__all__ = [
    "STRUCTURED_LLM_STREAMING_CHUNKS",
    "STRUCTURED_LLM_STREAMING_ERRORS",
    "STRUCTURED_LLM_STREAMING_LATENCY",
    "STRUCTURED_LLM_STREAMING_PROGRESS",
    "STRUCTURED_LLM_STREAMING_REQUESTS",
    "BulkHistogram",
    "Instruments",
    "PrometheusObserver",
]

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_FIRST = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
_GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PERCENT = (0, 10, 25, 50, 75, 90, 99.9, 100)
_SCORES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
_RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_NOTED = 256  # times that are kept before they become numbers: at once that costs less than one by one
_STATES = {"closed": 0, "half_open": 1, "open": 2}
_PREFIX = "structured_llm_streaming_"


class BulkHistogram(Collector):
    """A histogram that takes what was counted elsewhere: one call for all the gaps of a stream.

    Args:
        name: of the metric.
        documentation: its help text.
        label: the name of its one label.
        bounds: the upper bounds of the buckets, inclusive; one more counts what lies above.
        registry: where it is exposed.
    """

    def __init__(
        self, name: str, documentation: str, label: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._bounds = (*map(str, bounds), "+Inf")
        self._lock = Lock()
        self._series: dict[str, tuple[list[int], float]] = {}
        registry.register(self)

    def add(self, value: str, counts: Sequence[int], total: float) -> None:
        """Add what was counted, by bucket, and its sum, to the series of one label value."""
        with self._lock:
            known, before = self._series.get(value, ([0] * len(self._bounds), 0.0))
            self._series[value] = [have + more for have, more in zip(known, counts, strict=True)], before + total

    def describe(self) -> Iterator[Metric]:
        """Yield the metric without its values."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=[self._label])

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        with self._lock:
            series = dict(self._series)
        for value, (counts, total) in series.items():
            sums = [sum(counts[: at + 1]) for at in range(len(counts))]
            family.add_metric([value], list(zip(self._bounds, sums, strict=True)), total)
        yield family


class Instruments:
    """All metrics of this library on one registry; each attribute is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(_PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(_PREFIX + name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(_PREFIX + name, text, labels, buckets=buckets, registry=registry)

        self.requests = counter("requests", "Streams that ended, by outcome", "model", "outcome")
        self.chunks = counter("chunks", "Deltas of JSON text that were handed over", "model")
        self.latency = histogram("latency_seconds", "From the first step asked for to the end", _SECONDS, "model")
        self.progress = histogram("progress_percent", "How far streams had come when they ended", _PERCENT, "model")
        self.errors = counter("errors", "Streams that failed, by class of error", "model", "error")
        self.active = gauge("active_streams", "Streams that are under way")
        self.partials = histogram("partials_per_second", "Steps a second of a stream", _RATES, "model")
        self.waited = counter("wait_seconds", "Of streams: for the consumer, or for the provider", "model", "for")
        self.joined = counter("joined_steps", "Steps that the consumer got within later ones", "model")
        self.quality = histogram(
            "quality_score", "The caller's own scores of finished streams", _SCORES, "model", "score"
        )
        self.wasted = counter("wasted_tokens", "Output tokens of attempts that were thrown away", "model")
        self.gaps = BulkHistogram(
            f"{_PREFIX}token_gap_seconds", "Between two steps, as the caller got them", "model", _GAPS, registry
        )
        called = ("provider", "model")
        self.attempts = counter("attempts", "Calls to providers, by how they ended", *called, "outcome")
        self.first = histogram("time_to_first_token_seconds", "Of a call to a provider", _FIRST, *called)
        self.tokens = counter(
            "tokens", "As providers reported; cached_input is part of input, reasoning of output", *called, "kind"
        )
        self.cost = counter("cost", "What calls cost, in the unit of the prices", *called)
        self.replans = counter("replans", "Further attempts, by how they went on and why", "plan", "error")
        self.breaker = gauge("breaker_state", "0 closed, 1 half open, 2 open", *called)
        self.concurrency = gauge("concurrency_limit", "Calls to a provider that may be under way at once", "provider")
        self.waits = histogram("limit_wait_seconds", "Calls that were held back", _SECONDS, "limit", "provider")
        self.refusals = counter("limit_refusals", "Calls that a limit refused", "limit", "provider")
        self.verdicts = counter("guardrail_verdicts", "What guardrails said", "guardrail", "action")
        self.cache = counter("cache_lookups", "Times the cache was asked", "hit")
        self.hedges = counter("hedges", "Second requests, by which one spoke first", "won")
        self.callbacks = counter("callback_failures", "Callbacks of the caller that raised", "error")


_GLOBAL: Final = Instruments(REGISTRY)

STRUCTURED_LLM_STREAMING_REQUESTS: Final = _GLOBAL.requests
"""``structured_llm_streaming_requests_total``: streams that ended, by model and outcome."""
STRUCTURED_LLM_STREAMING_CHUNKS: Final = _GLOBAL.chunks
"""``structured_llm_streaming_chunks_total``: deltas of JSON text, by model."""
STRUCTURED_LLM_STREAMING_LATENCY: Final = _GLOBAL.latency
"""``structured_llm_streaming_latency_seconds``: how long streams took, by model."""
STRUCTURED_LLM_STREAMING_PROGRESS: Final = _GLOBAL.progress
"""``structured_llm_streaming_progress_percent``: how far streams had come when they ended, by model."""
STRUCTURED_LLM_STREAMING_ERRORS: Final = _GLOBAL.errors
"""``structured_llm_streaming_errors_total``: streams that failed, by model and class of error."""


class _Names:
    """The first so many distinct names; ``other`` for the rest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = Lock()

    def __call__(self, name: str) -> str:
        if name in self._known:
            return name
        with self._lock:
            if len(self._known) >= self._most:
                return "other"
            self._known.add(name)
        return name


class _Open:
    """What is noted of a stream that is under way; it becomes numbers when it is flushed."""

    __slots__ = ("chunks", "response", "steps", "times")

    def __init__(self) -> None:
        self.chunks = 0
        self.steps = 0
        """Those that were flushed."""
        self.times: list[float] = []
        self.response: StreamingResponse[Any] | None = None

    def gaps(self) -> tuple[list[int], float]:
        """Return the gaps between the times, by bucket, and their sum; the last time is where the next gap begins."""
        times = self.times
        gaps = sorted(map(sub, times[1:], times))
        below = [0, *(bisect_right(gaps, bound) for bound in _GAPS), len(gaps)]
        counts = [more - less for less, more in pairwise(below)]
        self.steps += max(0, len(times) - 1)
        self.times = times[-1:]
        return counts, times[-1] - times[0] if times else 0.0


class PrometheusObserver:
    """Fills the metrics from the facts of all streams of the services that it is given to.

    Args:
        registry: where the metrics stand; None for the global one, on which they stand already. A registry can be given
            to one observer only.
        prices: what tokens cost; None leaves ``structured_llm_streaming_cost_total`` empty.
        max_names: how many distinct values a label may have before further ones become ``other``.

    Raises:
        ConfigurationError: `max_names` is below 1.

    >>> from prometheus_client import CollectorRegistry
    >>> observer = PrometheusObserver(CollectorRegistry())
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, prices: Prices | None = None, max_names: int = 100
    ) -> None:
        if max_names < 1:
            raise ConfigurationError(f"max_names must be at least 1, not {max_names}")
        self._made = _GLOBAL if registry is None else Instruments(registry)
        self._prices = prices
        self._open: dict[int, _Open] = {}
        self._model, self._called, self._provider, self._error, self._guardrail, self._score = (
            _Names(max_names) for _ in range(6)
        )
        self._hears: dict[type[Any], Callable[[StreamInfo, Any], None]] = {  # Any: each its own fact
            StreamBegan: self._begin,
            FirstToken: self._first_token,
            AttemptEnded: self._attempt,
            StreamEnded: self._end,
            Replanned: self._replan,
            BreakerChanged: self._breaker,
            ConcurrencyChanged: self._concurrency,
            Waited: self._wait,
            Judged: self._verdict,
            CacheLooked: lambda info, fact: self._made.cache.labels(str(fact.hit).lower()).inc(),
            Hedged: lambda info, fact: self._made.hedges.labels(fact.won).inc(),
            StepsJoined: lambda info, fact: self._made.joined.labels(self._model(info.model)).inc(fact.steps),
            CallbackFailed: lambda info, fact: self._made.callbacks.labels(self._error(fact.error)).inc(),
        }

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if type(fact) is Stepped:
            seen = self._open.get(info.id)
            if seen is None:
                return
            response, at = fact
            seen.response = response
            seen.chunks += len(response.raw_chunks)
            times = seen.times
            times.append(at)
            if len(times) > _NOTED:
                self._flush(self._model(info.model), seen)
        elif (hears := self._hears.get(type(fact))) is not None:
            hears(info, fact)

    def _begin(self, info: StreamInfo, fact: StreamBegan) -> None:
        self._open[info.id] = _Open()
        self._made.active.inc()

    def _end(self, info: StreamInfo, fact: StreamEnded) -> None:
        seen = self._open.pop(info.id, None)
        if seen is None:
            return
        made, model, outcome = self._made, self._model(info.model), fact.outcome
        self._flush(model, seen)
        made.active.dec()
        made.requests.labels(model, outcome.kind.value).inc()
        made.latency.labels(model).observe(fact.seconds)
        made.progress.labels(model).observe(0.0 if seen.response is None else seen.response.progress_percent)
        if fact.seconds > 0:
            made.partials.labels(model).observe((seen.steps + len(seen.times)) / fact.seconds)
        made.waited.labels(model, "consumer").inc(fact.consumer)
        made.waited.labels(model, "provider").inc(max(0.0, fact.seconds - fact.consumer))
        for name, score in (outcome.metrics.quality if outcome.metrics is not None else {}).items():
            made.quality.labels(model, self._score(name)).observe(score)
        if outcome.error is not None:
            made.errors.labels(model, self._error(type(outcome.error).__name__)).inc()
        if outcome.wasted_tokens:
            made.wasted.labels(model).inc(outcome.wasted_tokens)

    def _flush(self, model: str, seen: _Open) -> None:
        if seen.chunks:
            self._made.chunks.labels(model).inc(seen.chunks)
            seen.chunks = 0
        if len(seen.times) > 1:
            self._made.gaps.add(model, *seen.gaps())

    def _attempt(self, info: StreamInfo, fact: AttemptEnded) -> None:
        seen = self._open.get(info.id)
        if seen is not None:
            self._flush(self._model(info.model), seen)
        attempt, made = fact.attempt, self._made
        called = self._call_of(attempt.provider, attempt.model)
        made.attempts.labels(*called, attempt.kind.value).inc()
        usage = attempt.usage
        if usage is None:
            return
        made.tokens.labels(*called, "input").inc(usage.input_tokens)
        made.tokens.labels(*called, "output").inc(usage.output_tokens)
        made.tokens.labels(*called, "cached_input").inc(usage.cached_input_tokens)
        made.tokens.labels(*called, "reasoning").inc(usage.reasoning_tokens)
        cost = None if self._prices is None else self._prices(attempt.provider, attempt.model, usage)
        if cost is not None:
            made.cost.labels(*called).inc(cost)

    def _call_of(self, provider: str, model: str) -> tuple[str, str]:
        return self._provider(provider), self._called(model)

    def _first_token(self, info: StreamInfo, fact: FirstToken) -> None:
        self._made.first.labels(*self._call_of(fact.provider, fact.model)).observe(fact.seconds)

    def _replan(self, info: StreamInfo, fact: Replanned) -> None:
        self._made.replans.labels(fact.plan, self._error(fact.error)).inc()

    def _breaker(self, info: StreamInfo, fact: BreakerChanged) -> None:
        self._made.breaker.labels(*self._call_of(fact.provider, fact.model)).set(_STATES[fact.after])

    def _concurrency(self, info: StreamInfo, fact: ConcurrencyChanged) -> None:
        self._made.concurrency.labels(self._provider(fact.provider)).set(fact.limit)

    def _wait(self, info: StreamInfo, fact: Waited) -> None:
        provider = self._provider(fact.provider)
        if fact.refused:
            self._made.refusals.labels(fact.limit, provider).inc()
        else:
            self._made.waits.labels(fact.limit, provider).observe(fact.seconds)

    def _verdict(self, info: StreamInfo, fact: Judged) -> None:
        self._made.verdicts.labels(self._guardrail(fact.guardrail), fact.action).inc()
