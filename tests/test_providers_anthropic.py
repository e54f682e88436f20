from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from structstream.decoder import StreamDecoder
from structstream.errors import (
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    ServerError,
)
from structstream.events import (
    Failed,
    Finished,
    ProviderEvent,
    RefusalDelta,
    ServerSentEvent,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.providers import ROUTES
from structstream.providers.anthropic import Anthropic, AnthropicDecoder
from structstream.response import OutcomeKind, Usage
from tests.answers import Answer, assert_same, is_json
from tests.chunking import cut_at, every_cut
from tests.corpus import CORPUS, count_bodies, needs_corpus
from tests.recordings import JSON, Dialect, Log, body_of, logs_of, payloads_of

DIALECT = Dialect("anthropic", lambda: AnthropicDecoder("test"), ("anthropic", "other-anthropic-compatible"))
# Calls that the provider itself answers: none of ours, but the tags count them.
SERVERS = ("server_tool_use", "mcp_tool_use")

events_of, recorded = DIALECT.events_of, DIALECT.recorded
said = partial(DIALECT.said, named=True)


def start(content: JSON, index: int = 0) -> JSON:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(kind: str, index: int = 0, **more: JSON) -> JSON:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stop(index: int = 0) -> JSON:
    return {"type": "content_block_stop", "index": index}


def ended(reason: JSON, **more: JSON) -> JSON:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None, **more}}


def message(id_: str = "msg_1", **more: JSON) -> JSON:
    return {"id": id_, "type": "message", "role": "assistant", "model": "claude", "content": [], **more}


def begun(id_: str = "msg_1", **more: JSON) -> JSON:
    return {"type": "message_start", "message": message(id_, **more)}


CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
TEXT = {"type": "text", "text": ""}


# Recorded streams


class PlainReading:
    """What a message says, read with nothing but the standard library."""

    def __init__(self, payloads: list[JSON]) -> None:
        self.text = self.thinking = ""
        self.arguments: list[str] = []
        self.theirs: list[str] = []
        self.usage: dict[str, int] = {}
        blocks: dict[int, list[str]] = {}
        for payload in payloads:
            if payload["type"] == "content_block_start":
                kind, blocks[payload["index"]] = payload["content_block"]["type"], []
                if kind == "tool_use" or kind in SERVERS:
                    (self.arguments if kind == "tool_use" else self.theirs).append("")
                    blocks[payload["index"]] = self.arguments if kind == "tool_use" else self.theirs
            elif payload["type"] == "content_block_delta":
                self.text += payload["delta"].get("text", "")
                self.thinking += payload["delta"].get("thinking", "")
                if "partial_json" in payload["delta"]:
                    blocks[payload["index"]][-1] += payload["delta"]["partial_json"]
            usage = payload.get("usage") or payload.get("message", {}).get("usage") or {}
            self.usage |= {name: count for name, count in usage.items() if isinstance(count, int) and count}

    def expected_usage(self) -> Usage:
        read, written = self.usage.get("cache_read_input_tokens", 0), self.usage.get("cache_creation_input_tokens", 0)
        input_tokens = self.usage.get("input_tokens", 0) + read + written
        return Usage(input_tokens, self.usage.get("output_tokens", 0), read)


