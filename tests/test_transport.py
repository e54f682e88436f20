"""The seam: raw bytes as they arrive, and every foreign failure as one of ours."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import socket
import struct
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient, OpenAI, RateLimitError

from structstream.clock import SystemClock
from structstream.errors import ConfigurationError, ConnectionFailedError, StreamTimeoutError
from structstream.request import HTTPRequest
from structstream.transport import SDKTransport, Transport, transport_of
from tests.rawserver import EVENT_STREAM, RawServer, http_head, raw_server

pytestmark = pytest.mark.anyio

KEY = "sk-planted-0123456789abcdefghij"
HEADERS = {"x-extra": "1", "accept": "text/event-stream", "content-type": "application/json"}
REQUEST = HTTPRequest("POST", "/chat/completions", HEADERS, {"model": "gpt-4o", "stream": True, "a": "é"})
BODY = b'data: {"a": 1}\n\ndata: [DONE]\n\n'

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
Client = Callable[[str], AsyncOpenAI]


def aiohttp_client(base_url: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=KEY, base_url=base_url, http_client=DefaultAioHttpClient())


def httpx2_client(base_url: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=KEY, base_url=base_url)


def azure_client(base_url: str) -> AsyncOpenAI:
    return AsyncAzureOpenAI(
        api_key=KEY,
        azure_endpoint=base_url.removesuffix("/v1"),
        api_version="2024-10-21",
        http_client=DefaultAioHttpClient(),
    )


CLIENTS = [aiohttp_client, httpx2_client, azure_client]
every_client = pytest.mark.parametrize("make_client", CLIENTS, ids=lambda make: make.__name__)


def says(*parts: bytes, reset: bool = False) -> Answer:
    """An answer of these parts, each in its own packet, then the end, or a reset."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if reset:
            endpoint = writer.get_extra_info("socket")
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    return answer


async def holds(writer: asyncio.StreamWriter) -> None:
    """Head and one event, then silence until the peer leaves."""
    writer.write(http_head() + BODY[:16])


@asynccontextmanager
async def talking(make_client: Client, answer: Answer) -> AsyncIterator[tuple[SDKTransport, RawServer]]:
    async with raw_server(answer) as server, make_client(server.base_url) as client:
        yield SDKTransport(client), server


async def read(transport: Transport) -> bytes:
    answer = await transport.stream(REQUEST)
    try:
        return b"".join([data async for data in answer])
    finally:
        await answer.aclose()


@every_client
async def test_the_body_arrives_as_it_was_sent(make_client: Client) -> None:
    async with talking(make_client, says(http_head(length=len(BODY)), BODY[:7], BODY[7:])) as (transport, server):
        answer = await transport.stream(REQUEST)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert b"".join([data async for data in answer]) == BODY
        await answer.aclose()
        head, body = server.requests[0].split(b"\r\n\r\n", 1)
        assert b"x-extra: 1" in head.lower()
        assert head.lower().count(b"application/json") == head.lower().count(b"text/event-stream") == 1
        assert b"accept-encoding: identity" in head.lower()
        assert httpx2.Response(200, content=body).json() == REQUEST.body


@every_client
@pytest.mark.parametrize("status", ["200 OK", "500 Server Error"])
async def test_an_answer_tells_where_the_request_went_and_with_what(make_client: Client, status: str) -> None:
    async with talking(make_client, says(http_head(status, length=len(BODY)), BODY)) as (transport, server):
        answer: Any = await transport.stream(REQUEST)  # Any: what the protocol of an answer does not promise
        await answer.aclose()
        path = server.requests[0].split()[1].decode()
        assert str(answer.sent.url) == server.base_url.removesuffix("/v1") + path
        assert KEY in " ".join(answer.sent.headers.values())


