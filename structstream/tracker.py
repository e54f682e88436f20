"""Progress, told to a callback: of a stream, or of anything else that begins, grows and ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import aclosing
from math import inf, isnan
from typing import TYPE_CHECKING, Any, TypeVar

from .clock import checked_clock
from .courier import ProgressCourier
from .errors import ConfigurationError
from .patterns import PathPattern
from .progress import ProgressEvent, ProgressFilter
from .text import parse_path

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from .clock import Clock
    from .facts import Tell
    from .progress import ProgressCallback, ProgressEventType
    from .response import AttemptPlan, AttemptStart, StreamingResponse

__all__ = ["Heard", "ProgressTracker", "reported"]

T = TypeVar("T")

_MOST = 99.0  # 100 is for the end alone
_ENDS = ("complete", "error")

_PLANS: dict[AttemptPlan, ProgressEventType] = {
    "resume": "resume",
    "fallback": "fallback",
    "whole": "fallback",
    "cache": "fallback",
}  # any other plan asks the same model again


class Heard:
    """What a `ProgressTracker` returns: ``await`` it to wait until the callback has heard all so far, or let it be."""

    __slots__ = ("_courier",)

    def __init__(self, courier: ProgressCourier) -> None:
        self._courier = courier

    def __await__(self) -> Generator[Any, None, None]:  # Any: what the event loop is told
        return self._courier.drain(None).__await__()


class ProgressTracker:
    """Turns what happens into progress events for a callback; usable on its own.

    Percent never falls, stays below 100 until `complete_operation`, and is told when another whole point is full, or as
    `only` says. A callback that raises or is slow changes nothing; see the page on progress. Each may be awaited, to
    wait until an async callback has heard of it.

    Args:
        callback: hears each event; plain or async.
        clock: what measures time; None for the machine's.
        only: which events the callback hears; None for all, with percent at whole points.
        tell: hears, as a fact, that the callback failed; None for nobody.

    >>> tracker = ProgressTracker(lambda event: print(event.event_type, event.progress_percent, event.message))
    >>> with_nothing_to_wait_for = tracker.start_operation("Reading 4 files")
    start 0.0 Reading 4 files
    >>> _ = tracker.update_progress(25, "1 of 4")
    progress 25.0 1 of 4
    >>> _ = tracker.complete_operation()
    complete 100.0 done
    """

    def __init__(
        self,
        callback: ProgressCallback,
        *,
        clock: Clock | None = None,
        only: ProgressFilter | None = None,
        tell: Tell | None = None,
    ) -> None:
        if not callable(callback):
            raise ConfigurationError(f"callback must be callable, not {type(callback).__name__}")
        if not isinstance(only, ProgressFilter | None):
            raise ConfigurationError(f"only must be a ProgressFilter(...) or None, not {only!r}")
        if not (tell is None or callable(tell)):
            raise ConfigurationError(f"tell must be callable or None, not {tell!r}")
        self._clock = checked_clock(clock)
        self._courier = ProgressCourier(callback, self._clock, tell=tell)
        self._only = only or ProgressFilter()
        self._types = None if self._only.types is None else frozenset(self._only.types)
        self._paths = None if self._only.paths is None else [PathPattern(path) for path in self._only.paths]
        self._percent = 0.0
        self._told_percent = 0.0
        self._told_at = -inf
        self._began: float | None = None
        self._ended: float | None = None

    # --- the four things that happen ---

    def start_operation(self, message: str = "started", data: Mapping[str, Any] | None = None) -> Heard:
        """Begin; percent and duration start anew."""
        self._percent = self._told_percent = 0.0
        self._told_at = -inf
        self._began, self._ended = self._clock.now(), None
        return self._say("start", message, data)

    def update_progress(
        self, percent: float, message: str | None = None, data: Mapping[str, Any] | None = None
    ) -> Heard:
        """Tell how much is there, 0 to 100; less than before counts as before.

        Raises:
            ConfigurationError: `percent` is no number.
        """
        _check_percent(percent)
        self._percent = max(self._percent, min(float(percent), _MOST))
        if self._is_due():
            self._told_percent, self._told_at = self._percent, self._clock.now()
            self._say("progress", message or f"{self._percent:.0f} % is there", data)
        return Heard(self._courier)

    def complete_operation(self, message: str = "done", data: Mapping[str, Any] | None = None) -> Heard:
        """End well: percent is 100."""
        self._percent, self._ended = 100.0, self._clock.now()
        return self._say("complete", message, data)

    def error_operation(self, error: Exception | str, data: Mapping[str, Any] | None = None) -> Heard:
        """End badly: percent stays where it is."""
        self._ended = self._clock.now()
        facts = dict(data or {})
        if isinstance(error, Exception):
            facts.setdefault("error", type(error).__name__)
        return self._say("error", str(error), facts)

    def get_duration(self) -> float:
        """Return the seconds since the start, until now or the end; 0 before the start."""
        if self._began is None:
            return 0.0
        return (self._clock.now() if self._ended is None else self._ended) - self._began

    # --- a stream ---

    def follow(self, response: StreamingResponse[Any]) -> None:  # Any: of any response model
        """Tell what a step of a stream brought."""
        if response.begins is not None:
            self._begins(response, response.begins)
        if self._hears("field"):
            for path in response.completed:
                if path and self._is_meant(path):  # the root's is the end of the stream, and told as such
                    self._look(response)
                    self._say("field", f"{path} is there", {"path": path})
        outcome = response.outcome
        if outcome is None:
            if self._hears("progress") and self._clock.now() >= self._told_at + self._only.least_interval:
                self.update_progress(response.progress_percent)
        elif outcome.error is None:
            self.complete_operation("the answer is there")
        else:
            self._look(response)
            self.error_operation(outcome.error, {"outcome": outcome.kind.value})

    def _begins(self, response: StreamingResponse[Any], begins: AttemptStart) -> None:  # Any: as above
        self._look(response)
        data = {"attempt": response.attempt, "plan": begins.plan, "ended": begins.ended.value, "path": begins.path}
        self._say(_PLANS.get(begins.plan, "retry"), f"attempt {response.attempt}: {begins.reason}", data)

    def _look(self, response: StreamingResponse[Any]) -> None:  # Any: as above
        self._percent = max(self._percent, min(response.progress_percent, _MOST))

    def _hears(self, kind: ProgressEventType) -> bool:
        return self._types is None or kind in self._types

    def _is_meant(self, path: str) -> bool:
        if self._paths is None:
            return True
        items = parse_path(path)
        return any(pattern.matches(items) for pattern in self._paths)

    def _is_due(self) -> bool:
        only = self._only
        if self._clock.now() < self._told_at + only.least_interval:
            return False
        if only.least_step == 1.0:
            return int(self._percent) > int(self._told_percent)
        return self._percent >= self._told_percent + only.least_step

    def _say(self, kind: ProgressEventType, message: str, data: Mapping[str, Any] | None) -> Heard:
        if self._hears(kind):
            event = ProgressEvent(kind, message, self._percent, data or {}, self._clock.now())
            self._courier.give(event, last=kind in _ENDS)
        return Heard(self._courier)

    async def drain(self) -> None:
        """Wait until an async callback has heard all, at most one second; the rest is not told."""
        await self._courier.drain()

    def close(self) -> None:
        """Tell nothing more."""
        self._courier.close()


def _check_percent(percent: object) -> None:
    if isinstance(percent, bool) or not isinstance(percent, int | float) or isnan(percent):
        raise ConfigurationError(f"percent must be a number from 0 to 100, not {percent!r}")


async def reported(
    responses: AsyncGenerator[StreamingResponse[T], None],
    callback: ProgressCallback,
    clock: Clock,
    *,
    only: ProgressFilter | None = None,
    tell: Tell | None = None,
) -> AsyncGenerator[StreamingResponse[T], None]:
    """Yield `responses` and tell `callback` of each; a stream without a callback does not pass through here.

    Nothing is told of a stream that its own caller left.
    """
    tracker = ProgressTracker(callback, clock=clock, only=only, tell=tell)
    ended = False
    try:
        async with aclosing(responses):
            tracker.start_operation("the call begins")
            async for response in responses:
                tracker.follow(response)
                ended = response.is_complete
                yield response
    finally:
        if ended:  # a caller who leaves at the last step has heard all
            await tracker.drain()
        tracker.close()
