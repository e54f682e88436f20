"""Many streams at once: interleaved or one request after another, bounded, and none lost for another's failure."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

import pytest

from structstream.errors import ConfigurationError, IncompleteError, StructStreamError
from structstream.many import stream_many
from structstream.parse import parse_stream
from structstream.response import OutcomeKind, StreamingResponse
from structstream.testing import Script, no_finish, stall_at_byte
from tests.edge import PROFILE, Profile, request_for, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from structstream.request import StreamingStructuredRequest

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)
TEXT = "[" + ", ".join(str(number) for number in range(10, 40)) + "]"


class Source:
    """Opens streams that are made of `TEXT`, and counts."""

    def __init__(self) -> None:
        self.open = self.most = self.steps = 0
        self.closed: list[int] = []

    def __call__(self, number: Any) -> Any:
        if number == 13:
            raise ConfigurationError("no such model")
        return _Stream(self, number)


class _Stream:
    def __init__(self, source: Source, number: int) -> None:
        self.source, self.number = source, number

    async def __aenter__(self) -> Self:
        self.source.open += 1
        self.source.most = max(self.source.most, self.source.open)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.source.open -= 1
        self.source.closed.append(self.number)

    async def __aiter__(self) -> AsyncIterator[StreamingResponse[Any]]:
        for at, step in enumerate(parse_stream(list(TEXT), list[int])):
            await asyncio.sleep(0)
            if self.number == 7 and at == 3:
                raise ZeroDivisionError
            self.source.steps += 1
            yield step


def numbered(source: Source, requests: Any, **how: Any) -> AsyncGenerator[tuple[int, StreamingResponse[Any]], None]:
    """What stands for a service takes numbers for requests."""
    return stream_many(source, requests, **how)


async def of(source: Source, numbers: Any, **how: Any) -> list[tuple[int, StreamingResponse[Any]]]:
    return [pair async for pair in numbered(source, numbers, **how)]


def completed(pairs: list[tuple[int, StreamingResponse[Any]]], number: int) -> list[str]:
    return [path for which, step in pairs if which == number for path in step.completed]


async def test_steps_come_as_they_arrive_and_each_stream_whole() -> None:
    source = Source()
    pairs = await of(source, range(6), concurrency=3)
    assert source.most == 3
    assert {number for number, _ in pairs} == set(range(6))
    expected = [*(f"[{at}]" for at in range(30)), ""]
    assert all(completed(pairs, number) == expected for number in range(6))
    first = [number for number, _ in pairs[:9]]
    assert len(set(first)) == 3  # interleaved
    assert source.closed == sorted(source.closed)


async def test_all_of_a_request_comes_before_the_next_ones() -> None:
    source = Source()
    pairs = await of(source, range(6), concurrency=3, order="request")
    numbers = [number for number, _ in pairs]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(6))
    expected = [*(f"[{at}]" for at in range(30)), ""]
    assert all(completed(pairs, number) == expected for number in range(6))
    assert numbers.count(0) > 100 > numbers.count(1)  # which read while the first was shown


async def test_a_consumer_that_takes_nothing_holds_every_stream_back() -> None:
    source = Source()
    async with aclosing(numbered(source, range(100), concurrency=4)) as steps:
        await anext(steps)
        for _ in range(500):
            await asyncio.sleep(0)
        assert source.steps <= 4 + 1
    assert source.open == 0


async def test_what_waits_for_its_turn_is_bounded() -> None:
    source = Source()
    async with aclosing(numbered(source, range(1000), concurrency=4, order="request")) as steps:
        await anext(steps)
        for _ in range(5000):
            await asyncio.sleep(0)
        assert len(source.closed) + source.open <= 2 * 4


async def test_a_failure_takes_no_other_with_it() -> None:
    source = Source()
    pairs = await of(source, [1, 7, 13, 2], concurrency=2)
    last = {number: step.outcome for number, step in pairs if step.outcome is not None}
    assert set(last) == {0, 1, 2, 3}
    assert (last[0].kind, last[3].kind) == (OutcomeKind.COMPLETE, OutcomeKind.COMPLETE)
    assert isinstance(last[2].error, ConfigurationError)
    assert type(last[1].error) is StructStreamError
    assert isinstance(last[1].error.__cause__, ZeroDivisionError)


async def test_requests_may_come_from_an_async_iterable_as_they_are_needed() -> None:
    asked: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(1000):
            asked.append(number)
            yield number

    source = Source()
    async with aclosing(numbered(source, numbers(), concurrency=2)) as steps:
        async for _, step in steps:
            if step.is_complete:
                break
    assert len(asked) <= 4
    assert source.open == 0


async def test_what_the_requests_raise_is_raised_when_all_has_been_shown() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    steps = numbered(Source(), numbers())
    while not (await anext(steps))[1].is_complete:
        pass
    with pytest.raises(ZeroDivisionError):
        await anext(steps)
    assert await of(Source(), []) == []


async def test_dropping_it_closes_every_stream() -> None:
    source = Source()
    steps = numbered(source, range(100), concurrency=4)
    await anext(steps)
    assert source.open > 0
    del steps
    for _ in range(20):
        await asyncio.sleep(0)
    assert source.open == 0


async def test_a_service_streams_many() -> None:
    requests: list[StreamingStructuredRequest[Profile]] = [request_for(cadence="delta") for _ in range(9)]
    async with serving(script=Script(delta_size=4), faults=[None, no_finish(), None]) as (service, _):
        pairs = [pair async for pair in service.stream_many(requests, concurrency=3)]
    outcomes = {number: step.outcome for number, step in pairs if step.outcome is not None}
    assert set(outcomes) == set(range(9))
    assert [number for number, one in outcomes.items() if isinstance(one.error, IncompleteError)] == [1]
    assert all(outcome.result == ADA for number, outcome in outcomes.items() if number != 1)


async def test_leaving_closes_every_connection() -> None:
    async with serving(script=Script(delta_size=1), faults=[stall_at_byte(9000)] * 3) as (service, provider):
        requests = [request_for(cadence="delta") for _ in range(3)]
        async with aclosing(service.stream_many(requests)) as steps:
            async for _ in steps:
                if len(provider.requests) == 3 and all(record.stalled for record in provider.requests):
                    break
        for number in range(3):
            await provider.wait_for_disconnect(number)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"concurrency": 0}, "concurrency must be a positive integer"),
        ({"concurrency": True}, "concurrency must be a positive integer"),
        ({"concurrency": "3"}, "concurrency must be a positive integer, not '3'"),
        ({"concurrency": 2.5}, "concurrency must be a positive integer, not 2.5"),
        ({"order": "random"}, "order must be one of arrival, request"),
        ({"requests": request_for()}, "requests must be several, such as a list, not StreamingStructuredRequest"),
    ],
)
async def test_what_cannot_work_is_refused_at_once(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        stream_many(Source(), **{"requests": [], **wrong})
