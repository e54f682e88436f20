"""A client of instructor is taken over with its address, its key, its mode and its hooks, and is not patched."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from structstream.adopted import adopted, is_instructor
from structstream.errors import ConfigurationError
from structstream.request import StreamingStructuredRequest
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider
from tests.edge import KEY, PROFILE, Profile

instructor = pytest.importorskip("instructor", reason="the environment without instructor")


def test_only_instructor_s_own_clients_count() -> None:
    assert is_instructor(instructor.from_openai(AsyncOpenAI(api_key=KEY)))
    assert is_instructor(instructor.from_openai(OpenAI(api_key=KEY)))
    assert not is_instructor(AsyncOpenAI(api_key=KEY))
    assert not is_instructor(None)


@pytest.mark.parametrize(
    ("mode", "ours"),
    [("TOOLS", "tool"), ("JSON", "prompted"), ("MD_JSON", "prompted"), ("JSON_SCHEMA", "native")],
)
def test_a_mode_becomes_one_that_names_no_provider(mode: str, ours: str) -> None:
    client = instructor.from_openai(AsyncOpenAI(api_key=KEY), mode=instructor.Mode[mode])
    assert adopted(client).mode == ours


def test_an_async_client_is_used_as_it_is() -> None:
    own = AsyncOpenAI(api_key=KEY)
    assert adopted(instructor.from_openai(own)).client is own


def test_of_a_blocking_client_the_async_twin_is_made() -> None:
    own = OpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1", default_headers={"x-team": "a"}, organization="o")
    twin = adopted(instructor.from_openai(own)).client
    assert type(twin) is AsyncOpenAI
    assert (twin.api_key, twin.base_url, twin.organization) == (own.api_key, own.base_url, "o")
    assert twin.default_headers["x-team"] == "a"


def test_a_blocking_client_of_azure_keeps_its_paths() -> None:
    own = AzureOpenAI(api_key=KEY, azure_endpoint="http://127.0.0.1:9", api_version="2024-10-21")
    twin = adopted(instructor.from_openai(own)).client
    assert isinstance(twin, AsyncAzureOpenAI)
    assert (twin.base_url, twin._api_version) == (own.base_url, "2024-10-21")


def test_the_key_is_in_no_repr() -> None:
    anthropic = pytest.importorskip("anthropic", reason="only in the environment of the checks")
    taken = adopted(instructor.from_anthropic(anthropic.AsyncAnthropic(api_key=KEY)))
    assert taken.api_keys == {"anthropic": KEY}
    assert KEY not in repr(taken)


def test_a_vendor_that_is_not_spoken_is_refused_with_what_to_do() -> None:
    client = instructor.from_openai(AsyncOpenAI(api_key=KEY))
    client.client = object()
    with pytest.raises(ConfigurationError, match=r"integrations\.instructor"):
        adopted(client)


@pytest.mark.anyio
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_the_service_takes_client_mode_and_hooks(vendor: str) -> None:
    heard: list[Any] = []
    async with SimulatedProvider(document=PROFILE) as provider:
        if vendor == "openai":
            client = instructor.from_openai(AsyncOpenAI(api_key=KEY, base_url=provider.base_url))
        else:
            anthropic = pytest.importorskip("anthropic", reason="only in the environment of the checks")
            base = provider.base_url.removesuffix("/v1")
            client = instructor.from_anthropic(anthropic.AsyncAnthropic(api_key=KEY, base_url=base))
        client.on("completion:response", heard.append)
        request = StreamingStructuredRequest(response_model=Profile, model=f"{vendor}/some", prompt="An engineer")
        async with StructuredLLMService(client) as service, service.route_structured_streaming(request) as stream:
            found = await stream.result()
            assert stream.outcome is not None
            assert [attempt.mode for attempt in stream.outcome.attempts] == ["tool"]
        assert found == Profile.model_validate_json(PROFILE)
        await client.client.close()
    assert [outcome.result for outcome in heard] == [found]
    assert KEY not in repr(heard)
