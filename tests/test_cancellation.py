"""Whatever way a stream is left: the provider's side sees it at once, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structstream.errors import StreamCancelledError
from structstream.facts import AttemptEnded, StreamEnded
from structstream.policies import ConcurrencyPolicy, LimitsPolicy, Policies, RetryPolicy
from structstream.response import OutcomeKind
from structstream.testing import FakeClock, cut_at_byte, stall_at_byte, stall_before_first_byte, status
from tests.edge import CLIENTS, Profile, request_for, serving

if TYPE_CHECKING:
    from structstream.facts import Fact, StreamInfo
    from structstream.service import StructuredLLMService
    from structstream.stream import StructuredStream
    from structstream.testing import Fault

pytestmark = pytest.mark.anyio

SEVERAL_TURNS = 20  # of the event loop: whoever needs no network waits by then
PROMPT = 0.1  # seconds within which the provider must see that its client has left
every_client = pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)

Leave = Callable[["StructuredLLMService", Callable[[], Awaitable[object]]], Awaitable[None]]


def open_stream(service: StructuredLLMService) -> StructuredStream[Profile]:
    return service.route_structured_streaming(request_for())


# Each way of leaving takes a service whose stream stalls in the middle, and what to await until it has.


async def by_break(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    async for _ in open_stream(service):
        await stalled()
        break


async def by_break_after_a_reference_is_gone(
    service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]
) -> None:
    stream = open_stream(service)
    async for _ in stream:
        await stalled()
        break
    assert stream.outcome is None  # it could still be read on
    del stream


async def by_the_end_of_the_block(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    async with open_stream(service) as stream:
        await anext(stream)
        await stalled()
    assert_cancelled(stream)


async def by_aclose(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    stream = open_stream(service)
    await anext(stream)
    await stalled()
    await stream.aclose()
    assert_cancelled(stream)
    await stream.aclose()
    assert [step async for step in stream] == []


async def by_an_exception_in_the_loop(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    with suppress(ZeroDivisionError):
        async for _ in open_stream(service):
            await stalled()
            raise ZeroDivisionError


async def by_an_exception_in_the_block(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    with suppress(ZeroDivisionError):
        async with open_stream(service) as stream:
            await anext(stream)
            await stalled()
            raise ZeroDivisionError
    assert_cancelled(stream)


async def by_cancelling_the_task(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    stream = open_stream(service)
    task = asyncio.create_task(stream.result())
    await stalled()
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_cancelled(stream)


async def by_cancelling_the_whole_call(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    task = asyncio.create_task(service.route_structured(request_for()))
    await stalled()
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_a_timeout_around_it(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    stream = open_stream(service)
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            await anext(stream)
            await stalled()
            limit.reschedule(0)
            await stream.result()
    assert_cancelled(stream)


async def by_aclose_from_another_task(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    stream = open_stream(service)
    reading = asyncio.create_task(last_step(stream))
    await stalled()
    await turns()
    await stream.aclose()
    assert (await reading) is OutcomeKind.CANCELLED
    assert_cancelled(stream)


async def by_garbage_collection(service: StructuredLLMService, stalled: Callable[[], Awaitable[object]]) -> None:
    stream = open_stream(service)
    await anext(stream)
    await stalled()
    ring: list[object] = [stream]
    ring.append(ring)
    del stream, ring
    gc.collect()


WAYS: list[Leave] = [
    by_break,
    by_break_after_a_reference_is_gone,
    by_the_end_of_the_block,
    by_aclose,
    by_an_exception_in_the_loop,
    by_an_exception_in_the_block,
    by_cancelling_the_task,
    by_cancelling_the_whole_call,
    by_a_timeout_around_it,
    by_aclose_from_another_task,
    by_garbage_collection,
]
every_way = pytest.mark.parametrize("leave", WAYS, ids=lambda leave: leave.__name__)


def assert_cancelled(stream: StructuredStream[Profile]) -> None:
    outcome = stream.outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.CANCELLED
    assert isinstance(outcome.error, StreamCancelledError)


async def last_step(stream: StructuredStream[Profile]) -> OutcomeKind | None:
    steps = [step async for step in stream]
    return steps[-1].outcome.kind if steps[-1].outcome is not None else None


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def turns(count: int = 20) -> None:
    """Let tasks that have all they need come to the await that lacks something."""
    for _ in range(count):
        await asyncio.sleep(0)


@every_client
@every_way
async def test_the_provider_sees_it_at_once(make_client: Callable[[str], object], leave: Leave) -> None:
    async with serving(make_client=make_client, faults=[stall_at_byte(2000)]) as (service, provider):  # type: ignore[arg-type]  # the table's type
        await leave(service, provider.wait_for_stall)
        left = time.monotonic()
        record = await provider.wait_for_disconnect(0, within=5)
        assert record.disconnected_at is not None
        assert record.disconnected_at - left <= PROMPT
        assert record.ending == "disconnected"


@every_client
async def test_leaving_before_the_answer_has_begun_is_seen_as_well(make_client: Callable[[str], object]) -> None:
    async with serving(make_client=make_client, faults=[stall_before_first_byte()]) as (service, provider):  # type: ignore[arg-type]  # as above
        stream = open_stream(service)
        task = asyncio.create_task(stream.result())
        await provider.wait_for_stall()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = time.monotonic()
        record = await provider.wait_for_disconnect(0, within=5)
        assert record.disconnected_at is not None
        assert record.disconnected_at - left <= PROMPT
        assert_cancelled(stream)


async def test_what_was_good_is_in_the_outcome_of_a_cancelled_stream() -> None:
    async with serving(faults=[stall_at_byte(4000)]) as (service, provider):
        async with open_stream(service) as stream:
            await anext(stream)
            await provider.wait_for_stall()
        outcome = stream.outcome
        assert outcome is not None
        assert outcome.raw_text.startswith('{"name": "')
        assert outcome.last_partial is not None
        assert outcome.attempts[0].kind is OutcomeKind.CANCELLED


# Where a stream waits without a connection: what brings it there, and the attempts that it has had.
WAITS: dict[str, tuple[Policies, Fault | None, list[str]]] = {
    "for a retry": (Policies(retry=RetryPolicy(first_wait=50)), status(500), ["provider_error"]),
    "to go on": (Policies(retry=RetryPolicy(first_wait=50)), cut_at_byte(3000), ["incomplete"]),
    "for a pause": (Policies(), status(429, {"retry-after": "30"}), []),
    "for a limit": (Policies(limits=LimitsPolicy(requests_per_minute=1)), None, []),
    "for its turn": (Policies(concurrency=ConcurrencyPolicy(start=1)), stall_at_byte(900), []),
}


@pytest.mark.parametrize("how", ["cancel", "aclose"])
@pytest.mark.parametrize("where", WAITS)
async def test_a_stream_that_waits_between_two_calls_or_before_the_first_is_cancelled_as_well(
    where: str, how: str
) -> None:
    policies, fault, attempts = WAITS[where]
    failed, ended = asyncio.Event(), []

    def hear(info: StreamInfo, fact: Fact) -> None:
        if isinstance(fact, AttemptEnded):
            failed.set()
        if isinstance(fact, StreamEnded):
            ended.append(fact.outcome)

    settings = {"observers": [hear]}
    async with serving(policies=policies, faults=[fault], clock=FakeClock(), settings=settings) as (service, _):
        if not attempts:
            before = service.route_structured_streaming(request_for(max_retries=0))
            await anext(before)
        stream = open_stream(service)
        task = asyncio.ensure_future(anything(stream))
        if attempts:
            await asyncio.wait_for(failed.wait(), 5)
        for _ in range(SEVERAL_TURNS):
            await asyncio.sleep(0)
        await (stream.aclose() if how == "aclose" else cancelled(task))
        await asyncio.wait({task})
        assert stream.outcome is not None
        assert isinstance(stream.outcome.error, StreamCancelledError)
        assert stream.outcome.error.outcome is stream.outcome
        assert ended[-1] is stream.outcome
        assert [attempt.kind.value for attempt in stream.outcome.attempts] == attempts
        assert bool(stream.outcome.completed) is (where == "to go on")


async def anything(stream: StructuredStream[Profile]) -> None:
    async for _ in stream:
        pass


async def cancelled(task: asyncio.Future[None]) -> None:
    task.cancel()


async def test_a_stream_that_was_never_begun_sends_nothing_and_is_cancelled() -> None:
    async with serving() as (service, provider):
        async with open_stream(service) as stream:
            pass
        assert_cancelled(stream)
        open_stream(service)  # dropped without a word
        await turns()
        assert provider.requests == []


async def test_closing_from_the_progress_callback_does_not_hang() -> None:
    async with serving(faults=[stall_at_byte(4000)]) as (service, provider):
        streams: list[StructuredStream[Profile]] = []
        stream = service.route_structured_streaming(
            request_for(progress_callback=lambda event: streams[0].aclose() if event.event_type == "field" else None)
        )
        streams.append(stream)
        steps = [step async for step in stream]
        assert "name" in [path for step in steps for path in step.completed]
        assert steps[-1].is_complete
        assert_cancelled(stream)
        await provider.wait_for_disconnect(0, within=1)


async def test_leaving_at_the_last_step_is_no_cancellation() -> None:
    async with serving() as (service, _):
        async with open_stream(service) as stream:
            async for step in stream:
                if step.is_complete:
                    break
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.COMPLETE


async def test_a_cancelled_task_can_cancel_its_way_through_the_closing() -> None:
    """Cancelled again and again, the connection is closed all the same."""
    async with serving(faults=[stall_at_byte(2000)]) as (service, provider):
        task = asyncio.create_task(service.route_structured(request_for()))
        await provider.wait_for_stall()
        await turns()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await provider.wait_for_disconnect(0, within=1)


def test_a_loop_that_ends_with_streams_open_closes_them() -> None:
    async def main() -> None:
        async with serving(faults=[stall_at_byte(2000)]) as (service, provider):
            kept.append(open_stream(service))
            await anext(kept[0])
            await provider.wait_for_stall()

    kept: list[StructuredStream[Profile]] = []
    asyncio.run(main())
    assert kept[0].outcome is not None


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where the system tells them")
async def test_a_hundred_streams_left_in_every_way_leave_nothing() -> None:
    async with serving(faults=[stall_at_byte(2000)], repeat_faults=True) as (service, provider):

        async def leave_all(count: int, first: int) -> None:
            for number in range(first, first + count):
                await WAYS[number % len(WAYS)](service, lambda number=number: provider.wait_for_stall(number))  # type: ignore[misc]  # a default of a lambda
                await provider.wait_for_disconnect(number, within=5)
            await provider.wait_until(lambda provider: provider.active == 0)
            await turns()
            gc.collect()

        await leave_all(len(WAYS), 0)
        files, tasks = open_files(), asyncio.all_tasks()
        await leave_all(100, len(WAYS))
        assert open_files() == files
        assert asyncio.all_tasks() == tasks
