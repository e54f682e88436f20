from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, Field

from structstream.decoder import StreamDecoder
from structstream.errors import BadRequestError, ConfigurationError, ProtocolError, QuotaExceededError, ServerError
from structstream.events import (
    Failed,
    Finished,
    Logprobs,
    RefusalDelta,
    ServerSentEvent,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.providers import ROUTES, ConcreteMode, ProviderSpec, route
from structstream.providers.openai_responses import OpenAIResponses, OpenAIResponsesDecoder
from structstream.request import HTTPRequest, StreamingStructuredRequest
from structstream.response import OutcomeKind, TokenLogprob, Usage
from tests.answers import Answer, assert_same
from tests.chunking import cut_at, every_cut
from tests.corpus import CORPUS, needs_corpus
from tests.recordings import JSON, Dialect, body_of, logs_of, payloads_of

FOLDERS = ("openai-responses", "other-openai-responses-compatible")
DIALECT = Dialect("openai-responses", lambda: OpenAIResponsesDecoder("test"), FOLDERS)
CHUNK_PROVIDERS = ("openai-responses", "xai-responses", "open-responses")
SMALL = 3500  # bytes of a body that is cut in two at every place


events_of, recorded = DIALECT.events_of, DIALECT.recorded
said = partial(DIALECT.said, named=True)


def response(status: str = "completed", **more: JSON) -> JSON:
    about = {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": [], **more}
    return {"type": f"response.{status}", "response": about}


CREATED = {**response("in_progress", service_tier="auto"), "type": "response.created"}


def added(item: JSON, index: int = 0, *, done: bool = False) -> JSON:
    return {"type": f"response.output_item.{'done' if done else 'added'}", "output_index": index, "item": item}


def part(kind: str, index: int = 0, **more: JSON) -> JSON:
    return {"type": f"response.{kind}", "output_index": index, **more}


def text(delta: JSON, index: int = 0, place: int = 0, **more: JSON) -> JSON:
    return part("output_text.delta", index, content_index=place, delta=delta, **more)


def function(index: int = 0, name: str = "f", **more: JSON) -> JSON:
    return {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": name, **more}


def message(*parts: JSON, **more: JSON) -> JSON:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts), **more}


def output_text(value: str) -> JSON:
    return {"type": "output_text", "text": value, "annotations": []}


# Recorded streams


def deltas_and_dones(payloads: list[JSON]) -> tuple[dict[JSON, str], dict[JSON, str]]:
    """What the deltas add up to and what the `.done` say, by kind and place; read without the library."""
    deltas: dict[JSON, str] = defaultdict(str)
    dones: dict[JSON, str] = {}
    for one in payloads:
        stem, _, end = one["type"].rpartition(".")
        kind = stem.rpartition(".")[2]
        if kind in ("output_text", "refusal", "reasoning_summary_text", "reasoning_text", "function_call_arguments"):
            place = kind, one["output_index"], one.get("content_index", one.get("summary_index"))
            if end == "delta":
                deltas[place] += one["delta"]
            elif end == "done":
                dones[place] = next(one[key] for key in ("text", "refusal", "arguments") if key in one)
    return deltas, dones


def of_kind(parts: dict[JSON, str], *kinds: str) -> list[str]:
    return [value for place, value in parts.items() if place[0] in kinds and value]


def agrees(answer: Answer, tags: JSON, payloads: list[JSON]) -> dict[str, bool]:
    deltas, dones = deltas_and_dones(payloads)
    thoughts = "".join(of_kind(dones, "reasoning_summary_text", "reasoning_text"))
    return {
        "text": sum(map(len, answer.text.values())) == tags["n_text_chars"],
        "done text": list(answer.text.values()) == of_kind(dones, "output_text"),
        "arguments": sum(map(len, answer.arguments.values())) == tags["n_tool_arg_chars"],
        "done arguments": list(answer.arguments.values()) == of_kind(dones, "function_call_arguments"),
        "calls": len(answer.arguments) == tags["n_tool_calls"],
        "names": all(answer.names.values()),
        "finish": answer.finishes == [reason.rpartition(":")[2] for reason in tags["finish_reasons"]],
        "usage": (answer.usage is not None) == tags["has_usage"],
        "refusal": answer.refusal == "".join(of_kind(deltas, "refusal")),
        "refusals": bool(answer.refusal) == tags["has_refusal"],
        "error": bool(answer.errors) == tags["has_error_event"],
        "thinking": answer.thinking
        == ("".join(of_kind(deltas, "reasoning_summary_text", "reasoning_text")) or thoughts),
        "ended": answer.ended,
        "started": sum(bool(event.response_id) for event in answer.started) == 1,
        "model": answer.started[0].model.startswith(tags["model"]),
        "tier": answer.started[-1].service_tier == (payloads[-1]["response"].get("service_tier") or ""),
    }


@needs_corpus
def test_every_recorded_stream_says_what_its_tags_and_its_own_whole_texts_say() -> None:
    expected_counts = {
        "openai-responses": 234,
        "other-openai-responses-compatible": 10,
        "tools": 72,
        "parallel tools": 8,
        "two messages": 3,
        "thinking": 40,
        "thinking aloud": 8,
        "signed": 10,
        "refusals": 2,
        "incomplete": 5,
        "logprobs": 1,
    }
    with DIALECT.table("sse", expected_counts) as counts:
        for tags in recorded():
            body = body_of(tags)
            events = events_of([body])
            answer = Answer.of(events)
            wrong = [what for what, right in agrees(answer, tags, payloads_of(body)).items() if not right]
            assert not wrong, f"{tags['file']}: {wrong}"
            assert any(isinstance(event, ThinkingDelta) for event in events) == tags["has_thinking"], tags["file"]
            counts[tags["provider"]] += 1
            counts["tools"] += bool(answer.arguments)
            counts["parallel tools"] += len(answer.arguments) > 1
            counts["two messages"] += len(answer.text) > 1
            counts["thinking"] += tags["has_thinking"]
            counts["thinking aloud"] += bool(answer.thinking)
            counts["signed"] += any(isinstance(event, ThinkingDelta) and event.signature != "" for event in events)
            counts["refusals"] += bool(answer.refusal)
            counts["incomplete"] += answer.finishes != ["completed"]
            counts["logprobs"] += any(isinstance(event, Logprobs) for event in events)


@needs_corpus
def test_a_recorded_stream_as_its_last_event_tells_it_says_the_same() -> None:
    """The final response, read as an answer that was not streamed."""
    provider = OpenAIResponses(ROUTES["openai-responses"])
    counts: Counter[str] = Counter()
    for tags in recorded():
        body = body_of(tags)
        last = payloads_of(body)[-1]["response"]
        if not last["output"]:  # some servers say what they said only once
            counts["without"] += 1
            continue
        streamed, whole = Answer.of(events_of([body])), Answer.of(provider.whole(json.dumps(last).encode()))
        for name in ("text", "arguments", "names", "refusal", "finishes", "usage", "ended"):
            assert getattr(whole, name) == getattr(streamed, name), f"{tags['file']}: {name}"
        counts["same"] += 1
    assert counts == {"same": 244}


@needs_corpus
def test_every_recorded_stream_says_the_same_in_every_cut() -> None:
    cuts = 0
    for number, tags in enumerate(sorted(recorded(), key=lambda tags: tags["n_bytes"])):
        body = body_of(tags)
        rng = random.Random(tags["file"])
        counts = (1, 40, len(body) // 9) if number % 8 == 0 else (1, 40)
        some = (cut_at(body, rng.sample(range(1, len(body)), count)) for count in counts)
        cuts += DIALECT.assert_same_in(body, every_cut(body, limit=SMALL) if number < 1 else some)
    assert cuts > 500


@needs_corpus
def test_recorded_chunks_without_framing_are_read_too() -> None:
    expected_counts = {"openai-responses": 31, "xai-responses": 6, "open-responses": 4, "spliced": 2}
    with DIALECT.table("chunks", expected_counts) as counts:
        for name in CHUNK_PROVIDERS:
            for log in logs_of(name):
                tags = log.tags
                broken = log.name.startswith("parallel-tool-call-wrapper")  # two of its lines were cut short by hand
                lines = log.lines[1:-1] if broken else log.lines
                events = DIALECT.events_of_lines(lines)
                answer = Answer.of(events)
                deltas, dones = deltas_and_dones([json.loads(line) for line in lines])
                silent = {place: value for place, value in dones.items() if place not in deltas}
                counted = sum(map(len, of_kind(silent, "function_call_arguments")))  # the tags count deltas
                spliced = sum(isinstance(event, Started) and event.response_id != "" for event in events) > 1
                assert sum(map(len, answer.text.values())) == tags["n_text_chars"], log.name
                assert sum(map(len, answer.arguments.values())) == tags["n_tool_arg_chars"] + counted, log.name
                assert len(answer.arguments) == tags["n_tool_calls"] + spliced * bool(answer.arguments), log.name
                assert set(answer.names.values()) == set(tags["tool_names"]), log.name
                assert set(answer.finishes) == set(tags["finish_reasons"]) - {"failed"}, log.name
                assert bool(answer.errors) == tags["has_error_event"], log.name
                assert (answer.usage is not None) == tags["has_usage"], log.name
                assert any(isinstance(event, ThinkingDelta) for event in events) == tags["has_thinking"], log.name
                for arguments in answer.arguments.values():
                    json.loads(arguments)
                assert_same(DIALECT.events_of_lines(lines, b"\r\n\r\n"), events)
                counts[name] += 1
                counts["spliced"] += spliced


@needs_corpus
def test_a_chunk_that_was_cut_short_is_a_protocol_error() -> None:
    assert CORPUS is not None
    file = CORPUS / "chunks" / "openai-responses" / "parallel-tool-call-wrapper.1.chunks.txt"
    for line in (file.read_bytes().splitlines()[0], file.read_bytes().splitlines()[-1]):
        with pytest.raises(ProtocolError):
            events_of([b"data: " + line + b"\n\n"])


# What a stream can carry


def test_the_start_is_told_once() -> None:
    assert said(CREATED, {**CREATED, "type": "response.in_progress"}) == [Started("resp_1", "m", "auto")]
    queued = {**CREATED, "type": "response.queued"}
    assert said(queued, CREATED, {**CREATED, "type": "response.in_progress"}) == [Started("resp_1", "m", "auto")]


def test_the_service_tier_is_known_at_the_end() -> None:
    events = said(CREATED, response(service_tier="default"))
    assert events == [
        Started("resp_1", "m", "auto"),
        Started("", "", "default"),
        Finished("stop", "completed"),
        StreamEnd(),
    ]
    assert outcome_of(CREATED, text("[1]"), response(service_tier="flex")).service_tier == "flex"


def test_text_of_several_parts_of_one_message_is_one_answer() -> None:
    events = [added(message()), text('{"a"'), text(": 1", place=1), text("}", place=1), text("", place=2)]
    assert said(*events) == [TextDelta('{"a"'), TextDelta(": 1"), TextDelta("}")]


def test_a_done_counts_only_where_no_delta_came() -> None:
    whole = message(output_text("ab"), output_text("c"))
    dones = [
        part("output_text.done", content_index=0, text="ab"),
        part("content_part.done", content_index=0, part=output_text("ab")),
        part("content_part.done", content_index=1, part=output_text("c")),
        part("output_text.done", content_index=1, text="c"),
        added(whole, done=True),
        response(output=[whole]),
    ]
    ends = [Finished("stop", "completed"), StreamEnd()]
    assert said(CREATED, text("a"), text("b"), *dones)[1:] == [TextDelta("a"), TextDelta("b"), TextDelta("c"), *ends]
    assert said(CREATED, *dones)[1:] == [TextDelta("ab"), TextDelta("c"), *ends]
    assert said(CREATED, *dones[-2:])[1:] == [TextDelta("ab"), TextDelta("c"), *ends]
    assert said(CREATED, *dones[-1:])[1:] == [TextDelta("ab"), TextDelta("c"), *ends]


def test_an_answer_that_only_the_final_response_holds_is_told_behind_its_reasoning() -> None:
    reasoning = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}
    sealed = {**reasoning, "encrypted_content": "seal"}
    thought = part("reasoning_summary_text.delta", summary_index=0, delta="hm")
    told = said(
        added({**reasoning, "summary": []}),
        thought,
        added(sealed, done=True),
        response(output=[sealed, message(output_text("a"))]),
    )
    assert [one for one in told if isinstance(one, ThinkingDelta)] == [
        ThinkingDelta(""),
        ThinkingDelta("hm"),
        ThinkingDelta("", "seal"),
    ]
    assert [one for one in told if isinstance(one, TextDelta)] == [TextDelta("a")]


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled"])
def test_an_end_that_is_called_completed_is_what_its_response_says(status: str) -> None:
    more = {"incomplete_details": {"reason": "max_output_tokens"}, "error": {"code": "server_error", "message": "m"}}
    named, honest = said({**response(status, **more), "type": "response.completed"}), said(response(status, **more))
    assert repr(named) == repr(honest)
    assert not any(isinstance(one, Finished) and one.reason == "stop" for one in named)


def test_of_several_messages_the_first_is_the_answer() -> None:
    events = [added(message(), 0), text("a"), added(message(), 1), text("b", 1), added(message(), 2), text("c", 2)]
    assert said(*events) == [TextDelta("a"), TextDelta("b", 1), TextDelta("c", 2)]


def test_commentary_is_not_the_answer() -> None:
    events = [
        *(added(message(phase="commentary"), 0), text("I look it up."), added(message(phase="final_answer"), 2)),
        *(text("[1]", 2), text(" Done.", 0)),
    ]
    assert said(*events) == [TextDelta("I look it up.", 1), TextDelta("[1]"), TextDelta(" Done.", 1)]


def test_an_empty_message_does_not_take_the_place_of_the_answer() -> None:
    done = added(message(output_text("")), done=True)
    assert said(added(message()), text(""), done, added(message(), 1), text("1", 1)) == [TextDelta("1")]


def test_ids_that_change_do_not_matter() -> None:
    events = [
        text("a", item_id="x"),
        text("b", item_id="y"),
        added({**message(output_text("ab")), "id": "z"}, done=True),
    ]
    assert said(*events) == [TextDelta("a"), TextDelta("b")]


def test_where_there_is_no_index_the_id_will_do() -> None:
    events = [
        {"type": "response.output_item.added", "item": function(7)},
        {"type": "response.output_item.added", "item": function(8, "g")},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_8", "delta": "2"},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_7", "delta": "1"},
    ]
    first, second = ToolDelta("", 0, "call_7", "f"), ToolDelta("", 1, "call_8", "g")
    assert said(*events) == [first, second, ToolDelta("2", 1), ToolDelta("1", 0)]
    assert said({"type": "response.output_text.delta", "delta": "a"}) == [TextDelta("a")]


