"""End to end: CPU microseconds of the client's process for each streamed event, many paced streams in one process.

The provider is another process, so that its work does not count, and paced, so that every event is its own read. How
fast the machine is changes while others use it: it is measured all along, and each figure is corrected by it.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from .options import Options

__all__ = ["MESSAGES", "OURS", "SIZE", "SPEED", "Client", "measured", "ours", "run"]

STREAMS = 100
SIZE = 2 << 10
LARGE = 64 << 10
SPEED = 50.0  # events a second in each stream: few enough that nobody falls behind and reads several at once
OWN_READ = 0.9  # reads per event: with fewer, the machine is too slow to tell anything about single events
PROBE, PAUSE = 20_000, 0.1  # additions of one look at the machine's pace, and seconds between two looks
FRAMES = 4  # events beside the deltas: start, finish, usage and the mark of the end
MESSAGES: Any = [{"role": "user", "content": "A list of people"}]  # Any: the SDK's own type of it

Read = Callable[[], Awaitable[int]]
"""Reads one whole stream; returns how often the socket was read, 0 where that cannot be told."""


@dataclass(frozen=True)
class Client:
    """One way to read the streams.

    Args:
        name: what the table calls it.
        prepare: makes, for a base URL, what reads one stream, and what closes it all.
        once: whether one round is enough.
        streams: how many at a time.
    """

    name: str
    prepare: Callable[[str], tuple[Read, Callable[[], Awaitable[object]]]]
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
        reads = 0
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(call)
        rest, events = b"", 0
        while data := await reader.read(65536):
            *whole, rest = (rest + data).split(b"\n\n")
            events += len(whole)
            reads += 1
        writer.close()
        if events < 2:
            raise RuntimeError(f"the provider did not stream: {rest!r}")
        return reads

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

    async def read() -> int:
        reads = 0
        calls = client.chat.completions.with_streaming_response
        async with calls.create(model="gpt-4o", messages=MESSAGES, stream=True) as response:
            async for _ in response.iter_bytes():
                reads += 1
        return reads

    return read, client.close


def openai_chunks(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The SDK's chunk objects: no JSON is read."""
    client = sdk(url)

    async def read() -> int:
        async for _ in await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
            pass
        return 0

    return read, client.close


