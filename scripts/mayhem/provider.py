"""The provider that fails at random, in a process of its own: ``python -m scripts.mayhem.provider SEED SHARE``."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable

from structstream.testing import (
    Fault,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    drop_at_byte,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    refusal,
    reset_at_byte,
    stall_at_byte,
    status,
    unknown_events,
)

from .answer import DOCUMENT

__all__ = ["faults"]

ROUNDS = 20_000  # requests after which the faults begin again
_SOON = "0.1"  # seconds of peace that it asks for: everybody keeps it, and a run is to end
_BODY = 8000  # bytes, about as long as the longest of the bodies

_MAKERS: tuple[Callable[[random.Random], Fault], ...] = (
    lambda draw: cut_at_byte(draw.randrange(_BODY)),
    lambda draw: drop_at_byte(draw.randrange(_BODY)),
    lambda draw: reset_at_byte(draw.randrange(_BODY)),
    lambda draw: stall_at_byte(draw.randrange(_BODY)),
    lambda draw: length(draw.randrange(len(DOCUMENT))),
    lambda draw: status(draw.choice((408, 429, 500, 502, 503, 529)), {"retry-after": _SOON}),
    lambda draw: status(draw.choice((400, 401, 403, 404, 422))),
    lambda draw: in_band_error(draw.randrange(20)),
    lambda draw: malformed_chunk(draw.randrange(20)),
    lambda draw: content_filter(draw.randrange(20)),
    lambda draw: refusal("I would rather not."),
    lambda draw: no_finish(),
    lambda draw: unknown_events(),
)


def faults(seed: int, share: float) -> list[Fault | None]:
    """Return what goes wrong with each request: with `share` of them, at random, something does."""
    draw = random.Random(seed)
    return [draw.choice(_MAKERS)(draw) if draw.random() < share else None for _ in range(ROUNDS)]


async def main(seed: int, share: float) -> None:
    """Answer until the process is ended."""
    provider = SimulatedProvider(
        document=DOCUMENT, faults=faults(seed, share), repeat_faults=True, script=Script(delta_size=(2, 12))
    )
    async with provider:
        print(provider.base_url, flush=True)
        while True:
            await asyncio.sleep(1)
            done = [record for record in provider.requests if record.ending is not None]
            del provider.requests[: len(done) // 2]  # a run is long, and nobody looks at them


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