def agrees(answer: Answer, tags: JSON, plain: PlainReading) -> dict[str, bool]:
    arguments, usage = list(answer.arguments.values()), answer.usage
    written = sum(len(text) for text in (*plain.arguments, *plain.theirs))
    return {
        "text": answer.text[0] == plain.text and len(plain.text) == tags["n_text_chars"],
        "arguments": arguments == [text or "{}" for text in plain.arguments],
        "all arguments": written == tags["n_tool_arg_chars"],
        "calls": len(arguments) + len(plain.theirs) == tags["n_tool_calls"],
        "valid arguments": not tags["tool_args_all_valid_json"] or all(map(is_json, arguments)),
        "finish": sorted(set(answer.finishes)) == sorted(tags["finish_reasons"]),
        "usage": (usage is not None) == tags["has_usage"]
        and (
            usage is None
            or Usage(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == plain.expected_usage()
        ),
        "refusal": ("refusal" in answer.finishes) == tags["has_refusal"],
        "error": bool(answer.errors) == tags["has_error_event"],
        "thinking": answer.thinking == plain.thinking,
        "started": len(answer.started) == 1,
        "end": answer.ended,
    }


RECORDED = {
    "anthropic": 231,
    "tools": 72,
    "the provider's own tools alone": 19,
    "thinking": 25,
    "sealed thinking alone": 2,
    "refusals": 3,
    "a reason for the refusal": 1,
    "JSON": 111,
    "cached input": 7,
    "reasoning tokens": 4,
    "other-anthropic-compatible": 2,
}


@needs_corpus
def test_every_recorded_stream_says_what_its_tags_say() -> None:
    with DIALECT.table("sse", RECORDED) as counts:
        for tags in recorded():
            hold(tags, counts)


def hold(tags: JSON, counts: Counter[str]) -> None:
    body = body_of(tags)
    answer, plain = Answer.of(events_of([body])), PlainReading(payloads_of(body))
    wrong = [what for what, right in agrees(answer, tags, plain).items() if not right]
    assert not wrong, f"{tags['file']}: {wrong}"
    counts[tags["provider"]] += 1
    counts["tools"] += bool(answer.arguments)
    counts["the provider's own tools alone"] += bool(plain.theirs) and not answer.arguments
    counts["thinking"] += bool(answer.thinking)
    counts["sealed thinking alone"] += tags["has_thinking"] and not answer.thinking
    counts["refusals"] += "refusal" in answer.finishes
    counts["a reason for the refusal"] += bool(answer.refusal)
    counts["JSON"] += is_json(answer.text[0]) or (
        bool(answer.arguments) and all(map(is_json, answer.arguments.values()))
    )
    counts["cached input"] += bool(answer.usage and answer.usage.cached_input_tokens)
    counts["reasoning tokens"] += bool(answer.usage and answer.usage.reasoning_tokens)


@needs_corpus
def test_every_recorded_stream_says_the_same_in_every_cut() -> None:
    cuts = 0
    for number, tags in enumerate(recorded()):
        body = body_of(tags)
        few = (cut_at(body, range(1 + number % 7, len(body), 1 + 37 * n)) for n in (1, 7))
        cuts += DIALECT.assert_same_in(body, every_cut(body, limit=1100) if len(body) <= 1100 else few)
    assert cuts > 500


@needs_corpus
def test_every_recorded_stream_says_the_same_with_fields_that_nobody_knows() -> None:
    more = {"unknown": {"type": "text_delta", "text": "no"}, "note": [1, None]}
    for tags in recorded():
        body = body_of(tags)
        decoder = AnthropicDecoder("test")
        found: list[ProviderEvent] = []
        for payload in payloads_of(body):
            for name in ("message", "content_block", "delta", "usage"):
                if isinstance(payload.get(name), dict):
                    payload[name] |= more
            found += decoder.feed(ServerSentEvent(json.dumps(payload | more), payload["type"]))
            found += decoder.feed(ServerSentEvent(json.dumps({"type": "unheard_of", **more}), "unheard_of"))
        assert_same(found, events_of([body]))


def messages_of(payloads: list[JSON]) -> list[list[JSON]]:
    """Some logs hold several answers one after the other: each ends with its `message_stop`."""
    found: list[list[JSON]] = [[]]
    for payload in payloads:
        found[-1].append(payload)
        if payload["type"] == "message_stop":
            found.append([])
    return [one for one in found if one]


@needs_corpus
def test_recorded_chunks_without_framing_are_read_too() -> None:
    expected = {"files": 31, "answers": 51, "tool calls": 26, "refusals": 1, "begun again": 1}
    with DIALECT.table("chunks", expected) as counts:
        for log in logs_of("anthropic"):
            hold_log(log, counts)


def hold_log(log: Log, counts: Counter[str]) -> None:
    tags, answers = log.tags, []
    for payloads in messages_of([json.loads(line) for line in log.lines]):
        answers.append(Answer.of(DIALECT.events_of_lines(json.dumps(payload).encode() for payload in payloads)))
        assert answers[-1].ended, log.name
    assert {finish for answer in answers for finish in answer.finishes} == set(tags["finish_reasons"]), log.name
    assert any(answer.usage for answer in answers) == tags["has_usage"], log.name
    assert any(answer.thinking for answer in answers) == tags["has_thinking"], log.name
    assert sum(len(answer.text[0]) for answer in answers) == tags["n_text_chars"], log.name
    assert {name for answer in answers for name in answer.names.values()} <= set(tags["tool_names"]), log.name
    if "spliced" not in log.name:
        assert all(is_json(text) for answer in answers for text in answer.arguments.values()), log.name
    counts["files"] += 1
    counts["answers"] += len(answers)
    counts["tool calls"] += sum(len(answer.arguments) for answer in answers)
    counts["refusals"] += sum("refusal" in answer.finishes for answer in answers)
    counts["begun again"] += sum(len(answer.started) > 1 for answer in answers)


@needs_corpus
def test_every_recorded_stream_adds_up_to_a_message_that_says_the_same_when_whole() -> None:
    for tags in recorded():
        body = body_of(tags)
        whole = whole_of(payloads_of(body))
        streamed, at_once = (
            Answer.of(events_of([body])),
            Answer.of(Anthropic(ROUTES["anthropic"]).whole(json.dumps(whole).encode())),
        )
        assert at_once.text == streamed.text, tags["file"]
        assert at_once.thinking == streamed.thinking, tags["file"]
        assert (at_once.finishes, at_once.usage, at_once.refusal) == (
            streamed.finishes,
            streamed.usage,
            streamed.refusal,
        )
        cut = streamed.finishes == ["max_tokens"]
        for place, text in streamed.arguments.items():
            if not cut:
                assert json.loads(at_once.arguments[place]) == json.loads(text), tags["file"]


def whole_of(payloads: list[JSON]) -> JSON:
    """The message that a stream adds up to, as the provider sends it where it was not asked to stream."""
    whole: JSON = {}
    blocks: dict[int, JSON] = {}
    arguments: dict[int, str] = {}
    for payload in payloads:
        kind = payload["type"]
        if kind == "message_start":
            whole = payload["message"]
        elif kind == "content_block_start":
            blocks[payload["index"]] = payload["content_block"]
        elif kind == "content_block_delta":
            for name in ("text", "thinking", "signature"):
                if name in payload["delta"]:
                    blocks[payload["index"]][name] += payload["delta"][name]
            arguments[payload["index"]] = arguments.get(payload["index"], "") + payload["delta"].get("partial_json", "")
        elif kind == "message_delta":
            whole |= payload["delta"]
            whole["usage"] |= {name: count for name, count in payload["usage"].items() if count}
    for index, text in arguments.items():
        if text and is_json(text):
            blocks[index]["input"] = json.loads(text)
    return {**whole, "content": [block for _, block in sorted(blocks.items())]}


# What an event can carry


def test_a_message_from_its_start_to_its_end() -> None:
    usage = {"input_tokens": 9, "output_tokens": 1, "service_tier": "standard"}
    assert said(
        begun(usage=usage),
        {"type": "ping"},
        start(TEXT),
        delta("text_delta", text="Hel"),
        delta("text_delta", text=""),
        delta("citations_delta", citation={"type": "page_location"}),
        delta("text_delta", text="lo"),
        stop(),
        {**ended("end_turn"), "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ) == [
        Started("msg_1", "claude", "standard"),
        UsageReported(Usage(9, 1)),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished("stop", "end_turn"),
        UsageReported(Usage(9, 5)),
        StreamEnd(),
    ]


def test_thinking_is_kept_apart_with_its_signature() -> None:
    assert said(
        start({"type": "thinking", "thinking": "", "signature": ""}),
        delta("thinking_delta", thinking="hm"),
        delta("signature_delta", signature="sig"),
        stop(),
        start({"type": "redacted_thinking", "data": "sealed"}, 1),
        stop(1),
    ) == [ThinkingDelta("hm"), ThinkingDelta("", "sig")]


def test_text_of_several_blocks_is_one_text() -> None:
    assert said(
        start({**TEXT, "text": '{"a"'}), stop(), start(TEXT, 1), delta("text_delta", 1, text=": 1}"), stop(1)
    ) == [TextDelta('{"a"'), TextDelta(": 1}")]


def test_parallel_calls_are_told_apart_by_their_block() -> None:
    assert said(
        start(TEXT),
        start(CALL, 1),
        start({**CALL, "id": "toolu_2"}, 2),
        delta("input_json_delta", 2, partial_json="{}"),
        delta("input_json_delta", 1, partial_json='{"a":'),
        delta("input_json_delta", 1, partial_json="1}"),
        stop(1),
        stop(2),
        ended("tool_use"),
    ) == [
        ToolDelta("", 0, "toolu_1", "f"),
        ToolDelta("", 1, "toolu_2", "f"),
        ToolDelta("{}", 1),
        ToolDelta('{"a":', 0),
        ToolDelta("1}", 0),
        Finished("tool", "tool_use"),
    ]


@pytest.mark.parametrize(
    ("given", "reason", "text"),
    [
        ({}, "tool_use", ["{}"]),
        ({}, "max_tokens", []),
        ({"ü": 1}, "tool_use", ['{"ü": 1}']),
        (None, "end_turn", ["{}"]),
    ],
)
def test_a_call_whose_arguments_do_not_stream(given: JSON, reason: str, text: list[str]) -> None:
    events = said(start({**CALL, "input": given}), delta("input_json_delta", partial_json=""), stop(), ended(reason))
    assert [event.text for event in events if isinstance(event, ToolDelta)] == ["", *text]


def test_what_the_providers_own_tools_did_is_none_of_the_answer() -> None:
    assert (
        said(
            start({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            delta("input_json_delta", partial_json='{"query": 1}'),
            stop(),
            start(
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "text", "text": "no"}]}, 1
            ),
            stop(1),
            start({"type": "compaction", "content": None}, 2),
            delta("compaction_delta", 2, content="no"),
            delta("text_delta", 2, text="no"),
            start({"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}, 3),
        )
        == []
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool"),
        ("refusal", "refused"),
        ("pause_turn", "other"),
        ("tomorrow", "other"),
    ],
)
def test_stop_reasons_are_told_once(raw: str, reason: str) -> None:
    assert [
        (event.reason, event.raw) for event in said(ended(None), ended(raw), ended(raw)) if isinstance(event, Finished)
    ] == [(reason, raw)]


@pytest.mark.parametrize(
    ("details", "texts"),
    [
        (None, []),
        ({"type": "refusal", "explanation": None}, []),
        ({"explanation": "Not this."}, ["Not this."]),
        ("x", []),
    ],
)
def test_a_refusal_tells_why_where_the_provider_does(details: JSON, texts: list[str]) -> None:
    events = said(ended("refusal", stop_details=details))
    assert events == [*map(RefusalDelta, texts), Finished("refused", "refusal")]


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 1}, {"output_tokens": 7}, Usage(3, 7)),
        (
            {"input_tokens": 3, "cache_read_input_tokens": 5},
            {"output_tokens": 7, "cache_read_input_tokens": None},
            Usage(8, 7, 5),
        ),
        ({"input_tokens": 3, "cache_creation_input_tokens": 4}, {"output_tokens": 7}, Usage(7, 7)),
        ({"input_tokens": 3}, {"input_tokens": 9, "output_tokens": 7}, Usage(9, 7)),
        ({"input_tokens": 3}, {"input_tokens": 0, "output_tokens": 7}, Usage(3, 7)),
        ({}, {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}, Usage(0, 7, 0, 4)),
        (None, {"output_tokens": 7.0, "x": "y"}, Usage(0, 7)),
    ],
)
def test_the_last_report_of_tokens_holds_all(first: JSON, last: JSON, usage: Usage) -> None:
    assert Answer.of(said(begun(usage=first), {**ended(None), "usage": last})).usage == usage


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        (
            ServerSentEvent('{"type": "error", "error": {"type": "overloaded_error", "message": "m"}}', "error"),
            OverloadedError,
            "overloaded_error",
        ),
        (
            ServerSentEvent('{"type": "error", "error": {"type": "api_error", "message": "m"}}'),
            ServerError,
            "api_error",
        ),
        (ServerSentEvent('{"error": {"type": "api_error", "message": "m"}}'), ServerError, "api_error"),
        (
            ServerSentEvent('{"type": "error", "error": {"type": "request_too_large", "message": "m"}}', "error"),
            ContextLengthError,
            "request_too_large",
        ),
        (ServerSentEvent("m", "error"), ServerError, None),
    ],
)
def test_errors_inside_the_stream(event: ServerSentEvent, kind: type[Exception], code: str | None) -> None:
    (failed,) = AnthropicDecoder("test").feed(event)
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind
    assert (failed.error.message, failed.error.code, failed.error.status) == ("m", code, None)


