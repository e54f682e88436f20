"""A reader who follows the tutorial literally, in an empty folder, succeeds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parent.parent / "docs" / "tutorial.md").read_text("utf-8")
FILES = re.findall(r"Save this as `([\w.]+)`:\n\n```python\n# \1\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("$ ")
]
# What installs is tried by scripts/package; here the environment of the suite stands for it.
INSTALLS = ("python3 -m venv", ". .venv", "pip install")


def test_the_tutorial_works_as_it_is_typed(tmp_path: Path) -> None:
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    typed = [line for line in COMMANDS if not line.startswith(INSTALLS)]
    assert len(typed) < len(COMMANDS)
    script = ["trap 'kill $(jobs -p)' EXIT"]
    for line in typed:
        script.append(line)
        if line.endswith("&"):
            port = re.search(r"--port (\d+)", line)
            assert port is not None
            connect = f'import socket; socket.create_connection(("127.0.0.1", {port[1]}))'
            script.append(f"until python -c '{connect}' 2>/dev/null; do :; done")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""}
    run = subprocess.run(
        ["bash", "-eu"],
        input="\n".join(script),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,  # what it said is shown below
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "the profile: name=" in run.stdout
    assert re.search(r"^ *\d+ %  \w+.* skills: \d+  jobs: \d+$", run.stdout, re.MULTILINE)
    assert "a job: company=" in run.stdout
    assert "in the end: name=" in run.stdout
    assert re.search(r"^resume → complete [2-9]", run.stdout, re.MULTILINE)
    assert re.search(r"^fail → truncated 1 attempts, saved: Partial", run.stdout, re.MULTILINE)
