"""The table of faults: each by its name and its text, and what each does to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ConfigurationError
from structstream.events import (
    Failed,
    Finished,
    ProviderEvent,
    RefusalDelta,
    Started,
    StreamEnd,
    TextDelta,
    ToolDelta,
    UsageReported,
)
from structstream.response import Usage
from structstream.testing import FAULTS, Fault, faults, parse_fault

SAID: list[ProviderEvent] = [
    Started("id", "model"),
    *(TextDelta(piece) for piece in ("ab", "cd", "ef")),
    Finished("stop"),
    UsageReported(Usage(1, 3)),
    StreamEnd(),
]
CALLED: list[ProviderEvent] = [
    Started("id", "model"),
    ToolDelta("", 0, "call", "answer"),
    *(ToolDelta(piece) for piece in ("ab", "cd", "ef")),
    Finished("tool"),
    UsageReported(Usage(1, 3)),
    StreamEnd(),
]


def said(fault: Fault, before: Sequence[ProviderEvent] = SAID) -> list[ProviderEvent]:
    assert fault.said is not None
    return list(fault.said(before))


def text(events: Sequence[ProviderEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta | ToolDelta))


def reasons(events: Sequence[ProviderEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, Finished)]


def ends(events: Sequence[ProviderEvent]) -> bool:
    return isinstance(events[-1], StreamEnd) and isinstance(events[-2], UsageReported)


def with_arguments(name: str) -> Fault:
    return FAULTS[name](*{"status": (503,), "length": (3,)}.get(name, (7,) if name.endswith("_at_byte") else ()))


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_fault_bears_its_name_reads_back_and_strikes_somewhere(name: str) -> None:
    fault = with_arguments(name)
    assert fault.name == name
    assert parse_fault(str(fault)) == fault
    assert sum(each is not None for each in (fault.said, fault.sent, fault.reply, fault.stop, fault.whole or None)) == 1


def test_every_fault_is_public() -> None:
    assert set(FAULTS) < set(faults.__all__)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("explode(1)", "there is no fault 'explode'; there are .*cut_at_byte"),
        ("cut_at_byte", r"write it as cut_at_byte\(n\)"),
        ("cut_at_byte(", r"write it as cut_at_byte\(n\)"),
        ("cut_at_byte(1, 2)", r"write it as cut_at_byte\(n\)"),
        ("cut_at_byte(open('x'))", "plain values"),
        ("cut_at_byte(1) + 1", "is no fault"),
        ("cut_at_byte(-1)", "at least 0, not -1"),
        ("cut_at_byte('a')", "at least 0, not 'a'"),
        ("status(200)", "from 400 to 599, not 200"),
        ("length(-1)", "at least 0"),
        ("in_band_error(-1)", "at least 0"),
        ("malformed_chunk(-1)", "at least 0"),
        ("content_filter(-1)", "at least 0"),
        ("unknown_events(0)", "at least 1"),
    ],
)
def test_a_bad_fault_says_what_is_right(written: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse_fault(written)


@given(n=st.integers(0, 8), before=st.sampled_from([SAID, CALLED]))
def test_length_leaves_so_many_characters(n: int, before: list[ProviderEvent]) -> None:
    events = said(faults.length(n), before)
    assert text(events) == "abcdef"[:n]
    assert reasons(events) == ["length"]
    assert ends(events)


def test_a_refusal_replaces_the_answer() -> None:
    events = said(faults.refusal("no, never, not at all"))
    assert text(events) == ""
    assert "".join(event.text for event in events if isinstance(event, RefusalDelta)) == "no, never, not at all"
    assert reasons(events) == ["refused"]
    assert ends(events)


@pytest.mark.parametrize("before", [SAID, CALLED], ids=["text", "tool"])
def test_a_filter_cuts_after_so_many_deltas(before: list[ProviderEvent]) -> None:
    events = said(faults.content_filter(2), before)
    assert text(events) == "abcd"
    assert reasons(events) == ["filtered"]
    assert ends(events)


@pytest.mark.parametrize("before", [SAID, CALLED], ids=["text", "tool"])
def test_an_error_in_the_stream_is_the_last_thing(before: list[ProviderEvent]) -> None:
    events = said(faults.in_band_error(1, "boom", "server_error"), before)
    assert text(events) == "ab"
    last = events[-1]
    assert isinstance(last, Failed)
    assert (last.error.message, last.error.code) == ("boom", "server_error")
    assert reasons(events) == []


def test_no_finish_keeps_the_text_and_nothing_after() -> None:
    events = said(faults.no_finish())
    assert text(events) == "abcdef"
    assert isinstance(events[-1], TextDelta)


def test_the_finish_comes_twice() -> None:
    assert reasons(said(faults.duplicate_finish())) == ["stop", "stop"]


@pytest.mark.parametrize("before", [SAID, CALLED], ids=["text", "tool"])
def test_text_follows_in_the_same_place(before: list[ProviderEvent]) -> None:
    events = said(faults.text_after_json("!"), before)
    assert text(events) == "abcdef!"
    deltas = [event for event in events if isinstance(event, TextDelta | ToolDelta)]
    assert len({type(event) for event in deltas}) == 1
    assert ends(events)


def test_words_come_instead_of_a_tool_call() -> None:
    events = said(faults.no_tool_call("words"), CALLED)
    assert not any(isinstance(event, ToolDelta) for event in events)
    assert text(events) == "words"
    assert reasons(events) == ["stop"]


def test_the_tool_call_comes_twice() -> None:
    events = said(faults.two_tool_calls(), CALLED)
    calls = {event.call: event.id for event in events if isinstance(event, ToolDelta) and event.id}
    assert calls == {0: "call", 1: "call_again"}
    assert text(events) == "abcdefabcdef"


def test_ends_of_choices_that_said_nothing_are_left_out() -> None:
    before = [*SAID[:4], TextDelta("x", 1), Finished("stop"), Finished("stop", choice=1), StreamEnd()]
    events = said(faults.content_filter(1), before)
    assert [event.choice for event in events if isinstance(event, Finished)] == [0]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.empty_stream(), 0),
        (faults.malformed_chunk(1), 5),
        (faults.malformed_chunk(99), 5),
        (faults.unknown_events(2), 6),
    ],
)
def test_events_are_written_otherwise(fault: Fault, expected: int) -> None:
    assert fault.sent is not None
    assert len(fault.sent([b"a", b"b", b"c", b"d"])) == expected


@pytest.mark.parametrize(
    ("body", "sent"), [(None, b"error"), ({"a": 1}, b'{"a": 1}'), ("text", b"text"), (b"\xff", b"\xff")]
)
def test_a_status_brings_its_headers_and_body(body: Any, sent: bytes) -> None:
    from structstream.testing.dialects import dialect_for

    dialect = dialect_for("/v1/chat/completions")
    assert dialect is not None
    make = faults.status(429, {"Retry-After": "2", "Content-Type": "text/plain"}, body).reply
    assert make is not None
    reply = make(dialect)
    assert reply.status == 429
    assert reply.headers == (("retry-after", "2"), ("content-type", "text/plain"))
    assert sent in b"".join(reply.pieces)


def test_equal_by_name_and_arguments() -> None:
    assert faults.cut_at_byte(3) == faults.cut_at_byte(3) != faults.cut_at_byte(4)
    assert repr(faults.cut_at_byte(3)) == "Fault(name='cut_at_byte', arguments=(3,))"


def test_every_fault_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "testing.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"`{name}(" not in page] == []
