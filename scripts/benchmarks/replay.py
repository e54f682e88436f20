"""Timed replay against the times in the cassette: by how much a gap between two reads is off."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from structstream.request import HTTPRequest
from structstream.testing.cassettes import Chunk, InteractionTransport, read_interactions, timed

from .children import ROOT
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from structstream.testing.cassettes import Interaction

    from .options import Options

__all__ = ["errors_of", "gaps", "paced", "run"]

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "google")
SPEEDS = (1.0, 4.0)
LONGEST = 0.06  # seconds between two reads, at most
MOST = 0.020  # seconds that a gap may be off
NOTE = f"Gaps are drawn from 0 to {LONGEST * 1e3:.0f} ms. Wall time: a busy machine is late with plain sleeps as well."
ASKED = HTTPRequest("POST", "/", {}, {})


def run(options: Options) -> Section:
    """Play the recorded answer of each dialect, with gaps that are drawn."""
    rows: list[tuple[str, float, int, float, float, float]] = []
    for dialect in DIALECTS:
        (found,) = read_interactions(ROOT / "cassettes" / dialect / "native" / "complete.yaml")
        for speed in SPEEDS:
            errors: list[float] = []
            asleep: list[float] = []
            for seed in range(options.rounds):
                errors += errors_of(paced(found, seed), speed)
                asleep += errors_of(paced(found, seed), speed, _asleep)
            rows.append((dialect, speed, len(errors), median(errors) * 1e3, max(errors) * 1e3, max(asleep) * 1e3))
    worst = max(row[4] for row in rows)
    columns = ("dialect", "speed", "gaps", "median ms off", "most ms off", "plain sleeps: most ms off")
    bar = Bar("a gap of a timed replay is off by at most", worst, MOST * 1e3, "ms", portable=False)
    table = Table("Gaps between reads, recorded and replayed", columns, rows)
    return Section("replay", "Timed replay", [table], [bar], [NOTE])


def paced(found: Interaction, seed: int) -> Interaction:
    """The same answer in reads of 120 bytes, with drawn gaps."""
    draw, at, chunks = Random(seed), 0.0, []
    body = found.recording.body
    for start in range(0, len(body), 120):
        at += draw.uniform(0, LONGEST)
        chunks.append(Chunk(at, body[start : start + 120]))
    return replace(found, recording=replace(found.recording, chunks=tuple(chunks), head_at=0.0, ended_at=at))


def errors_of(
    found: Interaction,
    speed: float,
    play: Callable[[Interaction, float], Coroutine[Any, Any, Sequence[float]]] | None = None,
) -> Sequence[float]:
    """By how many seconds each gap is off when `found` is played at `speed`."""
    wanted = gaps([chunk.at / speed for chunk in found.recording.chunks])
    came = gaps(asyncio.run((play or _times)(found, speed)))
    return [abs(one - other) for one, other in zip(came, wanted, strict=True)]


def gaps(times: Sequence[float]) -> Sequence[float]:
    """What lies between one and the next.

    >>> gaps([0.0, 0.5, 2.0])
    [0.5, 1.5]
    """
    return [after - before for before, after in pairwise(times)]


async def _times(found: Interaction, speed: float) -> Sequence[float]:
    answer = await InteractionTransport(found, play=timed(speed)).stream(ASKED)
    return [time.monotonic() async for _ in answer]


async def _asleep(found: Interaction, speed: float) -> Sequence[float]:
    """What the machine makes of the same times with nothing but sleeping."""
    began, times = time.monotonic(), []
    for chunk in found.recording.chunks:
        await asyncio.sleep(began + chunk.at / speed - time.monotonic())
        times.append(time.monotonic())
    return times
