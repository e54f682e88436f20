"""What the demo measures, in words."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from structstream import Outcome, OutcomeKind, StreamingMetrics, StreamingResponse, Usage
from structstream.cli.figures import Figures, percentile
from structstream.errors import TruncatedError
from structstream.response import Timings


@given(values=st.lists(st.floats(0, 1e6), min_size=1), percent=st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_pass(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_a_complete_stream() -> None:
    figures = Figures()
    for response in (
        StreamingResponse[int](raw_chunks=["{"]),
        StreamingResponse[int](raw_chunks=["1", "2"]),
        StreamingResponse[int](outcome=Outcome(OutcomeKind.COMPLETE, result=12)),
    ):
        figures.ask()
        figures.got(response)
    timings = Timings(first_byte=0.5, first_partial=0.75, total=2.5)
    rows = dict(figures.lines(Outcome(OutcomeKind.COMPLETE, result=12, usage=Usage(7, 100), timings=timings)))
    assert rows["outcome"] == "complete"
    assert rows["tokens"] == "100 out, 7 in, 50 a second"
    assert rows["deltas"] == "3 in 3 steps"
    assert rows["total time"] == "2.50 s"
    assert "why" not in rows
    assert figures.first_partial is not None
    assert [name for name, _ in figures.performance(None)] == ["CPU per step", "CPU per delta"]


MEASURED = [
    ("time to first token", "200 ms"),
    ("rate", "50 tokens a second, 210 characters a second"),
    ("gaps between steps", "p50 10.0 ms, p95 20.0 ms, p99 30.0 ms, max 40.0 ms"),
    ("waited", "1.50 s for the provider, 250 ms for us to ask"),
    ("attempts", "2, 7 tokens thrown away"),
    ("cost", "0.000410 US dollars"),
]


def test_what_the_service_measured_is_said_in_words() -> None:
    metrics = StreamingMetrics(
        consumer_wait=0.25,
        provider_wait=1.5,
        time_to_first_token=0.2,
        tokens_per_second=50.0,
        characters_per_second=210.0,
        attempts=2,
        wasted_tokens=7,
        cost=0.00041,
        gap_p50=0.01,
        gap_p95=0.02,
        gap_p99=0.03,
        gap_max=0.04,
    )
    assert Figures().performance(metrics) == MEASURED


def test_a_failed_stream_says_why_and_what_was_saved() -> None:
    outcome: Outcome[int] = Outcome(
        OutcomeKind.TRUNCATED, error=TruncatedError("too long"), completed=["a", "b"], raw_text="12345"
    )
    rows = dict(Figures().lines(outcome))
    assert rows["why"] == "too long"
    assert rows["saved"] == "2 closed values, 5 characters"
    assert "time to first partial" not in rows


@pytest.mark.parametrize("usage", [None, Usage(1, 0)])
def test_without_steps_nothing_is_made_up(usage: Usage | None) -> None:
    assert Figures().performance(None) == []
    assert Figures().performance(StreamingMetrics()) == [
        ("waited", "0 ms for the provider, 0 ms for us to ask"),
        ("attempts", "0"),
    ]
    rows = dict(Figures().lines(Outcome(OutcomeKind.COMPLETE, result=None, usage=usage)))
    assert "total time" not in rows
    assert ("tokens" in rows) is (usage is not None)
