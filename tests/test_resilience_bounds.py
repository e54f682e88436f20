"""Bounds on what a stream may cost: whichever is passed ends it, is named, and what had come is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import BlockedError, BudgetExceededError, StreamTimeoutError
from structstream.policies import OutputBounds
from structstream.request import StreamingStructuredRequest, Timeouts
from structstream.resilience.bounds import Spent, bounding
from structstream.response import OutcomeKind, Usage
from structstream.testing import FakeClock
from tests.policy import REQUEST, Answer, FakeProvider, Impatient, broken, drained, outcome_of

pytestmark = pytest.mark.anyio


def around(provider: FakeProvider, bounds: OutputBounds, **changes: Any) -> Any:
    clock = Impatient()
    return bounding(
        **{
            "bounds": bounds,
            "spent": Spent(bounds),
            "now": clock.now,
            "lost": provider.lost,
            **changes,
        }
    )(provider.call)


def cost_of(request: StreamingStructuredRequest[Any], usage: Usage) -> float | None:
    return usage.input_tokens * 0.01 + usage.output_tokens * 1.0


@pytest.mark.parametrize(
    ("bounds", "name", "text"),
    [
        (OutputBounds(max_bytes=9), "max_bytes", "[1, 2, 3,"),
        (OutputBounds(max_tokens=2), "max_tokens", "[1, 2, 3,"),
        (OutputBounds(max_cost=2.06), "max_cost", "[1, 2, 3,"),
    ],
)
async def test_a_bound_ends_the_call_that_passes_it(bounds: OutputBounds, name: str, text: str) -> None:
    provider = FakeProvider(Answer(["[1, ", "2, 3", ", 4]", "", "x"]))
    outcome = outcome_of(await drained(around(provider, bounds, cost_of=cost_of)))
    assert isinstance(outcome.error, BudgetExceededError)
    assert (outcome.kind, outcome.error.bound, provider.open) == (OutcomeKind.BLOCKED, name, 0)
    assert outcome.raw_text.startswith(text)
    assert outcome.last_partial == outcome.raw_text
    assert outcome.error.outcome is outcome
    assert [attempt.kind for attempt in outcome.attempts] == [OutcomeKind.BLOCKED]


async def test_the_seconds_of_a_stream_are_bounded_over_its_attempts() -> None:
    clock = Impatient()
    provider = FakeProvider(Answer(["[1", "]"], before=6), clock=clock)
    bounds = OutputBounds(max_seconds=10)
    call = around(provider, bounds, spent=Spent(bounds), now=clock.now)
    assert outcome_of(await drained(call)).kind is OutcomeKind.COMPLETE
    assert outcome_of(await drained(call)).kind is OutcomeKind.BLOCKED
    assert outcome_of(await drained(call)).kind is OutcomeKind.BLOCKED
    assert len(provider.requests) == 2  # the third is not even made


@pytest.mark.parametrize(
    ("total", "kind"), [(None, "blocked"), (60, "blocked"), (3, "timeout"), (2, "timeout")], ids=str
)
async def test_the_deadline_that_holds_the_seconds_is_told_as_their_bound(total: float | None, kind: str) -> None:
    late = StreamTimeoutError("total", configured=3, elapsed=3.1)
    request = replace(REQUEST, timeouts=Timeouts(total=total))
    steps = await drained(around(FakeProvider(Answer(["[1"], late)), OutputBounds(max_seconds=3)), request)
    outcome = outcome_of(steps)
    assert (outcome.kind.value, outcome.raw_text, outcome.attempts[-1].kind.value) == (kind, "[1", kind)
    if kind == "blocked":
        assert isinstance(outcome.error, BudgetExceededError)
        assert (outcome.error.bound, outcome.error.configured, outcome.error.found) == ("max_seconds", 3, 3.1)


async def test_another_deadline_is_no_bound() -> None:
    late = StreamTimeoutError("first_token", configured=3, elapsed=3.1)
    assert (
        outcome_of(await drained(around(FakeProvider(Answer(error=late)), OutputBounds(max_seconds=3)))).error is late
    )


async def test_what_was_counted_on_the_way_does_not_take_the_place_of_the_guess() -> None:
    bounds = OutputBounds(max_tokens=100)
    spent = Spent(bounds)
    provider = FakeProvider(broken("x" * 40, usage=Usage(5, 1, estimated=True)))
    await drained(around(provider, bounds, spent=spent))
    assert spent.tokens == 10


async def test_what_the_provider_counted_takes_the_place_of_what_was_guessed() -> None:
    bounds = OutputBounds(max_tokens=100)
    spent = Spent(bounds)
    provider = FakeProvider(broken("x" * 40, usage=Usage(5, 90)), Answer(["x" * 44]))
    call = around(provider, bounds, spent=spent)
    await drained(call)
    assert spent.tokens == 90
    assert outcome_of(await drained(call)).kind is OutcomeKind.BLOCKED


async def test_a_whole_answer_is_handed_over_though_its_last_count_passes_the_bound() -> None:
    provider = FakeProvider(Answer(["[1]"], usage=Usage(5, 900)))
    outcome = outcome_of(await drained(around(provider, OutputBounds(max_tokens=100))))
    assert outcome.kind is OutcomeKind.COMPLETE


@pytest.mark.parametrize("prices", [None, lambda request, usage: None])
async def test_a_bound_on_cost_without_a_price_sends_nothing(prices: Any) -> None:
    provider = FakeProvider(Answer(["[1]"]))
    outcome = outcome_of(await drained(around(provider, OutputBounds(max_cost=1), cost_of=prices)))
    assert isinstance(outcome.error, BlockedError)
    assert "no price is known for 'fake/large'" in str(outcome.error)
    assert provider.requests == []


async def test_what_an_equal_call_cost_before_this_one_spoke_counts_as_well() -> None:
    """A hedge sends a second request while the first is silent, and its prompt costs what that of the first did."""
    clock = FakeClock()
    provider = FakeProvider(Answer(["four"] * 9, before=3), Answer(before=9), clock=clock)
    bounds = OutputBounds(max_cost=10)

    def prices(request: StreamingStructuredRequest[Any], usage: Usage) -> float:
        return 4.0 if usage.input_tokens else usage.output_tokens * 1.0

    call = around(provider, bounds, now=clock.now, cost_of=prices)
    first, second = asyncio.create_task(drained(call)), asyncio.create_task(drained(call))
    await clock.wait_for_sleepers(2)
    await clock.advance(3)
    outcome = outcome_of(await first)
    await clock.advance(6)
    await second
    assert (outcome.kind, outcome.raw_text) == (OutcomeKind.BLOCKED, "four" * 3)


async def test_a_call_that_leaves_nothing_behind_is_blocked_all_the_same() -> None:
    provider = FakeProvider(Answer(["[1, 2]"]))
    outcome = outcome_of(await drained(around(provider, OutputBounds(max_bytes=1), lost=lambda: None)))
    assert (outcome.kind, outcome.attempts) == (OutcomeKind.BLOCKED, ())


@given(
    st.lists(st.text(max_size=20), max_size=10),
    st.sampled_from(["max_bytes", "max_tokens", "max_cost"]),
    st.integers(1, 60),
    st.booleans(),
)
def test_a_call_ends_at_the_step_that_passes_its_bound(texts: list[str], name: str, most: int, again: bool) -> None:
    """Law: bytes are those of UTF-8, a token is four characters, and what an earlier call cost counts as well."""
    price = 2.0
    bounds = OutputBounds(**{name: most})
    spent = Spent(bounds)
    before = {"max_bytes": 0.0, "max_tokens": 0.0, "max_cost": 0.0}
    if again:
        before = {"max_bytes": 0.0, "max_tokens": 1.5, "max_cost": 3.0}
        spent.charge(1.5, price)
    expected = []
    for end in range(len(texts) + 1):
        came = "".join(texts[:end])
        tokens = len(came) / 4
        found = {
            "max_bytes": len(came.encode("utf-8", "replace")),
            "max_tokens": before["max_tokens"] + tokens,
            "max_cost": before["max_cost"] + tokens * price,
        }[name]
        if found > most:
            break
        expected = texts[:end]

    async def asked() -> None:
        provider = FakeProvider(Answer(texts))
        priced = {"cost_of": lambda request, usage: usage.output_tokens * price}
        steps = await drained(around(provider, bounds, spent=spent, **priced))
        outcome = outcome_of(steps)
        assert [step.raw_chunks for step in steps if step.outcome is None] == [[text] for text in expected]
        assert (outcome.kind is OutcomeKind.BLOCKED) is (found > most)
        if isinstance(outcome.error, BudgetExceededError):
            assert outcome.error.bound == name
            assert outcome.error.found == pytest.approx(found)

    asyncio.run(asked())