def test_parallel_calls() -> None:
    events = [
        added(function(1), 1),
        added(function(3, "g"), 3),
        part("function_call_arguments.delta", 1, delta='{"x"'),
        part("function_call_arguments.delta", 3, delta="{}"),
        part("function_call_arguments.delta", 1, delta=": 1}"),
        part("function_call_arguments.done", 1, arguments='{"x": 1}'),
        added(function(1, arguments='{"x": 1}'), 1, done=True),
    ]
    assert said(*events) == [
        *(ToolDelta("", 0, "call_1", "f"), ToolDelta("", 1, "call_3", "g")),
        *(ToolDelta('{"x"', 0), ToolDelta("{}", 1), ToolDelta(": 1}", 0)),
    ]


def test_arguments_that_come_whole() -> None:
    opened = ToolDelta("", 0, "call_0", "f")
    done = part("function_call_arguments.done", arguments="{}", name="f")
    assert said(added(function()), done, added(function(arguments="{}"), done=True)) == [opened, ToolDelta("{}")]
    assert said(added(function(arguments="{}"), done=True)) == [opened, ToolDelta("{}")]


def test_a_name_may_come_late() -> None:
    events = [
        part("function_call_arguments.delta", delta="{"),
        part("function_call_arguments.done", arguments="{}", name="f"),
        part("function_call_arguments.done", arguments="{}", name="f"),
    ]
    assert said(*events) == [ToolDelta("{"), ToolDelta("", 0, "", "f")]


