"""The breaker: its table, the traps that others fell into, and a machine that compares it with a plain model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from structstream import errors
from structstream.errors import CircuitOpenError, ConnectionFailedError, StructStreamError
from structstream.facts import BreakerChanged
from structstream.policies import BreakerPolicy
from structstream.providers.failures import http_failure
from structstream.resilience import Endpoint
from structstream.resilience.breaker import TRANSITIONS, Breaker, Breakers, Permit, Result, breaking, counted
from structstream.response import Outcome, OutcomeKind, kind_of
from structstream.testing import FakeClock
from tests.policy import REQUEST, Answer, Facts, FakeProvider, drained, endpoint_of, outcome_of
from tests.test_resilience_retry import STATUSES

pytestmark = pytest.mark.anyio

POLICY = BreakerPolicy(minimum_calls=4, jitter=0, probes=3, open_seconds=5, longest_open=15, probe_seconds=60)


def opened(policy: BreakerPolicy = POLICY, at: float = 0.0) -> Breaker:
    breaker = Breaker(policy)
    for _ in range(policy.minimum_calls):
        settle(breaker, at, "failure")
    assert state_of(breaker) == "open"
    return breaker


def settle(breaker: Breaker, now: float, result: Result, first_token: float | None = None) -> None:
    permit = breaker.admit(now)
    assert permit is not None
    breaker.settle(permit, result, now, first_token=first_token)


def state_of(breaker: Breaker) -> str:
    """The state, of which a type checker remembers nothing."""
    return breaker.state


def test_the_table_leads_from_every_state_to_another_and_back() -> None:
    assert {before for before, _ in TRANSITIONS} == {"closed", "open", "half_open"} == set(TRANSITIONS.values())
    assert all(before != after for (before, _), after in TRANSITIONS.items())


def test_too_few_calls_mean_nothing() -> None:
    breaker = Breaker(POLICY)
    for _ in range(3):
        settle(breaker, 0, "failure")
    assert state_of(breaker) == "closed"
    settle(breaker, 0, "failure")
    assert state_of(breaker) == "open"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    breaker = Breaker(POLICY)
    for at in range(0, 120, 10):
        settle(breaker, at, "failure")  # three in thirty seconds
    assert state_of(breaker) == "closed"


def test_a_rate_of_slow_first_tokens_opens_it_too() -> None:
    policy = BreakerPolicy(minimum_calls=4, slow_first_token=2, slow_rate=0.75)
    breaker = Breaker(policy)
    for seconds in (1.0, 3.0, 3.0, 3.0):
        assert state_of(breaker) == "closed"
        settle(breaker, 0, "success", seconds)
    assert state_of(breaker) == "open"
    breaker = Breaker(BreakerPolicy(minimum_calls=4))
    for _ in range(9):
        settle(breaker, 0, "success", 3000)
    assert state_of(breaker) == "closed"


def test_half_open_lets_a_fixed_few_of_many_through() -> None:
    breaker = opened()
    assert [breaker.admit(5.0) for _ in range(20)].count(None) == 17


def test_the_probes_that_ended_well_close_it_and_no_more_come_before() -> None:
    breaker = opened()
    permits = [breaker.admit(5.0) for _ in range(20)]
    for permit in permits[:3]:
        assert state_of(breaker) == "half_open"
        assert breaker.admit(5.0) is None
        assert permit is not None
        breaker.settle(permit, "success", 6.0)
    assert state_of(breaker) == "closed"


def test_an_abandoned_probe_does_not_hold_the_circuit_for_ever() -> None:
    breaker = opened()
    lost = [breaker.admit(5.0) for _ in range(3)]
    assert breaker.admit(64.0) is None
    again = breaker.admit(65.0)
    assert again is not None
    assert lost[0] is not None
    breaker.settle(lost[0], "failure", 65.0)  # its place is another's: it says nothing any more
    assert state_of(breaker) == "half_open"


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    breaker = opened()
    for _ in range(50):
        settle(breaker, 5.0, "ignored")
    assert state_of(breaker) == "half_open"


def test_results_of_calls_that_began_before_a_change_do_not_count() -> None:
    breaker = Breaker(POLICY)
    early = [breaker.admit(0.0) for _ in range(10)]
    for _ in range(4):
        settle(breaker, 0.0, "failure")
    probe = breaker.admit(5.0)
    assert state_of(breaker) == "half_open"
    for permit in early:
        assert permit is not None
        breaker.settle(permit, "failure", 5.0)
    assert state_of(breaker) == "half_open"
    assert probe is not None
    breaker.settle(probe, "failure", 6.0)
    assert state_of(breaker) == "open"


def test_the_open_time_doubles_up_to_its_bound_and_starts_anew_once_closed() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(4):
        waits.append(breaker.retry_after(now))
        now += breaker.retry_after(now)
        settle(breaker, now, "failure")
    assert waits == [5, 10, 15, 15]
    now += breaker.retry_after(now)
    for _ in range(3):
        settle(breaker, now, "success")
    assert state_of(breaker) == "closed"
    for _ in range(4):
        settle(breaker, now, "failure")
    assert breaker.retry_after(now) == 5


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
def test_the_open_time_is_drawn(drawn: float, wait: float) -> None:
    breaker = Breaker(BreakerPolicy(minimum_calls=1, jitter=0.2), random=lambda: drawn)
    settle(breaker, 0, "failure")
    assert breaker.retry_after(0) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (errors.TruncatedError("cut"), "success"),
        (errors.IncompleteError("ended"), "failure"),
        (errors.StreamTimeoutError("first_token", configured=1, elapsed=1), "failure"),
        (errors.StreamTimeoutError("between_tokens", configured=1, elapsed=1), "failure"),
        (errors.StreamTimeoutError("total", configured=1, elapsed=1), "ignored"),
        (errors.ConnectionFailedError("refused", provider="x"), "failure"),
        (errors.UnexpectedResponseError("a page", provider="x", status=200), "failure"),
        (errors.ServerError("inside the stream", provider="x"), "failure"),
        (errors.OverloadedError("full", provider="x", status=498), "failure"),
        (errors.ProtocolError("no JSON", provider="x"), "failure"),
        (errors.RateLimitedError("inside the stream", provider="x"), "ignored"),
        (errors.StreamCancelledError("left"), "ignored"),
        (errors.InvalidOutputError("no number"), "ignored"),
        (errors.BlockedError("rail", "no"), "ignored"),
        (errors.RefusedError("no"), "ignored"),
        (errors.FilteredError("no"), "ignored"),
        (errors.UnavailableError("not sent"), "ignored"),
        (errors.ConfigurationError("cannot be said"), "ignored"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_outcome_says_something_of_the_provider_or_nothing(error: StructStreamError, result: str) -> None:
    assert counted(Outcome(kind_of(error), error=error)) == result


@pytest.mark.parametrize("status", STATUSES)
def test_a_4xx_says_nothing_of_the_provider(status: int) -> None:
    error = http_failure("openai", status, {}, b"")
    assert counted(Outcome(kind_of(error), error=error)) == ("ignored" if status < 500 else "failure")


class Machine(RuleBasedStateMachine):
    """The breaker against a model that keeps every event and counts anew each time."""

    @initialize(minimum=st.integers(1, 4), probes=st.integers(1, 3), slow=st.sampled_from([None, 2.0]))
    def start(self, minimum: int, probes: int, slow: float | None) -> None:
        self.policy = BreakerPolicy(
            window=5, minimum_calls=minimum, probes=probes, slow_first_token=slow, jitter=0, probe_seconds=8
        )
        self.breaker = Breaker(self.policy)
        self.now = 100.0
        self.state = "closed"
        self.epoch = 0  # changes of state
        self.ends: list[tuple[int, bool, float | None]] = []  # second, failed, first token; since the last change
        self.out: list[tuple[Permit, int, float]] = []  # permits not given back, their epoch, when they began
        self.good = 0
        self.open_since = 0.0
        self.openings = 0

    def change(self, state: str) -> None:
        self.state, self.good, self.ends = state, 0, []
        self.epoch += 1
        if state == "open":
            self.open_since, self.openings = self.now, self.openings + 1
        elif state == "closed":
            self.openings = 0

    def probing(self) -> int:
        return sum(epoch == self.epoch and self.now < began + 8 for _, epoch, began in self.out)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 8.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        if self.state == "open" and self.now >= self.open_since + min(30, 5 * 2 ** (self.openings - 1)):
            self.change("half_open")
        allowed = self.state == "closed" or (
            self.state == "half_open" and self.probing() + self.good < self.policy.probes
        )
        if self.state == "half_open":  # who is late when somebody asks has lost his place for good
            self.out = [
                (permit, -1 if epoch == self.epoch and self.now >= began + 8 else epoch, began)
                for permit, epoch, began in self.out
            ]
        refuses = self.breaker.refuses(self.now)
        permit = self.breaker.admit(self.now)
        assert (permit is not None) is allowed is not refuses
        if permit is not None:
            self.out.append((permit, self.epoch, self.now))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), result=st.sampled_from(["success", "failure", "ignored"]))
    def end(self, data: st.DataObject, result: Result) -> None:
        permit, epoch, _ = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        first = data.draw(st.sampled_from([None, 1.0, 3.0]))
        self.breaker.settle(permit, result, self.now, first_token=first)
        if epoch != self.epoch or result == "ignored":
            return
        slow = self.policy.slow_first_token
        late = slow is not None and first is not None and first > slow
        if self.state == "half_open":
            if result == "failure" or late:
                self.change("open")
            else:
                self.good += 1
                if self.good == self.policy.probes:
                    self.change("closed")
        else:
            self.ends.append((int(self.now), result == "failure", first))
            recent = [end for end in self.ends if end[0] > int(self.now) - 5]
            answered = [end[2] for end in recent if end[2] is not None]
            failed = sum(end[1] for end in recent)
            sluggish = [each for each in answered if slow is not None and each > slow]
            if (len(recent) >= self.policy.minimum_calls and failed >= 0.5 * len(recent)) or (
                slow is not None and len(answered) >= self.policy.minimum_calls and len(sluggish) >= 0.8 * len(answered)
            ):
                self.change("open")

    @invariant()
    def the_states_agree(self) -> None:
        assert self.breaker.state == self.state

    @precondition(lambda self: self.state == "half_open")
    @invariant()
    def no_more_than_the_probes_are_let_through(self) -> None:
        assert self.probing() + self.good <= self.policy.probes


TestBreakerAgainstItsModel = Machine.TestCase
TestBreakerAgainstItsModel.settings = settings(stateful_step_count=60)


# The layer.

DOWN = Answer(error=ConnectionFailedError("refused", provider="fake"))
GOOD = Answer(["[1", "]"])


class Around:
    def __init__(self, *answers: Answer, policy: BreakerPolicy = POLICY) -> None:
        self.provider = FakeProvider(*answers)
        self.clock = FakeClock()
        self.facts = Facts()
        self.breakers = Breakers()
        self.call = breaking(
            policy=policy,
            breakers=self.breakers,
            endpoint_of=endpoint_of,
            tell=self.facts.tell,
            now=self.clock.now,
        )(self.provider.call)

    @property
    def state(self) -> str:
        return self.breakers.of(Endpoint("fake", "large"), POLICY).state


async def test_an_open_circuit_spends_nothing_and_says_when_to_come_back() -> None:
    around = Around(DOWN)
    *_, outcome = [outcome_of(await drained(around.call)) for _ in range(20)]
    assert len(around.provider.requests) == 4
    assert (outcome.kind, outcome.attempts) == (OutcomeKind.UNAVAILABLE, ())
    assert isinstance(outcome.error, CircuitOpenError)
    assert (outcome.error.retry_after, outcome.error.provider, outcome.error.model) == (5, "fake", "large")
    assert around.facts.of(BreakerChanged) == [BreakerChanged("fake", "large", "closed", "open", 1000.0)]


async def test_of_many_at_once_a_few_go_through_when_it_is_half_open() -> None:
    around = Around(DOWN, DOWN, DOWN, DOWN, GOOD)
    for _ in range(4):
        await drained(around.call)
    await around.clock.advance(5)
    running = [around.call(REQUEST) for _ in range(20)]
    first = [await anext(steps) for steps in running]
    assert sum(not step.is_complete for step in first) == 3
    for steps in running:
        async with aclosing(steps):
            async for _ in steps:
                pass
    assert around.state == "closed"
    assert [(fact.before, fact.after) for fact in around.facts.of(BreakerChanged)] == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]


async def test_abandoned_and_cancelled_streams_are_neither_failures_nor_kept_places() -> None:
    around = Around(DOWN, DOWN, DOWN, DOWN, GOOD)
    for _ in range(4):
        await drained(around.call)
    await around.clock.advance(5)
    for _ in range(10):
        async with aclosing(around.call(REQUEST)) as steps:
            assert not (await anext(steps)).is_complete
    assert around.state == "half_open"
    around.provider.answers[-1] = Answer(["[1"], before=99)
    around.provider.clock = around.clock
    for _ in range(10):
        task = asyncio.create_task(drained(around.call))
        await around.clock.wait_for_sleepers(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert around.state == "half_open"
    assert around.provider.open == 0


async def test_a_stream_that_dies_midway_is_a_failure_though_it_began_well() -> None:
    around = Around(Answer(["[1", ", 2"], errors.IncompleteError("it broke")))
    for _ in range(4):
        assert outcome_of(await drained(around.call)).kind is OutcomeKind.INCOMPLETE
    assert around.state == "open"


async def test_each_model_has_a_breaker_of_its_own_and_equal_settings_share_it() -> None:
    breakers = Breakers()
    large, small = Endpoint("fake", "large"), Endpoint("fake", "small")
    assert breakers.of(large, POLICY) is breakers.of(large, BreakerPolicy(**dict_of(POLICY)))
    assert breakers.of(large, POLICY) is not breakers.of(small, POLICY)
    assert breakers.of(large, POLICY) is not breakers.of(large, BreakerPolicy())


def dict_of(policy: BreakerPolicy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}


async def test_a_fault_of_ours_gives_the_permit_back() -> None:
    async def faulty(request: Any) -> Any:
        yield (await anext(FakeProvider(GOOD).call(request)))
        raise RuntimeError("ours")

    around = Around(DOWN)
    for _ in range(4):
        await drained(around.call)
    await around.clock.advance(5)
    call = breaking(
        policy=POLICY,
        breakers=around.breakers,
        endpoint_of=endpoint_of,
        tell=around.facts.tell,
        now=around.clock.now,
    )(faulty)
    for _ in range(9):
        with pytest.raises(RuntimeError):
            await drained(call)
    assert around.state == "half_open"


def test_streams_that_flow_count_against_failures_that_came_first() -> None:
    breaker = Breaker(BreakerPolicy(minimum_calls=10, failure_rate=0.5))
    permits = [breaker.admit(0.0) for _ in range(40)]
    for permit in permits[10:]:
        assert permit is not None
        breaker.flows(permit)
    for permit in permits[:10]:
        assert permit is not None
        breaker.settle(permit, "failure", 1.0)
    before = breaker.state
    for permit in permits[10:25]:
        assert permit is not None
        breaker.settle(permit, "failure", 2.0)
    assert (before, breaker.state) == ("closed", "open")
