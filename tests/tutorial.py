"""The tutorial, followed as it is typed; `python -m tests.tutorial BIN` takes what is installed in a `bin` folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["COMMANDS", "FILES", "complaints", "follow"]

PAGE = (Path(__file__).parent.parent / "docs" / "tutorial.md").read_text("utf-8")

FILES: dict[str, str] = dict(
    re.findall(r"Save this as `([\w.]+)`:\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
)
"""What is saved, by its name."""

COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("$ ")
]
"""What is typed, in order."""

# What installs is done by whoever follows: scripts/package with what it built, the suite with its own environment.
_INSTALLS = ("python3 -m venv", ". .venv", "pip install")

_SHOWN = (
    r"the profile: name=",
    r"^ *\d+ %  \w+.* skills: \d+  jobs: \d+$",
    r"a job: company=",
    r"in the end: name=",
    r"^resume → complete [2-9]",
    r"^fail → truncated 1 attempts, saved: Partial",
    r"^anthropic ",
)


def follow(folder: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """Save and type everything in `folder`, which is empty, with the programs of the folder `programs`."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    script = ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for line in COMMANDS:
        if line.startswith(_INSTALLS):
            continue
        script.append(line)
        if line.endswith("&"):  # a reader is slower than a server that starts
            port = re.search(r"--port (\d+)", line)
            assert port is not None
            connect = f'import socket; socket.create_connection(("127.0.0.1", {port[1]}))'
            script.append(f"until python -c '{connect}' 2>/dev/null; do :; done")
    return subprocess.run(
        ["bash", "-eu"],
        input="\n".join(script),
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": ""},
        capture_output=True,
        check=False,  # what it said is shown below
        text=True,
        timeout=60,
    )


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what of the promised was not seen."""
    missing = [shown for shown in _SHOWN if not re.search(shown, run.stdout, re.MULTILINE)]
    return missing + ([f"status {run.returncode}", run.stderr] if run.returncode else [])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit("\n".join(complaints(follow(Path(folder), Path(sys.argv[1]).absolute()))) or None)
