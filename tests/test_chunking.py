"""The cuts that the other tests stand on."""

from __future__ import annotations

from hypothesis import given, strategies as st

from tests.chunking import cut_at, every_cut


@given(st.text(max_size=60), st.integers(0, 60))
def test_the_pieces_of_every_cut_are_the_data(text: str, limit: int) -> None:
    for pieces in every_cut(text, limit=limit):
        assert "".join(pieces) == text
    for chunks in every_cut(text.encode(), limit=limit):
        assert b"".join(chunks) == text.encode()


@given(st.binary(min_size=1, max_size=40))
def test_small_data_is_cut_at_every_place(data: bytes) -> None:
    seen = [tuple(pieces) for pieces in every_cut(data)]
    assert tuple(data[i : i + 1] for i in range(len(data))) in seen
    for place in range(1, len(data)):
        assert (data[:place], data[place:]) in seen
    assert any(b"" in pieces for pieces in seen)


def test_large_data_is_cut_at_random_places_near_and_far() -> None:
    counts = sorted(len(pieces) for pieces in every_cut(b"x" * 5000))
    assert counts[0] == 1
    assert len(counts) < 20
    assert any(2 < count < 10 for count in counts)
    assert any(1000 < count < 5000 for count in counts)


def test_cuts_repeat_and_another_seed_gives_others() -> None:
    data = "".join(map(str, range(500)))
    assert list(every_cut(data)) == list(every_cut(data))
    assert list(every_cut(data)) != list(every_cut(data, seed=1))


def test_no_data_is_no_piece_or_an_empty_one() -> None:
    assert list(every_cut("")) == [[""], []]


def test_a_text_is_cut_at_the_places_given() -> None:
    assert cut_at("abcdef", [1, 5]) == ["a", "bcde", "f"]
    assert cut_at(b"abc", []) == [b"abc"]
