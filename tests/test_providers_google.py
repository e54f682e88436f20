from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import pytest
from pydantic import BaseModel

from structstream.decoder import StreamDecoder
from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
)
from structstream.events import (
    Failed,
    Finished,
    FinishReason,
    Logprobs,
    ProviderEvent,
    ServerSentEvent,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.jsonarray import JSONArrayDecoder
from structstream.providers import route
from structstream.providers.google import GoogleDecoder
from structstream.response import OutcomeKind, TokenLogprob, Usage
from tests.answers import Answer, is_json
from tests.chunking import cut_at, every_cut
from tests.corpus import CORPUS, needs_corpus
from tests.recordings import JSON, Dialect, body_of, logs_of, payloads_of

DIALECT = Dialect("gemini", lambda: GoogleDecoder("google"), ("gemini",))

events_of, recorded = DIALECT.events_of, DIALECT.recorded
said = partial(DIALECT.said, started=False)


@dataclass
class Plain:
    """What a stream says, as far as whole parts tell it."""

    text: str = ""
    thinking: str = ""
    signed: bool = False
    arguments: list[JSON] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def parts(*parts: JSON, **more: JSON) -> JSON:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]}


def call(**said: JSON) -> JSON:
    return parts({"functionCall": said})


# Recorded streams


def plain_reading(chunks: list[JSON]) -> Plain:
    """The chunks read with nothing but the standard library."""
    plain = Plain()
    for part in (part for one in chunks for each in one["candidates"] for part in each["content"].get("parts", ())):
        thought = part.get("thought", False)
        plain.thinking += part.get("text", "") if thought else ""
        plain.text += part.get("text", "") if not thought else ""
        plain.signed |= "thoughtSignature" in part
        if "args" in part.get("functionCall", {}):
            plain.names.append(part["functionCall"]["name"])
            plain.arguments.append(part["functionCall"]["args"])
    return plain


def differences(events: list[ProviderEvent], plain: Plain) -> list[str]:
    answer = Answer.of(events)
    same = {
        "text": "".join(answer.text.values()) == plain.text and set(answer.text) <= {0},
        "thinking": answer.thinking == plain.thinking,
        "signatures": is_signed(events) == plain.signed,
        "arguments": [json.loads(text) for text in answer.arguments.values()] == plain.arguments,
        "names": list(answer.names.values()) == plain.names,
    }
    return [what for what, holds in same.items() if not holds]


def is_signed(events: list[ProviderEvent]) -> bool:
    return any(isinstance(event, ThinkingDelta) and event.signature for event in events)


@needs_corpus
def test_every_recorded_stream_says_what_its_tags_say() -> None:
    expected_counts = {
        "streams": 103,
        "errors": 3,
        "tools": 21,
        "thinking": 7,
        "signed": 29,
        "reasoning tokens": 93,
        "lengths": 4,
    }
    with DIALECT.table("sse", expected_counts) as counts:
        for tags in recorded():
            if tags["status"] != 200:
                counts["errors"] += 1  # see the test of errors
                continue
            body = body_of(tags)
            events = events_of([body])
            answer = Answer.of(events)
            thinks = bool(answer.thinking) or is_signed(events)
            agrees = {
                "text": sum(map(len, answer.text.values())) == tags["n_text_chars"],
                "calls": len(answer.arguments) == tags["n_tool_calls"],
                "thinking": thinks == tags["has_thinking"],
                "finish": sorted(set(answer.finishes)) == sorted(tags["finish_reasons"]),
                "usage": (answer.usage is not None) == tags["has_usage"],
                "error": bool(answer.errors) == tags["has_error_event"],
                "refusal": bool(answer.refusal) == tags["has_refusal"],
                "JSON": is_json(answer.text[0]) or not (tags["structured_request"] and tags["has_json_content"]),
                "started": [one.model for one in answer.started] == [tags["model"]],
            }
            wrong = [what for what, right in agrees.items() if not right]
            wrong += differences(events, plain_reading(payloads_of(body)))
            assert not wrong, f"{tags['file']}: {wrong}"
            counts["streams"] += 1
            counts["tools"] += bool(answer.arguments)
            counts["thinking"] += bool(answer.thinking)
            counts["signed"] += is_signed(events)
            counts["reasoning tokens"] += answer.usage is not None and answer.usage.reasoning_tokens > 0
            counts["lengths"] += answer.finishes == ["MAX_TOKENS"]


