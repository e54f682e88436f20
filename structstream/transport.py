"""The HTTP seam: a request goes out, the raw bytes of the answer come in.

What HTTP libraries and the vendor's SDK raise becomes one of this library's errors here and nowhere else. Nothing is
imported from them before the first client is seen or built.
"""

from __future__ import annotations

import contextlib
import inspect
import ssl
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, cast, runtime_checkable

from .clock import SystemClock
from .errors import ConfigurationError, ConnectionFailedError, StreamTimeoutError, StructStreamError, scrub
from .foreign import foreign
from .gathering import Gathering
from .httpclient import KEEPALIVE, build_http_client, ending_with_connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping

    import aiohttp
    import httpx2
    from openai import AsyncOpenAI

    from .clock import Clock
    from .request import HTTPRequest

__all__ = ["HTTPAnswer", "Readable", "SDKTransport", "Transport", "transport_of"]


class HTTPAnswer(Protocol):
    """An HTTP answer whose body is still arriving.

    Attributes:
        status: the HTTP status.
        headers: by their lower-case names.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the body's one iterator: what arrived, as it arrives, without its content encoding; never empty.

        Raises:
            ConnectionFailedError: the connection broke.
        """

    async def aclose(self) -> None:
        """Close the connection, or give it back if the body was read to its end; never raises for a broken one."""


@runtime_checkable
class Readable(Protocol):
    """A body that can be read without its iterator, which costs a frame for each read."""

    def read(self) -> Coroutine[Any, Any, bytes]:
        """Return what arrived; empty at the end. It raises what the HTTP library raises: tell `broke`."""

    def broke(self, error: Exception) -> None:
        """Raise what `error` means where it is the HTTP library's."""


class Transport(Protocol):
    """Sends one request."""

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        """Send `request` and return the answer, of whatever status, as soon as its headers are there.

        Args:
            request: what a provider encoded.
            connect_timeout: seconds until the connection must stand; None for no bound.

        Raises:
            ConnectionFailedError: there was no answer.
            StreamTimeoutError: `connect_timeout` passed.
            ConfigurationError: the request cannot be sent as it is.
        """

    async def aclose(self) -> None:
        """Close what the transport itself has opened."""


