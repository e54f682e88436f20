"""The facade for callers without an event loop: the one async path, run on a background event loop.

Nothing is written twice here: each step of a stream is one step of the async stream, waited for.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from abc import abstractmethod
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .errors import ConfigurationError
from .pool import kept_alive

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterable,
        Iterator,
        Sequence,
    )
    from types import TracebackType

    from .many import Order
    from .metrics import CacheStatistics
    from .request import StreamingStructuredRequest
    from .response import Outcome, StreamingResponse
    from .service import StructuredLLMService
    from .stream import StructuredStream
    from .tee import Branch

__all__ = ["BackgroundLoop", "SyncBranch", "SyncStructuredLLMService", "SyncStructuredStream"]

T = TypeVar("T")
R = TypeVar("R")

_CLOSING = 5.0  # seconds that the background loop is given to close its connections


class SyncStructuredLLMService:
    """The service for code without an event loop; reached as ``service.sync``.

    Its calls block the thread they are made in. The event loop behind them runs in a daemon thread that starts with the
    first call and ends with `close`, with the service, or with the process. Any number of threads may call.
    """

    def __init__(self, service: StructuredLLMService, background: BackgroundLoop, put_away: Callable[[], None]) -> None:
        self._service = service
        self._background = background
        self._put_away = put_away

    def route_structured_streaming(self, request: StreamingStructuredRequest[T]) -> SyncStructuredStream[T]:
        """Return the stream of `request`, to be iterated; nothing is sent before.

        Raises:
            ConfigurationError: as `StructuredLLMService.route_structured_streaming`; or an event loop runs in this
                thread, which the call would block.
        """
        _refuse_event_loop()
        return SyncStructuredStream(self._service.route_structured_streaming(request), self._background)

    def route_structured(self, request: StreamingStructuredRequest[T]) -> T:
        """Return the validated object of `request`.

        Raises:
            StructStreamError: as `StructuredLLMService.route_structured`.
            ConfigurationError: also where an event loop runs in this thread.
        """
        _refuse_event_loop()
        return self._background.run(self._service.route_structured(request))

    def stream_many(
        self, requests: Iterable[StreamingStructuredRequest[T]], *, concurrency: int = 8, order: Order = "arrival"
    ) -> Generator[tuple[int, StreamingResponse[T]], None, None]:
        """Yield the steps of the answers to many requests; see `StructuredLLMService.stream_many`.

        Leaving the loop closes every stream; ``contextlib.closing`` does so for sure.

        Args:
            requests: of any number; read in the background thread, when a stream may begin.
            concurrency: how many streams are under way at once.
            order: ``arrival`` or ``request``.

        Raises:
            ConfigurationError: an argument cannot work, or an event loop runs in this thread.
        """
        _refuse_event_loop()
        return self._many(self._service.stream_many(requests, concurrency=concurrency, order=order))

    def _many(
        self, steps: AsyncGenerator[tuple[int, StreamingResponse[T]], None]
    ) -> Generator[tuple[int, StreamingResponse[T]], None, None]:
        try:
            while (found := self._background.run(_value(steps))) is not None:
                yield found[0]
        finally:
            if not self._background.is_over:
                self._background.run(_left(steps))

    def cache_statistics(self) -> CacheStatistics | None:
        """Return what the cache of the service's policies holds; see `StructuredLLMService.cache_statistics`.

        Raises:
            ConfigurationError: the cache's file cannot be used, or an event loop runs in this thread.
        """
        _refuse_event_loop()
        return self._background.run(self._service.cache_statistics())

    def close(self) -> None:
        """Close the connections made here and the files, and end the background thread; a later call starts anew."""
        self._background.close()
        self._put_away()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Steps(Generic[T]):
    """Steps for a ``for`` loop and a ``with`` block, read on the background loop."""

    _background: BackgroundLoop
    _read: AsyncIterator[StreamingResponse[T]]

    @abstractmethod
    def close(self) -> None:
        """Leave them."""

    def __iter__(self) -> Iterator[StreamingResponse[T]]:
        return self

    def __next__(self) -> StreamingResponse[T]:
        try:
            step = self._background.run(_step(self._read))
        except KeyboardInterrupt:
            self.close()
            raise
        if step is None:
            raise StopIteration
        return step

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SyncStructuredStream(_Steps[T]):
    """A stream for a ``for`` loop and a ``with`` block; see `StructuredStream`.

    Leaving by ``break`` closes the connection when the stream is no longer referred to; a ``with`` block closes it for
    sure. An interrupt from the keyboard closes it as well.
    """

    def __init__(self, stream: StructuredStream[T], background: BackgroundLoop) -> None:
        self._stream = self._read = stream
        self._background = background
        background.streams.add(stream)

    @property
    def outcome(self) -> Outcome[T] | None:
        """How the stream ended; None before that."""
        return self._stream.outcome

    def result(self) -> T:
        """Read the stream to its end and return the validated object.

        Raises:
            StructStreamError: the stream's own error, where it failed.
        """
        return self._background.run(self._stream.result())

    def on_complete(self, pattern: str, callback: Callable[[str, Any], None]) -> None:  # Any: values of any type
        """Call `callback` with path and value of what closes; see `StructuredStream.on_complete`.

        It is called in the background thread.

        Raises:
            ConfigurationError: `pattern` is no pattern, or `callback` cannot be called so.
        """
        self._stream.on_complete(pattern, callback)

    def each(self, pattern: str) -> Iterator[Any]:  # Any: values of any type
        """Yield each value that closes at a path that fits `pattern`; see `StructuredStream.each`.

        Raises:
            ConfigurationError: `pattern` is no pattern.
        """
        values = self._stream.each(pattern)
        return self._each(values)

    def _each(self, values: AsyncIterator[Any]) -> Iterator[Any]:  # Any: as above
        while (found := self._background.run(_value(values))) is not None:
            yield found[0]

    def tee(self, count: int = 2) -> Sequence[SyncBranch[T]]:
        """Return `count` consumers of this stream, for a thread each; see `structstream.tee`.

        It is read as fast as the quickest asks, and nothing is read before; the others get the newest values next, with
        every completion.

        Raises:
            ConfigurationError: `count` is no positive integer.

        Example::

            screen, log = stream.tee()
            with ThreadPoolExecutor() as pool:
                pool.map(lambda show, steps: show(steps), (draw, write), (screen, log))
        """
        return [SyncBranch(branch, self._background) for branch in self._stream.tee(count)]

    def pause(self) -> None:
        """Read nothing more until `resume`; see `StructuredStream.pause`."""
        self._background.run(_called(self._stream.pause))

    def resume(self) -> None:
        """Go on after `pause`."""
        self._background.run(_called(self._stream.resume))

    def cancel(self) -> None:
        """End the stream: the next step is the last one; any thread may call it."""
        self._background.run(_called(self._stream.cancel))

    def close(self) -> None:
        """Close the connection, if it is open."""
        if not self._background.is_over:
            self._background.run(self._stream.aclose())


class SyncBranch(_Steps[T]):
    """The steps of a stream for one of its consumers, for a ``for`` loop and a ``with`` block; see `tee`.

    One thread at a time may ask it for a step. Leaving it takes nothing from the others; with the last one the stream
    is closed.
    """

    def __init__(self, branch: Branch[T], background: BackgroundLoop) -> None:
        self._branch = self._read = branch
        self._background = background

    def close(self) -> None:
        """Leave; the stream is closed once every consumer has left."""
        if not self._background.is_over:
            self._background.run(self._branch.aclose())


async def _step(stream: AsyncIterator[StreamingResponse[T]]) -> StreamingResponse[T] | None:
    # StopAsyncIteration would not survive the way through a future.
    return await anext(stream, None)


async def _left(steps: AsyncGenerator[Any, None]) -> None:  # Any: as below
    # An interrupt from the keyboard may have just ended a wait for it; nothing tells when it has come to rest.
    while steps.ag_running:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0)
    await steps.aclose()


async def _value(values: AsyncIterator[Any]) -> tuple[Any] | None:  # Any: values of any type
    async for value in values:
        return (value,)
    return None


async def _called(function: Callable[[], None]) -> None:
    function()


def _refuse_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigurationError(
        "service.sync blocks, and an event loop runs in this thread: use `async for` and `await` on the service "
        "itself, or call service.sync in another thread (asyncio.to_thread)"
    )


class BackgroundLoop:
    """An event loop in a daemon thread, started on first use and anew after a fork or a close."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] | None = None
        self._pid = 0
        self.streams: weakref.WeakSet[StructuredStream[Any]] = weakref.WeakSet()  # Any: of any response model
        """The streams that run here: they are closed when the loop ends."""

    @property
    def is_over(self) -> bool:
        """Whether the process is ending and has ended the loop, and with it all that was open there."""
        return self._loop is not None and self._loop.is_closed() and self._pid == os.getpid()

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Wait for `coroutine`; whatever ends the wait ends the coroutine."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        try:
            return self.wait(future)
        except BaseException:  # an interrupt from the keyboard among them
            future.cancel()
            raise

    def wait(self, future: Future[R]) -> R:
        """Block this thread until `future` is done."""
        return future.result()

    def close(self) -> None:
        """End the thread once everything that runs in it has been cancelled and closed."""
        with self._lock:
            if self._stop is not None and self._pid == os.getpid():
                self._stop()
            self._loop = self._stop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop = self._start()
                self._pid = os.getpid()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        started: Future[asyncio.AbstractEventLoop] = Future()
        thread = threading.Thread(target=_live, args=(started, self.streams), name="structstream", daemon=True)
        thread.start()
        loop = started.result()
        # Neither thread nor finalizer refers to this object: it ends with the service, or with the process.
        self._stop = weakref.finalize(self, _end, loop, thread)
        return loop


def _live(started: Future[asyncio.AbstractEventLoop], streams: weakref.WeakSet[StructuredStream[Any]]) -> None:
    """Run a loop until it is stopped, then close: the streams, and as `asyncio.run` does generators and connections."""
    runner = asyncio.Runner()
    loop = runner.get_loop()
    with kept_alive(loop), runner:
        loop.call_soon(started.set_result, loop)
        loop.run_forever()
        # Before all generators are ended at once: what is ended from within and from without complains.
        loop.run_until_complete(_all_left(streams))


async def _all_left(streams: Iterable[StructuredStream[Any]]) -> None:  # Any: of any response model
    for stream in list(streams):
        with suppress(Exception):  # the loop ends: nobody is left to hear what a caller's own transport raises
            await stream.aclose()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(_CLOSING)
