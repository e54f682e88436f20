"""The object a caller holds: iterated, read by pattern, paused, closed."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI

from structstream.errors import ConfigurationError, StreamTimeoutError, StructStreamError, TruncatedError
from structstream.guardrails import CallableGuardrail, Guardrail, PersonalData
from structstream.policies import CachePolicy, Policies
from structstream.request import Timeouts
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import FakeClock, Script, length, stall_at_byte, stall_before_first_byte
from tests.edge import BARE, PROFILE, Profile, aiohttp_client, request_for, serving, steps_of
from tests.rawserver import http_head, raw_server
from tests.test_decoder import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from structstream.response import StreamingResponse
    from structstream.stream import StructuredStream

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


# completion

BY_DELTA: dict[str, Any] = {"cadence": "delta"}  # Any: whatever a request takes
SLOWLY: dict[str, Any] = {"script": Script(delta_size=1)}  # Any: whatever a SimulatedProvider takes
TAGS = ["engines", "notes", "numbers"]


async def test_each_reads_the_stream_by_itself() -> None:
    async with serving(**SLOWLY) as (service, _):
        async with service.route_structured_streaming(request_for(**BY_DELTA)) as stream:
            assert [tag async for tag in stream.each("tags[*]")] == TAGS
        assert stream.outcome is not None
        assert stream.outcome.result == ADA
        assert [step async for step in stream] == []


async def test_each_gives_the_first_before_its_list_closes() -> None:
    async with serving(faults=[stall_at_byte(12_000)], **SLOWLY) as (service, provider):
        stream = service.route_structured_streaming(request_for(**BY_DELTA))
        assert await anext(stream.each("name")) == "Ada Lovelace"
        assert provider.requests[0].ending is None
        await stream.aclose()


async def test_several_readers_and_a_plain_iteration_get_all() -> None:
    async with serving(**SLOWLY) as (service, _):
        stream = service.route_structured_streaming(request_for(**BY_DELTA))

        async def read(pattern: str) -> list[Any]:  # Any: values of any type
            return [value async for value in stream.each(pattern)]

        async def iterate() -> list[Any]:  # Any: steps
            return [step async for step in stream]

        tags, age, root, steps = await asyncio.gather(read("tags[*]"), read("age"), read(""), iterate())
        assert (tags, age, root) == (TAGS, [36], [ADA])
        assert sum(step.coalesced for step in steps) == len(PROFILE) + 1
        completed = [path for step in steps for path in step.completed]
        assert completed == ["name", "age", "tags[0]", "tags[1]", "tags[2]", "tags", ""]
        assert steps[-1].partial_result == ADA


async def test_who_begins_to_follow_while_a_step_is_waited_for_misses_nothing() -> None:
    async with serving(faults=[stall_before_first_byte()], **SLOWLY) as (service, provider):
        stream = service.route_structured_streaming(request_for(**BY_DELTA))
        first = asyncio.ensure_future(anext(stream))
        await provider.wait_for_stall()
        reader = asyncio.ensure_future(_all(stream.each("tags[*]")))
        await asyncio.sleep(0)
        provider.release()
        await first
        assert await reader == TAGS  # though nobody asks for another step


async def _all(values: AsyncIterator[Any]) -> list[Any]:  # Any: values of any type
    return [value async for value in values]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_callback_hears_of_each_completion_in_order(is_async: bool) -> None:
    heard: list[tuple[str, Any]] = []  # Any: values of any type

    def plain_one(path: str, value: Any) -> None:  # Any: as above
        heard.append((path, value))

    async def async_one(path: str, value: Any) -> None:  # Any: as above
        await asyncio.sleep(0)
        heard.append((path, value))

    async with serving(**SLOWLY) as (service, _):
        stream = service.route_structured_streaming(request_for(**BY_DELTA))
        stream.on_complete("tags[*]", async_one if is_async else plain_one)
        stream.on_complete("age", async_one if is_async else plain_one)
        assert await stream.result() == ADA
        assert heard == [("age", 36), ("tags[0]", "engines"), ("tags[1]", "notes"), ("tags[2]", "numbers")]


async def test_a_callback_that_raises_breaks_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        stream.on_complete("tags[*]", lambda path, value: 1 / 0)  # type: ignore[arg-type,return-value]  # it raises
        assert await stream.result() == ADA
    assert [record.getMessage().split(" (")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "on_complete raised: ZeroDivisionError"
    ]


async def test_what_is_no_pattern_or_callback_is_refused_at_once() -> None:
    async with serving() as (service, _):
        stream = service.route_structured_streaming(request_for())
        with pytest.raises(ConfigurationError, match="is no path pattern"):
            stream.each("tags[")
        with pytest.raises(ConfigurationError, match="take a path and a value"):
            stream.on_complete("tags[*]", lambda value: None)  # type: ignore[arg-type,misc]  # wrong on purpose


# steering


async def test_a_paused_stream_reads_nothing_until_it_goes_on() -> None:
    clock = FakeClock()
    async with serving(clock=clock, **SLOWLY) as (service, _):
        stream = service.route_structured_streaming(request_for(**BY_DELTA, timeouts=Timeouts(between_tokens=5)))
        await anext(stream)
        stream.pause()
        assert stream.is_paused
        rest = asyncio.ensure_future(_steps(stream))
        for _ in range(20):
            await asyncio.sleep(0)
        await clock.advance(60)  # the deadline between tokens does not run
        assert not rest.done()
        stream.resume()
        stream.resume()
        assert not stream.is_paused
        assert (await rest)[-1].partial_result == ADA


async def test_the_deadline_of_the_whole_ends_a_paused_stream() -> None:
    clock = FakeClock()
    async with serving(clock=clock, faults=[stall_at_byte(12_000)], **SLOWLY) as (service, provider):
        stream = service.route_structured_streaming(request_for(**BY_DELTA, timeouts=Timeouts(total=60)))
        await anext(stream)
        stream.pause()
        rest = asyncio.ensure_future(_steps(stream))
        await asyncio.sleep(0)
        await clock.advance(59)
        assert not rest.done()
        await clock.advance(1)
        outcome = (await rest)[-1].outcome
        assert outcome is not None
        error = outcome.error
        assert isinstance(error, StreamTimeoutError)
        assert (error.deadline, error.elapsed) == ("total", 60)
        await provider.wait_for_disconnect(0)


async def _steps(stream: StructuredStream[Profile]) -> list[StreamingResponse[Profile]]:
    return [step async for step in stream]


async def test_the_provider_is_held_back_by_the_socket_while_a_stream_is_paused() -> None:
    document = json.dumps({"name": "A" * 40_000_000, "age": 1, "tags": []})
    async with (
        serving(document=document, script=Script(delta_size=20_000)) as (service, provider),
        service.route_structured_streaming(request_for()) as stream,
    ):
        await anext(stream)
        stream.pause()
        rest = asyncio.ensure_future(_steps(stream))
        sent = -1
        while sent != (sent := provider.requests[0].bytes_sent):  # until the socket is full
            for _ in range(200):
                await asyncio.sleep(0)
        assert sent < len(document) / 2
        rest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rest


async def test_a_paused_stream_can_be_closed_from_another_task() -> None:
    async with serving(faults=[stall_at_byte(12_000)] * 2, **SLOWLY) as (service, provider):
        for leave in ("aclose", "cancel"):
            stream = service.route_structured_streaming(request_for(**BY_DELTA))
            await anext(stream)
            stream.pause()
            rest = asyncio.ensure_future(_steps(stream))
            await asyncio.sleep(0)
            if leave == "aclose":
                await stream.aclose()
            else:
                stream.cancel()
            last = (await rest)[-1].outcome
            assert last is not None
            assert last.kind is OutcomeKind.CANCELLED
            await provider.wait_for_disconnect(len(provider.requests) - 1)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancelled_stream_ends_with_its_next_step(waits: bool) -> None:
    async with serving(faults=[stall_at_byte(1500)], **SLOWLY) as (service, provider):
        stream = service.route_structured_streaming(request_for(**BY_DELTA))
        await anext(stream)
        rest = asyncio.ensure_future(_steps(stream))
        if waits:
            await provider.wait_for_stall()
        stream.cancel()
        last = (await rest)[-1].outcome
        assert last is not None
        assert last.kind is OutcomeKind.CANCELLED
        assert last.raw_text


async def test_a_stream_that_is_cancelled_in_the_middle_of_a_read_ends_with_its_next_step() -> None:
    body = b"".join(map(text, PROFILE[:-1]))

    async def at_once(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head() + body)
        await writer.drain()

    async with raw_server(at_once) as server, aiohttp_client(server.base_url) as client:
        stream = StructuredLLMService(client, policies=BARE).route_structured_streaming(request_for(cadence="delta"))
        async for _ in stream:
            stream.cancel()
            break
        assert [step.is_complete for step in await _steps(stream)] == [True]
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
        await asyncio.wait_for(server.left.wait(), 1)


async def test_a_stream_that_is_cancelled_before_its_start_sends_nothing() -> None:
    async with serving() as (service, provider):
        stream = service.route_structured_streaming(request_for())
        stream.cancel()
        (last,) = await _steps(stream)
        assert last.outcome is not None
        assert last.outcome.kind is OutcomeKind.CANCELLED
        assert provider.requests == []


@pytest.mark.parametrize("begun", [0, 1], ids=["before", "within"])
async def test_a_stream_that_is_cancelled_ends_with_its_next_step_also_where_the_cache_has_its_answer(
    begun: int,
) -> None:
    async with serving(policies=Policies(cache=CachePolicy(path=":memory:"))) as (service, provider):
        await service.route_structured(request_for())
        stream = service.route_structured_streaming(request_for())
        for _ in range(begun):
            await anext(stream)
        stream.cancel()
        (last,) = await _steps(stream)
        assert last.outcome is stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
        assert len(provider.requests) == 1


async def _good(text: str) -> bool:
    return True


@pytest.mark.parametrize(
    "guardrails", [(), (PersonalData(),), (CallableGuardrail(_good),)], ids=["open", "now", "later"]
)
async def test_what_a_stream_held_is_freed_with_it_and_needs_no_collector(guardrails: Sequence[Guardrail]) -> None:
    async with serving(document=PROFILE, settings={"guardrails": guardrails}) as (service, _):
        await steps_of(service, request_for())  # what the first call imports and caches
        gc.collect()
        gc.disable()
        try:
            steps = await steps_of(service, request_for())
            kept = weakref.ref(steps[-1].result)
            del steps
            await asyncio.sleep(0)
            assert kept() is None
        finally:
            gc.enable()
