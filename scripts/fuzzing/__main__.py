"""Feed broken inputs, cut anywhere, to everything that reads the network: ``scripts/fuzz``.

Each gives a value or an error of the closed list, the same however it is cut, within bounds of memory. Anything else is
printed with its seed and a minimal input, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from .campaign import Campaign, Crash, attempt, input_of, peak
from .targets import TARGETS

__all__ = ["main"]

COUNT = 200_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    arguments = parser().parse_args(argv)
    targets = [target for target in TARGETS if target.name in (arguments.target or [target.name])]
    if arguments.only is not None:
        target = targets[arguments.only % len(targets)]
        data = input_of(target, arguments.seed, arguments.only)
        print(data)
        print(attempt(target, data, arguments.seed, arguments.only))
        return 0
    campaign = Campaign(targets, arguments.count, arguments.seed, arguments.seconds)
    began = time.monotonic()
    crash = campaign.run()
    print(table(campaign))
    print(f"{time.monotonic() - began:.0f} s, at most {peak() >> 20} MB, seed {arguments.seed}")
    if crash is None:
        return 0
    print(report(crash, arguments.target))
    return 1


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--count", type=int, default=COUNT, help="inputs in all (default: %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="decides the inputs and cuts (default: %(default)s)")
    made.add_argument("--seconds", type=float, help="stop after so many (default: after all inputs)")
    names = [target.name for target in TARGETS]
    made.add_argument("--target", action="append", choices=names, help="only this one; may be given several times")
    made.add_argument("--only", type=int, metavar="INDEX", help="one input, with its traceback")
    return made


def table(campaign: Campaign) -> str:
    """Return how many inputs of each target ended how."""
    lines = [f"{'target':10} {'inputs':>8}  endings"]
    for name, endings in campaign.endings.items():
        counts = ", ".join(f"{word} {count:,}" for word, count in endings.most_common())
        lines.append(f"{name:10} {endings.total():>8,}  {counts}")
    return "\n".join(lines)


def report(crash: Crash, chosen: Sequence[str] | None) -> str:
    """Return all that is needed to see a crash again."""
    only = "".join(f" --target {name}" for name in chosen or ())
    trace = "".join(traceback.format_exception(crash.error)).rstrip()
    again = f"scripts/fuzz --seed {crash.seed}{only} --only {crash.index}"
    return f"\nCRASH in {crash.target}\n{trace}\nminimal input: {crash.data!r}\nagain: {again}"


if __name__ == "__main__":
    sys.exit(main())