@every_client
async def test_what_has_no_body_is_asked_for_with_get_and_streams_as_well(make_client: Client) -> None:
    async with talking(make_client, says(http_head(length=len(BODY)), BODY[:7], BODY[7:])) as (transport, server):
        request = HTTPRequest("GET", "/responses/r?stream=true&starting_after=2", {"accept": "text/event-stream"}, {})
        answer = await transport.stream(request)
        assert b"".join([data async for data in answer]) == BODY
        await answer.aclose()
        head, body = server.requests[0].split(b"\r\n\r\n", 1)
        first = head.partition(b"\r\n")[0]
        assert first.startswith(b"GET /")
        assert b"stream=true" in first
        assert b"starting_after=2" in first
        assert not body


async def test_azure_paths_and_key_are_the_clients_own() -> None:
    async with talking(azure_client, says(http_head(length=len(BODY)), BODY)) as (transport, server):
        await read(transport)
        assert b"POST /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21" in server.requests[0]
        assert f"api-key: {KEY}".encode() in server.requests[0].lower()


@every_client
async def test_leaving_in_the_middle_closes_the_connection(make_client: Client) -> None:
    async with talking(make_client, holds) as (transport, server):
        answer = await transport.stream(REQUEST)
        assert await anext(aiter(answer)) == BODY[:16]
        await answer.aclose()
        await asyncio.wait_for(server.left.wait(), 0.1)
        await answer.aclose()  # a second time is harmless


@every_client
async def test_an_error_status_is_an_answer_and_no_exception(make_client: Client) -> None:
    text = b'{"error": {"message": "slow down"}}'
    head = http_head("429 Too Many Requests", {"retry-after": "7"}, len(text))
    async with talking(make_client, says(head, text)) as (transport, server):
        answer = await transport.stream(REQUEST)
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        assert b"".join([data async for data in answer]) == text
        assert len(server.requests) == 1  # the SDK's own retries are off
        await answer.aclose()


def older_client(base_url: str) -> AsyncOpenAI:
    """One on the HTTP library that the SDK was on before."""
    return AsyncOpenAI(api_key=KEY, base_url=base_url, http_client=httpx.AsyncClient())  # type: ignore[arg-type]  # taken


@pytest.mark.parametrize("make_client", [*CLIENTS, older_client], ids=lambda make: make.__name__)
@pytest.mark.parametrize("code", ["500 Internal Server Error", "404 Not Found", "307 Temporary Redirect"])
async def test_an_endless_error_body_is_read_as_far_as_one_likes(make_client: Client, code: str) -> None:
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(http_head(code, {"content-type": "text/plain"}))
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536

    async with talking(make_client, answer) as (transport, server):
        refused = await transport.stream(REQUEST)
        body = aiter(refused)
        assert (refused.status, set(await anext(body))) == (int(code[:3]), {0})
        await refused.aclose()
        await asyncio.wait_for(server.left.wait(), 1)
    assert sent < 32 << 20  # what sockets and their buffers hold of it


@every_client
async def test_the_bodies_of_errors_are_held_back_from_our_own_calls_only(make_client: Client) -> None:
    text = b'{"error": {"message": "slow down"}}'
    seen: list[bytes] = []

    async def peek(response: httpx2.Response) -> None:
        seen.append(await response.aread())

    async with talking(make_client, says(http_head("429 Too Many Requests"), text)) as (ours, _):
        client = ours._client
        assert await read(ours) == text
        with pytest.raises(RateLimitError, match="slow down"):  # the caller's own call on the same client
            await client.with_options(max_retries=0).embeddings.create(model="m", input="a")
        client._client.event_hooks["response"].append(peek)  # one that comes after ours
        assert await read(ours) == text
        assert seen == [text]
        assert len(client._client.event_hooks["response"]) == 2


