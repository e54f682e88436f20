"""The pause: what providers say of their limits is read, and calls wait until then, or are refused at once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import (
    LimitReachedError,
    OverloadedError,
    RateLimitedError,
    ServerError,
    StreamTimeoutError,
    StructStreamError,
)
from structstream.facts import Waited
from structstream.policies import PausePolicy
from structstream.resilience.pause import Gate, Gates, asked, pausing as layer_of, reset_in
from structstream.response import Outcome, OutcomeKind, Timings, kind_of
from structstream.testing import FakeClock
from tests.policy import (
    Answer,
    Facts,
    FakeProvider,
    Impatient,
    drained,
    endpoint_of,
    outcome_of,
    pausing,
)

pytestmark = pytest.mark.anyio

TODAY = 1_785_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723),
        ("1d", 86400),
        ("30", 30),
        ("0.5", 0.5),
        (str(TODAY + 90), 90),
        (str(int(TODAY + 90) * 1000), 90),
        ("2026-07-25T17:21:30Z", 90),
        ("2026-07-25T19:21:30+02:00", 90),
        ("2020-01-01T00:00:00Z", 0),
        ("", None),
        ("soon", None),
        ("1x", None),
    ],
)
def test_a_reset_is_read_in_each_form_that_is_about(text: str, seconds: float | None) -> None:
    assert reset_in(text, TODAY) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=30), st.floats(0, 2e9))
def test_any_text_is_a_wait_or_none(text: str, today: float) -> None:
    wait = reset_in(text, today)
    assert wait is None or wait >= 0


def said(error: StructStreamError | None = None, **headers: str) -> Outcome[Any]:
    kind = OutcomeKind.COMPLETE if error is None else kind_of(error)
    return Outcome(kind, error=error, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (said(), 0),
        (said(RateLimitedError("slow", provider="x", retry_after=7)), 7),
        (said(OverloadedError("full", provider="x", retry_after=3)), 3),
        (said(ServerError("oops", provider="x")), 0),
        (said(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="6s"), 6),
        (said(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="1m"), 60),
        (said(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests="6s"), 0),
        (said(x_ratelimit_remaining_requests="many", x_ratelimit_reset_requests="6s"), 0),
        (said(x_ratelimit_remaining_requests="0"), 0),
        (said(anthropic_ratelimit_input_tokens_remaining="0", anthropic_ratelimit_input_tokens_reset="9s"), 9),
        (said(x_ratelimit_remaining="0", x_ratelimit_reset="4"), 4),
        (said(ratelimit_remaining="0", ratelimit_reset="5"), 5),
        (
            said(
                RateLimitedError("slow", provider="x", retry_after=2),
                x_ratelimit_remaining_tokens="0",
                x_ratelimit_reset_tokens="8s",
            ),
            8,
        ),
    ],
)
def test_what_a_provider_asks_for(outcome: Outcome[Any], seconds: float) -> None:
    assert asked(outcome, TODAY) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"), [("45s", 15), ("6s", 0), ("2026-07-25T17:20:10Z", 10), (str(TODAY + 10), 10)]
)
def test_a_wait_that_the_head_of_a_long_answer_told_is_over_as_far_as_the_answer_took_it(
    reset: str, seconds: float
) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    long = Outcome[Any](OutcomeKind.COMPLETE, headers=headers, timings=Timings(first_byte=2.0, total=32.0))
    assert asked(long, TODAY) == pytest.approx(seconds)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=8), st.floats(0, 300))
def test_a_gate_opens_when_the_longest_wait_is_over(closings: list[tuple[float, float]], now: float) -> None:
    gate = Gate()
    for seconds, at in closings:
        gate.close_for(seconds, now=at)
    ends = max((at + seconds for seconds, at in closings), default=0.0)
    assert gate.wait(now) == max(0.0, ends - now)


class Around:
    def __init__(self, *answers: Answer, policy: PausePolicy | None = None, **changes: Any) -> None:
        self.provider = FakeProvider(*answers)
        self.clock = Impatient()
        self.facts = Facts()
        self.slept: list[float] = []
        self.call = layer_of(
            **{
                "policy": policy or PausePolicy(),
                "gates": Gates(),
                "endpoint_of": endpoint_of,
                "tell": self.facts.tell,
                "pause": pausing(self.clock, self.slept),
                "now": self.clock.now,
                "today": lambda: TODAY,
                "chance": lambda: 0.0,
                **changes,
            }
        )(self.provider.call)


SLOW = Answer(error=RateLimitedError("slow", provider="fake", retry_after=7))


async def test_the_next_call_waits_for_as_long_as_the_provider_asked() -> None:
    around = Around(SLOW, Answer(["[1]"]))
    await drained(around.call)
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.COMPLETE
    await drained(around.call)
    assert around.slept == [7]
    assert around.facts.of(Waited) == [Waited("pause", "fake", 7)]


async def test_a_wait_that_is_too_long_is_refused_and_nothing_is_sent() -> None:
    around = Around(SLOW, policy=PausePolicy(max_wait=5))
    await drained(around.call)
    outcome = outcome_of(await drained(around.call))
    assert isinstance(outcome.error, LimitReachedError)
    assert (outcome.kind, outcome.error.limit, outcome.error.retry_after) == (OutcomeKind.UNAVAILABLE, "pause", 7)
    assert (len(around.provider.requests), around.facts) == (1, [Waited("pause", "fake", 0, refused=True)])


async def test_a_wait_beyond_the_total_deadline_is_refused_as_well_so_that_another_model_may_be_asked() -> None:
    around = Around(SLOW, Answer(["[1]"]), remaining=lambda: 6.9)
    await drained(around.call)
    outcome = outcome_of(await drained(around.call))
    assert isinstance(outcome.error, LimitReachedError)
    assert (outcome.error.max_wait, outcome.error.retry_after, around.slept) == (6.9, 7, [])


async def test_who_waits_is_held_a_little_longer_so_that_not_all_go_at_the_same_moment() -> None:
    clock, draws = FakeClock(), iter([each / 10 for each in range(11)] + [0.55])
    around = Around(SLOW, Answer(["[1]"]), chance=lambda: next(draws), now=clock.now, pause=pausing(clock))
    await drained(around.call)
    waiting = [asyncio.ensure_future(drained(around.call)) for _ in range(11)]
    await clock.wait_for_sleepers(11)
    await clock.advance(6)
    waiting.append(asyncio.ensure_future(drained(around.call)))  # who comes late goes no sooner than the others
    await clock.wait_for_sleepers(12)
    await clock.advance(0.99)
    sent = []
    for _ in range(16):
        sent.append(len(around.provider.requests) - 1)
        await clock.advance(0.1)
    await asyncio.gather(*waiting)
    assert (sent[0], sent[-1]) == (0, 12)
    assert max(after - before for before, after in itertools.pairwise(sent)) <= 2


@pytest.mark.parametrize(("policy", "slept"), [(PausePolicy(), 8.4), (PausePolicy(jitter=0), 7)])
@pytest.mark.parametrize("most", [7, 8, 60])
async def test_it_is_held_no_longer_than_it_may(policy: PausePolicy, slept: float, most: float) -> None:
    for bound in ({"policy": replace(policy, max_wait=most)}, {"policy": policy, "remaining": lambda: most}):
        around = Around(SLOW, Answer(["[1]"]), chance=lambda: 1.0, **bound)
        await drained(around.call)
        assert outcome_of(await drained(around.call)).kind is OutcomeKind.COMPLETE
        assert around.slept == [pytest.approx(min(slept, most))]


async def test_a_deadline_that_would_pass_is_the_outcome() -> None:
    async def late(seconds: float) -> None:
        raise StreamTimeoutError("total", configured=5, elapsed=1)

    around = Around(SLOW, pause=late)
    await drained(around.call)
    assert outcome_of(await drained(around.call)).kind is OutcomeKind.TIMEOUT


async def test_no_pause_is_longer_than_its_bound() -> None:
    around = Around(Answer(error=RateLimitedError("x", provider="fake", retry_after=86400)), Answer(["1"]))
    await drained(around.call)
    await around.clock.advance(299)
    await drained(around.call)
    assert around.slept == [1]
