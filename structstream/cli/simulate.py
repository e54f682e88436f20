"""Run the simulated provider until interrupted.

Point any client of OpenAI's chat dialect at it: it answers with plausible data for the schema of each request.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from structstream.testing import Fault, SimulatedProvider

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add("--port", type=int, default=8788, help="the port to listen on; 0 for any free one (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides the data (default: %(default)s)")
    add("--speed", type=float, default=50.0, help="tokens a second; 0 for flat out (default: %(default)s)")
    add("--first-token-delay", type=float, default=0.3, help="seconds before the first token (default: %(default)s)")
    add("--delta-size", type=int, default=4, help="characters of a token (default: %(default)s)")
    add("--thinking", default="", metavar="TEXT", help="think this aloud before each answer")
    add("--fence", action="store_true", help="put a code fence and a sentence around each answer that is text")
    add("--document", metavar="FILE", help="answer with the text of this file instead of generated data")
    add("--api-key", help="take this key only; otherwise any")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="what goes wrong with the next request, such as 'cut_at_byte(500)', 'status(429)' or 'none'; "
        "give it several times for the requests after",
    )
    add("--repeat-faults", action="store_true", help="begin again at the first fault after the last")
    add("--list-faults", action="store_true", help="list the faults and leave")


def run(arguments: argparse.Namespace) -> int:
    """Run the provider until an interrupt; then close its connections and return 0."""
    if arguments.list_faults:
        return _list_faults()
    provider = _provider(arguments)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(provider))
    print(f"answered {len(provider.requests)} requests; {provider.disconnects} clients left before the end")
    return 0


def _list_faults() -> int:
    import inspect

    from structstream.testing import FAULTS

    for name, make in sorted(FAULTS.items()):
        parameters = ", ".join(inspect.signature(make).parameters)
        print(f"{f'{name}({parameters})':42} {(inspect.getdoc(make) or '').splitlines()[0]}")
    return 0


def _provider(arguments: argparse.Namespace) -> SimulatedProvider:
    from structstream.testing import Script, SimulatedProvider

    script = Script(
        first_token_delay=arguments.first_token_delay,
        tokens_per_second=arguments.speed,
        delta_size=arguments.delta_size,
        thinking=arguments.thinking,
        before="Certainly! Here is the JSON:\n" if arguments.fence else "",
        fence=arguments.fence,
    )
    return SimulatedProvider(
        seed=arguments.seed,
        script=script,
        faults=_faults(arguments.fault),
        repeat_faults=arguments.repeat_faults,
        document=None if arguments.document is None else _text(arguments.document),
        api_key=arguments.api_key,
        host=arguments.host,
        port=arguments.port,
    )


def _faults(written: Sequence[str]) -> list[Fault | None]:
    from structstream.testing import parse_fault

    return [None if text == "none" else parse_fault(text) for text in written]


def _text(path: str) -> str:
    from pathlib import Path

    from structstream import ConfigurationError

    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--document {path}: {error}") from error


async def _serve(provider: SimulatedProvider) -> None:
    async with provider:
        print(f"simulated provider at {provider.base_url}  (Ctrl-C ends it)")
        print("point a client at it:")
        print(f"  export OPENAI_BASE_URL={provider.base_url} OPENAI_API_KEY=any")
        print(f'  AsyncOpenAI(base_url="{provider.base_url}", api_key="any")')
        print(f"  STRUCTSTREAM_SIMULATED_BASE_URL={provider.base_url} structstream demo", flush=True)
        await asyncio.Event().wait()  # an interrupt cancels it