@needs_corpus
def test_every_recorded_stream_says_the_same_in_every_cut() -> None:
    cuts = 0
    for number, tags in enumerate(recorded()):
        if tags["status"] != 200:
            continue
        body = body_of(tags)
        few = (cut_at(body, range(1 + number % 7, len(body), 1 + 37 * n)) for n in (1, 7))
        cuts += DIALECT.assert_same_in(body, every_cut(body, limit=900) if len(body) <= 900 else few)
    assert cuts > 1000


@needs_corpus
def test_recorded_chunks_without_framing_are_read_too() -> None:
    assert CORPUS is not None
    expected_counts = {"chunk logs": 9, "calls": 10}
    with DIALECT.table("chunks", expected_counts) as counts:
        for log in logs_of("gemini"):
            tags, events = log.tags, DIALECT.events_of_lines(log.lines, b"\r\n\r\n")
            answer = Answer.of(events)
            assert sorted(set(answer.finishes)) == sorted(tags["finish_reasons"]), log.name
            assert (answer.usage is not None) == tags["has_usage"], log.name
            assert (bool(answer.thinking) or is_signed(events)) == tags["has_thinking"], log.name
            assert set(answer.names.values()) == set(tags["tool_names"]), log.name
            for arguments in answer.arguments.values():
                json.loads(arguments)
            counts["chunk logs"] += 1
            counts["calls"] += len(answer.arguments)


@needs_corpus
def test_recorded_arrays_say_the_same_in_every_cut() -> None:
    assert CORPUS is not None
    expected_counts = {"arrays": 15, "elements": 48, "tools": 4}
    with DIALECT.table("gemini_json_array", expected_counts) as counts:
        for number, path in enumerate(sorted((CORPUS / "gemini_json_array").glob("*.body"))):
            body = path.read_bytes()
            expected = events_of([body], JSONArrayDecoder)
            chunks = json.loads(body)
            assert not differences(expected, plain_reading(chunks)), path.name
            answer = Answer.of(expected)
            assert answer.finishes == [chunks[-1]["candidates"][0]["finishReason"]], path.name
            whole = route("gemini-x").provider.whole(body)
            assert whole == [*expected, StreamEnd()], path.name
            for step in (1, 2, 7, 64 + number):
                assert events_of(cut_at(body, range(step, len(body), step)), JSONArrayDecoder) == expected
            counts["arrays"] += 1
            counts["elements"] += len(chunks)
            counts["tools"] += bool(answer.arguments)


ERRORS: dict[str, tuple[type[ProviderError], str]] = {
    "400__Mirascope": (AuthenticationError, "INVALID_ARGUMENT"),
    "400__pydantic": (BadRequestError, "INVALID_ARGUMENT"),
    "404__": (NotFoundError, "NOT_FOUND"),
    "gemini_429": (RateLimitedError, "RESOURCE_EXHAUSTED"),
    "gemini_503_unavailable": (OverloadedError, "UNAVAILABLE"),
    "gemini_503_sdk": (OverloadedError, "Service Unavailable"),
}


@needs_corpus
def test_every_recorded_error_is_of_its_class() -> None:
    assert CORPUS is not None
    paths = [*(CORPUS / "errors" / "gemini").glob("*.json"), *(CORPUS / "errors" / "_reported").glob("gemini_*.json")]
    expected_counts = {
        "AuthenticationError": 1,
        "BadRequestError": 1,
        "NotFoundError": 5,
        "RateLimitedError": 3,
        "OverloadedError": 2,
        "on the URL of a stream": 3,
    }
    with DIALECT.table("errors", expected_counts) as counts:
        for path in paths:
            side = json.loads(path.read_bytes())
            kind, code = next(row for start, row in ERRORS.items() if path.name.startswith(start))
            found = route("gemini-x").provider.error(
                side["status"], side["headers"] or {}, json.dumps(side["body"]).encode()
            )
            assert (type(found), found.code, found.status) == (kind, code, side["status"]), path.name
            assert "{" not in found.message, path.name
            if path.name.startswith("gemini_429_quotafailure"):
                assert found.retry_after == 58.821668433
            counts[kind.__name__] += 1
        for tags in recorded():
            if tags["status"] != 200:  # a JSON body under the content type of an event stream
                found = route("gemini-x").provider.error(
                    tags["status"], {"content-type": "text/event-stream"}, body_of(tags)
                )
                assert type(found) is (AuthenticationError if tags["status"] == 400 else NotFoundError)
                counts["on the URL of a stream"] += 1


