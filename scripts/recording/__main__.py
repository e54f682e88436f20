"""Record the folder `cassettes` anew: ``scripts/record``.

The simulated provider answers on a fixed port, so that what was not meant to change does not; the times do.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import replace

from structstream import ROUTES, OutcomeKind, ProviderSpec, StructuredLLMService
from structstream.testing import Script, SimulatedProvider
from structstream.testing.cassettes import Cassette, lint

from .matrix import CASES, FOLDER, MODELS, Case, take

__all__ = ["main"]

_PORT = 8788
_SCRIPT = Script(tokens_per_second=100, delta_size=16)
_KEY = "simulated-key-that-no-cassette-may-hold"


def main() -> int:
    """Record all and return the exit code."""
    for dialect in MODELS:
        shutil.rmtree(FOLDER / dialect, ignore_errors=True)
    wrong = [
        f"{case.path}: {kind}, not {case.kind}" for case in CASES if (kind := asyncio.run(_record(case))) != case.kind
    ]
    wrong += map(str, lint([FOLDER]))
    print("\n".join(wrong) or f"{len(CASES)} cassettes in {FOLDER.name}/")
    return 1 if wrong else 0


async def _record(case: Case) -> OutcomeKind | None:
    async with SimulatedProvider(
        seed=1, port=_PORT, script=_SCRIPT, faults=[case.fault], document=case.document
    ) as provider:
        with Cassette(case.path, record_mode="all") as cassette:
            async with StructuredLLMService(
                wrap_transport=cassette.wrap, providers=_rows(provider.base_url), api_keys=dict.fromkeys(ROUTES, _KEY)
            ) as service:
                outcome = await take(service, case)
                return None if outcome is None else outcome.kind


def _rows(base_url: str) -> dict[str, ProviderSpec]:
    """The rows of the real providers, with the address of the simulated one and the version of the real path."""
    names = {model.partition("/")[0] for model in MODELS.values()}
    return {
        name: replace(
            ROUTES[name], base_url=base_url.removesuffix("/v1") + _version(ROUTES[name].base_url), base_url_env=()
        )
        for name in names
    }


def _version(base_url: str | None) -> str:
    return "/v1" if base_url is not None and base_url.endswith("/v1") else ""


if __name__ == "__main__":
    sys.exit(main())
