"""HTTP/2 over httpx2's own transport, with the two things that it leaves out.

That transport forgets a stream that its reader has left, and says nothing to the server, which goes on sending until
the windows are full: that of the stream, and then that of the connection, on which all others wait. RFC 9113, section
5.4.2 has RST_STREAM for it. Its pool closes idle connections only when it is asked for the next one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["HTTP2Client", "HTTP2Transport"]

_WINDOW = 2**24  # bytes: what httpx2's transport gives a connection
_CANCEL = 0x8  # RFC 9113, section 7
_GRACE = 0.05  # seconds after an expiry, so that the pool's clock has seen it as well


class HTTP2Transport(httpx2.AsyncHTTPTransport):
    """Sends over HTTP/2 where the server speaks it, else over HTTP/1.1; several answers share one connection.

    Args:
        keepalive: seconds after which a connection that nothing uses is closed.
        proxy: the way to the server; None for the direct one.
        trust_env: whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name the authorities to trust.
    """

    def __init__(self, *, keepalive: float, proxy: httpx2.Proxy | None = None, trust_env: bool = True) -> None:
        # One connection carries a hundred answers or more: of those there is no limit to keep.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=keepalive)
        super().__init__(http2=True, limits=limits, proxy=proxy, trust_env=trust_env)
        self._keepalive = keepalive
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` and return the answer; one that is given up before its head is reset as well."""
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            await self.settle()
            raise
        response.stream = _Answer(response.stream, self)
        return response

    async def settle(self) -> None:
        """Reset what was left; and see to it that idle connections are closed."""
        for connection in self._over_http2():
            await _reset_left(connection)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._keepalive + _GRACE, self._expire)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._closing)
        await super().aclose()

    def _over_http2(self) -> list[httpcore2.AsyncHTTP2Connection]:
        # The names that are not public, here and below, are held by the tests.
        inner = [getattr(connection, "_connection", None) for connection in self._pool.connections]
        return [each for each in inner if isinstance(each, httpcore2.AsyncHTTP2Connection)]

    def _expire(self) -> None:
        for connection in self._pool.connections:
            if connection.is_idle() and connection.has_expired():
                task = asyncio.ensure_future(connection.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


async def _reset_left(connection: httpcore2.AsyncHTTP2Connection) -> None:
    """Reset the streams that the server has not ended and nobody reads, and give back the window that they used."""
    state = connection._h2_state
    left = [
        number for number, stream in state.streams.items() if not stream.closed and number not in connection._events
    ]
    if not left or connection.is_closed():
        return
    for number in left:
        state.reset_stream(number, _CANCEL)
    if state.inbound_flow_control_window < _WINDOW // 2:
        state.increment_flow_control_window(_WINDOW)
    await connection._write_outgoing_data(_NO_TIMEOUT)


_NO_TIMEOUT = httpcore2.Request("GET", "https://localhost")  # asked for its timeouts alone, of which it has none


class _Answer(httpx2.AsyncByteStream):
    """A body that settles its transport when it is closed."""

    def __init__(self, stream: Any, transport: HTTP2Transport) -> None:  # Any: httpx2's own two kinds of stream
        self._stream = stream
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield data

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._transport.settle()


class HTTP2Client(httpx2.AsyncClient):
    """An HTTP client on `HTTP2Transport`, with proxies and authorities as the environment names them.

    Args:
        keepalive: seconds after which a connection that nothing uses is closed.
    """

    def __init__(self, *, keepalive: float) -> None:
        self._keepalive = keepalive
        super().__init__(http2=True)

    def _init_transport(self, *args: Any, **given: Any) -> HTTP2Transport:  # Any: what httpx2 gives all its transports
        return HTTP2Transport(keepalive=self._keepalive, trust_env=given["trust_env"])

    def _init_proxy_transport(self, proxy: httpx2.Proxy, *args: Any, **given: Any) -> HTTP2Transport:  # Any: as above
        return HTTP2Transport(keepalive=self._keepalive, proxy=proxy, trust_env=given["trust_env"])
