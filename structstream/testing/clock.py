"""A clock that a test turns by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

from structstream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeClock"]


class _Entry:
    """A callback in the queue of a `FakeClock`; its `Timer`."""

    __slots__ = ("callback", "cancelled", "number", "when")

    def __init__(self, when: float, number: int, callback: Callable[[], None]) -> None:
        self.when = when
        self.number = number
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __lt__(self, other: _Entry) -> bool:
        return (self.when, self.number) < (other.when, other.number)


class FakeClock:
    """A `structstream.clock.Clock` whose time passes only when `advance` says so: nothing really sleeps.

    Sleepers and timers are woken in the order of their time, and of their coming where that is equal; while one is
    woken, `now()` is exactly its time.

    Args:
        start: what `now()` says at first, in seconds.

    Example::

        clock = FakeClock()
        sleeper = asyncio.create_task(clock.sleep(60))
        await clock.wait_for_sleepers(1)
        await clock.advance(60)
        await sleeper
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._queue: list[_Entry] = []
        self._numbers = itertools.count()
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Return the seconds since the clock's zero."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by `seconds`; at once, but after other tasks, if that is 0 or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(self._now + seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def call_at(self, when: float, callback: Callable[[], None]) -> _Entry:
        """Call `callback` once the clock stands at `when`; with the next `advance`, if it has passed already."""
        entry = _Entry(when, next(self._numbers), callback)
        heapq.heappush(self._queue, entry)
        for least, future in self._watchers:
            if not future.done() and self.sleepers >= least:
                future.set_result(None)
        return entry

    @property
    def sleepers(self) -> int:
        """How many sleepers and timers wait now."""
        return sum(not entry.cancelled for entry in self._queue)

    async def wait_for_sleepers(self, least: int = 1) -> None:
        """Return once at least `least` sleepers and timers wait: the moment at which it makes sense to advance."""
        if self.sleepers >= least:
            return
        watcher = (least, asyncio.get_running_loop().create_future())
        self._watchers.append(watcher)
        try:
            await watcher[1]
        finally:
            self._watchers.remove(watcher)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and give each that is woken on the way its turn before the next is.

        Raises:
            ConfigurationError: `seconds` is negative: time does not run backwards.
        """
        if seconds < 0:
            raise ConfigurationError(f"advance: seconds must be 0 or more, not {seconds!r}")
        end = self._now + seconds
        while self._queue and self._queue[0].when <= end:
            entry = heapq.heappop(self._queue)
            if entry.cancelled:
                continue
            self._now = max(self._now, entry.when)
            entry.callback()
            # Two turns: one for the callback's future, one for the task that waits for it, which may sleep anew.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self._now = end
        await asyncio.sleep(0)

    def __repr__(self) -> str:
        return f"FakeClock(now={self._now:g}, sleepers={self.sleepers})"
