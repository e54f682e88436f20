"""Gaps are counted in bounded memory, and their percentiles are near the true ones."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from structstream.metrics import Gaps, StreamingMetrics


def nearest(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]


@given(values=st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=60), percent=st.integers(1, 100))
def test_a_percentile_is_at_most_a_tenth_too_long(values: list[float], percent: int) -> None:
    gaps = Gaps()
    for value in values:
        gaps.add(value)
    found, true = gaps.percentile(percent), nearest(values, percent)
    assert found is not None
    assert true * (1 - 1e-9) <= found <= true * 1.1 + 1e-9
    assert (gaps.count, gaps.longest) == (len(values), max(values))
    assert gaps.total == pytest.approx(sum(values))


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-9, 1e6])
def test_a_gap_outside_the_buckets_is_counted(seconds: float) -> None:
    gaps = Gaps()
    gaps.add(seconds)
    assert gaps.percentile(50) == max(0.0, seconds)


def test_of_no_gaps_there_is_no_percentile() -> None:
    assert Gaps().percentile(50) is None


def test_memory_does_not_grow_with_the_stream() -> None:
    few, many = Gaps(), Gaps()
    few.add(0.1)
    for at in range(20_000):
        many.add(at / 1e3)
    assert len(few._buckets) == len(many._buckets)


def test_figures_of_nothing_make_nothing_up() -> None:
    metrics = StreamingMetrics()
    assert metrics.tokens_per_second is metrics.gap_p50 is metrics.cost is metrics.time_to_first_token is None
