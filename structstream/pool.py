"""The transports that a service has built: one for each provider and event loop, closed with their loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .transport import Transport

__all__ = ["TransportPool", "kept_alive"]

_Key = tuple[asyncio.AbstractEventLoop, Hashable]


# What keeps the connections of a loop alive, for the loops that `kept_alive` names.
_KEPT_ALIVE: dict[asyncio.AbstractEventLoop, list[AsyncGenerator[None, None]]] = {}


@contextmanager
def kept_alive(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Keep what is opened on `loop` from being collected as garbage meanwhile: the loop closes it when it ends.

    What is collected in one go is closed in no order, and a connection that loses its loop before its owner says so.
    """
    _KEPT_ALIVE[loop] = []
    try:
        yield
    finally:
        del _KEPT_ALIVE[loop]


class TransportPool:
    """Keeps transports; connections belong to the event loop that opened them, so each loop has its own.

    A transport is held by an async generator that closes it at its end: `asyncio.run` ends the generators of its loop
    before it closes the loop, so connections are closed in time even where nobody closes the service.
    """

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[Transport, AsyncGenerator[None, None]]] = {}

    async def get(self, name: Hashable, build: Callable[[], Transport]) -> Transport:
        """Return the transport of that name for the running event loop, built if there is none."""
        key = asyncio.get_running_loop(), name
        kept = self._kept.get(key)
        if kept is not None:
            return kept[0]
        for loop, other in list(self._kept):
            if loop.is_closed():  # it was closed without ending its generators: nothing can be closed any more
                self._kept.pop((loop, other), None)
        transport = build()
        keeper = self._keep(key, transport)
        self._kept[key] = transport, keeper
        if (kept_alive := _KEPT_ALIVE.get(key[0])) is not None:
            kept_alive.append(keeper)
        await anext(keeper)
        return transport

    async def aclose(self) -> None:
        """Close every transport, on whatever loop it lives, also where one of them fails to close."""
        async with AsyncExitStack() as stack:
            for key, (_, keeper) in list(self._kept.items()):
                stack.push_async_callback(self._end, key, keeper)

    async def _end(self, key: _Key, keeper: AsyncGenerator[None, None]) -> None:
        loop = key[0]
        if loop is asyncio.get_running_loop():
            await keeper.aclose()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(keeper.aclose(), loop))
        else:
            self._kept.pop(key, None)

    async def _keep(self, key: _Key, transport: Transport) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._kept.pop(key, None)
            await transport.aclose()
