from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from structstream.continuation import Continuation, TakeUp
from structstream.errors import ConfigurationError
from structstream.providers import ROUTES, ProviderSpec, resolve_mode, route
from structstream.request import Mode, StreamingStructuredRequest


class Flat(BaseModel):
    name: str


def request(response_model: Any = Flat, mode: Mode = "auto") -> StreamingStructuredRequest[Any]:  # Any: any type
    return StreamingStructuredRequest(response_model=response_model, model="x/y", prompt="?", mode=mode)


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("openrouter/meta-llama/llama-3.1-8b:free", "openrouter", "meta-llama/llama-3.1-8b:free"),
        ("groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("simulated/any", "simulated", "any"),
        ("azure/my-deployment", "azure", "my-deployment"),
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("o1", "openai", "o1"),
        ("o3-mini", "openai", "o3-mini"),
        ("o4-mini-2025-04-16", "openai", "o4-mini-2025-04-16"),
        ("ft:gpt-4o:me::id", "openai", "ft:gpt-4o:me::id"),
        (" openai/gpt-4o ", "openai", "gpt-4o"),
        ("anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("claude-3-5-haiku-latest", "anthropic", "claude-3-5-haiku-latest"),
        ("google/gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("gemini-3-pro-preview", "google", "gemini-3-pro-preview"),
    ],
)
def test_routes(model: str, provider: str, name: str) -> None:
    found = route(model)
    assert (found.spec.name, found.model) == (provider, name)


@pytest.mark.parametrize("model", ["nobody/x", "llama3", "openai/", "/gpt-4o", "", "o11y", "meta-llama/Llama-3"])
def test_an_unknown_model_is_refused_with_the_names_that_there_are(model: str) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"write provider/model, with one of alibaba, anthropic, azure, .*, xai, xai-responses$",
    ):
        route(model)


def test_a_caller_may_add_rows_and_a_default() -> None:
    rows = {**ROUTES, "mine": ProviderSpec(name="mine", base_url="http://localhost:1/v1")}
    assert route("mine/a/b", rows).model == "a/b"
    assert route("llama3", rows, default="mine").spec.name == "mine"
    assert route("gpt-4o", rows, default="mine").spec.name == "openai"


@pytest.mark.parametrize(
    ("model", "response_model", "mode"),
    [
        ("openai/gpt-4o", Flat, "native"),
        ("openai/gpt-4o", list[Flat], "native"),
        ("openai/gpt-4o", dict[str, int], "tool"),
        ("openai/gpt-4-turbo", Flat, "tool"),
        ("openai/gpt-4", Flat, "tool"),
        ("openai/gpt-4.1", Flat, "native"),
        ("openai/gpt-3.5-turbo", Flat, "tool"),
        ("openai/gpt-4o-2024-05-13", Flat, "tool"),
        ("openai/gpt-4o-2024-08-06", Flat, "native"),
        ("vllm/x", dict[str, int], "native"),
        ("simulated/x", Any, "native"),
        ("perplexity/sonar", dict[str, int], "prompted"),
        ("deepseek/deepseek-chat", Flat, "tool"),
        ("deepseek/deepseek-reasoner", Flat, "prompted"),
        ("groq/openai/gpt-oss-20b", Flat, "native"),
        ("groq/llama-3.3-70b-versatile", Flat, "tool"),
        ("anthropic/claude-opus-4-8", Flat, "native"),
        ("anthropic/claude-haiku-4-5-20251001", list[Flat], "native"),
        ("anthropic/claude-haiku-4-5", dict[str, int], "tool"),
        ("anthropic/claude-opus-4-1-20250805", Flat, "tool"),
        ("anthropic/claude-sonnet-4-20250514", Flat, "tool"),
        ("anthropic/claude-4-sonnet-20250514", Flat, "tool"),
        ("anthropic/claude-3-7-sonnet-latest", Flat, "tool"),
        ("claude-2.1", Flat, "tool"),
    ],
)
def test_auto_takes_the_strictest_that_provider_model_and_schema_allow(
    model: str, response_model: object, mode: str
) -> None:
    assert route(model).mode(request(response_model)) == mode


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
def test_a_named_mode_is_taken(mode: Mode) -> None:
    assert resolve_mode(request(mode=mode), ROUTES["openai"], "gpt-4o") == mode


def test_a_mode_that_cannot_be_had_is_refused_with_those_that_can() -> None:
    with pytest.raises(
        ConfigurationError, match=r"deepseek/deepseek-chat cannot do mode='native'; .* auto, tool, prompted"
    ):
        route("deepseek/deepseek-chat").mode(request(mode="native"))


def test_native_by_name_with_a_schema_that_cannot_be_said_is_refused_when_encoding() -> None:
    with pytest.raises(ConfigurationError, match="a mapping with free keys"):
        route("openai/gpt-4o").encode(request(dict[str, int], "native"))


def test_a_route_encodes_in_its_mode() -> None:
    assert "tools" in route("openai/gpt-4-turbo").encode(request()).body
    assert "response_format" in route("openai/gpt-4o").encode(request()).body


def test_a_rest_that_a_strict_subset_cannot_say_is_asked_for_in_the_next_mode() -> None:
    anything = {"type": "object", "properties": {"rest_1": {"type": "object", "additionalProperties": True}}}
    says = {"type": "object", "properties": {"rest_1": {"type": "string"}}}
    for schema, mode in ((anything, "tool"), (says, "native")):
        going_on = replace(request(mode="native"), continuation=Continuation(prefix="{", schema=schema))
        assert route("openai/gpt-4o").mode(going_on) == mode


def test_a_lost_stream_is_sent_on_by_the_model_that_it_came_from_if_its_provider_can() -> None:
    going_on = replace(
        request(),
        model="openai-responses/gpt-4o",
        continuation=Continuation(prefix="[1", take_up=TakeUp("openai-responses/gpt-4o", "resp/1", 7, "[1, ")),
    )
    call = route(going_on.model).take_up(going_on)
    assert call is not None
    assert (call.method, call.path) == ("GET", "/responses/resp%2F1?stream=true&starting_after=7")
    assert route("openai-responses/gpt-4.1").take_up(replace(going_on, model="openai-responses/gpt-4.1")) is None
    for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini-2.5-flash"):
        own = replace(going_on, model=model, continuation=Continuation(prefix="[", take_up=TakeUp(model, "r", 1, "[")))
        assert route(model).take_up(own) is None
        assert route(model).take_up(request()) is None
        assert type(route(model).provider.decoder_of_rest()) is type(route(model).provider.decoder())