def test_an_error_event_keeps_the_request_id() -> None:
    value = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "req_1"}
    (failed,) = said(value)
    assert isinstance(failed, Failed)
    assert failed.error.request_id == "req_1"


@pytest.mark.parametrize(
    "event",
    [
        ServerSentEvent('{"type": "ping"}', "ping"),
        ServerSentEvent("not JSON", "ping"),
        ServerSentEvent('{"half', "unheard_of"),
        ServerSentEvent("", "ping"),
        ServerSentEvent('{"type": "vertex_event", "text": "x"}', "vertex_event"),
        ServerSentEvent('{"object": "other", "choices": []}'),
        ServerSentEvent("{}"),
        ServerSentEvent(" "),
        ServerSentEvent('{"type": "message_delta", "delta": null, "usage": null}', "message_delta"),
        ServerSentEvent('{"type": "content_block_stop", "index": 5}', "content_block_stop"),
    ],
)
def test_what_is_unknown_is_ignored(event: ServerSentEvent) -> None:
    assert AnthropicDecoder("test").feed(event) == []


def test_an_index_may_be_null() -> None:
    block = {"type": "content_block_start", "index": None, "content_block": {"type": "text", "text": "a"}}
    more = {"type": "content_block_delta", "index": None, "delta": {"type": "text_delta", "text": "b"}}
    assert said(block, more) == [TextDelta("a"), TextDelta("b")]


