"""Many streams in one fresh process: ``python -m scripts.benchmarks.crowd ours URL 1000``; prints what it measured."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from .e2e import MESSAGES, sdk

__all__ = ["main"]

Read = Callable[[list[float]], Awaitable[object]]
"""Reads one stream and notes the delay of each event in seconds."""

_SENT = re.compile(rb"(\d+\.\d{6})")
_RAMP = 2.0  # seconds over which the streams begin
_SPARE = 200  # file descriptors beside the streams'


class Times(BaseModel):
    """The answer: of each event, when it was sent, on the clock that all processes share."""

    items: list[float]


def plain(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The floor: sockets, nothing parsed but the time."""
    parts = urlsplit(url)
    body = b'{"messages":[]}'
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"

    async def read(delays: list[float]) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head.encode() + body)
        data = b""
        while b"[DONE]" not in data:
            data = await reader.read(65536)
            now = time.monotonic()
            delays += [now - float(at) for at in _SENT.findall(data)]
        writer.close()
        await writer.wait_closed()

    async def close() -> None:
        pass

    return read, close


def ours(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """Typed partials; the newest item of each is read."""
    from structstream import StreamingStructuredRequest, StructuredLLMService

    client = sdk(url)
    service = StructuredLLMService(client)
    request = StreamingStructuredRequest(response_model=Times, model="openai/gpt-4o", messages=MESSAGES)

    async def read(delays: list[float]) -> None:
        async with service.route_structured_streaming(request) as stream:
            async for response in stream:
                shown: Any = response.partial_result  # Any: a snapshot
                if shown is not None:  # several items where several came with one read of the socket
                    now = time.monotonic()
                    delays += [now - at for at in shown.items[len(delays) :]]
        if response.error:
            raise RuntimeError(f"the stream failed: {response.error}")

    return read, client.close


def raw(url: str) -> tuple[Read, Callable[[], Awaitable[object]]]:
    """The SDK's raw body on the same connections: what a stream needs before we see a byte."""
    client = sdk(url)

    async def read(delays: list[float]) -> None:
        calls = client.chat.completions.with_streaming_response
        async with calls.create(model="gpt-4o", messages=MESSAGES, stream=True) as response:
            async for data in response.iter_bytes():
                now = time.monotonic()
                delays += [now - float(at) for at in _SENT.findall(data)]

    return read, client.close


KINDS = {"plain": plain, "raw": raw, "ours": ours}


async def crowd(kind: str, url: str, streams: int) -> dict[str, float]:
    """Run `streams` at a time, and return what they cost."""
    descriptors = open_files()
    read, close = KINDS[kind](url)
    await read([])  # imports, and builds what all of them share
    gc.collect()
    before = resident()
    delays: list[list[float]] = [[] for _ in range(streams)]
    began = time.process_time()

    async def later(number: int) -> None:
        await asyncio.sleep(_RAMP * number / streams)
        await read(delays[number])

    reading = asyncio.gather(*(later(number) for number in range(streams)))
    most = before
    while not reading.done():
        await asyncio.wait([reading], timeout=0.5)
        most = max(most, resident())
    await reading
    spent = time.process_time() - began
    counts = [len(found) for found in delays]
    together = sorted(delay for found in delays for delay in found)
    await close()
    await asyncio.sleep(0.2)  # sockets close at the loop's next turns
    return {
        "p50": together[len(together) // 2],
        "p99": together[int(len(together) * 0.99)],
        "worst": together[-1],
        "memory": (most - before) / streams,
        "cpu": spent / sum(counts),
        "events": sum(counts),
        "fewest": min(counts),
        "descriptors": open_files() - descriptors,
    }


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    """Return how many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def main(kind: str, url: str, streams: int) -> None:
    """Raise the limit on open files as far as needed, run, print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _SPARE
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard >= wanted):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    print(json.dumps(asyncio.run(crowd(kind, url, streams))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
