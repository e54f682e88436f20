"""Cut answers at every byte and go on with them: ``scripts/resume``.

For each dialect, mode and document the simulated provider's stream is cut after each of its bytes, over real HTTP, and
gone on with. The final object must be that of the uncut answer, after at most one more request, whose schema asks for
nothing that had closed. The first that is not is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from structstream.response import OutcomeKind
from structstream.testing import Script
from tests.resuming import MODELS, speaking, tried
from tests.test_resume_wire import CASES, MODES, is_sayable, request_for, value_of

__all__ = ["main"]

AT_ONCE = 32
DELTA = 20  # characters: the bodies are the shorter for it


def main(argv: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    made = argparse.ArgumentParser(
        prog="scripts/resume", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--step", type=int, default=1, help="cut at every so manieth byte (default: %(default)s)")
    made.add_argument("--dialect", choices=list(MODELS), help="only this one")
    arguments = made.parse_args(argv)
    began = time.monotonic()
    print(f"{'document':10} {'dialect':17} {'mode':9} {'bytes':>6}  attempts after the cut")
    for name in CASES:
        for dialect in [arguments.dialect] if arguments.dialect else list(MODELS):
            for mode in MODES:
                if not is_sayable(dialect, mode, name):
                    continue
                plans, wrong = asyncio.run(every_byte(name, dialect, mode, arguments.step))
                told = ", ".join(f"{plan} {count:,}" for plan, count in sorted(plans.items()))
                print(f"{name:10} {dialect:17} {mode:9} {plans.total():>6,}  {told}", flush=True)
                if wrong:
                    print(f"WRONG: {wrong}")
                    return 1
    print(f"{time.monotonic() - began:.0f} s")
    return 0


async def every_byte(name: str, dialect: str, mode: str, step: int) -> tuple[Counter[str], str]:
    """Cut one answer at every byte; return how often which attempt followed, and what went wrong first."""
    request, value = request_for(dialect, mode, name), value_of(name)
    plans: Counter[str] = Counter()
    wrong: list[str] = []
    async with speaking(dialect, document=CASES[name][1], script=Script(delta_size=DELTA)) as (service, provider):
        await tried(service, request)
        bytes_ = iter(range(0, provider.requests[0].bytes_sent + 1, step))
        provider.requests.clear()

        async def work() -> None:
            for byte in bytes_:
                done = await tried(service, request, f"cut_at_byte({byte})")
                plans.update(done.plans or ["none"])
                good = done.outcome.kind is OutcomeKind.COMPLETE and done.outcome.result == value
                if not good or done.asked_again or len(done.plans) > 1:
                    wrong.append(f"cut at byte {byte}: {done.outcome.error or done.asked_again or done.outcome.result}")
                if wrong:
                    return

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return plans, next(iter(wrong), "")


if __name__ == "__main__":
    sys.exit(main())
