"""Many streams at once against a provider that fails at random: the short form of ``scripts/chaos``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.mayhem.provider import faults

ROOT = Path(__file__).parent.parent


def test_a_fifth_of_the_requests_fail_the_same_ones_for_the_same_seed() -> None:
    drawn = faults(7, 0.2)
    assert drawn == faults(7, 0.2) != faults(8, 0.2)
    assert 0.18 < sum(fault is not None for fault in drawn) / len(drawn) < 0.22


def test_every_stream_ends_and_nothing_is_left_behind() -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "scripts.mayhem",
        "--count",
        "150",
        "--at-once",
        "75",
        "--share",
        "0.4",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=110)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert "150 streams" in run.stdout
    assert "complete" in run.stdout
