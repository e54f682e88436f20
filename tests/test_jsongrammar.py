"""The patterns take what RFC 8259 says, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from structstream import jsongrammar as grammar
from structstream.jsonstream import JSONStream
from tests.jsonevents import EventLog

_NUMBERS = ["0", "-0", "1", "-12", "1.5", "0.10", "1e3", "1E+3", "2.5e-07", "10", "123456789012345678901234567890"]
_NO_NUMBERS = ["", "-", "+1", "01", "-01", ".5", "1.", "1.e3", "1e", "1e+", "0x1", "1_0", "--1", "1.2.3", "e3", "½"]


@pytest.mark.parametrize("raw", _NUMBERS)
def test_a_number_is_taken_and_each_start_of_it_may_become_one(raw: str) -> None:
    assert grammar.match_number(raw)
    assert all(grammar.good_number(raw[:end]) == end for end in range(len(raw) + 1))


@pytest.mark.parametrize("raw", _NO_NUMBERS)
def test_what_is_no_number_is_not_taken(raw: str) -> None:
    assert grammar.match_number(raw) is None


@pytest.mark.parametrize(("raw", "good"), [("01", 1), ("1.e", 2), ("1e+-", 3), ("-+", 1), ("1.5.", 3), ("1-", 1)])
def test_where_a_number_went_wrong(raw: str, good: int) -> None:
    assert grammar.good_number(raw) == good


@given(st.text(max_size=6), st.booleans())
def test_an_escape_stands_for_what_json_says(text: str, ascii_only: bool) -> None:
    written = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    read, at = "", 0
    while at < len(written):
        escape = grammar.match_escape(written, at)
        read += grammar.unescape(escape[0]) if escape else written[at]
        at = escape.end() if escape else at + 1
    assert read == text


@pytest.mark.parametrize("escape", [r"\n", r"\/", r"\u00e9", r"\ud83d\ude00", r"\uD83D\uDE00"])
def test_each_start_of_an_escape_waits_for_its_end(escape: str) -> None:
    assert grammar.match_escape(escape)
    for end in range(1, len(escape)):
        assert grammar.match_cut_escape(escape[:end])
        assert grammar.match_escape(escape[:end]) is None


@pytest.mark.parametrize("text", [r"\x", r"\u12g", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\u0041", r"\'"])
def test_what_is_no_escape_does_not_wait(text: str) -> None:
    assert grammar.match_escape(text) is None
    assert grammar.match_cut_escape(text) is None


@given(st.text(st.sampled_from('ab"\\\n\x00é\x7f\u2028 '), max_size=90), st.integers(0, 3))
def test_a_run_ends_at_the_first_character_that_is_not_plain(text: str, start: int) -> None:
    stop = next((i for i, c in enumerate(text) if i >= start and (c in '"\\' or c < " ")), max(len(text), start))
    assert grammar.end_of_run(text, min(start, len(text))) == min(stop, len(text))


_WHOLE = [
    "{}",
    "[]",
    '{"a":1}',
    '[1, "x", true,null]',
    '{"a" : {"b": [ ]}}',
    "[[[]]]",
    '["\\ud83d\\ude00"]',
    "[ -1.5e3 ]",
]
_NOT_WHOLE = ["[[[[]]]]", "{", "[1", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", '["\n"]', "[01]"]


@pytest.mark.parametrize("text", _WHOLE)
def test_a_whole_container_is_found_with_what_follows(text: str) -> None:
    assert grammar.whole_container(f"{text} , 1", 0) == text
    assert grammar.whole_container(f"[] {text}]", 3) == text


@pytest.mark.parametrize(
    "text", [*_NOT_WHOLE, '["\\ud83d"]', "[NaN]", "[1]"[:-1], '{"a":1,"a":1}', '["\ud83d"]', "[1}", '["\\x"]']
)
def test_what_is_broken_or_too_deep_is_no_whole_container(text: str) -> None:
    assert grammar.whole_container(text, 0) == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3), st.lists
    )
)
def test_a_container_that_is_found_is_json(value: object) -> None:
    text = json.dumps([value])
    found = grammar.whole_container(text, 0)
    assert found == "" or json.loads(found) == [value]


@given(st.text(st.sampled_from('{}[]",:\\ \n1a-.0etrufalsn'), max_size=14))
def test_what_is_found_is_json_to_the_letter_and_all_of_it(text: str) -> None:
    found = grammar.whole_container(f"[{text}", 0)
    if found:
        stream = JSONStream(EventLog())
        for char in found:  # one at a time: no container is stepped over
            stream.feed(char)
        assert stream.done


def test_no_pattern_backtracks() -> None:
    # Half a million characters that fail at their end: each would take minutes with a pattern that goes back.
    for text in (
        '["' + "a" * 500_000,
        "[" + "1," * 250_000,
        '[{"a":[1,2]},' * 40_000,
        "[" + " " * 500_000,
        '["\\u0041' * 5,
    ):
        assert grammar.whole_container(text, 0) == ""


def test_the_end_of_the_text_has_a_name() -> None:
    assert grammar.show("") == "end of text"
    assert grammar.show("\n") == "'\\n'"
