"""Steps that are kept back until the attempt has passed what was shown before.

Passed means: every path that had closed is closed again, what was open is there again, a text at least as long, and so
is the JSON text. So what a caller sees never holds less than it did, though its values may be others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structstream.response import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .tally import Mark

__all__ = ["Holding", "no_text", "past"]


def no_text(snapshot: object, path: str) -> int:
    """Tell of no text at all."""
    return 0


class Holding:
    """Keeps the steps of one attempt back until they have passed a mark.

    Args:
        mark: how far the attempts before had been shown.
        length_at: tells the characters of the text at a path of a snapshot; 0 where none is there.

    >>> from structstream.resilience.tally import Mark
    >>> holding = Holding(Mark(frozenset(), 5))
    >>> holding.feed(StreamingResponse(raw_chunks=["[1,"])) is None
    True
    >>> holding.feed(StreamingResponse(raw_chunks=["2]"])).raw_chunks
    ['[1,', '2]']
    """

    def __init__(self, mark: Mark, length_at: Callable[[Any, str], int] = no_text) -> None:
        self._open = mark.open  # until it has closed again
        self._shown = mark.shown
        self._length_at = length_at
        self._missing = set(mark.closed)
        self._left = mark.length
        self._chunks: list[str] = []
        self._changed: dict[str, None] = {}
        self._completed: list[str] = []

    def feed(self, step: StreamingResponse[Any]) -> StreamingResponse[Any] | None:  # Any: of any response model
        """Return what may be shown now: None, or at the first time `step` with all that was kept back.

        The last step may always be shown: whether it should be is for the caller to know.
        """
        self._chunks += step.raw_chunks
        self._changed.update(dict.fromkeys(step.changed))
        self._completed += step.completed
        self._missing.difference_update(step.completed)
        if self._open and self._open in step.completed:
            self._open = ""
        self._left -= sum(map(len, step.raw_chunks))
        if step.outcome is None and (self._missing or self._left > 0 or self._lacks_what_was_open(step)):
            return None
        shown: StreamingResponse[Any] = StreamingResponse(
            _Passed(step, tuple(self._changed), tuple(self._completed)),
            self._chunks,
            attempt=step.attempt,
            outcome=step.outcome,
            usage=step.usage,
        )
        shown.begins = step.begins
        return shown

    def _lacks_what_was_open(self, step: StreamingResponse[Any]) -> bool:
        path = self._open
        return bool(path) and (path not in self._changed or self._length_at(step.partial_result, path) < self._shown)


def past(
    mark: Mark, steps: Sequence[StreamingResponse[Any]], length_at: Callable[[Any, str], int] = no_text
) -> Sequence[StreamingResponse[Any]]:
    """Return those of an answer's `steps` that may be shown, the first of them with all that was kept back."""
    holding = Holding(mark, length_at)
    for at, step in enumerate(steps):
        if (shown := holding.feed(step)) is not None:
            return [shown, *steps[at + 1 :]]
    return ()


class _Passed:
    """A step together with those that were kept back before it."""

    __slots__ = ("_last", "changed", "completed")

    def __init__(self, last: StreamingResponse[Any], changed: Sequence[str], completed: Sequence[str]) -> None:
        self._last = last
        self.changed = changed
        self.completed = completed

    @property
    def snapshot(self) -> Any:  # Any: a snapshot of any response model
        return self._last.partial_result

    @property
    def percent(self) -> float:
        return self._last.progress_percent