def test_the_end_of_another_dialect_is_an_end_too() -> None:
    assert AnthropicDecoder("test").feed(ServerSentEvent("[DONE]")) == [StreamEnd()]
    assert AnthropicDecoder("test").feed(ServerSentEvent("", "message_stop")) == [StreamEnd()]


def test_text_without_the_start_of_its_block_is_text() -> None:
    assert said(delta("text_delta", text="a"), delta("thinking_delta", 1, thinking="b")) == [
        TextDelta("a"),
        ThinkingDelta("b"),
    ]


@pytest.mark.parametrize(
    "events",
    [
        [ServerSentEvent("{", "message_start")],
        [ServerSentEvent("[1]", "content_block_delta")],
        [ServerSentEvent("nonsense", "message_delta")],
        [ServerSentEvent('{"id":"broken","choices":[{"delta":}')],
        *(
            [ServerSentEvent(json.dumps(value), str(value["type"])) for value in values]
            for values in (
                [{"type": "message_start"}],
                [{"type": "message_start", "message": [1]}],
                [begun(content="text")],
                [begun(content=["text"])],
                [begun(usage=[1])],
                [{"type": "content_block_start", "index": 0}],
                [{"type": "content_block_start", "index": "0", "content_block": TEXT}],
                [start({**TEXT, "text": 5})],
                [{"type": "content_block_delta", "index": 0}],
                [delta("text_delta", text=5)],
                [delta("text_delta")],
                [delta("input_json_delta", partial_json="{}")],
                [start(CALL), delta("input_json_delta", partial_json={"a": 1})],
                [start(TEXT), delta("input_json_delta", partial_json="{}")],
                [start(CALL), delta("text_delta", text="a")],
                [{"type": "content_block_stop", "index": [0]}],
                [{"type": "message_delta", "delta": [1]}],
                [{"type": "message_delta", "delta": {"stop_reason": {"a": 1}}}],
                [{"type": "message_delta", "delta": {}, "usage": "many"}],
            )
        ),
    ],
)
def test_what_is_malformed_is_a_protocol_error(events: list[ServerSentEvent]) -> None:
    decoder = AnthropicDecoder("test")
    for event in events[:-1]:
        decoder.feed(event)
    with pytest.raises(ProtocolError) as caught:
        decoder.feed(events[-1])
    assert caught.value.provider == "test"


