"""A kept answer is judged, bounded and read as one that comes from a provider."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest
from pydantic import BaseModel

from structstream.errors import StreamTimeoutError
from structstream.guardrails import CallableGuardrail, DenyList, Guardrail
from structstream.jsonsink import JSONLimits
from structstream.policies import CachePolicy, Policies
from structstream.request import Timeouts
from structstream.testing import (
    FakeClock,
    Script,
)
from tests.edge import PROFILE, Profile, request_for, serving, steps_of

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


async def _later(text: str) -> str | None:
    return text.replace("Lovelace", "L.")


async def _broken(text: str) -> bool:
    raise OSError("the judge is away")


# Who judges the kept answer; the name that is shown; and how many requests that takes.
JUDGED: dict[str, tuple[Guardrail, str, int]] = {
    "takes out": (DenyList(["Lovelace"], on_find="redact", label="L."), "Ada L.", 1),
    "is awaited": (CallableGuardrail(_later, unit="field", paths=["name"]), "Ada L.", 1),
    "takes out at the end": (CallableGuardrail(_later, unit="field", paths=["name"], mode="stream_first"), "Ada L.", 1),
    "lets through": (DenyList(["Babbage"]), "Ada Lovelace", 1),
    "stops": (DenyList(["Lovelace"]), "", 2),
    "stops the prompt": (DenyList(["engineer"], on_find="allow"), "", 1),
    "fails": (CallableGuardrail(_broken), "", 2),
}


@pytest.mark.parametrize("name", JUDGED)
async def test_an_answer_that_is_kept_is_judged_by_the_guardrails_of_the_request_that_finds_it(name: str) -> None:
    """Who left it may have had others, or none; what is not let through is asked for anew, and judged as ever."""
    guardrail, shown, requests = JUDGED[name]
    policies = Policies(cache=CachePolicy(path=":memory:"))
    async with serving(policies=policies) as (service, provider):
        await service.route_structured(request_for())
        steps = await steps_of(service, request_for(guardrails=[guardrail]))
        outcome = steps[-1].outcome
        assert outcome is not None
        assert len(provider.requests) == requests
        assert (outcome.kind.value, getattr(outcome.result, "name", "")) == ("complete" if shown else "blocked", shown)
        if shown != "Ada Lovelace":
            assert "Lovelace" not in repr([step.raw_chunks for step in steps]) + outcome.raw_text
        assert await service.route_structured(request_for()) == ADA  # what is kept stays as it was
        assert len(provider.requests) == requests


async def test_a_kept_answer_that_one_guardrail_stops_leaves_no_judgement_of_another_behind() -> None:
    async def judge(text: str) -> bool:
        return False

    guardrails = [CallableGuardrail(judge, unit="field", mode="stream_first") for _ in range(2)]
    async with serving(policies=Policies(cache=CachePolicy(path=":memory:"))) as (service, _):
        await service.route_structured(request_for())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await steps_of(service, request_for(guardrails=guardrails))
            gc.collect()
    assert [str(each.message) for each in caught if "never awaited" in str(each.message)] == []


async def test_the_total_deadline_ends_a_judgement_on_an_answer_that_is_kept() -> None:
    async def never(text: str) -> None:
        asks.set()
        await asyncio.Event().wait()

    asks, clock = asyncio.Event(), FakeClock()
    guardrail = CallableGuardrail(never, timeout=None)
    async with serving(policies=Policies(cache=CachePolicy(path=":memory:")), clock=clock) as (service, _):
        await service.route_structured(request_for())
        request = request_for(guardrails=[guardrail], timeouts=Timeouts(total=3))
        task = asyncio.create_task(steps_of(service, request))
        await asks.wait()
        await clock.advance(3.1)
        outcome = (await task)[-1].outcome
        assert outcome is not None
        assert isinstance(outcome.error, StreamTimeoutError)
        assert outcome.error.deadline == "total"


class Measure(BaseModel):
    length: float


@pytest.mark.parametrize("guardrails", [(), (DenyList(["Babbage"]),)], ids=["open", "guarded"])
async def test_an_answer_that_is_kept_is_read_within_the_bounds_of_the_service(guardrails: Any) -> None:
    number = "0." + "0" * JSONLimits().max_number_length
    request = request_for(response_model=Measure, guardrails=guardrails)
    async with serving(
        policies=Policies(cache=CachePolicy(path=":memory:")),
        document=f'{{"length": {number}}}',
        script=Script(delta_size=len(number)),
        settings={"limits": JSONLimits(max_number_length=len(number))},
    ) as (service, provider):
        first, second = await service.route_structured(request), await service.route_structured(request)
        assert (first, len(provider.requests)) == (second, 1)
