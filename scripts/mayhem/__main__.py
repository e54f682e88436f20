"""Run many streams, some at a time, against a provider that fails at random: ``scripts/chaos``.

Every stream must end, complete with the very object that was asked for or in a typed outcome; no task, connection or
file descriptor may be left behind, and memory must stay flat. Otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from structstream import (
    BreakerPolicy,
    Outcome,
    OutcomeKind,
    Policies,
    ProviderSpec,
    StreamingStructuredRequest,
    StructStreamError,
    StructuredLLMService,
    Timeouts,
)

from .answer import WANTED, Order

__all__ = ["Tally", "main", "storm"]

_HUNG = 60.0  # seconds after which a stream counts as hung: every deadline of its own is shorter
_GROWTH = 24 << 20  # bytes of memory that may come on top after a fifth of the streams


@dataclass
class Tally:
    """What came of the streams."""

    outcomes: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    saved: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, outcome: Outcome[Order] | None) -> None:
        """Count one stream."""
        if outcome is None:
            self.wrong.append("a stream ended without an outcome")
            return
        self.outcomes[outcome.kind.value] += 1
        self.attempts[len(outcome.attempts)] += 1
        if outcome.kind is OutcomeKind.COMPLETE:
            if outcome.result != WANTED:
                self.wrong.append(f"another object than the one that was asked for: {outcome.result!r:.200}")
            return
        if not isinstance(outcome.error, StructStreamError):
            self.wrong.append(f"{outcome.kind} with {outcome.error!r}")
        self.saved["something" if outcome.completed or outcome.raw_text else "nothing"] += 1

    def table(self) -> str:
        """Return what was counted."""
        rows = (
            ("outcome", dict(self.outcomes.most_common())),
            ("attempts", dict(sorted(self.attempts.items()))),
            ("saved where it failed", dict(self.saved.most_common())),
        )
        return "\n".join(
            f"{name:22} {', '.join(f'{key} {count:,}' for key, count in found.items())}" for name, found in rows
        )


async def one(service: StructuredLLMService, tally: Tally) -> None:
    """Run one stream to its end."""
    request = StreamingStructuredRequest(
        response_model=Order,
        model="mayhem/any",
        prompt="An order",
        max_retries=3,
        timeouts=Timeouts(connect=10, first_token=10, between_tokens=2, total=45),
    )
    try:
        async with asyncio.timeout(_HUNG), service.route_structured_streaming(request) as stream:
            async for _ in stream:
                pass
    except TimeoutError:
        tally.wrong.append(f"a stream hung for {_HUNG} s")
    except Exception as error:  # noqa: BLE001  # whatever comes out is what is looked for
        tally.wrong.append(f"raised {error!r}")
    else:
        tally.note(stream.outcome)


async def storm(url: str, count: int, at_once: int) -> tuple[Tally, list[int]]:
    """Run `count` streams, `at_once` at a time; return what came of them and the memory in bytes after each fifth."""
    tally, memory = Tally(), []
    rows = {"mayhem": ProviderSpec(name="mayhem", base_url=url, needs_key=False)}
    # Of many that begin at once, those that fail are the first to end: the circuit is to wait for the others.
    policies = Policies(breaker=BreakerPolicy(minimum_calls=2 * at_once))
    async with StructuredLLMService(providers=rows, policies=policies) as service:
        gate = asyncio.Semaphore(at_once)

        async def gated() -> None:
            async with gate:
                await one(service, tally)

        for _ in range(5):
            await asyncio.gather(*(gated() for _ in range(count // 5)))
            gc.collect()
            memory.append(_resident())
    return tally, memory


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def run(url: str, count: int, at_once: int) -> list[str]:
    """Run the storm, print what came of it, and return what is wrong."""
    files, began = _open_files(), time.monotonic()
    tally, memory = await storm(url, count, at_once)
    seconds = time.monotonic() - began
    await asyncio.sleep(0)
    wrong = tally.wrong
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left:
        wrong.append(f"{len(left)} tasks are left: {left[:3]}")
    if (more := _open_files() - files) > 0:
        wrong.append(f"{more} file descriptors are left open")
    if memory[-1] - memory[0] > _GROWTH:
        wrong.append(f"memory grew from {memory[0] >> 20} to {memory[-1] >> 20} MB after the first fifth")
    print(tally.table())
    print(f"memory in MB, after each fifth: {', '.join(str(size >> 20) for size in memory)}")
    print(f"{count:,} streams, {at_once} at a time, {seconds:.0f} s")
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Start the provider, run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="streams in all (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=200, help="streams at a time (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.2, help="of the requests that fail (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides what fails (default: %(default)s)")
    arguments = parser.parse_args(argv)
    return asyncio.run(_with_provider(arguments))


async def _with_provider(arguments: argparse.Namespace) -> int:
    command = (sys.executable, "-m", "scripts.mayhem.provider", str(arguments.seed), str(arguments.share))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        said = process.stdout and await process.stdout.readline()
        url = (said or b"").decode().strip()
        wrong = await run(url, arguments.count, arguments.at_once)
    finally:
        process.terminate()
        await process.wait()
    for sentence in wrong[:20]:
        print("WRONG:", sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
