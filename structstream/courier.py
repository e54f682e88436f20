"""Hands events to a caller's callback, which may raise or dawdle: the stream goes on all the same."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from .facts import CallbackFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .clock import Clock
    from .facts import Tell
    from .progress import ProgressCallback, ProgressEvent

__all__ = ["Courier", "ProgressCourier"]

E = TypeVar("E")

_logger = logging.getLogger("structstream")

_MOST = 256  # events that wait one by one; more paths are told together
_SLOW = 0.05  # seconds that a plain callback may take before it is told less
_REST = 9  # a slow plain callback gets at most a tenth of the time
_DRAINING = 1.0  # seconds that an async callback is given for what waits when the stream has ended


class Courier(Generic[E]):
    """Calls one callback with events, in order, and loses none.

    A plain callback is called at once. One that takes long makes the event loop wait, which nobody can help; what
    happens meanwhile waits for a rest of nine times as long, or for the end. What an async callback returns is awaited
    in a task beside the stream, one event after another; while it is busy, the others wait.

    Args:
        callback: the caller's.
        clock: measures and bounds.
        name: what the callback is called in the log.
        tell: hears that it failed; None for nobody.
    """

    def __init__(
        self, callback: Callable[[E], Awaitable[None] | None], clock: Clock, *, name: str, tell: Tell | None = None
    ) -> None:
        self._callback = callback
        self._clock = clock
        self._name = name
        self._tell = tell
        self._waiting: deque[E] = deque()
        self._task: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        self._took = 0.0  # by the latest call
        self._reported: set[str] = set()

    def give(self, event: E, *, last: bool = False) -> None:
        """Tell an event, now or when the callback is free; never raises for what the callback does.

        Args:
            event: what happened.
            last: whether nothing else follows for now: then a plain callback hears it, and all that waits, at once.
        """
        self._put(event)
        if self._task is None and (last or self._clock.now() >= self._rests_until):
            self._flush(rests=not last)

    def _put(self, event: E) -> None:
        self._waiting.append(event)

    def _at(self, event: E) -> str:
        """Where in the stream it was, for the log."""
        return ""

    def _flush(self, *, rests: bool = True) -> None:
        """Tell what waits, until the callback wants to be awaited, or has taken so long that it rests."""
        spent = 0.0
        while self._waiting:
            event = self._waiting.popleft()
            awaitable = self._call(event)
            if awaitable is not None:
                self._begin(event, awaitable)
                return
            spent += self._took
            if rests and spent > _SLOW:
                self._rests_until = self._clock.now() + _REST * spent
                return

    def _begin(self, event: E, awaitable: Awaitable[None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _forget(awaitable)
            self._report("is async, and no event loop runs here: give a plain one")
            return
        task = self._task = loop.create_task(self._work(event, awaitable))
        task.add_done_callback(lambda _: _forget(awaitable))  # it may be cancelled before its first turn

    async def _work(self, event: E, awaitable: Awaitable[None] | None) -> None:
        try:
            while True:
                if awaitable is not None:
                    await self._await(event, awaitable)
                if not self._waiting:
                    return
                event = self._waiting.popleft()
                awaitable = self._call(event)
        finally:
            self._task = None

    def _call(self, event: E) -> Awaitable[None] | None:
        began = self._clock.now()
        returned: Awaitable[None] | None = None
        try:
            returned = self._callback(event)
        except Exception as error:  # noqa: BLE001  # the callback is the caller's: whatever it raises, the stream goes on
            self._report(f"raised{self._at(event)}", error)
        self._took = took = self._clock.now() - began
        if took > _SLOW:
            self._report(f"took {took:.2f} s: it is told less often")
        return returned if inspect.isawaitable(returned) else None

    async def _await(self, event: E, awaitable: Awaitable[None]) -> None:
        try:
            await awaitable
        except Exception as error:  # noqa: BLE001  # as above
            self._report(f"raised{self._at(event)}", error)

    def _report(self, what: str, error: Exception | None = None) -> None:
        """Log each kind of failure once; what the error says stays out: it may quote the answer."""
        kind = "slow" if error is None else "raised"
        if kind not in self._reported:
            self._reported.add(kind)
            _logger.warning("%s %s%s; the stream goes on", self._name, what, "" if error is None else _where(error))
        if self._tell is not None:
            self._tell(CallbackFailed(self._name, type(error).__name__ if error is not None else "slow"))

    async def drain(self, seconds: float | None = _DRAINING) -> None:
        """Wait until all was heard, at most so long; what is not heard then is not told any more.

        Args:
            seconds: on the clock; None waits as long as it takes.
        """
        if self._task is None:
            self._flush(rests=False)
        task = self._task
        if task is None or task is asyncio.current_task():
            return
        timer = None
        if seconds is not None:
            timer = self._clock.call_at(self._clock.now() + seconds, lambda: self._give_up(task))
        try:
            await asyncio.wait({task})
        finally:
            if timer is not None:
                timer.cancel()

    def _give_up(self, task: asyncio.Task[None]) -> None:
        self._report("was not done in time")
        self._waiting.clear()
        task.cancel()

    def close(self) -> None:
        """Tell nothing more; what runs of the callback is cancelled."""
        self._waiting.clear()
        task = self._task
        if task is not None and task is not _current_task():
            task.cancel()


class ProgressCourier(Courier["ProgressEvent"]):
    """A courier of progress: of what waits, the newest `progress` event is enough.

    Every other event is told; where many paths wait, or a plain callback has to rest, they are told in one `field`
    event, with ``paths`` in its data.
    """

    def __init__(self, callback: ProgressCallback, clock: Clock, *, tell: Tell | None = None) -> None:
        super().__init__(callback, clock, name="progress_callback", tell=tell)

    def _put(self, event: ProgressEvent) -> None:
        waiting = self._waiting
        if waiting and event.event_type == waiting[-1].event_type == "progress":
            waiting.pop()
        elif event.event_type == "field" and (len(waiting) >= _MOST or (waiting and self._rests_until)):
            event = self._merged(event)
        waiting.append(event)

    def _merged(self, event: ProgressEvent) -> ProgressEvent:
        """The newest `field` event that waits and this one in one."""
        waiting = self._waiting
        behind = len(waiting) > 1 and waiting[-1].event_type == "progress"
        if waiting[-2 if behind else -1].event_type != "field":
            return event
        if behind:
            waiting.pop()
        before = waiting.pop()
        paths = before.data.get("paths") or [before.data["path"]]
        paths.append(event.data["path"])
        data = {**event.data, "paths": paths}
        return replace(event, message=f"{len(paths)} paths are there", data=data)

    def _at(self, event: ProgressEvent) -> str:
        return f" at {event.event_type!r}"


def _forget(awaitable: Awaitable[None]) -> None:
    """Close a coroutine that may never have been awaited; harmless where it has ended."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _where(error: Exception) -> str:
    """Which error it was, and in which line of the callback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
    return f": {type(error).__name__}{place}"


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
