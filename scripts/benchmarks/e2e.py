"""End to end: CPU microseconds of the client's process for each streamed event, many paced streams in one process.

The provider is another process, so that its work does not count, and paced, so that every event is its own read.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .children import served
from .documents import DELTA, Records, records
from .measure import Times, ratio
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from .options import Options

__all__ = ["run"]

STREAMS = 100
SIZE = 2 << 10
LARGE = 64 << 10
FAST, SLOW = 100.0, 40.0  # events a second in each stream: what keeps the slower clients from falling behind
FRAMES = 4  # events beside the deltas: start, finish, usage and the mark of the end
MESSAGES: Any = [{"role": "user", "content": "A list of people"}]  # Any: the SDK's own type of it

Read = Callable[[], Awaitable[object]]
"""Reads one whole stream."""


@dataclass(frozen=True)
class Client:
    """One way to read the streams.

    Args:
        name: what the table calls it.
        prepare: makes, for a base URL, what reads one stream, and what closes it all.
        speed: events a second in each stream.
        once: whether one round is enough.
        streams: how many at a time.
    """

    name: str
    prepare: Callable[[str], tuple[Read, Callable[[], Awaitable[object]]]]
    speed: float = FAST
    once: bool = False
    streams: int = STREAMS


async def nothing() -> None:
    """Close nothing."""


def plain(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The floor: a socket, and the events split by hand."""
    parts = urlsplit(url)
    body = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"A list of people"}]}'
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
    call = f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def read() -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(call)
        rest, events = b"", 0
        while data := await reader.read(65536):
            *whole, rest = (rest + data).split(b"\n\n")
            events += len(whole)
        writer.close()
        if events < 2:
            raise RuntimeError(f"the provider did not stream: {rest!r}")
        return events

    return read, nothing


def sdk(url: str) -> AsyncOpenAI:
    """Return the SDK's client on its aiohttp transport, with as many connections as streams."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limits = httpx2.Limits(max_connections=0, max_keepalive_connections=STREAMS)
    http_client = DefaultAioHttpClient(limits=limits)
    return AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=None, http_client=http_client)


def openai_raw(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The SDK's raw body: bytes, no event."""
    client = sdk(url)

    async def read() -> None:
        calls = client.chat.completions.with_streaming_response
        async with calls.create(model="gpt-4o", messages=MESSAGES, stream=True) as response:
            async for _ in response.iter_bytes():
                pass

    return read, client.close


def openai_chunks(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The SDK's chunk objects: no JSON is read."""
    client = sdk(url)

    async def read() -> None:
        async for _ in await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
            pass

    return read, client.close


def instructor_partials(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """What instructor's users do."""
    import instructor

    client = sdk(url)
    patched: Any = instructor.from_openai(client)  # Any: patched at run time

    async def read() -> None:
        made = patched.chat.completions.create_partial(model="gpt-4o", messages=MESSAGES, response_model=Records)
        async for _ in made:
            pass

    return read, client.close


def ours(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """Typed partials, each looked at, and the validated result."""
    from structstream import StreamingStructuredRequest, StructuredLLMService

    client = sdk(url)
    service = StructuredLLMService(client)
    request = StreamingStructuredRequest(response_model=Records, model="openai/gpt-4o", messages=MESSAGES)

    async def read() -> None:
        async with service.route_structured_streaming(request) as stream:
            async for response in stream:
                response.partial_result  # noqa: B018  # made when looked at
        if response.error:
            raise RuntimeError(f"the stream failed: {response.error}")

    return read, client.close


PLAIN = "plain asyncio sockets, split by hand"
RAW = "openai SDK, raw body, aiohttp transport"
OURS = "structstream, typed partials"
CHUNKS = "openai SDK, parsed chunks (no JSON read)"
INSTRUCTOR = "instructor create_partial"

CLIENTS = (
    Client(PLAIN, plain),
    Client(RAW, openai_raw),
    Client(OURS, ours),
    Client(CHUNKS, openai_chunks, speed=SLOW, once=True, streams=50),
    Client(INSTRUCTOR, instructor_partials, speed=SLOW, once=True, streams=20),
)


def run(options: Options) -> Section:
    """Measure each client, one after the other, several times."""
    document = records(SIZE)
    times: Times = {client.name: [] for client in CLIENTS}
    notes = []
    with (
        served("provider", document=document, speed=FAST) as fast,
        served("provider", document=document, speed=SLOW) as slow,
    ):
        for turn in range(options.rounds):
            for client in CLIENTS:
                if turn == 0 or not client.once:
                    url = fast if client.speed == FAST else slow
                    try:
                        times[client.name].append(asyncio.run(measured(client, url, len(document))))
                    except ImportError as missing:
                        notes.append(f"Not installed, and so not measured: {missing.name}.")
    rows = [
        (client.name, f"{client.streams} at {client.speed:.0f}/s", median(times[client.name]) * 1e6)
        for client in CLIENTS
        if times[client.name]
    ]
    bars = [Bar("times the CPU of the SDK's raw body", ratio(times, OURS, RAW), 1.5, "x")]
    if times.get(INSTRUCTOR):
        bars.append(Bar("times less CPU than instructor at 2 KB", ratio(times, INSTRUCTOR, OURS), 6, "x", "at least"))
        if options.full:
            bars.append(Bar("times less CPU than instructor at 64 KB", large_ratio(), 60, "x", "at least"))
    table = Table(f"CPU µs per event, answers of {SIZE >> 10} KB", ("client", "streams", "µs/event"), rows)
    figures = {name: median(found) * 1e6 for name, found in times.items() if found}
    return Section("e2e", "End to end, over HTTP on loopback", [table], bars, notes, figures)


async def measured(client: Client, url: str, length: int) -> float:
    """Return the CPU seconds per event; the first stream, which imports and connects, does not count."""
    read, close = client.prepare(url)
    try:
        await read()
        gc.collect()
        gc.freeze()
        began = time.process_time()
        await asyncio.gather(*(read() for _ in range(client.streams)))
        spent = time.process_time() - began
    finally:
        gc.unfreeze()
        await close()
    return spent / client.streams / (-(-length // DELTA) + FRAMES)


def large_ratio() -> float:
    """Return how many times instructor takes as long as we do for one answer of 64 KB that comes flat out."""
    document = records(LARGE)
    with served("provider", document=document, speed=0.0) as url:
        theirs = asyncio.run(measured(Client("", instructor_partials, streams=1), url, len(document)))
        own = asyncio.run(measured(Client("", ours, streams=10), url, len(document)))
    return theirs / own
