"""One HTTP/1.1 connection of the simulated provider: h11 for the framing, the bare transport for what breaks it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Protocol, cast

from structstream.errors import MissingDependencyError

try:
    import h11
except ImportError as error:
    raise MissingDependencyError("the simulated provider", "testing") from error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Connection", "ConnectionOwner", "HTTPQuestion"]

_MAX_BODY = 64 * 2**20  # bytes of a request


class HTTPQuestion:
    """A request as it came over the wire; header names in lower case."""

    __slots__ = ("body", "headers", "method", "path", "query")

    def __init__(self, request: h11.Request, body: bytes) -> None:
        self.method = request.method.decode("ascii")
        self.path, _, self.query = request.target.decode("ascii", "replace").partition("?")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        self.body = body


class ConnectionOwner(Protocol):
    """Whoever answers what comes over a connection."""

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone; whatever was answering over it has been cancelled."""

    async def respond(self, connection: Connection, question: HTTPQuestion) -> None:
        """Answer one request by `Connection.head`, `body` and `end`, or break the connection."""


class Connection(asyncio.Protocol):
    """A keep-alive connection: reads requests one after another and has its owner answer each."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self.number = -1  # the owner's business
        self._owner = owner
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._chunked = False
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # set before anything else is called

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading."""
        self.transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Read as many requests as there are."""
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> bool:
        """Take the end of the client's side for its leaving, as servers do; the transport then closes itself."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Stop answering."""
        self._writable.set()
        self._owner.lost(self)
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def pause_writing(self) -> None:
        """Hold `drained` until the client has read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drained` go on."""
        self._writable.set()

    # reading

    def _read(self) -> None:
        while True:
            try:
                event = self._http.next_event()
                if isinstance(event, h11.Data):
                    self._size += len(event.data)
                    if self._size > _MAX_BODY:
                        raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)
                return
            if isinstance(event, h11.Request):
                self._request, self._parts, self._size = event, [], 0
                if self._http.they_are_waiting_for_100_continue:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            elif isinstance(event, h11.Data):
                self._parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                question = HTTPQuestion(self._request, b"".join(self._parts))
                self._task = asyncio.get_running_loop().create_task(self._respond(question))
                self._task.add_done_callback(_tell)
                return
            else:  # NEED_DATA, PAUSED while an answer is under way, or the end of the connection
                return

    def _refuse(self, status: int) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("connection", "close"), ("content-length", "0")]
            self._write(self._http.send(h11.Response(status_code=status, headers=headers)))
        self.transport.close()

    async def _respond(self, question: HTTPQuestion) -> None:
        answered = False
        try:
            await self._owner.respond(self, question)
            answered = True
        finally:
            if not answered:  # the client must not wait for what will never come
                self.transport.abort()
        self._task = None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._read()
        else:
            self.transport.close()

    # writing

    def head(self, status: int, headers: Iterable[tuple[str, str]], length: int | None) -> None:
        """Send the status and the headers.

        Args:
            status: the HTTP status.
            headers: beside the framing.
            length: of the body in bytes; None for a body that is sent in chunks.
        """
        framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        self._chunked = length is None and self._http.their_http_version != b"1.0"
        self._write(self._http.send(h11.Response(status_code=status, headers=[*headers, framing])))

    def body(self, data: bytes) -> None:
        """Send a piece of the body, as one chunk and one write."""
        # The chunk's frame is written here and not by h11, which takes several times as long for it.
        if self._chunked:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._write(self._http.send(h11.Data(data=data)))

    def end(self) -> None:
        """End the body in good order."""
        self._write(self._http.send(h11.EndOfMessage()))

    def garble(self) -> None:
        """Send what is no chunk, and close."""
        self.transport.write(b"this is no chunk\r\n")
        self.transport.close()

    def drop(self) -> None:
        """Close the connection (FIN) after what was written."""
        self.transport.close()

    async def reset(self) -> None:
        """Reset the connection (RST) once what was written has left this process."""
        self.transport.set_write_buffer_limits(0)
        await self.drained()
        own: socket.socket = self.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def lost(self) -> bool:
        """Whether a write has met that the client is gone, which this connection is told of next."""
        return self.transport.is_closing()

    @property
    def full(self) -> bool:
        """Whether the client reads slower than we write, so that `drained` would wait."""
        return not self._writable.is_set()

    async def drained(self) -> None:
        """Return once the client has read enough for more to be written."""
        await self._writable.wait()

    async def close(self) -> None:
        """Abort the connection and return when nothing runs for it any more."""
        task = self._task
        self.transport.abort()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _write(self, data: bytes | None) -> None:
        if data:
            self.transport.write(data)


def _tell(task: asyncio.Task[None]) -> None:
    """Hand an error of the owner's to the event loop at once, and not when the task is collected."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "the simulated provider cannot answer", "exception": error})
