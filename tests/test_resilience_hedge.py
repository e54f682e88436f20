"""Hedging: of two requests the first to speak wins, and the other is closed and counted."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from structstream.errors import ConnectionFailedError, ServerError, StreamTimeoutError
from structstream.facts import Hedged
from structstream.policies import HedgePolicy
from structstream.resilience.hedge import apart, hedging
from structstream.resilience.tally import Tally
from structstream.response import OutcomeKind, StreamingResponse, Usage
from structstream.testing import FakeClock
from tests.policy import REQUEST, Answer, Facts, FakeProvider, drained, outcome_of, pausing

pytestmark = pytest.mark.anyio

GOOD = Answer(["[1", ", 2]"], usage=Usage(3, 4))
DOWN = Answer(error=ConnectionFailedError("refused", provider="fake"))


class Around:
    def __init__(self, *answers: Answer, **changes: Any) -> None:
        self.clock = FakeClock()
        self.provider = FakeProvider(*answers, clock=self.clock)
        self.facts = Facts()
        self.tally = Tally()
        self.call = hedging(
            **{
                "policy": HedgePolicy(after=2),
                "tally": self.tally,
                "tell": self.facts.tell,
                "pause": pausing(self.clock),
                "lost": self.provider.lost,
                **changes,
            }
        )(self.provider.call)

    async def run(self) -> list[StreamingResponse[Any]]:
        task = asyncio.create_task(drained(self.call))
        for _ in range(100):
            if task.done():
                break
            await self.clock.advance(1)
            for _ in range(5):
                await asyncio.sleep(0)
        return await asyncio.wait_for(task, 5)


def after(seconds: float, answer: Answer = GOOD) -> Answer:
    return replace(answer, before=seconds)


async def test_a_first_token_in_time_needs_no_second_request() -> None:
    around = Around(after(1))
    assert len(await around.run()) == 3
    assert (len(around.provider.requests), around.facts) == (1, [])


@pytest.mark.parametrize(("first", "second", "won"), [(9, 1, "second"), (4, 9, "first")])
async def test_the_first_to_speak_wins_and_the_other_is_closed(first: float, second: float, won: str) -> None:
    around = Around(after(first), after(second))
    steps = await around.run()
    outcome = outcome_of(steps)
    assert [step.partial_result for step in steps] == ["[1", "[1, 2]", "[1, 2]"]
    assert {step.attempt for step in steps} == {1 if won == "first" else 2}
    assert around.facts.of(Hedged) == [Hedged(won)]  # type: ignore[arg-type]  # the word is data
    assert (around.provider.open, len(around.provider.left), around.clock.sleepers) == (0, 1, 0)
    around.tally.note(REQUEST, outcome)
    total = around.tally.total(outcome)
    assert [attempt.kind.value for attempt in total.attempts] == (
        ["complete", "cancelled"] if won == "first" else ["cancelled", "complete"]
    )


async def test_what_the_loser_had_cost_is_wasted() -> None:
    """Its provider fails after a while, and says what it took: silence is no victory."""
    failing = Answer(error=ServerError("oops", provider="fake"), usage=Usage(5, 7), before=3)
    around = Around(failing, after(4))
    outcome = outcome_of(await around.run())
    assert outcome.kind is OutcomeKind.COMPLETE
    around.tally.note(REQUEST, outcome)
    total = around.tally.total(outcome)
    assert (total.wasted_tokens, total.usage) == (7, Usage(8, 11))


async def test_of_two_that_fail_the_first_is_told_of() -> None:
    slow = Answer(error=ServerError("late", provider="fake"), before=3)
    around = Around(slow, DOWN)
    outcome = outcome_of(await around.run())
    assert isinstance(outcome.error, ServerError)
    assert around.facts.of(Hedged) == [Hedged("none")]


async def test_where_no_time_is_left_for_a_second_request_the_first_goes_on() -> None:
    async def late(seconds: float) -> None:
        raise StreamTimeoutError("total", configured=1, elapsed=1)

    around = Around(after(5), pause=late)
    assert outcome_of(await around.run()).kind is OutcomeKind.COMPLETE
    assert len(around.provider.requests) == 1


@pytest.mark.parametrize("running", [1, 2])
async def test_a_cancelled_race_leaves_nothing_behind(running: int) -> None:
    around = Around(after(50), after(50))
    task = asyncio.create_task(drained(around.call))
    await around.clock.wait_for_sleepers(2)
    if running == 2:
        await around.clock.advance(2)
        await around.clock.wait_for_sleepers(2)
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(around.provider.requests), around.provider.open, around.clock.sleepers) == (running, 0, 0)


async def test_leaving_after_the_first_step_closes_the_winner() -> None:
    around = Around(GOOD)
    async with aclosing(around.call(REQUEST)) as steps:
        await anext(steps)
        assert around.provider.open == 1
    assert around.provider.open == 0


async def test_a_fault_of_ours_is_raised_and_both_are_closed() -> None:
    async def faulty(request: Any) -> Any:
        await around.clock.sleep(3)
        raise RuntimeError("ours")
        yield

    around = Around()
    call = hedging(
        policy=HedgePolicy(after=1),
        tally=Tally(),
        tell=around.facts.tell,
        pause=pausing(around.clock),
        lost=around.provider.lost,
    )(faulty)
    around.call = call
    with pytest.raises(RuntimeError, match="ours"):
        await around.run()


def test_the_second_goes_out_under_a_key_of_its_own() -> None:
    assert apart(REQUEST) is REQUEST
    keyed = replace(REQUEST, headers={"Idempotency-Key": "k", "x": "y"})
    assert apart(keyed).headers == {"Idempotency-Key": "k-hedge", "x": "y"}
    own = replace(REQUEST, headers={"idempotency-key": "k"})
    assert apart(own).headers == {"idempotency-key": "k-hedge"}
