"""A forward proxy on loopback, for both of HTTP's ways: the absolute form of a target, and CONNECT."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Proxy", "forward_proxy"]


@dataclass
class Proxy:
    """What a test sees of it.

    Args:
        password: what a client must say of itself, as ``Proxy-Authorization`` has it; empty for an open proxy.
        port: on 127.0.0.1.
        requests: the first line of each request, such as ``CONNECT localhost:1 HTTP/1.1``.
        heads: each request's head, with that line.
    """

    password: str = ""
    port: int = 0
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def forward_proxy(password: str = "") -> AsyncIterator[Proxy]:
    """Run a proxy that sends on what it is asked, each connection in a task of its own."""
    seen = Proxy(password)
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await _serve(seen, reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        handlers.add(task)
        task.add_done_callback(handlers.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


async def _serve(seen: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    seen.heads.append(head)
    line, _, rest = head.partition("\r\n")
    seen.requests.append(line)
    if seen.password and f"proxy-authorization: {seen.password}".lower() not in rest.lower():
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        return
    method, target, version = line.split(" ")
    if method == "CONNECT":
        place = urlsplit(f"//{target}")
        there = await asyncio.open_connection(place.hostname, place.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        place = urlsplit(target)
        there = await asyncio.open_connection(place.hostname, place.port)
        path = target.removeprefix(f"{place.scheme}://{place.netloc}")
        there[1].write(f"{method} {path} {version}\r\n{rest}".encode("latin-1"))
    # The end of either side is the end of both.
    tasks = [asyncio.ensure_future(_copy(reader, there[1])), asyncio.ensure_future(_copy(there[0], writer))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        there[1].close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
