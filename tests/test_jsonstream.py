"""The reader takes RFC 8259 and nothing else, and says the same of a text however it is cut."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiter
import pytest
from hypothesis import given, strategies as st

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonsink import JSONLimits
from structstream.jsonstream import JSONStream
from tests.chunking import every_cut
from tests.corpus import CORPUS, needs_corpus
from tests.jsonevents import EventLog

Told = tuple[list[tuple[object, ...]], tuple[object, ...] | None]

_FACTS = ("expected", "found", "offset", "line", "column", "path", "bound", "limit")


class StepOver(EventLog):
    """A log that takes whole containers, and tells of them what it would have been told one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def container(self, raw: str, at: int) -> bool:
        inner = EventLog()
        JSONStream(inner, offset=at).feed(raw)
        self.events += inner.events
        self.taken += 1
        return True


def read(pieces: Sequence[str], log: EventLog | None = None, **options: Any) -> Told:  # Any: the reader's own
    """What the reader tells of a text in pieces: events, with each string in one piece, and the error's facts."""
    log = log or EventLog()
    stream = JSONStream(log, **options)
    error: JSONSyntaxError | JSONLimitError | None = None
    try:
        for piece in pieces:
            stream.feed(piece)
        stream.finish()
    except (JSONSyntaxError, JSONLimitError) as caught:
        error = caught
    events: list[tuple[object, ...]] = []
    for event in log.events:
        if event[0] == "piece" and events and events[-1][0] == "piece":
            events[-1] = ("piece", f"{events[-1][1]}{event[1]}")
        else:
            events.append(event)
    return events, (type(error), *(getattr(error, name, None) for name in _FACTS)) if error is not None else None


def assert_same_for_every_cut(text: str, limit: int = 120, **options: Any) -> Told:  # Any: as above
    told = read([text], **options)
    for pieces in every_cut(text, limit=limit):
        assert read(pieces, **options) == told, pieces
        assert read(pieces, StepOver(), **options) == told, pieces
    return told


def _suite(prefix: str) -> list[Path]:
    if CORPUS is None:
        return []
    return sorted((CORPUS / "jsontestsuite" / "test_parsing").glob(f"{prefix}_*.json"))


@needs_corpus
def test_the_suite_is_all_there() -> None:
    assert (len(_suite("y")), len(_suite("n"))) == (95, 188)


@pytest.mark.parametrize("path", _suite("y"), ids=lambda path: path.stem)
def test_what_must_be_taken_is_taken_under_every_cut(path: Path) -> None:
    _, error = assert_same_for_every_cut(path.read_text("utf-8"))
    assert error is None


@pytest.mark.parametrize("path", _suite("n"), ids=lambda path: path.stem)
def test_what_must_be_refused_is_refused_under_every_cut(path: Path) -> None:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return  # it is refused before it is text
    _, error = assert_same_for_every_cut(text)
    assert error is not None


