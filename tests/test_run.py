"""One stream from its request to its outcome, as observers hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    Fact,
    FirstToken,
    Stepped,
    StreamBegan,
    StreamEnded,
    StreamInfo,
)
from structstream.testing import FakeClock, status
from tests.edge import request_for, serving, steps_of

if TYPE_CHECKING:
    from structstream.transport import Transport

pytestmark = pytest.mark.anyio


class Ear:
    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        self.facts.append(fact)


async def test_a_stream_is_told_from_its_begin_to_its_end() -> None:
    ear = Ear()
    async with serving(settings={"observers": [ear]}) as (service, _):
        steps = await steps_of(service, request_for())
    kinds = [type(fact) for fact in ear.facts]
    assert kinds[:3] == [StreamBegan, AttemptBegan, FirstToken]
    assert kinds[-3:] == [AttemptEnded, Stepped, StreamEnded]
    assert [fact.response for fact in ear.facts if isinstance(fact, Stepped)] == steps


async def test_a_stream_that_never_came_to_an_answer_ends_too() -> None:
    ear = Ear()
    async with serving(settings={"observers": [ear]}, faults=[status(400)]) as (service, _):
        await steps_of(service, request_for())
    assert [type(fact) for fact in ear.facts] == [StreamBegan, AttemptBegan, AttemptEnded, Stepped, StreamEnded]


async def test_what_breaks_outside_of_this_library_ends_the_stream_for_observers() -> None:
    def broken(transport: Transport) -> Transport:
        class Broken:
            async def stream(self, request: object) -> object:
                raise ZeroDivisionError

        return Broken()  # type: ignore[return-value]  # broken on purpose

    ear = Ear()
    async with serving(settings={"observers": [ear], "wrap_transport": broken}) as (service, _):
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever a caller's own transport raises
            await steps_of(service, request_for())
    ended = ear.facts[-1]
    assert isinstance(ended, StreamEnded)
    assert ended.outcome.kind == "provider_error"


@pytest.mark.parametrize("left", [False, True])
async def test_time_that_the_caller_takes_is_his_own(left: bool) -> None:
    ear, clock, taken = Ear(), FakeClock(), 0.0
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
