from __future__ import annotations

import json
from collections import defaultdict
from functools import partial

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, Field

from structstream.errors import (
    BadRequestError,
    ConfigurationError,
    OverloadedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
)
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
from structstream.providers.openai_chat import OpenAIChat, OpenAIChatDecoder
from structstream.request import HTTPRequest, StreamingStructuredRequest
from structstream.response import TokenLogprob, Usage
from tests.answers import Answer, is_json
from tests.chunking import cut_at, every_cut
from tests.corpus import needs_corpus
from tests.recordings import JSON, Dialect, body_of, logs_of, payloads_of

DIALECT = Dialect("openai-chat", lambda: OpenAIChatDecoder("test"), ("openai-chat", "other-openai-compatible"))
CHUNK_PROVIDERS = (
    *("alibaba", "azure", "cerebras", "deepseek", "groq", "mistral", "moonshotai"),
    *("openai-chat", "openai-compatible", "perplexity", "xai"),
)


events_of, recorded = DIALECT.events_of, DIALECT.recorded
said = partial(DIALECT.said, started=False)


def read(pieces: list[bytes]) -> Answer:
    return Answer.of(events_of(pieces))


def choice(delta: JSON, index: int = 0, **more: JSON) -> JSON:
    return {"id": "c", "model": "m", "choices": [{"index": index, "delta": delta, **more}]}


def call(arguments: JSON, **more: JSON) -> JSON:
    name = more.pop("name", None)
    function = {"arguments": arguments, **({"name": name} if name is not None else {})}
    return choice({"tool_calls": [{"function": function, **more}]})


# Recorded streams


def plain_reading(body: bytes) -> tuple[dict[int, str], str]:
    """The texts by choice, and all tool arguments, read with nothing but the standard library."""
    texts: dict[int, str] = defaultdict(str)
    arguments = ""
    for payload in payloads_of(body):
        for one in payload.get("choices") or ():
            content = one["delta"].get("content")
            if isinstance(content, str):
                texts[one["index"]] += content
            for tool_call in one["delta"].get("tool_calls") or ():
                arguments += tool_call["function"].get("arguments") or ""
    return {number: text for number, text in texts.items() if text}, arguments


def agrees(answer: Answer, tags: JSON, body: bytes) -> dict[str, bool]:
    usage_apart = b'"x_groq":{' in body and answer.usage is not None  # Groq's extension, which the tags do not count
    sealed = b"reasoning.encrypted" in body and not answer.thinking  # nothing to show
    arguments = list(answer.arguments.values())
    return {
        "text": sum(map(len, answer.text.values())) == tags["n_text_chars"],
        "arguments": sum(map(len, arguments)) == tags["n_tool_arg_chars"],
        "calls": len(arguments) == tags["n_tool_calls"],
        "valid arguments": not tags["tool_args_all_valid_json"] or all(map(is_json, arguments)),
        "finish": sorted(set(answer.finishes)) == sorted(tags["finish_reasons"]),
        "usage": (answer.usage is not None) == tags["has_usage"] or usage_apart,
        "refusal": bool(answer.refusal) == tags["has_refusal"],
        "error": bool(answer.errors) == tags["has_error_event"],
        "end": answer.ended == tags["has_done_sentinel"],
        "thinking": bool(answer.thinking) == tags["has_thinking"] or sealed,
        "started": len(answer.started) == 1,
    }


@needs_corpus
def test_every_recorded_stream_says_what_its_tags_say() -> None:
    expected_counts = {
        "openai-chat": 241,
        "other-openai-compatible": 45,
        "tools": 90,
        "thinking": 14,
        "refusals": 4,
        "errors": 3,
        "without [DONE]": 7,
        "without a finish": 4,
        "with usage": 197,
    }
    with DIALECT.table("sse", expected_counts) as counts:
        for tags in recorded():
            body = body_of(tags)
            answer = read([body])
            wrong = [what for what, right in agrees(answer, tags, body).items() if not right]
            assert not wrong, f"{tags['file']}: {wrong}"
            texts, arguments = plain_reading(body)
            assert answer.text == texts, tags["file"]
            # Parallel calls may be interleaved on the wire.
            assert sorted("".join(answer.arguments.values())) == sorted(arguments), tags["file"]
            counts[tags["provider"]] += 1
            counts["tools"] += bool(answer.arguments)
            counts["thinking"] += bool(answer.thinking)
            counts["refusals"] += bool(answer.refusal)
            counts["errors"] += bool(answer.errors)
            counts["without [DONE]"] += not answer.ended
            counts["without a finish"] += not answer.finishes
            counts["with usage"] += answer.usage is not None


