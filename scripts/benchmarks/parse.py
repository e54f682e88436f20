"""Parse and build partials: CPU milliseconds for the whole stream, at every delta something to look at."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from .clients import CLIENTS, OURS
from .documents import DELTA, records
from .measure import doublings, interleaved, ratio
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from .clients import Client
    from .measure import Times
    from .options import Options

__all__ = ["run"]

SIZES = (4 << 10, 16 << 10, 64 << 10)
JITER = "jiter, whole buffer again (untyped)"
INSTRUCTOR = "instructor Partial.model_from_chunks"


def run(options: Options) -> Section:
    """Measure every client at every size."""
    texts = {size: records(size) for size in SIZES}
    clients = [client for client in CLIENTS if client.default or options.peers]
    missing: list[str] = []
    times = {size: _at(size, texts[size], clients, options, missing) for size in SIZES}
    lengths = [len(text) for text in texts.values()]
    rows = [_row(client.name, times, lengths) for client in clients if client.name not in missing]
    columns = ("client", *(f"{size >> 10} KB" for size in SIZES), "growth per doubling")
    table = Table(f"CPU milliseconds, {DELTA}-character deltas", columns, rows)
    notes = [f"Not installed, and so not measured: {', '.join(missing)}."] if missing else []
    if any(client.largest for client in clients) and not options.full:
        notes.append("A dash: measured with --full only, it takes minutes.")
    largest = times[SIZES[-1]]
    figures = {client.name: median(largest[client.name]) * 1e3 for client in clients if largest.get(client.name)}
    return Section("parse", "Parse and build partials, whole stream", [table], _bars(largest), notes, figures)


def _at(size: int, text: str, clients: list[Client], options: Options, missing: list[str]) -> Times:
    cases = {}
    for client in clients:
        if client.largest and size > client.largest and not options.full:
            continue
        try:
            cases[client.name] = client.prepare(text)
        except ImportError:
            if client.name not in missing:
                missing.append(client.name)
    return interleaved(cases, options.rounds)


def _row(name: str, times: dict[int, Times], lengths: list[int]) -> list[Cell]:
    medians = [median(found[name]) if found.get(name) else None for found in times.values()]
    grown = [
        doublings([before, after], sizes)[0]
        for (before, after), sizes in zip(pairwise(medians), pairwise(lengths), strict=True)
        if before is not None and after is not None
    ]
    growth = "-".join(f"{factor:.1f}" for factor in sorted({round(factor, 1) for factor in grown}))
    return [name, *(None if seconds is None else seconds * 1e3 for seconds in medians), f"x{growth}"]


def _bars(times: Times) -> list[Bar]:
    milliseconds = median(times[OURS]) * 1e3
    bars = [Bar("64 KB, a typed snapshot at every delta", milliseconds, 60, "ms CPU", portable=False)]
    for peer, limit in ((JITER, 18), (INSTRUCTOR, 250)):
        if times.get(peer):
            name = f"times less CPU than {peer.split(',')[0].split()[0]} at 64 KB"
            bars.append(Bar(name, ratio(times, peer, OURS), limit, "x", "at least"))
    return bars