def test_thinking_is_told_from_its_beginning_and_in_one_form() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    events = [
        added(item),
        part("reasoning_summary_text.delta", summary_index=0, delta="a"),
        part("reasoning_summary_text.delta", summary_index=1, delta="b"),
        part("reasoning_text.delta", content_index=0, delta="a and b, at length"),
        part("reasoning_summary_text.done", summary_index=0, text="a"),
        added({**item, "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "s"}, done=True),
    ]
    assert said(*events) == [*map(ThinkingDelta, ("", "a", "b")), ThinkingDelta("", "s")]
    assert said(part("reasoning_text.delta", content_index=0, delta="x")) == [ThinkingDelta("x")]
    whole = {**item, "content": [{"type": "reasoning_text", "text": "x"}]}
    assert said(added(whole, done=True)) == [ThinkingDelta(""), ThinkingDelta("x")]


def test_a_refusal() -> None:
    refused = {"type": "refusal", "refusal": "I will not."}
    events = [
        part("refusal.delta", content_index=0, delta="I will"),
        part("refusal.delta", content_index=0, delta=" not."),
        part("refusal.done", content_index=0, refusal="I will not."),
        added(message(refused), done=True),
        response(output=[message(refused)]),
    ]
    ends = [Started("resp_1", "m"), Finished("refused", "completed"), StreamEnd()]
    assert said(*events) == [RefusalDelta("I will"), RefusalDelta(" not."), *ends]
    assert said(*events[2:]) == [RefusalDelta("I will not."), *ends]
    assert said(*events[3:]) == [RefusalDelta("I will not."), *ends]


def test_logprobs() -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}, {"token": "b", "logprob": -1}]
    assert said(text("ab", logprobs=tokens), text("c", logprobs=[])) == [
        *(TextDelta("ab"), Logprobs([TokenLogprob("a", -0.5), TokenLogprob("b", -1.0)]), TextDelta("c")),
    ]
    assert said(text("a", logprobs={"content": 1})) == [TextDelta("a")]