@needs_corpus
def test_every_recorded_stream_says_the_same_in_every_cut() -> None:
    cuts = 0
    for number, tags in enumerate(recorded()):
        body = body_of(tags)
        few = (cut_at(body, range(1 + number % 7, len(body), 1 + 37 * n)) for n in (1, 7))
        cuts += DIALECT.assert_same_in(body, every_cut(body, limit=900) if len(body) <= 900 else few)
    assert cuts > 500


@needs_corpus
def test_recorded_chunks_without_framing_are_read_too() -> None:
    expected_counts = {"chat": 24, "other dialects": 8}
    with DIALECT.table("chunks", expected_counts) as counts:
        for log in logs_of(*CHUNK_PROVIDERS):
            if log.about["wire_format"] != "chat":
                counts["other dialects"] += 1
                continue
            tags, answer = log.tags, Answer.of(DIALECT.events_of_lines(log.lines))
            assert sorted(set(answer.finishes)) == sorted(tags["finish_reasons"]), log.name
            assert (answer.usage is not None) == tags["has_usage"], log.name
            assert bool(answer.thinking) == tags["has_thinking"], log.name
            assert bool(answer.arguments) == tags["has_tool_call"], log.name
            assert set(answer.names.values()) == set(tags["tool_names"]), log.name
            for arguments in answer.arguments.values():
                json.loads(arguments)
            counts["chat"] += 1


# What a chunk can carry


def test_text_thinking_refusal_and_the_end() -> None:
    decoder = OpenAIChatDecoder("test")
    first = {**choice({"role": "assistant", "content": ""}), "service_tier": "default"}
    assert decoder.feed(ServerSentEvent(json.dumps(first))) == [Started("c", "m", "default")]
    assert said(choice({"content": "a"}), choice({"content": "b"}, index=2)) == [TextDelta("a"), TextDelta("b", 2)]
    assert said(choice({"refusal": "no"})) == [RefusalDelta("no")]
    assert said(choice({"reasoning_content": "hm"}), choice({"reasoning_content": None})) == [ThinkingDelta("hm")]
    assert decoder.feed(ServerSentEvent("[DONE]")) == [StreamEnd()]
    assert decoder.feed(ServerSentEvent("")) == []


def test_content_may_be_a_list_of_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "a"},
    ]
    assert said(choice({"content": parts})) == [ThinkingDelta("hm"), TextDelta("a")]


def test_thinking_may_be_a_part_with_a_summary() -> None:
    parts = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, {"type": "text", "text": "a"}]
    assert said(choice({"content": parts})) == [ThinkingDelta("hm"), TextDelta("a")]


def test_thinking_that_is_sent_under_two_names_is_told_once() -> None:
    both = choice(
        {"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": [{"text": "hm", "signature": "s"}]}
    )
    assert said(both, both) == [ThinkingDelta("hm"), ThinkingDelta("", "s")] * 2
    assert said(choice({"reasoning_details": [{"type": "reasoning.summary", "summary": "x"}]})) == [ThinkingDelta("x")]


def test_tool_calls_by_index() -> None:
    assert said(
        call("", index=0, id="a", name="f"),
        call('{"x"', index=0),
        call(":1}", index=0),
        call("{}", index=1, id="b", name="g"),
    ) == [ToolDelta("", 0, "a", "f"), ToolDelta('{"x"'), ToolDelta(":1}"), ToolDelta("{}", 1, "b", "g")]


def test_tool_calls_without_an_index() -> None:
    assert said(call("{}", id="a", name="f"), call("{}", id="b", name="f")) == [
        ToolDelta("{}", 0, "a", "f"),
        ToolDelta("{}", 1, "b", "f"),
    ]
    assert said(call('{"x"', id="a", name="f"), call(":1}"), call("", id="a", name="f"), call("{}", name="g")) == [
        ToolDelta('{"x"', 0, "a", "f"),
        ToolDelta(":1}"),
        ToolDelta("{}", 1, "", "g"),
    ]


