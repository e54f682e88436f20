"""``structstream demo --simulate-failures``: each failure ends in the outcome that it must."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from structstream.cli import failures, main
from structstream.cli.failures import FAILURES


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRUCTSTREAM_SIMULATED_BASE_URL", raising=False)


def test_each_failure_ends_as_it_must(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "0", "--simulate-failures"]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^    outcome  (\w+)$", out, re.MULTILINE) == [failure.outcome for failure in FAILURES]
    assert out.count("    saved    ") == len(FAILURES)


def test_a_real_model_cannot_be_told_to_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--simulate-failures", "--model", "openai/gpt-4o"]) == 2
    assert "simulated model only" in capsys.readouterr().err


def test_an_outcome_that_is_not_the_right_one_is_said_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(failures, "FAILURES", [replace(FAILURES[0], outcome="truncated")])
    assert main(["demo", "--speed", "0", "--simulate-failures"]) == 1
    assert "outcome  complete, but it should be truncated" in capsys.readouterr().out