async def test_the_body_of_an_earlier_try_of_the_sdks_own_is_closed() -> None:
    """As where a token that has expired is fetched anew."""
    bodies: list[bytes] = []

    class Twice(AsyncOpenAI):
        async def _send_request(self, request: httpx2.Request, **how: Any) -> httpx2.Response:  # Any: as the SDK's
            await super()._send_request(request, **how)
            return await super()._send_request(request, **how)

    async def answer(writer: asyncio.StreamWriter) -> None:
        bodies.append(b"%d" % len(bodies))
        writer.write(http_head("401 Unauthorized", length=None) + bodies[-1])
        await writer.drain()
        if len(bodies) == 2:
            writer.close()

    async with raw_server(answer) as server, Twice(api_key=KEY, base_url=server.base_url) as client:
        assert await read(SDKTransport(client)) == b"1"
        await asyncio.wait_for(server.left.wait(), 1)  # the first connection, which said no end


@every_client
async def test_a_body_that_breaks_is_a_failed_connection(make_client: Client) -> None:
    async with talking(make_client, says(http_head(length=999), BODY, reset=True)) as (transport, _):
        with pytest.raises(ConnectionFailedError, match="the connection broke"):
            await read(transport)


@every_client
async def test_a_body_shorter_than_announced_is_a_failed_connection(make_client: Client) -> None:
    async with talking(make_client, says(http_head(length=999), BODY)) as (transport, _):
        with pytest.raises(ConnectionFailedError, match="the connection broke"):
            await read(transport)


@every_client
async def test_no_answer_at_all_is_a_failed_connection(make_client: Client) -> None:
    async with talking(make_client, says(reset=True)) as (transport, _):
        with pytest.raises(ConnectionFailedError, match=r"no answer from http://127\.0\.0\.1"):
            await read(transport)


@every_client
async def test_a_refused_connection_names_the_place(make_client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = taken.getsockname()[1]
        async with make_client(f"http://127.0.0.1:{port}/v1") as client:
            with pytest.raises(ConnectionFailedError, match=f"no answer from http://127.0.0.1:{port}"):
                await read(SDKTransport(client))


@every_client
async def test_a_failed_tls_handshake_is_a_failed_connection(make_client: Client) -> None:
    def speak_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_http, "127.0.0.1", 0)
    place = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, make_client(f"{place}/v1") as client:
        with pytest.raises(ConnectionFailedError, match=f"no answer from {place}"):
            await read(SDKTransport(client))


