"""The simulated provider on Gemini's own paths: our service, its decoder, and Google's own client."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from structstream import StreamingStructuredRequest, StructuredLLMService
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
from structstream.jsonarray import JSONArrayDecoder
from structstream.providers import route
from structstream.request import Mode
from structstream.response import OutcomeKind, Usage
from structstream.sse import SSEDecoder
from structstream.testing import (
    Fault,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    duplicate_finish,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    no_tool_call,
    refusal,
    reset_at_byte,
    status,
    two_tool_calls,
    unknown_events,
)
from structstream.testing.dialects import dialect_for
from structstream.testing.dialects.base import BadQuestionError, Question, WireDialect, as_array

JSON = Any  # Any: JSON

needs_google = pytest.mark.skipif(
    importlib.util.find_spec("google") is None or importlib.util.find_spec("google.genai") is None,
    reason="google-genai is not installed: pip install google-genai",
)

PATH = "/v1beta/models/gemini-x:streamGenerateContent"
ASK: JSON = {"contents": [{"role": "user", "parts": [{"text": "An order"}]}]}

some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
said_parts = st.one_of(
    st.builds(TextDelta, some_text, st.integers(0, 1)),
    st.builds(ThinkingDelta, some_text, st.sampled_from(["", "c2ln"]), st.integers(0, 1)),
    st.builds(lambda value: ToolDelta(value, 0, "id", "f"), st.sampled_from(["{}", '{"a":["é"]}'])),
)
reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "filtered", "other"])
usages = st.builds(Usage, st.integers(1, 9), st.integers(1, 9), st.integers(0, 1), st.integers(0, 1))


class Item(BaseModel):
    sku: str
    price: float
    kind: Literal["book", "game"]


class Order(BaseModel):
    customer: str
    items: list[Item]
    note: str | None = None


def google() -> WireDialect:
    found = dialect_for(PATH)
    assert found is not None
    return found


def read_back(pieces: list[bytes], *, array: bool = False) -> list[ProviderEvent]:
    frames: SSEDecoder | JSONArrayDecoder = JSONArrayDecoder() if array else SSEDecoder()
    decoder = route("gemini-x").provider.decoder()
    return [event for piece in pieces for each in frames.feed(piece) for event in decoder.feed(each)]


@given(body=st.lists(said_parts, max_size=8), reason=reasons, usage=usages)
def test_the_decoder_reads_what_was_said(body: list[ProviderEvent], reason: FinishReason, usage: Usage) -> None:
    # Calls are numbered as they come, and each comes once.
    numbers = iter(range(99))
    body = [ToolDelta(one.text, next(numbers), one.id, one.name) if isinstance(one, ToolDelta) else one for one in body]
    said = [Started("id", "gemini-x"), *body, Finished(reason), UsageReported(usage), StreamEnd()]
    question = Question(model="gemini-x", form="json", stream=True)
    sent = google().stream(question, said)
    whole = route("gemini-x").provider.whole(google().whole(question, said))
    back = read_back(sent)
    assert read_back(as_array(sent), array=True) == back
    in_order = [one for one in body if not isinstance(one, ToolDelta)]
    assert [one for one in back if isinstance(one, TextDelta | ThinkingDelta)] == in_order
    assert [one for one in back if isinstance(one, ToolDelta)] == [one for one in body if isinstance(one, ToolDelta)]
    ends = [Finished(one.reason) if isinstance(one, Finished) else one for one in back[-2:]]
    assert ends == [Finished(reason), UsageReported(usage)]
    assert "".join(one.text for one in whole if isinstance(one, TextDelta) and not one.choice) == "".join(
        one.text for one in body if isinstance(one, TextDelta) and not one.choice
    )
    assert [one for one in whole if isinstance(one, ToolDelta | UsageReported)] == [
        one for one in back if isinstance(one, ToolDelta | UsageReported)
    ]


def test_a_whole_answer_with_an_error_in_it_is_the_error() -> None:
    failed = Failed(ServerError("boom", provider="x", code="C"))
    said: list[ProviderEvent] = [Started("id", "m"), TextDelta("a"), failed]
    question = Question(model="m", form="json")
    assert json.loads(google().whole(question, said))["error"] == {"code": 500, "message": "boom", "status": "C"}


def test_a_refusal_is_a_prohibited_content_with_its_sentence() -> None:
    said: list[ProviderEvent] = [Started("id", "m"), RefusalDelta("No"), RefusalDelta("."), Finished("refused")]
    [candidate] = json.loads(google().whole(Question(model="m", form="json"), said))["candidates"]
    assert (candidate["finishReason"], candidate["finishMessage"]) == ("PROHIBITED_CONTENT", "No.")


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ({}, "contents is not specified"),
        ({**ASK, "messages": []}, 'Unknown name "messages": Cannot find field'),
        ({**ASK, "generationConfig": {"max_tokens": 3}}, "Unknown name \"max_tokens\" at 'generation_config'"),
        ({**ASK, "generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens: must be positive"),
        ({**ASK, "generationConfig": {"responseJsonSchema": {}}, "tools": [{}]}, None),
        ({**ASK, "generationConfig": {"responseJsonSchema": {"type": "object"}}}, "response_mime_type"),
        (
            {
                **ASK,
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}},
            },
            "allowed_function_names",
        ),
    ],
)
def test_bad_questions_are_refused(body: JSON, match: str | None) -> None:
    if match is None:
        assert google().read(body, PATH).form == "text"
        return
    with pytest.raises(BadQuestionError, match=match):
        google().read(body, PATH)


def test_what_is_asked() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    config = {"responseMimeType": "application/json", "responseSchema": schema, "candidateCount": 2, "seed": 5}
    asked = google().read({**ASK, "generationConfig": config}, f"{PATH}?alt=sse&key=k")
    assert (asked.form, asked.choices, asked.seed, asked.stream, asked.array) == ("json", 2, 5, True, False)
    assert asked.schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    asked = google().read({**ASK, "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}, PATH)
    assert (asked.form, asked.tool, asked.forced, asked.array, asked.model) == ("tool", "f", False, True, "gemini-x")


def test_paths() -> None:
    assert google().name == "google"
    vertex = "/v1beta1/projects/p/locations/l/publishers/google/models/x:streamGenerateContent"
    for path in ("/v1/models/x:generateContent", vertex):
        found = dialect_for(path)
        assert found is not None
        assert found.name == "google"
    assert dialect_for("/v1beta/models/x:countTokens") is None


# Over a real socket


pytestmark = pytest.mark.anyio


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider(seed=1, api_key="k" * 20) as running:
        yield running


@pytest.fixture
async def service(provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StructuredLLMService]:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", provider.base_url.removesuffix("/v1"))
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", "k" * 20)
    async with StructuredLLMService() as made:
        yield made


def order(mode: Mode, **more: JSON) -> StreamingStructuredRequest[Order]:
    return StreamingStructuredRequest(
        response_model=Order, model="gemini-2.5-flash", prompt="An order", mode=mode, **more
    )


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
async def test_every_mode_gives_the_object(
    provider: SimulatedProvider, service: StructuredLLMService, mode: Mode, streaming: bool
) -> None:
    provider.script = Script(thinking="hm, an order")
    async with service.route_structured_streaming(order(mode, enable_streaming=streaming, cadence="delta")) as stream:
        steps = [step async for step in stream]
    outcome = steps[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.COMPLETE, outcome.error
    assert outcome.result == Order.model_validate_json(provider.requests[0].documents[0])
    assert outcome.thinking == "hm, an order"
    assert outcome.usage is not None
    assert outcome.response_id == "simulated-1-0"
    assert (len(steps) > 5) == (streaming and mode != "tool")
    assert outcome.attempts[0].streams == (streaming and mode != "tool")
    record = provider.requests[0]
    assert record.path.endswith(":streamGenerateContent" if streaming else ":generateContent")
    assert (record.query, record.headers["x-goog-api-key"]) == ("alt=sse" if streaming else "", "[redacted]")
    assert "authorization" not in record.headers


async def test_streamed_arguments_fill_the_object_value_by_value(
    provider: SimulatedProvider, service: StructuredLLMService
) -> None:
    extra = {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}
    async with service.route_structured_streaming(order("tool", extra=extra, cadence="delta")) as stream:
        steps = [step async for step in stream]
    assert len(steps) > 5
    assert steps[-1].partial_result == Order.model_validate_json(provider.requests[0].documents[0])


# What becomes of each fault, by mode.
OUTCOMES: list[tuple[Fault, Mode, OutcomeKind]] = [
    (cut_at_byte(900), "native", OutcomeKind.INCOMPLETE),
    (reset_at_byte(900), "native", OutcomeKind.INCOMPLETE),
    (length(20), "native", OutcomeKind.TRUNCATED),
    (length(20), "tool", OutcomeKind.TRUNCATED),
    (length(0), "tool", OutcomeKind.TRUNCATED),
    (refusal(), "native", OutcomeKind.FILTERED),
    (content_filter(), "native", OutcomeKind.FILTERED),
    (in_band_error(), "native", OutcomeKind.PROVIDER_ERROR),
    (in_band_error(), "tool", OutcomeKind.PROVIDER_ERROR),
    (no_finish(), "native", OutcomeKind.INCOMPLETE),
    (duplicate_finish(), "native", OutcomeKind.COMPLETE),
    (unknown_events(), "native", OutcomeKind.COMPLETE),
    (malformed_chunk(), "native", OutcomeKind.PROVIDER_ERROR),
    (no_tool_call(), "tool", OutcomeKind.INVALID),
    (two_tool_calls(), "tool", OutcomeKind.COMPLETE),
    (status(429), "native", OutcomeKind.PROVIDER_ERROR),
    (status(503), "tool", OutcomeKind.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("fault", "mode", "kind"), OUTCOMES, ids=str)
async def test_faults(monkeypatch: pytest.MonkeyPatch, fault: Fault, mode: Mode, kind: OutcomeKind) -> None:
    async with SimulatedProvider(seed=1, faults=[fault]) as provider:
        monkeypatch.setenv("GEMINI_BASE_URL", provider.base_url.removesuffix("/v1"))
        async with StructuredLLMService(api_keys={"google": "k" * 20}) as service:
            async with service.route_structured_streaming(order(mode, max_retries=0)) as stream:
                steps = [step async for step in stream]
            outcome = steps[-1].outcome
            assert outcome is not None
            assert outcome.kind is kind, outcome.error
            assert "k" * 20 not in repr(outcome)


async def test_the_array_without_alt_sse(provider: SimulatedProvider) -> None:
    url = provider.base_url.removesuffix("/v1") + PATH
    async with httpx2.AsyncClient() as client:
        assert (await client.post(url, json=ASK)).status_code == 401
        body = {**ASK, "generationConfig": {"responseMimeType": "application/json", "seed": 7}}
        answer = await client.post(f"{url}?key={'k' * 20}", json=body)
        events = await client.post(f"{url}?alt=sse", json=body, headers={"x-goog-api-key": "k" * 20})
    assert answer.headers["content-type"] == "application/json"
    assert provider.requests[1].query == "key=[redacted]"
    array = read_back([answer.content], array=True)
    assert "".join(one.text for one in array if isinstance(one, TextDelta)) == provider.requests[1].documents[0]
    assert array[1:] == read_back([events.content])[1:]  # but for the id of the answer


@needs_google
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # its own
class TestGooglesOwnClient:
    @pytest.fixture
    def client(self, provider: SimulatedProvider) -> Any:  # Any: a package that need not be there
        genai = importlib.import_module("google.genai")
        return genai.Client(api_key="k" * 20, http_options={"base_url": provider.base_url.removesuffix("/v1")})

    async def test_whole(self, client: Any, provider: SimulatedProvider) -> None:
        config = {"response_mime_type": "application/json", "response_schema": Order}
        answer = await client.aio.models.generate_content(model="gemini-2.5-flash", contents="An order", config=config)
        assert answer.parsed == Order.model_validate_json(provider.requests[0].documents[0])
        assert answer.candidates[0].finish_reason.name == "STOP"
        assert answer.usage_metadata.total_token_count > 0
        assert answer.response_id == "simulated-1-0"

    async def test_streaming(self, client: Any, provider: SimulatedProvider) -> None:
        config = {"response_mime_type": "application/json", "response_json_schema": Order.model_json_schema()}
        stream = await client.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents="An order", config=config
        )
        chunks = [chunk async for chunk in stream]
        assert len(chunks) > 5
        assert "".join(chunk.text or "" for chunk in chunks) == provider.requests[0].documents[0]
        assert chunks[-1].candidates[0].finish_reason.name == "STOP"

    @pytest.mark.parametrize("streaming", [True, False])
    async def test_functions(self, client: Any, provider: SimulatedProvider, streaming: bool) -> None:
        function = {"name": "order", "parameters_json_schema": Order.model_json_schema()}
        config = {
            "tools": [{"function_declarations": [function]}],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["order"]}},
        }
        asked = {"model": "gemini-2.5-flash", "contents": "An order", "config": config}
        if streaming:
            answers = [one async for one in await client.aio.models.generate_content_stream(**asked)]
        else:
            answers = [await client.aio.models.generate_content(**asked)]
        [call] = [call for answer in answers for call in answer.function_calls or ()]
        assert (call.name, call.args) == ("order", json.loads(provider.requests[0].documents[0]))

    async def test_errors(self, client: Any, provider: SimulatedProvider) -> None:
        errors = importlib.import_module("google.genai.errors")
        config = {"max_output_tokens": -1}
        with pytest.raises(errors.ClientError, match=r"INVALID_ARGUMENT.*must be positive"):
            await client.aio.models.generate_content(model="gemini-2.5-flash", contents="An order", config=config)
        assert provider.requests[0].status == 400
