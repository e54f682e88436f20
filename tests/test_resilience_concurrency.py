"""Concurrency: it halves when the provider pushes back, grows while it is used, and serves who came first."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import (
    LimitReachedError,
    OverloadedError,
    ProviderError,
    RateLimitedError,
    ServerError,
    StreamTimeoutError,
)
from structstream.facts import ConcurrencyChanged, Waited
from structstream.ledger import Ledger
from structstream.policies import ConcurrencyPolicy
from structstream.resilience.concurrency import Adaptive, Places, Queues, sharing
from structstream.response import OutcomeKind
from structstream.testing import FakeClock
from tests.policy import REQUEST, Answer, Facts, FakeProvider, drained, endpoint_of, outcome_of, pausing

pytestmark = pytest.mark.anyio


def test_there_is_no_limit_until_the_provider_pushes_back() -> None:
    adaptive = Adaptive(ConcurrencyPolicy())
    adaptive.ended_well(busy=10_000)
    assert adaptive.room(10_000)
    adaptive.pushed_back(busy=50, now=0)
    assert (adaptive.limit, adaptive.room(24), adaptive.room(25)) == (25, True, False)


def test_push_backs_of_the_same_moment_halve_it_once() -> None:
    adaptive = Adaptive(ConcurrencyPolicy(start=64, cooldown=1))
    for _ in range(40):
        adaptive.pushed_back(busy=64, now=5.0)
    assert adaptive.limit == 32
    adaptive.pushed_back(busy=32, now=6.0)
    assert adaptive.limit == 16


def test_it_grows_by_one_for_as_many_good_ends_as_it_has_places() -> None:
    adaptive = Adaptive(ConcurrencyPolicy(start=3, most=5))
    for _ in range(3):
        adaptive.ended_well(busy=3)
    assert adaptive.limit == 4
    for _ in range(100):
        adaptive.ended_well(busy=5)
    assert adaptive.limit == 5


def test_a_limit_that_nobody_reaches_does_not_grow() -> None:
    adaptive = Adaptive(ConcurrencyPolicy(start=3))
    for _ in range(100):
        adaptive.ended_well(busy=2)
    assert adaptive.limit == 3


@given(
    st.integers(0, 7),
    st.integers(1, 3),
    st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.floats(0, 5)), max_size=60),
)
def test_the_limit_stays_within_its_bounds(above: int, least: int, events: list[tuple[bool, int, float]]) -> None:
    policy = ConcurrencyPolicy(start=least + above, least=least, most=10)
    adaptive, now = Adaptive(policy), 0.0
    for good, busy, gap in events:
        now += gap
        if good:
            adaptive.ended_well(busy=busy)
        else:
            adaptive.pushed_back(busy=busy, now=now)
        assert adaptive.limit is not None
        assert least <= adaptive.limit <= 10


class Around:
    def __init__(self, *answers: Answer, policy: ConcurrencyPolicy, **changes: Any) -> None:
        self.clock = FakeClock()
        self.provider = FakeProvider(*answers, clock=self.clock)
        self.facts = Facts()
        self.queues = Queues()
        self.places: Places = self.queues.of("fake", policy)
        self.call = sharing(
            **{
                "policy": policy,
                "queues": self.queues,
                "endpoint_of": endpoint_of,
                "tell": self.facts.tell,
                "pause": pausing(self.clock),
                "now": self.clock.now,
                **changes,
            }
        )(self.provider.call)


async def test_no_more_calls_than_places_and_who_came_first_goes_first() -> None:
    around = Around(Answer(["[1]"], before=1), policy=ConcurrencyPolicy(start=2, most=2))
    order: list[int] = []

    async def one(number: int) -> None:
        await drained(around.call)
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(9)]
    await asyncio.sleep(0)
    assert (around.places.busy, around.places.waiting) == (2, 7)
    for _ in range(5):
        await around.clock.advance(1)
        for _ in range(9):  # ends, hands its place on, and the next begins
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert order == list(range(9))
    assert (around.provider.most_open, around.places.busy, around.places.waiting) == (2, 0, 0)
    assert [fact.seconds for fact in around.facts.of(Waited)] == [1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(("kind", "limits"), [(RateLimitedError, [1]), (OverloadedError, [1]), (ServerError, [])])
async def test_a_push_back_is_told(kind: type[ProviderError], limits: list[int]) -> None:
    around = Around(Answer(error=kind("slow", provider="fake")), policy=ConcurrencyPolicy(start=8))
    await drained(around.call)
    assert around.facts == [ConcurrencyChanged("fake", limit) for limit in limits]  # one was under way


async def test_a_place_is_free_before_the_caller_looks_at_the_end() -> None:
    around = Around(Answer([]), policy=ConcurrencyPolicy(start=1))
    async with aclosing(around.call(REQUEST)) as steps:
        assert (await anext(steps)).is_complete
        assert around.places.busy == 0
    assert around.places.busy == 0


@pytest.mark.parametrize("when", ["waiting", "granted"])
async def test_a_waiter_who_is_cancelled_leaves_no_hole(when: str) -> None:
    around = Around(Answer(["[1", "]"]), policy=ConcurrencyPolicy(start=1))
    first = around.call(REQUEST)
    await anext(first)
    waiter, next_one = (asyncio.create_task(drained(around.call)) for _ in range(2))
    await around.clock.wait_for_sleepers(2)
    if when == "granted":
        await first.aclose()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    if when == "waiting":
        assert around.places.waiting == 1
        await first.aclose()
    assert outcome_of(await next_one).kind is OutcomeKind.COMPLETE
    assert (around.places.busy, around.places.waiting, around.provider.open, around.clock.sleepers) == (0, 0, 0, 0)


async def test_who_waits_too_long_is_refused() -> None:
    around = Around(Answer(["[1", "]"]), policy=ConcurrencyPolicy(start=1, max_wait=5))
    async with aclosing(around.call(REQUEST)) as first:
        await anext(first)
        waiter = asyncio.create_task(drained(around.call))
        await around.clock.wait_for_sleepers(1)
        await around.clock.advance(5)
        outcome = outcome_of(await waiter)
    assert isinstance(outcome.error, LimitReachedError)
    assert (outcome.error.limit, around.places.waiting) == ("concurrency", 0)
    assert around.facts.of(Waited) == [Waited("concurrency", "fake", 5, refused=True)]


async def test_the_total_deadline_ends_a_wait_that_might_be_longer() -> None:
    clock = FakeClock()
    ledger: Ledger[Any] = Ledger(clock, 3)
    ledger.begin()
    around = Around(
        Answer(["[1", "]"]),
        policy=ConcurrencyPolicy(start=1),
        pause=ledger.pause,
        remaining=lambda: ledger.total_at - clock.now(),
        now=clock.now,
    )
    async with aclosing(around.call(REQUEST)) as first:
        await anext(first)
        waiter = asyncio.create_task(drained(around.call))
        for _ in range(20):
            await asyncio.sleep(0)
        await clock.advance(2.9)
        assert not waiter.done()  # it may still get its turn
        await clock.advance(0.1)
        outcome = outcome_of(await waiter)
        assert isinstance(outcome.error, StreamTimeoutError)
        assert outcome.error.deadline == "total"
    assert (around.places.busy, around.places.waiting) == (0, 0)


async def test_streams_of_two_event_loops_share_the_places() -> None:
    places, ready, done = Places(ConcurrencyPolicy(start=1)), threading.Event(), threading.Event()
    assert places.enter() is None

    async def elsewhere() -> None:
        turn = places.enter()
        assert turn is not None
        ready.set()
        await turn
        places.leave(None, 0.0)
        done.set()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    await asyncio.to_thread(ready.wait, 5)
    places.leave(None, 0.0)
    assert await asyncio.to_thread(done.wait, 5)
    thread.join()
    assert (places.busy, places.waiting) == (0, 0)


def test_a_waiter_whose_event_loop_is_closed_does_not_stop_the_others() -> None:
    places = Places(ConcurrencyPolicy(start=1))
    assert places.enter() is None

    async def wait_and_vanish() -> None:
        assert places.enter() is not None

    asyncio.run(wait_and_vanish())

    async def wait() -> None:
        turn = places.enter()
        assert turn is not None
        places.leave(None, 0.0)
        await asyncio.wait_for(turn, 5)

    asyncio.run(wait())
    assert (places.busy, places.waiting) == (1, 0)