def test_parallel_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    assert said(call("{}", index=0, id="a", name="f"), call("[]", index=0, id="b", name="f"), call("1", index=0)) == [
        ToolDelta("{}", 0, "a", "f"),
        ToolDelta("[]", 1, "b", "f"),
        ToolDelta("1", 1),
    ]


def test_ids_that_change_within_a_call_do_not_break_it() -> None:
    assert said(call("1", index=0, id="a", name="f"), call("2", index=0, id="b"), call("3", index=0, name="f")) == [
        ToolDelta("1", 0, "a", "f"),
        ToolDelta("2"),
        ToolDelta("3"),
    ]


def test_a_name_may_come_late_and_arguments_as_an_object() -> None:
    assert said(call(None, index=0, id="a"), call("", index=0, name="f"), call({"x": "ü"}, index=0)) == [
        ToolDelta("", 0, "a"),
        ToolDelta("", 0, "", "f"),
        ToolDelta('{"x": "ü"}'),
    ]


def test_calls_are_counted_in_each_choice() -> None:
    first = choice({"tool_calls": [{"index": 3, "id": "a", "function": {"name": "f"}}, {"index": 5, "type": "custom"}]})
    second = choice({"tool_calls": [{"index": 3, "id": "b", "function": {"name": "f"}}]}, index=1)
    assert said(first, second) == [ToolDelta("", 0, "a", "f", 0), ToolDelta("", 0, "b", "f", 1)]


def test_the_legacy_function_call() -> None:
    chunks = [choice({"function_call": {"name": "f", "arguments": "{"}}), choice({"function_call": {"arguments": "}"}})]
    assert said(*chunks) == [ToolDelta("{", 0, "", "f"), ToolDelta("}")]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool"),
        ("function_call", "tool"),
        ("content_filter", "filtered"),
        ("SAFETY", "filtered"),
        ("error", "other"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    events = said(
        choice({"content": "a"}, finish_reason=raw), choice({}, finish_reason=raw), choice({}, finish_reason=None)
    )
    assert [(one.reason, one.raw) for one in events if isinstance(one, Finished)] == [(reason, raw)]


def test_a_finish_that_changes_its_mind_is_told_again_and_each_choice_has_its_own() -> None:
    events = said(
        choice({}, finish_reason="stop"), choice({}, 1, finish_reason="stop"), choice({}, finish_reason="length")
    )
    assert events == [Finished("stop", "stop"), Finished("stop", "stop", 1), Finished("length", "length")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(10, 5, 4, 3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "reasoning_tokens": 4, "total_tokens": 7}, Usage(1, 6, 0, 4)),
        ({"prompt_tokens": 1, "completion_tokens": None, "prompt_tokens_details": None, "x": "y"}, Usage(1)),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2)),
    ],
)
def test_usage(usage: JSON, expected: Usage) -> None:
    assert said({"choices": [], "usage": usage}) == [UsageReported(expected)]
    assert said({"id": "c", "choices": [], "x_groq": {"usage": usage}}) == [UsageReported(expected)]


def test_logprobs() -> None:
    content = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}, {"token": "b", "logprob": -1}]
    events = said(choice({"content": "ab"}, logprobs={"content": content, "refusal": None}))
    assert events == [TextDelta("ab"), Logprobs([TokenLogprob("a", -0.5), TokenLogprob("b", -1.0)])]
    assert said(choice({"content": "a"}, logprobs={"tokens": ["a"]})) == [TextDelta("a")]


