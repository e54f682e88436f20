"""All policies together: their order, what streams share, and a provider that goes down and comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from structstream.errors import (
    CircuitOpenError,
    ConfigurationError,
    ConnectionFailedError,
    RateLimitedError,
    ServerError,
)
from structstream.facts import BreakerChanged, CacheLooked, Replanned
from structstream.layers import Shared, Surroundings, assembled
from structstream.policies import (
    BreakerPolicy,
    CachePolicy,
    ConcurrencyPolicy,
    HedgePolicy,
    LimitsPolicy,
    OutputBounds,
    Policies,
    RetryPolicy,
)
from structstream.request import StreamingStructuredRequest
from structstream.resilience.tally import Tally
from structstream.response import OutcomeKind, StreamingResponse, Usage
from structstream.testing import FakeClock
from tests.policy import (
    REQUEST,
    Answer,
    Facts,
    FakeProvider,
    broken,
    continuing,
    drained,
    endpoint_of,
    outcome_of,
    pausing,
)
from tests.test_resilience_cache import replay

pytestmark = pytest.mark.anyio

OFF = Policies(
    retry=None,
    breaker=None,
    limits=None,
    concurrency=None,
    pause=None,
    fallback=None,
    cache=None,
    hedge=None,
    bounds=None,
)
DOWN = Answer(error=ConnectionFailedError("refused", provider="fake"))


class Service:
    """What a service does for each stream."""

    def __init__(self, provider: FakeProvider, policies: Policies, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        provider.clock = self.clock
        self.provider = provider
        self.policies = policies
        self.shared = Shared(today=lambda: 1.7e9)
        self.facts = Facts()

    async def ask(self, request: StreamingStructuredRequest[Any] = REQUEST) -> list[StreamingResponse[Any]]:
        around = Surroundings(
            tally=Tally(),
            endpoint_of=endpoint_of,
            continuing=continuing,
            tell=self.facts.tell,
            pause=pausing(self.clock),
            now=self.clock.now,
            lost=self.provider.lost,
            replay=replay,
            key_of=lambda asked: asked.fingerprint(),
        )
        policies = request.policies or self.policies
        return await drained(assembled(self.provider.call, request, policies, self.shared, around), request)


@pytest.fixture
def opened() -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        service.shared.close()


async def test_with_all_of_them_off_a_call_is_a_call() -> None:
    provider = FakeProvider(broken("[1", usage=Usage(1, 2)))
    service = Service(provider, OFF)
    outcome = outcome_of(await service.ask(replace(REQUEST, fallback_models=["fake/small"])))
    assert (outcome.kind, outcome.raw_text, outcome.usage) == (OutcomeKind.INCOMPLETE, "[1", Usage(1, 2))
    assert (len(provider.requests), service.facts) == (1, [])


async def test_with_all_of_them_on_a_good_answer_is_one_call(opened: list[Service]) -> None:
    provider = FakeProvider(Answer(["[1", "]"], usage=Usage(1, 2)))
    policies = Policies(
        limits=LimitsPolicy(requests_per_minute=9, tokens_per_minute=9999),
        cache=CachePolicy(path=":memory:"),
        hedge=HedgePolicy(),
        bounds=OutputBounds(max_bytes=99),
    )
    service = Service(provider, policies)
    opened.append(service)
    for hit in (False, True):
        steps = await service.ask()
        assert [step.partial_result for step in steps][-1] == "[1]"
        assert service.facts.of(CacheLooked)[-1] == CacheLooked(hit=hit)
    assert (len(provider.requests), provider.open) == (1, 0)


async def test_the_caches_last_answer_outlives_its_time_when_all_else_fails(opened: list[Service]) -> None:
    today = [1.7e9]
    provider = FakeProvider(Answer(["[1]"]), DOWN)
    service = Service(provider, Policies(retry=None, cache=CachePolicy(path=":memory:", ttl=10)))
    service.shared = Shared(today=lambda: today[0])
    opened.append(service)
    await service.ask()
    today[0] += 60
    outcome = outcome_of(await service.ask())
    assert (outcome.result, outcome.attempts[-1].provider) == ("[1]", "cache")
    assert [attempt.kind.value for attempt in outcome.attempts][-2:] == ["provider_error", "complete"]
    assert service.facts.of(Replanned)[-1].plan == "cache"


@pytest.mark.parametrize(
    ("lost", "shown"),
    [
        (broken(), ["[1", "[1, ", "[1, 2]", "[1, 2]"]),
        (broken("[1,", "3"), ["[1,", "[1,3", "[1, ", "[1, 2]", "[1, 2]"]),
        (broken("[1,", "3", closes={1: ["[0]"]}), ["[1,", "[1,3", "[1, 2]"]),  # it comes by without that
    ],
)
async def test_with_hold_a_kept_answer_shows_no_less_either_than_was_shown(
    opened: list[Service], lost: Answer, shown: list[str]
) -> None:
    today = [1.7e9]
    policies = Policies(retry=None, cache=CachePolicy(path=":memory:", ttl=10), midstream="hold")
    service = Service(FakeProvider(Answer(["[1, 2]"]), lost), policies)
    service.shared = Shared(today=lambda: today[0])
    opened.append(service)
    await service.ask()
    today[0] += 60
    steps = await service.ask()
    assert [step.partial_result for step in steps] == shown
    assert "".join(chunk for step in steps if step.attempt == 3 for chunk in step.raw_chunks) == "[1, 2]"
    assert [step.begins.plan for step in steps if step.begins] == ["cache"] * (len(lost.pieces) > 0)


async def test_an_open_circuit_is_passed_over_for_the_next_model_and_costs_nothing() -> None:
    def say(request: StreamingStructuredRequest[Any]) -> Answer:
        return DOWN if request.model == "fake/large" else Answer(["[1]"])

    service = Service(FakeProvider(say=say), Policies(retry=None, breaker=BreakerPolicy(minimum_calls=3)))
    request = replace(REQUEST, fallback_models=["fake/small"])
    for _ in range(9):
        assert outcome_of(await service.ask(request)).kind is OutcomeKind.COMPLETE
    assert [sent.model for sent in service.provider.requests].count("fake/large") == 3


async def waiting_for(service: Service, place: str) -> tuple[asyncio.Task[list[StreamingResponse[Any]]], ...]:
    """Open the circuit, let it become half open, and have a call wait for one of the places."""
    shared, clock, tasks = service.shared, service.clock, []
    service.provider.answers = [DOWN, Answer(["[1]"], before=500.0)]
    await service.ask()
    await clock.advance(6)
    if place == "pause":
        shared.gates.of(endpoint_of(REQUEST)).close_for(30, now=clock.now())
    elif place == "limits":
        shared.line.of(endpoint_of(REQUEST), LimitsPolicy(requests_per_minute=1)).reserve(1, now=clock.now())
    else:  # another model of the provider holds its only place
        tasks.append(asyncio.create_task(service.ask(replace(REQUEST, model="fake/small"))))
        await settled()
    tasks.append(asyncio.create_task(service.ask()))
    await settled()
    return tuple(tasks)


PROBED = BreakerPolicy(minimum_calls=1, probes=1, jitter=0)
PLACES = {
    "pause": Policies(retry=None, breaker=PROBED),
    "limits": Policies(retry=None, breaker=PROBED, limits=LimitsPolicy(requests_per_minute=1)),
    "concurrency": Policies(retry=None, breaker=PROBED, concurrency=ConcurrencyPolicy(most=1)),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_call_that_waits_holds_no_place_of_a_half_open_circuit(place: str) -> None:
    service = Service(FakeProvider(DOWN), PLACES[place])
    tasks = await waiting_for(service, place)
    try:
        assert not tasks[-1].done()
        breaker = service.shared.breakers.of(endpoint_of(REQUEST), PROBED)
        assert breaker.admit(service.clock.now()) is not None
        assert breaker.state == "half_open"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_circuit_that_opens_while_a_call_waits_for_its_place_keeps_it_from_being_sent() -> None:
    policies = Policies(retry=None, breaker=PROBED, concurrency=ConcurrencyPolicy(most=1))
    service = Service(FakeProvider(replace(DOWN, before=5.0)), policies)
    tasks = [asyncio.create_task(service.ask()) for _ in range(9)]
    await settled()
    await service.clock.advance(5)
    outcomes = [outcome_of(steps) for steps in await asyncio.gather(*tasks)]
    assert len(service.provider.requests) == 1
    assert [type(outcome.error) for outcome in outcomes] == [ConnectionFailedError] + [CircuitOpenError] * 8
    places = service.shared.queues.of("fake", ConcurrencyPolicy(most=1))
    assert (places.busy, places.waiting) == (0, 0)


async def test_while_the_circuit_is_open_nobody_waits_for_a_limit() -> None:
    policies = Policies(retry=None, breaker=PROBED, limits=LimitsPolicy(requests_per_minute=1))
    service = Service(FakeProvider(DOWN), policies)
    await service.ask()
    service.shared.gates.of(endpoint_of(REQUEST)).close_for(4, now=service.clock.now())
    assert isinstance(outcome_of(await service.ask()).error, CircuitOpenError)
    assert len(service.provider.requests) == 1


@pytest.mark.parametrize("place", [*PLACES, "backoff"])
async def test_a_call_that_sleeps_holds_neither_a_place_nor_a_connection(place: str) -> None:
    """A retry that waits, for whatever, lets others through."""
    retry = RetryPolicy(first_wait=0.0)
    policies = replace(PLACES.get(place, Policies(concurrency=ConcurrencyPolicy(most=1))), retry=retry, breaker=None)
    wait = 20.0 if place in {"pause", "backoff"} else None
    failed = Answer(error=ServerError("no", provider="fake", status=500, retry_after=wait))
    service = Service(
        FakeProvider(failed, Answer(["[1]"])), replace(policies, pause=None if wait is None else policies.pause)
    )
    task = asyncio.create_task(service.ask())
    await settled()
    places = service.shared.queues.of("fake", policies.concurrency or ConcurrencyPolicy())
    assert (service.provider.open, places.busy, task.done()) == (0, 0, place == "concurrency")
    await service.clock.advance(120)
    assert outcome_of(await asyncio.wait_for(task, 5)).kind is OutcomeKind.COMPLETE


async def test_a_request_brings_policies_of_its_own() -> None:
    service = Service(FakeProvider(DOWN), Policies())
    outcome = outcome_of(await service.ask(replace(REQUEST, policies=OFF)))
    assert len(outcome.attempts) == 1


def test_a_cache_that_cannot_be_opened_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    policies = Policies(cache=CachePolicy(path=str(tmp_path / "file" / "answers.sqlite3")))
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        asyncio.run(Service(FakeProvider(DOWN), policies).ask())


async def test_caches_are_opened_once_and_again_after_they_were_closed() -> None:
    shared, policy = Shared(today=lambda: 0.0), CachePolicy(path=":memory:")
    first = shared.cache(policy)
    assert shared.cache(CachePolicy(path=":memory:")) is first
    shared.close()
    assert shared.cache(policy) is not first
    shared.close()


async def settled() -> None:
    """Let every task go as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_outage_is_not_made_worse_and_traffic_comes_back_without_a_burst() -> None:
    """Ten requests a second for a minute; the provider is down from the tenth second to the thirtieth."""
    dice = random.Random(7)
    random.seed(7)  # the jitter of the circuit's open times and of the retries
    clock = FakeClock(0.0)

    def say(request: StreamingStructuredRequest[Any]) -> Answer:
        if 10 <= clock.now() < 30:
            return replace(DOWN, before=0.01)
        return Answer(["[1", "]"], before=0.2)

    provider = FakeProvider(say=say)
    service = Service(provider, Policies(retry=RetryPolicy(), breaker=BreakerPolicy()), clock)
    sent: list[int] = []  # calls in each second
    retries: list[float] = []
    tasks = []
    for _ in range(60):
        before = len(provider.requests)
        for _ in range(10):
            tasks.append(asyncio.create_task(service.ask()))
            await settled()
            budget = service.shared.budget
            retries.append(budget.retries / max(3, budget.calls * 0.2))
            await clock.advance(0.05 + dice.random() * 0.1)
        sent.append(len(provider.requests) - before)
        await settled()
    await clock.advance(60)
    await settled()
    outcomes = [outcome_of(await asyncio.wait_for(task, 5)) for task in tasks]
    kinds = {outcome.kind for outcome in outcomes}
    assert kinds == {OutcomeKind.COMPLETE, OutcomeKind.PROVIDER_ERROR, OutcomeKind.UNAVAILABLE}
    assert any(isinstance(outcome.error, CircuitOpenError) for outcome in outcomes)
    assert max(retries) <= 1.0  # the budget of retries
    assert max(sent[10:17]) <= 10 * 2.5  # until the circuit opens, retries add what their budget allows
    assert sum(sent[17:30]) <= 5  # then it is spared
    assert max(sent[17:]) <= 16  # and once it is back no second brings a burst
    assert sum(sent[45:]) > 0.9 * 150  # all of the traffic is back
    assert all(outcome.kind is OutcomeKind.COMPLETE for outcome in outcomes[-100:])
    assert service.facts.of(BreakerChanged)[-1].after == "closed"
    assert (service.shared.budget.calls, service.shared.budget.retries, provider.open) == (0, 0, 0)


