"""Record, replay, inspect, lint and convert cassettes: files of what a provider said, and how it came.

A cassette is one of vcrpy's files with a key more; plain vcrpy's and bare .sse files are read as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from structstream.testing.cassettes import Interaction

__all__ = ["configure", "run"]

_MODES = ("once", "new_episodes", "all")
_RECORD = "ask once, and record the answer as it comes"
_REPLAY = "play each answer as a caller would get it"
_INSPECT = "show each answer as a timeline: the reads, what they held, the partials that came of it, the end"
_LINT = "find secrets and rot; exit code 1 if there are any"
_CONVERT = "write it in another form, cleaned of secrets"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with its options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str) -> Callable[..., Any]:  # Any: argparse's own
        made = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        return made.add_argument

    add = action("record", _RECORD)
    add("file", help="the cassette")
    add("--model", required=True, help="such as openai/gpt-4o, with its key in the environment, or simulated/gpt-4o")
    add("--prompt", required=True, help="what to ask for")
    add("--schema", metavar="MODULE:CLASS", help="the type of the answer (default: the demo's trip)")
    add("--temperature", type=float, help="0 to 2")
    add("--record-mode", choices=_MODES, default="new_episodes", help="as vcrpy has it (default: %(default)s)")
    _secrets(add)
    for name, text in (("replay", _REPLAY), ("inspect", _INSPECT)):
        add = action(name, text)
        add("file", help="a cassette, one of vcrpy's, or a .sse file")
        add("--schema", metavar="MODULE:CLASS", help="the type of the answers (default: any JSON object)")
        if name == "replay":
            add("--play", default="timed", help="exact, timed(2), at_once, byte_by_byte, recut(1), cut_at_byte(400), "
                "stall_at_event(3) (default: %(default)s)")  # fmt: skip
    add = action("lint", _LINT)
    add("paths", nargs="+", help="files, or folders of them")
    _secrets(add)
    add = action("convert", _CONVERT)
    add("source", help="a cassette, one of vcrpy's, or a .sse file")
    add("target", help="the file to write")
    add("--to", choices=("structstream", "vcrpy", "sse"), help="the form (default: by the target's name)")
    _secrets(add)


def _secrets(add: Callable[..., Any]) -> None:  # Any: argparse's own
    add(
        "--secret-env",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable whose value is a secret, beside those whose names end in KEY, TOKEN, SECRET or PASSWORD",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says and return the exit code."""
    return _ACTIONS[arguments.action](arguments)


def _record(arguments: argparse.Namespace) -> int:
    from structstream import ConfigurationError

    from .embedded import embedded

    if arguments.file.endswith(".sse"):
        raise ConfigurationError(f"{arguments.file}: a .sse file only plays: record to a .yaml and convert that")

    with embedded(arguments.model, seed=11, speed=100):
        return asyncio.run(_recorded(arguments))


async def _recorded(arguments: argparse.Namespace) -> int:
    from structstream import StructuredLLMService
    from structstream.testing.cassettes import Cassette

    from .render import LineScreen, plain
    from .schemas import make_request

    request = make_request(arguments)
    with Cassette(arguments.file, record_mode=arguments.record_mode, secrets=_named(arguments)) as cassette:
        async with (
            StructuredLLMService(cassette.client, wrap_transport=cassette.wrap) as service,
            service.route_structured_streaming(request) as stream,
        ):
            with LineScreen(sys.stdout) as screen:
                async for response in stream:
                    screen.step(response)
    outcome = stream.outcome
    if outcome is None or outcome.error is not None:
        print(f"{arguments.file}: {outcome.error if outcome is not None else 'no outcome'}")
        return 1
    print(json.dumps(plain(outcome.result), ensure_ascii=False, indent=2))
    print(f"{arguments.file}: {'played' if cassette.played else 'recorded'}")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from structstream.testing.cassettes import parse_play

    from .timeline import replay

    play = parse_play(arguments.play)
    return asyncio.run(replay(_answers(arguments.file), play, arguments.schema, sys.stdout))


def _inspect(arguments: argparse.Namespace) -> int:
    from .timeline import timeline

    for number, interaction in enumerate(_answers(arguments.file)):
        print("\n".join(asyncio.run(timeline(number, interaction, arguments.schema))))
    return 0


def _answers(file: str) -> Sequence[Interaction]:
    from structstream import ConfigurationError
    from structstream.testing.cassettes import read_interactions

    found = read_interactions(file)
    if not found:
        raise ConfigurationError(f"cassette {file} holds no interaction: record it first")
    return found


def _lint(arguments: argparse.Namespace) -> int:
    from structstream.testing.cassettes import lint

    problems = lint(arguments.paths, secrets=_named(arguments))
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "all is well")
    return 1 if problems else 0


def _convert(arguments: argparse.Namespace) -> int:
    from structstream.testing.cassettes import convert

    for path in convert(arguments.source, arguments.target, to=arguments.to, secrets=_named(arguments)):
        print(path)
    return 0


def _named(arguments: argparse.Namespace) -> Sequence[str]:
    from structstream import ConfigurationError

    missing = [name for name in arguments.secret_env if not os.environ.get(name)]
    if missing:
        raise ConfigurationError(f"--secret-env {missing[0]}: no such variable is set")
    return [os.environ[name] for name in arguments.secret_env]


_ACTIONS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "record": _record,
    "replay": _replay,
    "inspect": _inspect,
    "lint": _lint,
    "convert": _convert,
}