@every_client
async def test_a_name_that_is_not_known_is_a_failed_connection(
    make_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with make_client("http://no-such-host.invalid/v1") as client:
        with pytest.raises(ConnectionFailedError, match=r"no-such-host.*Name or service not known"):
            await read(SDKTransport(client))


@pytest.mark.parametrize("make_client", CLIENTS[:2], ids=lambda make: make.__name__)
async def test_a_connection_that_never_stands_passes_its_deadline(make_client: Client) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # the queue holds one or two; further ones are not answered
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with make_client(f"http://127.0.0.1:{full.getsockname()[1]}/v1") as client:
            with pytest.raises(StreamTimeoutError) as caught:
                await SDKTransport(client).stream(REQUEST, connect_timeout=0.05)
        assert caught.value.deadline == "connect"
        assert caught.value.configured == 0.05
        assert caught.value.elapsed >= 0.05


@every_client
async def test_a_content_encoding_is_undone(make_client: Client) -> None:
    packed = gzip.compress(BODY)
    head = http_head(headers={**EVENT_STREAM, "content-encoding": "gzip"}, length=len(packed))
    async with talking(make_client, says(head, packed[:9], packed[9:])) as (transport, _):
        assert await read(transport) == BODY


@every_client
async def test_a_broken_content_encoding_is_a_failed_connection(make_client: Client) -> None:
    head = http_head(headers={**EVENT_STREAM, "content-encoding": "gzip"}, length=len(BODY))
    async with talking(make_client, says(head, BODY)) as (transport, _):
        with pytest.raises(ConnectionFailedError):
            await read(transport)


async def test_a_gzip_bomb_arrives_in_pieces() -> None:
    """A bound further on (of a line, of the text) is passed long before the whole is in memory."""
    bomb = gzip.compress(bytes(64 << 20))
    head = http_head(headers={**EVENT_STREAM, "content-encoding": "gzip"}, length=len(bomb))
    async with talking(aiohttp_client, says(head, bomb)) as (transport, _):
        answer = await transport.stream(REQUEST)
        assert len(await anext(aiter(answer))) <= 17 << 20  # what 16 KB can hold
        await answer.aclose()


@pytest.mark.parametrize("code", ["200 OK", "503 Service Unavailable"])
async def test_a_body_that_a_hook_of_the_client_has_read_is_still_there(code: str) -> None:
    async def peek(response: httpx2.Response) -> None:
        await response.aread()

    async with raw_server(says(http_head(code, length=len(BODY)), BODY)) as server:
        http_client = httpx2.AsyncClient(event_hooks={"response": [peek]})
        async with AsyncOpenAI(api_key=KEY, base_url=server.base_url, http_client=http_client) as client:
            assert await read(SDKTransport(client)) == BODY


@every_client
@pytest.mark.parametrize(
    "body", [{"model": "m", "x": object()}, {"model": "m", "x": float("nan")}], ids=["object", "nan"]
)
async def test_a_body_that_is_no_json_is_the_callers_to_change(make_client: Client, body: dict[str, object]) -> None:
    async with talking(make_client, holds) as (transport, server):
        with pytest.raises(ConfigurationError, match="cannot be written as HTTP"):
            await transport.stream(HTTPRequest("POST", "/chat/completions", {}, body))
        assert server.requests == []


@pytest.mark.parametrize("make_client", CLIENTS[:2], ids=lambda make: make.__name__)
async def test_a_base_url_that_cannot_be_called_is_the_callers_to_change(make_client: Client) -> None:
    async with make_client("ftp://127.0.0.1/v1") as client:
        with pytest.raises(ConfigurationError, match="the base URL cannot be called"):
            await SDKTransport(client).stream(REQUEST)


@pytest.mark.parametrize("key", [KEY, ""])
async def test_the_key_of_an_admin_is_never_sent(key: str) -> None:
    async with raw_server(says(http_head(length=len(BODY)), BODY)) as server:
        async with AsyncOpenAI(api_key=key, admin_api_key="sk-admin", base_url=server.base_url) as client:
            if key:
                await read(SDKTransport(client))
            else:
                with pytest.raises(ConfigurationError, match="Could not resolve authentication method"):
                    await read(SDKTransport(client))
        assert all(b"sk-admin" not in request for request in server.requests)


async def test_what_the_callers_own_function_for_the_key_raises_goes_through() -> None:
    async def no_token() -> str:
        raise ZeroDivisionError

    async with AsyncOpenAI(api_key=no_token, base_url="http://127.0.0.1/v1") as client:
        with pytest.raises(ZeroDivisionError):
            await SDKTransport(client).stream(REQUEST)


@pytest.mark.parametrize("make_client", CLIENTS[:2], ids=lambda make: make.__name__)
@pytest.mark.parametrize("key", [KEY + "\n", KEY + "é"], ids=["newline", "letter"])
async def test_a_key_that_http_refuses_is_quoted_nowhere(
    make_client: Client, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_server(holds) as server, make_client(server.base_url) as client:
        client.api_key = key
        transport = SDKTransport(client)
        with caplog.at_level(logging.DEBUG, "structstream"), pytest.raises(ConfigurationError) as caught:
            await transport.stream(REQUEST)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(transport)
    assert "planted" not in shown
    assert "planted" not in "".join(record.getMessage() for record in caplog.records if "structstream" in record.name)


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        (OpenAI(api_key=KEY), "must be an AsyncOpenAI, not the blocking OpenAI"),
        (httpx2.AsyncClient(), "must be an AsyncOpenAI, a Transport or None, not AsyncClient"),
        ("http://localhost", "must be an AsyncOpenAI, a Transport or None, not str"),
    ],
    ids=["blocking", "http", "text"],
)
def test_only_async_clients_are_taken(client: AsyncOpenAI, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        SDKTransport(client)


@pytest.mark.filterwarnings(
    "ignore:Unclosed", "ignore:.*BaseConnector.__del__"
)  # nobody can close it: its loop is gone
def test_a_client_of_another_loop_is_named_as_such() -> None:
    async def once(client: AsyncOpenAI) -> None:
        async with raw_server(keeps(http_head(length=len(BODY)), BODY)) as server:
            client.base_url = server.base_url
            assert await read(SDKTransport(client)) == BODY

    client = aiohttp_client("http://127.0.0.1/")
    asyncio.run(once(client))
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(once(client))
    del client
    gc.collect()  # its warning belongs to this test


def keeps(*parts: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)

    return answer


async def test_a_client_built_here_is_closed_here() -> None:
    async with raw_server(says(http_head(length=len(BODY)), BODY)) as server:
        transport = SDKTransport.build(provider="groq", base_url=server.base_url, api_key=KEY)
        assert transport_of(transport, SystemClock()) is transport
        assert await read(transport) == BODY
        await transport.aclose()
        with pytest.raises(ConnectionFailedError):
            await transport.stream(REQUEST)


@pytest.mark.parametrize("header", [None, "x-api-key", "x-goog-api-key"])
async def test_the_key_is_sent_once_in_the_header_that_the_provider_wants(header: str | None) -> None:
    async with raw_server(says(http_head(length=len(BODY)), BODY)) as server:
        transport = SDKTransport.build(provider="any", base_url=server.base_url, api_key=KEY, key_header=header)
        assert await read(transport.named("other")) == BODY
        await transport.aclose()
    sent = [line for line in server.requests[0].split(b"\r\n") if KEY.encode() in line]
    assert sent == [f"{header}: {KEY}".encode() if header else f"authorization: Bearer {KEY}".encode()]


def redirecting(where: str, code: str) -> Answer:
    return says(http_head(code, {"location": f"{where}/elsewhere?token=1"}, 0))


@pytest.mark.parametrize(
    "code", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
@pytest.mark.parametrize("header", [None, "x-api-key", "x-goog-api-key"])
async def test_no_key_follows_a_redirect(header: str | None, code: str) -> None:
    async with (
        raw_server(says(http_head(length=len(BODY)), BODY)) as thief,
        raw_server(redirecting(thief.base_url.replace("127.0.0.1", "localhost"), code)) as server,
    ):
        transport = SDKTransport.build(provider="any", base_url=server.base_url, api_key=KEY, key_header=header)
        answer = await transport.stream(REQUEST)
        assert answer.status == int(code[:3])
        await answer.aclose()
        await transport.aclose()
    assert len(server.requests) == 1
    assert thief.requests == []


@every_client
async def test_no_kind_of_client_follows_a_redirect(make_client: Client) -> None:
    async with (
        raw_server(says(http_head(length=len(BODY)), BODY)) as thief,
        talking(make_client, redirecting(thief.base_url, "307 Temporary Redirect")) as (transport, server),
    ):
        assert (await transport.stream(REQUEST)).status == 307
    assert len(server.requests) == 1
    assert thief.requests == []


@every_client
@pytest.mark.parametrize(
    "headers",
    [{"x-a": "planted\nvalue"}, {"x-a\n": "planted"}, {"x-a": "plant\0ed"}, {"x-a": "planted é"}],
    ids=["newline", "name", "null", "letter"],
)
async def test_a_header_that_http_refuses_is_the_callers_to_change(
    make_client: Client, headers: dict[str, str]
) -> None:
    async with talking(make_client, holds) as (transport, server):
        with pytest.raises(ConfigurationError, match="cannot be written as HTTP") as caught:
            await transport.stream(HTTPRequest("POST", "/chat/completions", headers, {"model": "m"}))
        assert "planted" not in str(caught.value)
        assert server.requests == []
