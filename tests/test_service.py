"""The service: what can be known to be wrong is said before a byte is sent, and a key is shown nowhere."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from pydantic import BaseModel
from typing_extensions import TypedDict

from structstream.errors import AuthenticationError, ConfigurationError, StructStreamError
from structstream.guardrails import PersonalData
from structstream.jsonsink import JSONLimits
from structstream.policies import CachePolicy, Policies
from structstream.providers import ROUTES, ProviderSpec
from structstream.request import HTTPRequest, StreamingStructuredRequest, Timeouts
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import Script, SimulatedProvider, status
from structstream.transport import SDKTransport
from tests.edge import BARE, CLIENTS, KEY, PROFILE, Profile, aiohttp_client, request_for, serving, steps_of
from tests.rawserver import http_head, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from structstream.transport import HTTPAnswer, Transport

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and addresses of the developer's own have no part in this."""
    for spec in ROUTES.values():
        urls = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
        for name in (*urls, *spec.key_env):
            if name:
                monkeypatch.delenv(name, raising=False)


# wrong arguments

BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model must be the name of a model"),
    ({"model": "gpt"}, "no provider for model 'gpt': write provider/model"),
    ({"model": "nobody/gpt-4o"}, "no provider for model 'nobody/gpt-4o'"),
    ({"model": "openai/"}, "no provider for model"),
    ({"prompt": None}, "exactly one of prompt and messages"),
    ({"response_model": None}, "response_model must be a type"),
    ({"response_model": 3}, "response_model"),
    ({"response_model": "Profile"}, "response_model"),
    ({"mode": "magic"}, "mode must be one of auto, native, tool, prompted, not 'magic'"),
    ({"model": "deepseek/deepseek-reasoner", "mode": "native"}, "cannot do mode='native'"),
    ({"response_model": dict[str, int], "mode": "native", "model": "openai/gpt-4o"}, "mode='native'"),
    ({"fallback_models": ["nobody/m"]}, "no provider for model 'nobody/m'"),
    ({"fallback_models": ["openai-responses/gpt-4o"], "stop": ["END"]}, "openai-responses cannot stop at a text"),
    ({"temperature": 3}, "temperature must be a number from 0 to 2"),
    ({"max_tokens": 0}, "max_tokens must be a positive integer"),
    ({"timeouts": 5}, "timeouts must be a Timeouts"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_REQUESTS, ids=lambda value: str(value)[:40])
async def test_a_wrong_argument_gets_its_sentence_and_nothing_is_sent(change: dict[str, Any], sentence: str) -> None:
    async with SimulatedProvider() as provider:
        rows = {name: with_base_url(spec, provider.base_url) for name, spec in ROUTES.items()}
        async with StructuredLLMService(providers=rows, api_keys=dict.fromkeys(rows, KEY)) as service:
            with pytest.raises(ConfigurationError, match=sentence):
                service.route_structured_streaming(request_for(**change))
            with pytest.raises(ConfigurationError, match=sentence):
                await service.route_structured(request_for(**change))
        assert provider.connections == 0


def with_base_url(spec: ProviderSpec, base_url: str) -> ProviderSpec:
    fields = {name: getattr(spec, name) for name in ProviderSpec.__slots__}
    return ProviderSpec(**{**fields, "base_url": base_url})


@pytest.mark.parametrize("name", ["connect", "first_token", "between_tokens", "total"])
@pytest.mark.parametrize("value", [0, -1, "5", True])
def test_a_deadline_is_a_positive_number(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"timeouts.{name} must be a positive number of seconds or None"):
        Timeouts(**{name: value})  # type: ignore[arg-type]  # which is the point


async def test_a_request_is_a_request() -> None:
    with pytest.raises(ConfigurationError, match="request must be a StreamingStructuredRequest, not dict"):
        StructuredLLMService().route_structured_streaming({"prompt": "?"})  # type: ignore[arg-type]  # which is the point


async def test_what_is_no_json_is_said_when_the_request_is_written() -> None:
    async with serving() as (service, provider):
        with pytest.raises(ConfigurationError, match="cannot be written as HTTP"):
            await service.route_structured(request_for(extra={"metadata": object()}))
        assert provider.requests == []


