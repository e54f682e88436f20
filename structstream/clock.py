"""The only sleep and the only now() of this library, and the deadline of an await.

Nothing here knows what is waited for. A test gives its own `Clock` and turns the hands itself.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, cast

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Clock", "DeadlinePassed", "Interrupted", "SystemClock", "Timer", "Watchdog", "checked_clock", "epoch"]


_current_task = asyncio.current_task


def epoch() -> float:
    """Return the seconds since 1970, for what outlives the process or comes from another machine.

    >>> epoch() > 1.7e9
    True
    """
    return time.time()


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Forget the callback; harmless once it has run."""


class Clock(Protocol):
    """Time as this library sees it: seconds that never run backwards, from an arbitrary zero."""

    def now(self) -> float:
        """Return the seconds since the clock's zero."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once, but not before other tasks had a turn, if that is 0 or less."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop once `now()` has reached `when`; soon, if it has already."""


def checked_clock(clock: object) -> Clock:
    """Return `clock`, or a `SystemClock` for None.

    Raises:
        ConfigurationError: it is no clock.

    >>> checked_clock(None)
    SystemClock()
    """
    found: Any = SystemClock() if clock is None else clock  # Any: tried here
    if not all(callable(getattr(found, name, None)) for name in ("now", "sleep", "call_at")):
        raise ConfigurationError(f"clock must have now, sleep and call_at, as SystemClock does, not {clock!r}")
    return cast("Clock", found)


class SystemClock:
    """The machine's monotonic clock and the running event loop's timers.

    >>> clock = SystemClock()
    >>> clock.now() <= clock.now()
    True
    """

    now = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop at `when`."""
        # A loop may keep its own time (uvloop does), so only the distance is handed over.
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)

    def __repr__(self) -> str:
        return "SystemClock()"


class DeadlinePassed(Exception):
    """What a `Watchdog` raises; who waits turns it into the error that names the deadline."""


class Interrupted(Exception):
    """What a `Watchdog` raises after `Watchdog.interrupt`."""


class Watchdog:
    """Bounds one await after another by deadlines, with one timer for all of them.

    An await is guarded by ``with watchdog.until(when): await …``. When `when` passes, the await is cancelled and the
    block raises `DeadlinePassed`; a cancellation from outside stays a cancellation. A loop of many awaits stands in one
    ``with watchdog:`` and puts each between `wait` and `rest`, which costs less.

    Moving the deadline later costs no timer: the one that stands looks again when it fires. Only the guarded await is
    ever cancelled, never what is done between two of them. One task at a time, and one event loop.
    """

    __slots__ = ("_cancels", "_clock", "_deadline", "_fired", "_interrupted", "_loop", "_task", "_timer", "_timer_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadline = 0.0
        self._task: asyncio.Task[object] | None = None  # the task that waits now
        self._cancels = 0  # how many cancellations it had been asked for when it began to wait
        self._fired = False
        self._interrupted = False
        self._timer: Timer | None = None
        self._timer_at = inf

    def until(self, when: float) -> Watchdog:
        """Return the guard of one await; see `wait`."""
        self.wait(when)
        return self

    def wait(self, when: float, now: float | None = None) -> None:
        """Guard what this task awaits next, until `rest`.

        Args:
            when: the deadline on the clock; infinity for none.
            now: what the clock says, if the caller has just looked; None to look.

        Raises:
            DeadlinePassed: `when` has passed already, or passes before `rest`.
            Interrupted: `interrupt` was called already, or is called before `rest`.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self.wait_again(when, self._clock.now() if now is None else now)

    def wait_again(self, when: float, now: float) -> None:
        """The same for one who has waited before, and has just looked at the clock: he does so for each read."""
        if self._interrupted:
            raise Interrupted
        if when <= now:
            raise DeadlinePassed
        self._deadline = when
        if when < self._timer_at:
            self._set(when)
        task = self._task = _current_task(self._loop)
        if task is not None:
            self._cancels = task.cancelling()

    def rest(self) -> None:
        """End the guard of an await that came to its end."""
        if self._fired and self._task is not None:  # too late: the awaited code kept the cancellation to itself
            self._fired = False
            self._task.uncancel()
        self._task = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, fired = self._task, self._fired
        self.rest()
        # As asyncio.timeout does it: our own cancellation becomes the deadline, one from outside goes on. What the
        # awaited code made of ours (an HTTP library has its own words for it) is the deadline as well.
        if (
            fired
            and task is not None
            and task.cancelling() <= self._cancels
            and isinstance(error, asyncio.CancelledError | Exception)
        ):
            raise (Interrupted if self._interrupted else DeadlinePassed) from error

    def interrupt(self) -> bool:
        """End the await that is guarded now, and refuse every later one; to be called on the same event loop.

        Returns:
            Whether there was one.
        """
        self._interrupted = True
        if self._task is None:
            return False
        if not self._fired:
            self._fired = True
            self._task.cancel()
        return True

    def close(self) -> None:
        """Drop the timer; call it when nothing will be awaited any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf

    def _set(self, when: float) -> None:
        self.close()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        self._timer_at = inf
        if self._task is None or self._fired or self._deadline == inf:
            return  # nobody waits: the next wait sets its own timer
        if self._deadline > self._clock.now():
            self._set(self._deadline)
            return
        self._fired = True
        self._task.cancel()
