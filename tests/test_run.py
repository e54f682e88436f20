"""One stream from its request to its outcome: what is told of it, and how its policies meet a real provider."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from scripts.benchmarks.metrics import Memory
from structstream.errors import BudgetExceededError, ConfigurationError
from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    Fact,
    FirstToken,
    Replanned,
    Stepped,
    StreamBegan,
    StreamEnded,
)
from structstream.guardrails import PersonalData, Secrets
from structstream.metrics import CacheStatistics
from structstream.policies import CachePolicy, HedgePolicy, LimitsPolicy, OutputBounds, Policies, RetryPolicy
from structstream.providers import ROUTES, route
from structstream.response import OutcomeKind
from structstream.run import Run
from structstream.service import StructuredLLMService
from structstream.testing import (
    FakeClock,
    Script,
    SimulatedProvider,
    cut_at_byte,
    length,
    no_finish,
    stall_at_byte,
    stall_before_first_byte,
    status,
)
from structstream.transport import SDKTransport, Transport
from tests.edge import PROFILE, Profile, aiohttp_client, request_for, serving, steps_of

if TYPE_CHECKING:
    from pathlib import Path

    from structstream.facts import StreamInfo
    from structstream.testing import Fault

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)
AT_ONCE = Policies(retry=RetryPolicy(first_wait=0))


class Listener:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.streams: set[int] = set()

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        self.streams.add(info.id)
        self.facts.append(fact)

    def kinds(self) -> list[type]:
        """What was heard, steps in a row told once."""
        found: list[type] = []
        for fact in self.facts:
            if not (isinstance(fact, Stepped) and found and found[-1] is Stepped):
                found.append(type(fact))
        return found


async def run(*faults: Fault | None, policies: Policies = AT_ONCE, **request: Any) -> tuple[Any, Listener, int]:
    """The outcome of a stream, what was heard of it, and how many requests the provider saw."""
    listener = Listener()
    async with (
        SimulatedProvider(document=PROFILE, faults=list(faults)) as provider,
        aiohttp_client(provider.base_url) as client,
        StructuredLLMService(client, policies=policies, observers=[listener]) as service,
        service.route_structured_streaming(request_for(**request)) as stream,
    ):
        async for _ in stream:
            pass
        return stream.outcome, listener, len(provider.requests)


async def test_a_stream_is_told_from_its_begin_to_its_end() -> None:
    outcome, listener, _ = await run()
    assert listener.kinds() == [StreamBegan, AttemptBegan, FirstToken, Stepped, AttemptEnded, Stepped, StreamEnded]
    assert len(listener.streams) == 1
    last = listener.facts[-1]
    assert isinstance(last, StreamEnded)
    assert last.outcome is outcome


async def test_what_fails_before_a_step_is_tried_again_unseen() -> None:
    outcome, listener, requests = await run(status(503), None)
    assert (outcome.kind, outcome.result, requests) == (OutcomeKind.COMPLETE, ADA, 2)
    assert [attempt.number for attempt in outcome.attempts] == [1, 2]
    assert Replanned in listener.kinds()
    assert all(fact.response.begins is None for fact in listener.facts if isinstance(fact, Stepped))


@pytest.mark.parametrize("fault", [length(40), cut_at_byte(2600)], ids=str)
async def test_what_breaks_within_goes_on_from_where_it_stood(fault: Fault) -> None:
    outcome, listener, requests = await run(fault, None)
    assert (outcome.kind, outcome.result, requests) == (OutcomeKind.COMPLETE, ADA, 2)
    begins = [fact.response.begins for fact in listener.facts if isinstance(fact, Stepped) and fact.response.begins]
    assert [(begin.plan, bool(begin.path)) for begin in begins] == [("resume", begins[0].path != "")]
    assert outcome.wasted_tokens == 0


async def test_the_next_model_is_asked_when_one_has_failed_for_good() -> None:
    outcome, _, requests = await run(status(401), None, fallback_models=["simulated/other"])
    assert (outcome.kind, requests) == (OutcomeKind.COMPLETE, 2)
    assert [attempt.model for attempt in outcome.attempts] == ["gpt-4o", "other"]


async def test_an_answer_that_is_kept_is_given_again_without_a_request() -> None:
    policies = Policies(cache=CachePolicy(path=":memory:"))
    async with (
        SimulatedProvider(document=PROFILE) as provider,
        aiohttp_client(provider.base_url) as client,
        StructuredLLMService(client, policies=policies) as service,
    ):
        assert await service.route_structured(request_for()) == ADA
        async with service.route_structured_streaming(request_for()) as stream:
            steps = [step async for step in stream]
        found = await service.cache_statistics()
    assert found == CacheStatistics(rows=1, bytes=len(PROFILE), hits=1, misses=1, stored=1)
    assert len(provider.requests) == 1
    assert len(steps) > 1
    assert steps[-1].result == ADA
    assert stream.outcome is not None
    assert [attempt.provider for attempt in stream.outcome.attempts] == ["cache"]


@pytest.mark.parametrize("fault", [stall_before_first_byte(), stall_at_byte(3000)], ids=str)
@pytest.mark.parametrize("streams", [True, False])
async def test_the_bound_on_seconds_ends_a_stream_that_says_nothing(fault: Fault, streams: bool) -> None:
    clock = FakeClock()
    policies = Policies(bounds=OutputBounds(max_seconds=3), retry=RetryPolicy(first_wait=0))
    async with serving(policies=policies, faults=[fault], clock=clock) as (service, provider):
        task = asyncio.create_task(steps_of(service, request_for(enable_streaming=streams)))
        await provider.wait_for_stall()
        await clock.advance(2.9)
        assert not task.done()
        await clock.advance(0.2)
        outcome = (await task)[-1].outcome
        assert outcome is not None
        assert isinstance(outcome.error, BudgetExceededError)
        assert (outcome.kind.value, outcome.error.bound, len(provider.requests)) == ("blocked", "max_seconds", 1)
        assert outcome.attempts[-1].kind is OutcomeKind.BLOCKED


async def test_the_seconds_of_a_stream_count_from_its_first_step_and_not_from_when_it_was_made() -> None:
    clock = FakeClock()
    async with serving(policies=Policies(bounds=OutputBounds(max_seconds=3)), clock=clock) as (service, _):
        stream = service.route_structured_streaming(request_for())
        await clock.advance(60)
        assert await stream.result() == ADA


@pytest.mark.parametrize("first", ["Ada Lovelace", "Ada"])
async def test_with_hold_a_text_that_was_open_is_shown_again_no_shorter_whatever_stands_before_it(first: str) -> None:
    """The second answer gives its members in another order, and a text that is longer than all that was shown."""
    tags = ["a tag that is longer than all that was shown before", "another"]
    answers = iter(['{"name": "Ada Lovel', json.dumps({"tags": tags, "name": first, "age": 36})])
    request = request_for(mode="prompted", midstream="hold", cadence="delta")
    async with serving(
        policies=AT_ONCE, faults=[no_finish()], document=lambda question: next(answers), script=Script(delta_size=3)
    ) as (service, _):
        steps = await steps_of(service, request)
    names = [step.partial_result.name for step in steps if step.partial_result is not None]
    shown = [name for name in names if name is not None]
    assert names[names.index(shown[0]) :] == shown  # it is never gone again
    again = next(step for step in steps if step.begins is not None)
    assert again.partial_result is not None
    assert again.partial_result.name == first or again.partial_result.name.startswith("Ada Lovel")
    assert steps[-1].result == Profile(name=first, age=36, tags=tags)


async def test_a_stream_that_is_left_has_an_outcome_and_is_told_to_have_ended() -> None:
    listener = Listener()
    async with (
        SimulatedProvider(document=PROFILE) as provider,
        aiohttp_client(provider.base_url) as client,
        StructuredLLMService(client, observers=[listener]) as service,
    ):
        async with service.route_structured_streaming(request_for()) as stream:
            await anext(stream)
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
    assert listener.kinds()[-1] is StreamEnded


def test_a_request_that_cannot_be_said_is_refused_at_once() -> None:
    async def never() -> SDKTransport:
        raise AssertionError("nothing is sent")

    def plan(model: str) -> Any:
        return route(model, ROUTES), never

    request = request_for(model="openai-responses/gpt-4o", stop="x")
    with pytest.raises(ConfigurationError, match="stop"):
        Run(request, plan, None)  # type: ignore[arg-type]  # no clock is looked at


async def test_a_stream_that_never_came_to_an_answer_ends_too() -> None:
    ear = Listener()
    async with serving(settings={"observers": [ear]}, faults=[status(400)]) as (service, _):
        await steps_of(service, request_for())
    assert [type(fact) for fact in ear.facts] == [StreamBegan, AttemptBegan, AttemptEnded, Stepped, StreamEnded]


async def test_what_breaks_outside_of_this_library_ends_the_stream_for_observers() -> None:
    def broken(transport: Transport) -> Transport:
        class Broken:
            async def stream(self, request: object) -> object:
                raise ZeroDivisionError

        return Broken()  # type: ignore[return-value]  # broken on purpose

    ear = Listener()
    async with serving(settings={"observers": [ear], "wrap_transport": broken}) as (service, _):
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever a caller's own transport raises
            await steps_of(service, request_for())
    ended = ear.facts[-1]
    assert isinstance(ended, StreamEnded)
    assert ended.outcome.kind == "provider_error"


@pytest.mark.parametrize("left", [False, True])
async def test_time_that_the_caller_takes_is_his_own(left: bool) -> None:
    ear, clock, taken = Listener(), FakeClock(), 0.0
    settings = {"observers": [ear], "metrics": True}
    async with serving(settings=settings, clock=clock) as (service, _):
        async with service.route_structured_streaming(request_for()) as stream:
            async for step in stream:
                if not step.is_complete:
                    await clock.advance(2.0)
                    taken += 2.0
                if left:
                    break
        assert stream.outcome is not None
    ended = ear.facts[-1]
    assert isinstance(ended, StreamEnded)
    assert taken > 0
    assert (ended.consumer, ended.seconds) == (taken, taken)
    metrics = stream.outcome.metrics
    assert metrics is not None
    assert (metrics.consumer_wait, metrics.provider_wait) == (taken, 0.0)


async def test_what_one_address_has_answered_is_not_given_for_another(tmp_path: Path) -> None:
    policies = Policies(cache=CachePolicy(path=str(tmp_path / "answers.sqlite3")))
    other = PROFILE.replace("Ada", "Eve")
    async with SimulatedProvider(document=PROFILE) as stub, SimulatedProvider(document=other) as real:
        names = []
        for provider in (stub, real, stub, real):
            async with (
                aiohttp_client(provider.base_url) as client,
                StructuredLLMService(client, policies=policies) as service,
            ):
                names.append((await service.route_structured(request_for())).name)
        assert names == ["Ada Lovelace", "Eve Lovelace"] * 2
        assert (len(stub.requests), len(real.requests)) == (1, 1)


class Numbers(BaseModel):
    numbers: list[int]


EVERY_POLICY = Policies(
    limits=LimitsPolicy(requests_per_minute=10**6, tokens_per_minute=10**9),
    cache=CachePolicy(path=":memory:"),
    hedge=HedgePolicy(after=60),
    bounds=OutputBounds(max_bytes=10**9, max_tokens=10**9, max_seconds=10**6),
)


@pytest.mark.parametrize(
    "settings",
    [{"policies": EVERY_POLICY}, {"policies": EVERY_POLICY, "guardrails": [PersonalData(), Secrets()]}],
    ids=["every policy", "and guardrails"],
)
async def test_a_step_passes_nothing_that_has_nothing_to_say(settings: dict[str, Any]) -> None:
    """Law: for a step in the middle no generator of policies or attempt is resumed, and no event is made."""
    resumed: list[Counter[str]] = []
    reads = []
    for count in (100, 300):
        memory = Memory(Numbers(numbers=[*range(count)]).model_dump_json())
        service = StructuredLLMService(memory, observers=[Listener()], **settings)
        async with service, service.route_structured_streaming(request_for(response_model=Numbers)) as stream:
            counted: Counter[str] = Counter()
            sys.setprofile(lambda frame, event, _: counted.update([frame.f_code.co_name] if event == "call" else []))  # noqa: B023
            try:
                steps = [step async for step in stream]
            finally:
                sys.setprofile(None)
        assert steps[-1].partial_result == Numbers(numbers=[*range(count)])
        reads.append(len(memory.events))
        assert len(steps) > 0.9 * reads[-1]
        resumed.append(counted)
    few, many = resumed
    assert many["_next"] - few["_next"] == reads[1] - reads[0]
    assert {name: many[name] - few[name] for name in ("_flat", "_run", "run", "_text", "_observed")} == {
        "_flat": 0, "_run": 0, "run": 0, "_text": 0, "_observed": 0,
    }  # fmt: skip