# --- against the standard library and jiter ---

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
_STYLES: list[dict[str, Any]] = [  # Any: arguments of json.dumps
    {},
    {"indent": 2},
    {"ensure_ascii": False},
    {"separators": (",", ":")},
    {"separators": (" ,\r\n", "\t: ")},
]
_INSERTS = st.sampled_from(
    [
        '"',
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "0",
        "-",
        ".",
        "e",
        "t",
        "null",
        "\\u",
        "d83d",
        " ",
        "\n",
        "\x00",
        "NaN",
        "é",
        "'",
    ]
)


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    text = json.dumps(draw(_VALUES), **draw(st.sampled_from(_STYLES)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.integers(0, 3))
        text = text[:at] + draw(st.just("") | _INSERTS) + text[at + gone :]
    return text


def _is_json(text: str) -> bool:
    try:
        jiter.from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        return False
    return True


@given(_mutated(), st.integers(1, 9))
def test_a_text_is_taken_if_and_only_if_it_is_json(text: str, size: int) -> None:
    told = read([text])
    assert (told[1] is None) == _is_json(text)
    assert read([text[at : at + size] for at in range(0, len(text), size)]) == told
    assert read([text], StepOver()) == told


def _value_of(events: list[tuple[object, ...]]) -> object:
    """The value that the events tell."""
    stack: list[list[object]] = [[]]
    for kind, *arguments in events:
        if kind == "open_object":
            stack.append([{}])
        elif kind == "open_array":
            stack.append([[]])
        elif kind in ("key", "piece"):
            stack[-1].append(arguments[0])
        elif kind == "open_string":
            stack.append([])
        elif kind in ("scalar", "close", "close_string"):
            value = _closing(str(kind), arguments, stack)
            top = stack[-1]
            if not top or len(stack) == 1:
                top.append(value)
            elif isinstance(top[0], dict):
                top[0][top.pop()] = value
            elif isinstance(top[0], list):
                top[0].append(value)
    return stack[0][0]


def _closing(kind: str, arguments: list[object], stack: list[list[object]]) -> object:
    if kind == "scalar":
        return json.loads(str(arguments[0]))
    return stack.pop()[0] if kind == "close" else "".join(map(str, stack.pop()))


@given(_VALUES, st.sampled_from(_STYLES), st.integers(1, 7))
def test_the_events_tell_the_value(value: object, style: dict[str, Any], size: int) -> None:
    text = json.dumps(value, **style)
    events, error = read([text[at : at + size] for at in range(0, len(text), size)])
    assert error is None
    assert _value_of(events) == json.loads(text)


# --- errors ---

_ERRORS = [
    ("", "a value", "end of text", 0, 1, 1, ""),
    ("  \n ", "a value", "end of text", 4, 2, 2, ""),
    ("[1, 2", "the rest of the number", "end of text", 5, 1, 6, "[1]"),
    ("[1, 2 ", "',' or ']'", "end of text", 6, 1, 7, "[1]"),
    ("[1,]", "a value", "']'", 3, 1, 4, "[1]"),
    ('{"a": {"b": x}}', "a value", "'x'", 12, 1, 13, "a.b"),
    ('{"a" 1}', "':'", "'1'", 5, 1, 6, "a"),
    ('{"a": 1,}', "a key in double quotes", "'}'", 8, 1, 9, "a"),
    ("{a: 1}", "a key in double quotes or '}'", "'a'", 1, 1, 2, '[""]'),
    ('{"a": 1 "b"', "',' or '}'", "'\"'", 8, 1, 9, "a"),
    ('{\n"a":\n tru}', "the rest of true", "'}'", 11, 3, 5, "a"),
    ("[01]", "the end of the number", "'1'", 2, 1, 3, "[0]"),
    ("[1.]", "a digit", "']'", 3, 1, 4, "[0]"),
    ("-", "a digit", "end of text", 1, 1, 2, ""),
    ('["a\nb"]', "text of a string (a control character must be escaped)", "'\\n'", 3, 1, 4, "[0]"),
    ('["\\x"]', "an escape sequence", "'x'", 3, 1, 4, "[0]"),
    ('["\\ud83dx"]', "the other half of a surrogate pair", "'x'", 8, 1, 9, "[0]"),
    ('["\\u12', "the rest of the string", "end of text", 6, 1, 7, "[0]"),
    ('"abc', "the rest of the string", "end of text", 4, 1, 5, ""),
    ('{"ab', "the rest of the key", "end of text", 4, 1, 5, '[""]'),
    ("1 2", "the end of the text", "'2'", 2, 1, 3, ""),
    ("{} {", "the end of the text", "'{'", 3, 1, 4, ""),
    ("[NaN]", "a value or ']'", "'N'", 1, 1, 2, "[0]"),
    ("-Infinity", "a digit", "'I'", 1, 1, 2, ""),
    ("\ufeff1", "a value", "'\\ufeff'", 0, 1, 1, ""),
]


@pytest.mark.parametrize(("text", "expected", "found", "offset", "line", "column", "path"), _ERRORS)
def test_an_error_says_where_and_what(
    text: str, expected: str, found: str, offset: int, line: int, column: int, path: str
) -> None:
    _, error = assert_same_for_every_cut(text)
    assert error == (JSONSyntaxError, expected, found, offset, line, column, path, None, None)


_BOUNDS = [
    ("max_depth", 2, "[[1]]", "[[[1]]]", 2),
    ("max_depth", 2, '{"a":[{}]}'.replace("{}", "1"), '{"a":[{}]}', 6),
    ("max_keys", 2, '[{"a":1,"b":2},{"a":1}]', '{"a":1,"b":2,"c":3}', 13),
    ("max_string_length", 4, '["abcd"]', '["abcde"]', 6),
    ("max_string_length", 4, '{"abcd":1}', '{"abcde":1}', 6),
    ("max_string_length", 6, '["\\u0041"]', '["\\u0041b"]', 8),
    ("max_number_length", 4, "[1234]", "[12345]", 5),
]


@pytest.mark.parametrize(("bound", "limit", "good", "bad", "offset"), _BOUNDS)
def test_a_bound_is_named_where_it_is_passed(bound: str, limit: int, good: str, bad: str, offset: int) -> None:
    limits = dataclasses.replace(JSONLimits(), **{bound: limit})
    assert assert_same_for_every_cut(good, limits=limits)[1] is None
    padded = f"[{good}, {' ' * 40}1]" if bound != "max_depth" else good
    assert assert_same_for_every_cut(padded, limits=limits)[1] is None
    _, error = assert_same_for_every_cut(bad, limits=limits)
    assert error is not None
    assert (error[0], *error[-2:], error[3]) == (JSONLimitError, bound, limit, offset)


def test_a_bound_holds_within_what_could_be_stepped_over() -> None:
    text = '[{"key": "' + "x" * 50 + '", "other": [1, 2, 3]}]'
    for limits in (JSONLimits(max_string_length=49), JSONLimits(max_keys=1), JSONLimits(max_depth=2)):
        assert assert_same_for_every_cut(text, limits=limits)[1] is not None


def test_nan_and_infinity_are_taken_where_they_are_allowed() -> None:
    events, error = assert_same_for_every_cut("[NaN, Infinity, -Infinity, -1]", allow_nan=True)
    assert error is None
    assert [event[1] for event in events if event[0] == "scalar"] == ["NaN", "Infinity", "-Infinity", "-1"]
    assert assert_same_for_every_cut("[-Infinit]", allow_nan=True)[1] is not None


# --- what callers see on the way ---


def test_a_number_is_told_when_it_has_closed_and_never_half() -> None:
    log = EventLog()
    stream = JSONStream(log)
    for char in "[22.25e1":
        stream.feed(char)
    assert log.events == [("open_array", 0)]
    stream.feed(",")
    assert log.events[1:] == [("scalar", "22.25e1", 8)]


def test_done_is_told_when_the_root_has_closed() -> None:
    stream = JSONStream(EventLog())
    for char in '{"a": [1]':
        stream.feed(char)
        assert not stream.done
    stream.feed("}")
    assert stream.done
    stream.feed(" \n")
    stream.finish()


def test_whole_containers_are_handed_over_from_long_pieces_only() -> None:
    records = [{"id": number, "tags": ["a", "b"]} for number in range(20)]
    whole, ones = StepOver(), StepOver()
    text = json.dumps({"items": records, "deep": [[[[[1]]]]]})
    assert read([text], whole) == read(list(text), ones)
    assert whole.taken > 0
    assert ones.taken == 0


def test_an_unwanted_string_is_told_without_pieces() -> None:
    log = EventLog(pieces=False)
    stream = JSONStream(log)
    for char in '["a\\nb", "c"]':
        stream.feed(char)
    assert [event[0] for event in log.events if "string" in str(event[0])] == ["open_string", "close_string"] * 2


# --- linear ---


@pytest.mark.parametrize("size", [1, 4, 64, 5000])
def test_each_character_is_looked_at_a_bounded_number_of_times(size: int) -> None:
    text = json.dumps([{"id": number, "text": 'say "\\é😀' * 3, "list": [1.5, None, True]} for number in range(500)])
    stream = JSONStream(StepOver())
    for at in range(0, len(text), size):
        stream.feed(text[at : at + size])
    stream.finish()
    assert len(text) <= stream.scanned <= 3 * len(text)
