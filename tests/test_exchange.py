"""One attempt over a real socket: every end is one outcome, every deadline is named, every failure keeps what came."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import resource
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from structstream import errors
from structstream.guardrails import CallableGuardrail, DenyList, Guardrail
from structstream.request import HTTPRequest, Timeouts
from structstream.response import OutcomeKind, StreamingResponse
from structstream.service import StructuredLLMService
from structstream.testing import (
    FakeClock,
    Fault,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    drop_at_byte,
    duplicate_finish,
    empty_stream,
    html_200,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    no_tool_call,
    plain_json_200,
    refusal,
    reset_at_byte,
    stall_at_byte,
    stall_before_first_byte,
    status,
    text_after_json,
    two_tool_calls,
    unknown_events,
)
from structstream.transport import HTTPAnswer, SDKTransport
from tests.edge import BARE, CLIENTS, KEY, PROFILE, Profile, request_for, serving, steps_of
from tests.rawserver import EVENT_STREAM, http_head, raw_server

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)


def last(steps: list[StreamingResponse[Profile]]) -> StreamingResponse[Profile]:
    assert [step.is_complete for step in steps] == [False] * (len(steps) - 1) + [True]
    return steps[-1]


@pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
async def test_a_good_answer_is_complete(make_client: Any, mode: str, streaming: bool) -> None:
    async with serving(make_client=make_client) as (service, provider):
        steps = await steps_of(service, request_for(mode=mode, enable_streaming=streaming))
        end = last(steps)
        assert (end.partial_result, end.error, end.progress_percent) == (ADA, None, 100)
        outcome = end.outcome
        assert outcome is not None
        assert outcome.kind is OutcomeKind.COMPLETE
        assert outcome.raw_text == PROFILE
        assert outcome.usage is not None
        (attempt,) = outcome.attempts
        assert (attempt.number, attempt.model, attempt.mode, attempt.kind) == (1, "gpt-4o", mode, OutcomeKind.COMPLETE)
        assert attempt.streams is streaming
        assert attempt.request_id == outcome.headers["x-request-id"] == "req_simulated_0"
        assert outcome.headers["x-ratelimit-limit-requests"] == "10000"
        assert not {"content-type", "date", "set-cookie"} & set(outcome.headers)
        assert len(provider.requests) == 1
        if not streaming:
            assert len(steps) == 1


async def test_a_finished_answer_gives_its_connection_back() -> None:
    async with serving() as (service, provider):
        for _ in range(5):
            await steps_of(service, request_for())
        assert provider.connections == 1


STREAM_FAULTS: list[tuple[Fault, str, type[errors.StructStreamError]]] = [
    (length(30), "truncated", errors.TruncatedError),
    (no_finish(), "incomplete", errors.IncompleteError),
    (empty_stream(), "incomplete", errors.IncompleteError),
    (cut_at_byte(900), "incomplete", errors.IncompleteError),
    (drop_at_byte(900), "incomplete", errors.IncompleteError),
    (reset_at_byte(900), "incomplete", errors.IncompleteError),
    (refusal("No."), "refused", errors.RefusedError),
    (content_filter(3), "filtered", errors.FilteredError),
    (in_band_error(3), "provider_error", errors.ServerError),
    (malformed_chunk(2), "provider_error", errors.ProtocolError),
    (html_200(), "provider_error", errors.UnexpectedResponseError),
    (plain_json_200('{"choices": []}'), "provider_error", errors.UnexpectedResponseError),
    (plain_json_200('{"error": {"code": "insufficient_quota"}}'), "provider_error", errors.QuotaExceededError),
    (status(400), "provider_error", errors.BadRequestError),
    (status(401), "provider_error", errors.AuthenticationError),
    (status(403), "provider_error", errors.PermissionDeniedError),
    (status(404), "provider_error", errors.NotFoundError),
    (status(422), "provider_error", errors.BadRequestError),
    (status(429), "provider_error", errors.RateLimitedError),
    (status(500), "provider_error", errors.ServerError),
    (status(502, body="<html><title>Bad gateway</title></html>"), "provider_error", errors.ServerError),
    (status(503, body={"error": {"message": "busy"}}), "provider_error", errors.OverloadedError),
    (status(529, body={"error": {"message": "busy"}}), "provider_error", errors.OverloadedError),
]


@pytest.mark.parametrize(("fault", "kind", "error"), STREAM_FAULTS, ids=lambda value: getattr(value, "name", None))
async def test_a_fault_ends_in_its_outcome(fault: Fault, kind: str, error: type[errors.StructStreamError]) -> None:
    async with serving(faults=[fault, fault]) as (service, provider):
        end = last(await steps_of(service, request_for()))
        outcome = end.outcome
        assert outcome is not None
        assert outcome.kind.value == kind
        caught = outcome.error
        assert isinstance(caught, error)
        assert caught.outcome is end.outcome
        assert end.partial_result is None
        assert end.error == str(caught)
        assert outcome.attempts[0].reason == end.error
        assert len(provider.requests) == 1
        # what came before is kept, and is true
        assert PROFILE.startswith(outcome.raw_text)
        assert {path.partition("[")[0] for path in outcome.completed} <= {"", *Profile.model_fields}
        with pytest.raises(error) as raised:
            await service.route_structured(request_for())
        assert raised.value.outcome is not None
        assert raised.value.outcome.kind.value == kind


@pytest.mark.parametrize(
    "fault", [duplicate_finish(), unknown_events(), two_tool_calls()], ids=lambda fault: fault.name
)
async def test_what_is_odd_but_harmless_is_complete(fault: Fault) -> None:
    async with serving(faults=[fault]) as (service, _):
        assert await service.route_structured(request_for(mode="tool")) == ADA


async def test_text_after_the_json_is_invalid_in_strict_reading_only() -> None:
    async with serving(faults=[text_after_json(), text_after_json()]) as (service, _):
        with pytest.raises(errors.InvalidOutputError):
            await service.route_structured(request_for(mode="native"))
        assert await service.route_structured(request_for(mode="prompted")) == ADA


async def test_words_where_a_tool_call_was_forced_are_no_answer() -> None:
    async with serving(faults=[no_tool_call()]) as (service, _):
        with pytest.raises(errors.StreamFailedError) as raised:
            await service.route_structured(request_for(mode="tool"))
        assert raised.value.outcome is not None
        assert raised.value.outcome.kind in {OutcomeKind.INVALID, OutcomeKind.REFUSED, OutcomeKind.INCOMPLETE}


async def test_an_answer_that_is_no_profile_is_invalid_and_the_connection_is_left_at_once() -> None:
    text = '{"name": "Ada", "age": "many", ' + '"tags": [' + '"x", ' * 2000 + '"x"]}'
    async with serving(document=text) as (service, provider):
        end = last(await steps_of(service, request_for()))
        assert end.outcome is not None
        assert end.outcome.kind is OutcomeKind.INVALID
        assert isinstance(end.outcome.error, errors.InvalidOutputError)
        assert end.outcome.error.path == "age"
        record = await provider.wait_for_disconnect(0, within=1)
        assert record.ending == "disconnected"


async def test_a_broken_connection_is_the_cause_of_an_incomplete_answer() -> None:
    async with serving(faults=[reset_at_byte(900)]) as (service, _):
        end = last(await steps_of(service, request_for()))
        assert end.outcome is not None
        assert end.outcome.kind is OutcomeKind.INCOMPLETE
        assert isinstance(end.outcome.error.__cause__, errors.ConnectionFailedError)  # type: ignore[union-attr]


@pytest.mark.parametrize("make_client", CLIENTS)
async def test_bytes_that_are_no_http_end_the_answer(make_client: Any) -> None:
    """At once: aiohttp 3.14 closes the connection and lets its reader wait, for as long as a deadline allows."""
    clock, seen = FakeClock(), asyncio.Event()
    event = b'data: {"choices":[{"delta":{"content":"{\\"name\\": \\"Ad"}}]}\n\n'

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head(headers={**EVENT_STREAM, "transfer-encoding": "chunked"}))
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await seen.wait()
        writer.write(b"this is no chunk\r\n")

    async with raw_server(answer) as server, make_client(server.base_url) as client:
        stream = StructuredLLMService(client, clock=clock, policies=BARE).route_structured_streaming(request_for())
        assert "Ad" in repr((await anext(stream)).partial_result)
        reading = asyncio.ensure_future(anext(stream))
        seen.set()
        await asyncio.wait_for(server.left.wait(), 1)
        outcome = (await asyncio.wait_for(reading, 1)).outcome
        assert outcome is not None
        assert (outcome.kind, type(outcome.error)) == (OutcomeKind.INCOMPLETE, errors.IncompleteError)


async def test_a_gzip_bomb_is_stopped_at_the_bound_of_a_line() -> None:
    bomb = gzip.compress(b"data: " + bytes(100 << 20))
    head = http_head(headers={**EVENT_STREAM, "content-encoding": "gzip"}, length=len(bomb))

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head + bomb)

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = last(await steps_of(StructuredLLMService(client, policies=BARE), request_for())).outcome
        assert outcome is not None
        assert isinstance(outcome.error, errors.SSEError)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 90_000  # KB; the whole is 100 MB


_MUCH = 100 << 20
BOMBS = {
    "zeros": (b"\0", errors.SSEError),
    "spaces": (b" ", errors.SSEError),
    "json": (b'{"error": {"message": "', errors.UnexpectedResponseError),
    "page": (b"<html>", errors.UnexpectedResponseError),
}


@pytest.mark.parametrize("code", ["200 OK", "500 Internal Server Error"])
@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("kind", BOMBS)
async def test_of_a_gzip_bomb_as_much_is_unpacked_as_is_kept(code: str, streaming: bool, kind: str) -> None:
    start, as_stream = BOMBS[kind]
    bomb = gzip.compress(start + start[-1:] * _MUCH, compresslevel=1)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head(code, headers, length=len(bomb) + 1) + bomb)

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        service = StructuredLLMService(client, policies=BARE)
        with peak_of_memory() as peak:
            outcome = last(await steps_of(service, request_for(enable_streaming=streaming))).outcome
        assert outcome is not None
        assert outcome.kind is OutcomeKind.PROVIDER_ERROR
        as_answer = as_stream if streaming else errors.UnexpectedResponseError
        assert type(outcome.error) is (errors.ServerError if code[0] == "5" else as_answer)
        most = 6 if code[0] == "5" else 24 if streaming else 160  # MiB; 64 are taken of a whole answer
        assert peak[0] < most << 20
        await asyncio.wait_for(server.left.wait(), 1)


@contextmanager
def peak_of_memory() -> Iterator[list[int]]:
    """Yield a list that holds, at the end, how many bytes were allocated at most."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)
