"""Many streams at a time in one process: delay, memory, file descriptors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .children import answer_of, served
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .options import Options

__all__ = ["run"]

SPEED = 20.0  # events a second in each stream
SECONDS = 8
QUICK, FULL = 200, 1000
KINDS = {
    "plain": "plain asyncio sockets",
    "raw": "openai SDK, raw body, aiohttp transport",
    "ours": "structstream, typed partials",
}


def run(options: Options) -> Section:
    """Run the same streams through plain sockets, the SDK and us, each in a process of its own."""
    title = "Many streams at a time"
    if not Path("/proc/self/statm").exists():
        return Section("streams", title, [], notes=[f"Not measured: {sys.platform} has no /proc."])
    streams = FULL if options.full else QUICK
    events = int(SPEED * SECONDS)
    with served("ticker", speed=SPEED, events=events) as url:
        floor, raw, ours = (answer_of("-m", f"{__package__}.crowd", kind, url, str(streams)) for kind in KINDS)
    rows: list[Sequence[Cell]] = [
        (name, *(found[key] * 1e3 for key in ("p50", "p99", "worst")), found["memory"] / 1024, found["cpu"] * 1e6)
        for name, found in zip(KINDS.values(), (floor, raw, ours), strict=True)
    ]
    columns = ("client", "delay p50, ms", "p99, ms", "worst, ms", "memory, KB a stream", "CPU, µs per event")
    bars = [
        Bar("p99 delay added by us", (ours["p99"] - floor["p99"]) * 1e3, 50, "ms", portable=False),
        Bar("memory a stream", ours["memory"] / 1024, 100, "KB"),
        Bar("file descriptors not given back", ours["descriptors"], 0),
        Bar("events that the slowest stream saw", ours["fewest"], events, "", "at least"),
    ]
    table = Table(f"{streams} streams of {SPEED:.0f} events a second; delay from the server's write", columns, rows)
    return Section("streams", title, [table], bars)