WORDS = [
    *(
        "type",
        "index",
        "delta",
        "content_block",
        "message",
        "content",
        "usage",
        "id",
        "model",
        "name",
        "input",
        "error",
    ),
    *("text", "partial_json", "thinking", "signature", "stop_reason", "stop_details", "explanation", "service_tier"),
]
KINDS = ["content_block_start", "content_block_delta", "content_block_stop", "message_start", "message_delta", "error"]
VALUES = st.recursive(
    st.none()
    | st.integers(-1, 2)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([*KINDS, "text", "tool_use", "text_delta"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from([*KINDS, "message", "ping"]), VALUES, VALUES), min_size=1, max_size=4))
def test_any_json_gives_events_or_a_protocol_error(chunks: list[tuple[str, JSON, JSON]]) -> None:
    decoder = AnthropicDecoder("test")
    for name, one, other in chunks:
        shaped = {"type": name, "index": 0, "delta": one, "content_block": other, "message": one, "usage": other}
        for value in (one, shaped):
            with suppress(ProtocolError):
                decoder.feed(ServerSentEvent(json.dumps(value), name))
        with suppress(ProtocolError):
            Anthropic(ROUTES["anthropic"]).whole(json.dumps({"content": [one, other], "usage": other}).encode())


def test_characters_that_are_cut_between_two_events_are_joined() -> None:
    events = said(
        delta("text_delta", text="a\ud83d"), delta("text_delta", text="\ude00b"), delta("text_delta", text="\ude00")
    )
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a😀b\ufffd"


