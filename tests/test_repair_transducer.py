"""The steps of the lenient reading: what is taken and refused, where errors stand, bounded memory, linear work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from structstream.errors import DecodeError, JSONLimitError, JSONSyntaxError
from structstream.repair import JSONRepair
from tests.chunking import every_cut
from tests.repairing import Reading, failure, read, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

# --- tables: taken and refused ---

TAKEN = [
    # strings and keys
    (r"""{'it\'s': 'say "hi"'}""", {"it's": 'say "hi"'}),
    ("['it's', 'rock 'n roll', '']", ["it's", "rock 'n roll", ""]),
    ("[\u2018it\u2019s\u2019]", ["it\u2019s"]),
    ("{“a”: “b \"c\" d”}", {"a": 'b "c" d'}),
    ('["a\nb\tc\r\x00"]', ["a\nb\tc\r\x00"]),
    (r'["\d \x41 \ué \u12 C:\dir"]', [r"\d \x41 \ué \u12 C:\dir"]),
    (r'["\ud83d\ude00 \ud83d \ude00 \ud83dx"]', ["😀 \\ud83d \\ude00 \\ud83dx"]),
    ('["\\\n"]', ["\\\n"]),
    ("{$ref: 1, first-name: 2, 7: 3, null: 4, ñandú: 5, a.b: 6}",
     {"$ref": 1, "first-name": 2, "7": 3, "null": 4, "ñandú": 5, "a.b": 6}),
    # words and numbers
    ("[True, FALSE, None, undefined, Null]", [True, False, None, None, None]),
    ("[-Infinity, +inf, Infinity]", [float("-inf"), float("inf"), float("inf")]),
    ("[+1, .5, -.5, 5., 5.e2, 007, -0x1F, 0]", [1, 0.5, -0.5, 5.0, 500.0, 7, -31, 0]),
    # commas
    ("[1,]", [1]), ("{'a': 1,\n}", {"a": 1}), ("[[],]", [[]]),
    ("[1\n2\r3]", [1, 2, 3]), ('["a"\n"b"]', ["a", "b"]), ("[1 // one\n 2]", [1, 2]),
    ("[{}{}[] [] 1]", [{}, {}, [], [], 1]), ('["a" {"b": 1} "c"]', ["a", {"b": 1}, "c"]),
    ('{"a": 1 "b": "x" "c": null /**/"d": {} e: []}', {"a": 1, "b": "x", "c": None, "d": {}, "e": []}),
    # around
    ("[see below] {name} [1]", [1]), ("{{'a': 1}}", {"a": 1}), ("<b>[x]</b> <a href='{y}'> {}", {}),
    ("</think>[2]", [2]), ("<THINK></THINK>[3]", [3]), ("```bash\n[ -f x ] && {}\n```\n[4]", [4]),
    ("```html\n<p>{ }</p>\n```\n[5]", [5]), ("```yaml\n{'a': 6}\n```", {"a": 6}),
    # scalars at the root
    ("42", 42), (" -1.5e3 \n", -1500.0), ("```json\ntrue\n```", True), ("<think>7</think>\n'x'", "x"),
    ("null```", None), ("```42```", 42),
    ('"a" and more', "a"), ("Three:\n```\n3\n```", 3), ("3 items: [1]", [1]), ("None of it: {}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), TAKEN)
def test_what_is_taken(text: str, value: object) -> None:
    assert value_of(text) == value
    whole = read([text], scalars=True)
    assert all(read(pieces, scalars=True) == whole for pieces in every_cut(text))


REFUSED = [
    ("[1}", 2, "',' or ']'", "'}'", "[0]"),
    ('{"a": 1]', 7, "',' or '}'", "']'", "a"),
    ("[1 2]", 3, "',' or ']'", "'2'", "[0]"),
    ('["a" "b"]', 5, "',' or ']'", "'\"'", "[0]"),
    ('["a""b"]', 4, "',' or ']'", "'\"'", "[0]"),
    ('{"a": 1 b: 2}', 8, "',' or '}'", "'b'", "a"),
    ('{"a": "b""c": 1}', 9, "',' or '}'", "'\"'", "a"),
    ('{"a": "say "hi" now"}', 12, "',' or '}'", "'h'", "a"),
    ('{"a": }', 6, "a value", "'}'", "a"),
    ('{"a": , "b": 1}', 6, "a value", "','", "a"),
    ('{"a"}', 4, "':'", "'}'", "a"),
    ('{"a" 1}', 5, "':'", "'1'", "a"),
    ('{"a": red}', 6, "a value", "'red'", "a"),
    ('{"a": 2024-01-15}', 6, "a value", "'2024-01-15'", "a"),
    ('{"a": 1_000}', 6, "a value", "'1_000'", "a"),
    ('{"a": aaaaaaaaaaaaaaaaaaaaaaaaaaa}', 6, "a value", "'aaaaaaaaaaaaaaaaaaa…'", "a"),
    ('{"a": 1/3}', 7, "',' or '}'", "'/'", "a"),
    ("[1,,2]", 3, "a value or ']'", "','", "[1]"),
    ('{"a": 1,,}', 8, "a key or '}'", "','", ""),
    ('{"a": 1, +b: 2}', 9, "a key or '}'", "'+b'", ""),
    ('[1, 2, ...]', 7, "a value or ']'", "'...'", "[2]"),
    ('{"a": [{"b c": \x01}]}', 15, "a value", r"'\x01'", 'a[0]["b c"]'),
    ('{"a\\u0062\\n\'": nope}', 15, "a value", "'nope'", '["ab\n\'"]'),
    ("", 0, "a JSON value", "end of text (no JSON value found)", ""),
    ("Sorry, I can't.", 15, "a JSON value", "end of text (no JSON value found)", ""),
    ("<think>{}", 9, "the end of the thinking and a JSON value", "end of text (no JSON value found)", ""),
    ("fill {name} in", 10, "':'", "'}'", "name"),
    ("42 is the answer", 3, "the end of the line", "'i'", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "offset", "expected", "found", "path"), REFUSED)
def test_what_is_refused(text: str, offset: int, expected: str, found: str, path: str) -> None:
    for pieces in every_cut(text):
        repair = JSONRepair(scalars=expected == "the end of the line" or expected.endswith("JSON value"))
        error = failure(repair, pieces)
        assert isinstance(error, JSONSyntaxError)
        assert (error.offset, error.expected, error.found, error.path) == (offset, expected, found, path)
        with pytest.raises(JSONSyntaxError) as again:
            repair.feed("")
        assert again.value is error


@pytest.mark.parametrize(
    ("starts", "wanted"), [("{", "a JSON object"), ("[", "a JSON array"), ("{[", "a JSON object or array")]
)
def test_an_error_names_the_kind_of_value_that_was_looked_for(starts: str, wanted: str) -> None:
    with pytest.raises(JSONSyntaxError, match=wanted):
        JSONRepair(starts=starts).finish()


def test_any_value_is_looked_for_where_nothing_is_said_of_it() -> None:
    for text in ("[1]", "{}", '"a"', "4", "null"):
        assert read([text], starts="") == Reading(text, done=True)
    assert read(["see {} for"], starts="", scalars=True).error


def test_an_error_names_line_and_column_of_the_source() -> None:
    text = 'Well:\n\n```json\n{"a": 1,\n  # note\n  "b": "x\ny", c: \\}'
    for pieces in every_cut(text):
        error = failure(JSONRepair(), pieces)
        assert isinstance(error, JSONSyntaxError)
        assert (error.offset, error.line, error.column, error.path) == (text.index("\\"), 7, 8, "c")


def test_what_stood_before_the_error_is_kept() -> None:
    repair = JSONRepair()
    assert repair.feed("{'a': 'b") == '{"a": "b'
    with pytest.raises(JSONSyntaxError):
        repair.feed("c', 'd': e }")
    assert repair.salvaged == 'c", "d":'
    assert not repair.done


# --- cut off: open stays open ---

CUT_OFF = [
    ("{", "{"), ("{ // c", "{"), ('{"a', '{"a'), ("{'a'", '{"a"'), ("{a", "{"), ('{"a":', '{"a":'),
    ('{"b": "c', '{"b": "c'), ('["b\\', '["b'), ('["\\u00', '["'), ('["\\ud83d\\u', '["'), ("[1", "["), ("[tru", "["),
    ("[1, 2,", "[1, 2"), ("[1,\n", "[1"), ("['it'", '["it"'), ('{"a": 1 /* ', '{"a": 1'), ("[[", "[["), ("[x", "["),
    ('"ab', '"ab'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "out"), CUT_OFF)
def test_what_the_end_leaves_open_stays_open(text: str, out: str) -> None:
    for pieces in every_cut(text):
        assert read(pieces, scalars=True) == Reading(out, done=False)


def test_the_root_is_done_where_it_closes_and_a_word_with_its_line() -> None:
    repair = JSONRepair(scalars=True)
    assert (repair.feed("[1]"), repair.done, repair.feed(" ]{"), repair.finish()) == ("[1]", True, "", "")
    repair = JSONRepair(scalars=True)
    assert (repair.feed("4"), repair.feed("2 "), repair.done) == ("", "", False)
    assert (repair.feed("\n"), repair.done) == ("42", True)
    repair = JSONRepair(scalars=True)
    assert (repair.feed("'it'"), repair.done, repair.finish(), repair.done) == ('"it', False, '"', True)


# --- linear work, bounded memory ---


def count_calls(action: Callable[[], object]) -> int:
    """How many functions, Python's and C's, `action` calls."""
    calls = 0

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(on_event)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


UNITS = [
    "`", "``x", "<", "</", "<think>", "</think>", "/", "//", "/*", "*", "#", '"', "'", "\\", "\\u", " ", "\n", ",", ":",
    "hello world ", "{", "[", "{}", "{x} ", "[1 ", "{a ", "{#", "{/*", '{"a', "```a\n", "1", "-", "“", '\\"', "'a",
]  # fmt: skip
HEADS = ["", "{", '{"a": ', "[1", "[1,", '{"a": "', "{'a': '", '["a", /*', "[#", "<think>", "```py\n", '{"']


@pytest.mark.parametrize("head", HEADS)
def test_the_work_grows_with_the_text_whatever_it_holds(head: str) -> None:
    for unit in UNITS:
        counts = []
        for size in (600, 1_200):
            text = head + unit * (size // len(unit))
            for width in (4, len(text)):
                pieces = [text[i : i + width] for i in range(0, len(text), width)]
                repair = JSONRepair(max_depth=10**6)
                counts.append(count_calls(lambda: [repair.feed(piece) for piece in pieces]) if valid(pieces) else 0)  # noqa: B023
        assert counts[2] <= 2.1 * counts[0] + 100, (head, unit)
        assert counts[3] <= 2.1 * counts[1] + 100, (head, unit)


def valid(pieces: Sequence[str]) -> bool:
    """Whether no feed raises: work after an error is not counted."""
    repair = JSONRepair(max_depth=10**6)
    try:
        for piece in pieces:
            repair.feed(piece)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("unit", [unit for unit in UNITS if len(unit) < 4])
def test_a_long_run_of_anything_is_read_in_one_pass_of_the_expressions(unit: str) -> None:
    for head in HEADS:
        read([head + unit * (40_000 // len(unit))])  # quadratic work in C would run into the suite's timeout


@pytest.mark.parametrize("head", ["{", "[1", "[1,", '{"a":', "", "[[[["])
def test_whitespace_is_passed_on_up_to_a_bound_and_held_no_longer(head: str) -> None:
    text = head + " " * 5000
    for pieces in every_cut(text):
        assert len(read(pieces).out) <= len(head) + 1024
    whole = "[1," + " " * 5000 + "2" + " " * 1024 + "]"
    for pieces in every_cut(whole):
        assert read(pieces).out == "[1," + " " * 1024 + "2" + " " * 1024 + "]"


def test_a_bound_passed_is_an_error_that_names_it_whatever_the_cut() -> None:
    cases = [
        ("{'a': [[[", 8, "max_depth=3", "a[0][0]"),
        ('[{"aaaaaaaaaaaaaaaaaaaaaaaaaaaa": [[]]}]', 35, "max_depth=3", "[0].aaaaaaaaaaaaaaaaaaaaaaaaaaaa[0]"),
        ("[1, 1234567890]", 12, "max_number_length=8", "[1]"),
        ("{abcdefghijk: 1}", 9, "max_number_length=8", ""),
    ]
    for text, offset, bound, path in cases:
        for pieces in every_cut(text):
            # With room for long numbers, whole containers are stepped over.
            repair = JSONRepair(max_depth=3) if "depth" in bound else JSONRepair(max_number_length=8)
            error = failure(repair, pieces)
            assert isinstance(error, JSONLimitError)
            assert (error.offset, f"{error.bound}={error.limit}", error.path) == (offset, bound, path)
