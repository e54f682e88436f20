"""What the tests of the edge share: a model, requests for it, and a service that speaks to a simulated provider."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient
from pydantic import BaseModel

from structstream.policies import Policies
from structstream.request import StreamingStructuredRequest
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from structstream.clock import Clock
    from structstream.response import StreamingResponse

__all__ = ["BARE", "CLIENTS", "KEY", "PROFILE", "Profile", "aiohttp_client", "request_for", "serving", "steps_of"]

KEY = "sk-planted-0123456789abcdefghij"


BARE = Policies(retry=None, breaker=None, concurrency=None, pause=None, fallback=None)
"""No policy at all: each stream is one attempt."""


class Profile(BaseModel):
    """A model with a text, a number and a list."""

    name: str
    age: int
    tags: list[str]


PROFILE = '{"name": "Ada Lovelace", "age": 36, "tags": ["engines", "notes", "numbers"]}'
"""What the simulated provider of `serving` answers."""


def request_for(**others: Any) -> StreamingStructuredRequest[Profile]:  # Any: whatever a request takes
    """Return a request for a `Profile`, with what is given changed."""
    values = {"response_model": Profile, "model": "simulated/gpt-4o", "prompt": "An engineer, in confidence", **others}
    return StreamingStructuredRequest(**values)


def aiohttp_client(base_url: str) -> AsyncOpenAI:
    """Return a client as the service builds it."""
    return AsyncOpenAI(api_key=KEY, base_url=base_url, http_client=DefaultAioHttpClient())


def httpx2_client(base_url: str) -> AsyncOpenAI:
    """Return a client as the SDK builds it."""
    return AsyncOpenAI(api_key=KEY, base_url=base_url)


def azure_client(base_url: str) -> AsyncOpenAI:
    """Return a client that writes paths and keys in its own way."""
    endpoint = base_url.removesuffix("/v1")
    http_client = DefaultAioHttpClient()
    return AsyncAzureOpenAI(api_key=KEY, azure_endpoint=endpoint, api_version="2024-10-21", http_client=http_client)


CLIENTS: list[Callable[[str], AsyncOpenAI]] = [aiohttp_client, httpx2_client, azure_client]


@asynccontextmanager
async def serving(
    *,
    policies: Policies = BARE,
    make_client: Callable[[str], AsyncOpenAI] = aiohttp_client,
    clock: Clock | None = None,
    settings: Mapping[str, Any] | None = None,  # Any: whatever a service takes
    **provider: Any,  # Any: whatever a SimulatedProvider takes
) -> AsyncIterator[tuple[StructuredLLMService, SimulatedProvider]]:
    """Run a simulated provider that answers with `PROFILE`, and a service that speaks to it through a given client."""
    provider.setdefault("document", PROFILE)
    async with (
        SimulatedProvider(**provider) as simulated,
        make_client(simulated.base_url) as client,
        StructuredLLMService(client, clock=clock, policies=policies, **(settings or {})) as service,
    ):
        yield service, simulated


async def steps_of(
    service: StructuredLLMService, request: StreamingStructuredRequest[Profile]
) -> list[StreamingResponse[Profile]]:
    """Return all steps of the stream of `request`."""
    return [response async for response in service.route_structured_streaming(request)]
