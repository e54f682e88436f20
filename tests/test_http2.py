"""HTTP/2 against a real server over TLS: one connection for many streams, and every leaving is told to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from structstream.clock import Clock
from structstream.providers import ProviderSpec
from structstream.request import Timeouts
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import FakeClock
from structstream.transport import SDKTransport
from tests.certificates import authority, server_context
from tests.edge import BARE, KEY, PROFILE, Profile, request_for, steps_of
from tests.h2server import H2Server, H2Stream, h2_server
from tests.rawserver import http_head

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)
WAIT = 5.0


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tests' own authority is the one that this machine trusts, and no proxy is set."""
    path = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def pieces() -> Iterator[bytes]:
    for at in range(0, len(PROFILE), 4):
        yield event({"choices": [{"index": 0, "delta": {"content": PROFILE[at : at + 4]}}]})
    yield event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


async def answers(stream: H2Stream) -> None:
    """The whole answer, each delta in a frame of its own."""
    stream.head()
    for piece in pieces():
        await stream.send(piece)
        await asyncio.sleep(0)
    stream.end()


async def halts(stream: H2Stream) -> None:
    """The start of an answer, then silence."""
    stream.head()
    await stream.send(event({"choices": [{"index": 0, "delta": {"content": '{"name": "Ad'}}]}))
    await asyncio.Event().wait()


async def floods(stream: H2Stream) -> None:
    """An answer without an end, as fast as the client's windows allow."""
    stream.head()
    await stream.send(event({"choices": [{"index": 0, "delta": {"content": '{"name": "'}}]}))
    while True:
        await stream.send(event({"choices": [{"index": 0, "delta": {"content": "a" * 8000}}]}))


@asynccontextmanager
async def speaking(
    answer: Callable[[H2Stream], Awaitable[None]], http2: bool | None = True, clock: Clock | None = None
) -> AsyncIterator[tuple[StructuredLLMService, H2Server]]:
    async with h2_server(answer) as server:
        row = ProviderSpec(name="mine", base_url=server.base_url)
        keys = {"mine": KEY}
        service = StructuredLLMService(providers={"mine": row}, api_keys=keys, http2=http2, policies=BARE, clock=clock)
        async with service:
            yield service, server


MINE = {"model": "mine/gpt-4o"}


async def test_a_stream_comes_over_http_2() -> None:
    async with speaking(answers) as (service, server):
        steps = await steps_of(service, request_for(**MINE))
        assert steps[-1].partial_result == ADA
        assert len(steps) > 5
        (stream,) = server.streams
        assert stream.headers[":method"] == "POST"
        assert stream.headers[":path"] == "/v1/chat/completions"
        assert stream.headers["authorization"] == f"Bearer {KEY}"
        assert json.loads(stream.body)["stream"] is True


async def test_many_streams_at_once_share_one_connection() -> None:
    together = asyncio.Barrier(8)

    async def answer(stream: H2Stream) -> None:
        await together.wait()  # none is answered before all have come
        await answers(stream)

    async with speaking(answer) as (service, server):
        results = await asyncio.gather(*(service.route_structured(request_for(**MINE)) for _ in range(8)))
        assert results == [ADA] * 8
        assert (server.connections, len({stream.number for stream in server.streams})) == (1, 8)


async def test_the_next_call_uses_the_same_connection() -> None:
    async with speaking(answers) as (service, server):
        for _ in range(3):
            assert await service.route_structured(request_for(**MINE)) == ADA
        assert (server.connections, len(server.streams)) == (1, 3)
        assert not any(stream.reset.is_set() for stream in server.streams)


async def leave_by_break(service: StructuredLLMService, server: H2Server, clock: FakeClock) -> None:
    async with service.route_structured_streaming(request_for(**MINE)) as stream:
        async for _ in stream:
            break


async def leave_by_cancellation(service: StructuredLLMService, server: H2Server, clock: FakeClock) -> None:
    reading = asyncio.create_task(steps_of(service, request_for(**MINE)))
    await asyncio.wait_for(server.came.wait(), WAIT)
    assert not reading.done()
    reading.cancel()
    await asyncio.wait([reading])


async def leave_by_deadline(service: StructuredLLMService, server: H2Server, clock: FakeClock) -> None:
    timeouts = Timeouts(between_tokens=9, first_token=9)
    reading = asyncio.create_task(steps_of(service, request_for(**MINE, timeouts=timeouts)))
    await asyncio.wait_for(server.came.wait(), WAIT)
    while not reading.done():  # its first bytes may be on their way, and move the deadline
        await clock.advance(10)
        await asyncio.sleep(0)
    steps = reading.result()
    assert steps[-1].outcome is not None
    assert steps[-1].outcome.kind is OutcomeKind.TIMEOUT