async def test_an_endless_error_body_is_left_where_its_sentence_is_known(make_client: Any) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head("429 Too Many Requests", {"retry-after": "7"}) + b"too many ")
        while True:
            writer.write(b"requests " * 4096)
            await writer.drain()

    async with raw_server(answer) as server, make_client(server.base_url) as client:
        service = StructuredLLMService(client, policies=BARE)
        await steps_of(service, request_for())  # imports and pools are no part of what is measured
        server.left.clear()
        with peak_of_memory() as peak:
            outcome = last(await steps_of(service, request_for())).outcome
        assert outcome is not None
        assert isinstance(outcome.error, errors.RateLimitedError)
        assert (outcome.error.retry_after, "too many requests" in str(outcome.error)) == (7, True)
        assert peak[0] < 2 << 20
        await asyncio.wait_for(server.left.wait(), 1)


@pytest.mark.parametrize("guardrails", [[CallableGuardrail(bool)], [DenyList("Somerville")]], ids=["words", "denied"])
async def test_a_header_that_guardrails_keep_back_is_not_there(guardrails: list[Guardrail]) -> None:
    told = {"x-request-id": "Somerville", "request-id": "req-1", "x-ratelimit-remaining-tokens": "7"}

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head("500 Oh no", told, length=2) + b"no")

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        service = StructuredLLMService(client, policies=BARE)
        outcome = last(await steps_of(service, request_for(guardrails=guardrails))).outcome
    assert outcome is not None
    assert outcome.headers == {"request-id": "req-1", "x-ratelimit-remaining-tokens": "7"}
    assert outcome.attempts[0].request_id == "req-1"


