"""A chunk that differs from the one before in its text only is read by what stands around the text, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.events import ProviderEvent, ServerSentEvent, TextDelta
from structstream.providers.openai_chat import OpenAIChatDecoder
from structstream.providers.openai_template import Template


def chunk(content: str, **others: Any) -> str:
    choice = {"index": 0, "delta": {"content": content, **others.pop("delta", {})}, **others}
    return json.dumps({"id": "c", "choices": [choice]}, ensure_ascii=False)


def learned(data: str) -> Template:
    template = Template(("tool_calls", "refusal"), "openai")
    template.learn(data, json.loads(data), TextDelta(json.loads(data)["choices"][0]["delta"]["content"]))
    return template


def test_text_of_the_same_chunk_is_read() -> None:
    template = learned(chunk("On"))
    assert template.text_within(chunk('ce "upon"\n')) == 'ce "upon"\n'


@pytest.mark.parametrize(
    "data",
    [
        chunk("a", finish_reason="stop"),
        chunk("a", index=1),
        chunk("a", delta={"refusal": "no"}),
        '{"id": "c", "choices": [{"index": 0, "delta": {"content": "a", "x": "b"}}]}',
        "",
        '"}}]}',
    ],
)
def test_any_other_chunk_is_not(data: str) -> None:
    assert learned(chunk("On")).text_within(data) == ""


def event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def test_text_of_the_same_event_is_read_from_its_bytes() -> None:
    template = learned(chunk("On"))
    for text in ("ce", 'ce "upon"\n', "ä\u2028\U0001f600", "\\u00e4", "a\rb"):
        assert template.text_of(event(chunk(text))) == text


@pytest.mark.parametrize(
    "read",
    [
        event(chunk("a", finish_reason="stop")),
        event(chunk("a")) * 2,
        event(chunk("a"))[:-1],
        event(chunk("a"))[1:],
        b": comment\n" + event(chunk("a")),
        event(chunk("X")).replace(b"X", b"a\n\ndata: b"),
        event(chunk("X")).replace(b"X", b"a\rb"),
        event(chunk("X")).replace(b"X", b'a", "x": "b'),
        event(chunk("X")).replace(b"X", b"\\ud83d"),
        event(chunk("X")).replace(b"X", b"\xff"),
        event(chunk("X")).replace(b"X", b"a\\"),
        event(chunk("")),
        b"",
    ],
)
def test_bytes_that_are_anything_else_are_not(read: bytes) -> None:
    assert learned(chunk("On")).text_of(read) == ""
    unknown = Template((), "openai")
    assert unknown.text_of(read) == unknown.text_of(event(chunk("On"))) == ""


@pytest.mark.parametrize("data", [chunk("On", finish_reason="stop"), chunk("On", delta={"tool_calls": [{}]})])
def test_of_a_chunk_that_holds_more_nothing_is_learned(data: str) -> None:
    assert learned(data).before == ""


def test_what_is_forgotten_is_not_learned_again() -> None:
    template = learned(chunk("On"))
    template.forget()
    template.learn(chunk("On"), json.loads(chunk("On")), TextDelta("On"))
    assert template.before == ""
    assert template.text_of(event(chunk("On"))) == template.text_of(b"") == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=12))
def test_the_decoder_says_what_each_chunk_says_by_itself(texts: list[str]) -> None:
    at_once = OpenAIChatDecoder("openai")
    together: list[ProviderEvent] = []
    one_by_one: list[ProviderEvent] = []
    for text in texts:
        event = ServerSentEvent(
            "message", json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]})
        )
        together += at_once.feed(event)
        one_by_one += OpenAIChatDecoder("openai").feed(event)
    assert "".join(event.text for event in together if isinstance(event, TextDelta)) == "".join(
        event.text for event in one_by_one if isinstance(event, TextDelta)
    )
