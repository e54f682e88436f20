"""One answer has one outcome, and nothing that could be saved is lost."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from structstream.answer import AnswerReader, kind_of
from structstream.errors import (
    BlockedError,
    ConnectionFailedError,
    FilteredError,
    IncompleteError,
    InvalidOutputError,
    ProtocolError,
    RateLimitedError,
    RefusedError,
    SSEError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    TruncatedError,
    UnavailableError,
)
from structstream.response import OutcomeKind


class Pet(BaseModel):
    name: str
    legs: int


def reader(kind: Any = Pet, **options: Any) -> AnswerReader[Any]:  # Any: types, and options of several types
    arguments = {"lenient": False, "wrap_key": None, "limits": None, "context": None, "fail_fast": True, "attempt": 3}
    return AnswerReader(kind, **{**arguments, **options})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TruncatedError(), OutcomeKind.TRUNCATED),
        (IncompleteError(), OutcomeKind.INCOMPLETE),
        (RefusedError("no"), OutcomeKind.REFUSED),
        (FilteredError(), OutcomeKind.FILTERED),
        (InvalidOutputError("x"), OutcomeKind.INVALID),
        (BlockedError("deny-list", "a word that is not wanted"), OutcomeKind.BLOCKED),
        (UnavailableError("x"), OutcomeKind.UNAVAILABLE),
        (StreamTimeoutError("total", configured=1, elapsed=2), OutcomeKind.TIMEOUT),
        (StreamCancelledError(), OutcomeKind.CANCELLED),
        (RateLimitedError("x", provider="p"), OutcomeKind.PROVIDER_ERROR),
        (ConnectionFailedError("x", provider="p"), OutcomeKind.PROVIDER_ERROR),
        (SSEError("max_line_bytes", 1), OutcomeKind.PROVIDER_ERROR),
        (ProtocolError("x", provider="p"), OutcomeKind.PROVIDER_ERROR),
    ],
)
def test_each_error_means_one_outcome(error: StructStreamError, kind: OutcomeKind) -> None:
    assert kind_of(error) is kind


def test_a_step_carries_what_came_since_the_last_one() -> None:
    answer = reader()
    answer.add('{"name": ')
    first = answer.step()
    answer.add('"a')
    answer.add("b")
    assert answer.waiting == 3
    second = answer.step()
    assert first is not None
    assert second is not None
    assert (list(first.raw_chunks), list(second.raw_chunks)) == (['{"name": '], ['"a', "b"])
    assert (second.attempt, answer.waiting) == (3, 0)


def test_there_is_no_step_before_a_value_has_begun_and_its_text_comes_with_the_first() -> None:
    answer = reader()
    answer.add(" ")
    assert answer.step() is None
    answer.add("{")
    step = answer.step()
    assert step is not None
    assert list(step.raw_chunks) == [" ", "{"]


def test_what_was_good_before_a_fault_makes_a_step() -> None:
    answer = reader()
    answer.add('{"name": "a')
    step = answer.fail(ProtocolError("broken", provider="p"))
    assert step is not None
    assert repr(step.partial_result) == "Partial[Pet](name='a')"
    outcome = answer.finish(None).outcome
    assert outcome is not None
    assert (outcome.kind, repr(outcome.last_partial)) == (OutcomeKind.PROVIDER_ERROR, "Partial[Pet](name='a')")


def test_invalid_text_before_a_fault_is_the_reason() -> None:
    answer = reader()
    answer.add('{"name": 1,')
    answer.fail(ProtocolError("broken", provider="p"))
    outcome = answer.finish(None).outcome
    assert outcome is not None
    assert isinstance(outcome.error, InvalidOutputError)
    assert outcome.error.path == "name"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12", OutcomeKind.COMPLETE),
        ("12 ", OutcomeKind.COMPLETE),
        ("-", OutcomeKind.INCOMPLETE),
        ("", OutcomeKind.INCOMPLETE),
    ],
)
def test_a_number_at_the_root_ends_with_the_text(text: str, kind: OutcomeKind) -> None:
    answer = reader(int)
    answer.add(text)
    answer.note_end_of_text()
    last = answer.finish(None)
    assert last.outcome is not None
    assert last.outcome.kind is kind
    assert list(last.outcome.completed) == ([""] if kind is OutcomeKind.COMPLETE else [])


def test_an_error_holds_its_outcome_and_its_cause() -> None:
    answer = reader()
    answer.add('{"name": x')
    answer.fail(IncompleteError("cut"))
    last = answer.finish(None)
    assert last.outcome is not None
    assert last.outcome.error is not None
    assert last.outcome.error.outcome is last.outcome
    assert last.outcome.kind is OutcomeKind.INVALID
    assert last.outcome.error.__cause__ is not None
    assert last.progress_percent < 100
