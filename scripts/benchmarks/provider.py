"""The simulated provider as a process of its own: ``python -m scripts.benchmarks.provider '{"document": …}'``."""

from __future__ import annotations

import asyncio
import json
import sys

from structstream.testing import Script, SimulatedProvider

__all__ = ["main"]


async def main(document: str, speed: float) -> None:
    """Serve until standard input ends; prints the base URL first.

    Args:
        document: the text of every answer.
        speed: events a second in each stream; 0 for flat out.
    """
    async with SimulatedProvider(document=document, script=Script(tokens_per_second=speed)) as provider:
        print(provider.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
