"""The short form of ``scripts/fuzz``, and whether it would find something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from scripts.fuzzing import __main__ as fuzz
from scripts.fuzzing.campaign import Campaign, shrunk
from scripts.fuzzing.targets import TARGETS, Ending, Target

COUNTS = {"sse": 800, "json": 1500, "lenient": 800, "stream": 500}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_broken_input_gives_a_value_or_an_error_of_the_closed_list(target: Target) -> None:
    campaign = Campaign([target], COUNTS[target.name])
    crash = campaign.run()
    assert crash is None, fuzz.report(crash, [target.name])
    endings = campaign.endings[target.name]
    assert endings.total() == COUNTS[target.name]
    assert len(endings) > 1, "some are taken and some refused"


def broken(read: Callable[[Sequence[bytes], int], Ending]) -> Target:
    return replace(TARGETS[0], name="broken", read=read)


def raises(pieces: Sequence[bytes], variant: int) -> Ending:
    if b"data" in b"".join(pieces):
        raise KeyError("data")
    return Ending("value")


def counts_pieces(pieces: Sequence[bytes], variant: int) -> Ending:
    return Ending("value", str(len(pieces)))


def unlisted(pieces: Sequence[bytes], variant: int) -> Ending:
    return Ending("RuntimeError")


@pytest.mark.parametrize(
    ("read", "error", "minimal"),
    [(raises, "KeyError", b"data"), (counts_pieces, "Disagreement", None), (unlisted, "Disagreement", b"")],
)
def test_a_crash_is_found_made_small_and_told_with_its_seed(
    read: Callable[[Sequence[bytes], int], Ending],
    error: str,
    minimal: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(fuzz, "TARGETS", [broken(read)])
    assert fuzz.main(["--count", "50", "--seed", "7"]) == 1
    told = capsys.readouterr().out
    assert "CRASH in broken" in told
    assert error in told
    assert "again: scripts/fuzz --seed 7 --only " in told
    if minimal is not None:
        assert f"minimal input: {minimal!r}" in told


def test_the_same_seed_gives_the_same_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--target", "sse", "--count", "40", "--seed", "3"]) == 0
    first = capsys.readouterr().out.splitlines()[1]
    assert fuzz.main(["--target", "sse", "--count", "40", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == first


def test_it_stops_in_time() -> None:
    campaign = Campaign(TARGETS, 10**9, seconds=0)
    assert campaign.run() is None
    assert sum(endings.total() for endings in campaign.endings.values()) == 1


def test_what_cannot_be_made_smaller_stays() -> None:
    assert shrunk(b"abc", lambda data: data == b"abc") == b"abc"
