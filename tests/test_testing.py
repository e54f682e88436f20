"""The tools for tests: each name is there, and loaded when it is first used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import structstream.testing as testing


@pytest.mark.parametrize("name", testing.__all__)
def test_every_promised_name_is_there(name: str) -> None:
    assert getattr(testing, name) is getattr(testing, name)
    assert name in dir(testing)


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'structstream\.testing' has no attribute 'Nobody'"):
        _ = testing.Nobody


def test_importing_it_loads_nothing() -> None:
    code = (
        "import json, sys, structstream.testing; "
        "print(json.dumps([name for name in ('pydantic', 'h11', 'vcr', 'pytest', 'asyncio') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
