"""The moderation endpoint, spoken to over HTTP: what it flags ends the stream, and what it does not answer as well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from openai import AsyncOpenAI

from structstream.integrations.openai_moderation import ModerationGuardrail
from structstream.response import OutcomeKind
from structstream.verdicts import ALLOW, GuardedText, Verdict
from tests.edge import KEY, request_for, serving, steps_of
from tests.rawserver import http_head, raw_server

pytestmark = pytest.mark.anyio
CATEGORIES = ("harassment", "self-harm", "violence")


def moderation(*flagged: str) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """What answers as the endpoint does."""
    categories = {name: name in flagged for name in CATEGORIES}
    scores = {name: 0.9 if holds else 0.01 for name, holds in categories.items()}
    result = {"flagged": bool(flagged), "categories": categories, "category_scores": scores}
    whole = {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}
    return answering("200 OK", json.dumps(whole))


def answering(status: str, text: str) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        body = text.encode()
        writer.write(http_head(status, {"content-type": "application/json"}, len(body)) + body)
        await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("flagged", "categories", "verdict"),
    [
        ((), None, ALLOW),
        (("violence",), None, Verdict.stop("flagged for violence")),
        (("violence", "self-harm"), None, Verdict.stop("flagged for self-harm, violence")),
        (("violence",), ["harassment"], ALLOW),
        (("violence",), ["violence"], Verdict.stop("flagged for violence")),
    ],
)
async def test_what_the_endpoint_flags_is_stopped(
    flagged: tuple[str, ...], categories: list[str] | None, verdict: Verdict
) -> None:
    async with raw_server(moderation(*flagged)) as server:
        async with AsyncOpenAI(api_key=KEY, base_url=server.base_url) as client:
            rail = ModerationGuardrail(client, categories=categories)
            assert await rail.check_text(GuardedText("some text")) == verdict
            assert await rail.check_text(GuardedText("  ")) is ALLOW
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/moderations ")
    assert json.loads(body) == {"model": "omni-moderation-latest", "input": "some text"}


@pytest.mark.parametrize("fail_open", [False, True])
async def test_an_endpoint_that_fails_closes_the_gate_unless_told_otherwise(fail_open: bool) -> None:
    async with (
        raw_server(answering("500 Internal Server Error", "{}")) as server,
        AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=0) as client,
        serving() as (service, provider),
    ):
        rail = ModerationGuardrail(client, fail_open=fail_open)
        [*_, last] = await steps_of(service, request_for(guardrails=[rail]))
        assert bool(provider.requests) == fail_open
    assert last.outcome is not None
    assert last.outcome.kind is (OutcomeKind.COMPLETE if fail_open else OutcomeKind.BLOCKED)


async def test_a_flagged_prompt_is_not_sent() -> None:
    async with (
        raw_server(moderation("violence")) as server,
        AsyncOpenAI(api_key=KEY, base_url=server.base_url) as client,
        serving() as (service, provider),
    ):
        [last] = await steps_of(service, request_for(guardrails=[ModerationGuardrail(client)]))
        assert provider.requests == []
    assert last.error == "blocked by the guardrail 'openai moderation': flagged for violence"
