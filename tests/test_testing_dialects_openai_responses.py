"""What the simulated Responses write, the library reads back; what a request asks, they understand."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given, strategies as st
from openai import AsyncOpenAI
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
from structstream.service import StructuredLLMService
from structstream.sse import SSEDecoder
from structstream.testing import (
    Fault,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    duplicate_finish,
    empty_stream,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    no_tool_call,
    refusal,
    reset_at_byte,
    status,
    text_after_json,
    two_tool_calls,
    unknown_events,
)
from structstream.testing.answer import answer
from structstream.testing.dialects import dialect_for
from structstream.testing.dialects.base import BadQuestionError, Question
from structstream.testing.dialects.openai_responses import OpenAIResponses
from structstream.testing.script import Script as AnswerScript
from tests.answers import Answer
from tests.edge import BARE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

JSON = Any  # Any: JSON
DIALECT = OpenAIResponses()
QUESTION = Question(model="gpt-4o", form="json", stream=True)
PATH = "/v1/responses"

some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
thoughts = st.lists(st.builds(ThinkingDelta, some_text), max_size=4)
message = st.lists(st.builds(TextDelta, some_text) | st.builds(RefusalDelta, some_text), max_size=8)
reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "filtered"])


def read_back(body: bytes) -> list[ProviderEvent]:
    decoder = route("simulated-responses/gpt-4o").provider.decoder()
    return [event for each in SSEDecoder().feed(body) for event in decoder.feed(each)]


def call(number: int, texts: list[str]) -> list[ProviderEvent]:
    return [ToolDelta("", number, f"call_{number}", "name"), *(ToolDelta(each, number) for each in texts)]


# what is said


@given(thoughts, message, st.lists(st.lists(some_text, max_size=3), max_size=3), reasons)
def test_the_decoder_reads_what_was_said(
    thinking: list[ProviderEvent], body: list[ProviderEvent], calls: list[list[str]], reason: FinishReason
) -> None:
    usage = UsageReported(Usage(3, 2, 1, 1))
    opened = [event for number, texts in enumerate(calls) for event in call(number, texts)]
    told = [Started("id", "gpt-4o", "default"), *thinking, *body, *opened]
    back = read_back(b"".join(DIALECT.stream(QUESTION, [*told, Finished(reason), usage, StreamEnd()])))
    assert [event for event in back[:-3] if event != ThinkingDelta("")] == told
    refused = any(isinstance(event, RefusalDelta) for event in body) and not any(
        isinstance(event, TextDelta) for event in body
    )
    ended = reason if reason != "stop" else "tool" if calls else "refused" if refused else "stop"
    assert isinstance(back[-3], Finished)
    assert (back[-3].reason, back[-2], back[-1]) == (ended, usage, StreamEnd())


@given(thoughts, message, st.lists(st.lists(some_text, max_size=3), max_size=3), reasons)
def test_a_whole_answer_says_what_the_stream_does(
    thinking: list[ProviderEvent], body: list[ProviderEvent], calls: list[list[str]], reason: FinishReason
) -> None:
    opened = [event for number, texts in enumerate(calls) for event in call(number, texts)]
    said = [Started("id", "m"), *thinking, *body, *opened, Finished(reason), UsageReported(Usage(3, 2)), StreamEnd()]
    whole = Answer.of(route("simulated-responses/m").provider.whole(DIALECT.whole(QUESTION, said)))
    streamed = Answer.of(read_back(b"".join(DIALECT.stream(QUESTION, said))))
    for name in ("text", "thinking", "refusal", "arguments", "names", "finishes", "usage", "ended"):
        assert getattr(whole, name) == getattr(streamed, name)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200), sizes=st.integers(1, 9) | st.just((1, 6)))
def test_the_stream_holds_together(text: str, sizes: int | tuple[int, int]) -> None:
    """Numbers rise by one, deltas add up to their `.done`, and the last event repeats every item."""
    question = Question(model="gpt-4o", form="tool", tool="answer", schema={"type": "object"})
    said = answer(question, AnswerScript(delta_size=sizes, thinking="hm"), [text], "id", "seed")
    events = [json.loads(event.data) for event in SSEDecoder().feed(b"".join(DIALECT.stream(question, said)))]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    deltas: Counter[str] = Counter()
    joined: dict[str, str] = {}
    for event in events:
        stem, _, end = event["type"].rpartition(".")
        if end == "delta":
            joined[stem] = joined.get(stem, "") + event["delta"]
            deltas[stem] += 1
        elif end == "done" and stem in joined:
            assert joined[stem] == event.get("text", event.get("arguments"))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"] == done
    assert [item["type"] for item in done] == ["reasoning", "function_call"]


def test_an_error_is_told_as_the_provider_does() -> None:
    said: list[ProviderEvent] = [
        Started("id", "m"),
        TextDelta("a"),
        Failed(ServerError("boom", provider="simulated", code="server_error")),
    ]
    events = [json.loads(event.data) for event in SSEDecoder().feed(b"".join(DIALECT.stream(QUESTION, said)))]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["error"]["message"] == events[-1]["response"]["error"]["message"] == "boom"
    assert json.loads(DIALECT.whole(QUESTION, said))["status"] == "failed"


# what is asked


class Person(BaseModel):
    name: str


PLAIN = Person.model_json_schema()
STRICT = {**PLAIN, "additionalProperties": False}
SHAPE = {"format": {"type": "json_schema", "name": "p", "schema": STRICT, "strict": True}}
PROMPTED = [{"role": "system", "content": [{"type": "input_text", "text": f"By {json.dumps(PLAIN)}."}]}]


def tool(name: str, **more: JSON) -> JSON:
    return {"type": "function", "name": name, "parameters": STRICT, **more}


def asked(**body: JSON) -> Question:
    return DIALECT.read({"model": "m", "input": "Who?", **body}, PATH)


@pytest.mark.parametrize(
    ("body", "form", "name", "schema"),
    [
        ({}, "text", "", None),
        ({"text": {"format": {"type": "text"}}}, "text", "", None),
        ({"text": SHAPE}, "json", "", STRICT),
        ({"text": {"format": {"type": "json_object"}}}, "json", "", {"type": "object"}),
        ({"input": PROMPTED}, "json", "", PLAIN),
        ({"instructions": f"By {json.dumps(PLAIN)}."}, "json", "", PLAIN),
        (
            {"tools": [tool("one"), tool("two")], "tool_choice": {"type": "function", "name": "two"}},
            "tool",
            "two",
            STRICT,
        ),
        ({"tools": [{"type": "web_search"}, tool("one")], "tool_choice": "required"}, "tool", "one", STRICT),
        ({"tools": [tool("one", strict=False, parameters=PLAIN)]}, "tool", "one", PLAIN),
        ({"tools": [tool("one")], "tool_choice": "none"}, "text", "", None),
        ({"tools": [tool("one")], "text": SHAPE}, "json", "", STRICT),
    ],
)
def test_where_the_answer_goes(body: JSON, form: str, name: str, schema: JSON) -> None:
    question = asked(**body)
    assert (question.form, question.tool, question.schema) == (form, name, schema)


def test_the_rest_of_a_question() -> None:
    question = asked(stream=True, max_output_tokens=7, input=[{"role": "user", "content": "x" * 40}])
    assert (question.model, question.stream, question.max_tokens, question.input_tokens) == ("m", True, 7, 10)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"model": None}, "Missing required parameter: 'model'"),
        ({"input": []}, "'input' must be"),
        ({"seed": 1}, "Unknown parameter: 'seed'"),
        ({"stop": ["x"]}, "Unknown parameter: 'stop'"),
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"max_output_tokens": 0}, "'max_output_tokens'"),
        ({"text": {"format": {"type": "json_schema", "name": "p"}}}, "text.format.schema"),
        ({"text": {"format": {**SHAPE["format"], "schema": PLAIN}}}, "'additionalProperties' is required"),
        ({"tools": [tool("one", parameters=PLAIN)]}, "'additionalProperties' is required"),
        ({"tools": [tool("one")], "tool_choice": {"type": "function", "name": "two"}}, "'two' not found"),
    ],
)
def test_what_the_provider_would_refuse(body: JSON, says: str) -> None:
    with pytest.raises(BadQuestionError, match=says):
        asked(**body)


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
def test_it_understands_what_the_library_sends(mode: Mode) -> None:
    request = StreamingStructuredRequest(
        response_model=Person, model="openai-responses/gpt-4o", prompt="Who?", mode=mode, seed=3, max_tokens=99
    )
    call = route(request.model).encode(request)
    dialect = dialect_for(f"/v1{call.path}")
    assert dialect is not None
    question = dialect.read(call.body, f"/v1{call.path}")
    assert question.form == ("tool" if mode == "tool" else "json")
    assert question.schema is not None
    assert set(question.schema["properties"]) == {"name"}


# over HTTP: the vendor's own client, and ours


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider(seed=1, script=Script(thinking="hm")) as running:
        yield running


@pytest.fixture
async def client(provider: SimulatedProvider) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=provider.base_url, api_key="test", max_retries=0) as made:
        yield made


@pytest.mark.anyio
async def test_the_vendors_whole_and_streamed_text(client: AsyncOpenAI, provider: SimulatedProvider) -> None:
    whole = await client.responses.create(model="gpt-4o", input="Say something")
    assert whole.output_text == provider.requests[0].documents[0]
    assert whole.usage is not None
    assert whole.usage.total_tokens > 0
    stream = await client.responses.create(model="gpt-4o", input="Say something", stream=True)
    deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert "".join(deltas) == provider.requests[1].documents[0]


@pytest.mark.anyio
async def test_the_vendors_parse_and_stream_helpers(client: AsyncOpenAI) -> None:
    parsed = await client.responses.parse(model="gpt-4o", input="Who?", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
    async with client.responses.stream(model="gpt-4o", input="Who?", text_format=Person) as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert Person.model_validate_json(snapshots[-1]) == final.output_parsed
    assert final.output[0].type == "reasoning"


@pytest.mark.anyio
async def test_the_vendors_tools(client: AsyncOpenAI) -> None:
    tools: Any = [tool("Person")]
    async with client.responses.stream(model="gpt-4o", input="Who?", tools=tools, tool_choice="required") as stream:
        final = await stream.get_final_response()
    (found,) = [item for item in final.output if item.type == "function_call"]
    assert found.name == "Person"
    Person.model_validate_json(found.arguments)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (in_band_error(2, "boom"), openai.APIError),
        (status(401), openai.AuthenticationError),
        (status(429, {"retry-after": "1"}), openai.RateLimitError),
        (status(503), openai.InternalServerError),
    ],
    ids=str,
)
async def test_the_vendors_client_knows_a_fault_when_it_sees_one(
    client: AsyncOpenAI, fault: Fault, raised: type[Exception]
) -> None:
    headers = {"x-simulate": str(fault)}
    with pytest.raises(raised):
        async with client.responses.stream(model="gpt-4o", input="Who?", extra_headers=headers) as stream:
            await stream.get_final_response()


FAULTS = [
    *((None, mode, "complete") for mode in ("native", "tool", "prompted")),
    (length(4), "native", "truncated"),
    (length(4), "tool", "truncated"),
    (content_filter(2), "native", "filtered"),
    (refusal("No."), "native", "refused"),
    (refusal("No."), "tool", "refused"),
    (in_band_error(2), "native", "provider_error"),
    (no_finish(), "native", "incomplete"),
    (cut_at_byte(2500), "native", "incomplete"),
    (reset_at_byte(2500), "native", "incomplete"),
    (empty_stream(), "native", "incomplete"),
    (duplicate_finish(), "native", "complete"),
    (two_tool_calls(), "tool", "complete"),
    (no_tool_call(), "tool", "invalid"),
    (text_after_json(), "native", "invalid"),
    (text_after_json(), "prompted", "complete"),
    (malformed_chunk(), "native", "provider_error"),
    (unknown_events(), "native", "complete"),
    (status(429), "native", "provider_error"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "mode", "kind"), FAULTS, ids=str)
async def test_each_fault_ends_in_its_outcome(
    provider: SimulatedProvider, fault: Fault | None, mode: Mode, kind: str
) -> None:
    provider.script = Script()
    async with AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        request = StreamingStructuredRequest(
            response_model=Person,
            model="openai-responses/gpt-4o",
            prompt="Who?",
            mode=mode,
            headers={} if fault is None else {"x-simulate": str(fault)},
        )
        steps = [step async for step in StructuredLLMService(client, policies=BARE).route_structured_streaming(request)]
    outcome = steps[-1].outcome
    assert outcome is not None
    assert outcome.kind == kind
    assert provider.requests[0].path == PATH
    if kind == "complete":
        assert outcome.result == Person.model_validate_json(provider.requests[0].documents[0])
        assert outcome.attempts[0].mode == mode


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
async def test_a_whole_answer_is_one_step(provider: SimulatedProvider, mode: Mode) -> None:
    async with AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        request = StreamingStructuredRequest(
            response_model=Person,
            model="openai-responses/gpt-4o",
            prompt="Who?",
            mode=mode,
            enable_streaming=False,
        )
        (step,) = [
            step async for step in StructuredLLMService(client, policies=BARE).route_structured_streaming(request)
        ]
    assert step.outcome is not None
    assert step.result == Person.model_validate_json(provider.requests[0].documents[0])
    assert step.outcome.thinking == "hm"
