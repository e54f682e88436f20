"""A server that speaks HTTP/2 over TLS, and tells which streams were reset and how many connections came."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.certificates import server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[["H2Stream"], Awaitable[None]]

__all__ = ["H2Server", "H2Stream", "h2_server"]


@dataclass(eq=False)
class H2Stream:
    """One request, and the way to answer it.

    Args:
        number: of the stream within its connection.
        connection: which connection it came over, counted from 1.
        headers: of the request, with the pseudo-headers.
        body: of the request.
        reset: set once the client has reset the stream.
    """

    number: int
    connection: int
    headers: dict[str, str]
    peer: _Peer
    body: bytes = b""
    reset: asyncio.Event = field(default_factory=asyncio.Event)

    def head(self, status: int = 200, content_type: str = "text/event-stream") -> None:
        """Send the status and the content type."""
        self.peer.http.send_headers(self.number, [(":status", str(status)), ("content-type", content_type)])
        self.peer.flush()

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, as far as the client's windows allow."""
        http = self.peer.http
        while data:
            room = min(http.local_flow_control_window(self.number), http.max_outbound_frame_size)
            if not room:
                self.peer.opened.clear()
                await self.peer.opened.wait()
                continue
            http.send_data(self.number, data[:room])
            data = data[room:]
            self.peer.flush()
            await self.peer.writer.drain()

    def end(self) -> None:
        """End the body."""
        self.peer.http.end_stream(self.number)
        self.peer.flush()


@dataclass
class H2Server:
    """What a test sees of it.

    Args:
        port: on 127.0.0.1.
        connections: how many have come.
        open: how many are open now.
        streams: every request, in the order of its coming.
        came: set once there is one.
        left: set whenever a connection has ended.
    """

    port: int = 0
    connections: int = 0
    open: int = 0
    streams: list[H2Stream] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}/v1"


class _Peer:
    """One connection."""

    def __init__(self, server: H2Server, answer: Answer, writer: asyncio.StreamWriter) -> None:
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.writer = writer
        self.opened = asyncio.Event()  # a window of the client's has
        self.number = server.connections
        self._server = server
        self._answer = answer
        self._streams: dict[int, H2Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def flush(self) -> None:
        self.writer.write(self.http.data_to_send())

    async def run(self, reader: asyncio.StreamReader) -> None:
        self.http.initiate_connection()
        self.flush()
        try:
            while data := await reader.read(65536):
                for event in self.http.receive_data(data):
                    self._take(event)
                self.flush()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            self._streams[event.stream_id] = H2Stream(event.stream_id, self.number, headers, self)
        elif isinstance(event, h2.events.DataReceived):
            self._streams[event.stream_id].body += event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self._streams[event.stream_id]
            self._server.streams.append(stream)
            self._server.came.set()
            task = asyncio.ensure_future(self._respond(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(event, h2.events.StreamReset):
            self._streams[event.stream_id].reset.set()
            self.opened.set()
        elif isinstance(event, h2.events.WindowUpdated):
            self.opened.set()

    async def _respond(self, stream: H2Stream) -> None:
        with suppress(h2.exceptions.ProtocolError, ConnectionError):  # the client has left
            await self._answer(stream)


@asynccontextmanager
async def h2_server(answer: Answer) -> AsyncIterator[H2Server]:
    """Run a server that answers each request by `answer`, each in a task of its own."""
    seen = H2Server()
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        seen.open += 1
        try:
            # What is not HTTP/2, and what comes after the end: neither is the server's business.
            with suppress(OSError, h2.exceptions.ProtocolError):
                await _Peer(seen, answer, writer).run(reader)
        finally:
            seen.open -= 1
            seen.left.set()
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        handlers.add(task)
        task.add_done_callback(handlers.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server_context("h2", "http/1.1"))
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for handler in list(handlers):
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