@needs_corpus
def test_arguments_in_parts_are_written_as_one_document() -> None:
    assert CORPUS is not None
    found: dict[str, list[JSON]] = {}
    for path in sorted((CORPUS / "chunks" / "gemini").glob("*.chunks.txt")):
        body = b"".join(b"data: " + line + b"\n\n" for line in path.read_bytes().splitlines())
        if b"partialArgs" in body:
            events = events_of([body])
            deltas = Counter(event.call for event in events if isinstance(event, ToolDelta))
            assert any(count > 2 for count in deltas.values())
            found[path.name] = [json.loads(text) for text in Answer.of(events).arguments.values()]
    calls = list(found.values())
    assert [{}, {"id": "A"}, {"id": "B"}, {"id": "C"}] in calls
    assert [{"location": "Boston"}, {"location": "San Francisco"}] in calls
    apple, banana = next(one for one in calls if "operations" in one[0])[0]["operations"]
    assert apple == {"action": "add", "description": "Fresh red apple", "itemid": "apple_001", "price": 0.5}
    assert banana["price"] == 0.3
    recipe = next(one for one in calls if "recipe" in one[0])[0]["recipe"]
    assert (len(recipe["ingredients"]), len(recipe["steps"])) == (10, 10)
    assert list(recipe) == ["ingredients", "name", "steps"]


@needs_corpus
def test_the_interactions_api_is_another_dialect_of_which_nothing_is_taken_for_an_answer() -> None:
    assert CORPUS is not None
    paths = sorted((CORPUS / "chunks" / "gemini-interactions").glob("*.chunks.txt"))
    lines = [line for path in paths for line in path.read_bytes().splitlines() if line.strip()]
    kinds = {json.loads(line)["event_type"] for line in lines if b'"error"' not in line}
    assert all(kind.partition(".")[0] in ("interaction", "step") for kind in kinds), kinds
    events = events_of([b"data: " + line + b"\n\n" for line in lines if b'"error"' not in line])
    assert events == []


# What an answer can carry


def test_text_thinking_and_signatures_stand_apart() -> None:
    start = {"responseId": "r", "modelVersion": "gemini-x", "usageMetadata": {"serviceTier": "standard"}}
    first = GoogleDecoder("google").feed(ServerSentEvent(json.dumps({**parts({"text": "a"}), **start})))
    assert first == [Started("r", "gemini-x", "standard"), TextDelta("a")]
    assert said(
        parts({"text": "hm", "thought": True}),
        parts({"text": "so", "thought": True, "thoughtSignature": "s1"}),
        parts({"text": "a"}, {"text": "b", "thoughtSignature": "s2"}, {"text": "", "thoughtSignature": "s3"}),
        parts({"text": "c"}, finishReason="STOP"),
    ) == [
        ThinkingDelta("hm"),
        ThinkingDelta("so", "s1"),
        TextDelta("a"),
        ThinkingDelta("", "s2"),
        TextDelta("b"),
        ThinkingDelta("", "s3"),
        TextDelta("c"),
        Finished("stop", "STOP"),
    ]


def test_candidates_are_told_apart_by_their_index_of_which_a_zero_is_left_out() -> None:
    two = [{"content": {"parts": [{"text": "a"}]}}, {"index": 1, "content": {"parts": [{"text": "b"}]}}]
    ends = [{"finishReason": "STOP"}, {"index": 1, "finishReason": "MAX_TOKENS", "content": {"role": "model"}}]
    assert said({"candidates": two}, {"candidates": ends}) == [
        TextDelta("a"),
        TextDelta("b", 1),
        Finished("stop", "STOP"),
        Finished("length", "MAX_TOKENS", 1),
    ]


def test_whole_calls_may_be_parallel() -> None:
    first = {"functionCall": {"id": "1", "name": "f", "args": {"x": ["ü"]}}, "thoughtSignature": "s"}
    assert said(parts(first, {"functionCall": {"name": "f", "args": {}}}), call(name="g")) == [
        ThinkingDelta("", "s"),
        ToolDelta('{"x":["ü"]}', 0, "1", "f"),
        ToolDelta("{}", 1, "", "f"),
        ToolDelta("{}", 2, "", "g"),
    ]


def piece(path: str, more: bool | None = None, **value: JSON) -> JSON:
    return {"jsonPath": path, **value, **({} if more is None else {"willContinue": more})}