@pytest.mark.parametrize(
    ("event", "finished"),
    [
        (response(), Finished("stop", "completed")),
        (response(output=[function()]), Finished("tool", "completed")),
        (
            response("incomplete", incomplete_details={"reason": "max_output_tokens"}),
            Finished("length", "max_output_tokens"),
        ),
        (
            response("incomplete", incomplete_details={"reason": "content_filter"}),
            Finished("filtered", "content_filter"),
        ),
        (response("incomplete", incomplete_details={"reason": "other"}), Finished("other", "other")),
        (response("incomplete", incomplete_details=None), Finished("other", "incomplete")),
        (response("cancelled"), Finished("other", "cancelled")),
    ],
)
def test_how_a_response_ends(event: JSON, finished: Finished) -> None:
    assert said(event)[-2:] == [finished, StreamEnd()]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(10, 5, 4, 3),
        ),
        ({"input_tokens": 10, "output_tokens": None, "input_tokens_details": None}, Usage(10)),
    ],
)
def test_usage(usage: JSON, expected: Usage) -> None:
    assert UsageReported(expected) in said(response(usage=usage))


ERROR = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        ({"type": "error", "error": ERROR, "sequence_number": 2}, QuotaExceededError, "insufficient_quota"),
        ({"type": "error", "code": "server_error", "message": "m", "param": None}, ServerError, "server_error"),
        ({"type": "error", "code": None, "message": "m"}, ServerError, None),
        ({"type": "response.error", "error": {"message": "m"}}, ServerError, None),
        (response("failed", error={"code": "invalid_prompt", "message": "m"}), BadRequestError, "invalid_prompt"),
    ],
)
def test_errors_inside_the_stream(event: JSON, kind: type[Exception], code: str | None) -> None:
    failed = said(event)[-1]
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind
    assert (failed.error.message, failed.error.code) == ("m", code)


