"""Facts are frozen, and say nothing of a prompt or an answer by themselves."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from structstream.facts import Fact, Replanned, Stepped, StreamInfo
from structstream.request import StreamingStructuredRequest
from structstream.response import OutcomeKind, StreamingResponse

FACTS = get_args(Fact)


@pytest.mark.parametrize("fact", [fact for fact in FACTS if fact is not Stepped], ids=lambda fact: fact.__name__)
def test_a_fact_is_a_frozen_dataclass_with_slots(fact: type) -> None:
    assert dataclasses.is_dataclass(fact)
    assert fact.__dataclass_params__.frozen  # type: ignore[attr-defined]  # as dataclasses set it
    assert not hasattr(fact, "__dict__") or "__dict__" not in fact.__slots__  # type: ignore[attr-defined]


def test_a_fact_cannot_be_changed() -> None:
    fact = Replanned("retry", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o")
    with pytest.raises(dataclasses.FrozenInstanceError):
        fact.wait = 2.0  # type: ignore[misc]  # that is the point
    step = Stepped(StreamingResponse(), 1.0)
    with pytest.raises(AttributeError):
        step.at = 2.0  # type: ignore[misc]  # the same


def test_what_a_stream_is_known_by_shows_no_prompt() -> None:
    request = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="in confidence")
    info = StreamInfo(1, request.model, "int", request)
    assert "in confidence" not in repr(info)
    assert info != StreamInfo(1, request.model, "int", request)