def test_a_call_in_parts_goes_on_until_it_says_so() -> None:
    assert said(
        call(name="f", id="1", willContinue=True),
        call(partialArgs=[piece("$.a", True, stringValue="x")], willContinue=True),
        call(partialArgs=[piece("$.a", stringValue='y"')], willContinue=True),
        call(partialArgs=[piece("$.b[0]", numberValue=1), piece("$.b[1]", boolValue=True)], willContinue=True),
        call(partialArgs=[piece("$.c", nullValue="NULL_VALUE")], willContinue=True),
        call(),
        call(),
        call(name="f"),
    ) == [
        ToolDelta("", 0, "1", "f"),
        ToolDelta('{"a":"x'),
        ToolDelta('y\\""'),
        ToolDelta(',"b":[1,true'),
        ToolDelta('],"c":null'),
        ToolDelta("}"),
        ToolDelta("{}", 1, "", "f"),
    ]


def test_a_call_whose_end_was_not_said_ends_with_the_next_one_or_with_the_answer() -> None:
    open_call = call(name="f", willContinue=True, partialArgs=[piece("$.a", numberValue=1)])
    assert said(open_call, call(name="g", args={"b": 2})) == [
        ToolDelta('{"a":1', 0, "", "f"),
        ToolDelta("}"),
        ToolDelta('{"b":2}', 1, "", "g"),
    ]
    assert said(open_call, parts(finishReason="STOP"))[1:] == [ToolDelta("}"), Finished("stop", "STOP")]
    # At the limit, or within a string, it was cut.
    assert said(open_call, parts(finishReason="MAX_TOKENS"))[1:] == [Finished("length", "MAX_TOKENS")]
    text = call(name="f", willContinue=True, partialArgs=[piece("$.a", True, stringValue="x")])
    assert said(text, parts(finishReason="STOP"))[1:] == [Finished("stop", "STOP")]


def test_a_string_may_end_without_a_value_and_a_call_may_come_whole_after_its_start() -> None:
    started = call(name="f", willContinue=True)
    text = [
        call(partialArgs=[piece("$.a", True, stringValue="x")], willContinue=True),
        call(partialArgs=[piece("$.b", True)], willContinue=True),
        call(partialArgs=[piece("$.a")]),
    ]
    assert Answer.of(said(started, *text)).arguments == {(0, 0): '{"a":"x"}'}
    assert Answer.of(said(started, call(name="f", args={"a": 1}))).arguments == {(0, 0): '{"a":1}'}
    repeated = call(name="f", args={"a": "x"})
    assert Answer.of(said(started, text[0], repeated)).arguments == {(0, 0): '{"a":"x"}'}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        *(
            (raw, "filtered")
            for raw in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")
        ),
        *((raw, "other") for raw in ("MALFORMED_FUNCTION_CALL", "LANGUAGE", "OTHER", "SOMETHING_NEW")),
    ],
)
def test_reasons(raw: str, reason: FinishReason) -> None:
    ended = parts({"text": "a"}, finishReason=raw)
    assert said(ended, ended) == [TextDelta("a"), Finished(reason, raw), TextDelta("a")]


def test_a_blocked_prompt_is_filtered() -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}}
    assert said(blocked) == [Finished("filtered", "PROHIBITED_CONTENT"), UsageReported(Usage(7))]
    assert said({"promptFeedback": {"safetyRatings": []}}, parts(finishReason="FINISH_REASON_UNSPECIFIED")) == []
    assert route("gemini-x").provider.whole(json.dumps(blocked).encode())[-1] == StreamEnd()


def test_usage_counts_thoughts_as_output_and_what_tools_read_as_input() -> None:
    metadata = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 38,
        "trafficType": "ON_DEMAND",
    }
    assert said({"usageMetadata": metadata}, {"usageMetadata": metadata}) == [UsageReported(Usage(15, 23, 4, 20))]
    assert said({"usageMetadata": {"trafficType": "ON_DEMAND"}}, {"usageMetadata": {"promptTokenCount": "many"}}) == []


def test_logprobs() -> None:
    result = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "b"}, {"logProbability": 1}]}
    expected = Logprobs([TokenLogprob("a", -0.5), TokenLogprob("b", 0.0)])
    assert said(parts({"text": "ab"}, logprobsResult=result)) == [TextDelta("ab"), expected]