def test_an_error_is_told_once_and_after_the_usage() -> None:
    failed = response("failed", error=ERROR, usage={"input_tokens": 3})
    assert [type(event) for event in said(CREATED, failed)] == [Started, UsageReported, Failed]
    assert [type(event) for event in said({"type": "error", "error": ERROR}, response("failed", error=ERROR))] == [
        Failed,
        Started,
    ]
    assert isinstance(said(response("failed", error=None))[-1], Failed)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (ServerSentEvent('{"error": {"message": "m"}}'), "m"),
        (ServerSentEvent('{"error": {"message": "m"}}', "error"), "m"),
        (ServerSentEvent("busy", "error"), "busy"),
    ],
)
def test_errors_of_another_form(event: ServerSentEvent, message: str) -> None:
    (failed,) = OpenAIResponsesDecoder("test").feed(event)
    assert isinstance(failed, Failed)
    assert failed.error.message == message


def test_the_name_of_the_event_will_do_where_the_data_has_no_type() -> None:
    event = ServerSentEvent('{"output_index": 0, "delta": "a"}', "response.output_text.delta")
    assert OpenAIResponsesDecoder("test").feed(event) == [TextDelta("a")]


def test_a_relays_mark_of_the_end_is_no_second_one() -> None:
    decoder = OpenAIResponsesDecoder("test")
    assert decoder.feed(ServerSentEvent(json.dumps(response())))[-1] == StreamEnd()
    assert decoder.feed(ServerSentEvent("[DONE]")) == []
    assert OpenAIResponsesDecoder("test").feed(ServerSentEvent("[DONE]")) == [StreamEnd()]


def test_the_sequence_number_is_kept_to_take_a_stream_up_again() -> None:
    decoder = OpenAIResponsesDecoder("test")
    assert decoder.sequence_number is None
    decoder.feed(ServerSentEvent(json.dumps(text("a", sequence_number=7))))
    decoder.feed(ServerSentEvent(json.dumps(text("b"))))
    assert decoder.sequence_number == 7


def test_a_second_response_in_the_stream_is_never_mixed_with_the_first() -> None:
    first = [CREATED, added(function(0)), part("function_call_arguments.delta", 0, delta='{"x"')]
    again = {"type": "response.created", "response": {"id": "resp_2", "model": "m"}}
    events = said(*first, again, added(function(0)), part("function_call_arguments.delta", 0, delta="{}"))
    assert [event for event in events if isinstance(event, Started)] == [
        Started("resp_1", "m", "auto"),
        Started("resp_2", "m"),
    ]
    assert Answer.of(events).arguments == {(0, 0): '{"x"', (0, 1): "{}"}


