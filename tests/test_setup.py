"""The set-up says what it needs, in one sentence, on a machine that has too little."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
TOOLS = ("bash", "cat", "cmp", "dirname")  # all that _setup calls before it has found a Python


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone of the scripts beside a folder of tools without any Python."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    (tmp_path / "clone" / "scripts").mkdir(parents=True)
    shutil.copy2(SCRIPTS / "_setup", tmp_path / "clone" / "scripts")
    return tmp_path


def setup(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / "clone" / "scripts" / "_setup", *arguments],
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def python(machine: Path, condition: str) -> None:
    """Put a python3 in the path that succeeds where `condition` holds of its arguments."""
    program = machine / "bin" / "python3"
    program.write_text(f"#!{shutil.which('bash')}\n[[ {condition} ]]\n")
    program.chmod(0o755)


def test_without_python_it_says_which_one_it_needs(machine: Path) -> None:
    run = setup(machine, "test")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines()[-1].startswith("structstream: needs Python 3.11 or newer, and found none")


def test_a_python_that_is_too_old_is_none(machine: Path) -> None:
    python(machine, "$* != *version_info*")
    assert "needs Python 3.11" in setup(machine, "test").stderr


def test_without_venv_it_says_how_to_get_it(machine: Path) -> None:
    python(machine, '$* != *"import venv"*')
    run = setup(machine, "test")
    assert run.returncode == 1
    assert "python3 has no module venv; install it" in run.stderr


def test_an_unknown_step_is_refused(machine: Path) -> None:
    run = setup(machine, "everything")
    assert run.returncode == 1
    assert run.stderr == "structstream: usage: scripts/_setup test|check|newest\n"