def test_an_error_inside_a_stream() -> None:
    body = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    [failed] = said(body)
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.code) == (OverloadedError, "UNAVAILABLE")
    [named] = GoogleDecoder("google").feed(ServerSentEvent(json.dumps(body), event="error"))
    assert isinstance(named, Failed)


def test_an_error_may_come_as_an_array_among_events() -> None:
    [failed] = said([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}])
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.code) == (OverloadedError, "UNAVAILABLE")


def test_what_is_unknown_or_none_of_the_answer_is_ignored() -> None:
    unknown = [
        {},
        {"createTime": "now", "somethingNew": [1]},
        parts({"executableCode": {"code": "1"}}, {"inlineData": {"data": ""}}, {"toolCall": {}}, {"new": 1}, {}),
        {"candidates": [{"groundingMetadata": {}, "citationMetadata": {}, "safetyRatings": [], "content": None}]},
        {"candidates": [{"content": {}}]},
        {"candidates": []},
    ]
    assert said(*unknown) == []
    decoder = GoogleDecoder("google")
    for event in (ServerSentEvent(""), ServerSentEvent(" "), ServerSentEvent("[DONE]"), ServerSentEvent("{}", "ping")):
        assert decoder.feed(event) == []
    assert decoder.close() == []


MALFORMED: list[JSON] = [
    [],
    {"candidates": {"index": 0}},
    {"candidates": [1]},
    {"candidates": [{"index": "a", "content": {"parts": [{"text": "x"}]}}]},
    {"candidates": [{"content": "x"}]},
    {"candidates": [{"content": {"parts": "x"}}]},
    {"candidates": [{"content": {"parts": ["x"]}}]},
    {"candidates": [{"finishReason": 1}]},
    {"usageMetadata": [1]},
    {"promptFeedback": {"blockReason": 1}},
    parts({"text": 1}),
    parts({"thoughtSignature": 1}),
    call(name=1),
    call(name="f", args="{}"),
    call(name="f", partialArgs={"jsonPath": "$.a"}),
    call(name="f", partialArgs=[{"stringValue": "x"}]),
    call(name="f", partialArgs=[piece("$", stringValue="x")]),
    call(name="f", partialArgs=[piece("$.a", stringValue=1)]),
    call(name="f", partialArgs=[piece("$.a", numberValue=1), piece("$.a.b", numberValue=1)]),
    parts({"functionCall": "f"}),
]


@pytest.mark.parametrize("chunk", MALFORMED, ids=json.dumps)
def test_what_is_malformed_is_a_typed_error(chunk: JSON) -> None:
    with pytest.raises(ProtocolError, match=r"^google: "):
        said(chunk)


def test_a_whole_answer_is_a_stream_of_one() -> None:
    whole = {**parts({"text": "hi"}, finishReason="STOP"), "responseId": "r"}
    expected = [Started("r"), TextDelta("hi"), Finished("stop", "STOP"), StreamEnd()]
    provider = route("gemini-x").provider
    assert provider.whole(json.dumps(whole).encode()) == expected
    assert provider.whole(json.dumps([whole]).encode()) == expected
    for body in (b"{}", b"[]", b"[1]", b"[{]", b'{"candidates": []}', b"<html>"):
        with pytest.raises(ProtocolError):
            provider.whole(body)


class Trip(BaseModel):
    city: str
    days: int


def test_the_array_of_a_stream_fills_an_object_in_every_cut() -> None:
    chunks = [parts({"text": '{"city": "Pa'}), parts({"text": 'ris", "days": 3}'}), parts(finishReason="STOP")]
    body = json.dumps(chunks, indent=1).encode()
    for pieces in every_cut(body, limit=60):
        decoder = StreamDecoder(Trip, GoogleDecoder("google"), array=True, cadence="delta")
        steps = [step for piece in pieces for step in decoder.feed(piece)]
        assert [step.partial_result.city for step in steps if step.partial_result] == ["Pa", "Paris"]
        assert decoder.finish().partial_result == Trip(city="Paris", days=3)
    cut = StreamDecoder(Trip, GoogleDecoder("google"), array=True)
    cut.feed(body[:100])
    assert (outcome := cut.finish().outcome) is not None
    assert outcome.kind is OutcomeKind.INCOMPLETE
    wrong = StreamDecoder(Trip, GoogleDecoder("google"), array=True)
    wrong.feed(b"<html>")
    assert wrong.done
    assert (outcome := wrong.finish().outcome) is not None
    assert isinstance(outcome.error, ProtocolError)