def test_azure_begins_with_a_chunk_that_says_nothing() -> None:
    decoder = OpenAIChatDecoder("azure")
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    assert decoder.feed(ServerSentEvent(json.dumps(first))) == []
    assert decoder.feed(ServerSentEvent(json.dumps(choice({"content": "a"})))) == [Started("c", "m"), TextDelta("a")]


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        (
            ServerSentEvent('{"error": {"message": "m", "type": "server_error", "code": null}}'),
            ServerError,
            "server_error",
        ),
        (
            ServerSentEvent('{"id": "x", "choices": [], "error": {"code": 429, "message": "m"}}'),
            RateLimitedError,
            "429",
        ),
        (
            ServerSentEvent('{"error": {"message": "m", "code": "x", "status_code": 400}}', "error"),
            BadRequestError,
            "x",
        ),
        (
            ServerSentEvent('{"message": "m", "code": "rate_limit_exceeded"}', "error"),
            RateLimitedError,
            "rate_limit_exceeded",
        ),
        (ServerSentEvent('{"object": "error", "message": "m", "code": 400}'), BadRequestError, "400"),
        (ServerSentEvent("m", "error"), ServerError, None),
        (ServerSentEvent('{"error": "m"}'), ServerError, None),
        (ServerSentEvent('{"detail": "m"}'), ServerError, None),
        (ServerSentEvent('{"code": "Throttling", "message": "m", "request_id": "r"}'), ServerError, "Throttling"),
        (
            ServerSentEvent('{"choices": [{"index": 0, "error": {"code": 429, "message": "m"}}]}'),
            RateLimitedError,
            "429",
        ),
        (ServerSentEvent('{"choices": [], "x_groq": {"id": "r", "error": "m"}}'), ServerError, None),
    ],
)
def test_errors_inside_the_stream(event: ServerSentEvent, kind: type[Exception], code: str | None) -> None:
    failed = OpenAIChatDecoder("test").feed(event)[-1]
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind
    assert (failed.error.message, failed.error.code, failed.error.status) == ("m", code, None)


@pytest.mark.parametrize(("raw", "kind"), [("error", ServerError), ("insufficient_system_resource", OverloadedError)])
def test_a_finish_that_says_that_the_provider_failed(raw: str, kind: type[Exception]) -> None:
    *before, failed = said(choice({"content": "{"}), choice({}, finish_reason=raw))
    assert before == [TextDelta("{"), Finished("other", raw)]
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.code) == (kind, raw)
    # Its own error object says more, and an alternative that failed is not the answer.
    [*_, failed] = said(choice({}, finish_reason=raw, error={"code": 400, "message": "m"}))
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.message) == (BadRequestError, "m")
    assert said(choice({}, 1, finish_reason=raw, error={"code": 400, "message": "m"})) == [Finished("other", raw, 1)]


def test_a_whole_message_behind_its_pieces_is_not_told_again() -> None:
    done = {"object": "chat.completion.done", "choices": [{"index": 0, "message": {"content": "ab"}}]}
    assert said(choice({"content": "a"}), choice({"content": "b"}), done) == [TextDelta("a"), TextDelta("b")]


def test_calls_without_an_index_may_take_turns() -> None:
    first = [{"id": "A", "function": {"name": "f", "arguments": "1"}}, {"id": "B", "function": {"name": "f"}}]
    later = [{"id": "A", "function": {"arguments": "2"}}, {"id": "B", "function": {"arguments": "3"}}]
    told = said(choice({"tool_calls": first}), choice({"tool_calls": later}))
    assert told[2:] == [ToolDelta("2", 0), ToolDelta("3", 1)]


def test_an_id_may_be_a_number() -> None:
    assert said(call("1", name="f", id=7, index=0)) == [ToolDelta("1", 0, "7", "f")]


def test_text_and_usage_of_the_chunk_with_the_error_are_told_before_it() -> None:
    chunk = {"error": {"code": 502, "message": "m"}, "usage": {"prompt_tokens": 1}, **choice({"content": "a"})}
    assert [type(event) for event in said(chunk)] == [TextDelta, UsageReported, Failed]