# A message that begins twice


def test_a_start_that_is_sent_twice_is_told_once() -> None:
    assert said(begun(), begun(), start(TEXT), delta("text_delta", text="a"), begun()) == [
        Started("msg_1", "claude"),
        TextDelta("a"),
    ]


class Answered(BaseModel):
    value: str


def outcome_of(*values: JSON) -> tuple[OutcomeKind, Answered | None]:
    decoder = StreamDecoder(Answered, AnthropicDecoder("test"), tool=True)
    for value in values:
        decoder.feed(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode())
    outcome = decoder.finish().outcome
    assert outcome is not None
    return outcome.kind, outcome.result


SECOND = (
    begun("msg_2"),
    start(CALL),
    delta("input_json_delta", partial_json='{"value": "b"}'),
    stop(),
    ended("tool_use"),
)


def test_a_message_that_is_broken_off_before_its_answer_gives_way_to_the_next() -> None:
    first = (begun(), start(TEXT), delta("text_delta", text="Let me see."), stop(), start(CALL, 1))
    assert outcome_of(*first, *SECOND) == (OutcomeKind.COMPLETE, Answered(value="b"))


def test_a_message_that_is_broken_off_within_its_answer_is_incomplete() -> None:
    first = (begun(), start(CALL), delta("input_json_delta", partial_json='{"value": "a'))
    assert outcome_of(*first, *SECOND) == (OutcomeKind.INCOMPLETE, None)


