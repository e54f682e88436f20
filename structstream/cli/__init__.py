"""The command line: ``structstream demo``, ``simulate``, ``models``, ``cassette``.

A command is one file and one row in `COMMANDS`. What a command needs is loaded when it runs.
"""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from . import cassette, demo, models, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, ModuleType] = {"demo": demo, "simulate": simulate, "models": models, "cassette": cassette}
"""Each command's module: its docstring is the help, `configure` adds the options, `run` returns the exit code."""

_OURS = 2  # the exit code of an error that one sentence explains, as argparse has it
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    0 where all went well, 1 where a stream ended in another outcome than the wanted one, 2 where the call cannot work
    (one sentence on stderr says why), 130 after an interrupt.

    Args:
        argv: the arguments; None for those of the process.
    """
    # Who starts us with a closed output wants none.
    sys.stdout, sys.stderr = sys.stdout or _Nowhere(), sys.stderr or _Nowhere()
    for stream in (sys.stdout, sys.stderr):
        _degrade(stream)
    arguments = _parser().parse_args(argv)
    from structstream import StructStreamError

    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()  # or what cannot be written would be told by the interpreter at exit
        return code
    except StructStreamError as error:
        print(f"structstream: {error}", file=sys.stderr)
        return _OURS
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _give_up_output()
        print(f"structstream: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1


class _Nowhere(io.StringIO):
    """An output that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def _give_up_output() -> None:
    # Whoever read our output has left; the interpreter would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _degrade(stream: TextIO) -> None:
    # A terminal that knows no UTF-8 shows question marks instead of breaking.
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="structstream", description="Typed objects while the model is still writing.")
    parser.add_argument("--version", action="version", version=f"structstream {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, module in COMMANDS.items():
        text = module.__doc__ or ""
        made = commands.add_parser(name, help=text.splitlines()[0], description=text)
        made.set_defaults(run=module.run)
        module.configure(made)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("structstream")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
