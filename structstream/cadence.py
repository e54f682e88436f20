"""When a step is handed over: steps that nobody asked for in time become one, the newest, and lose no completion."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .facts import StepsJoined
from .response import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from .clock import Clock
    from .facts import Tell
    from .response import Step

__all__ = ["Held", "Patience", "coalesced", "spaced"]

T = TypeVar("T")

_PATIENCE = 0.1  # seconds that a caller may take for the steps of one read before the rest of them become one


class _Joined:
    """Several steps as one: it shows what the last one shows, and tells what each told.

    What they told is rendered now, so that the steps themselves can go: a slow consumer keeps paths and no moments.
    """

    __slots__ = ("_changed", "_last", "completed")

    completed: list[str]
    _changed: dict[str, None]

    def __init__(self, earlier: Step, later: Step, *, own: bool) -> None:
        self._last = later
        if own and isinstance(earlier, _Joined):
            self.completed, self._changed = earlier.completed, earlier._changed
        else:
            self.completed, self._changed = list(earlier.completed), dict.fromkeys(earlier.changed)
        self.completed.extend(later.completed)
        self._changed.update(dict.fromkeys(later.changed))

    @property
    def snapshot(self) -> Any:  # Any: reads as the response model's kind demands
        return self._last.snapshot

    @property
    def percent(self) -> float:
        return self._last.percent

    @property
    def changed(self) -> Sequence[str]:
        return list(self._changed)


def coalesced(earlier: StreamingResponse[T], later: StreamingResponse[T], *, own: bool = False) -> StreamingResponse[T]:
    """Return one step for two that follow one another.

    It has the values of the later one, and the completions, changes and chunks of both.

    Args:
        earlier, later: the steps.
        own: whether `earlier` was made by this function and is done with, as nobody else has seen it: what it holds is
            taken over then, so that many steps cost no more than they hold.
    """
    step = later._step or earlier._step
    if earlier._step is not None and later._step is not None:
        step = _Joined(earlier._step, later._step, own=own)
    chunks = earlier.raw_chunks if own and isinstance(earlier.raw_chunks, list) else list(earlier.raw_chunks)
    chunks.extend(later.raw_chunks)
    made = StreamingResponse(step, chunks, later.attempt, later.outcome, later.usage or earlier.usage)
    made.begins = later.begins or earlier.begins
    made.confidence = later.confidence
    made.coalesced = earlier.coalesced + later.coalesced
    return made


class Held(Generic[T]):
    """One step for all that came and that nobody has taken yet; the steps that came stay as they are."""

    __slots__ = ("_own", "step")

    def __init__(self) -> None:
        self.step: StreamingResponse[T] | None = None
        self._own = False

    def add(self, step: StreamingResponse[T]) -> None:
        """Hold a further step."""
        if self.step is None:
            self.step, self._own = step, False
        else:
            self.step, self._own = coalesced(self.step, step, own=self._own), True

    def take(self) -> StreamingResponse[T] | None:
        """Give the step away; None where none is held."""
        step, self.step = self.step, None
        return step


class Patience:
    """Decides, while the steps of one read are handed over, whether the caller is too slow to get each.

    One who takes longer than a tenth of a second for them gets the rest as one step: the newest values, and every
    completion; and so he does for those of the next read. So he lags behind the provider by no more than that and one
    read.

    Args:
        clock: measures him.
        tell: hears how many steps became part of a later one; None for nobody.
    """

    __slots__ = ("_clock", "_slow", "_tell")

    def __init__(self, clock: Clock, tell: Tell | None = None) -> None:
        self._clock = clock
        self._tell = tell
        self._slow = False  # whether the caller took too long for what he was given last

    def steps(self, responses: Sequence[StreamingResponse[T]]) -> Iterator[StreamingResponse[T]]:
        """Yield the steps, the last ones perhaps as one."""
        if len(responses) < 2:
            yield from responses
            return
        now = self._clock.now
        began = now()
        held: Held[T] = Held()
        for response in responses:
            if held.step is not None or self._slow or now() > began + _PATIENCE:
                held.add(response)
            else:
                yield response
        if (joined := held.take()) is None:
            self._slow = now() > began + _PATIENCE
            return
        _say(joined, self._tell)
        began = now()
        yield joined
        self._slow = now() > began + _PATIENCE


def _say(step: StreamingResponse[Any], tell: Tell | None) -> None:  # Any: of any response model
    if step.coalesced > 1 and tell is not None:
        tell(StepsJoined(step.coalesced - 1))


async def spaced(
    responses: AsyncGenerator[StreamingResponse[T], None], interval: float, clock: Clock, tell: Tell | None = None
) -> AsyncGenerator[StreamingResponse[T], None]:
    """Yield at most one step in `interval` seconds: the newest, with the completions of those in between.

    The first step comes at once, and so does the last. What is held when the time has come is yielded then, whether or
    not the provider goes on. Nothing is read before it is asked for.
    """
    reading: asyncio.Task[StreamingResponse[T] | None] | None = None
    held: Held[T] = Held()
    due = -inf
    async with aclosing(responses):
        try:
            while True:
                if reading is None:
                    reading = asyncio.ensure_future(_next(responses))
                if await _done(reading, clock, due if held.step is not None else inf):
                    step, reading = reading.result(), None
                    if step is None:
                        return
                    held.add(step)
                    if step.outcome is None and clock.now() < due:
                        continue
                if (yield_now := held.take()) is not None:
                    _say(yield_now, tell)
                    due = clock.now() + interval
                    yield yield_now
        finally:
            if reading is not None:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading


async def _next(responses: AsyncGenerator[StreamingResponse[T], None]) -> StreamingResponse[T] | None:
    return await anext(responses, None)


async def _done(task: asyncio.Task[Any], clock: Clock, until: float) -> bool:  # Any: whatever it returns
    """Wait for `task`, at most until `until`; return whether it is done."""
    if until == inf or task.done():
        await asyncio.wait({task})
        return True
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(until, lambda: None if over.done() else over.set_result(None))
    try:
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return task.done()
