"""The object a caller holds, and the progress that is told of it."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI

from structstream.errors import ConfigurationError, StructStreamError, TruncatedError
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import Script, length, stall_before_first_byte
from tests.edge import PROFILE, Profile, request_for, serving, steps_of

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


async def test_a_stream_is_for_async_for_and_async_with() -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        assert aiter(stream) is stream
        steps = [step async for step in stream]
        async with service.route_structured_streaming(request_for()) as entered:
            assert [step.is_complete async for step in entered][-1]
        assert steps[-1].outcome is stream.outcome
        assert entered.outcome is not None
        assert entered.outcome.result == ADA


async def test_nothing_is_sent_before_the_first_step_is_asked_for() -> None:
    async with serving() as (service, provider):
        stream = service.route_structured_streaming(request_for())
        assert stream.outcome is None
        async with stream:
            assert provider.connections == 0
            await anext(stream)
            assert len(provider.requests) == 1


async def test_each_delta_is_a_step_where_that_is_asked_for() -> None:
    async with serving(script=Script(delta_size=1)) as (service, _):
        each = await steps_of(service, request_for(cadence="delta"))
        assert len(each) >= len(PROFILE)
        assert sum(len(chunk) for step in each for chunk in step.raw_chunks) == len(PROFILE)
        names = [name for step in each[:-1] if (name := getattr(step.partial_result, "name", None))]
        assert names[0] == "A"
        assert all("Ada Lovelace".startswith(name) for name in names)


async def test_the_result_is_the_end_of_what_is_left() -> None:
    async with serving(script=Script(delta_size=1)) as (service, _):
        stream = service.route_structured_streaming(request_for(cadence="delta"))
        await anext(stream)
        assert await stream.result() == ADA
        assert await stream.result() == ADA  # it stays


async def test_the_result_of_a_failure_raises_with_all_that_was_saved() -> None:
    async with serving(faults=[length(50)]) as (service, _):
        stream = service.route_structured_streaming(request_for())
        with pytest.raises(TruncatedError) as raised:
            await stream.result()
        outcome = raised.value.outcome
        assert outcome is stream.outcome
        assert outcome is not None
        assert outcome.raw_text == PROFILE[:50]
        assert outcome.last_partial.name == "Ada Lovelace"
        assert list(outcome.completed)[:2] == ["name", "age"]


async def test_an_ended_stream_has_no_more_steps() -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        await stream.result()
        assert [step async for step in stream] == []
        await stream.aclose()
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.COMPLETE


async def test_two_tasks_cannot_wait_for_one_step() -> None:
    async with serving(faults=[stall_before_first_byte()]) as (service, provider):
        stream = service.route_structured_streaming(request_for())
        first = asyncio.create_task(stream.result())
        await provider.wait_for_stall()
        with pytest.raises(ConfigurationError, match="another task waits for this stream's next step"):
            await anext(stream)
        provider.release()
        assert await first == ADA


async def test_a_stream_that_a_foreign_error_broke_says_so() -> None:
    async def no_token() -> str:
        raise ZeroDivisionError

    async with AsyncOpenAI(api_key=no_token, base_url="http://127.0.0.1/v1") as client:
        stream = StructuredLLMService(client).route_structured_streaming(request_for())
        with pytest.raises(ZeroDivisionError):
            await anext(stream)
        with pytest.raises(StructStreamError, match="broken before"):
            await stream.result()


async def test_two_streams_of_one_request_know_nothing_of_each_other() -> None:
    async with serving() as (service, _):
        request = request_for()
        first, second = (service.route_structured_streaming(request) for _ in range(2))
        assert list(await asyncio.gather(first.result(), second.result())) == [ADA, ADA]
        assert first.outcome is not second.outcome
