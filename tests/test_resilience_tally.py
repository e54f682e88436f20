"""The books of a stream: each attempt once, all tokens, what was wasted, the best that was saved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from structstream.errors import BlockedError, IncompleteError, ServerError
from structstream.resilience.tally import Tally, estimated
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage
from tests.policy import REQUEST


def an_attempt(number: int, usage: Usage | None = None) -> Attempt:
    return Attempt(number, "fake", "large", "native", OutcomeKind.INCOMPLETE, usage=usage)


def an_outcome(text: str, *attempts: Attempt, completed: tuple[str, ...] = ()) -> Outcome[object]:
    return Outcome(
        OutcomeKind.INCOMPLETE,
        error=IncompleteError("ended"),
        raw_text=text,
        completed=completed,
        last_partial=text,
        attempts=attempts,
    )


def test_an_attempt_is_written_down_once_however_often_it_is_told() -> None:
    tally, first = Tally(), an_attempt(1, Usage(3, 2))
    tally.note(REQUEST, an_outcome("[1", first))
    tally.note(REQUEST, an_outcome("", first, an_attempt(2, Usage(3, 1))))
    outcome = tally.total(an_outcome(""))
    assert [attempt.number for attempt in outcome.attempts] == [1, 2]
    assert outcome.usage == Usage(6, 3)


def test_what_a_resumed_attempt_was_given_is_not_its_own_cost() -> None:
    tally = Tally()
    tally.note(REQUEST, an_outcome("x" * 100, an_attempt(1)))
    tally.carry_on(an_outcome("x" * 100))
    tally.note(REQUEST, an_outcome("x" * 108, an_attempt(2)))
    assert [attempt.usage and attempt.usage.output_tokens for attempt in tally.attempts] == [25, 2]
    assert tally.total(an_outcome("x" * 108)).wasted_tokens == 0


def test_a_call_that_brought_nothing_is_not_estimated() -> None:
    tally = Tally()
    tally.note(REQUEST, an_outcome("", an_attempt(1)))
    assert tally.usage is None
    assert tally.total(an_outcome("")).usage is None


def test_an_estimate_counts_text_and_the_text_of_parts() -> None:
    parts = [{"type": "text", "text": "x" * 40}, {"type": "image", "data": "y" * 4000}]
    request = replace(REQUEST, prompt=None, messages=[{"role": "user", "content": parts}])
    assert estimated(request, 0) == Usage(10, 0, estimated=True)


def test_more_closed_paths_are_more_than_more_text() -> None:
    tally = Tally()
    tally.note(REQUEST, an_outcome("[1, 2", an_attempt(1), completed=("[0]",)))
    tally.start_over()
    tally.note(REQUEST, an_outcome('["a very long text', an_attempt(2)))
    assert tally.total(an_outcome("")).raw_text == "[1, 2"


def test_nothing_older_is_handed_over_where_a_guardrail_stopped() -> None:
    tally = Tally()
    tally.note(REQUEST, an_outcome("[1, 2", an_attempt(1)))
    blocked: Outcome[object] = Outcome(OutcomeKind.BLOCKED, error=BlockedError("rail", "no"))
    assert tally.total(blocked).raw_text == ""


def test_a_sum_of_others_does_not_take_the_place_of_the_best() -> None:
    """A fallback writes down what the attempts at one model had summed up, best text and last error."""
    tally = Tally()
    tally.note(REQUEST, an_outcome("[1, 2", an_attempt(1, Usage(1, 5))))
    tally.start_over()
    tally.note(REQUEST, an_outcome("", an_attempt(2, Usage(1, 3))))
    tally.note(REQUEST, tally.total(an_outcome("")))
    tally.start_over()
    outcome = tally.total(an_outcome(""))
    assert (outcome.raw_text, outcome.wasted_tokens) == ("[1, 2", 3)


def test_an_attempt_that_was_left_midway_counts_though_nobody_noted_it() -> None:
    tally = Tally()
    tally.note(REQUEST, an_outcome("[1", an_attempt(1, Usage(1, 5))))
    tally.start_over()
    outcome = tally.total(an_outcome("[1, 2", an_attempt(1), an_attempt(2, Usage(1, 4))))
    assert [attempt.number for attempt in outcome.attempts] == [1, 2]
    assert (outcome.usage, outcome.wasted_tokens, outcome.raw_text) == (Usage(2, 9), 5, "[1, 2")


def test_a_lost_attempt_is_waste_even_where_the_answer_is_whole() -> None:
    tally = Tally()
    tally.lose(an_attempt(1), REQUEST, an_outcome("x" * 12))
    whole: Outcome[object] = Outcome(OutcomeKind.COMPLETE, attempts=(an_attempt(1), an_attempt(2, Usage(1, 9))))
    tally.note(REQUEST, whole)
    assert tally.total(whole).wasted_tokens == 3


def test_a_new_attempt_is_told_only_after_something_was_shown() -> None:
    tally, ended = Tally(), an_outcome("")
    tally.begin("retry", ended)
    assert tally.show(StreamingResponse()).begins is None
    tally.begin("restart", ended)
    step = tally.show(StreamingResponse())
    assert step.begins is not None
    assert (step.begins.plan, step.begins.reason) == ("restart", "ended")
    assert tally.show(StreamingResponse()).begins is None


def test_a_change_of_model_that_nobody_has_seen_yet_is_what_is_told() -> None:
    tally = Tally()
    tally.show(StreamingResponse())
    tally.begin("fallback", an_outcome(""), "a.b")
    tally.begin("restart", an_outcome(""))
    step = tally.show(StreamingResponse())
    assert step.begins is not None
    assert (step.begins.plan, step.begins.path) == ("fallback", "")


def test_a_step_without_an_outcome_is_not_the_last() -> None:
    with pytest.raises(AssertionError):
        Tally().close(StreamingResponse())


def test_an_error_refers_to_the_completed_outcome() -> None:
    tally, error = Tally(), ServerError("oops", provider="fake")
    last = tally.close(StreamingResponse(outcome=Outcome(OutcomeKind.PROVIDER_ERROR, error=error)))
    assert error.outcome is last.outcome