class Halting:
    """A transport whose answer says half of why it is an error, and then nothing, or breaks."""

    status = 400
    headers: Mapping[str, str] = {}

    def __init__(self, *, breaks: bool) -> None:
        self.waits = asyncio.Event()
        self._breaks = breaks

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        return self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"error": {"message": "the schema is wrong"}}'
        if self._breaks:
            raise errors.ConnectionFailedError("the connection broke", provider="any")
        self.waits.set()
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("breaks", [True, False])
async def test_an_error_body_that_does_not_end_says_what_it_said(breaks: bool) -> None:
    clock, transport = FakeClock(), Halting(breaks=breaks)
    reading = asyncio.create_task(steps_of(StructuredLLMService(transport, clock=clock, policies=BARE), request_for()))
    if not breaks:
        await transport.waits.wait()
        await clock.advance(5)
    outcome = last(await reading).outcome
    assert outcome is not None
    assert isinstance(outcome.error, errors.BadRequestError)
    assert outcome.error.message == "the schema is wrong"


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("make_client", CLIENTS)
async def test_a_whole_answer_whose_end_never_comes_is_whole_all_the_same(make_client: Any, streaming: bool) -> None:
    """A server that hangs where it should close: nobody waits for longer than for the sentence of an error."""
    clock, half, left = FakeClock(), asyncio.Event(), asyncio.Event()
    message = {"created": {}, "choices": [{"message": {"content": PROFILE}, "finish_reason": "stop"}]}
    body = json.dumps(message).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
        first = body.index(b"}") + 1  # what ends in a bracket need not be all of it
        writer.write(http_head(headers=headers) + b"%x\r\n%s\r\n" % (first, body[:first]))
        await half.wait()
        writer.write(b"%x\r\n%s\r\n" % (len(body) - first, body[first:]))
        await left.wait()

    async with raw_server(answer) as server, make_client(server.base_url) as client:
        service = StructuredLLMService(client, clock=clock, policies=BARE)
        asking, began = asyncio.ensure_future(steps_of(service, request_for(enable_streaming=streaming))), clock.now()
        try:
            while not asking.done() and clock.now() < began + 50:
                await asyncio.sleep(0.001)  # the network's turn
                await clock.advance(0.05)
                if clock.now() > began + 12:
                    half.set()
            outcome = last(await asyncio.wait_for(asking, 1)).outcome
        finally:
            left.set()
        assert outcome is not None
        assert (outcome.kind, outcome.result) == (OutcomeKind.COMPLETE, Profile.model_validate_json(PROFILE))
        assert 12 < clock.now() - began < 50


