"""A reader who follows the tutorial literally, in an empty folder, succeeds."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests import tutorial


def test_the_tutorial_works_as_it_is_typed(tmp_path: Path) -> None:
    assert tutorial.complaints(tutorial.follow(tmp_path, Path(sys.executable).parent)) == []


def test_every_block_of_it_is_saved_or_typed() -> None:
    fences = re.findall(r"^```(\w+)$", tutorial.PAGE, re.MULTILINE)
    assert fences.count("python") == len(tutorial.FILES)
    assert set(fences) == {"python", "console"}
    lines = re.findall(r"^```console\n(.*?)^```", tutorial.PAGE, re.DOTALL | re.MULTILINE)
    assert "".join(lines).count("\n") == len(tutorial.COMMANDS)


def test_no_file_takes_the_name_of_a_module_of_pythons() -> None:
    """`profile.py` beside a program is what `cProfile` would import."""
    assert {Path(name).stem for name in tutorial.FILES} & sys.stdlib_module_names == set()


def test_what_is_installed_is_the_clone_and_not_another_project_of_that_name() -> None:
    assert [line for line in tutorial.COMMANDS if line.startswith("pip install") and "/clone" not in line] == []
