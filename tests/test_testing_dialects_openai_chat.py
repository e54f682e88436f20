"""What a simulated dialect writes, the library's own decoder reads back; what a request asks, it understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from structstream.errors import ServerError
from structstream.events import (
    Failed,
    Finished,
    FinishReason,
    ProviderEvent,
    RefusalDelta,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.providers import route
from structstream.request import Mode, StreamingStructuredRequest
from structstream.response import Usage
from structstream.sse import SSEDecoder
from structstream.testing.answer import answer
from structstream.testing.dialects import DIALECTS, dialect_for
from structstream.testing.dialects.base import BadQuestionError, Question, WireDialect
from structstream.testing.script import Script

NAMES = [dialect.name for _, dialect in DIALECTS]
QUESTION = Question(model="gpt-4o", form="json", stream=True)

some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
deltas = st.one_of(
    st.builds(TextDelta, some_text, st.integers(0, 1)),
    st.builds(RefusalDelta, some_text, st.integers(0, 1)),
    st.builds(ThinkingDelta, some_text, st.just(""), st.integers(0, 1)),
)
reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "tool", "filtered"])


def chat() -> WireDialect:
    found = dialect_for("/v1/chat/completions")
    assert found is not None
    return found


def read_back(body: bytes) -> list[ProviderEvent]:
    decoder = route("simulated/gpt-4o").provider.decoder()
    return [event for each in SSEDecoder().feed(body) for event in decoder.feed(each)]


def shown(event: ProviderEvent) -> Any:
    """An event without what a dialect may word as it likes."""
    if isinstance(event, Started):
        return Started(event.response_id, event.model)
    if isinstance(event, Finished):
        return Finished(event.reason, choice=event.choice)
    return ("failed", event.error.message, event.error.code) if isinstance(event, Failed) else event


@given(
    body=st.lists(deltas, max_size=12),
    calls=st.lists(some_text, max_size=4),
    reason=reasons,
    usage=st.builds(Usage, st.integers(1, 9), st.integers(1, 9), st.integers(0, 1), st.integers(0, 1)),
    error=st.none() | some_text.map(str.strip).filter(bool),
)
def test_the_decoder_reads_what_was_said(
    body: list[ProviderEvent], calls: list[str], reason: FinishReason, usage: Usage, error: str | None
) -> None:
    opened: list[ProviderEvent] = [ToolDelta("", 0, "call", "name"), *(ToolDelta(each) for each in calls)]
    failed = [] if error is None else [Failed(ServerError(error, provider="simulated", code="server_error"))]
    said = [Started("id", "gpt-4o"), *body, *opened, *failed, Finished(reason), UsageReported(usage), StreamEnd()]
    back = [shown(event) for event in read_back(b"".join(chat().stream(QUESTION, said)))]
    if failed:
        assert back[-4][0] == "failed"
        assert back[-4][1] == ServerError(error or "", provider="simulated").message
        del back[-4]
    assert back == [shown(event) for event in said if not isinstance(event, Failed)]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200), sizes=st.integers(1, 9) | st.just((1, 6)))
def test_a_whole_answer_says_what_the_stream_does(text: str, sizes: int | tuple[int, int]) -> None:
    question = Question(model="gpt-4o", form="tool", tool="answer", choices=2)
    said = answer(question, Script(delta_size=sizes, thinking="hm"), [text, text[::-1]], "id", "seed")
    whole = json.loads(chat().whole(question, said))
    for number, expected in enumerate([text, text[::-1]]):
        choice = whole["choices"][number]
        assert choice["message"]["tool_calls"][0]["function"] == {"name": "answer", "arguments": expected}
        assert choice["message"]["reasoning_content"] == "hm"
        assert choice["finish_reason"] == "tool_calls"
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]


def test_a_whole_answer_with_an_error_in_it_is_the_error() -> None:
    said: list[ProviderEvent] = [
        Started("id", "m"),
        TextDelta("a"),
        Failed(ServerError("boom", provider="simulated", code="c")),
    ]
    assert json.loads(chat().whole(QUESTION, said))["error"]["message"] == "boom"


def test_usage_comes_only_where_it_was_asked_for() -> None:
    said: list[ProviderEvent] = [Started("id", "m"), UsageReported(Usage(1, 1)), StreamEnd()]
    silent = Question(model="m", form="json", report_usage=False)
    assert b"usage" in b"".join(chat().stream(QUESTION, said))
    assert b"usage" not in b"".join(chat().stream(silent, said))


@pytest.mark.parametrize(("status", "kind"), [(401, "invalid_request_error"), (429, "requests"), (500, "server_error")])
def test_errors_have_the_dialects_form(status: int, kind: str) -> None:
    error = json.loads(chat().error(status, "why", param="p", code="c"))
    assert error == {"error": {"message": "why", "type": kind, "param": "p", "code": "c"}}


# what a request asks


class Person(BaseModel):
    name: str


PLAIN = Person.model_json_schema()
STRICT = {**PLAIN, "additionalProperties": False}
MESSAGES = [{"role": "user", "content": "Who?"}]


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": PLAIN, **more}}


def asked(**body: Any) -> Question:
    return chat().read({"model": "m", "messages": MESSAGES, **body}, "/v1/chat/completions")


NAMED = {"type": "function", "function": {"name": "two"}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "p", "schema": STRICT, "strict": True}}
PROMPTED = [{"role": "system", "content": [{"type": "text", "text": f"By {json.dumps(PLAIN)}."}]}, *MESSAGES]


@pytest.mark.parametrize(
    ("body", "form", "name", "schema"),
    [
        ({}, "text", "", None),
        ({"response_format": SHAPE}, "json", "", STRICT),
        ({"response_format": {"type": "json_object"}}, "json", "", {"type": "object"}),
        ({"response_format": {"type": "json_object"}, "messages": PROMPTED}, "json", "", PLAIN),
        ({"messages": PROMPTED}, "json", "", PLAIN),
        ({"tools": [tool("one"), tool("two")], "tool_choice": NAMED}, "tool", "two", PLAIN),
        ({"tools": [tool("one"), tool("two")], "tool_choice": "required"}, "tool", "one", PLAIN),
        ({"tools": [tool("one")]}, "tool", "one", PLAIN),
        ({"tools": [tool("one")], "tool_choice": "none"}, "text", "", None),
        ({"tools": [tool("one")], "response_format": SHAPE}, "json", "", STRICT),
        ({"tools": [tool("one", strict=True, parameters=STRICT)]}, "tool", "one", STRICT),
    ],
)
def test_where_the_answer_goes(body: dict[str, Any], form: str, name: str, schema: Any) -> None:
    question = asked(**body)
    assert (question.form, question.tool, question.schema) == (form, name, schema)


def test_the_rest_of_a_question() -> None:
    question = asked(n=3, max_completion_tokens=7, seed=5, stream=True, stream_options={"include_usage": True})
    assert (question.choices, question.max_tokens, question.seed) == (3, 7, 5)
    assert question.stream
    assert question.report_usage
    assert not asked(stream=True).report_usage


def test_azure_names_the_model_in_the_path() -> None:
    path = "/openai/deployments/mine/chat/completions"
    dialect = dialect_for(path)
    assert dialect is not None
    assert dialect.read({"messages": MESSAGES}, path).model == "mine"


OPEN = {"type": "json_schema", "json_schema": {"name": "p", "schema": PLAIN, "strict": True}}
OPTIONAL = {"$defs": {"A": {**STRICT, "required": []}}, "$ref": "#/$defs/A"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"n": 0}, "'n'"),
        ({"max_tokens": "many"}, "'max_tokens'"),
        ({"response_format": {"type": "json_schema"}}, "json_schema.schema"),
        ({"response_format": OPEN}, "'additionalProperties' is required"),
        ({"tools": [tool("one", strict=True, parameters=OPTIONAL)]}, "Missing 'name'"),
        ({"tools": [tool("one")], "tool_choice": NAMED}, "'two' not found"),
    ],
)
def test_what_the_provider_would_refuse(body: dict[str, Any], says: str) -> None:
    with pytest.raises(BadQuestionError, match=says):
        asked(**body)


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("name", NAMES)
def test_it_understands_what_the_library_sends(name: str, mode: Mode) -> None:
    request = StreamingStructuredRequest(response_model=Person, model="simulated/gpt-4o", prompt="Who?")
    found = route(request.model)
    body = found.provider.encode(request, model=found.model, mode=mode if mode != "auto" else "native").body
    question = chat().read(body, "/v1/chat/completions")
    assert question.form == ("tool" if mode == "tool" else "json")
    assert question.schema is not None
    assert set(question.schema["properties"]) == {"name"}
