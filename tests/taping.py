"""What the tests of cassettes share: a service that is recorded against a simulated provider, and what steps say."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from structstream.providers import ProviderSpec
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider
from structstream.testing.cassettes import Cassette
from tests.edge import BARE, KEY, PROFILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from structstream.response import StreamingResponse
    from structstream.testing.cassettes import Playback

__all__ = ["AUTH", "playing", "recording", "rows", "said"]

AUTH: dict[str, Literal["bearer", "x-api-key", "x-goog-api-key"]] = {
    "openai_chat": "bearer",
    "openai_responses": "bearer",
    "anthropic": "x-api-key",
    "google": "x-goog-api-key",
}
"""Each dialect, and the header in which it sends its key."""


def rows(base_url: str) -> dict[str, ProviderSpec]:
    """A row for each dialect, by its name."""
    return {
        dialect: ProviderSpec(
            name=dialect,
            dialect=dialect,
            base_url=base_url if auth == "bearer" else base_url.removesuffix("/v1"),
            auth=auth,
            needs_key=True,
        )
        for dialect, auth in AUTH.items()
    }


@asynccontextmanager
async def recording(
    path: Path,
    *,
    cassette: dict[str, Any] | None = None,  # Any: whatever a Cassette takes
    **provider: Any,  # Any: whatever a SimulatedProvider takes
) -> AsyncIterator[tuple[StructuredLLMService, SimulatedProvider]]:
    """Run a simulated provider and a service that is recorded to `path`, with a row for each dialect."""
    provider.setdefault("document", PROFILE)
    async with SimulatedProvider(**provider) as simulated:
        with Cassette(path, **{"record_mode": "all", **(cassette or {})}) as tape:
            async with StructuredLLMService(
                wrap_transport=tape.wrap,
                providers=rows(simulated.base_url),
                api_keys=dict.fromkeys(AUTH, KEY),
                clock=provider.get("clock"),
                policies=BARE,
            ) as service:
                yield service, simulated


@asynccontextmanager
async def playing(
    path: Path,
    play: Playback | None = None,
    **cassette: Any,  # Any: whatever a Cassette takes
) -> AsyncIterator[tuple[StructuredLLMService, Cassette]]:
    """Yield a service that plays `path` and knows no address."""
    given = {"record_mode": "none", **cassette} | ({} if play is None else {"play": play})
    with Cassette(path, **given) as tape:
        async with StructuredLLMService(
            tape.client,
            wrap_transport=tape.wrap,
            providers=rows("http://nowhere.invalid/v1"),
            clock=cassette.get("clock"),
            policies=BARE,
        ) as service:
            yield service, tape


def said(step: StreamingResponse[Any]) -> dict[str, Any]:
    """All that a step says, but for the time that it took."""
    outcome = step.outcome
    told = {} if outcome is None else {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return {
        "partial": repr(step.partial_result),
        "raw_chunks": list(step.raw_chunks),
        "changed": list(step.changed),
        "completed": list(step.completed),
        "percent": step.progress_percent,
        "attempt": step.attempt,
        "usage": step.usage,
        "headers": dict(told.get("headers", {})),  # in whatever order
        "cause": repr(told.get("error") and told["error"].__cause__),
        "outcome": {name: repr(value) for name, value in told.items() if name not in ("timings", "headers")},
    }
