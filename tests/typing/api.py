"""What type checkers must see in the public names: mypy and pyright read this file, nobody runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, assert_type

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

import structstream
from structstream import (
    AnswerHistory,
    Outcome,
    OutcomeKind,
    Partial,
    ProgressEvent,
    ProgressFilter,
    ProgressTracker,
    StreamDecoder,
    StreamingResponse,
    StreamingStructuredRequest,
    StructStreamError,
    StructuredLLMService,
    StructuredStream,
    SyncStructuredLLMService,
    SyncStructuredStream,
    Timeouts,
    Transport,
    Usage,
    parse_stream,
)
from structstream.integrations import instructor
from structstream.testing.cassettes import Cassette, timed


class Profile(BaseModel):
    """The answer."""

    name: str
    tags: list[str] = []


async def loud(event: ProgressEvent) -> None:
    """Listen, and wait."""
    assert_type(event.progress_percent, float)


def quiet(event: ProgressEvent) -> None:
    """Listen."""
    assert_type(event.message, str)


request = StreamingStructuredRequest(
    response_model=Profile,
    model="openai/gpt-4o",
    prompt="An engineer",
    timeouts=Timeouts(total=30),
    progress_callback=loud,
)
assert_type(request, StreamingStructuredRequest[Profile])
assert_type(
    StreamingStructuredRequest(response_model=list[int], model="gpt-4o", prompt="Primes", progress_callback=quiet),
    StreamingStructuredRequest[list[int]],
)


async def stream(service: StructuredLLMService) -> None:
    """Iterate, leave, drain."""
    async with service.route_structured_streaming(request) as responses:
        assert_type(responses, StructuredStream[Profile])
        async for response in responses:
            assert_type(response, StreamingResponse[Profile])
            steps(response)
        assert_type(await responses.result(), Profile)
    async for response in service.route_structured_streaming(request):
        assert_type(response, StreamingResponse[Profile])
    assert_type(await service.route_structured(request), Profile)


async def steering(service: StructuredLLMService) -> None:
    """By pattern, paused, for several consumers, many at once."""
    stream = service.route_structured_streaming(request)
    stream.on_complete("tags[*]", print)
    async for value in stream.each("tags[*]"):
        assert_type(value, Any)
    assert_type(stream.is_paused, bool)
    for branch in stream.tee(3):
        async for response in branch:
            assert_type(response, StreamingResponse[Profile])
    async for number, response in service.stream_many([request], concurrency=4, order="request"):
        assert_type(number, int)
        assert_type(response, StreamingResponse[Profile])


def progress(history: AnswerHistory) -> None:
    """On its own, filtered, learned."""
    tracker = ProgressTracker(quiet, only=ProgressFilter(types=["field"], paths=["tags[*]"]))
    tracker.update_progress(50)
    assert_type(tracker.get_duration(), float)
    StructuredLLMService(history=history)


def steps(response: StreamingResponse[Profile]) -> None:
    """What one step offers."""
    assert_type(response.partial_result, Profile | Any | None)
    assert_type(response.is_complete, bool)
    assert_type(response.progress_percent, float)
    assert_type(response.error, str | None)
    assert_type(response.attempt, int)
    assert_type(response.outcome, Outcome[Profile] | None)
    assert_type(response.usage, Usage | None)
    assert_type(response.coalesced, int)
    assert_type(response.confidence("name"), float | None)
    assert_type(response.result, Profile)


def ends(outcome: Outcome[Profile]) -> None:
    """What the end offers."""
    assert_type(outcome.kind, OutcomeKind)
    assert_type(outcome.result, Profile | None)
    assert_type(outcome.error, StructStreamError | None)
    assert_type(outcome.unwrap(), Profile)
    assert_type(outcome.confidence("name"), float | None)


def without_a_loop() -> None:
    """The facade for callers without an event loop."""
    service = StructuredLLMService(AsyncOpenAI())
    assert_type(service.sync, SyncStructuredLLMService)
    with service.sync.route_structured_streaming(request) as responses:
        assert_type(responses, SyncStructuredStream[Profile])
        for response in responses:
            assert_type(response, StreamingResponse[Profile])
    assert_type(service.sync.route_structured(request), Profile)


def text_from_anywhere(texts: Iterator[str], reads: AsyncIterator[bytes]) -> None:
    """The core alone: a plain iterable gives a plain iterator, an async one an async one."""
    assert_type(parse_stream(texts, Profile), Iterator[StreamingResponse[Profile]])
    assert_type(parse_stream(b"[1]", list[int]), Iterator[StreamingResponse[list[int]]])
    assert_type(parse_stream(reads, Profile, lenient=True), AsyncIterator[StreamingResponse[Profile]])


def bytes_of_a_provider(decoder: StreamDecoder[Profile], data: bytes) -> None:
    """The decoder without a transport."""
    assert_type(decoder.feed(data), list[StreamingResponse[Profile]])
    assert_type(decoder.finish(), StreamingResponse[Profile])


async def recorded(request: StreamingStructuredRequest[Profile]) -> None:
    """A cassette stands between a service and its transport, and changes no type."""
    with Cassette("profile.yaml", record_mode="none", play=timed(2)) as cassette:
        service = StructuredLLMService(cassette.client, wrap_transport=cassette.wrap)
        assert_type(await service.route_structured(request), Profile)
    assert_type(cassette.client, Transport | None)
    assert_type(cassette.unused, list[str])


def snapshots(partial: Partial[Profile]) -> None:
    """What a snapshot offers whatever its model; its fields are the model's own and read as Any."""
    assert_type(partial.is_complete("tags[0]"), bool)
    assert_type(partial.model_fields_set, set[str])
    assert_type(partial.model_dump(), dict[str, Any])


assert_type(structstream.__version__, str)

# What must not pass: each line is an error to both checkers, or its comment is.
StreamingStructuredRequest(response_model=Profile)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
StructuredLLMService("sk-key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Timeouts(forever=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def of_instructor(client: OpenAI, other: AsyncOpenAI) -> None:
    """With the import changed a type checker says what it said."""
    blocking, waiting = instructor.from_openai(client), instructor.from_openai(other)
    assert_type(blocking, instructor.Instructor)
    assert_type(blocking.create_partial(Profile, []), Generator[Profile, None, None])
    assert_type(waiting.create_partial(Profile, []), AsyncGenerator[Profile, None])
    assert_type(instructor.create_partial(blocking, Profile), Generator[Profile, None, None])
    assert_type(instructor.create_partial(waiting, Profile), AsyncGenerator[Profile, None])
    assert_type(instructor.create_iterable(waiting, "Who?", Profile), AsyncGenerator[Profile, None])