async def test_no_connection_at_all_is_a_provider_error() -> None:
    async with serving() as (service, provider):
        await provider.aclose()
        end = last(await steps_of(service, request_for()))
        assert end.outcome is not None
        assert end.outcome.kind is OutcomeKind.PROVIDER_ERROR
        assert isinstance(end.outcome.error, errors.ConnectionFailedError)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"choices": []}', b'{"error": {"message": "no", "code": "invalid_api_key"}}', b"{", b"[]"],
    ids=["empty", "page", "no choices", "error", "cut", "list"],
)
async def test_a_whole_answer_that_is_none_is_a_typed_error(body: bytes) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head(headers={"content-type": "application/json"}, length=len(body)) + body)

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        with pytest.raises(errors.StructStreamError) as raised:
            await StructuredLLMService(client, policies=BARE).route_structured(request_for(enable_streaming=False))
        assert raised.value.outcome is not None
        assert raised.value.outcome.kind is OutcomeKind.PROVIDER_ERROR


async def test_a_retry_after_that_is_a_date_counts_from_the_answers_own_date() -> None:
    dates = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:09 GMT"}
    async with serving(faults=[status(429, dates, {"error": {"message": "slow"}})]) as (service, _):
        with pytest.raises(errors.RateLimitedError) as raised:
            await service.route_structured(request_for())
        assert raised.value.retry_after == 9
        assert raised.value.outcome is not None
        assert raised.value.outcome.headers["retry-after"] == dates["retry-after"]