@pytest.mark.parametrize(
    "client", [OpenAI(api_key=KEY), "gpt-4o", httpx2.AsyncClient()], ids=lambda c: type(c).__name__
)
def test_a_client_that_cannot_work_is_refused_at_once(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="client must be an AsyncOpenAI"):
        StructuredLLMService(client)


@pytest.mark.parametrize("name", ["clock", "history", "max_event_bytes", "policies", "limits", "prices", "quality"])
def test_a_setting_that_cannot_work_is_refused_at_once(name: str) -> None:
    wrong: dict[str, Any] = {name: True}
    with pytest.raises(ConfigurationError, match=f"{name} must "):
        StructuredLLMService(**wrong)


# keys and addresses

MISSING = [
    ("openai/gpt-4o", "set OPENAI_API_KEY in the environment"),
    ("openrouter/x/y", "set OPENROUTER_API_KEY in the environment"),
    ("perplexity/sonar", "set PERPLEXITY_API_KEY or PPLX_API_KEY in the environment"),
    ("simulated/gpt-4o", "no base URL for provider 'simulated': set STRUCTSTREAM_SIMULATED_BASE_URL"),
]


@pytest.mark.parametrize(("model", "sentence"), MISSING)
def test_what_is_missing_is_named_with_what_to_set(model: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        StructuredLLMService().route_structured_streaming(request_for(model=model))


@pytest.mark.parametrize("key", ["sk-planted\nX-Evil: 1", "sk-plantéd", "sk planted"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigurationError, match="the key in OPENAI_API_KEY has a character") as raised:
        StructuredLLMService().route_structured_streaming(request_for(model="gpt-4o"))
    assert "plant" not in "".join(traceback.format_exception(raised.value))


async def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SimulatedProvider(document=PROFILE, api_key=KEY) as provider:
        monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        async with StructuredLLMService() as service:
            assert await service.route_structured(request_for(model="gpt-4o")) == ADA
            assert await service.route_structured(request_for(model="openai/gpt-4o")) == ADA
        assert provider.connections == 1
        await provider.wait_until(lambda provider: provider.active == 0, within=1)  # closed with the service


async def test_a_key_that_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SimulatedProvider(document=PROFILE, api_key=KEY) as provider:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-altogether")
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        async with StructuredLLMService(api_keys={"openai": KEY}) as service:
            assert await service.route_structured(request_for(model="gpt-4o")) == ADA


async def test_organization_and_project_of_openai_are_told_to_openai_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    async with SimulatedProvider(document=PROFILE) as provider:
        rows = {name: with_base_url(ROUTES[name], provider.base_url) for name in ("openai", "openai-responses", "groq")}
        async with StructuredLLMService(providers=rows, api_keys=dict.fromkeys(rows, KEY)) as service:
            await service.route_structured(request_for(model="openai/gpt-4o"))
            await service.route_structured(request_for(model="openai-responses/gpt-4o"))
            await service.route_structured(request_for(model="groq/gpt-4o"))
        told = [request.headers.get("openai-organization") for request in provider.requests]
        assert told == ["org-1", "org-1", None]


async def test_a_planted_key_is_shown_nowhere(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = status(401, body={"error": {"message": f"Incorrect API key provided: {KEY}"}})
    async with SimulatedProvider(faults=[echo]) as provider:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        async with StructuredLLMService() as service:
            stream = service.route_structured_streaming(request_for(model="gpt-4o"))
            with caplog.at_level(logging.DEBUG, "structstream"), pytest.raises(AuthenticationError) as raised:
                await stream.result()
            shown = [repr(service), repr(stream), repr(stream.outcome), repr(raised.value), repr(service._pool)]
            shown += traceback.format_exception(raised.value)
            shown += [record.getMessage() for record in caplog.records if record.name == "structstream"]
            assert KEY not in "".join(shown)
            assert KEY[-12:] not in "".join(shown)


# the caller's own client

ROUTED: list[tuple[str, str, str, str]] = [
    # base URL of the client, model asked for, provider, model sent
    ("https://api.openai.com/v1", "gpt-4o", "openai", "gpt-4o"),
    ("https://api.openai.com/v1", "openai/gpt-4o", "openai", "gpt-4o"),
    ("https://api.openai.com/v1", "openai-responses/gpt-4o", "openai-responses", "gpt-4o"),
    ("http://gpu-box:8000/v1", "openai-responses/gpt-4o", "openai-responses", "gpt-4o"),
    ("https://openrouter.ai/api/v1", "openrouter-responses/a/b", "openrouter-responses", "a/b"),
    ("https://openrouter.ai/api/v1", "openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("https://openrouter.ai/api/v1", "openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("http://localhost:11434/v1", "llama3", "ollama", "llama3"),
    ("http://gpu-box:8000/v1", "vllm/meta-llama/Llama-3", "vllm", "meta-llama/Llama-3"),
    ("http://gpu-box:8000/v1", "meta-llama/Llama-3", "openai", "meta-llama/Llama-3"),
    ("http://gpu-box:8000/v1", "llama3", "openai", "llama3"),
    # It sends its key as OpenAI does: behind it is none of the dialects that want it elsewhere.
    ("http://gateway:4000/v1", "google/gemini-2.5-flash", "openai", "google/gemini-2.5-flash"),
    ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash", "openai", "gemini-2.5-flash"),
]


@pytest.mark.parametrize(("base_url", "model", "provider", "sent"), ROUTED)
def test_a_given_client_speaks_to_the_provider_at_its_place(
    base_url: str, model: str, provider: str, sent: str
) -> None:
    service = StructuredLLMService(AsyncOpenAI(api_key=KEY, base_url=base_url))
    found, _ = service._plan(model)
    assert (found.spec.name, found.model) == (provider, sent)


def test_a_client_for_azure_names_a_deployment() -> None:
    client = AsyncAzureOpenAI(api_key=KEY, azure_endpoint="https://me.openai.azure.com", api_version="1")
    for model in ("my-deployment", "azure/my-deployment", "openai/my-deployment"):
        found, _ = StructuredLLMService(client)._plan(model)
        assert (found.spec.name, found.model) == ("azure", "my-deployment")
    found, _ = StructuredLLMService(client)._plan("azure-responses/my-deployment")
    assert (found.spec.name, found.spec.dialect, found.model) == (
        "azure-responses",
        "openai_responses",
        "my-deployment",
    )


async def test_a_given_client_is_left_open() -> None:
    async with serving() as (service, _):
        await service.route_structured(request_for())
        await service.aclose()
        assert await service.route_structured(request_for()) == ADA


async def test_a_transport_of_the_callers_own_is_taken() -> None:
    """What a cassette, a proxy or another HTTP library needs to be."""
    seen: list[HTTPRequest] = []

    class Answer:
        status = 200
        headers: Mapping[str, str] = {}

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'data: {"choices": [{"delta": {"content": "{\\"result\\": 4}"}, "finish_reason": "stop"}]}\n\n'

        async def aclose(self) -> None:
            pass

    class Recorded:
        async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
            seen.append(request)
            return Answer()

        async def aclose(self) -> None:
            pass

    request = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="2 + 2?")
    assert await StructuredLLMService(Recorded()).route_structured(request) == 4
    assert seen[0].path == "/chat/completions"


@pytest.mark.parametrize("kind", ["built", "client", "transport"])
async def test_a_transport_of_the_callers_own_stands_around_each_that_is_used(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a recorder needs: it sees every call, whatever sends it, and is closed with what was built."""
    seen: list[str] = []

    class Around:
        def __init__(self, inner: Transport) -> None:
            self.inner = inner

        async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
            seen.append(request.path)
            return await self.inner.stream(request, connect_timeout=connect_timeout)

        async def aclose(self) -> None:
            seen.append("closed")
            await self.inner.aclose()

    async with SimulatedProvider(document=PROFILE) as simulated, aiohttp_client(simulated.base_url) as client:
        monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", simulated.base_url)
        given = {"built": None, "client": client, "transport": SDKTransport(client)}[kind]
        async with StructuredLLMService(given, wrap_transport=Around) as service:
            assert await service.route_structured(request_for()) == ADA
    assert seen == ["/chat/completions", *(["closed"] if kind == "built" else [])]


async def test_a_transport_that_fails_to_close_keeps_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, inner: Transport) -> None:
            self.inner = inner
            self.stream = inner.stream

        async def aclose(self) -> None:
            await self.inner.aclose()
            raise OSError("the socket is gone")

    answers = tmp_path / "answers.sqlite3"
    async with SimulatedProvider(document=PROFILE) as simulated:
        monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", simulated.base_url)
        policies = Policies(cache=CachePolicy(path=str(answers)))
        service = StructuredLLMService(policies=policies, wrap_transport=Failing)
        assert await service.route_structured(request_for()) == ADA
        with pytest.raises(OSError, match="socket"):
            await service.aclose()
    assert not answers.with_name(f"{answers.name}-wal").exists()  # which SQLite takes away when the last one closes


# all kinds of response models


@dataclass
class Point:
    x: int
    y: int


class Movie(TypedDict):
    title: str


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


KINDS: list[tuple[Any, str, Any]] = [
    (Point, '{"x": 1, "y": 2}', Point(1, 2)),
    (Movie, '{"title": "Metropolis"}', {"title": "Metropolis"}),
    (list[int], '{"result": [1, 2]}', [1, 2]),
    (Cat | Dog, '{"result": {"kind": "dog"}}', Dog(kind="dog")),
    (int, '{"result": 4}', 4),
    (type(None), '{"result": null}', None),
    (dict[str, int], '{"a": 1}', {"a": 1}),
]


@pytest.mark.parametrize(("model", "text", "value"), KINDS, ids=lambda value: str(value)[:30])
async def test_every_kind_of_response_model_goes_the_whole_way(model: Any, text: str, value: Any) -> None:
    async with serving(document=text) as (service, _):
        for streaming in (True, False):
            request = request_for(response_model=model, enable_streaming=streaming)
            assert await service.route_structured(request) == value


# event loops


def test_one_service_lives_through_several_event_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are closed with each loop, without a warning, though nobody closes the service."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    service = StructuredLLMService()

    async def main() -> None:
        async with SimulatedProvider(document=PROFILE) as provider:
            monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
            assert await service.route_structured(request_for(model="gpt-4o")) == ADA
            await service.route_structured(request_for(model="gpt-4o"))
            assert provider.connections == 1

    for _ in range(3):
        asyncio.run(main())
    gc.collect()
    assert service._pool._kept == {}


async def test_many_streams_at_once_have_a_connection_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP clients allow 100 as a rule."""
    async with SimulatedProvider(document=PROFILE) as provider:
        monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", provider.base_url)
        async with StructuredLLMService() as service:
            streams = [service.route_structured_streaming(request_for(cadence="delta")) for _ in range(150)]
            await asyncio.gather(*(anext(stream) for stream in streams))
            results = await asyncio.gather(*(stream.result() for stream in streams))
        assert results == [ADA] * 150
        assert provider.connections == 150


@pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)
async def test_the_stream_and_the_whole_answer_agree(make_client: Any) -> None:
    async with serving(make_client=make_client) as (service, _):
        streamed = (await steps_of(service, request_for()))[-1].outcome
        whole = (await steps_of(service, request_for(enable_streaming=False)))[-1].outcome
        assert streamed is not None
        assert whole is not None
        assert streamed.kind is whole.kind is OutcomeKind.COMPLETE
        for name in ("result", "raw_text", "completed", "finish_reason", "usage"):
            assert getattr(streamed, name) == getattr(whole, name), name


def test_errors_of_this_library_have_one_root() -> None:
    assert issubclass(ConfigurationError, StructStreamError)


def test_rows_of_the_callers_are_added_to_the_table() -> None:
    mine = ProviderSpec(name="mine", base_url="http://127.0.0.1:9/v1", needs_key=False)
    service = StructuredLLMService(providers={"mine": mine, "groq": mine}, api_keys={"openai": KEY})
    assert service._plan("mine/m")[0].spec is service._plan("groq/m")[0].spec is mine
    assert service._plan("gpt-4o")[0].spec is ROUTES["openai"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"providers": ["a"]}, "providers must be a mapping of names to ProviderSpec, not list"),
        ({"providers": {"mine": "http://x"}}, "providers['mine'] must be a ProviderSpec, not str"),
        ({"providers": {"mine": ProviderSpec(name="mine", dialect="nope")}}, "speaks 'nope', which is none of"),
        ({"api_keys": "sk-abcdefghijklmnop"}, "api_keys must be a mapping of providers' names to keys, not str"),
        ({"api_keys": {"openai": None}}, "api_keys['openai'] must be text and not empty; this is NoneType"),
        ({"api_keys": {"openai": " "}}, "api_keys['openai'] must be text and not empty"),
        ({"limits": 5}, "limits must be a JSONLimits"),
        ({"wrap_transport": "cassette"}, "wrap_transport must be callable or None, not str"),
        ({"max_event_bytes": 0}, "max_event_bytes must be a positive integer or None, not 0"),
    ],
)
def test_a_service_that_cannot_work_says_so(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StructuredLLMService(**arguments)
    assert sentence in str(caught.value)
    assert "sk-abcdefghijklmnop" not in str(caught.value)


@pytest.mark.parametrize(
    ("bounds", "bound"),
    [({"limits": JSONLimits(max_string_length=3)}, "max_string_length=3"), ({"max_event_bytes": 50}, "=50 bytes")],
)
async def test_a_bound_of_the_service_is_held(bounds: dict[str, Any], bound: str) -> None:
    async with SimulatedProvider(document='["abcdef"]') as provider:
        client = AsyncOpenAI(base_url=provider.base_url, api_key="test")
        request = StreamingStructuredRequest(response_model=list[str], model="openai/gpt-4o", prompt="x")
        async with client, StructuredLLMService(client, **bounds) as service:
            steps = [step async for step in service.route_structured_streaming(request)]
    assert steps[-1].error is not None
    assert bound in steps[-1].error


# Gemini's array


def as_array_of(provider: SimulatedProvider, *, events: bool) -> StructuredLLMService:
    base_url = provider.base_url.removesuffix("/v1")
    row = replace(ROUTES["google"], name="relay", base_url=base_url, base_url_env="", asks_for_events=events)
    return StructuredLLMService(providers={"relay": row}, api_keys={"relay": KEY})


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("events_per_write", [1, 3])
async def test_a_stream_that_is_one_json_array_shows_what_events_show(mode: str, events_per_write: int) -> None:
    script = Script(delta_size=5, events_per_write=events_per_write)
    async with SimulatedProvider(document=PROFILE, script=script) as provider:
        shown = []
        for events in (True, False):
            async with as_array_of(provider, events=events) as service:
                steps = await steps_of(service, request_for(model="relay/gemini-2.5-flash", mode=mode, cadence="delta"))
                shown.append([repr(step.partial_result) for step in steps])
                assert steps[-1].outcome is not None
                assert steps[-1].outcome.kind is OutcomeKind.COMPLETE
        assert shown[0] == shown[1]
        asked = [(record.query, record.headers["accept"]) for record in provider.requests]
        assert asked == [("alt=sse", "text/event-stream"), ("", "application/json")]
        assert provider.disconnects == 0


async def test_an_array_is_an_error_or_cut_as_a_stream_is() -> None:
    part = '[{"candidates": [{"content": {"parts": [{"text": "{\\"name\\": \\"Ad"}]}}]}'
    bodies = {
        '[{"error": {"code": 429, "message": "slow down"}}]': OutcomeKind.PROVIDER_ERROR,
        part: OutcomeKind.INCOMPLETE,
        part + ', {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}]': OutcomeKind.PROVIDER_ERROR,
        part + ', {"promptFeedback": {"blockReason": "SAFETY"}}]': OutcomeKind.FILTERED,
        "[]": OutcomeKind.INCOMPLETE,
        "[1]": OutcomeKind.PROVIDER_ERROR,
    }
    for body, kind in bodies.items():

        async def answer(writer: asyncio.StreamWriter, body: str = body) -> None:
            data = b"\xef\xbb\xbf \r\n" + body.encode()
            writer.write(http_head(headers={"content-type": "application/json"}, length=len(data)) + data)

        async with raw_server(answer) as server:
            row = replace(ROUTES["google"], name="relay", base_url=server.base_url, base_url_env="")
            async with StructuredLLMService(
                providers={"relay": row}, api_keys={"relay": KEY}, policies=BARE
            ) as service:
                outcome = (await steps_of(service, request_for(model="relay/gemini-2.5-flash")))[-1].outcome
                assert outcome is not None
                assert (outcome.kind, body) == (kind, body)


def test_a_path_of_a_guardrail_that_is_no_pattern_is_said_before_anything_is_sent() -> None:
    rails = [PersonalData(paths=["items[].note"])]
    with pytest.raises(ConfigurationError, match=r"'items\[\].note' is no path pattern"):
        StructuredLLMService(guardrails=rails).route_structured_streaming(request_for(model="gpt-4o"))