@pytest.mark.parametrize(
    "event",
    [
        ServerSentEvent('{"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation"}}'),
        ServerSentEvent('{"type": "response.code_interpreter_call_code.delta", "delta": "x"}'),
        ServerSentEvent('{"type": "response.mcp_call_arguments.delta", "delta": "x", "output_index": 0}'),
        ServerSentEvent('{"type": "response.custom_tool_call_input.delta", "delta": "x", "output_index": 0}'),
        ServerSentEvent('{"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}'),
        ServerSentEvent('{"type": "response.output_item.added", "item": {"type": "web_search_call"}}'),
        ServerSentEvent('{"type": "response.output_item.done", "item": {"type": "compaction", "content": 1}}'),
        ServerSentEvent('{"type": "response.content_part.done", "part": {"type": "audio"}}'),
        ServerSentEvent('{"type": 5, "x": 1}'),
        ServerSentEvent('{"choices": [{"delta": {"content": "a"}}]}'),
        ServerSentEvent("not JSON", "ping"),
        ServerSentEvent("not JSON", "response.unknown.delta"),
        ServerSentEvent(" "),
        ServerSentEvent(""),
    ],
)
def test_what_is_unknown_is_ignored(event: ServerSentEvent) -> None:
    assert OpenAIResponsesDecoder("test").feed(event) == []


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1]",
        '{"type": "response.created"}',
        '{"type": "response.completed", "response": 1}',
        '{"type": "response.completed", "response": {"usage": [1]}}',
        '{"type": "response.completed", "response": {"output": {"a": 1}}}',
        '{"type": "response.completed", "response": {"output": ["a"]}}',
        '{"type": "response.output_item.added"}',
        '{"type": "response.output_item.added", "item": {"type": "function_call", "name": 5}}',
        '{"type": "response.output_item.added", "output_index": null, "item": {"id": [1]}}',
        '{"type": "response.output_item.done", "item": {"type": "message", "content": "a"}}',
        '{"type": "response.content_part.done"}',
        '{"type": "response.content_part.done", "part": {"type": "output_text", "text": 5}}',
        '{"type": "response.output_text.delta"}',
        '{"type": "response.output_text.delta", "delta": {"a": 1}}',
        '{"type": "response.output_text.delta", "delta": "a", "content_index": "0"}',
        '{"type": "response.output_text.delta", "delta": "a", "item_id": {"a": 1}}',
        '{"type": "response.function_call_arguments.delta", "delta": 5}',
        '{"type": "response.function_call_arguments.done", "name": [1]}',
    ],
)
def test_what_is_malformed_is_a_protocol_error(data: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        OpenAIResponsesDecoder("test").feed(ServerSentEvent(data))
    assert caught.value.provider == "test"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("id", "item_id", "output_index", "content_index", "summary_index", "sequence_number", "delta"),
                    *("text", "refusal", "arguments", "name", "call_id", "logprobs", "token", "logprob", "type"),
                    *("summary", "content", "encrypted_content", "phase", "output", "usage", "input_tokens", "status"),
                    *("error", "message", "code", "incomplete_details", "reason", "model", "input_tokens_details"),
                ]
            ),
            inner
            | st.sampled_from(["message", "function_call", "reasoning", "output_text", "refusal", "summary_text"]),
            max_size=6,
        )
    ),
    max_leaves=12,
)
NAMES = [
    *(f"response.{word}" for word in ("created", "in_progress", "completed", "incomplete", "failed", "cancelled")),
    *(f"response.output_item.{word}" for word in ("added", "done")),
    *(f"response.{kind}.{word}" for kind in ("output_text", "refusal", "reasoning_text") for word in ("delta", "done")),
    *(f"response.function_call_arguments.{word}" for word in ("delta", "done")),
    *("response.content_part.done", "response.reasoning_summary_text.delta", "error", "message", "ping"),
]


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=1, max_size=4))
def test_any_json_gives_events_or_a_protocol_error(events: list[tuple[str, JSON]]) -> None:
    decoder, provider = OpenAIResponsesDecoder("test"), OpenAIResponses(ProviderSpec(name="test"))
    for name, value in events:
        for data in (value, {"response": value}, {"item": value, "part": value}):
            body = {**data, "type": name} if isinstance(data, dict) else data
            try:
                decoder.feed(ServerSentEvent(json.dumps(body), name))
                provider.whole(json.dumps(data).encode())
            except ProtocolError:
                pass


def test_characters_that_are_cut_between_two_events_are_joined() -> None:
    pieces = ["a\ud83d", "\ude00b", "\ude00", "c\ud83d", "d"]
    assert Answer.of(said(*map(text, pieces))).text[0] == "a😀b\ufffdc\ufffdd"
    calls = [
        part("function_call_arguments.delta", index, delta=half) for half in ("\ud83d", "\ude00") for index in (0, 1)
    ]
    assert Answer.of(said(*calls)).arguments == {(0, 0): "😀", (0, 1): "😀"}


# Whole answers