# Whole answers


def whole(**more: JSON) -> list[ProviderEvent]:
    return Anthropic(ROUTES["anthropic"]).whole(json.dumps(message(**more)).encode())


def test_a_whole_answer_says_the_same_as_a_stream() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "a"},
        {**CALL, "input": {"a": 1}},
        CALL,
    ]
    assert whole(content=content, stop_reason="tool_use", usage={"input_tokens": 1, "output_tokens": 2}) == [
        Started("msg_1", "claude"),
        ThinkingDelta("hm"),
        ThinkingDelta("", "sig"),
        TextDelta("a"),
        ToolDelta("", 0, "toolu_1", "f"),
        ToolDelta('{"a": 1}', 0),
        ToolDelta("", 1, "toolu_1", "f"),
        ToolDelta("{}", 1),
        Finished("tool", "tool_use"),
        UsageReported(Usage(1, 2)),
        StreamEnd(),
    ]


def test_arguments_that_met_the_bound_are_not_taken_for_whole() -> None:
    events = whole(content=[CALL, {**CALL, "input": {"value": "a"}}], stop_reason="max_tokens")
    assert [event.text for event in events if isinstance(event, ToolDelta)] == ["", ""]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "a"}', b'{"content": [1]}'])
def test_a_body_that_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        Anthropic(ROUTES["anthropic"]).whole(body)


def test_an_error_in_place_of_a_whole_answer() -> None:
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "m"}}'
    events = Anthropic(ROUTES["anthropic"]).whole(body)
    assert [type(event) for event in events] == [Failed, StreamEnd]


@needs_corpus
def test_every_recorded_error_is_told_with_its_facts() -> None:
    assert CORPUS is not None
    counts: Counter[str] = Counter()
    folders = ((CORPUS / "errors" / "anthropic").glob("*.json"), (CORPUS / "errors" / "_reported").glob("anthropic*"))
    for file in sorted(file for folder in folders for file in folder):
        about = json.loads(file.read_bytes())
        headers, body = about["headers"] or {}, json.dumps(about["body"]).encode() if about["body"] else b""
        if (about["status"] or 200) == 200:
            counts["inside a stream" if body else "headers alone"] += 1
            assert not body or [type(event) for event in said(about["body"])] == [Failed]
            continue
        found = Anthropic(ROUTES["anthropic"]).error(about["status"], headers, body)
        assert found.provider == "anthropic"
        assert found.request_id == (headers.get("request-id") or (about["body"] or {}).get("request_id")), file.name
        hint = headers.get("x-should-retry")
        assert found.retryable == (about["status"] in (429, 500, 529) if hint is None else hint == "true"), file.name
        counts[type(found).__name__] += 1
    count_bodies("anthropic", "errors", counts)
    assert counts == {
        "BadRequestError": 2,
        "AuthenticationError": 1,
        "NotFoundError": 4,
        "RateLimitedError": 2,
        "ServerError": 1,
        "OverloadedError": 1,
        "inside a stream": 2,
        "headers alone": 1,
    }


def test_an_error_answer_tells_request_id_wait_and_whether_to_retry() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    headers = {"Request-Id": "req_1", "x-should-retry": "false", "retry-after": "3"}
    found = Anthropic(ROUTES["anthropic"]).error(529, headers, body)
    assert type(found) is OverloadedError
    assert (found.provider, found.status, found.request_id, found.retry_after) == ("anthropic", 529, "req_1", 3.0)
    assert not found.retryable


def test_a_model_that_does_not_exist() -> None:
    body = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"req_1"}'
    found = Anthropic(ROUTES["anthropic"]).error(404, {}, body)
    assert type(found) is NotFoundError
    assert (found.code, found.request_id) == ("not_found_error", "req_1")
