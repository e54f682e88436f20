"""The command line's own behaviour: help, version, exit codes, one sentence instead of a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from structstream.cli import COMMANDS, main


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert (COMMANDS[name].__doc__ or "").splitlines()[0] in " ".join(capsys.readouterr().out.split())


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("structstream ")


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "command" in capsys.readouterr().err


def test_our_errors_are_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["demo", "--model", "openai/gpt-4o"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("structstream: no key for provider 'openai': set OPENAI_API_KEY")
    assert error.count("\n") == 1


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["simulate"], "run", interrupted)
    assert main(["simulate"]) == 130


def test_a_reader_that_leaves_is_no_traceback() -> None:
    command = [sys.executable, "-m", "structstream", "demo", "--speed", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize("arguments", [["models"], ["demo", "--speed", "0"]], ids=" ".join)
def test_an_output_that_takes_nothing_is_one_sentence(arguments: list[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the machine has no device that is always full")
    with full.open("w") as output:
        command = [sys.executable, "-m", "structstream", *arguments]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "structstream: the output cannot be written: No space left on device\n"


def test_a_closed_output_is_nobody_s_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["demo", "--speed", "0"]) == 0


def test_the_help_loads_no_vendor() -> None:
    code = "import sys, structstream.cli as cli; cli._parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"openai", "aiohttp", "rich", "h11"} & set(done.stdout.split())