def test_a_whole_answer_says_the_same_as_a_stream() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "s"},
        {"type": "web_search_call", "status": "completed"},
        message(output_text("a"), output_text("b")),
        function(arguments="{}"),
    ]
    body = {
        "id": "r",
        "model": "m",
        "status": "completed",
        "output": output,
        "usage": {"input_tokens": 1},
        "error": None,
    }
    assert OpenAIResponses(ROUTES["openai-responses"]).whole(json.dumps(body).encode()) == [
        Started("r", "m"),
        *(ThinkingDelta(""), ThinkingDelta("hm"), ThinkingDelta("", "s")),
        *(TextDelta("a"), TextDelta("b")),
        *(ToolDelta("", 0, "call_0", "f"), ToolDelta("{}")),
        *(Finished("tool", "completed"), UsageReported(Usage(1)), StreamEnd()),
    ]


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        ("incomplete", [Started, TextDelta, Finished, StreamEnd]),
        ("in_progress", [Started, TextDelta, StreamEnd]),
        ("queued", [Started, TextDelta, StreamEnd]),
        (None, [Started, TextDelta, Finished, StreamEnd]),
    ],
)
def test_a_whole_answer_may_be_unfinished(status: str | None, kinds: list[type]) -> None:
    body = {"id": "r", "status": status, "output": [message(output_text("a"))]}
    events = OpenAIResponses(ROUTES["openai-responses"]).whole(json.dumps(body).encode())
    assert [type(event) for event in events] == kinds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"output": 1}', b'{"choices": []}'])
def test_a_body_that_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        OpenAIResponses(ROUTES["openai-responses"]).whole(body)


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "m"}}', b'{"status": "failed", "output": [], "error": {"code": "c", "message": "m"}}'],
)
def test_an_error_in_place_of_a_whole_answer(body: bytes) -> None:
    events = OpenAIResponses(ROUTES["openai-responses"]).whole(body)
    assert [type(event) for event in events] == [Failed, StreamEnd]


# What the decoder of streams makes of it


def outcome_of(*events: JSON, tool: bool = False) -> Any:  # Any: an outcome of any type
    decoder = StreamDecoder(list[int], OpenAIResponsesDecoder("test"), tool=tool)
    for event in events:
        decoder.feed(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return decoder.finish().outcome


def test_what_comes_beside_the_answer_is_on_the_outcome() -> None:
    outcome = outcome_of(
        CREATED,
        *(added({"type": "reasoning"}), part("reasoning_summary_text.delta", summary_index=0, delta="hm")),
        *(added(message(phase="commentary"), 1), text("Wait.", 1), added(message(), 2), text("[1]", 2)),
        *(added(message(), 3), text("[2]", 3), response(usage={"input_tokens": 2, "output_tokens": 1})),
    )
    assert (outcome.kind, outcome.result, outcome.thinking) == (OutcomeKind.COMPLETE, [1], "hm")
    assert outcome.other_choices == {1: "Wait.", 2: "[2]"}
    assert (outcome.response_id, outcome.usage, outcome.finish_reason) == ("resp_1", Usage(2, 1), "completed")


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        (
            [CREATED, text("[1"), response("incomplete", incomplete_details={"reason": "max_output_tokens"})],
            "truncated",
        ),
        ([CREATED, text("[1"), response("incomplete", incomplete_details={"reason": "content_filter"})], "filtered"),
        ([CREATED, text("[1")], "incomplete"),
        ([CREATED, text("[1"), response("failed", error=ERROR)], "provider_error"),
        ([CREATED, part("refusal.delta", content_index=0, delta="No."), response()], "refused"),
        ([CREATED, text("[1"), response("cancelled")], "invalid"),
        ([CREATED, text("[1"), {"type": "response.created", "response": {"id": "resp_2"}}, text("[1]")], "incomplete"),
    ],
)
def test_the_outcomes(events: list[JSON], kind: str) -> None:
    assert outcome_of(*events).kind == kind


# Requests


class Profile(BaseModel):
    """A person."""

    name: str
    age: int = Field(3, ge=0)


def encode(
    mode: ConcreteMode, response_model: object = Profile, model: str = "openai-responses/gpt-4o", **options: JSON
) -> HTTPRequest:
    request: StreamingStructuredRequest[object] = StreamingStructuredRequest(
        response_model=response_model,  # type: ignore[arg-type]  # any type
        model=model,
        **{"prompt": "Who?", **options},
    )
    found = route(model)
    return found.provider.encode(request, model=found.model, mode=mode)


def input_of(*messages: JSON, **options: JSON) -> JSON:
    return encode("native", prompt=None, messages=messages, **options).body["input"]


def test_native_sends_the_strict_schema() -> None:
    request = encode("native")
    assert (request.method, request.path) == ("POST", "/responses")
    assert request.headers == {"content-type": "application/json", "accept": "text/event-stream"}
    assert request.body == {
        "model": "gpt-4o",
        "input": [{"role": "user", "content": "Who?"}],
        "text": {
            "format": {
                "type": "json_schema",
                "name": "Profile",
                "strict": True,
                "schema": {
                    "type": "object",
                    "title": "Profile",
                    "description": "A person.",
                    "properties": {
                        "name": {"type": "string", "title": "Name"},
                        "age": {"type": "integer", "title": "Age", "minimum": 0},
                    },
                    "required": ["name", "age"],
                    "additionalProperties": False,
                },
            }
        },
        "stream": True,
    }
    assert json.loads(request.content()) == request.body


