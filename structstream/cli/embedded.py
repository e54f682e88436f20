"""The simulated provider inside the demo's own process."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structstream.testing import ThreadedProvider

__all__ = ["embedded"]

_BASE_URL = "STRUCTSTREAM_SIMULATED_BASE_URL"


@contextmanager
def embedded(
    model: str, *, seed: int, speed: float, first_token_delay: float = 0.3
) -> Iterator[ThreadedProvider | None]:
    """Run a simulated provider in a thread of its own, for as long as the block runs, and lead `model` to it.

    Yields None, and runs nothing, where `model` is a real one or the environment names a provider that runs already.

    Args:
        model: the model that will be asked.
        seed: decides the data.
        speed: tokens a second; 0 for flat out.
        first_token_delay: seconds before the first token.
    """
    if not model.startswith("simulated/") or os.environ.get(_BASE_URL):
        yield None
        return
    from structstream.testing import Script, SimulatedProvider

    script = Script(first_token_delay=first_token_delay if speed else 0, tokens_per_second=speed, delta_size=(2, 6))
    with SimulatedProvider.in_thread(seed=seed, script=script) as provider:
        os.environ[_BASE_URL] = provider.base_url
        try:
            yield provider
        finally:
            del os.environ[_BASE_URL]
