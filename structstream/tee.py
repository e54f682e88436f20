"""One stream for several consumers: each reads at its own pace, and none holds the others up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .cadence import Held
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .response import StreamingResponse

__all__ = ["Branch", "tee"]

T = TypeVar("T")


class _Trunk(Generic[T]):
    """What the branches of one stream share: whoever has nothing to show reads for all."""

    def __init__(self, source: AsyncIterator[StreamingResponse[T]], count: int) -> None:
        self.source = source
        self.branches: list[Branch[T]] = [Branch(self) for _ in range(count)]
        self._reading: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Wait until another step is there for every branch, or the end."""
        if self._reading is None:
            # A task of its own: a consumer that leaves while it waits takes no step from the others.
            self._reading = asyncio.ensure_future(self._step())
            self._reading.add_done_callback(self._rest)
        await asyncio.shield(self._reading)

    async def _step(self) -> None:
        step = await anext(self.source, None)
        for branch in self.branches:
            branch.take(step)

    def _rest(self, _: asyncio.Task[None]) -> None:
        self._reading = None

    async def leave(self, branch: Branch[T]) -> None:
        """Forget a branch; with the last one the stream is closed."""
        if branch in self.branches:
            self.branches.remove(branch)
            if not self.branches:
                reading = self._reading
                if reading is not None:
                    reading.cancel()
                    await asyncio.wait({reading})
                close = getattr(self.source, "aclose", None)
                if close is not None:
                    await close()


class Branch(Generic[T]):
    """The steps of a stream for one of its consumers, for ``async for`` and ``async with``; see `tee`.

    A consumer that is slower than the others gets one step for all that came meanwhile: the newest values, with every
    completion. `StreamingResponse.coalesced` tells for how many it stands.
    """

    def __init__(self, trunk: _Trunk[T]) -> None:
        self._trunk = trunk
        self._waiting: Held[T] = Held()
        self._ended = False

    def take(self, step: StreamingResponse[T] | None) -> None:
        """Note a step for this consumer; None is the end."""
        if step is None:
            self._ended = True
        else:
            self._waiting.add(step)

    async def aclose(self) -> None:
        """Leave; the stream is closed once every consumer has left."""
        self._ended = True
        self._waiting.take()
        await self._trunk.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamingResponse[T]:
        while (step := self._waiting.take()) is None:
            if self._ended:
                raise StopAsyncIteration
            await self._trunk.read()
        return step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def tee(stream: AsyncIterator[StreamingResponse[T]], count: int = 2) -> Sequence[Branch[T]]:
    """Return `count` consumers of one stream, each of which gets all of it.

    The stream is read as fast as the quickest consumer asks, and is not to be iterated any more by itself. Each of the
    others keeps one step, whatever it misses: the newest values, with every completion. A consumer that has left
    (`Branch.aclose`, ``async with``) is not read for; with the last one the stream is closed.

    Args:
        stream: of `service.route_structured_streaming`, or any async iterator of responses.
        count: how many consumers there are.

    Raises:
        ConfigurationError: `count` is no positive integer.

    Example::

        screen, log = tee(service.route_structured_streaming(request))
        await asyncio.gather(draw(screen), write(log))
    """
    if type(count) is not int or count < 1:
        raise ConfigurationError(f"count must be a positive integer, not {count!r}")
    return _Trunk(stream, count).branches[:]