class SDKTransport:
    """Sends through a vendor client of the OpenAI SDK: its key, base URL, Azure paths and HTTP client.

    What a function that the caller gave his client as a key raises goes through as it is.

    Args:
        client: an `AsyncOpenAI` or a subclass such as `AsyncAzureOpenAI`. Its own retries and timeouts are not used.
        provider: the name that errors give.
        owned: whether `aclose` closes the client.
        key_header: the header in which the client's own headers carry the key, instead of ``Authorization``; None for
            that.
        clock: measures the time that errors tell.

    Raises:
        ConfigurationError: `client` is something else, such as the blocking `OpenAI`.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        provider: str = "openai",
        owned: bool = False,
        key_header: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check_client(client)
        self._client = client
        self._provider = provider
        self._owned = owned
        self._key_header = key_header
        self.clock = clock or SystemClock()

    def named(self, provider: str) -> SDKTransport:
        """Return the same with another name in its errors; what is owned stays owned here."""
        return SDKTransport(self._client, provider=provider, key_header=self._key_header, clock=self.clock)

    @property
    def is_azure(self) -> bool:
        """Whether the client is one for Azure."""
        from openai import AsyncAzureOpenAI

        return isinstance(self._client, AsyncAzureOpenAI)

    @property
    def address(self) -> str:
        """The client's base URL."""
        return str(self._client.base_url)

    def serves(self, base_url: str) -> bool:
        """Return whether the client's own base URL is at the same host and port as `base_url`."""
        import httpx2

        other, own = httpx2.URL(base_url), self._client.base_url
        return (other.host, other.port) == (own.host, own.port)

    @classmethod
    def build(
        cls,
        *,
        provider: str,
        base_url: str,
        api_key: str,
        key_header: str | None = None,
        clock: Clock | None = None,
        http2: bool = False,
        keepalive: float = KEEPALIVE,
    ) -> SDKTransport:
        """Build the client as well; see `build_http_client` for the last two.

        Raises:
            MissingDependencyError: `http2`, and h2 is not installed.
            ConfigurationError: a variable of the environment names a proxy or certificates that cannot be used.
        """
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            default_headers={key_header: api_key} if key_header else None,
            http_client=build_http_client(http2=http2, keepalive=keepalive),
        )
        if provider not in (
            "openai",
            "openai-responses",
        ):  # the SDK takes these from the environment, whoever is called
            client.organization = client.project = None
        return cls(client, provider=provider, owned=True, key_header=key_header, clock=clock)

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        """Send `request`; see `Transport.stream`."""
        import httpx2
        from openai import APIStatusError, Omit

        # The SDK knows one way to send a key: where the provider wants another, it must not send that one too.
        unsaid = {"Authorization": Omit()} if self._key_header else {}
        began = self.clock.now()
        _hook(self._client)
        # Our deadlines bound the call: of the HTTP client's own only those that end with the connection are set.
        timeout = httpx2.Timeout(None, connect=connect_timeout, pool=connect_timeout)
        refusal = _Refusal()
        token = _REFUSAL.set(refusal)
        try:
            options: Any = {  # Any: the SDK's own form, which it does not export
                "headers": {**unsaid, **self._named(request.headers)},
                "timeout": timeout,
                "max_retries": 0,
                # HTTP clients drop ``Authorization`` on the way to another host, but no other header with a key.
                "follow_redirects": False,
                "security": {"bearer_auth": True},  # the project's key and never the admin's, as the SDK's own calls
            }
            kind, client = httpx2.Response, self._client
            if request.method == "GET":
                response = await client.get(request.path, cast_to=kind, options=options)
            else:
                response = await client.post(request.path, cast_to=kind, body=request.body, options=options)
        except APIStatusError as error:
            refused = refusal.handed_over()
            if refused is not None:
                return _SDKAnswer(refused, self)
            return _WholeAnswer(error.response)
        except foreign() as error:
            elapsed = self.clock.now() - began
            self._fail(error, self._unsent(error, connect_timeout, elapsed))
        except (TypeError, ValueError) as error:  # what the JSON encoder and the header encoder raise
            self._fail(error, ConfigurationError(f"the request cannot be written as HTTP: {self._sentence(error)}"))
        except RuntimeError as error:  # a closed client, a client of another loop: newer SDKs let them through bare
            self._fail(error, self._unsent(error, connect_timeout, self.clock.now() - began))
        finally:
            _REFUSAL.reset(token)
            await refusal.aclose()
        return _SDKAnswer(response, self)

    async def aclose(self) -> None:
        """Close the client, if it was built here."""
        if self._owned:
            with contextlib.suppress(*foreign()):
                await self._client.close()

    def __repr__(self) -> str:
        return f"SDKTransport(provider={self._provider!r}, client={type(self._client).__name__})"

    def broke(self, error: Exception) -> NoReturn:
        """Raise the error that says that the connection of an answer broke."""
        self._fail(
            error, ConnectionFailedError(f"the connection broke: {self._sentence(error)}", provider=self._provider)
        )

    def _named(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Write each name as the SDK does: it adds what is spelled otherwise to its own, instead of replacing that."""
        spelled = {name.lower(): name for name in ("Authorization", *self._client.default_headers)}
        ours = {**_RAW, **{name.lower(): value for name, value in headers.items()}}
        return {spelled.get(name, name): value for name, value in ours.items()}

    def _unsent(self, error: Exception, connect_timeout: float | None, elapsed: float) -> StructStreamError:
        import httpx2

        chain = list(_chain(error))
        if any(isinstance(link, RuntimeError) and "loop" in str(link) for link in chain):
            return ConfigurationError(
                "the client holds connections of another event loop: make a new client in this one, "
                "or give none and let the service keep one for each loop"
            )
        if any(isinstance(link, httpx2.InvalidURL | httpx2.UnsupportedProtocol) for link in chain):
            return ConfigurationError(f"the base URL cannot be called: {self._sentence(error)}")
        if any(_is_refused_header(link) for link in chain):
            # Not quoted: what it says may be the key, or a part of it.
            return ConfigurationError(
                "the request cannot be written as HTTP: a header, or the key, has a character that no header can carry"
            )
        if connect_timeout is not None and any(isinstance(link, TimeoutError) for link in chain):
            return StreamTimeoutError("connect", configured=connect_timeout, elapsed=elapsed)
        where = f"{self._client.base_url.scheme}://{self._client.base_url.netloc.decode()}"
        why = self._sentence(error)
        failed = ConnectionFailedError(f"no answer from {where}: {why}", provider=self._provider)
        if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
            failed = ConnectionFailedError(
                f"the certificate of {where} is not trusted: {why}; where it is signed by an authority of your own, "
                "name the file of its certificate in SSL_CERT_FILE",
                provider=self._provider,
            )
            failed.retryable = False  # the same certificate is shown again
        return failed

    def _fail(self, error: Exception, ours: StructStreamError) -> NoReturn:
        raise ours from (error if self._is_clean(error) else None)

    def _secrets(self) -> list[str]:
        key = self._client.api_key
        return [key] if len(key) > 3 else []  # shorter ones, as local servers take, would redact half a sentence

    def _sentence(self, error: Exception) -> str:
        """The innermost cause is the one that says what happened; the outer ones say 'Connection error.'."""
        said = [str(link) for link in _chain(error) if str(link)]
        # aiohttp writes "400, message:" before what it found wrong in an answer: that is no status of the provider's.
        last = " ".join(said[-1].removeprefix("400, message:").split()) if said else type(error).__name__
        return scrub(last, *self._secrets())

    def _is_clean(self, error: Exception) -> bool:
        """Whether the whole chain can be shown: a header that HTTP refuses is quoted with the key in it."""
        text = "".join(f"{link}{link!r}" for link in _chain(error))
        return scrub(text, *self._secrets()) == text


class _SDKAnswer:
    """The SDK's raw response, read below the body iterators of SDK and HTTP client, which cost as much as our parse.

    `sent` is the request as it went out, with its whole URL and its key: who records wants to know both.
    """

    def __init__(self, response: httpx2.Response, transport: SDKTransport) -> None:
        self.status = response.status_code
        self.headers = _headers(response)
        self.sent = response.request
        self._response = response
        self._transport = transport
        plain = self.headers.get("content-encoding", "identity") == "identity" and not response.is_stream_consumed
        below = _below(response) if plain else None
        self._body: _Body = (
            Gathering(self._read(plain), transport.clock) if below is None else _AiohttpBody(below, transport)
        )

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def _read(self, plain: bool) -> AsyncGenerator[bytes, None]:
        response = self._response
        # aiter_bytes undoes a content encoding, and repeats a body that a hook of the client has read already.
        source = cast("AsyncIterator[bytes]", response.stream) if plain else response.aiter_bytes()
        try:
            async for data in source:
                yield data
        except foreign() as error:
            self._transport.broke(error)

    async def aclose(self) -> None:
        with contextlib.suppress(*foreign()):
            await self._body.aclose()
            await self._response.aclose()


class _Body(Protocol):
    """The body of an answer, as it arrives."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...
    async def aclose(self) -> None: ...


class _AiohttpBody:
    """A body read where aiohttp hands it out: the two iterators between it and the SDK cost as much as a parse.

    It is a `Readable`.
    """

    def __init__(self, below: aiohttp.ClientResponse, transport: SDKTransport) -> None:
        self.read = below.content.readany
        self._transport = transport
        self._leave = ending_with_connection(below)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self.read()
        except Exception as error:
            self.broke(error)
            raise
        if data:
            return data
        raise StopAsyncIteration

    def broke(self, error: Exception) -> None:
        if isinstance(error, (*foreign(), RuntimeError)):  # the latter of a connection that is gone when a read begins
            self._transport.broke(error)

    async def aclose(self) -> None:
        """Let go of the connection, which may outlive the answer."""
        self._leave()


def _below(response: httpx2.Response) -> aiohttp.ClientResponse | None:
    """Return aiohttp's own answer, whose reader has the body; None where another library, or a stand-in, is below.

    The names on the way to it are not public: where they lead nowhere, the body is read as the HTTP client gives it.
    """
    stream = getattr(response.stream, "_stream", response.stream)
    below = getattr(stream, "_aiohttp_response", None)
    if below is None:
        return None
    import aiohttp

    return below if isinstance(getattr(below, "content", None), aiohttp.StreamReader) else None


class _Refusal:
    """Holds the body of an error's answer back from the SDK, which would read it whole, however long it is."""

    def __init__(self) -> None:
        self._response: httpx2.Response | None = None  # as it came, without a byte of its body read

    async def take(self, response: httpx2.Response) -> None:
        """Take the body out of `response`."""
        await self.aclose()  # that of an earlier try of the SDK's own
        kind, status, headers = type(response), response.status_code, response.headers
        self._response = kind(status, headers=headers, stream=response.stream, request=response.request)
        response.stream = kind(status).stream  # nothing

    def handed_over(self) -> httpx2.Response | None:
        """Return the response, which is then another's to close; None if none was taken."""
        response, self._response = self._response, None
        return response

    async def aclose(self) -> None:
        response = self.handed_over()
        if response is not None:
            with contextlib.suppress(*foreign()):
                await response.aclose()


_REFUSAL: ContextVar[_Refusal | None] = ContextVar("structstream_refusal", default=None)


async def _hold_back(response: httpx2.Response) -> None:
    """The hook: does nothing for calls that are not ours, nor where a hook before it has read the body."""
    refusal = _REFUSAL.get()
    if refusal is not None and not (response.is_success or response.is_closed or response.is_stream_consumed):
        await refusal.take(response)


def _hook(client: AsyncOpenAI) -> None:
    """Make `_hold_back` the last of the hooks that the client's HTTP client calls with an answer."""
    http_client = getattr(client, "_client", None)  # the one name of the SDK that is not public; without it: whole
    hooks = getattr(http_client, "event_hooks", None)
    if http_client is not None and hooks is not None and hooks["response"][-1:] != [_hold_back]:
        others = [hook for hook in hooks["response"] if hook is not _hold_back]
        http_client.event_hooks = {**hooks, "response": [*others, _hold_back]}


class _WholeAnswer:
    """An answer with an error status whose body a hook of the client has read already."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        self.headers = _headers(response)
        self.sent = response.request
        self._body = response.content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        """Nothing is open."""


# The SDK's mark of a call whose body the caller reads (as its own with_streaming_response sets it); and no compression:
# a proxy that compresses a stream holds its deltas back.
_RAW = {"x-stainless-raw-response": "stream", "accept-encoding": "identity"}


def _check_client(client: object) -> None:
    """Raise `ConfigurationError` unless `client` is an `AsyncOpenAI`; imports the SDK only if somebody already has."""
    openai = sys.modules.get("openai")
    if openai is not None and isinstance(client, openai.AsyncOpenAI):
        return
    if openai is not None and isinstance(client, openai.OpenAI):
        hint = f"Async{type(client).__name__}"
        raise ConfigurationError(
            f"client must be an {hint}, not the blocking {type(client).__name__}; for code without an event loop "
            f"give an {hint} as well and call service.sync"
        )
    raise ConfigurationError(f"client must be an AsyncOpenAI, a Transport or None, not {type(client).__name__}")


def transport_of(client: AsyncOpenAI | Transport, clock: Clock) -> Transport:
    """Return `client` if it is a transport, or one that sends through it.

    Raises:
        ConfigurationError: it is neither.
    """
    # An HTTP client has a method of that name as well, but it is no coroutine.
    if inspect.iscoroutinefunction(getattr(client, "stream", None)):
        return cast("Transport", client)
    return SDKTransport(cast("AsyncOpenAI", client), clock=clock)


def _headers(response: httpx2.Response) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_refused_header(error: BaseException) -> bool:
    """A bare ValueError is aiohttp's, SSLError a subclass; h11 has one class for all it will not write."""
    if type(error) is ValueError:
        return "header" in str(error)
    return type(error).__name__ == "LocalProtocolError" and str(error).startswith("Illegal header")
