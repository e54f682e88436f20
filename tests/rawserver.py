"""A server that says exactly what a test tells it, byte for byte, and tells when its peer left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["EVENT_STREAM", "RawServer", "http_head", "raw_server"]

EVENT_STREAM = {"content-type": "text/event-stream"}


@dataclass
class RawServer:
    """What a test sees of it: where it listens, what was asked, and who left.

    Args:
        port: on 127.0.0.1.
        requests: head and body of each request, as they came.
        left: set once a peer has closed its connection.
        scheme: ``http``, or ``https`` of a server with TLS.
    """

    port: int = 0
    scheme: str = "http"
    requests: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"


def http_head(status: str = "200 OK", headers: dict[str, str] | None = None, length: int | None = None) -> bytes:
    """Return the head of an answer; without a length the end of the connection is the end of the body."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in (headers or EVENT_STREAM).items())]
    lines.append("connection: close" if length is None else f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run a server whose every connection reads one request and then does `answer`."""
    seen = RawServer(scheme="http" if tls is None else "https")
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen.requests.append(await _request(reader))
            await answer(writer)
            if not writer.is_closing():
                await _until_end(reader, seen.left)
        except (asyncio.IncompleteReadError, ConnectionError):
            seen.left.set()  # it connected and asked nothing, or left within the answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        handlers.add(task)
        task.add_done_callback(handlers.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if b"content-length" in line), 0)
    return head + await reader.readexactly(length)


async def _until_end(reader: asyncio.StreamReader, left: asyncio.Event) -> None:
    with suppress(ConnectionError):  # a reset is a way of leaving
        while await reader.read(4096):
            pass
    left.set()
