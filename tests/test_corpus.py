"""Where the corpus is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.corpus import find_corpus

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
