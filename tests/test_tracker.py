"""Progress on its own, and of a stream."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from structstream.errors import ConfigurationError, IncompleteError
from structstream.progress import ProgressEvent, ProgressFilter
from structstream.response import AttemptPlan, AttemptStart, Outcome, OutcomeKind, StreamingResponse
from structstream.testing import FakeClock, Script, no_finish
from structstream.tracker import ProgressTracker, reported
from tests.edge import PROFILE, Profile, request_for, serving, steps_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


def tracking(**how: Any) -> tuple[ProgressTracker, list[ProgressEvent], FakeClock]:  # Any: what a tracker takes
    events: list[ProgressEvent] = []
    clock = FakeClock()
    return ProgressTracker(events.append, clock=clock, **how), events, clock


# on its own


async def test_an_operation_from_its_start_to_its_end() -> None:
    tracker, events, clock = tracking()
    assert tracker.get_duration() == 0.0
    tracker.start_operation("Reading", {"files": 4})
    await clock.advance(2.0)
    assert tracker.get_duration() == 2.0
    tracker.update_progress(50, "half", {"file": 2})
    tracker.complete_operation("read")
    await clock.advance(5.0)
    assert tracker.get_duration() == 2.0
    assert [(one.event_type, one.message, one.progress_percent) for one in events] == [
        ("start", "Reading", 0.0),
        ("progress", "half", 50.0),
        ("complete", "read", 100.0),
    ]
    assert [dict(one.data) for one in events] == [{"files": 4}, {"file": 2}, {}]
    assert [one.timestamp for one in events] == [1000.0, 1002.0, 1002.0]


async def test_percent_never_falls_and_is_100_at_the_end_alone() -> None:
    tracker, events, _ = tracking(only=ProgressFilter(least_step=0))
    tracker.start_operation()
    for percent in (40, 20, 100, 300, -5):
        tracker.update_progress(percent)
    tracker.error_operation(ValueError("no"))
    assert [one.progress_percent for one in events] == [0, 40, 40, 99, 99, 99, 99]
    assert (events[-1].event_type, events[-1].message, events[-1].data) == ("error", "no", {"error": "ValueError"})
    tracker.start_operation()
    assert events[-1].progress_percent == 0


@pytest.mark.parametrize("wrong", ["50", True, float("nan"), None])
async def test_percent_is_a_number(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="percent must be a number"):
        tracking()[0].update_progress(wrong)
    with pytest.raises(ConfigurationError, match="callback must be callable"):
        ProgressTracker(wrong)


@pytest.mark.parametrize("name", ["clock", "only", "tell"])
async def test_what_a_tracker_cannot_work_with_is_refused(name: str) -> None:
    wrong: dict[str, Any] = {name: 5}
    with pytest.raises(ConfigurationError, match=f"{name} must "):
        ProgressTracker(print, **wrong)


async def test_what_it_returns_may_be_awaited_to_know_that_an_async_callback_has_heard() -> None:
    heard: list[str] = []

    async def callback(event: ProgressEvent) -> None:
        await asyncio.sleep(0)
        heard.append(event.event_type)

    tracker = ProgressTracker(callback)
    await tracker.start_operation()
    assert heard == ["start"]
    tracker.update_progress(10)
    assert heard == ["start"]
    await tracker.complete_operation()
    assert heard == ["start", "progress", "complete"]


# filters


@pytest.mark.parametrize("fails", [False, True])
async def test_a_slow_plain_callback_hears_of_the_end_at_once(fails: bool) -> None:
    clock = FakeClock()
    heard: list[str] = []

    def slow(event: ProgressEvent) -> None:
        heard.append(event.event_type)
        clock._now += 0.06  # it blocks

    tracker = ProgressTracker(slow, clock=clock)
    tracker.start_operation()
    for percent in (10, 20, 30):
        tracker.update_progress(percent)
    assert heard == ["start"]
    if fails:
        tracker.error_operation("no")
    else:
        tracker.complete_operation()
    assert heard == ["start", "progress", "error" if fails else "complete"]


async def test_a_least_step_and_a_least_interval() -> None:
    tracker, events, clock = tracking(only=ProgressFilter(least_step=10, least_interval=5))
    tracker.start_operation()
    for percent in (9, 11, 30):  # too small a step, told, too soon
        tracker.update_progress(percent)
    await clock.advance(5)
    tracker.update_progress(35)
    tracker.complete_operation()
    assert [one.progress_percent for one in events] == [0, 11, 35, 100]


async def test_types_and_paths() -> None:
    only = ProgressFilter(types=["field", "complete"], paths=["tags[*]"])
    async with serving(script=Script(delta_size=2)) as (service, _):
        events: list[ProgressEvent] = []
        await steps_of(service, request_for(progress_callback=events.append, progress_filter=only))
    assert [one.data.get("path", one.event_type) for one in events] == ["tags[0]", "tags[1]", "tags[2]", "complete"]


# of a stream


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


async def test_a_callback_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: ProgressEvent) -> None:
        raise ZeroDivisionError

    async with serving() as (service, _):
        with caplog.at_level(logging.WARNING, "structstream"):
            assert await service.route_structured(request_for(progress_callback=broken)) == ADA
    (record,) = [record for record in caplog.records if record.name == "structstream"]
    assert "progress_callback raised at 'start'" in record.getMessage()


async def test_a_callback_that_dawdles_holds_no_step_up() -> None:
    gate = asyncio.Event()
    events: list[ProgressEvent] = []

    async def callback(event: ProgressEvent) -> None:
        await gate.wait()
        events.append(event)

    async with serving(script=Script(delta_size=2)) as (service, _):
        stream = service.route_structured_streaming(request_for(progress_callback=callback, cadence="delta"))
        async with stream:
            async for step in stream:
                if step.is_complete:
                    assert events == []
                    gate.set()
                    break
    fields = [event.data["path"] for event in events if event.event_type == "field"]
    assert fields == ["name", "age", "tags[0]", "tags[1]", "tags[2]", "tags"]
    assert events[-1].event_type == "complete"


@pytest.mark.parametrize("plan", get_args(AttemptPlan))
async def test_another_attempt_is_told_as_what_it_is(plan: AttemptPlan) -> None:
    last: StreamingResponse[int] = StreamingResponse(attempt=2, outcome=Outcome(OutcomeKind.COMPLETE, result=1))
    last.begins = AttemptStart(plan, OutcomeKind.INCOMPLETE, "the connection broke", "items[2]")

    async def steps() -> AsyncGenerator[StreamingResponse[int], None]:
        yield last

    events: list[ProgressEvent] = []
    assert [step async for step in reported(steps(), events.append, FakeClock())] == [last]
    kinds = [event.event_type for event in events]
    expected = {"resume": "resume", "fallback": "fallback", "whole": "fallback", "cache": "fallback"}
    assert kinds == ["start", expected.get(plan, "retry"), "complete"]
    assert events[1].message == "attempt 2: the connection broke"
    assert events[1].data == {"attempt": 2, "plan": plan, "ended": "incomplete", "path": "items[2]"}


async def test_nothing_is_told_of_a_stream_that_was_left() -> None:
    events: list[ProgressEvent] = []
    async with serving(script=Script(delta_size=2)) as (service, _):
        request = request_for(progress_callback=asynchronous(events), cadence="delta")
        async with service.route_structured_streaming(request) as stream:
            await anext(stream)
    assert [event.event_type for event in events if event.event_type in ("complete", "error")] == []


async def test_the_types_are_those_that_a_filter_knows() -> None:
    only = ProgressFilter(types=cast("Any", {"start"}))
    tracker, events, _ = tracking(only=only)
    tracker.start_operation()
    tracker.update_progress(50)
    tracker.complete_operation()
    assert [one.event_type for one in events] == ["start"]