async def never(stream: H2Stream) -> None:
    """No answer at all, not even a head."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("answer", "leave"),
    [
        (halts, leave_by_break),
        (floods, leave_by_break),
        (halts, leave_by_cancellation),
        (never, leave_by_cancellation),
        (halts, leave_by_deadline),
        (never, leave_by_deadline),
    ],
)
async def test_the_server_sees_that_a_stream_was_left(
    answer: Callable[[H2Stream], Awaitable[None]],
    leave: Callable[[StructuredLLMService, H2Server, FakeClock], Awaitable[None]],
) -> None:
    """The others on the connection go on, and it serves the next call."""
    clock = FakeClock()

    async def first_is_left(stream: H2Stream) -> None:
        await (answer if stream is server.streams[0] else answers)(stream)

    async with speaking(first_is_left, clock=clock) as (service, server):
        await leave(service, server, clock)
        await asyncio.wait_for(server.streams[0].reset.wait(), 0.1)
        assert await service.route_structured(request_for(**MINE)) == ADA
        assert (server.connections, server.open) == (1, 1)


async def test_what_was_left_unread_takes_nothing_from_the_window_of_the_others() -> None:
    """The reader of one answer takes from the wire what is another's, whose own reader leaves without looking at it."""
    much, room = 9 << 20, asyncio.Event()

    async def answer(stream: H2Stream) -> None:
        if stream is not server.streams[0]:
            await room.wait()
            return await answers(stream)
        stream.head()
        sent = 0
        while sent < much:
            await stream.send(event({"choices": [{"index": 0, "delta": {"content": '{"name": "' + "a" * 16000}}]}))
            sent += 16000
        room.set()
        await asyncio.Event().wait()
        return None

    async with speaking(answer) as (service, server):
        async with service.route_structured_streaming(request_for(**MINE)) as stream:
            await anext(stream)
            assert await service.route_structured(request_for(**MINE)) == ADA
        await asyncio.wait_for(server.streams[0].reset.wait(), 1)
        assert await service.route_structured(request_for(**MINE)) == ADA
        assert server.connections == 1
        assert server.streams[0].peer.http.outbound_flow_control_window > 16 << 20


async def test_a_server_without_http_2_is_spoken_to_in_http_1() -> None:
    body = b"".join(pieces())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n")).endswith(b"HTTP/1.1\r\n")
        writer.write(http_head(length=len(body)) + body)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context("http/1.1"))
    async with server:
        row = ProviderSpec(name="mine", base_url=f"https://localhost:{server.sockets[0].getsockname()[1]}/v1")
        async with StructuredLLMService(
            providers={"mine": row}, api_keys={"mine": KEY}, http2=True, policies=BARE
        ) as service:
            assert await service.route_structured(request_for(**MINE)) == ADA


async def test_an_idle_connection_is_closed() -> None:
    async with h2_server(answers) as server:
        transport = SDKTransport.build(
            provider="mine", base_url=server.base_url, api_key=KEY, http2=True, keepalive=0.05
        )
        row = ProviderSpec(name="mine", base_url=server.base_url)
        service = StructuredLLMService(transport, providers={"mine": row}, policies=BARE)
        assert await service.route_structured(request_for(**MINE)) == ADA
        await asyncio.wait_for(server.left.wait(), WAIT)
        assert server.open == 0
        assert await service.route_structured(request_for(**MINE)) == ADA
        assert server.connections == 2
        await transport.aclose()


async def test_an_error_is_an_error_over_http_2_as_well() -> None:
    async def answer(stream: H2Stream) -> None:
        stream.head(429, "application/json")
        await stream.send(b'{"error": {"message": "slow down"}}')
        while True:
            await stream.send(b" " * 8000)

    async with speaking(answer) as (service, server):
        outcome = (await steps_of(service, request_for(**MINE)))[-1].outcome
        assert outcome is not None
        assert "slow down" in str(outcome.error)
        await asyncio.wait_for(server.streams[0].reset.wait(), 0.1)


async def test_the_server_closes_and_says_so() -> None:
    """GOAWAY in the middle of an answer: the stream is incomplete, the next call gets a new connection."""

    async def answer(stream: H2Stream) -> None:
        if stream is not server.streams[0]:
            return await answers(stream)
        stream.head()
        await stream.send(next(pieces()))
        stream.peer.http.close_connection()
        stream.peer.flush()
        stream.peer.writer.close()
        return None

    async with speaking(answer) as (service, server):
        outcome = (await steps_of(service, request_for(**MINE)))[-1].outcome
        assert outcome is not None
        assert outcome.kind is OutcomeKind.INCOMPLETE
        assert await service.route_structured(request_for(**MINE)) == ADA
        assert server.connections == 2


async def test_without_being_asked_it_is_http_1() -> None:
    """The server has HTTP/2 alone, and closes a connection on which it hears something else."""
    async with speaking(answers, http2=None) as (service, server):
        outcome = (await steps_of(service, request_for(**MINE)))[-1].outcome
        assert outcome is not None
        assert outcome.kind is OutcomeKind.PROVIDER_ERROR
        assert (server.connections, server.streams) == (1, [])
