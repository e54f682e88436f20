"""What of a broken text can stand: closed values, and of an open string every whole character."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from structstream.residual import salvage

TABLE = [
    # text, prefix where strings grow, what is there of the open string
    ("", None, None),
    ("  ", None, None),
    ("12", None, None),
    ('{"a": 1}', None, None),
    ("{", "{", None),
    ('{"na', "{", None),
    ('{"name"', "{", None),
    ('{"name": ', "{", None),
    ('{"name": "A', '{"name": "A', "A"),
    ('{"name": "', '{"name": "', ""),
    ('{"name": "a\\', '{"name": "a', "a"),
    ('{"name": "a\\u12', '{"name": "a', "a"),
    ('{"name": "a\\n', '{"name": "a\\n', "a\n"),
    ('{"name": "\\ud83d', '{"name": "', ""),
    ('{"name": "\\ud83d\\ude0', '{"name": "', ""),
    ('{"name": "\\ud83d\\ude00', '{"name": "\\ud83d\\ude00', "😀"),
    ('{"name": "Ada", "age": 3', '{"name": "Ada"', None),
    ('{"name": "Ada", "age": 36,', '{"name": "Ada", "age": 36', None),
    ('{"name": "Ada", "ok": tr', '{"name": "Ada"', None),
    ("[1, 2, 3", "[1, 2", None),
    ("[[1], [2, ", "[[1], [2", None),
    ('[{"a": 1}, {"b"', '[{"a": 1}, {', None),
    ('{"a": 1 "b": 2}', '{"a": 1', None),
]


@pytest.mark.parametrize(("text", "prefix", "open_text"), TABLE)
def test_a_text_keeps_what_closed_and_the_open_string(text: str, prefix: str | None, open_text: str | None) -> None:
    found = salvage(text, grows=True)
    assert (found.prefix if found else None, found.text if found else None) == (prefix, open_text)


def test_a_string_that_is_not_shown_while_it_grows_starts_over() -> None:
    found = salvage('{"name": "Ada", "born": "1815-1', grows=False)
    assert found is not None
    assert (found.prefix, found.text, found.path) == ('{"name": "Ada"', None, [])


def test_the_open_places_are_told_with_what_stands_in_them() -> None:
    found = salvage('{"kind": "cat", "toys": [{"n": 1}, {"n": 2, "of": "wo', grows=True)
    assert found is not None
    root, toys, toy = found.levels
    assert (root.keys, root.key, root.scalars) == (["kind"], "toys", {"kind": "cat"})
    assert (toys.kind, toys.count) == ("array", 1)
    assert (toy.keys, toy.key) == (["n"], "of")
    assert found.path == ["toys", 1, "of"]
    assert [found.is_open(depth) for depth in range(3)] == [True, True, True]


def test_what_is_cut_starts_over_in_the_place_around_it() -> None:
    found = salvage('{"a": 1, "b": [2, 3', grows=True)
    assert found is not None
    outer = found.cut(1)
    assert (outer.prefix, len(outer.levels), outer.path) == ('{"a": 1', 1, [])
    assert not outer.is_open(0)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(st.sampled_from('a"\\é😀\n'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", 'b"', "é"]), inner, max_size=3),
    max_leaves=8,
)


@given(DOCUMENTS, st.booleans())
def test_what_stands_is_a_prefix_that_can_be_closed(document: object, ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    for at in range(len(text)):
        found = salvage(text[:at], grows=True)
        if found is not None:
            assert text.startswith(found.prefix)
            closers = "".join("}" if level.kind == "object" else "]" for level in reversed(found.levels))
            json.loads(found.prefix + ('"' if found.text is not None else "") + closers)
