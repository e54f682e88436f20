"""Events on their way to a callback that raises, dawdles, or never comes back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from structstream.courier import Courier, ProgressCourier
from structstream.facts import CallbackFailed
from structstream.progress import ProgressEvent
from structstream.testing import FakeClock

if TYPE_CHECKING:
    from structstream.facts import Fact
    from structstream.progress import ProgressEventType

pytestmark = pytest.mark.anyio


def event(kind: ProgressEventType, told: float | str = 0.0) -> ProgressEvent:
    if isinstance(told, str):
        return ProgressEvent(kind, f"{told} is there", 0.0, {"path": told})
    return ProgressEvent(kind, "", told)


class Slow:
    """An async callback that waits for its gate before it notes what it heard."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.heard: list[ProgressEvent] = []

    async def __call__(self, event: ProgressEvent) -> None:
        await self.gate.wait()
        self.heard.append(event)


async def test_a_plain_callback_hears_at_once() -> None:
    heard: list[ProgressEvent] = []
    courier = ProgressCourier(heard.append, FakeClock())
    courier.give(event("start"))
    assert [one.event_type for one in heard] == ["start"]


async def test_while_an_async_callback_is_busy_the_newest_progress_waits_and_every_completion() -> None:
    slow = Slow()
    courier = ProgressCourier(slow, FakeClock())
    courier.give(event("start"))
    for number in range(100):
        courier.give(event("progress", float(number)))
    courier.give(event("field", "name"))
    courier.give(event("progress", 50.0))
    courier.give(event("progress", 60.0))
    courier.give(event("complete"))
    slow.gate.set()
    await courier.drain()
    told = [(one.event_type, one.progress_percent) for one in slow.heard]
    assert told == [("start", 0), ("progress", 99), ("field", 0), ("progress", 60), ("complete", 0)]


async def test_what_waits_is_bounded_and_no_path_is_lost() -> None:
    slow = Slow()
    courier = ProgressCourier(slow, FakeClock())
    for number in range(5000):
        courier.give(event("field", f"[{number}]"))
        courier.give(event("progress", number / 5000))
    assert len(courier._waiting) < 300
    slow.gate.set()
    await courier.drain()
    paths = [path for one in slow.heard for path in one.data.get("paths") or [one.data.get("path")] if path]
    assert paths == [f"[{number}]" for number in range(5000)]


async def test_one_event_after_another() -> None:
    inside = 0

    async def callback(_: ProgressEvent) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0)
        inside -= 1

    courier = ProgressCourier(callback, FakeClock())
    for _ in range(5):
        courier.give(event("start"))
    await courier.drain()
    assert inside == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_a_callback_raises_is_told_each_time_and_logged_once_without_its_text(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: ProgressEvent) -> None:
        raise ValueError("the answer's own words")

    async def broken_later(_: ProgressEvent) -> None:
        broken(_)

    told: list[Fact] = []
    courier = ProgressCourier(broken_later if is_async else broken, FakeClock(), tell=told.append)
    with caplog.at_level(logging.DEBUG, "structstream"):
        courier.give(event("start"))
        courier.give(event("error"))
        await courier.drain()
    assert told == [CallbackFailed("progress_callback", "ValueError")] * 2
    assert len(caplog.records) == 1
    assert "progress_callback raised at 'start': ValueError (" in caplog.text
    assert "test_courier.py" in caplog.text
    assert "own words" not in caplog.text


async def test_a_slow_plain_callback_is_told_less_often_and_misses_no_completion(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    heard: list[ProgressEvent] = []

    def slow(one: ProgressEvent) -> None:
        heard.append(one)
        if one.event_type == "start":
            clock._now += 1.0  # it blocks

    courier = ProgressCourier(slow, clock)
    courier.give(event("start"))
    for number in range(50):
        courier.give(event("progress", float(number)))
    courier.give(event("field", "name"))
    assert len(heard) == 1
    await clock.advance(9.0)
    courier.give(event("progress", 51.0))
    assert [(one.event_type, one.progress_percent) for one in heard[1:]] == [
        ("progress", 49.0),
        ("field", 0.0),
        ("progress", 51.0),
    ]
    assert "took 1.00 s: it is told less often" in caplog.text


@pytest.mark.parametrize("raises", [False, True])
async def test_a_plain_callback_takes_a_tenth_of_the_time_at_most_and_is_soon_done_at_the_end(raises: bool) -> None:
    clock = FakeClock()
    heard: list[ProgressEvent] = []
    spent = 0.0

    def slow(one: ProgressEvent) -> None:
        nonlocal spent
        heard.append(one)
        clock._now += 0.06  # it blocks
        spent += 0.06
        if raises:
            raise ValueError

    courier = ProgressCourier(slow, clock)
    for number in range(1000):
        courier.give(event("progress", number / 10))
        courier.give(event("field", f"[{number}]"))
        clock._now += 0.01
    courier.give(event("complete"))
    assert spent < 0.1 * clock.now() + 0.06
    told = len(heard)
    await courier.drain()
    assert len(heard) - told < 5
    assert heard[-1].event_type == "complete"
    paths = [path for one in heard for path in one.data.get("paths") or [one.data.get("path")] if path]
    assert paths == [f"[{number}]" for number in range(1000)]


async def test_of_what_completed_a_slow_plain_callback_hears_each_in_the_end() -> None:
    clock = FakeClock()
    heard: list[int] = []

    def slow(number: int) -> None:
        heard.append(number)
        clock._now += 0.06  # it blocks

    courier: Courier[int] = Courier(slow, clock, name="on_complete")
    for number in range(100):
        courier.give(number)
        clock._now += 0.01
    assert len(heard) < 5
    await courier.drain()
    assert heard == list(range(100))


async def test_a_callback_that_never_comes_back_is_given_up_in_time(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    slow = Slow()
    told: list[Fact] = []
    courier = ProgressCourier(slow, clock, tell=told.append)
    courier.give(event("start"))
    courier.give(event("complete"))
    draining = asyncio.create_task(courier.drain(2.0))
    await clock.wait_for_sleepers()
    await clock.advance(1.9)
    assert not draining.done()
    await clock.advance(0.2)
    await draining
    assert slow.heard == []
    assert "progress_callback was not done in time" in caplog.text
    assert told == [CallbackFailed("progress_callback", "slow")]


async def test_closing_cancels_what_runs() -> None:
    cancelled: list[bool] = []

    async def callback(_: ProgressEvent) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    courier = ProgressCourier(callback, FakeClock())
    courier.give(event("start"))
    await asyncio.sleep(0)
    courier.close()
    await courier.drain(None)
    assert cancelled == [True]


def test_without_an_event_loop_an_async_callback_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def callback(_: ProgressEvent) -> None:
        raise AssertionError("never run")

    courier = ProgressCourier(callback, FakeClock())
    courier.give(event("start"))
    courier.close()
    assert "is async, and no event loop runs here" in caplog.text


async def test_any_awaitable_will_do() -> None:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()  # Any: of nothing
    courier = ProgressCourier(lambda _: future, FakeClock())
    courier.give(event("start"))
    future.set_result(None)
    await courier.drain(None)
    assert courier._task is None


async def test_what_is_no_progress_is_told_piece_by_piece() -> None:
    gate = asyncio.Event()
    heard: list[int] = []

    async def callback(number: int) -> None:
        await gate.wait()
        heard.append(number)

    courier: Courier[int] = Courier(callback, FakeClock(), name="on_complete")
    for number in range(1000):
        courier.give(number)
    gate.set()
    await courier.drain()
    assert heard == list(range(1000))
