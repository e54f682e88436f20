"""Figures of one stream, what `Outcome.metrics` holds with its gaps summed up in bounded memory; and of a cache."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .response import Outcome, Usage

__all__ = ["CacheStatistics", "Gaps", "Prices", "QualityScore", "StreamingMetrics"]

Prices = Callable[[str, str, "Usage"], float | None]
"""What tokens cost: from provider, model and usage to an amount, in a unit of the caller's choice; None for unknown."""

QualityScore = Callable[["Outcome[Any]"], float]
"""A caller's own score of a finished stream."""

_LEAST, _GROWTH, _MOST = 1e-5, 1.1, 1e4  # seconds: a percentile is at most a tenth off


def _bounds() -> tuple[float, ...]:
    bounds = [_LEAST]
    while bounds[-1] < _MOST:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


_BOUNDS = _bounds()


class Gaps:
    """The seconds between steps, counted into buckets that grow by a tenth: bounded, however long the stream.

    >>> gaps = Gaps()
    >>> for seconds in (0.1, 0.1, 0.1, 2.0):
    ...     gaps.add(seconds)
    >>> gaps.count, round(gaps.percentile(50), 2), gaps.percentile(99)
    (4, 0.1, 2.0)
    """

    __slots__ = ("_buckets", "count", "longest", "total")

    def __init__(self) -> None:
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, *seconds: float) -> None:
        """Count gaps."""
        buckets = self._buckets
        for gap in seconds:
            buckets[bisect_left(_BOUNDS, gap)] += 1
        self.count += len(seconds)
        self.total += sum(seconds)
        self.longest = max((self.longest, *seconds))

    def percentile(self, percent: float) -> float | None:
        """Return the gap that `percent` of all do not pass (nearest rank), at most a tenth too long; None for none."""
        if not self.count:
            return None
        rank, seen = max(1, -(-self.count * percent // 100)), 0
        for bound, many in zip((*_BOUNDS, self.longest), self._buckets, strict=True):
            seen += many
            if seen >= rank:
                return min(bound, self.longest)
        return self.longest


@dataclass(frozen=True, slots=True)
class StreamingMetrics:
    """What one stream came to, over all its attempts.

    Times are in seconds on the service's clock, as the caller got the steps: what the caller did between two steps is
    part of the gap. Rates count from the first byte of an answer to the end; None where that took no time.

    Args:
        duration: from the first step asked for to the end.
        consumer_wait: the part of it in which the caller held on to a step before he asked for the next one, his
            callbacks included: a slow consumer.
        provider_wait: the rest: he waited for the provider, for limits and pauses, and for us.
        time_to_first_token: until the first bytes of an answer; None where none came.
        steps: handed to the caller.
        joined_steps: those that were not handed over by themselves but within a later one, as the caller was slow or
            wanted fewer.
        deltas: pieces of JSON text in them.
        characters: in those pieces.
        usage: tokens of all attempts, in, out, cached and reasoning; None where none was reported.
        tokens_per_second: output tokens that were reported, by time.
        characters_per_second: characters by time.
        gap_p50: the middle gap between two steps; None where there were none. Percentiles are at most a tenth too long.
        gap_p95: the gap that 95 of 100 do not pass.
        gap_p99: the gap that 99 of 100 do not pass.
        gap_max: the longest.
        attempts: calls that were made.
        wasted_tokens: output tokens of attempts that were thrown away.
        cost: of all attempts, in the unit of the prices; None without prices, or where one attempt's price is unknown.
        quality: the caller's own scores, by name.
    """

    duration: float = 0.0
    consumer_wait: float = 0.0
    provider_wait: float = 0.0
    time_to_first_token: float | None = None
    steps: int = 0
    joined_steps: int = 0
    deltas: int = 0
    characters: int = 0
    usage: Usage | None = None
    tokens_per_second: float | None = None
    characters_per_second: float | None = None
    gap_p50: float | None = None
    gap_p95: float | None = None
    gap_p99: float | None = None
    gap_max: float | None = None
    attempts: int = 0
    wasted_tokens: int = 0
    cost: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache holds, and what it was good for since it was opened.

    Args:
        rows: answers in the file.
        bytes: the size of their texts in UTF-8.
        hits: looks that found an answer.
        misses: looks that found none.
        stored: answers that were kept.
        evicted: answers that made room for others, or whose time was over.
        failures: looks and writes that the file refused.
    """

    rows: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    stored: int = 0
    evicted: int = 0
    failures: int = 0
