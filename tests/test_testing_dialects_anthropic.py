"""What the simulated Messages dialect writes, the library's own decoder and the vendor's own client read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
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
from structstream.providers import ROUTES, ConcreteMode, route
from structstream.request import StreamingStructuredRequest
from structstream.response import OutcomeKind, Usage
from structstream.service import StructuredLLMService
from structstream.sse import SSEDecoder
from structstream.testing import (
    FAULTS,
    Fault,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    duplicate_finish,
    empty_stream,
    html_200,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    no_tool_call,
    plain_json_200,
    refusal,
    reset_at_byte,
    status,
    text_after_json,
    two_tool_calls,
    unknown_events,
)
from structstream.testing.dialects import dialect_for
from structstream.testing.dialects.base import BadQuestionError, Question, WireDialect
from tests.answers import Answer
from tests.edge import BARE

JSON = Any  # Any: JSON
QUESTION = Question(model="claude-haiku-4-5", form="json", stream=True, input_tokens=5)
PATH = "/v1/messages"


def dialect() -> WireDialect:
    found = dialect_for(PATH)
    assert found is not None
    return found


def read_back(body: bytes) -> list[ProviderEvent]:
    decoder = route("claude-haiku-4-5").provider.decoder()
    return [event for each in SSEDecoder().feed(body) for event in decoder.feed(each)]


some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
deltas = st.one_of(st.builds(TextDelta, some_text), st.builds(ThinkingDelta, some_text))
reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "tool", "refused"])


@given(
    body=st.lists(deltas, max_size=12),
    calls=st.lists(some_text, max_size=4),
    reason=reasons,
    usage=st.builds(Usage, st.integers(2, 9), st.integers(1, 9), st.integers(0, 1), st.integers(0, 1)),
    error=st.none() | some_text.map(str.strip).filter(bool),
)
def test_the_decoder_reads_what_was_said(
    body: list[ProviderEvent], calls: list[str], reason: FinishReason, usage: Usage, error: str | None
) -> None:
    opened = [ToolDelta("", 0, "toolu_1", "name"), *(ToolDelta(each) for each in calls)] if calls else []
    failed = [] if error is None else [Failed(ServerError(error, provider="simulated", code="api_error"))]
    said = [Started("msg_1", "claude"), *body, *opened, *failed, Finished(reason), UsageReported(usage), StreamEnd()]
    streamed = Answer.of(read_back(b"".join(dialect().stream(QUESTION, said))))
    expected = Answer.of(said)
    assert (streamed.text, streamed.thinking) == (expected.text, expected.thinking)
    assert (streamed.arguments, streamed.names) == (expected.arguments, expected.names)
    assert (streamed.usage, streamed.errors, streamed.ended) == (usage, expected.errors, True)
    at_once = Answer.of(route("claude-haiku-4-5").provider.whole(dialect().whole(QUESTION, said)))
    if error is not None:
        assert at_once.errors == ["ServerError"]
    else:
        assert (at_once.text, at_once.thinking, at_once.finishes) == (
            streamed.text,
            streamed.thinking,
            streamed.finishes,
        )
        assert (at_once.usage, at_once.names) == (usage, expected.names)


@pytest.mark.parametrize(
    ("reason", "called", "raw"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("tool", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("filtered", False, "refusal"),
        ("refused", False, "refusal"),
        ("other", False, "pause_turn"),
    ],
)
def test_an_end_has_the_dialects_word(reason: FinishReason, called: bool, raw: str) -> None:
    call = [ToolDelta("{}", 0, "toolu_1", "f")] if called else []
    said: list[ProviderEvent] = [Started("msg_1", "claude"), *call, Finished(reason), StreamEnd()]
    assert Answer.of(read_back(b"".join(dialect().stream(QUESTION, said)))).finishes == [raw]


def test_a_refusal_tells_why_at_the_end() -> None:
    spoken = [RefusalDelta("No, "), RefusalDelta("sorry.")]
    said: list[ProviderEvent] = [Started("msg_1", "claude"), *spoken, Finished("refused"), StreamEnd()]
    answer = Answer.of(read_back(b"".join(dialect().stream(QUESTION, said))))
    assert (answer.refusal, answer.finishes) == ("No, sorry.", ["refusal"])


def test_an_answer_without_a_finish_has_no_end() -> None:
    said: list[ProviderEvent] = [Started("msg_1", "claude"), TextDelta("a")]
    assert [event.split(b"\n")[0] for event in dialect().stream(QUESTION, said)][-1] == b"event: content_block_delta"
    again = [*said, Finished("stop"), Finished("stop"), UsageReported(Usage(1, 1)), StreamEnd()]
    names = [event.split(b"\n")[0] for event in dialect().stream(QUESTION, again)]
    assert names.count(b"event: message_delta") == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, "api_error")],
)
def test_errors_have_the_dialects_form(code: int, kind: str) -> None:
    error = json.loads(dialect().error(code, "why", param="p"))
    assert error == {"type": "error", "error": {"type": kind, "message": "p: why"}, "request_id": "req_simulated"}


# what a request asks


class Person(BaseModel):
    name: str


PLAIN = Person.model_json_schema()
STRICT = {**PLAIN, "additionalProperties": False}
MESSAGES = [{"role": "user", "content": "Who?"}]
FORMAT = {"format": {"type": "json_schema", "schema": STRICT}}
THINKING = {"type": "enabled", "budget_tokens": 50}


def tool(name: str, **more: JSON) -> JSON:
    return {"name": name, "input_schema": PLAIN, **more}


def asked(**body: JSON) -> Question:
    return dialect().read({"model": "m", "max_tokens": 99, "messages": MESSAGES, **body}, PATH)


@pytest.mark.parametrize(
    ("body", "form", "name", "schema"),
    [
        ({}, "text", "", None),
        ({"output_config": FORMAT}, "json", "", STRICT),
        ({"output_config": {"effort": "low"}}, "text", "", None),
        ({"system": [{"type": "text", "text": f"By {json.dumps(PLAIN)}."}]}, "json", "", PLAIN),
        ({"system": f"By {json.dumps(PLAIN)}."}, "json", "", PLAIN),
        ({"tools": [tool("one"), tool("two")], "tool_choice": {"type": "tool", "name": "two"}}, "tool", "two", PLAIN),
        ({"tools": [tool("one")], "tool_choice": {"type": "any"}}, "tool", "one", PLAIN),
        ({"tools": [tool("one")]}, "tool", "one", PLAIN),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "text", "", None),
        ({"tools": [tool("one")], "tool_choice": {"type": "none"}}, "text", "", None),
        ({"tools": [tool("one")], "output_config": FORMAT}, "json", "", STRICT),
        ({"tools": [tool("one", strict=True, input_schema=STRICT)]}, "tool", "one", STRICT),
    ],
)
def test_where_the_answer_goes(body: JSON, form: str, name: str, schema: JSON) -> None:
    question = asked(**body)
    assert (question.form, question.tool, question.schema) == (form, name, schema)
    assert question.max_tokens == 99


def shape(**more: JSON) -> JSON:
    return {"output_config": {"format": {"type": "json_schema", "schema": {**STRICT, **more}}}}


@pytest.mark.parametrize(
    ("body", "says", "param"),
    [
        ({"model": None}, "Field required", "model"),
        ({"max_tokens": "many"}, "greater than or equal to 1", "max_tokens"),
        ({"messages": []}, "at least one message", "messages"),
        ({"messages": 5}, "at least one message", "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "Unexpected role", "messages"),
        ({"temperature": 1.5}, "range", "temperature"),
        ({"temperature": "hot"}, "range", "temperature"),
        ({"response_format": {}}, "Extra inputs", "response_format"),
        ({"seed": 1}, "Extra inputs", "seed"),
        (
            {"thinking": THINKING, "tools": [tool("a")], "tool_choice": {"type": "any"}},
            "Thinking may not",
            "tool_choice",
        ),
        ({"thinking": {**THINKING, "budget_tokens": 99}}, "must be greater", "max_tokens"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "Field required", "output_config.format.schema"),
        (shape(additionalProperties=True), "must be explicitly set to false", "output_config.format.schema"),
        (shape(properties={"a": {"type": "integer", "minimum": 0}}), "'minimum' is not", "output_config.format.schema"),
        ({"tools": [tool("one")], "tool_choice": {"type": "tool", "name": "two"}}, "'two' not found", "tool_choice"),
        ({"tools": [tool("one", strict=True)]}, "must be explicitly set", "tools.0.custom.input_schema"),
    ],
)
def test_what_the_provider_would_refuse(body: JSON, says: str, param: str) -> None:
    with pytest.raises(BadQuestionError, match=says) as caught:
        asked(**body)
    assert caught.value.param == param


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("extra", [{}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}])
def test_it_understands_what_the_library_sends(mode: ConcreteMode, extra: JSON) -> None:
    request = StreamingStructuredRequest(
        response_model=Person, model="claude-haiku-4-5", prompt="Who?", system="Be brief.", stop="x", extra=extra
    )
    found = route(request.model)
    question = dialect().read(found.provider.encode(request, model=found.model, mode=mode).body, PATH)
    assert question.form == ("tool" if mode == "tool" else "json")
    assert question.schema is not None
    assert set(question.schema["properties"]) == {"name"}


# the vendor's own client


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider(seed=1, script=Script(thinking="Let me think.")) as running:
        yield running


@pytest.fixture
async def client(provider: SimulatedProvider) -> AsyncIterator[Any]:  # Any: the SDK may be absent
    anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed")
    async with anthropic.AsyncAnthropic(
        base_url=provider.base_url.removesuffix("/v1"), api_key="test", max_retries=0
    ) as made:
        yield made


ASK: JSON = {"model": "claude-haiku-4-5", "max_tokens": 5000, "messages": [{"role": "user", "content": "A person"}]}
FORCED: JSON = {"tools": [tool("Person")], "tool_choice": {"type": "tool", "name": "Person"}}


@pytest.mark.anyio
async def test_the_client_gets_a_whole_message(client: Any, provider: SimulatedProvider) -> None:
    made = await client.messages.create(**ASK, output_config=FORMAT)
    thinking, text = made.content
    assert thinking.thinking == "Let me think."
    assert text.text == provider.requests[0].documents[0]
    Person.model_validate_json(text.text)
    assert (made.stop_reason, made.type, made.usage.output_tokens > 0) == ("end_turn", "message", True)


@pytest.mark.anyio
async def test_the_client_parses_its_own_format(client: Any) -> None:
    made = await client.messages.parse(**ASK, output_format=Person)
    assert isinstance(made.parsed_output, Person)


@pytest.mark.anyio
async def test_the_client_reads_raw_events(client: Any, provider: SimulatedProvider) -> None:
    events = [event async for event in await client.messages.create(**ASK, stream=True)]
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    text = "".join(
        event.delta.text for event in events if event.type == "content_block_delta" and event.delta.type == "text_delta"
    )
    assert text == provider.requests[0].documents[0]


@pytest.mark.anyio
async def test_the_clients_own_stream_helper(client: Any) -> None:
    async with client.messages.stream(**ASK, output_format=Person) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_message()
    assert {"text", "thinking", "signature", "content_block_stop", "message_stop"} <= kinds
    assert isinstance(final.parsed_output, Person)
    assert final.usage.output_tokens > 0


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_the_client_calls_tools(client: Any, stream: bool) -> None:
    if stream:
        async with client.messages.stream(**ASK, **FORCED) as events:
            made = await events.get_final_message()
    else:
        made = await client.messages.create(**ASK, **FORCED)
    assert made.stop_reason == "tool_use"
    assert made.content[-1].name == "Person"
    Person.model_validate(made.content[-1].input)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "reason"),
    [(length(4), "max_tokens"), (refusal("No."), "refusal"), (content_filter(1), "refusal")],
    ids=str,
)
async def test_the_client_sees_how_it_ended(client: Any, fault: Any, reason: str) -> None:
    async with client.messages.stream(**ASK, extra_headers={"x-simulate": str(fault)}) as stream:
        made = await stream.get_final_message()
    assert made.stop_reason == reason
    if fault.name == "refusal":
        assert made.stop_details.explanation == "No."


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (in_band_error(2, "boom"), "APIStatusError"),
        (status(401), "AuthenticationError"),
        (status(429, {"retry-after": "1"}), "RateLimitError"),
        (status(404), "NotFoundError"),
        (status(529), "APIStatusError"),
    ],
    ids=str,
)
async def test_the_client_knows_a_fault_when_it_sees_one(client: Any, fault: Any, raised: str) -> None:
    import anthropic

    with pytest.raises(getattr(anthropic, raised)):
        async with client.messages.stream(**ASK, extra_headers={"x-simulate": str(fault)}) as stream:
            await stream.get_final_message()


@pytest.mark.parametrize("header", ["x-api-key: right", "authorization: Bearer right", "x-api-key: wrong"])
@pytest.mark.anyio
async def test_the_key_is_taken_from_either_header(header: str) -> None:
    from tests.simulated import connected

    async with SimulatedProvider(api_key="right") as running, connected(running) as client:
        code, headers, body = await client.answer(ASK, path=PATH, headers=f"{header}\r\n")
    assert code == (200 if "right" in header else 401)
    assert headers.get("request-id") == ("req_simulated_0" if code == 200 else None)
    assert json.loads(body)["type"] == ("message" if code == 200 else "error")


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"stall_at_byte", "stall_before_first_byte", "status"}))
async def test_every_fault_strikes_in_this_dialect_too(name: str) -> None:
    from tests.simulated import connected

    arguments = (
        "(200)" if name.endswith("_at_byte") or name == "malformed_framing" else "(5)" if name == "length" else ""
    )
    async with SimulatedProvider(seed=1) as running, connected(running) as client:
        client.ask({**ASK, **FORCED, "stream": True}, path=PATH, headers=f"x-simulate: {name}{arguments}\r\n")
        record = await running.wait_for_end()
        assert record.fault is not None
        assert (record.fault.name, record.status) == (name, 200)


# the whole way, through the service


def service_at(provider: SimulatedProvider) -> StructuredLLMService:
    row = replace(ROUTES["anthropic"], base_url=provider.base_url.removesuffix("/v1"), base_url_env="")
    return StructuredLLMService(
        providers={**ROUTES, "anthropic": row}, api_keys={"anthropic": "secret-key"}, policies=BARE
    )


@pytest.mark.anyio
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
async def test_the_service_gets_an_object_in_every_mode(mode: ConcreteMode, streams: bool) -> None:
    request = StreamingStructuredRequest(
        response_model=Person,
        model="claude-haiku-4-5",
        prompt="Who?",
        mode=mode,
        enable_streaming=streams,
        cadence="delta",
    )
    script = Script(thinking="Let me think.", delta_size=3)
    async with (
        SimulatedProvider(seed=3, script=script, api_key="secret-key") as running,
        service_at(running) as service,
    ):
        steps = [step async for step in service.route_structured_streaming(request)]
        sent = running.requests[0]
    outcome = steps[-1].outcome
    assert outcome is not None
    assert (outcome.kind, outcome.thinking) == (OutcomeKind.COMPLETE, "Let me think.")
    assert outcome.result == Person.model_validate_json(sent.documents[0])
    assert outcome.attempts[0].request_id == "req_simulated_0"
    assert outcome.usage is not None
    assert outcome.usage.output_tokens > 0
    assert (len(steps) > 2) == streams
    assert sent.headers["x-api-key"] == "[redacted]"
    assert "authorization" not in sent.headers
    assert sent.path == PATH


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (length(4), OutcomeKind.TRUNCATED),
        (refusal("No."), OutcomeKind.REFUSED),
        (content_filter(1), OutcomeKind.REFUSED),
        (in_band_error(1, "boom", "overloaded_error"), OutcomeKind.PROVIDER_ERROR),
        (no_finish(), OutcomeKind.INCOMPLETE),
        (empty_stream(), OutcomeKind.INCOMPLETE),
        (malformed_chunk(), OutcomeKind.PROVIDER_ERROR),
        (unknown_events(1), OutcomeKind.COMPLETE),
        (duplicate_finish(), OutcomeKind.COMPLETE),
        (two_tool_calls(), OutcomeKind.COMPLETE),
        (no_tool_call(), OutcomeKind.INVALID),
        (text_after_json(), OutcomeKind.INVALID),
        (html_200(), OutcomeKind.PROVIDER_ERROR),
        (plain_json_200(), OutcomeKind.PROVIDER_ERROR),
        (cut_at_byte(900), OutcomeKind.INCOMPLETE),
        (reset_at_byte(900), OutcomeKind.INCOMPLETE),
        (status(529), OutcomeKind.PROVIDER_ERROR),
        (status(401), OutcomeKind.PROVIDER_ERROR),
    ],
    ids=str,
)
async def test_each_fault_has_its_outcome(fault: Fault, kind: OutcomeKind) -> None:
    request = StreamingStructuredRequest(
        response_model=Person, model="claude-haiku-4-5", prompt="Who?", mode="tool", max_retries=0
    )
    async with SimulatedProvider(seed=3, faults=[fault]) as running, service_at(running) as service:
        steps = [step async for step in service.route_structured_streaming(request)]
    outcome = steps[-1].outcome
    assert outcome is not None
    assert outcome.kind == kind, outcome
    assert "secret-key" not in repr(outcome)
