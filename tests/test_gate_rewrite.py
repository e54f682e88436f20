"""JSON passes through as it is, whatever it is and however it is cut; what is none passes up to its fault."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from structstream.errors import JSONSyntaxError
from structstream.gate.rewrite import JSONRewriter, encode
from structstream.jsonstream import JSONStream
from structstream.text import render_path
from tests.chunking import cut_at, every_cut


class Copy(JSONRewriter):
    """Emits every piece of a string as it comes, and notes what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def more_string(self, text: str) -> None:
        self.emit(encode(text)[1:-1])

    def begin_string(self) -> None:
        self.seen.append(("string", render_path(self.place)))

    def string(self, text: str, raw: str) -> None:
        self.seen.append(("string", render_path(self.place)))
        super().string(text, raw)

    def key(self, name: str) -> None:
        self.seen.append(("key", name))
        super().key(name)

    def scalar(self, raw: str) -> None:
        self.seen.append((raw, render_path(self.place)))
        super().scalar(raw)

    def spares(self, raw: str) -> bool:
        return False


def copied(pieces: list[str]) -> tuple[str, Copy]:
    copy = Copy()
    out = []
    for piece in pieces:
        copy.feed(piece)
        out.append(copy.take())
    copy.finish()
    return "".join([*out, copy.take()]), copy


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_json_passes_with_the_same_meaning_at_any_cut(
    value: object, indent: int | None, escaped: bool, data: st.DataObject
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    out, seen = copied(cut_at(text, data.draw(st.lists(st.integers(0, len(text))))))
    assert json.loads(out) == value
    whole, at_once = copied([text])
    assert (out, seen.seen) == (whole, at_once.seen)
    if not escaped:
        assert out == text


def test_each_place_is_told_with_its_path() -> None:
    text = '{"a": [1, "x", {"b": null}], "c": {"d": "y", "e": [[true]]}}'
    for pieces in every_cut(text):
        _, seen = copied(pieces)
        assert seen.seen == [
            ("key", "a"),
            ("1", "a[0]"),
            ("string", "a[1]"),
            ("key", "b"),
            ("null", "a[2].b"),
            ("key", "c"),
            ("key", "d"),
            ("string", "c.d"),
            ("key", "e"),
            ("true", "c.e[0][0]"),
        ]


class Ignore:
    """A sink that takes everything."""

    def open_object(self, at: int) -> None: ...
    def open_array(self, at: int) -> None: ...
    def key(self, name: str) -> None: ...
    def close(self, end: int) -> None: ...
    def scalar(self, raw: str, end: int) -> None: ...
    def open_string(self, at: int) -> bool:
        return False

    def piece(self, text: str) -> None: ...
    def close_string(self, end: int) -> None: ...
    def string(self, text: str, at: int) -> None: ...
    def container(self, raw: str, at: int) -> bool:
        return False


def fault(text: str) -> JSONSyntaxError | None:
    stream = JSONStream(Ignore())
    try:
        stream.feed(text)
        stream.finish()
    except JSONSyntaxError as error:
        return error
    return None


@pytest.mark.parametrize(
    "text",
    [
        *("hello", '{"a": tru}', "[1 2]", "4111 1111 1111", '{"a": 12"b"}', "[nul, 1]", "[1,, 2]", "{]", '{"a" "b"}'),
        *(
            '["a\tb"]',
            '["a\\qb"]',
            '["a\\u12x4"]',
            '{"a\tb": 1}',
            "[-]",
            "[1.2.3]",
            "[+1]",
            "{} {}",
            '{"a": 1} x',
            "'a'",
        ),
        *("[\ufeff1]", "[Infinit]"),
    ],
)
def test_text_that_is_no_json_is_copied_up_to_its_fault(text: str) -> None:
    expected = fault(text)
    assert expected is not None
    for pieces in every_cut(text):
        out, _ = copied(pieces)
        found = fault(out)
        assert found is not None
        assert (found.expected, found.found, found.path) == (expected.expected, expected.found, expected.path)
        assert len(out) <= max(expected.offset + 1, len(text))


@pytest.mark.parametrize("text", ['{"a": "b', '{"a', '{"a": 12', '["\\u00', "[1, 2", "", "12", '"x"', " true "])
def test_what_the_end_cuts_off_stays_cut_off(text: str) -> None:
    out, _ = copied(list(text))
    assert (fault(out) is None) == (fault(text) is None)
    assert text.startswith(out.rstrip('"')) or text.strip() == out.strip()
