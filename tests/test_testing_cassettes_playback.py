"""The ways to play a recording: functions from one to another."""

from __future__ import annotations

from itertools import pairwise

import pytest

from structstream.errors import ConfigurationError
from structstream.sse import SSEDecoder
from structstream.testing.cassettes.playback import (
    PLAYS,
    Playback,
    at_once,
    byte_by_byte,
    cut_at_byte,
    every_cut,
    exact,
    parse_play,
    recut,
    stall_at_event,
    timed,
)
from structstream.testing.cassettes.recording import Chunk, Recording

BODY = [b": hello\n\ndata: 1\n\nda", b"ta: 2\r\n\r\ndata", b": 3\n\n"]
RECORDED = Recording(
    chunks=tuple(Chunk(1.0 + at, data) for at, data in enumerate(BODY)), head_at=0.5, ending="end", ended_at=4.0
)


def sizes(recording: Recording) -> list[int]:
    return [len(chunk.data) for chunk in recording.chunks]


def test_exact_keeps_the_reads_and_waits_for_none() -> None:
    played = exact(RECORDED)
    assert [chunk.data for chunk in played.chunks] == BODY
    assert {chunk.at for chunk in played.chunks} == {0.0}
    assert played.head_at == 0
    assert played.silence == RECORDED.silence


@pytest.mark.parametrize("speed", [1, 2, 0.5])
def test_timed_keeps_the_reads_and_divides_the_gaps(speed: float) -> None:
    played = timed(speed)(RECORDED)
    assert [chunk.data for chunk in played.chunks] == BODY
    gaps = [later.at - earlier.at for earlier, later in pairwise(played.chunks)]
    assert gaps == [1 / speed, 1 / speed]
    assert (played.head_at, played.ended_at) == (0.5 / speed, 4.0 / speed)


def test_the_fixed_cuts() -> None:
    total = len(RECORDED.body)
    assert sizes(at_once(RECORDED)) == [total]
    assert sizes(byte_by_byte(RECORDED)) == [1] * total
    assert at_once(Recording(chunks=())).chunks == ()


def test_a_drawn_cut_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert recut(1)(RECORDED) == recut(1)(RECORDED)
    assert len({tuple(sizes(recut(seed)(RECORDED))) for seed in range(5)}) > 1


@pytest.mark.parametrize("play", every_cut(), ids=repr)
def test_every_cut_keeps_the_body_and_the_end(play: Playback) -> None:
    played = play(RECORDED)
    assert played.body == RECORDED.body
    assert played.ending == "end"


@pytest.mark.parametrize(("n", "kept"), [(0, []), (1, [1]), (len(BODY[0]), [20]), (21, [20, 1]), (999, [20, 13, 5])])
def test_a_cut_at_a_byte_ends_there_with_a_reset(n: int, kept: list[int]) -> None:
    played = cut_at_byte(n)(RECORDED)
    assert sizes(played) == kept
    assert played.ending == "reset"
    assert f"byte {n}" in played.error


@pytest.mark.parametrize("n", range(5))
def test_a_stall_comes_after_the_nth_event(n: int) -> None:
    played = stall_at_event(n)(RECORDED)
    assert played.ending == "stall"
    assert len(SSEDecoder().feed(played.body)) == min(n, 3)
    assert len(SSEDecoder().feed(played.body[:-2])) < min(n, 3) or n in (0, 4)


@pytest.mark.parametrize(
    ("text", "named"),
    [("exact", "exact"), ("timed", "timed(1)"), ("timed(2.5)", "timed(2.5)"), (" recut(3) ", "recut(3)"),
     ("cut_at_byte(10)", "cut_at_byte(10)"), ("stall_at_event(2)", "stall_at_event(2)"), ("at_once", "at_once"),
     ("byte_by_byte", "byte_by_byte")],
)  # fmt: skip
def test_a_way_is_written_as_it_is_called(text: str, named: str) -> None:
    assert repr(parse_play(text)) == named


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("backwards", "there are exact"),
        ("exact; exact", "is no way to play"),
        ("recut", "does not take that"),
        ("exact(1)", "does not take that"),
        ("timed(1.2.3)", "does not take that"),
        ("timed(0)", "speed must be above 0"),
        ("cut_at_byte(-1)", "n must be an integer of at least 0"),
        ("stall_at_event(1.5)", "n must be an integer of at least 0"),
    ],
)
def test_a_way_that_is_none_says_what_there_is(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_play(text)
    assert says in str(caught.value)


def test_every_way_has_its_name() -> None:
    assert set(PLAYS) == {repr(parse_play(name)).partition("(")[0] for name in ("exact", "at_once", "byte_by_byte")} | {
        "timed", "recut", "cut_at_byte", "stall_at_event"
    }  # fmt: skip
