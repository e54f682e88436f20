"""A reader that was away gets what came meanwhile in one piece; one that is not gets each piece as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from structstream.gathering import Gathering
from structstream.testing.clock import FakeClock
from tests.edge import Profile, httpx2_client, request_for, serving

pytestmark = pytest.mark.anyio


class Source:
    """A body of pieces, of which as many have come as are let through."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.error = error
        self.read = 0
        self.closed = False
        self.more = asyncio.Semaphore(len(pieces) + 1)

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                await self.more.acquire()
                self.read += 1
                yield piece
            await self.more.acquire()
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def test_who_asks_in_time_gets_each_piece() -> None:
    body = Gathering(Source(b"a", b"b", b"c")(), FakeClock())
    assert [data async for data in body] == [b"a", b"b", b"c"]


async def test_who_was_away_gets_what_came_meanwhile_and_then_the_end() -> None:
    clock = FakeClock()
    body = Gathering(Source(*(b"%d" % number for number in range(50)))(), clock)
    assert await anext(body) == b"0"
    await clock.advance(0.2)
    assert await anext(body) == b"".join(b"%d" % number for number in range(1, 50))
    with pytest.raises(StopAsyncIteration):
        await anext(body)


async def test_he_does_not_wait_for_more_and_loses_nothing_of_it() -> None:
    clock, source = FakeClock(), Source(b"a", b"b", b"c", b"d")
    source.more = asyncio.Semaphore(3)
    body = Gathering(source(), clock)
    assert await anext(body) == b"a"
    await clock.advance(0.2)
    assert await anext(body) == b"bc"
    source.more.release()
    assert await anext(body) == b"d"


async def test_no_more_is_put_together_than_a_bound() -> None:
    clock, source = FakeClock(), Source(*[b"x" * 1000] * 1000)
    body = Gathering(source(), clock)
    await anext(body)
    await clock.advance(0.2)
    assert len(await anext(body)) == 132_000
    assert source.read == 133


async def test_a_failure_comes_behind_what_came_before_it() -> None:
    clock = FakeClock()
    body = Gathering(Source(b"a", b"b", error=ZeroDivisionError())(), clock)
    await anext(body)
    await clock.advance(0.2)
    assert await anext(body) == b"b"
    with pytest.raises(ZeroDivisionError):
        await anext(body)


@pytest.mark.parametrize("pieces", [2, 3])
async def test_leaving_gives_up_the_read_that_is_under_way(pieces: int) -> None:
    clock, source = FakeClock(), Source(b"a", b"b", b"c", error=ZeroDivisionError())
    source.more = asyncio.Semaphore(pieces)
    body = Gathering(source(), clock)
    await anext(body)
    await clock.advance(0.2)
    await anext(body)
    await body.aclose()
    await body.aclose()
    assert source.closed


async def test_a_caller_of_the_sdks_own_http_client_who_is_slow_gets_the_newest_next() -> None:
    """It hands up an HTTP chunk at a time, and each holds one event: a step a second would be an event a second."""
    tags = [f"tag {number}" for number in range(500)]
    document = Profile(name="Ada", age=36, tags=tags).model_dump_json()
    clock = FakeClock()
    completed: list[str] = []
    async with serving(document=document, make_client=httpx2_client, clock=clock) as (service, provider):
        steps = 0
        async for step in service.route_structured_streaming(request_for()):
            completed += step.completed
            steps += 1
            await clock.advance(1.0)
            for _ in range(20):
                await asyncio.sleep(0)
    assert completed == ["name", "age", *(f"tags[{number}]" for number in range(500)), "tags", ""]
    assert step.result == Profile(name="Ada", age=36, tags=tags)
    assert steps < provider.requests[0].events_sent / 5
