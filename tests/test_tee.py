"""One stream, several consumers: each gets all, the slow ones in fewer steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from structstream.cadence import coalesced
from structstream.errors import ConfigurationError
from structstream.parse import parse_stream
from structstream.response import OutcomeKind, StreamingResponse
from structstream.tee import tee
from structstream.testing import Script, stall_at_byte
from tests.edge import PROFILE, Profile, request_for, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

TEXT = "[" + ", ".join(str(number) for number in range(10, 200)) + "]"
PATHS = [*(f"[{at}]" for at in range(190)), ""]

Step = StreamingResponse[Any]  # Any: of any model


async def arriving(asked: list[int] | None = None) -> AsyncIterator[Step]:
    for at, step in enumerate(parse_stream(list(TEXT), list[int])):
        if asked is not None:
            asked.append(at)
        await asyncio.sleep(0)
        yield step


async def all_of(branch: AsyncIterator[Step]) -> list[Step]:
    return [step async for step in branch]


def completed(steps: list[Step]) -> list[str]:
    return [path for step in steps for path in step.completed]


async def test_each_consumer_gets_each_step() -> None:
    first, second = await asyncio.gather(*map(all_of, tee(arriving())))
    assert len(first) == len(second) > 700
    assert all(one is two for one, two in zip(first, second, strict=True))
    assert completed(first) == PATHS


async def test_a_slow_consumer_gets_the_newest_next_and_every_completion() -> None:
    quick, slow = tee(arriving())
    got: list[Step] = []

    async def dawdle() -> None:
        async for step in slow:
            got.append(step)
            for _ in range(100):
                await asyncio.sleep(0)

    every, _ = await asyncio.gather(all_of(quick), dawdle())
    assert len(got) < len(every) / 10
    assert sum(step.coalesced for step in got) == len(every)
    assert completed(got) == completed(every) == PATHS
    assert got[-1].outcome is every[-1].outcome
    lengths = [len(step.partial_result or ()) for step in got]
    assert lengths == sorted(lengths)


async def joined_in_pairs() -> AsyncIterator[Step]:
    earlier = None
    async for step in arriving():
        if earlier is None:
            earlier = step
        else:
            yield coalesced(earlier, step)
            earlier = None
    if earlier is not None:
        yield earlier


@pytest.mark.parametrize("source", [arriving, joined_in_pairs])
async def test_what_a_consumer_has_got_is_not_changed_for_another(source: Any) -> None:
    quick, slow = tee(source())
    first = await all_of(quick)
    (second,) = await all_of(slow)
    for steps in (first, [second]):
        assert "".join(chunk for step in steps for chunk in step.raw_chunks) == TEXT
        assert completed(steps) == PATHS
    assert sum(step.coalesced for step in first) == second.coalesced


async def test_who_reads_nothing_keeps_one_step() -> None:
    quick, idle = tee(arriving())
    await all_of(quick)
    step = await anext(idle)
    assert completed([step]) == PATHS
    assert await all_of(idle) == []


async def test_nothing_is_read_before_somebody_asks() -> None:
    asked: list[int] = []
    first, _ = tee(arriving(asked))
    assert asked == []
    await anext(first)
    assert asked == [0]


async def test_a_consumer_that_leaves_takes_nothing_from_the_others() -> None:
    async with serving(script=Script(delta_size=1), faults=[stall_at_byte(12_000)]) as (service, provider):
        stream = service.route_structured_streaming(request_for(cadence="delta"))
        leaving, staying = stream.tee()
        waiting = asyncio.ensure_future(all_of(leaving))
        rest = asyncio.ensure_future(all_of(staying))
        await provider.wait_for_stall()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await leaving.aclose()
        provider.release()
        steps = await rest
        assert steps[-1].partial_result == Profile.model_validate_json(PROFILE)
        assert completed(steps) == ["name", "age", "tags[0]", "tags[1]", "tags[2]", "tags", ""]


async def test_the_last_one_to_leave_closes_the_stream() -> None:
    async with serving(script=Script(delta_size=1), faults=[stall_at_byte(12_000)]) as (service, provider):
        stream = service.route_structured_streaming(request_for(cadence="delta"))
        first, second = stream.tee()
        async with first:
            waiting = asyncio.ensure_future(all_of(second))
            await provider.wait_for_stall()
        assert stream.outcome is None
        waiting.cancel()
        await second.aclose()
        await second.aclose()
        await provider.wait_for_disconnect()
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED


async def test_what_breaks_the_stream_reaches_who_asked() -> None:
    async def broken() -> AsyncIterator[Step]:
        yield StreamingResponse()
        raise ZeroDivisionError

    first, second = tee(broken())
    await anext(first)
    with pytest.raises(ZeroDivisionError):
        await anext(first)
    assert len(await all_of(second)) == 1


@pytest.mark.parametrize("count", [0, "2", 2.0, True])
async def test_there_is_at_least_one_consumer(count: Any) -> None:
    with pytest.raises(ConfigurationError, match="count must be a positive integer"):
        tee(arriving(), count)
