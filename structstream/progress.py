"""Progress events: what a screen hears of a stream, and what of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, get_args

from .errors import ConfigurationError
from .patterns import PathPattern

__all__ = ["ProgressCallback", "ProgressEvent", "ProgressEventType", "ProgressFilter"]

ProgressEventType = Literal["start", "progress", "field", "retry", "resume", "fallback", "complete", "error"]
"""What an event tells.

In this order: the call began; the answer grew; a path closed; another attempt begins from the start, or from what was
saved, or with another model, as one whole answer or from the cache; the object is there; the stream failed.
"""


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One thing that happened to a stream.

    Args:
        event_type: what it tells.
        message: one sentence for a person.
        progress_percent: 0 to 100; never falls within a stream; 100 only in ``complete``.
        data: facts about it, such as ``path`` in a ``field`` event.
        timestamp: seconds on the service's clock.
    """

    event_type: ProgressEventType
    message: str
    progress_percent: float
    data: Mapping[str, Any] = field(default_factory=dict)  # Any: facts of several kinds
    timestamp: float = 0.0


ProgressCallback = Callable[[ProgressEvent], Awaitable[None] | None]
"""Receives each event; plain or async."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressFilter:
    """Which events a callback hears. What ends a stream is always told, unless `types` leaves it out.

    Args:
        types: the event types to tell; None for all.
        paths: patterns such as ``items[*]``: of ``field`` events only those whose path fits one; None for all.
        least_step: percent that the answer grows from one ``progress`` event to the next; 0 tells each step of the
            stream.
        least_interval: seconds from one ``progress`` event to the next.

    Raises:
        ConfigurationError: an argument cannot work; the sentence says which and what to do.

    >>> ProgressFilter(types=["field", "complete"], paths=["items[*]"]).least_step
    1.0
    """

    types: Collection[ProgressEventType] | None = None
    paths: Collection[str] | None = None
    least_step: float = 1.0
    least_interval: float = 0.0

    def __post_init__(self) -> None:
        known = get_args(ProgressEventType)
        types: object = self.types
        if types is not None and (
            isinstance(types, str) or not isinstance(types, Collection) or not all(each in known for each in types)
        ):
            raise ConfigurationError(f"types must be a list of some of {', '.join(known)}, or None, not {types!r}")
        if isinstance(self.paths, str):
            raise ConfigurationError(f"paths must be a list of patterns, such as [{self.paths!r}]")
        if self.paths is not None and not isinstance(self.paths, Collection):
            raise ConfigurationError(f"paths must be a list of patterns or None, not {self.paths!r}")
        for path in self.paths or ():
            PathPattern(path)
        for name in ("least_step", "least_interval"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not (isfinite(value) and value >= 0):
                raise ConfigurationError(f"{name} must be a number, 0 or more, not {value!r}")