# deadlines


async def test_no_first_event_in_time_is_the_first_token_deadline() -> None:
    clock = FakeClock()
    async with serving(clock=clock, faults=[stall_before_first_byte()]) as (service, provider):
        reading = asyncio.create_task(steps_of(service, request_for(timeouts=Timeouts(first_token=7))))
        await provider.wait_for_stall()
        await clock.advance(7)
        await expect_timeout(reading, "first_token", 7)
        await provider.wait_for_disconnect(0, within=1)


async def test_comments_that_keep_a_connection_alive_are_no_first_event() -> None:
    clock = FakeClock()
    written = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head() + b": hold on\n\n: hold")
        written.set()

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        service = StructuredLLMService(client, clock=clock, policies=BARE)
        reading = asyncio.create_task(steps_of(service, request_for(timeouts=Timeouts(first_token=7))))
        await written.wait()
        await clock.advance(7)
        await expect_timeout(reading, "first_token", 7)
        await asyncio.wait_for(server.left.wait(), 1)


async def test_silence_in_the_middle_is_the_deadline_between_tokens_and_keeps_what_came() -> None:
    clock = FakeClock()
    async with serving(clock=clock, faults=[stall_at_byte(2000)]) as (service, provider):
        async with service.route_structured_streaming(request_for(timeouts=Timeouts(between_tokens=3))) as stream:
            seen = [await anext(stream)]
            await provider.wait_for_stall()
            while seen[-1].outcome is None:
                step = asyncio.ensure_future(anext(stream))
                await until_it_waits(step, clock)
                if not step.done():
                    await clock.advance(3)
                seen.append(await step)
            outcome = seen[-1].outcome
        assert outcome.kind is OutcomeKind.TIMEOUT
        error = outcome.error
        assert isinstance(error, errors.StreamTimeoutError)
        assert (error.deadline, error.configured) == ("between_tokens", 3)
        assert outcome.raw_text
        assert PROFILE.startswith(outcome.raw_text)
        await provider.wait_for_disconnect(0, within=1)


async def test_the_whole_call_has_a_deadline() -> None:
    clock = FakeClock()
    async with serving(clock=clock, faults=[stall_at_byte(2000)]) as (service, provider):
        limits = Timeouts(between_tokens=None, first_token=None, total=20)
        reading = asyncio.create_task(steps_of(service, request_for(timeouts=limits)))
        await provider.wait_for_stall()
        await clock.advance(20)
        await expect_timeout(reading, "total", 20)


async def test_a_slow_caller_passes_no_deadline_but_that_of_the_whole_call() -> None:
    clock = FakeClock()
    async with serving(clock=clock) as (service, _):
        limits = Timeouts(between_tokens=1, first_token=1, total=100)
        stream = service.route_structured_streaming(request_for(timeouts=limits, cadence="delta"))
        await anext(stream)
        await clock.advance(50)
        assert await stream.result() == ADA
        stream = service.route_structured_streaming(request_for(timeouts=limits))
        await anext(stream)
        await clock.advance(50)


async def test_an_endless_stream_ends_with_the_deadline_of_the_whole_call() -> None:
    clock = FakeClock()
    endless = '{"name": "' + "a" * 3_000_000
    async with serving(clock=clock, document=endless, script=Script(delta_size=4000)) as (service, _):
        stream = service.route_structured_streaming(request_for(timeouts=Timeouts(total=5)))
        for _ in range(3):
            await anext(stream)
        await clock.advance(5)
        rest = [step async for step in stream]
        assert len(rest) < 3
        outcome = rest[-1].outcome
        assert outcome is not None
        assert isinstance(outcome.error, errors.StreamTimeoutError)
        assert outcome.error.deadline == "total"


async def expect_timeout(
    reading: asyncio.Task[list[StreamingResponse[Profile]]], deadline: str, configured: float
) -> None:
    outcome = last(await reading).outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert isinstance(outcome.error, errors.StreamTimeoutError)
    assert (outcome.error.deadline, outcome.error.configured) == (deadline, configured)
    assert outcome.error.elapsed >= configured
    assert outcome.timings.total is not None
    assert outcome.timings.total >= configured