@pytest.mark.parametrize(
    "event",
    [
        ServerSentEvent(
            '{"id": "x", "unknown": {"a": 1}, "choices": [{"index": 0, "delta": {"audio": {"data": "x"}}}]}'
        ),
        ServerSentEvent('{"choices": null}'),
        ServerSentEvent('{"choices": [{"index": 0, "delta": null, "finish_reason": ""}]}'),
        ServerSentEvent("not JSON", "ping"),
        ServerSentEvent('{"type": "ping"}', "ping"),
        ServerSentEvent(" "),
    ],
)
def test_what_is_unknown_is_ignored(event: ServerSentEvent) -> None:
    assert [one for one in OpenAIChatDecoder("test").feed(event) if not isinstance(one, Started)] == []


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1]",
        '"x"',
        '{"choices": 1}',
        '{"choices": {"a": 1}}',
        '{"choices": ["x"]}',
        '{"choices": [{"delta": "x"}]}',
        '{"choices": [{"index": "0", "delta": {"content": "x"}}]}',
        '{"choices": [{"delta": {"content": 5}}]}',
        '{"choices": [{"delta": {"content": ["x"]}}]}',
        '{"choices": [{"delta": {"refusal": ["x"]}}]}',
        '{"choices": [{"delta": {"tool_calls": {"a": 1}}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": 1}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"index": [], "function": {}}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": 5}}]}}]}',
        '{"choices": [{"finish_reason": {"a": 1}}]}',
        '{"usage": [1]}',
    ],
)
def test_what_is_malformed_is_a_protocol_error(data: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        OpenAIChatDecoder("test").feed(ServerSentEvent(data))
    assert caught.value.provider == "test"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "delta",
                        "index",
                        "content",
                        "tool_calls",
                        "function",
                        "arguments",
                        "name",
                        "id",
                        "usage",
                    ),
                    *(
                        "finish_reason",
                        "logprobs",
                        "token",
                        "logprob",
                        "error",
                        "message",
                        "code",
                        "status_code",
                        "type",
                    ),
                    *(
                        "reasoning",
                        "reasoning_details",
                        "thinking",
                        "text",
                        "model",
                        "object",
                        "detail",
                        "prompt_tokens",
                    ),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(["message", "error", "ping"]))
def test_any_json_gives_events_or_a_protocol_error(chunks: list[JSON], event: str) -> None:
    decoder = OpenAIChatDecoder("test")
    for chunk in chunks:
        try:
            decoder.feed(ServerSentEvent(json.dumps(chunk), event))
            decoder.feed(
                ServerSentEvent(json.dumps({"choices": [{"index": 0, "delta": chunk, "message": chunk}]}), event)
            )
        except ProtocolError:
            pass


def test_characters_that_are_cut_between_two_chunks_are_joined() -> None:
    pieces = ["a\ud83d", "\ude00b", "", "\ude00", "c\ud83d", "d"]
    texts = [
        event.text for event in said(*(choice({"content": piece}) for piece in pieces)) if isinstance(event, TextDelta)
    ]
    assert "".join(texts) == "a😀b\ufffdc\ufffdd"
    arguments = said(
        call('"\ud83d', index=0, id="a", name="f"), call("\ud83d", index=1, name="g"), call('\ude00"', index=0)
    )
    assert [event for event in arguments if isinstance(event, ToolDelta)] == [
        ToolDelta('"', 0, "a", "f"),
        ToolDelta("", 1, "", "g"),
        ToolDelta('😀"', 0),
    ]
    assert said(
        choice({"refusal": "\ud83d", "reasoning": "\ud83d"}), choice({"refusal": "\ude00", "reasoning": "\ude00"})
    ) == [
        RefusalDelta(""),
        RefusalDelta("😀"),
        ThinkingDelta("😀"),
    ]


# Whole answers


def test_a_whole_answer_says_the_same_as_a_stream() -> None:
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    answer = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    assert OpenAIChat(ROUTES["openai"]).whole(json.dumps(answer).encode()) == [
        Started("c", "m"),
        TextDelta("a"),
        ThinkingDelta("hm"),
        ToolDelta("{}", 0, "x", "f"),
        Finished("stop", "stop"),
        UsageReported(Usage(1, 2)),
        StreamEnd(),
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}'])
def test_a_body_that_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        OpenAIChat(ROUTES["openai"]).whole(body)


@pytest.mark.parametrize("body", [b'{"error": {"message": "m"}}', b'{"object": "error", "message": "m"}'])
def test_an_error_in_place_of_a_whole_answer(body: bytes) -> None:
    events = OpenAIChat(ROUTES["openai"]).whole(body)
    assert [type(event) for event in events] == [Failed, StreamEnd]


# Requests


class Profile(BaseModel):
    """A person."""

    name: str
    age: int = Field(3, ge=0)


def encode(model: str, mode: ConcreteMode, response_model: object = Profile, **options: JSON) -> HTTPRequest:
    request: StreamingStructuredRequest[object] = StreamingStructuredRequest(
        response_model=response_model,  # type: ignore[arg-type]  # any type
        model=model,
        **{"prompt": "Who?", **options},
    )
    found = route(model)
    return found.provider.encode(request, model=found.model, mode=mode)


