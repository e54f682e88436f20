"""What came instead of a stream is told from an answer, and says what it means without quoting too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest

from structstream.clock import DeadlinePassed, Watchdog
from structstream.errors import RateLimitedError
from structstream.events import TextDelta
from structstream.providers import route
from structstream.testing import FakeClock
from structstream.unstreamed import MAX_ERROR_BODY, SAYING_WHY, collect, moved, refusal, unasked

WHOLE = {
    "openai/gpt-4o": {"choices": [{"message": {"content": "[1]"}, "finish_reason": "stop"}]},
    "openai-responses/gpt-4o": {
        "id": "r",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "[1]"}]}],
    },
    "anthropic/claude": {"content": [{"type": "text", "text": "[1]"}], "stop_reason": "end_turn"},
    "google/gemini": {"candidates": [{"content": {"parts": [{"text": "[1]"}]}, "finishReason": "STOP"}]},
}


class Answer(NamedTuple):
    """Status and headers."""

    status: int
    headers: dict[str, str]


@pytest.mark.parametrize("model", WHOLE)
def test_a_whole_answer_is_told_from_all_else(model: str) -> None:
    provider = route(model).provider
    events = unasked(provider, json.dumps(WHOLE[model]).encode())
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "[1]"
    for other in (b"", b"{", b"{}", b'{"error": {"message": "no"}}', b'{"message": "Not Found"}', b"[]", b"<html>"):
        assert unasked(provider, other) == ()


def test_a_refusal_counts_from_the_answer_s_own_date() -> None:
    headers = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:09 GMT"}
    answer = Answer(429, headers)
    error = refusal(route("openai/gpt-4o").provider, answer, b'{"error": {"message": "slow down"}}', whole=True)  # type: ignore[arg-type]
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 9
    assert "slow down" in str(error)


def test_of_a_body_without_an_end_only_a_bounded_start_is_looked_at() -> None:
    body = b"no " * MAX_ERROR_BODY
    error = refusal(route("openai/gpt-4o").provider, None, body, whole=False)
    assert len(str(error)) < 2000


@pytest.mark.parametrize("location", ["https://other.example/v2?token=hidden", "//hidden@other.example/hidden"])
def test_a_redirect_names_the_host_and_nothing_else(location: str) -> None:
    error = moved("openai", Answer(307, {"location": location, "x-request-id": "r1"}))  # type: ignore[arg-type]
    assert "the host other.example" in str(error)
    assert "hidden" not in str(error)
    assert (error.status, error.request_id, error.retryable) == (307, "r1", False)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [3, 7, 1000])
async def test_a_body_that_is_whole_is_waited_for_no_longer_than_to_say_why(size: int) -> None:
    """Also where it is cut behind a bracket that closes something else."""
    body = json.dumps({"choices": [{"message": {"content": "[1]"}} for _ in range(3)]}).encode()
    clock = FakeClock()

    async def never_ends() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(body), size):
            yield body[at : at + size]
        await asyncio.Event().wait()

    async def collected(most: int) -> bytes:
        found, watchdog = bytearray(), Watchdog(clock)
        try:
            await collect(never_ends(), found, most, until=clock.now() + 60, watchdog=watchdog, now=clock.now)
        finally:
            watchdog.close()
        return bytes(found)

    reading = asyncio.ensure_future(collected(1 << 20))
    await clock.advance(0)
    await clock.advance(SAYING_WHY - 0.1)
    assert not reading.done()
    await clock.advance(0.2)
    assert await reading == body
    assert len(await collected(20)) <= 20 + size
    body = body[:-1]
    reading = asyncio.ensure_future(collected(1 << 20))
    await clock.advance(0)
    await clock.advance(59)
    assert not reading.done()
    await clock.advance(2)
    with pytest.raises(DeadlinePassed):
        await reading