def test_tool_forces_the_call() -> None:
    body = encode("tool", list[int]).body
    assert "text" not in body
    assert body["tool_choice"] == {"type": "function", "name": "list"}
    (tool,) = body["tools"]
    assert (tool["type"], tool["name"], tool["strict"]) == ("function", "list", True)
    assert tool["description"] == "Gives the answer."
    assert tool["parameters"]["properties"] == {"result": {"type": "array", "items": {"type": "integer"}}}


def test_a_tool_that_is_not_strict_says_so() -> None:
    (tool,) = encode("tool", dict[str, int]).body["tools"]
    assert tool["parameters"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert tool["strict"] is False
    (tool,) = encode("tool", model="openrouter-responses/a/b").body["tools"]
    assert tool["strict"] is False


def test_native_says_what_it_cannot_say() -> None:
    with pytest.raises(ConfigurationError, match=r"openai-responses .* a mapping with free keys; choose mode='auto'"):
        encode("native", dict[str, int])


def test_native_takes_any_schema_where_the_provider_does() -> None:
    shape = encode("native", dict[str, int], "vllm-responses/x").body["text"]["format"]
    assert shape["strict"] is False
    assert shape["schema"] == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_prompted_puts_the_schema_into_a_system_message() -> None:
    body = encode("prompted").body
    assert not {"text", "tools", "tool_choice"} & set(body)
    system, user = body["input"]
    assert system["role"] == "system"
    assert '"properties": {"name"' in system["content"]
    assert user == {"role": "user", "content": "Who?"}
    joined, _ = encode("prompted", system="Be brief.").body["input"]
    assert joined["content"].startswith("Be brief.\n\nAnswer with one JSON value")


def test_the_bounds_have_their_own_names_and_a_seed_is_not_sent() -> None:
    body = encode("prompted", temperature=0.5, max_tokens=9, seed=7).body
    assert (body["temperature"], body["max_output_tokens"]) == (0.5, 9)
    assert set(body) == {"model", "input", "temperature", "max_output_tokens", "stream"}


def test_a_stop_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="openai-responses cannot stop at a text"):
        encode("native", stop="END")


def test_messages_of_several_roles() -> None:
    messages = [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Ada."}]},
        {"role": "developer", "content": "Be brief."},
    ]
    assert input_of(*messages, system="Be kind.") == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Ada."}]},
        {"role": "developer", "content": "Be brief."},
    ]


def test_parts_are_said_in_this_dialects_words() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": b"\x89PNG\r\n\x1a\n"}},
        {"type": "input_image", "image_url": "https://example.com/b.png", "detail": "high"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "file", "file": {"file_id": "file_2"}},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]
    (user,) = input_of({"role": "user", "content": parts})
    assert user["content"] == [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
        {"type": "input_image", "image_url": "https://example.com/b.png", "detail": "high"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_id": "file_2"},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]


def test_calls_and_their_results_are_items_of_their_own() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    items = input_of(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    )
    assert items[1:] == [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "4"},
    ]


def test_without_streaming() -> None:
    request = encode("native", enable_streaming=False)
    assert request.body["stream"] is False
    assert request.headers["accept"] == "application/json"


def test_extra_and_headers_win_and_a_verbosity_stands_beside_the_format() -> None:
    extra = {"temperature": 0, "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}}
    request = encode("native", temperature=1, extra=extra, headers={"Accept": "x"})
    assert (request.body["temperature"], request.headers["accept"]) == (0, "x")
    assert request.body["reasoning"] == {"effort": "low"}
    assert set(request.body["text"]) == {"format", "verbosity"}
    assert encode("tool", extra=extra).body["text"] == {"verbosity": "low"}


def test_a_row_can_add_headers() -> None:
    spec = ProviderSpec(name="mine", dialect="openai_responses", headers=(("x-title", "structstream"),))
    request: StreamingStructuredRequest[int] = StreamingStructuredRequest(
        response_model=int, model="mine/x", prompt="?"
    )
    assert OpenAIResponses(spec).encode(request, model="x", mode="tool").headers["x-title"] == "structstream"


def test_an_error_answer_is_the_providers() -> None:
    body = b'{"error": {"message": "no", "type": "invalid_request_error", "param": "input", "code": null}}'
    error = OpenAIResponses(ROUTES["openai-responses"]).error(400, {"x-request-id": "req_1"}, body)
    assert isinstance(error, BadRequestError)
    assert (error.provider, error.status, error.request_id) == ("openai-responses", 400, "req_1")
