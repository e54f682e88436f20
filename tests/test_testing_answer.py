"""What the simulated model says before any fault: pieces, dress, limits, choices."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given, strategies as st

from structstream.events import (
    Finished,
    ProviderEvent,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.testing.answer import answer, document_for
from structstream.testing.dialects.base import Question
from structstream.testing.script import Script

JSON = Question(model="m", form="json", schema={"type": "array", "items": {"type": "integer"}}, input_tokens=9)
TOOL = Question(model="m", form="tool", tool="answer", forced=True)


def said(question: Question, script: Script, *documents: str) -> list[ProviderEvent]:
    return answer(question, script, documents, "id", "seed")


def text(events: Sequence[ProviderEvent], choice: int = 0) -> str:
    return "".join(
        event.text for event in events if isinstance(event, TextDelta | ToolDelta) and event.choice == choice
    )


@given(document=st.text(max_size=200), size=st.integers(1, 50) | st.tuples(st.integers(1, 5), st.integers(5, 9)))
def test_the_pieces_add_up_and_are_of_their_size(document: str, size: int | tuple[int, int]) -> None:
    most = size[1] if isinstance(size, tuple) else size
    for question in (JSON, TOOL):
        events = said(question, Script(delta_size=size), document)
        assert text(events) == document
        assert all(len(event.text) <= most for event in events if isinstance(event, TextDelta | ToolDelta))


def test_it_begins_and_ends_in_order() -> None:
    events = said(JSON, Script(), "[1]")
    assert [type(event) for event in events] == [Started, TextDelta, Finished, UsageReported, StreamEnd]
    usage = next(event.usage for event in events if isinstance(event, UsageReported))
    assert (usage.input_tokens, usage.output_tokens) == (9, 1)


def test_prose_fence_and_thinking_stand_around_text() -> None:
    script = Script(thinking="hm", thinking_form="tag", before="Here: ", after=" Done.", fence=True)
    assert text(said(JSON, script, "[1]")) == "<think>hm</think>\nHere: ```json\n[1]\n``` Done."


def test_nothing_stands_around_a_tools_arguments() -> None:
    script = Script(before="Here: ", after=" Done.", fence=True)
    assert text(said(TOOL, script, "[1]")) == "[1]"


def test_thinking_comes_first_in_a_field_of_its_own() -> None:
    events = said(JSON, Script(thinking="let me see", delta_size=4), "[1]")
    kinds = [type(event) for event in events if isinstance(event, ThinkingDelta | TextDelta)]
    assert kinds == [ThinkingDelta, ThinkingDelta, ThinkingDelta, TextDelta]
    usage = next(event.usage for event in events if isinstance(event, UsageReported))
    assert usage.reasoning_tokens == 3


def test_the_callers_bound_is_kept() -> None:
    question = Question(model="m", form="json", max_tokens=3)
    events = said(question, Script(delta_size=2), "0123456789")
    assert text(events) == "012345"
    assert [event.reason for event in events if isinstance(event, Finished)] == ["length"]


def test_a_chosen_tool_and_a_forced_one_end_in_different_words() -> None:
    chosen = Question(model="m", form="tool", tool="answer")
    for question, word in ((TOOL, "stop"), (chosen, "tool")):
        assert [event.reason for event in said(question, Script(), "{}") if isinstance(event, Finished)] == [word]


def test_choices_are_written_at_the_same_time() -> None:
    events = said(Question(model="m", form="text", choices=2), Script(delta_size=1), "ab", "xyz")
    order = [event.choice for event in events if isinstance(event, TextDelta)]
    assert order == [0, 1, 0, 1, 1]
    assert (text(events, 0), text(events, 1)) == ("ab", "xyz")


def test_a_document_follows_the_schema_and_the_script() -> None:
    assert len(json.loads(document_for(JSON, Script(array_items=7), "s"))) == 7
    assert "\n  " in document_for(JSON, Script(indent=2), "s")
    assert document_for(Question(model="m", form="text"), Script(), "s").endswith(".")
