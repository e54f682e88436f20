"""Text that grows is what was appended; a path is read back as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from structstream.text import TextBuffer, parse_path, render_path


@given(st.lists(st.text(max_size=5), max_size=40), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 220))))
def test_a_slice_is_that_of_the_joined_text(pieces: list[str], looks: list[tuple[int, int]]) -> None:
    buffer = TextBuffer()
    whole = ""
    for number, piece in enumerate(pieces):
        buffer.append(piece)
        whole += piece
        assert buffer.length == len(whole)
        for after, start in looks:
            if after == number:
                assert buffer.slice(start, start + after) == whole[start : start + after]
    assert buffer.text() == whole


def test_many_pieces_are_joined_few_times() -> None:
    buffer = TextBuffer()
    for _ in range(5000):
        buffer.append("abcd")
        assert buffer.slice(buffer.length - 2, buffer.length) == "cd"
        assert len(buffer._blocks) <= 16
    assert buffer.text() == "abcd" * 5000


_ITEMS = st.lists(st.integers(0, 99) | st.text(max_size=6))


@given(_ITEMS)
def test_a_path_is_read_as_it_was_written(path: list[str | int]) -> None:
    assert parse_path(render_path(path)) == path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], ""),
        ([""], '[""]'),
        (["a", "b"], "a.b"),
        ([0, "a"], "[0].a"),
        (["a", 0, 1], "a[0][1]"),
        (["é"], "é"),
        (["a b", 'q"\\'], '["a b"]["q\\"\\\\"]'),
        ([2.5], '["2.5"]'),
        ([True], "[True]"),
    ],
)
def test_a_path_is_written(path: list[object], text: str) -> None:
    assert render_path(path) == text


@pytest.mark.parametrize(
    "path", [".", ".a", "a.", "a..b", "a[", "a[]", "a[x]", "a[-1]", '["a', "a.[0]", "a b", "[0]a", "*"]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse_path(path)