async def until_it_waits(step: asyncio.Future[Any], clock: FakeClock) -> None:
    """Give a read that has its bytes already the turns that it needs."""
    for _ in range(20):
        if not step.done():
            await asyncio.sleep(0)


async def test_timings_are_told_on_the_clock() -> None:
    clock = FakeClock()
    async with serving(clock=clock, script=Script(first_token_delay=0)) as (service, _):
        outcome = last(await steps_of(service, request_for())).outcome
        assert outcome is not None
        assert (outcome.timings.first_byte, outcome.timings.first_partial, outcome.timings.total) == (0, 0, 0)
        assert clock.sleepers == 0  # no timer is left behind


async def test_the_log_tells_the_way_and_no_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "structstream"):
        async with serving() as (service, _):
            await steps_of(service, request_for())
    said = [record.getMessage() for record in caplog.records if record.name == "structstream"]
    assert len(said) == 3
    for sentence, word in zip(said, ("starts", "first byte", "complete"), strict=True):
        assert word in sentence
        assert "simulated/gpt-4o" in sentence
        for secret in (KEY, "confidence", "Lovelace"):
            assert secret not in sentence


async def test_a_stream_without_its_content_type_is_read_all_the_same() -> None:
    body = b'data: {"choices": [{"delta": {"content": "%s"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    body = body.replace(b"%s", PROFILE.replace('"', '\\"').encode())

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head(headers={"content-type": "application/json"}, length=len(body)) + body)

    assert EVENT_STREAM["content-type"] == "text/event-stream"
    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        assert await StructuredLLMService(client, policies=BARE).route_structured(request_for()) == ADA


REDIRECTS = [
    ("https://other.example:8443/v2/chat?token=hidden", "to the host other.example:8443: .* set the base URL"),
    ("//other.example/v2", "to the host other.example: .* set the base URL"),
    ("/v2/chat/completions", "to another path of its host: .* set the base URL"),
    ("https://[broken/", "to an address that cannot be read: .* set the base URL"),
]


@pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("location", "sentence"), REDIRECTS, ids=[where for where, _ in REDIRECTS])
async def test_a_redirect_is_an_error_that_says_where_to_go(make_client: Any, location: str, sentence: str) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head("307 Temporary Redirect", {"location": location, "x-request-id": "r1"}, 2) + b"{}")

    async with raw_server(answer) as server, make_client(server.base_url) as client:
        end = last(await steps_of(StructuredLLMService(client, policies=BARE), request_for()))
    assert end.outcome is not None
    error = end.outcome.error
    assert isinstance(error, errors.UnexpectedResponseError)
    assert (error.status, error.retryable, error.request_id) == (307, False, "r1")
    assert re.search(sentence, str(error))
    assert "hidden" not in str(error)
    assert len(server.requests) == 1


async def test_a_redirect_to_nowhere_is_an_error_too() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(http_head("304 Not Modified", {"x": "1"}, 0))

    async with raw_server(answer) as server, CLIENTS[0](server.base_url) as client:
        end = last(await steps_of(StructuredLLMService(client, policies=BARE), request_for()))
    assert end.outcome is not None
    assert isinstance(end.outcome.error, errors.UnexpectedResponseError)
    assert not end.outcome.error.retryable


async def test_the_time_that_the_transport_takes_to_stand_is_no_part_of_the_deadlines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first call of a process imports the vendor's SDK."""

    class Blocked(FakeClock):
        def block(self, seconds: float) -> None:
            self._now += seconds

    clock, build = Blocked(), SDKTransport.build

    def slow(**arguments: Any) -> SDKTransport:
        clock.block(100)
        return build(**arguments)

    async with SimulatedProvider(document=PROFILE) as provider:
        monkeypatch.setattr(SDKTransport, "build", slow)
        monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", provider.base_url)
        async with StructuredLLMService(clock=clock, policies=BARE) as service:
            end = last(await steps_of(service, request_for(timeouts=Timeouts(first_token=5, total=50))))
    assert end.outcome is not None
    assert end.outcome.kind is OutcomeKind.COMPLETE
    assert end.outcome.timings.total is not None
    assert end.outcome.timings.total < 100
