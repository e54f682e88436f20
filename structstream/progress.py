"""Progress events: what a screen hears of a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ProgressCallback", "ProgressEvent", "ProgressEventType"]

ProgressEventType = Literal["start", "progress", "field", "complete", "error"]
"""What an event tells: the call began, the answer grew, a path closed, the object is there, the stream failed."""


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
