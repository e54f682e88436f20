"""What has come of a body while its reader was elsewhere, in one piece: so he gets the newest next, not the oldest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .clock import Clock

__all__ = ["Gathering"]

_PATIENCE = 0.1  # seconds that a reader may stay away before what came meanwhile is put together
_MOST = 128 << 10  # bytes that are put together; more waits where it is, and holds the server back
_TURNS = 3  # of the event loop, in which what has come is handed up from the socket


class Gathering:
    """A body that comes in small pieces, such as the chunks of an HTTP answer, for a reader that may be slow.

    One who asks in time gets each piece as it comes. One who was away for longer than a tenth of a second gets all that
    has come meanwhile, up to 128 KiB, without a wait for more.

    Args:
        pieces: the body; what it raises comes when what was read before it has been handed over.
        clock: measures the reader.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], clock: Clock) -> None:
        self._pieces = pieces
        self._now = clock.now
        self._left: float | None = None  # when the reader went away
        self._next: asyncio.Task[bytes] | None = None  # a read that was not done when he was

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        slow = self._left is not None and self._now() > self._left + _PATIENCE
        data = await self._read()
        if slow and data:
            data = await self._with_more(data)
        if not data:
            raise StopAsyncIteration
        self._left = self._now()
        return data

    async def _read(self) -> bytes:
        begun, self._next = self._next, None
        return await (anext(self._pieces, b"") if begun is None else begun)

    async def _with_more(self, data: bytes) -> bytes:
        parts, size = [data], len(data)
        while size < _MOST:
            task = self._next = asyncio.ensure_future(anext(self._pieces, b""))
            for _ in range(_TURNS):
                if task.done():
                    break
                await asyncio.sleep(0)
            if not task.done() or task.exception() is not None or not task.result():
                break  # it is not there yet, or it is the end: whoever asks next gets that
            self._next = None
            parts.append(task.result())
            size += len(parts[-1])
        return b"".join(parts)

    async def aclose(self) -> None:
        """Close the body; a read that is under way is given up."""
        begun, self._next = self._next, None
        if begun is not None:
            begun.cancel()
            await asyncio.wait({begun})
            if not begun.cancelled():
                begun.exception()  # nobody asks for it any more
        await self._pieces.aclose()
