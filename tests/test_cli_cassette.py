"""``structstream cassette``: what each action says and which exit code it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.recording.matrix import FOLDER
from structstream.cli import main
from structstream.testing.cassettes import read_interactions

NATIVE = FOLDER / "openai_chat" / "native"
ASK = ["--model", "simulated/gpt-4o", "--prompt", "A city", "--schema", "scripts.recording.matrix:City"]
KEY = "sk-planted-0123456789abcdefghij"


def run(*arguments: object) -> int:
    return main(["cassette", *map(str, arguments)])


def test_what_is_recorded_is_played_the_next_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "city.yaml"
    assert run("record", path, *ASK) == 0
    first = capsys.readouterr().out
    assert first.endswith(f"{path}: recorded\n")
    assert run("record", path, *ASK) == 0
    assert capsys.readouterr().out == first.replace(": recorded", ": played")
    assert run("record", path, *ASK, "--record-mode", "all") == 0
    assert len(read_interactions(path)) == 1


def test_what_may_not_be_recorded_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "city.yaml"
    run("record", path, *ASK)
    assert run("record", path, *ASK, "--temperature", "1", "--record-mode", "once") == 1
    assert "the nearest differs in body" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "code"), [("complete", 0), ("truncated", 1)])
@pytest.mark.parametrize("play", ["exact", "timed(5)", "recut(2)"])
def test_a_replay_shows_the_values_as_they_close(
    name: str, code: int, play: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("replay", NATIVE / f"{name}.yaml", "--play", play) == code
    out = capsys.readouterr().out
    assert '%  name = "Zürich"' in out
    assert f"   {name}: " in out


def test_an_inspection_is_a_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", NATIVE / "reset.yaml") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0: POST http://127.0.0.1:8788/v1/chat/completions  (openai/gpt-4o)"
    assert any("read 302 bytes, 1 event" in line for line in lines)
    assert "reset: the connection broke" in lines[-2]


def test_lint_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lint", NATIVE) == 0
    assert capsys.readouterr().out == "all is well\n"
    (tmp_path / "a.sse").write_text(f"data: {KEY}\n\n")
    assert run("lint", tmp_path, NATIVE) == 1
    out = capsys.readouterr().out
    assert "a secret stands in response.body.string" in out
    assert out.endswith("1 problems\n")
    assert KEY not in out


def test_secrets_are_named_by_their_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.sse").write_text("data: swordfish\n\n")
    assert run("lint", tmp_path) == 0
    monkeypatch.setenv("MY_WORD", "swordfish")
    assert run("lint", tmp_path, "--secret-env", "MY_WORD") == 1
    capsys.readouterr()
    assert run("lint", tmp_path, "--secret-env", "MY_OTHER_WORD") == 2
    assert capsys.readouterr().err == "structstream: --secret-env MY_OTHER_WORD: no such variable is set\n"


def test_a_cassette_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "a.sse"
    assert run("convert", NATIVE / "complete.yaml", target) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert target.read_bytes() == read_interactions(NATIVE / "complete.yaml")[0].recording.body
    assert run("convert", target, tmp_path / "b.yaml", "--to", "vcrpy") == 0
    assert run("replay", tmp_path / "b.yaml", "--play", "exact") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", NATIVE / "complete.yaml", "--play", "backwards"], "is no way to play a cassette"),
        (["inspect", "no/such.yaml"], "there is no cassette no/such.yaml"),
        (["inspect", FOLDER / "README.md"], "is torn, or no cassette"),
        (["lint", "no/such.yaml"], "there is no cassette"),
        (["lint", FOLDER / "openai_chat" / "native" / "..", "tests/typing"], "there is no cassette in tests/typing"),
        (["inspect", "tests"], "cannot be read: Is a directory"),
        (["record", "new.sse", *ASK], "a .sse file only plays: record to a .yaml"),
        (["record", "new.yaml", "--model", "simulated/gpt-4o", "--prompt", " "], "prompt must be text that says"),
        (["convert", NATIVE / "complete.yaml", "tests", "--to", "vcrpy"], "cannot be written: Is a directory"),
        (["convert", NATIVE / "complete.yaml", "new.yaml", "--secret-env", "NO_SUCH"], "no such variable is set"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    arguments: list[object], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("action", ["inspect", "replay", "convert"])
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "interactions: []\nversion: 1\n", "holds no interaction"),
        ("a.json", '{"interactions": [], "version": 1}', "holds no interaction"),
        ("a.json", "[" * 100_000, "is torn, or no cassette (RecursionError)"),
        ("a.yaml", "{a: " * 100_000, "is torn, or no cassette"),
        ("a.yaml", "interactions: [1, null]\nversion: 1\n", "is none of vcrpy's (TypeError)"),
        ("a.yaml", "interactions: \0", "is torn, or no cassette"),
    ],
)
def test_a_file_that_is_odd_is_one_sentence(
    tmp_path: Path, action: str, name: str, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert run(action, path, *([tmp_path / "b.sse"] if action == "convert" else [])) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == [name]
