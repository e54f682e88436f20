"""The package of the cassettes: what it promises is there, and without vcrpy one sentence says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from structstream.testing import cassettes


@pytest.mark.parametrize("name", cassettes.__all__)
def test_every_promised_name_is_there(name: str) -> None:
    assert getattr(cassettes, name) is not None


def test_without_vcrpy_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['vcr'] = None; import structstream.testing.cassettes"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependencyError: a cassette needs a package that is not installed" in done.stderr
    assert "pip install 'structstream[testing]'" in done.stderr
