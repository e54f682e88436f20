"""Feed mutated inputs to targets, count how they end, and make what breaks them small."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from .mutate import cuts
from .targets import Disagreement, Ending, Target

__all__ = ["Campaign", "Crash", "MemoryBound", "attempt", "shrunk"]

MEMORY = 256 << 20  # bytes that the process may grow by
VARIANTS = 60
EVERY = 500  # inputs between two looks at the memory and the clock


class MemoryBound(AssertionError):
    """The process grew by more than `MEMORY`."""


@dataclass(frozen=True)
class Crash:
    """An input that ended in none of the ways it may.

    Args:
        target: what read it.
        seed, index: what made it, and what cuts it.
        error: what was raised.
        data: the input, as small as it got.
    """

    target: str
    seed: int
    index: int
    error: Exception
    data: bytes


@dataclass
class Campaign:
    """One run.

    Args:
        targets: what is fed, in turn.
        count: how many inputs in all.
        seed: decides all of them.
        seconds: when to stop early; None for never.
    """

    targets: Sequence[Target]
    count: int
    seed: int = 0
    seconds: float | None = None
    endings: dict[str, Counter[str]] = field(default_factory=dict)

    def run(self) -> Crash | None:
        """Feed all inputs; return the first that crashed a target, None if none did."""
        self.endings = {target.name: Counter() for target in self.targets}
        end = None if self.seconds is None else time.monotonic() + self.seconds
        at_first = peak()
        for index in range(self.count):
            target = self.targets[index % len(self.targets)]
            data = input_of(target, self.seed, index)
            try:
                ending = attempt(target, data, self.seed, index)
                if index % EVERY == 0 and peak() - at_first > MEMORY:
                    raise MemoryBound(f"{(peak() - at_first) >> 20} MB more than at the start")
            except Exception as error:  # noqa: BLE001  # anything at all that leaves a target is what is looked for
                return Crash(target.name, self.seed, index, error, shrunk(data, self._fails(target, index, error)))
            self.endings[target.name][ending.word] += 1
            if end is not None and index % EVERY == 0 and time.monotonic() > end:
                break
        return None

    def _fails(self, target: Target, index: int, error: Exception) -> Callable[[bytes], bool]:
        def fails(data: bytes) -> bool:
            try:
                attempt(target, data, self.seed, index)
            except Exception as other:  # noqa: BLE001  # as above
                return type(other) is type(error)
            return False

        return fails


def input_of(target: Target, seed: int, index: int) -> bytes:
    """Return the input of that number."""
    return target.make(Random(f"{seed}/{index}"))


def attempt(target: Target, data: bytes, seed: int, index: int) -> Ending:
    """Feed `data` whole and cut, and return how it ended.

    Raises:
        Disagreement: the two, or the target's own check, differ.
        Exception: whatever leaves the target.
    """
    random = Random(f"{seed}/{index}/cuts")
    variant = random.randrange(VARIANTS)
    places = [0, *cuts(random, len(data)), len(data)]
    whole = target.read([data], variant)
    cut = target.read([data[start:end] for start, end in pairwise(places)], variant)
    if whole != cut:
        raise Disagreement(f"whole: {whole}, cut at {places[1:-1]}: {cut}")
    if whole.word not in target.words:
        raise Disagreement(f"{whole.word} is not on the closed list")
    target.check(data, variant, whole)
    return whole


def shrunk(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Return a part of `data` that still fails, by leaving out halves, quarters, … single bytes.

    >>> shrunk(b"some bytes with an x in them", lambda data: b"x" in data)
    b'x'
    """
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            less = data[:at] + data[at + size :]
            if fails(less):
                data = less
            else:
                at += size
        size //= 2
    return data


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