async def test_a_crowd_that_was_told_to_wait_comes_back_in_steps() -> None:
    """A hundred at once, of which the provider bears ten; it says so, and for how long to wait."""
    clock = FakeClock(0.0)
    running = 0
    most_after = 0

    def say(request: StreamingStructuredRequest[Any]) -> Answer:
        if provider.open >= 10:
            return Answer(error=RateLimitedError("slow down", provider="fake", status=429, retry_after=5), before=0.01)
        return Answer(["[1", "]"], before=0.5)

    provider = FakeProvider(say=say)
    service = Service(provider, Policies(retry=RetryPolicy(share=1.0)), clock)
    tasks = [asyncio.create_task(service.ask(replace(REQUEST, max_retries=9))) for _ in range(100)]
    for _ in range(400):
        await clock.advance(0.25)
        await settled()
        running = provider.open
        if clock.now() > 4:
            most_after = max(most_after, running)
    outcomes = [outcome_of(await asyncio.wait_for(task, 5)) for task in tasks]
    assert all(outcome.kind is OutcomeKind.COMPLETE for outcome in outcomes)
    assert most_after <= 55  # half of what had been under way
    assert len(provider.requests) < 400


async def test_a_place_in_the_rate_is_taken_when_the_call_goes_and_not_while_it_waits_for_its_turn() -> None:
    """Places that were taken a while ago have been refilled since: all would go at once, and others beside them."""
    clock = FakeClock()
    sent: list[float] = []

    def say(request: StreamingStructuredRequest[Any]) -> Answer:
        sent.append(clock.now())
        return Answer(["[1]"], before=120.0 if len(sent) <= 2 else 0.0)

    policies = replace(
        OFF,
        limits=LimitsPolicy(requests_per_minute=2, max_wait=1000),
        concurrency=ConcurrencyPolicy(start=2, most=2, max_wait=1000),
    )
    service = Service(FakeProvider(say=say), policies, clock)
    tasks = [asyncio.create_task(service.ask()) for _ in range(6)]
    for _ in range(30):
        await clock.advance(10)
        for _ in range(200):
            await asyncio.sleep(0)
    assert all(outcome_of(task.result()).kind is OutcomeKind.COMPLETE for task in tasks)
    assert [at - sent[0] for at in sent] == pytest.approx([0, 0, 120, 120, 150, 180], abs=1)


