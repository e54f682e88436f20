"""How thoroughly to measure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """What the command line asked for.

    Args:
        rounds: how often each case is measured; the median counts.
        full: larger documents and more streams: minutes more.
        peers: every other library that is installed, not only the usual three.
    """

    rounds: int = 3
    full: bool = False
    peers: bool = False
