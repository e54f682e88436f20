"""The watchdog: one timer, deadlines that move, and only the guarded await is ever cut short."""

from __future__ import annotations

import asyncio
import time
from math import inf

import pytest

from structstream.clock import Clock, DeadlinePassed, Interrupted, SystemClock, Timer, Watchdog
from structstream.testing import FakeClock

pytestmark = pytest.mark.anyio


class CountingClock(FakeClock):
    """Counts the timers that were set."""

    timers = 0

    def call_at(self, when, callback):  # type: ignore[no-untyped-def]  # as in the base class
        self.timers += 1
        return super().call_at(when, callback)


async def forever() -> None:
    await asyncio.Event().wait()


async def guarded(watchdog: Watchdog, when: float) -> None:
    with watchdog.until(when):
        await forever()


async def test_an_await_ends_when_its_deadline_passes() -> None:
    clock = FakeClock()
    task = asyncio.create_task(guarded(Watchdog(clock), clock.now() + 5))
    await clock.wait_for_sleepers()
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)
    with pytest.raises(DeadlinePassed):
        await task
    assert task.cancelling() == 0  # no cancellation is left behind


async def test_a_deadline_that_has_passed_refuses_the_await() -> None:
    clock = FakeClock()
    with pytest.raises(DeadlinePassed):
        Watchdog(clock).until(clock.now())


async def test_a_cancellation_from_outside_stays_one() -> None:
    clock = FakeClock()
    task = asyncio.create_task(guarded(Watchdog(clock), clock.now() + 5))
    await clock.wait_for_sleepers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_the_deadline() -> None:
    clock = FakeClock()
    task = asyncio.create_task(guarded(Watchdog(clock), clock.now() + 5))
    await clock.wait_for_sleepers()
    task.cancel()
    await clock.advance(5)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_outer_timeout_is_not_mistaken_for_the_deadline() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)

    async def outer() -> None:
        async with asyncio.timeout(0):
            await guarded(watchdog, clock.now() + 5)

    with pytest.raises(TimeoutError):
        await outer()


async def test_what_the_awaited_code_makes_of_the_cut_is_the_deadline() -> None:
    clock = FakeClock()

    async def wait() -> None:
        with Watchdog(clock).until(clock.now() + 5):
            try:
                await forever()
            except asyncio.CancelledError:
                raise ConnectionError from None

    task = asyncio.create_task(wait())
    await clock.wait_for_sleepers()
    await clock.advance(5)
    with pytest.raises(DeadlinePassed):
        await task


async def test_an_error_of_the_awaited_code_is_left_alone() -> None:
    clock = FakeClock()
    with pytest.raises(ConnectionError), Watchdog(clock).until(clock.now() + 5):
        raise ConnectionError


async def test_a_deadline_that_moves_later_costs_one_timer() -> None:
    clock = CountingClock()
    watchdog = Watchdog(clock)
    for _ in range(1000):
        with watchdog.until(clock.now() + 60):
            await asyncio.sleep(0)
    assert clock.timers == 1


async def test_a_deadline_that_moved_later_holds() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    with watchdog.until(clock.now() + 5):
        pass
    await clock.advance(3)
    task = asyncio.create_task(guarded(watchdog, clock.now() + 5))
    await asyncio.sleep(0)
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)
    with pytest.raises(DeadlinePassed):
        await task


async def test_a_deadline_that_moves_earlier_holds() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    with watchdog.until(clock.now() + 60):
        pass
    task = asyncio.create_task(guarded(watchdog, clock.now() + 5))
    await asyncio.sleep(0)
    await clock.advance(5)
    with pytest.raises(DeadlinePassed):
        await task


async def test_nothing_is_cut_between_two_awaits() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    with watchdog.until(clock.now() + 5):
        pass
    await clock.advance(100)  # the caller's own work, which takes its time
    with watchdog.until(clock.now() + 5):
        await asyncio.sleep(0)


async def test_no_deadline_sets_no_timer() -> None:
    clock = CountingClock()
    with Watchdog(clock).until(inf):
        await asyncio.sleep(0)
    assert clock.timers == 0


async def test_a_closed_watchdog_leaves_no_timer() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    with watchdog.until(clock.now() + 5):
        pass
    watchdog.close()
    assert clock.sleepers == 0


async def test_an_interrupt_ends_the_await_and_refuses_the_next() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    task = asyncio.create_task(guarded(watchdog, inf))
    await asyncio.sleep(0)
    assert watchdog.interrupt()
    with pytest.raises(Interrupted):
        await task
    assert not watchdog.interrupt()  # nothing waits any more
    with pytest.raises(Interrupted):
        watchdog.until(inf)


async def test_the_system_clock_is_monotonic_and_calls_back() -> None:
    clock: Clock = SystemClock()
    before = time.monotonic()
    assert before <= clock.now() <= time.monotonic()
    called = asyncio.Event()
    timer: Timer = clock.call_at(clock.now() - 1, called.set)
    await asyncio.wait_for(called.wait(), 5)
    timer.cancel()  # harmless
    await clock.sleep(0)


async def test_a_timer_of_the_system_clock_can_be_cancelled() -> None:
    called: list[int] = []
    SystemClock().call_at(0, lambda: called.append(1)).cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert called == []
