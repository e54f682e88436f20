"""What the demo measures, in words."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from structstream import Outcome, OutcomeKind, StreamingResponse, Usage
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
    assert len(figures.gaps) == 2
    measured = dict(figures.performance())
    assert measured["gaps between steps"].startswith("p50 ")


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
    assert Figures().performance() == []
    rows = dict(Figures().lines(Outcome(OutcomeKind.COMPLETE, result=None, usage=usage)))
    assert "total time" not in rows
    assert ("tokens" in rows) is (usage is not None)