def instructor_partials(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """What instructor's users do."""
    import instructor

    client = sdk(url)
    patched: Any = instructor.from_openai(client)  # Any: patched at run time

    async def read() -> int:
        made = patched.chat.completions.create_partial(model="gpt-4o", messages=MESSAGES, response_model=Records)
        async for _ in made:
            pass
        return 0

    return read, client.close


def ours(url: str, **settings: Any) -> tuple[Read, Callable[[], Awaitable[object]]]:  # Any: those of a service
    """Typed partials, each looked at, and the validated result."""
    from structstream import StreamingStructuredRequest, StructuredLLMService

    client = sdk(url)
    service = StructuredLLMService(client, **settings)
    request = StreamingStructuredRequest(response_model=Records, model="openai/gpt-4o", messages=MESSAGES)

    async def read() -> int:
        reads = 0
        async with service.route_structured_streaming(request) as stream:
            async for response in stream:
                response.partial_result  # noqa: B018  # made when looked at
                reads += 1
        if response.error:
            raise RuntimeError(f"the stream failed: {response.error}")
        return reads

    return read, client.close


PLAIN = "plain asyncio sockets, split by hand"
RAW = "openai SDK, raw body, aiohttp transport"
OURS = "structstream, typed partials"
CHUNKS = "openai SDK, parsed chunks (no JSON read)"
INSTRUCTOR = "instructor create_partial"

CLIENTS = (
    Client(PLAIN, plain, once=True),
    Client(RAW, openai_raw),
    Client(OURS, ours),
    Client(CHUNKS, openai_chunks, once=True, streams=50),
    Client(INSTRUCTOR, instructor_partials, once=True, streams=20),
)


@dataclass(frozen=True)
class Cost:
    """What one run of a client took.

    Args:
        seconds: of CPU for each event.
        pace: CPU seconds that the machine took, at the same time, for a fixed amount of work.
        reads: of the socket for each event; None where the client does not tell.
    """

    seconds: float
    pace: float
    reads: float | None


def run(options: Options) -> Section:
    """Measure each client, one after the other, several times."""
    document = records(SIZE)
    costs: dict[str, list[Cost]] = {client.name: [] for client in CLIENTS}
    notes = []
    with served("provider", document=document, speed=SPEED) as url:
        for turn in range(options.rounds):
            for client in CLIENTS:
                if turn == 0 or not client.once:
                    try:
                        costs[client.name].append(asyncio.run(measured(client, url, len(document))))
                    except ImportError as missing:
                        notes.append(f"Not installed, and so not measured: {missing.name}.")
    typical = median(cost.pace for found in costs.values() for cost in found)
    times: Times = {name: [cost.seconds * typical / cost.pace for cost in found] for name, found in costs.items()}
    rows = [_row(client, times[client.name], costs[client.name]) for client in CLIENTS if times[client.name]]
    steady = min(cost.reads or 1.0 for name in (RAW, OURS) for cost in costs[name]) >= OWN_READ
    if not steady:
        notes.append("The machine was too slow or too busy: events came several at a time, so the ratio is not judged.")
    measured_ratio = ratio(times, OURS, RAW) if steady else None
    bars = [Bar("times the CPU of the SDK's raw body", measured_ratio, 1.5, "x")]
    if times.get(INSTRUCTOR):
        bars.append(Bar("times less CPU than instructor at 2 KB", ratio(times, INSTRUCTOR, OURS), 6, "x", "at least"))
        if options.full:
            bars.append(Bar("times less CPU than instructor at 64 KB", large_ratio(), 60, "x", "at least"))
    columns = ("client", "streams", "CPU, us/event", "reads/event")
    table = Table(f"Answers of {SIZE >> 10} KB, {SPEED:.0f} events a second in each stream", columns, rows)
    figures = {name: median(found) * 1e6 for name, found in times.items() if found}
    return Section("e2e", "End to end, over HTTP on loopback", [table], bars, notes, figures)


def _row(client: Client, times: list[float], costs: list[Cost]) -> list[Cell]:
    reads = [cost.reads for cost in costs if cost.reads is not None]
    return [client.name, client.streams, median(times) * 1e6, median(reads) if reads else None]


async def measured(client: Client, url: str, length: int) -> Cost:
    """Run the streams of a client; the first one, which imports and connects, does not count."""
    read, close = client.prepare(url)
    try:
        await read()
        gc.collect()
        gc.freeze()
        began = time.process_time()
        probing = asyncio.create_task(probe())
        reads = await asyncio.gather(*(read() for _ in range(client.streams)))
        probing.cancel()
        looks = await probing
        spent = time.process_time() - began - sum(looks)
    finally:
        gc.unfreeze()
        await close()
    events = client.streams * (-(-length // DELTA) + FRAMES)
    return Cost(spent / events, sum(looks) / len(looks), sum(reads) / events if any(reads) else None)


async def probe() -> list[float]:
    """Return, once cancelled, how long the same small work took at each look."""
    looks: list[float] = []
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            began = time.process_time()
            sum(range(PROBE))
            looks.append(time.process_time() - began)
            await asyncio.sleep(PAUSE)
    return looks


def large_ratio() -> float:
    """Return how many times instructor takes as long as we do for one answer of 64 KB that comes flat out."""
    document = records(LARGE)
    with served("provider", document=document, speed=0.0) as url:
        theirs = asyncio.run(measured(Client("", instructor_partials, streams=1), url, len(document)))
        own = asyncio.run(measured(Client("", ours, streams=10), url, len(document)))
    return (theirs.seconds / theirs.pace) / (own.seconds / own.pace)