async def test_who_waits_for_the_rate_of_one_model_keeps_no_place_from_another_model() -> None:
    clock = FakeClock()
    policies = replace(
        OFF, limits=LimitsPolicy(requests_per_minute=1), concurrency=ConcurrencyPolicy(start=1, most=1, max_wait=5)
    )
    service = Service(FakeProvider(Answer(["[1]"])), policies, clock)
    await service.ask()
    waiting = asyncio.create_task(service.ask())
    await clock.wait_for_sleepers(1)
    other = outcome_of(await service.ask(replace(REQUEST, model="fake/small")))
    assert other.kind is OutcomeKind.COMPLETE
    await clock.advance(60)
    assert outcome_of(await waiting).kind is OutcomeKind.COMPLETE


async def test_the_loser_of_a_hedge_was_sent_and_stays_charged() -> None:
    clock = FakeClock()
    provider = FakeProvider(Answer(["[1]"], before=100.0), Answer(["[2]"]))
    policies = replace(OFF, limits=LimitsPolicy(requests_per_minute=2, max_wait=10), hedge=HedgePolicy(after=1))
    service = Service(provider, policies, clock)
    asking = asyncio.create_task(service.ask())
    await clock.wait_for_sleepers(1)
    await clock.advance(1)
    assert (outcome_of(await asking).result, len(provider.requests)) == ("[2]", 2)
    refused = outcome_of(await service.ask())
    assert (refused.kind, len(provider.requests)) == (OutcomeKind.UNAVAILABLE, 2)
