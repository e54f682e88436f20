"""The object a caller holds, and the progress that is told of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI

from structstream.errors import ConfigurationError, IncompleteError, StructStreamError, TruncatedError
from structstream.progress import ProgressEvent
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import FakeClock, Script, length, no_finish, stall_before_first_byte
from tests.edge import PROFILE, Profile, request_for, serving, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


async def test_a_stream_is_for_async_for_and_async_with() -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        assert aiter(stream) is stream
        steps = [step async for step in stream]
        async with service.route_structured_streaming(request_for()) as entered:
            assert [step.is_complete async for step in entered][-1]
        assert steps[-1].outcome is stream.outcome
        assert entered.outcome is not None
        assert entered.outcome.result == ADA


async def test_nothing_is_sent_before_the_first_step_is_asked_for() -> None:
    async with serving() as (service, provider):
        stream = service.route_structured_streaming(request_for())
        assert stream.outcome is None
        async with stream:
            assert provider.connections == 0
            await anext(stream)
            assert len(provider.requests) == 1


async def test_each_delta_is_a_step_where_that_is_asked_for() -> None:
    async with serving(script=Script(delta_size=1)) as (service, _):
        each = await steps_of(service, request_for(cadence="delta"))
        assert len(each) >= len(PROFILE)
        assert sum(len(chunk) for step in each for chunk in step.raw_chunks) == len(PROFILE)
        names = [name for step in each[:-1] if (name := getattr(step.partial_result, "name", None))]
        assert names[0] == "A"
        assert all("Ada Lovelace".startswith(name) for name in names)


async def test_the_result_is_the_end_of_what_is_left() -> None:
    async with serving(script=Script(delta_size=1)) as (service, _):
        stream = service.route_structured_streaming(request_for(cadence="delta"))
        await anext(stream)
        assert await stream.result() == ADA
        assert await stream.result() == ADA  # it stays


async def test_the_result_of_a_failure_raises_with_all_that_was_saved() -> None:
    async with serving(faults=[length(50)]) as (service, _):
        stream = service.route_structured_streaming(request_for())
        with pytest.raises(TruncatedError) as raised:
            await stream.result()
        outcome = raised.value.outcome
        assert outcome is stream.outcome
        assert outcome is not None
        assert outcome.raw_text == PROFILE[:50]
        assert outcome.last_partial.name == "Ada Lovelace"
        assert list(outcome.completed)[:2] == ["name", "age"]


async def test_an_ended_stream_has_no_more_steps() -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        await stream.result()
        assert [step async for step in stream] == []
        await stream.aclose()
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.COMPLETE


async def test_two_tasks_cannot_wait_for_one_step() -> None:
    async with serving(faults=[stall_before_first_byte()]) as (service, provider):
        stream = service.route_structured_streaming(request_for())
        first = asyncio.create_task(stream.result())
        await provider.wait_for_stall()
        with pytest.raises(ConfigurationError, match="another task waits for this stream's next step"):
            await anext(stream)
        provider.release()
        assert await first == ADA


async def test_a_stream_that_a_foreign_error_broke_says_so() -> None:
    async def no_token() -> str:
        raise ZeroDivisionError

    async with AsyncOpenAI(api_key=no_token, base_url="http://127.0.0.1/v1") as client:
        stream = StructuredLLMService(client).route_structured_streaming(request_for())
        with pytest.raises(ZeroDivisionError):
            await anext(stream)
        with pytest.raises(StructStreamError, match="broken before"):
            await stream.result()


async def test_two_streams_of_one_request_know_nothing_of_each_other() -> None:
    async with serving() as (service, _):
        request = request_for()
        first, second = (service.route_structured_streaming(request) for _ in range(2))
        assert list(await asyncio.gather(first.result(), second.result())) == [ADA, ADA]
        assert first.outcome is not second.outcome


# progress


# Any: whatever a SimulatedProvider takes
async def told(make: Callable[[list[ProgressEvent]], object], **provider: Any) -> list[ProgressEvent]:
    events: list[ProgressEvent] = []
    async with serving(**provider) as (service, _):
        await steps_of(service, request_for(progress_callback=make(events), cadence="delta"))
    return events


def plain(events: list[ProgressEvent]) -> object:
    return events.append


def asynchronous(events: list[ProgressEvent]) -> object:
    async def callback(event: ProgressEvent) -> None:
        await asyncio.sleep(0)
        events.append(event)

    return callback


@pytest.mark.parametrize("make", [plain, asynchronous])
async def test_progress_is_told_from_the_start_to_the_end(make: Callable[[list[ProgressEvent]], object]) -> None:
    clock = FakeClock()
    events = await told(make, clock=clock, script=Script(delta_size=2))
    kinds = [event.event_type for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "complete"
    assert set(kinds[1:-1]) == {"field", "progress"}
    fields = [event.data["path"] for event in events if event.event_type == "field"]
    assert fields == ["name", "age", "tags[0]", "tags[1]", "tags[2]", "tags"]
    percents = [event.progress_percent for event in events]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert all(percent < 100 for percent in percents[:-1])
    assert {event.timestamp for event in events} == {clock.now()}
    points = [int(event.progress_percent) for event in events if event.event_type == "progress"]
    assert len(points) == len(set(points))  # a point is told once


async def test_a_failure_is_told_as_such() -> None:
    *_, last = await told(plain, faults=[no_finish()])
    assert last.event_type == "error"
    assert last.data == {"outcome": "incomplete", "error": IncompleteError.__name__}
    assert last.progress_percent < 100


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_callback_that_raises_breaks_nothing_and_is_logged_once(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: ProgressEvent) -> None:
        raise ZeroDivisionError

    async def broken_later(event: ProgressEvent) -> None:
        raise ZeroDivisionError

    async with serving() as (service, _):
        with caplog.at_level(logging.WARNING, "structstream"):
            request = request_for(progress_callback=broken_later if is_async else broken)
            assert await service.route_structured(request) == ADA
    (record,) = [record for record in caplog.records if record.name == "structstream"]
    assert "progress_callback raised at 'start'" in record.getMessage()


async def test_a_callback_that_is_cancelled_cancels_the_stream() -> None:
    inside = asyncio.Event()

    async def callback(event: ProgressEvent) -> None:
        if event.event_type == "field":
            inside.set()
            await asyncio.Event().wait()

    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for(progress_callback=callback))
        task = asyncio.create_task(stream.result())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
