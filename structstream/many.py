"""Many requests at once: so many streams at a time, their steps as they arrive or one request after another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from .cadence import Held
from .errors import ConfigurationError, StructStreamError
from .resilience import ended
from .response import kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from .request import StreamingStructuredRequest
    from .response import StreamingResponse
    from .stream import StructuredStream

__all__ = ["Order", "stream_many"]

T = TypeVar("T")

Order = Literal["arrival", "request"]
"""How the steps of several streams follow one another: as they arrive, or all of a request before the next one's."""


def stream_many(
    open_stream: Callable[[StreamingStructuredRequest[T]], StructuredStream[T]],
    requests: Iterable[StreamingStructuredRequest[T]] | AsyncIterable[StreamingStructuredRequest[T]],
    *,
    concurrency: int = 8,
    order: Order = "arrival",
) -> AsyncGenerator[tuple[int, StreamingResponse[T]], None]:
    """Yield the steps of the answers to `requests`, each with the number of its request; see the service's method.

    Raises:
        ConfigurationError: an argument cannot work; the sentence says which and what to do.
    """
    if not isinstance(requests, Iterable | AsyncIterable):
        raise ConfigurationError(f"requests must be several, such as a list, not {type(requests).__name__}")
    if type(concurrency) is not int or concurrency < 1:
        raise ConfigurationError(f"concurrency must be a positive integer, not {concurrency!r}")
    if order not in get_args(Order):
        raise ConfigurationError(f"order must be one of {', '.join(get_args(Order))}, not {order!r}")
    # Nothing below refers to the generator: one that was left by `break` is closed when it is dropped.
    return _steps(_Streams(open_stream, requests, concurrency, by_request=order == "request"))


async def _steps(streams: _Streams[T]) -> AsyncGenerator[tuple[int, StreamingResponse[T]], None]:
    try:
        while (slot := await streams.next()) is not None:
            yield slot.number, streams.take(slot)
    finally:
        await streams.close()


class _Slot(Generic[T]):
    """What one stream has to show: one step."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.held: Held[T] = Held()
        self.taken = asyncio.Event()
        self.over = False


class _Streams(Generic[T]):
    """The streams that are under way, begun by a task that looks for more requests when there is room.

    Each reads on when its step was taken, so that none runs ahead of the consumer. One whose turn has not come, because
    another request's steps are shown, reads on at once, and what comes becomes one step.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamingStructuredRequest[T]], StructuredStream[T]],
        requests: Iterable[StreamingStructuredRequest[T]] | AsyncIterable[StreamingStructuredRequest[T]],
        concurrency: int,
        *,
        by_request: bool,
    ) -> None:
        self._open = open_stream
        self._requests = requests
        self._concurrency = concurrency
        self._by_request = by_request
        self._slots: dict[int, _Slot[T]] = {}  # in the order of the requests: under way, or with a step to show
        self._ready: deque[_Slot[T]] = deque()  # with a step to show, in the order of arrival
        self._tasks: set[asyncio.Task[None]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()  # something can be shown, or nothing will
        self._room = asyncio.Event()  # another stream may begin

    async def next(self) -> _Slot[T] | None:
        """Wait for a slot with a step to show; None when all has been shown.

        What the caller's own iterable of requests raised is raised then, and not before.
        """
        if self._feeder is None:
            self._feeder = asyncio.ensure_future(self._feed())
        while True:
            self._changed.clear()
            if (slot := self._pick()) is not None:
                return slot
            if not self._slots and self._feeder.done():
                self._feeder.result()
                return None
            await self._changed.wait()

    def _pick(self) -> _Slot[T] | None:
        if not self._by_request:
            return self._ready.popleft() if self._ready else None
        head = next(iter(self._slots.values()), None)
        return head if head is not None and head.held.step is not None else None

    def take(self, slot: _Slot[T]) -> StreamingResponse[T]:
        """Return a slot's step; its stream may read on."""
        step = slot.held.take()
        if step is None:
            raise AssertionError("only a slot with a step is picked")
        slot.taken.set()
        self._forget(slot)
        return step

    def _forget(self, slot: _Slot[T]) -> None:
        if slot.over and slot.held.step is None:
            self._slots.pop(slot.number, None)
            self._room.set()

    async def _feed(self) -> None:
        try:
            number = 0
            async for request in _one_by_one(self._requests):
                slot = self._slots[number] = _Slot(number)
                task = asyncio.ensure_future(self._run(slot, request))
                self._tasks.add(task)
                task.add_done_callback(lambda task, slot=slot: self._done(task, slot))  # type: ignore[misc]  # a default
                number += 1
                while len(self._tasks) >= self._concurrency or len(self._slots) >= 2 * self._concurrency:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._changed.set()

    async def _run(self, slot: _Slot[T], request: StreamingStructuredRequest[T]) -> None:
        try:
            async with self._open(request) as stream:
                async for step in stream:
                    self._put(slot, step)
                    if not self._by_request or next(iter(self._slots)) == slot.number:
                        await slot.taken.wait()
        except Exception as error:  # noqa: BLE001  # whatever breaks one stream, the others go on
            self._put(slot, _broken(error))

    def _put(self, slot: _Slot[T], step: StreamingResponse[T]) -> None:
        if slot.held.step is None:
            self._ready.append(slot)
        slot.held.add(step)
        slot.taken.clear()
        self._changed.set()

    def _done(self, task: asyncio.Task[None], slot: _Slot[T]) -> None:
        self._tasks.discard(task)
        slot.over = True
        self._forget(slot)
        self._room.set()
        self._changed.set()

    async def close(self) -> None:
        """End every stream and close its connection."""
        tasks = [*self._tasks, *([self._feeder] if self._feeder is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one_by_one(requests: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


def _broken(error: Exception) -> StreamingResponse[Any]:  # Any: of any response model
    """The last step of a stream that could not begin, or was broken by an error that is none of this library's."""
    if isinstance(error, StructStreamError):
        return ended(kind_of(error), error)
    told = StructStreamError(f"the stream was broken by {type(error).__name__}, which is no error of this library's")
    told.__cause__ = error
    return ended(kind_of(told), told)
