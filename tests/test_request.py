"""Requests: what cannot work is refused before anything is sent, with a sentence that says what to do."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from structstream.errors import ConfigurationError
from structstream.request import HTTPRequest, StreamingStructuredRequest, Timeouts


class Pet(BaseModel):
    name: str


def a_request(**changes: Any) -> StreamingStructuredRequest[Pet]:  # Any: arguments of many types, also wrong ones
    return StreamingStructuredRequest(**{"response_model": Pet, "model": "openai/gpt-4o", "prompt": "A pet", **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": ""}, "model must be the name of a model, such as 'openai/gpt-4o', not ''"),
        ({"model": None}, "model must be the name of a model"),
        ({"prompt": "  "}, "prompt must be text"),
        ({"prompt": None}, "give exactly one of prompt and messages"),
        ({"messages": [{"role": "user", "content": "x"}]}, "give exactly one of prompt and messages"),
        ({"prompt": None, "messages": "hello"}, "messages must be a list of"),
        ({"prompt": None, "messages": [{"role": "user"}]}, "messages must be a list of"),
        ({"response_model": None}, "response_model must be a type"),
        ({"mode": "json"}, "mode must be one of auto, native, tool, prompted, not 'json'"),
        ({"temperature": 3}, "temperature must be a number from 0 to 2 or None, not 3"),
        ({"temperature": True}, "temperature must be a number"),
        ({"max_tokens": 0}, "max_tokens must be a positive integer or None, not 0"),
        ({"max_retries": -1}, "max_retries must be an integer, 0 or more, not -1"),
        ({"streaming_chunk_size": 0}, "streaming_chunk_size must be a positive integer"),
        ({"cadence": "often"}, "cadence must be one of read, delta"),
        ({"timeouts": 5}, "timeouts must be a Timeouts"),
        ({"progress_callback": 5}, "progress_callback must be callable"),
        ({"progress_filter": "field"}, "progress_filter must be a ProgressFilter(...)"),
        ({"expected_tokens": 0}, "expected_tokens must be a positive integer"),
        ({"streaming_interval": 0}, "streaming_interval must be a positive number of seconds"),
        ({"streaming_interval": float("inf")}, "streaming_interval must be a positive number of seconds"),
        ({"headers": "x"}, "headers must be a mapping"),
        ({"extra": [1]}, "extra must be a mapping"),
        ({"stop": 5}, "stop must be text, a list of texts or None, not 5"),
        ({"stop": [5]}, "stop must be text"),
        ({"headers": {"a\nb": "c"}}, "headers must be a mapping of header names"),
        ({"headers": {"a": "c\n"}}, "headers must be a mapping of header names"),
        ({"headers": {"a": 5}}, "headers must be a mapping of header names"),
        ({"thinking_budget": -1}, "thinking_budget must be an integer, 0 or more"),
        ({"fail_fast": 1}, "fail_fast must be True or False, not 1"),
        ({"enable_streaming": "yes"}, "enable_streaming must be True or False"),
    ],
)
def test_a_bad_argument_gets_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        a_request(**changes)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["connect", "first_token", "between_tokens", "total"])
@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan")])
def test_a_deadline_is_a_positive_number(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"timeouts.{name} must be a positive number"):
        Timeouts(**{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_a_conversation_is_system_then_messages_or_prompt() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert a_request(system="Be brief.").conversation == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "A pet"},
    )
    assert a_request(prompt=None, messages=turns).conversation == tuple(turns)


def test_a_request_is_frozen_and_can_be_changed_in_a_copy() -> None:
    request = a_request()
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.model = "other"  # type: ignore[misc]  # wrong on purpose
    assert dataclasses.replace(request, model="openai/o3").conversation == request.conversation


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "openai/o3"},
        {"prompt": "Another pet"},
        {"system": "x"},
        {"temperature": 0.5},
        {"max_tokens": 5},
        {"mode": "tool"},
        {"seed": 1},
        {"stop": "x"},
        {"extra": {"a": 1}},
        {"response_model": list[Pet]},
    ],
)
def test_a_fingerprint_tells_what_decides_the_answer(changes: dict[str, object]) -> None:
    assert a_request(**changes).fingerprint() != a_request().fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": [("Authorization", "Bearer abcdefghijklmnop")]},
        {"headers": {"Authorization": "Bearer abcdefghijklmnop\n"}},
        {"extra": [("api_key", "abcdefghijklmnop")]},
        {"prompt": None, "messages": "abcdefghijklmnop"},
        {"system": ["abcdefghijklmnop"]},
    ],
)
def test_a_sentence_shows_no_key_and_no_conversation(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        a_request(**changes)
    assert "abcdefghijklmnop" not in str(caught.value)


def test_an_assistants_turn_may_hold_tool_calls_only() -> None:
    turn = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}
    assert a_request(prompt=None, messages=[turn]).conversation == (turn,)


def test_a_fingerprint_tells_the_schema_and_takes_any_extra() -> None:
    first = create_model("Same", a=(int, ...))
    second = create_model("Same", a=(str, ...))
    assert a_request(response_model=first).fingerprint() != a_request(response_model=second).fingerprint()
    odd = {"a": {(1, 2): 3}}
    assert a_request(extra=odd).fingerprint() == a_request(extra=odd).fingerprint()


def test_a_fingerprint_does_not_tell_how_the_answer_is_fetched() -> None:
    other = a_request(timeouts=Timeouts(total=1), max_retries=0, headers={"x": "y"}, progress_callback=print)
    assert other.fingerprint() == a_request().fingerprint()


def test_a_repr_shows_neither_conversation_nor_headers() -> None:
    shown = repr(a_request(prompt="secret words", headers={"Authorization": "Bearer sk-abcdefghijklmnop"}))
    assert shown == "StreamingStructuredRequest(model='openai/gpt-4o', response_model=Pet, mode='auto')"


def test_a_body_is_utf8_json() -> None:
    request = HTTPRequest("POST", "/x", {}, {"text": "zwölf"})
    assert json.loads(request.content()) == {"text": "zwölf"}
    assert "zwölf".encode() in request.content()