def test_native_sends_the_strict_schema() -> None:
    request = encode("openai/gpt-4o", "native")
    assert (request.method, request.path) == ("POST", "/chat/completions")
    assert request.headers == {"content-type": "application/json", "accept": "text/event-stream"}
    assert request.body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Who?"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
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
            },
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert json.loads(request.content()) == request.body


def test_tool_forces_the_call() -> None:
    body = encode("openai/gpt-4o", "tool", list[int]).body
    assert "response_format" not in body
    assert body["tool_choice"] == {"type": "function", "function": {"name": "list"}}
    (tool,) = body["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["strict"] is True
    assert tool["function"]["description"] == "Gives the answer."
    assert tool["function"]["parameters"]["properties"] == {"result": {"type": "array", "items": {"type": "integer"}}}


def test_tool_takes_what_strict_cannot_say() -> None:
    (tool,) = encode("openai/gpt-4o", "tool", dict[str, int]).body["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert "strict" not in tool["function"]


def test_native_says_what_it_cannot_say() -> None:
    with pytest.raises(ConfigurationError, match=r"openai .* dict .* a mapping with free keys; choose mode='auto'"):
        encode("openai/gpt-4o", "native", dict[str, int])


def test_native_takes_any_schema_where_the_provider_does() -> None:
    shape = encode("vllm/x", "native", dict[str, int]).body["response_format"]["json_schema"]
    assert shape["strict"] is False
    assert shape["schema"] == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_prompted_puts_the_schema_into_a_system_message() -> None:
    body = encode("openai/gpt-4o", "prompted").body
    assert not {"response_format", "tools", "tool_choice"} & set(body)
    system, user = body["messages"]
    assert system["role"] == "system"
    assert '"properties": {"name"' in system["content"]
    assert user == {"role": "user", "content": "Who?"}


def test_prompted_joins_the_callers_system_message() -> None:
    system, user = encode("openai/gpt-4o", "prompted", system="Be brief.").body["messages"]
    assert system["content"].startswith("Be brief.\n\nAnswer with one JSON value")
    parts = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Who?"},
    ]
    assert len(encode("openai/gpt-4o", "prompted", prompt=None, messages=parts).body["messages"]) == 3
    assert user["role"] == "user"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai/gpt-4o", {"max_completion_tokens": 9, "seed": 7}),
        ("openrouter/a/b", {"max_tokens": 9, "seed": 7}),
        ("mistral/m", {"max_tokens": 9, "random_seed": 7}),
    ],
)
def test_parameters_have_each_providers_names(model: str, expected: JSON) -> None:
    body = encode(model, "prompted", temperature=0.5, max_tokens=9, stop=("a", "b"), seed=7).body
    assert {**body, "temperature": 0.5, "stop": ["a", "b"], **expected} == body
    assert ("stream_options" in body) == (model != "mistral/m")
    assert not {"max_tokens", "max_completion_tokens", "seed", "random_seed"} & (set(body) - set(expected))


@pytest.mark.parametrize(("model", "choice"), [("mistral/m", "any"), ("lmstudio/m", "required")])
def test_the_tool_is_forced_in_each_providers_words(model: str, choice: str) -> None:
    assert encode(model, "tool").body["tool_choice"] == choice


def test_without_streaming() -> None:
    request = encode("openai/gpt-4o", "native", enable_streaming=False)
    assert request.body["stream"] is False
    assert "stream_options" not in request.body
    assert request.headers["accept"] == "application/json"


def test_extra_and_headers_win() -> None:
    request = encode(
        "openai/gpt-4o", "native", temperature=1, extra={"temperature": 0, "n": 2}, headers={"Accept": "x"}
    )
    assert (request.body["temperature"], request.body["n"], request.headers["accept"]) == (0, 2, "x")


def test_a_row_can_add_headers() -> None:
    spec = ProviderSpec(name="mine", headers=(("x-title", "structstream"),))
    request: StreamingStructuredRequest[int] = StreamingStructuredRequest(
        response_model=int, model="mine/x", prompt="?"
    )
    assert OpenAIChat(spec).encode(request, model="x", mode="tool").headers["x-title"] == "structstream"
