"""The account of a stream: attempts are numbered over all of it, its deadline is one, and leaving ends every wait."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from structstream.clock import Watchdog
from structstream.errors import StreamCancelledError, StreamTimeoutError
from structstream.ledger import Ledger
from structstream.testing import FakeClock

pytestmark = pytest.mark.anyio


def test_attempts_are_numbered_from_1() -> None:
    ledger: Ledger[int] = Ledger(FakeClock())
    assert [ledger.number() for _ in range(3)] == [1, 2, 3]


async def test_the_deadline_counts_from_the_first_call() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    assert ledger.total_at == inf
    start = ledger.begin()
    await clock.advance(4)
    assert ledger.begin() == start + 4
    assert ledger.total_at == start + 10


def test_a_bound_shortens_the_deadline_and_never_makes_it_longer() -> None:
    for total, left in ((None, 7), (10, 7), (5, 5)):
        ledger: Ledger[int] = Ledger(FakeClock(), total)
        ledger.bound(7)
        assert ledger.remaining() == left


async def test_the_deadline_counts_from_the_wait_for_the_first_call() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    assert (ledger.remaining(), Ledger[int](clock).remaining()) == (10, inf)
    with pytest.raises(StreamTimeoutError, match="total"):
        await ledger.pause(11)
    await clock.advance(4)
    assert ledger.begin() == 1004
    assert (ledger.total_at, ledger.remaining()) == (1010, 6)


async def test_a_pause_lasts_as_long_as_it_was_asked_to() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    ledger.begin()
    waiting = asyncio.ensure_future(ledger.pause(3))
    await asyncio.sleep(0)
    assert not waiting.done()
    await clock.advance(3)
    await waiting
    assert ledger.ended.is_set()


async def test_a_pause_that_the_deadline_would_cut_is_not_begun() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    ledger.begin()
    await clock.advance(8)
    with pytest.raises(StreamTimeoutError, match=r"total took 8 s of the 10 s") as caught:
        await ledger.pause(3)
    assert caught.value.deadline == "total"


async def test_a_wait_ends_with_the_deadline() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    ledger.begin()
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(ledger.wait(never))
    await asyncio.sleep(0)
    await clock.advance(10)
    with pytest.raises(StreamTimeoutError):
        await waiting


@pytest.mark.parametrize("before", [True, False])
async def test_leaving_ends_a_wait_whether_it_has_begun_or_not(before: bool) -> None:
    ledger: Ledger[int] = Ledger(FakeClock())
    if before:
        assert not ledger.leave()
    waiting = asyncio.ensure_future(ledger.pause(3))
    await asyncio.sleep(0)
    if not before:
        assert ledger.leave()
    with pytest.raises(StreamCancelledError):
        await waiting
    assert ledger.ended.is_set()


async def test_leaving_reaches_every_wait_and_the_last_to_end_says_so() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock)
    first, second = Watchdog(clock), Watchdog(clock)
    ledger.watch(first)
    with ledger.watching(second):
        ledger.unwatch(first)
        assert not ledger.ended.is_set()
    ledger.unwatch(second)
    assert ledger.ended.is_set()


async def test_a_wait_gives_what_it_waited_for() -> None:
    async def answer() -> int:
        return 42

    assert await Ledger[int](FakeClock()).wait(answer()) == 42


async def test_a_pause_for_all_the_time_that_is_left_is_waited_for() -> None:
    clock = FakeClock()
    ledger: Ledger[int] = Ledger(clock, 10)
    ledger.begin()
    waiting = asyncio.ensure_future(ledger.pause(10.001))
    await asyncio.sleep(0)
    assert not waiting.done()
    await clock.advance(10)
    with pytest.raises(StreamTimeoutError):
        await waiting
