"""FakeClock: time passes only by `advance`, and wakes sleepers in order."""

from __future__ import annotations

import asyncio

import pytest

from structstream.clock import Clock, DeadlinePassed, Watchdog
from structstream.errors import ConfigurationError
from structstream.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_it_is_a_clock() -> None:
    clock: Clock = FakeClock(start=5.0)
    assert clock.now() == 5.0


async def test_sleepers_wake_in_the_order_of_their_time_and_see_exactly_it() -> None:
    clock = FakeClock(start=0.0)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleep(*each)) for each in (("late", 30.0), ("early", 10.0), ("early too", 10.0))]
    await clock.wait_for_sleepers(3)
    await clock.advance(9.99)
    assert woken == []
    await clock.advance(100)
    await asyncio.gather(*tasks)
    assert woken == [("early", 10.0), ("early too", 10.0), ("late", 30.0)]
    assert clock.now() == 109.99


async def test_one_advance_carries_a_loop_of_sleeps() -> None:
    clock = FakeClock(start=0.0)
    ticks: list[float] = []

    async def tick() -> None:
        while len(ticks) < 5:
            await clock.sleep(1)
            ticks.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.wait_for_sleepers()
    await clock.advance(5)
    await task
    assert ticks == [1.0, 2.0, 3.0, 4.0, 5.0]


async def test_a_cancelled_sleeper_and_a_cancelled_timer_are_gone() -> None:
    clock = FakeClock()
    called: list[str] = []
    clock.call_at(clock.now() + 1, lambda: called.append("timer")).cancel()
    task = asyncio.create_task(clock.sleep(1))
    await clock.wait_for_sleepers(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    await clock.advance(2)
    assert called == []


async def test_a_timer_in_the_past_is_called_with_the_next_advance() -> None:
    clock = FakeClock(start=10.0)
    called: list[float] = []
    clock.call_at(3.0, lambda: called.append(clock.now()))
    await clock.advance(0)
    assert called == [10.0]


async def test_no_sleep_gives_others_a_turn() -> None:
    clock = FakeClock()
    seen: list[str] = []

    async def other() -> None:
        seen.append("other")

    task = asyncio.create_task(other())
    await clock.sleep(0)
    await task
    assert seen == ["other"]
    assert clock.sleepers == 0


async def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ConfigurationError, match="0 or more"):
        await FakeClock().advance(-1)


async def test_a_watchdog_bites_on_it() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)

    async def wait() -> None:
        with watchdog.until(clock.now() + 60):
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await clock.wait_for_sleepers()
    await clock.advance(60)
    with pytest.raises(DeadlinePassed):
        await task
