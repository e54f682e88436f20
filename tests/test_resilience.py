"""Layers stack in the order in which they are written, and a call that was not made ends in its outcome."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, suppress
from typing import Any

import pytest

from structstream.errors import StreamTimeoutError, UnavailableError
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call, Inner, Layer, Steps, arrives, ended, stack
from structstream.response import OutcomeKind
from structstream.testing import FakeClock

REQUEST = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="Legs of a cat?")


@pytest.mark.anyio
async def test_the_first_layer_is_the_outermost_and_none_is_left_out() -> None:
    seen: list[str] = []

    def noting(name: str) -> Layer:
        def layer(call: Call) -> Call:
            async def run(request: StreamingStructuredRequest[int]) -> Steps:
                seen.append(name)
                async for step in call(request):
                    yield step

            return run

        return layer

    async def call(request: StreamingStructuredRequest[int]) -> Steps:
        yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("the circuit is open"))

    steps = [step async for step in stack(call, noting("retry"), None, noting("breaker"))(REQUEST)]
    assert seen == ["retry", "breaker"]
    assert [step.is_complete for step in steps] == [True]


def around(name: str, closed: list[str]) -> Layer:
    def layer(call: Call) -> Call:
        async def run(request: StreamingStructuredRequest[int]) -> Steps:
            try:
                async with aclosing(call(request)) as steps:
                    async for step in steps:
                        yield step
            finally:
                await asyncio.sleep(0)
                closed.append(name)

        return run

    return layer


def left_behind(closed: list[str]) -> Steps:
    """Return the steps of a call within three layers."""

    async def call(request: StreamingStructuredRequest[int]) -> Steps:
        try:
            while True:
                yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("the circuit is open"))
        finally:
            await asyncio.sleep(0)
            closed.append("call")

    return stack(call, *(around(name, closed) for name in ("retry", "breaker", "limits")))(REQUEST)


@pytest.mark.parametrize("collected", [True, False], ids=["collected", "its loop ends"])
def test_a_stream_that_is_left_behind_is_closed_once_and_from_the_inside(collected: bool) -> None:
    closed: list[str] = []
    problems: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        steps = left_behind(closed)
        await anext(steps)
        kept.append(steps)
        if collected:
            ring: list[object] = [kept.pop()]
            ring.append(ring)
            del steps, ring
            gc.collect()
            for _ in range(20):
                await asyncio.sleep(0)

    kept: list[Steps] = []
    asyncio.run(main())
    assert (closed, problems) == (["call", "limits", "breaker", "retry"], [])


@pytest.mark.anyio
async def test_the_steps_of_a_call_are_a_generator_as_any_other() -> None:
    closed: list[str] = []
    steps = Inner(left_behind(closed))
    assert (await steps.asend(None)).is_complete
    assert (await anext(steps)).is_complete
    with pytest.raises(ZeroDivisionError):
        await steps.athrow(ZeroDivisionError())
    assert closed == ["call", "limits", "breaker", "retry"]
    await steps.aclose()
    assert [step async for step in steps] == []


def test_a_call_that_was_not_made_ends_in_its_outcome() -> None:
    error = UnavailableError("the circuit is open", retry_after=3)
    step = ended(OutcomeKind.UNAVAILABLE, error, attempt=2)
    assert step.outcome is not None
    assert (step.outcome.kind, step.outcome.error, step.attempt) == (OutcomeKind.UNAVAILABLE, error, 2)
    assert error.outcome is step.outcome


@pytest.mark.anyio
@pytest.mark.parametrize(("comes_at", "came"), [(0.0, True), (2.0, True), (9.0, False)])
async def test_what_is_waited_for_comes_in_time_or_not_and_no_timer_is_left(comes_at: float, came: bool) -> None:
    clock = FakeClock()
    waited = asyncio.get_running_loop().create_future()
    if comes_at == 0:
        waited.set_result(None)
    else:
        clock.call_at(clock.now() + comes_at, lambda: waited.set_result(None))
    waiting = asyncio.create_task(arrives(waited, clock.sleep, 5))
    if comes_at:
        await clock.wait_for_sleepers(2)
    await clock.advance(5)
    assert await waiting is came
    assert clock.sleepers == (0 if came else 1)  # what still comes is nobody's to cancel
    assert not waited.cancelled()


@pytest.mark.anyio
async def test_a_wait_that_ends_in_an_error_or_a_cancellation_leaves_no_task() -> None:
    async def late(seconds: float) -> None:
        raise StreamTimeoutError("total", configured=1, elapsed=1)

    waited = asyncio.get_running_loop().create_future()
    with pytest.raises(StreamTimeoutError):
        await arrives(waited, late, 5)
    clock, before = FakeClock(), len(asyncio.all_tasks())
    waiting = asyncio.create_task(arrives(waited, clock.sleep, 5))
    await clock.wait_for_sleepers(1)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
    assert (clock.sleepers, waited.done(), len(asyncio.all_tasks())) == (0, False, before)


@pytest.mark.anyio
async def test_what_came_counts_though_the_wait_ended_badly_at_the_same_moment() -> None:
    waited = asyncio.get_running_loop().create_future()

    async def late(seconds: float) -> None:
        waited.set_result(None)
        raise StreamTimeoutError("total", configured=1, elapsed=1)

    assert await arrives(waited, late, 5)
