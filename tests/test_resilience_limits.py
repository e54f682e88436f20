"""Requests and tokens a minute: never more than they say, in the order of coming, corrected by what was used."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ConnectionFailedError, LimitReachedError, StreamCancelledError
from structstream.facts import Waited
from structstream.policies import LimitsPolicy
from structstream.resilience.limits import Meter, Meters, expected, limiting
from structstream.response import OutcomeKind, Usage
from structstream.testing import FakeClock
from tests.policy import REQUEST, Answer, Facts, FakeProvider, broken, drained, endpoint_of, outcome_of, pausing

pytestmark = pytest.mark.anyio


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 30), st.booleans()), min_size=1, max_size=40),
)
def test_no_minute_holds_more_than_a_full_bucket_and_its_refill(limit: int, arrivals: list[tuple[float, bool]]) -> None:
    meter, now = Meter(LimitsPolicy(requests_per_minute=limit, max_wait=1e6)), 1000.0
    starts: list[float] = []
    for gap, gives_up in arrivals:
        now += gap
        place = meter.reserve(0, now=now)
        assert not place.refused
        if gives_up and place.wait:
            meter.release(place, now=now)
        else:
            starts.append(now + place.wait)
    starts.sort()
    for first, start in enumerate(starts):
        for last in range(first, len(starts)):
            assert last - first + 1 <= limit + (starts[last] - start + 0.1) * limit / 60 + 1


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_who_came_first_goes_first_however_much_he_asks_for(sizes: list[int]) -> None:
    meter = Meter(LimitsPolicy(tokens_per_minute=600, max_wait=1e6))
    starts = [meter.reserve(size, now=50.0).wait for size in sizes]
    assert starts == sorted(starts)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=1, max_size=20))
def test_after_correction_what_was_used_is_what_counts(calls: list[tuple[int, int]]) -> None:
    limit = 600
    guessed, known = (Meter(LimitsPolicy(tokens_per_minute=limit, max_wait=1e6)) for _ in range(2))
    for guess, used in calls:
        guessed.correct(guessed.reserve(guess, now=9.0), used, now=9.0)
        known.reserve(used, now=9.0)
    assert guessed.reserve(1, now=9.0).wait == pytest.approx(known.reserve(1, now=9.0).wait, abs=0.5)


def test_a_call_larger_than_a_minute_goes_when_the_bucket_is_full_and_leaves_a_debt() -> None:
    meter = Meter(LimitsPolicy(tokens_per_minute=600, max_wait=1000))
    assert meter.reserve(1200, now=0.0).wait == 0
    assert meter.reserve(600, now=0.0).wait == pytest.approx(120, abs=0.1)


def test_a_refusal_takes_nothing_of_either_limit() -> None:
    meter = Meter(LimitsPolicy(requests_per_minute=60, tokens_per_minute=600, max_wait=5))
    meter.reserve(600, now=0.0)
    refused = [meter.reserve(600, now=0.0) for _ in range(100)]
    assert all(place.refused and place.limit == "tokens" for place in refused)
    assert meter.reserve(10, now=1.0).wait == 0


def test_what_is_charged_beforehand_is_the_prompt_and_the_bound_of_the_answer() -> None:
    policy = LimitsPolicy(expected_output=70)
    assert (expected(REQUEST, policy), expected(replace(REQUEST, max_tokens=9), policy)) == (76, 15)


class Around:
    def __init__(self, *answers: Answer, policy: LimitsPolicy, **changes: Any) -> None:
        self.clock = FakeClock()
        self.provider = FakeProvider(*answers, clock=self.clock)
        self.facts = Facts()
        self.call = limiting(
            **{
                "policy": policy,
                "meters": Meters(),
                "endpoint_of": endpoint_of,
                "tell": self.facts.tell,
                "pause": pausing(self.clock),
                "now": self.clock.now,
                **changes,
            }
        )(self.provider.call)


async def test_a_call_beyond_the_limit_waits_for_its_place() -> None:
    around = Around(Answer(["[1]"]), policy=LimitsPolicy(requests_per_minute=2))
    tasks = [asyncio.create_task(drained(around.call)) for _ in range(4)]
    await around.clock.wait_for_sleepers(2)
    assert len(around.provider.requests) == 2
    await around.clock.advance(31)
    assert len(around.provider.requests) == 3
    await around.clock.advance(30)
    assert all(outcome_of(steps).kind is OutcomeKind.COMPLETE for steps in await asyncio.gather(*tasks))
    assert around.facts.of(Waited) == [Waited("requests", "fake", 30), Waited("requests", "fake", 60)]


async def test_a_wait_that_is_too_long_is_refused_at_once() -> None:
    around = Around(Answer(["[1]"]), policy=LimitsPolicy(requests_per_minute=1, max_wait=5))
    await drained(around.call)
    outcome = outcome_of(await drained(around.call))
    assert isinstance(outcome.error, LimitReachedError)
    assert (outcome.error.limit, outcome.error.retry_after, len(around.provider.requests)) == ("requests", 60, 1)


async def test_a_wait_beyond_the_total_deadline_is_refused_and_takes_no_place() -> None:
    left = iter([100.0, 59.0, 60.0])
    around = Around(Answer(["[1]"]), policy=LimitsPolicy(requests_per_minute=1), remaining=lambda: next(left))
    await drained(around.call)
    outcome = outcome_of(await drained(around.call))
    assert isinstance(outcome.error, LimitReachedError)
    assert (outcome.error.limit, outcome.error.max_wait, outcome.error.retry_after) == ("requests", 59, 60)
    assert around.facts.of(Waited) == [Waited("requests", "fake", 0.0, refused=True)]
    waiting = asyncio.create_task(drained(around.call))  # his place is the one that was given back
    await around.clock.wait_for_sleepers(1)
    await around.clock.advance(60)
    assert outcome_of(await waiting).kind is OutcomeKind.COMPLETE


async def test_tokens_are_corrected_by_what_the_provider_reports() -> None:
    policy = LimitsPolicy(tokens_per_minute=1000, expected_output=900, max_wait=0)
    around = Around(Answer(["[1]"], usage=Usage(10, 20)), policy=policy)
    for _ in range(4):
        assert outcome_of(await drained(around.call)).kind is OutcomeKind.COMPLETE
    around = Around(Answer(["[1]"]), policy=policy)  # nothing is reported: the estimate stands
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.COMPLETE
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.UNAVAILABLE


async def test_a_count_of_the_way_corrects_nothing() -> None:
    policy = LimitsPolicy(tokens_per_minute=1000, expected_output=900, max_wait=0)
    lost = replace(broken("[1"), usage=Usage(1, 1, estimated=True))
    around = Around(lost, policy=policy)
    await drained(around.call)
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.UNAVAILABLE


@pytest.mark.parametrize("error", [ConnectionFailedError("refused", provider="fake")])
async def test_a_call_that_was_not_sent_costs_nothing(error: ConnectionFailedError) -> None:
    around = Around(Answer(error=error), policy=LimitsPolicy(requests_per_minute=1, max_wait=0))
    for _ in range(5):
        assert outcome_of(await drained(around.call)).error is error


async def test_who_leaves_the_queue_gives_his_place_back() -> None:
    around = Around(Answer(["[1]"]), policy=LimitsPolicy(requests_per_minute=1))
    await drained(around.call)
    waiting = asyncio.create_task(drained(around.call))
    await around.clock.wait_for_sleepers(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.create_task(drained(around.call))
    await around.clock.wait_for_sleepers(1)
    await around.clock.advance(60)
    assert outcome_of(await again).kind is OutcomeKind.COMPLETE


async def test_a_caller_who_left_while_it_waited_is_told_so() -> None:
    async def left(seconds: float) -> None:
        raise StreamCancelledError("left")

    around = Around(Answer(["[1]"]), policy=LimitsPolicy(requests_per_minute=1), pause=left)
    await drained(around.call)
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.CANCELLED


async def test_leaving_midway_keeps_the_charge_and_closes_the_call() -> None:
    around = Around(Answer(["[1", "]"]), policy=LimitsPolicy(requests_per_minute=1, max_wait=0))
    async with aclosing(around.call(REQUEST)) as steps:
        await anext(steps)
    assert around.provider.open == 0
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.UNAVAILABLE
