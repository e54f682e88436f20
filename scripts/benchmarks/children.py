"""Other processes: a server whose CPU time must not count as the client's, and fresh interpreters."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["ROOT", "answer_of", "served"]

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

_PATIENCE = 600  # seconds that a child may take


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def served(module: str, **settings: object) -> Iterator[str]:
    """Run a server module of this package while the block runs; yields the base URL that it printed.

    Args:
        module: its name within this package.
        settings: what it reads as JSON from its first argument.
    """
    command = [sys.executable, "-m", f"{__package__}.{module}", json.dumps(settings)]
    # It ends when its standard input does: also where this process dies.
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None  # noqa: S101  # both are pipes
        assert process.stdout is not None  # noqa: S101
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"{module} did not start: what stopped it stands above")
        try:
            yield url
        finally:
            process.stdin.close()
            process.wait(_PATIENCE)


def answer_of(*arguments: str) -> Mapping[str, float]:
    """Run Python with `arguments` to its end and return the JSON object that it printed last."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), check=True, stdout=subprocess.PIPE, text=True, timeout=_PATIENCE
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
