"""Where the corpus is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from structstream.response import OutcomeKind
from tests.corpus import BODIES, count_bodies, find_corpus

if TYPE_CHECKING:
    from pathlib import Path


def test_it_lies_beside_the_repository(tmp_path: Path) -> None:
    (tmp_path / "shared" / "corpus").mkdir(parents=True)
    assert find_corpus(None, tmp_path / "repository") == tmp_path / "shared" / "corpus"


def test_a_machine_without_it_has_none(tmp_path: Path) -> None:
    assert find_corpus(None, tmp_path / "repository") is None
    assert find_corpus("", tmp_path / "repository") is None


def test_the_variable_comes_first(tmp_path: Path) -> None:
    (tmp_path / "shared" / "corpus").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    assert find_corpus(str(tmp_path / "mine"), tmp_path / "repository") == tmp_path / "mine"


def test_a_slip_in_the_variable_does_not_skip_the_tests(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="STRUCTSTREAM_CORPUS"):
        find_corpus(str(tmp_path / "slip"), tmp_path)


def test_what_was_read_is_counted_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of xdist sends it to the process that prints, and an enum cannot be sent."""
    monkeypatch.delitem(BODIES, ("none", "none"), raising=False)
    count_bodies("none", "none", {OutcomeKind.COMPLETE: 2})
    assert [(type(what), what, count) for what, count in BODIES.pop(("none", "none")).items()] == [(str, "complete", 2)]
