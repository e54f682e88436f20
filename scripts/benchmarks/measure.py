"""CPU time on a machine that does other things as well: interleaved rounds, medians, ratios within the same round."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

__all__ = ["Times", "cpu", "doublings", "growth", "interleaved", "ratio"]

Times = dict[str, list[float]]
"""CPU seconds by case, one for each round."""

LONG = 4.0  # seconds; what takes longer is measured once
SHORT = 0.02  # seconds; what takes less is repeated until it takes as much


def cpu(run: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that one call takes."""
    gc.collect()
    repeats = 0
    began = time.process_time()
    while True:
        run()
        repeats += 1
        spent = time.process_time() - began
        if spent >= SHORT:
            return spent / repeats


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Measure each case once a round, so that what slows the machine for a while slows all of them.

    A case that takes longer than `LONG` is measured in the first round only.
    """
    times: Times = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            if not times[name] or times[name][-1] <= LONG:
                times[name].append(cpu(run))
    return times


def ratio(times: Times, above: str, below: str) -> float:
    """Return how many times `above` takes as long as `below`: the median over the rounds that have both."""
    return median(first / second for first, second in zip(times[above], times[below], strict=False))


def doublings(times: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """Return the factors by which the time grew from size to size, each brought to one doubling.

    >>> doublings([1.0, 2.0, 8.0], [1, 2, 8])
    [2.0, 2.0]
    """
    from math import log2

    steps = zip(times, times[1:], sizes, sizes[1:], strict=False)
    return [round((after / before) ** (1 / log2(more / less)), 6) for before, after, less, more in steps]


def growth(times: Sequence[float], sizes: Sequence[int]) -> float:
    """Return the factor per doubling over the whole range of sizes.

    >>> growth([1.0, 3.0, 16.0], [1, 2, 4])
    4.0
    """
    return doublings([times[0], times[-1]], [sizes[0], sizes[-1]])[0]
