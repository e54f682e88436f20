"""What a stream and the attempts that are made for it know together."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from .clock import DeadlinePassed, Interrupted, Watchdog
from .errors import StreamCancelledError, StreamTimeoutError

if TYPE_CHECKING:
    from .clock import Clock
    from .facts import Tell
    from .partial import Estimate
    from .response import Attempt, Outcome

__all__ = ["Ledger"]

T = TypeVar("T")
R = TypeVar("R")

_SLACK = 0.1  # seconds: who asks for all the time that is left gets it, though the clock went on while he asked


class Ledger(Generic[T]):
    """The account of one stream, over all its attempts.

    Args:
        clock: measures and bounds.
        total: the deadline of the whole stream, in seconds from its first call on, or from the wait for that; None for
            none.
    """

    def __init__(self, clock: Clock, total: float | None = None) -> None:
        self._clock = clock
        self._total = total
        self._watched: list[Watchdog] = []  # of the waits that are under way
        self._begun = 0
        self.attempts: list[Attempt] = []
        """Those that have ended, in order."""
        self.outcome: Outcome[T] | None = None
        """How the stream ended; None before that."""
        self.left = False
        """Whether the caller closed the stream from another task."""
        self.ended = asyncio.Event()
        """Set while no connection is open."""
        self.tell: Tell | None = None
        """Tells what happens to the stream; None where nobody listens."""
        self.estimate: Estimate | None = None
        """What is known of the answer's length; None for nothing but its type."""
        self.began: float | None = None
        """When the first call began, or the first wait; None before that."""

    @property
    def total_at(self) -> float:
        """When the stream must have ended; infinity where it has no deadline, or has not begun."""
        return inf if self._total is None or self.began is None else self.began + self._total

    def bound(self, seconds: float) -> None:
        """Let the stream last no longer than `seconds`, where its own deadline is later."""
        self._total = seconds if self._total is None else min(self._total, seconds)

    def remaining(self) -> float:
        """Return the seconds that are left; all of them where the stream has not begun."""
        if self._total is None:
            return inf
        return self._total if self.began is None else self.began + self._total - self._clock.now()

    def number(self) -> int:
        """Return the number of the next attempt, counted from 1."""
        self._begun += 1
        return self._begun

    def begin(self) -> float:
        """Note that a call begins, or a wait, and return when: the total deadline counts from the first one."""
        now = self._clock.now()
        if self.began is None:
            self.began = now
        return now

    def leave(self) -> bool:
        """End what is under way; return whether that waits now, and so ends now."""
        self.left = True
        waited = [watchdog.interrupt() for watchdog in self._watched]
        return any(waited)

    @contextmanager
    def watching(self, watchdog: Watchdog) -> Iterator[None]:
        """Let `leave` reach the waits that `watchdog` guards."""
        self.watch(watchdog)
        try:
            yield
        finally:
            self.unwatch(watchdog)

    def watch(self, watchdog: Watchdog) -> None:
        """Let `leave` reach `watchdog`, at once where the caller has left already."""
        self._watched.append(watchdog)
        self.ended.clear()
        if self.left:
            watchdog.interrupt()

    def unwatch(self, watchdog: Watchdog) -> None:
        """Forget `watchdog`; harmless where it is not known."""
        if watchdog in self._watched:
            self._watched.remove(watchdog)
        if not self._watched:
            self.ended.set()

    def late(self) -> StreamTimeoutError:
        """Return the error that says that the total deadline passed, or would before what is waited for."""
        began = self._clock.now() if self.began is None else self.began
        return StreamTimeoutError("total", configured=self._total or 0.0, elapsed=self._clock.now() - began)

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds.

        Raises:
            StreamCancelledError: the caller left meanwhile.
            StreamTimeoutError: the total deadline would pass before.
        """
        if self.begin() + seconds > self.total_at + _SLACK:
            raise self.late()
        await self.wait(self._clock.sleep(seconds))

    async def wait(self, awaitable: Awaitable[R]) -> R:
        """Return what `awaitable` gives.

        Raises:
            StreamCancelledError: the caller left meanwhile.
            StreamTimeoutError: the total deadline passed meanwhile.
        """
        watchdog = Watchdog(self._clock)
        with self.watching(watchdog):
            try:
                with watchdog.until(self.total_at):
                    return await awaitable
            except Interrupted:
                raise StreamCancelledError("cancelled: the caller left before the end") from None
            except DeadlinePassed:
                raise self.late() from None
            finally:
                watchdog.close()
                if inspect.iscoroutine(awaitable):
                    awaitable.close()  # one that was not waited for after all
