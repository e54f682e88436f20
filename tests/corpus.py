"""Where the recorded streams lie, and how to skip without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BODIES", "CORPUS", "count_bodies", "needs_corpus"]


def find_corpus(named: str | None, repository: Path) -> Path | None:
    """Return the corpus: the folder that `named` names, else ``../shared/corpus`` beside `repository`; None if absent.

    Raises:
        FileNotFoundError: `named` is no folder; tests must not skip because of a slip in a variable.
    """
    if named:
        path = Path(named).expanduser().resolve()
        if not path.is_dir():
            raise FileNotFoundError(f"STRUCTSTREAM_CORPUS={named} is no folder; name one, or unset it")
        return path
    path = repository.parent / "shared" / "corpus"
    return path if path.is_dir() else None


CORPUS = find_corpus(os.environ.get("STRUCTSTREAM_CORPUS"), Path(__file__).resolve().parents[1])
"""The folder of recorded streams; None on a machine that has none."""

needs_corpus = pytest.mark.skipif(
    CORPUS is None, reason="no corpus at ../shared/corpus; set STRUCTSTREAM_CORPUS to where it is"
)
"""Marks a test that reads `CORPUS`."""

BODIES: dict[tuple[str, str], dict[str, int]] = {}
"""What was read of the corpus in this run, by dialect and folder: printed at the end of it."""


def count_bodies(dialect: str, folder: str, counts: Mapping[str, int]) -> None:
    """Note how many recorded bodies a test has read, and what they were: plain text, which another process can read."""
    BODIES[dialect, folder] = {str(what): count for what, count in counts.items()}
