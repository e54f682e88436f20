"""How a body came: written beside it, read again, and kept in step with what a filter makes of it."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.testing.cassettes.errors import CassetteError
from structstream.testing.cassettes.recording import Chunk, Recording, recut_like

RECORDED = Recording(
    chunks=(Chunk(0.1, b"data: 1\n"), Chunk(0.25, b"\n")),
    head_at=0.05,
    ending="reset",
    ended_at=0.5,
    error="the connection broke: by a test",
    provider="openai",
)

TIMES = st.floats(0, 10_000).map(lambda seconds: round(seconds, 4))
RECORDINGS = st.builds(
    Recording,
    chunks=st.lists(st.builds(Chunk, TIMES, st.binary(min_size=1, max_size=20)), max_size=8).map(tuple),
    head_at=TIMES,
    ending=st.sampled_from(["end", "cancelled"]),
    ended_at=TIMES,
)


@given(RECORDINGS)
def test_what_is_written_is_read(recording: Recording) -> None:
    assert Recording.read(recording.key(), recording.body, "here") == recording


def test_a_reset_keeps_what_was_said_of_it() -> None:
    assert Recording.read(RECORDED.key(), RECORDED.body, "here") == RECORDED


def test_without_a_key_the_body_comes_whole_and_ends_well() -> None:
    assert Recording.read(None, b"ab", "here") == Recording(chunks=(Chunk(0.0, b"ab"),))
    assert Recording.read(None, b"", "here").chunks == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "written in format 2, and this version reads 1: upgrade structstream"),
        ({"format": None}, "written in format None"),
        ({"chunks": "8@0.1"}, "chunks and body do not fit (8 and 9 bytes)"),
        ({"chunks": "8@0.1 1"}, "do not fit"),
        ({"chunks": "eight"}, "do not fit"),
        ({"chunks": "9@0.1 0@0.2"}, "do not fit"),
        ({"chunks": None}, "do not fit (0 and 9 bytes)"),
        ({"ended": "stall"}, "ended is 'stall', not one of end, reset, cancelled"),
        ({"head": None}, "do not fit"),
    ],
)
def test_a_key_that_does_not_fit_says_what_to_do(change: dict[str, Any], says: str) -> None:
    with pytest.raises(CassetteError) as caught:
        Recording.read({**RECORDED.key(), **change}, RECORDED.body, "cassette x.yaml, interaction 3")
    assert says in str(caught.value)
    assert str(caught.value).startswith("cassette x.yaml, interaction 3: ")
    assert "record it again" in str(caught.value)


@pytest.mark.parametrize("key", [{}, [], "format: 1", {"chunks": "9@0"}])
def test_a_key_of_somebody_elses_is_refused(key: object) -> None:
    with pytest.raises(CassetteError, match="not one of this library's"):
        Recording.read(key, b"", "here")


@given(RECORDINGS, st.lists(st.integers(1, 9)))
def test_a_cut_changes_neither_body_nor_end_nor_silence(recording: Recording, sizes: list[int]) -> None:
    cut = recording.cut(sizes)
    assert cut.body == recording.body
    assert all(chunk.data for chunk in cut.chunks)
    assert cut.ending == recording.ending
    assert cut.silence == pytest.approx(recording.silence)
    whole = [size for size, end in zip(sizes, accumulate(sizes), strict=True) if end <= len(recording.body)]
    assert [len(chunk.data) for chunk in cut.chunks][: len(whole)] == whole


@given(RECORDINGS, st.binary(max_size=40))
def test_a_changed_body_is_kept_whole(recording: Recording, body: bytes) -> None:
    changed = recut_like(recording, body)
    assert changed.body == (body if recording.chunks else b"")
    assert len(changed.chunks) <= len(recording.chunks)


def test_the_cuts_around_a_change_stay_where_they_were() -> None:
    recording = Recording(chunks=tuple(Chunk(at, data) for at, data in enumerate([b"head ", b"sec", b"ret ta", b"il"])))
    pieces = [chunk.data for chunk in recut_like(recording, b"head *** tail").chunks]
    assert pieces == [b"head ", b"***", b" ta", b"il"]


@given(RECORDINGS)
def test_an_unchanged_body_keeps_its_cuts(recording: Recording) -> None:
    assert recut_like(recording, recording.body) == recording
