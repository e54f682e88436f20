"""What the policies cost while nothing goes wrong: CPU microseconds for each streamed event, off, by default, all on.

What they add is measured with answers from memory, one event a read, where no network blurs it; all ways take turns.
An answer has a price once as well, where the policies are set up around it: the short document shows it, and is judged
with it. A few answers are read before, as a service that runs has: CPython makes code fast that was called some times,
and a file or a thread is opened once. What an event costs over HTTP, which the bar is a share of, is measured as in the
section on the end to end.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

from structstream import (
    CachePolicy,
    HedgePolicy,
    LimitsPolicy,
    OutputBounds,
    Policies,
    StreamingStructuredRequest,
    StructuredLLMService,
)

from .documents import Records, records
from .measure import interleaved
from .metrics import Memory, drained, end_to_end
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Options

__all__ = ["run"]

MORE_ROUNDS = 10  # in memory a round is short; a few per cent are to be told apart
BEFORE = 10  # answers of each way before it is measured
SIZES = (2 << 10, 16 << 10)
MOST = 5.0  # per cent

BARE, DEFAULT, ALL = "every policy None", "the defaults", "every policy on"
WAYS = {
    BARE: Policies(retry=None, breaker=None, concurrency=None, pause=None, fallback=None),
    DEFAULT: Policies(),
    ALL: Policies(
        limits=LimitsPolicy(requests_per_minute=10_000_000, tokens_per_minute=10_000_000_000),
        cache=CachePolicy(path=":memory:"),
        hedge=HedgePolicy(after=60),
        bounds=OutputBounds(max_bytes=1 << 30, max_tokens=1 << 30, max_seconds=3600),
    ),
}


def reader(memory: Memory, policies: Policies, runner: asyncio.Runner) -> Callable[[], None]:
    """Return what reads one answer from memory to its end; each is asked for anew, so that no cache has it."""
    service = StructuredLLMService(memory, policies=policies)
    numbers = count()
    request = StreamingStructuredRequest(response_model=Records, model="openai/gpt-4o", prompt="A list of people")

    def read() -> None:
        asked = replace(request, prompt=f"{request.prompt}, the {next(numbers)}th")
        runner.run(drained(service, asked))

    return read


def run(options: Options) -> Section:
    """Measure what the policies add, and hold them to their bar."""
    whole = end_to_end(options, {BARE: lambda: {"policies": WAYS[BARE]}})[BARE]
    rows: list[list[Cell]] = []
    bars: list[Bar] = []
    for size in SIZES:
        memory = Memory(records(size))
        with asyncio.Runner() as runner:  # one loop, as a service has: the cache's thread is not begun for each answer
            ways = {name: reader(memory, policies, runner) for name, policies in WAYS.items()}
            for read in list(ways.values()) * BEFORE:
                read()
            times = interleaved(ways, MORE_ROUNDS * options.rounds)
        for name, found in times.items():
            # Within each round, as what slows the machine for a while slows all of them.
            added = median(one - bare for one, bare in zip(found, times[BARE], strict=True)) * 1e6 / len(memory.events)
            event = median(found) * 1e6 / len(memory.events)
            rows.append([name, f"{size >> 10} KB", event, added, 100 * added / (event - added), 100 * added / whole])
            if name != BARE:
                bars.append(
                    Bar(f"{name}, {size >> 10} KB: CPU added to an event end to end", 100 * added / whole, MOST, "%")
                )
            if name == DEFAULT and size == SIZES[-1]:
                share = 100 * added / (event - added)
                bars.append(Bar(f"{name}, {size >> 10} KB: CPU added to an event from memory", share, MOST, "%"))
    columns = ("policies", "answer", "CPU, us/event", "added, us/event", "% of it", "% of an event end to end")
    table = Table(f"Events from memory; one over HTTP takes {whole:.0f} us with every policy None", columns, rows)
    return Section("policies", "What the policies cost while nothing goes wrong", [table], bars)
