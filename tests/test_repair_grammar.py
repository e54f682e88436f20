"""The lenient words, numbers and quotes."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from structstream.jsongrammar import match_number
from structstream.repair.grammar import ENCODED, MAX_GAP, QUOTES, end_of_word, find_long_gap, kind_of, literal

DIGITS = st.from_regex(re.compile(r"[0-9]{0,6}"), fullmatch=True)


@given(st.from_regex(re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII), fullmatch=True))
def test_a_number_of_json_stays_as_it_is_written(word: str) -> None:
    assert literal(word) == word


@given(sign=st.sampled_from(["", "+", "-"]), whole=DIGITS, fraction=DIGITS, exponent=st.sampled_from(["", "e2", "E-3"]))
def test_a_number_keeps_its_value(sign: str, whole: str, fraction: str, exponent: str) -> None:
    got = literal(f"{sign}{whole}.{fraction}{exponent}")
    if not whole and not fraction:
        assert got is None
        return
    assert got is not None
    assert match_number(got)
    assert Fraction(got) == Fraction(f"{sign}{whole or '0'}.{fraction or '0'}{exponent}")


@given(st.integers(0, 16**256 - 1))
def test_hexadecimal_turns_decimal(value: int) -> None:
    assert literal(f"-0x{value:X}") == f"-{value}"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "+",
        "-",
        ".",
        "e5",
        "1e",
        "1.2.3",
        "0x",
        "0xg",
        "1_0",
        "1-2",
        "--1",
        "٣",
        "yes",
        "nil",
        "-true",
        "inf.",
        "0b1",
    ],
)
def test_anything_else_is_no_value(word: str) -> None:
    assert literal(word) is None


@given(st.characters())
def test_a_word_begins_with_each_character_that_is_said_to_begin_one(char: str) -> None:
    assert (kind_of(char) == "word") == (end_of_word(char, 0) == 1)
    assert (kind_of(char) in ("space", "odd space")) == (char.isspace() or char in "\ufeff\u200b\u2060")


def test_what_does_not_pass_as_it_is_has_an_encoding() -> None:
    for quote in QUOTES.values():
        for char in (*map(chr, range(0x100)), "\u2028", "\u201c", "😀"):
            match = quote.match_run(char, 0)
            assert match is not None
            assert match.end() == 1 or char == quote.close or char in ENCODED
    assert all(json.loads(f'"{encoded}"') == char for char, encoded in ENCODED.items())


def test_a_long_gap_is_found_wherever_it_begins() -> None:
    assert find_long_gap("[ " + " " * MAX_GAP + "]")
    assert not find_long_gap(("[" + " " * MAX_GAP + "]") * 3)
