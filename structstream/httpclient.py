"""The HTTP clients that are built here, and what the environment has to say to them.

Certificates come from the system's store, or from where ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name them; the way from
``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.
"""

from __future__ import annotations

import base64
import os
import ssl
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    import aiohttp
    import httpx2

__all__ = ["KEEPALIVE", "build_http_client", "check_http2", "ending_with_connection"]

KEEPALIVE = 30.0
"""Seconds after which a connection that nothing uses is closed."""


def check_http2(http2: bool | None) -> bool:
    """Return whether HTTP/2 is to be spoken, once it is sure that it can be.

    Args:
        http2: what the caller wants; None for HTTP/1.1, even where h2 is installed: a stream of small deltas costs
            several times as much to read over HTTP/2.

    Raises:
        MissingDependencyError: it is wanted, and h2 is not installed.
        ConfigurationError: `http2` is neither a bool nor None.

    >>> check_http2(None)
    False
    """
    if http2 is not None and not isinstance(http2, bool):
        raise ConfigurationError(f"http2 must be True, False or None, not {http2!r}")
    if http2 and find_spec("h2") is None:
        raise MissingDependencyError("HTTP/2", "http2")
    return bool(http2)


def build_http_client(*, http2: bool = False, keepalive: float = KEEPALIVE) -> httpx2.AsyncClient:
    """Return a client without a limit on connections: on aiohttp, which reads a stream in the least time, or on HTTP/2.

    Args:
        http2: speak HTTP/2 with servers that do.
        keepalive: seconds after which a connection that nothing uses is closed.

    Raises:
        MissingDependencyError: `http2`, and h2 is not installed.
        ConfigurationError: a variable of the environment names what cannot be used.
    """
    import httpx2

    try:
        if check_http2(http2):
            from .http2 import HTTP2Client

            return HTTP2Client(keepalive=keepalive)
        # 0 is aiohttp's word for no limit; None would leave its own default of 100 in place.
        limits = httpx2.Limits(max_connections=0, max_keepalive_connections=100, keepalive_expiry=keepalive)
        return _aiohttp_client()(limits=limits)
    except MissingDependencyError:
        raise
    except (ssl.SSLError, OSError) as error:
        name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "the system's store")
        raise ConfigurationError(f"no certificates can be read from where {name} points: {error}") from error
    except (ValueError, ImportError, httpx2.InvalidURL):
        # Not quoted: the address of a proxy may hold a password.
        raise ConfigurationError(
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names no proxy that can be used: write http://host:port"
        ) from None


def ending_with_connection(answer: aiohttp.ClientResponse) -> Callable[[], None]:
    """Have the reader of a body end when its connection does; return what lets go of the connection again.

    After bytes that are no HTTP aiohttp 3.14 closes the connection, and lets whoever reads wait for ever. What had come
    is still read.
    """
    content = answer.content
    protocol = None if answer.connection is None else answer.connection.protocol
    closed = None if protocol is None else protocol.closed
    if closed is None:
        return _nothing

    def end(closed: asyncio.Future[None]) -> None:
        if content.exception() is None and not content.is_eof():
            content.feed_eof()

    closed.remove_done_callback(_heard)  # a connection serves many answers
    closed.add_done_callback(_heard)
    closed.add_done_callback(end)

    def leave() -> None:
        closed.remove_done_callback(end)

    return leave


def _heard(closed: asyncio.Future[None]) -> None:
    """An error that nobody asks for would be logged."""
    if not closed.cancelled():
        closed.exception()


def _nothing() -> None:
    """There is nothing to let go of."""


@cache
def _aiohttp_client() -> type[httpx2.AsyncClient]:
    """The SDK's client on aiohttp, whose transport knows a proxy's password in a form that aiohttp goes away from."""
    import httpx2
    from openai import DefaultAioHttpClient

    class AiohttpClient(DefaultAioHttpClient):
        def _init_proxy_transport(self, proxy: httpx2.Proxy, *args: Any, **given: Any) -> httpx2.AsyncBaseTransport:
            # Any: what httpx2 gives all its transports
            headers = dict(proxy.headers)
            if proxy.raw_auth is not None:
                word = base64.b64encode(b":".join(proxy.raw_auth)).decode("ascii")
                headers["Proxy-Authorization"] = f"Basic {word}"
            proxy = httpx2.Proxy(proxy.url, ssl_context=proxy.ssl_context, headers=headers)
            return ByProxy(super()._init_proxy_transport(proxy, *args, **given), proxy)

    class ByProxy(httpx2.AsyncBaseTransport):
        """The proxy's headers go to it with CONNECT, and where there is no tunnel with the request itself."""

        def __init__(self, inner: httpx2.AsyncBaseTransport, proxy: httpx2.Proxy) -> None:
            self._inner = inner
            self._proxy = proxy

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            scheme = self._proxy.url.scheme
            if scheme not in ("http", "https"):  # not before: it may be the way for none of our calls
                raise httpx2.UnsupportedProtocol(f"a proxy must be of http or https, not {scheme}")
            if request.url.scheme == "http":
                request.headers.update(self._proxy.headers)
            return await self._inner.handle_async_request(request)

        async def aclose(self) -> None:
            await self._inner.aclose()

    return AiohttpClient
