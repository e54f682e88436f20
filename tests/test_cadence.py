"""Steps that nobody asked for in time: one, the newest, with every completion."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from structstream.cadence import Patience, coalesced, spaced
from structstream.facts import Fact, StepsJoined
from structstream.parse import parse_stream
from structstream.request import Timeouts
from structstream.response import AttemptStart, OutcomeKind, StreamingResponse, Usage
from structstream.testing import FakeClock, Script, stall_at_byte
from tests.edge import PROFILE, Profile, request_for, serving
from tests.models import Case, cases, cuts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TEXT = "[" + ", ".join(str(number) for number in range(10, 40)) + "]"


def steps(text: str = TEXT, kind: Any = list[int]) -> list[StreamingResponse[Any]]:  # Any: types
    return list(parse_stream(list(text), kind))


def shown(response: StreamingResponse[Any]) -> tuple[object, ...]:
    told = list(response.completed), list(response.changed), list(response.raw_chunks)
    return (repr(response.partial_result), *told, response.outcome is None, response.attempt)


@given(st.data(), cases())
def test_two_steps_as_one_are_the_step_of_both_texts(data: st.DataObject, case: Case) -> None:
    pieces = data.draw(cuts(case.text))
    whole: list[str] = []
    joined: StreamingResponse[Any] | None = None
    chunks: list[str] = []
    last: StreamingResponse[Any] = StreamingResponse()
    for step in parse_stream(pieces, case.type, fail_fast=False):
        whole += step.completed
        chunks += step.raw_chunks
        joined = step if joined is None else coalesced(joined, step)
        last = step
    assert joined is not None
    assert list(joined.completed) == whole
    assert list(joined.raw_chunks) == chunks
    assert repr(joined.partial_result) == repr(last.partial_result)
    assert joined.outcome is last.outcome
    assert joined.progress_percent == last.progress_percent


def test_what_an_earlier_step_told_is_kept() -> None:
    earlier: StreamingResponse[int] = StreamingResponse(usage=Usage(1, 2))
    earlier.begins = AttemptStart("retry", OutcomeKind.INCOMPLETE, "broke")
    made = coalesced(earlier, StreamingResponse(attempt=2))
    assert (made.begins, made.usage, made.attempt, made.coalesced) == (earlier.begins, earlier.usage, 2, 2)
    assert (made.partial_result, made.completed) == (None, ())


def test_who_is_quick_gets_each_step() -> None:
    given_out = steps()
    assert list(Patience(FakeClock()).steps(given_out)) == given_out


@pytest.mark.anyio
async def test_who_is_slow_gets_the_newest_of_a_read_and_all_that_completed() -> None:
    clock = FakeClock()
    got: list[StreamingResponse[Any]] = []  # Any: of any model
    told: list[Fact] = []
    for step in Patience(clock, told.append).steps(steps()):
        got.append(step)
        await clock.advance(1)
    assert len(got) == 2
    assert told == [StepsJoined(len(steps()) - 2)]
    assert sum(step.coalesced for step in got) == len(steps())
    assert got[-1].outcome is not None
    assert [path for step in got for path in step.completed] == [f"[{at}]" for at in range(30)] + [""]


@pytest.mark.anyio
async def test_who_was_slow_gets_all_of_the_next_read_at_once_until_he_is_quick_again() -> None:
    clock = FakeClock()
    patience = Patience(clock)
    for _ in patience.steps(steps()):
        await clock.advance(1)
    slow = list(patience.steps(steps()))
    assert [step.coalesced for step in slow] == [len(steps())]
    assert list(patience.steps(given := steps())) == given


# in time


async def while_time_passes(clock: FakeClock, task: asyncio.Future[Any]) -> None:  # Any: whatever it gives
    while not task.done():
        for _ in range(10):
            await asyncio.sleep(0)
        await clock.advance(0.05)


async def arriving(clock: FakeClock, times: list[float]) -> AsyncGenerator[StreamingResponse[Any], None]:
    """The steps of `TEXT`, one at each time; the others at the last."""
    all_steps = steps()
    for at, step in enumerate(all_steps):
        when = times[min(at, len(times) - 1)]
        await clock.sleep(when - clock.now())
        yield step


@pytest.mark.anyio
async def test_at_most_one_step_in_an_interval_the_first_at_once_and_the_last() -> None:
    clock = FakeClock(start=0)
    got: list[tuple[float, StreamingResponse[Any]]] = []  # Any: of any model

    async def read() -> None:
        stream = spaced(arriving(clock, [0.1 * at for at in range(200)]), 1.0, clock)
        got.extend([(round(clock.now(), 3), step) async for step in stream])

    reader = asyncio.create_task(read())
    await while_time_passes(clock, reader)
    times = [when for when, _ in got]
    assert times[0] == 0.0
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(times[:-1]))
    assert got[-1][1].outcome is not None
    assert sum(step.coalesced for _, step in got) == len(steps())
    assert [path for _, step in got for path in step.completed] == [f"[{at}]" for at in range(30)] + [""]


@pytest.mark.anyio
async def test_what_is_held_comes_in_time_though_the_provider_stalls() -> None:
    clock = FakeClock(start=0)
    stream = spaced(arriving(clock, [0.0, 0.1, 0.2, 99.0]), 1.0, clock)
    assert (await anext(stream)).coalesced == 1
    second = asyncio.ensure_future(anext(stream))
    await while_time_passes(clock, second)
    assert clock.now() < 1.5
    assert second.result().coalesced == 2
    await stream.aclose()
    assert clock.sleepers == 0


@pytest.mark.anyio
async def test_a_stream_is_spaced_as_its_request_says_and_closed_with_what_it_reads() -> None:
    clock = FakeClock()
    async with serving(clock=clock, script=Script(delta_size=1), faults=[None, stall_at_byte(2500)]) as (
        service,
        provider,
    ):
        request = request_for(cadence="delta", streaming_interval=5.0)
        got = [step async for step in service.route_structured_streaming(request)]
        assert len(got) <= 3
        assert sum(step.coalesced for step in got) == len(PROFILE) + 1
        assert got[-1].partial_result == Profile.model_validate_json(PROFILE)
        async with service.route_structured_streaming(request) as stream:
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await provider.wait_for_stall(1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
        await provider.wait_for_disconnect(1)


@pytest.mark.anyio
async def test_a_consumer_of_a_second_a_step_against_a_provider_at_full_speed() -> None:
    clock = FakeClock()
    document = '{"name": "Ada", "age": 36, "tags": [' + ", ".join(f'"tag {n}"' for n in range(6_000)) + "]}"
    async with serving(clock=clock, document=document, script=Script(delta_size=4)) as (service, _):
        request = request_for(cadence="delta", timeouts=Timeouts(total=None))
        seen, completed, last = 0, [], None
        async for step in service.route_structured_streaming(request):
            completed += [path for path in step.completed if path.startswith("tags[")]
            tags = getattr(step.partial_result, "tags", ())
            assert len(tags) >= len(completed) - 1
            seen += 1
            last = step
            await clock.advance(1)
        assert seen < 2_500  # of some 20,000 deltas: two a read
        assert completed == [f"tags[{n}]" for n in range(6_000)]
        assert last is not None
        assert last.outcome is not None
        assert last.outcome.kind is OutcomeKind.COMPLETE
