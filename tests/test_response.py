"""Responses and outcomes: one honest last step."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from structstream.errors import IncompleteError, InvalidOutputError, TruncatedError
from structstream.parse import parse_stream
from structstream.response import Outcome, OutcomeKind, StreamingResponse, Usage


def test_before_the_end_there_is_a_snapshot_and_no_result() -> None:
    step = next(iter(parse_stream(["[1, 2"], list[int])))
    assert step.partial_result == [1]
    assert (step.is_complete, step.error, step.outcome) == (False, None, None)
    with pytest.raises(RuntimeError, match="has not ended yet"):
        _ = step.result


def test_the_last_step_of_a_good_stream_is_the_object() -> None:
    last = list(parse_stream(["[1, 2]"], list[int]))[-1]
    assert (last.is_complete, last.error, last.partial_result, last.result) == (True, None, [1, 2], [1, 2])
    assert last.progress_percent == 100.0


def test_the_last_step_of_a_failed_stream_hands_over_nothing_half() -> None:
    last = list(parse_stream(["[1, 2"], list[int]))[-1]
    assert last.outcome is not None
    assert (last.is_complete, last.partial_result) == (True, None)
    assert last.error is not None
    assert last.outcome.last_partial == [1]
    assert last.progress_percent < 100
    with pytest.raises(IncompleteError):
        _ = last.result


def test_an_outcome_unwraps_to_its_result_or_raises_its_error() -> None:
    assert Outcome(OutcomeKind.COMPLETE, result=None).unwrap() is None
    with pytest.raises(TruncatedError):
        Outcome[int](OutcomeKind.TRUNCATED, error=TruncatedError("cut")).unwrap()


def test_an_empty_response_shows_nothing() -> None:
    step: StreamingResponse[int] = StreamingResponse()
    assert (step.partial_result, step.progress_percent, step.changed, step.completed) == (None, 0.0, (), ())


def test_usage_adds_up_and_an_estimate_stays_one() -> None:
    total = Usage(3, 4, cached_input_tokens=1) + Usage(1, 1, reasoning_tokens=1, estimated=True)
    assert total == Usage(4, 5, 1, 1, estimated=True)
    assert total.total_tokens == 9


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_steps_and_outcomes_can_be_copied_and_sent_to_another_process(copied: Callable[[Any], Any]) -> None:
    *steps, last = parse_stream(['{"a": [1', ", 2", ', "x"]}'], dict[str, list[int]])
    for step in steps:
        again = copied(step)
        told = (again.partial_result, again.changed, again.completed, again.raw_chunks, again.progress_percent)
        assert told == (step.partial_result, step.changed, step.completed, step.raw_chunks, step.progress_percent)
        assert (again.coalesced, again.begins, again.is_complete) == (1, None, False)
    outcome = copied(last).outcome
    assert last.outcome is not None
    assert (outcome.kind, outcome.last_partial, outcome.completed) == (
        last.outcome.kind,
        last.outcome.last_partial,
        ["a[0]", "a[1]"],
    )
    assert isinstance(outcome.error, InvalidOutputError)
    assert (str(outcome.error), outcome.error.path) == (last.error, "a[2]")
