"""What is told of output items: each part once, calls and messages by their numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ProtocolError
from structstream.events import ProviderEvent, TextDelta, ThinkingDelta, ToolDelta
from structstream.providers.openai_items import OutputItems
from tests.answers import Answer

CALL: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.fixture
def items() -> OutputItems:
    return OutputItems("test")


def test_an_item_is_known_by_its_index_and_without_one_by_its_id(items: OutputItems) -> None:
    assert items.at(0) is items.at(0, "other id")
    assert items.at(1) is not items.at(0)
    assert items.at(None, "a") is items.at("0", "a") is not items.at(None, "b")
    assert items.at(None) is items.at(0)
    with pytest.raises(ProtocolError):
        items.at(None, [1])


def test_forgotten_items_are_new_ones_and_are_counted_on(items: OutputItems) -> None:
    out: list[ProviderEvent] = []
    items.tell_item(items.at(0), CALL, out)
    items.forget()
    items.tell_item(items.at(0), CALL, out)
    assert [event.call for event in out if isinstance(event, ToolDelta) and event.text] == [0, 1]


def test_each_message_has_its_number_when_it_first_says_something(items: OutputItems) -> None:
    items.open(items.at(0), {"type": "message", "phase": "commentary"}, [])
    items.open(items.at(1), {"type": "message"}, [])
    assert [items.choice_of(items.at(index)) for index in (2, 1, 0, 2)] == [0, 1, 2, 0]


def test_why_it_has_ended(items: OutputItems) -> None:
    reasons = [items.reason]
    items.tell("refusal", items.at(0), 0, "No", [])
    reasons.append(items.reason)
    items.tell("output_text", items.at(0), 1, "but", [])
    reasons.append(items.reason)
    items.tell_item(items.at(1), CALL, [])
    reasons.append(items.reason)
    assert reasons == ["stop", "refused", "stop", "tool"]


pieces = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.text("ab", max_size=2)), max_size=8)


@given(pieces, st.booleans())
def test_what_came_in_pieces_is_not_told_again(parts: list[tuple[int, int, str]], cut: bool) -> None:
    """The whole items after their pieces add nothing, and alone they say the same."""
    items, out = OutputItems("test"), list[ProviderEvent]()
    texts: dict[int, list[str]] = {}
    for index, place, text in parts:
        items.tell("output_text", items.at(index), place, text, out)
        texts.setdefault(index, ["", ""])[place] += text
    told = len(out)
    whole = {
        index: {"type": "message", "content": [{"type": "output_text", "text": text} for text in both]}
        for index, both in texts.items()
        if any(both)
    }
    for index, item in whole.items():
        for place, part in enumerate(item["content"] if cut else ()):
            items.tell_part(items.at(index), place, part, out)  # type: ignore[arg-type]  # an object
        items.tell_item(items.at(index), item, out)
    assert len(out) == told
    alone = OutputItems("test")
    again: list[ProviderEvent] = []
    for index, item in whole.items():
        alone.tell_item(alone.at(index), item, again)
    ordered = {index: "".join(both) for index, both in texts.items() if any(both)}
    assert list(Answer.of(again).text.values()) == list(ordered.values())


def test_reasoning_is_told_when_it_begins_once(items: OutputItems) -> None:
    out: list[ProviderEvent] = []
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "s"}
    items.open(items.at(0), {"type": "reasoning"}, out)
    items.tell_item(items.at(0), item, out)
    assert out == [ThinkingDelta(""), ThinkingDelta("a"), ThinkingDelta("", "s")]


def test_halves_of_characters_are_joined_where_that_was_asked_for(items: OutputItems) -> None:
    out: list[ProviderEvent] = []
    items.join_halves()
    for half in ("\ud83d", "\ude00"):
        items.tell("output_text", items.at(0), 0, half, out)
    assert out == [TextDelta("😀")]


@pytest.mark.parametrize("said", [{**CALL, "name": 1}, {**CALL, "call_id": [1]}, {**CALL, "arguments": {"a": 1}}])
def test_a_call_of_another_form_is_refused(items: OutputItems, said: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="of an unknown form"):
        items.tell_item(items.at(0), said, [])


def test_of_an_item_that_is_met_in_its_middle_only_what_is_new_is_told() -> None:
    items = OutputItems("test", goes_on=True)
    out: list[ProviderEvent] = []
    items.tell("output_text", items.at(0), 0, "new", out)
    items.tell_part(items.at(0), 0, {"type": "output_text", "text": "old and new"}, out)
    items.tell_item(items.at(0), {"type": "message", "content": [{"type": "output_text", "text": "old and new"}]}, out)
    assert out == [TextDelta("new")]


def test_an_item_that_begins_in_a_stream_that_goes_on_is_told_like_any_other() -> None:
    items = OutputItems("test", goes_on=True)
    out: list[ProviderEvent] = []
    items.tell_item(items.begin(0), CALL, out)
    assert [event.text for event in out if isinstance(event, ToolDelta)] == ["", "{}"]
