"""Bytes of an answer become typed steps and exactly one outcome, the same at every cut."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue, TypeAdapter

from structstream.decoder import StreamDecoder
from structstream.errors import (
    FilteredError,
    IncompleteError,
    InvalidOutputError,
    ProtocolError,
    ProviderError,
    RefusedError,
    SSEError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    TruncatedError,
)
from structstream.events import Finished, TextDelta
from structstream.jsonsink import JSONLimits
from structstream.providers import route
from structstream.providers.openai_chat import OpenAIChatDecoder
from structstream.response import Outcome, OutcomeKind, StreamingResponse, Usage
from tests.chunking import every_cut
from tests.corpus import CORPUS, needs_corpus
from tests.walk import same, walk

JSON = Any  # Any: JSON
Options = dict[str, Any]  # Any: arguments of several types


class Pet(BaseModel):
    name: str
    legs: int


def chunk(delta: JSON = None, finish: str | None = None, *, index: int = 0, **more: JSON) -> bytes:
    """One event of the chat dialect."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return event({"id": "chat-1", "model": "gpt-test", "choices": [choice], **more})


def event(payload: JSON) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def text(content: str, finish: str | None = None) -> bytes:
    return chunk({"content": content}, finish)


def tool(arguments: str, call: int = 0, **first: str) -> bytes:
    named = {"id": f"call-{call}", "type": "function"} if first else {}
    return chunk({"tool_calls": [{"index": call, **named, "function": {"arguments": arguments, **first}}]})


STOP = chunk(finish="stop")
DONE = b"data: [DONE]\n\n"
USAGE = event(
    {"id": "chat-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
)
FELIX = [text('{"name": "Fe'), text('lix é😀", "le'), text('gs": 4}')]
RESULT = Pet(name="Felix é😀", legs=4)


def decode(
    pieces: list[bytes], error: StructStreamError | None = None, **options: Any
) -> tuple[list[Any], Outcome[Any]]:
    """The snapshots and the outcome. Any: arguments and values of several types."""
    decoder: StreamDecoder[Any] = StreamDecoder(
        options.pop("response_model", Pet), OpenAIChatDecoder("test"), **options
    )
    steps: list[StreamingResponse[Any]] = []
    for piece in pieces:
        steps += decoder.feed(piece)
    assert all(step.outcome is None for step in steps)
    last = decoder.finish(error)
    assert last.outcome is not None
    assert last.is_complete
    return [*steps, last], last.outcome


def facts(outcome: Outcome[Any]) -> dict[str, object]:  # Any: as above
    """What an outcome says, as data that compares."""
    told = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    told["error"] = (type(outcome.error), str(outcome.error))
    told["completed"] = list(outcome.completed)
    told["last_partial"] = [(path, repr(value)) for path, value in walk(outcome.last_partial)]
    if outcome.kind is OutcomeKind.INVALID:
        for name in ("raw_text", "finish_reason", "usage"):
            del told[name]  # as much as was received: with a larger read, more
    return told


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    body: list[bytes]
    kind: OutcomeKind
    error: type[StructStreamError] | None = None
    options: Options = dataclasses.field(default_factory=dict)
    saved: str = "None"  # the last partial
    says: str = ""


K = OutcomeKind
HALF = "Partial[Pet](name='Fe')"
WHOLE = "Partial[Pet](name='Felix é😀', legs=4)"
CALL = [tool("", name="Pet"), tool('{"name": "Felix é😀", '), tool('"legs": 4}')]
LIMIT = JSONLimits(max_string_length=4)
ROWS = [
    Row("stop", [*FELIX, STOP, USAGE, DONE], K.COMPLETE),
    Row("stop, no mark of the end", [*FELIX, STOP], K.COMPLETE),
    Row("no last blank line", [*FELIX, STOP[:-1]], K.COMPLETE),
    Row("finish twice", [*FELIX, STOP, chunk(finish="stop"), DONE], K.COMPLETE),
    Row("length although the JSON closed", [*FELIX, chunk(finish="length"), DONE], K.COMPLETE),
    Row("no finish, but the mark of the end", [*FELIX, DONE], K.COMPLETE),
    Row("tool call", [*CALL, chunk(finish="tool_calls"), DONE], K.COMPLETE, options={"tool": True}),
    Row("two tool calls", [*CALL, tool('{"x": 1}', 1, name="Other"), STOP], K.COMPLETE, options={"tool": True}),
    Row("tool call with prose", [text("Let me see."), *CALL, STOP], K.COMPLETE, options={"tool": True}),
    Row("text where a tool call was due", [*FELIX, STOP], K.COMPLETE, options={"tool": True}),
    Row("tool call beside the text", [tool("{}", name="x"), *FELIX, STOP], K.COMPLETE),
    Row(
        "another choice", [*FELIX, chunk({"content": "{"}, index=1), chunk(finish="length", index=1), STOP], K.COMPLETE
    ),
    Row("thinking", [chunk({"reasoning_content": "Hm."}), *FELIX, STOP], K.COMPLETE),
    Row("comments and blank lines", [b": wait\n\n\r\n", *FELIX, b": wait\n\n", STOP], K.COMPLETE),
    Row("unknown events", [b"event: ping\ndata: {}\n\n", *FELIX, STOP], K.COMPLETE),
    Row(
        "lenient",
        [text("Here you are:\n```json\n"), *FELIX, text("\n```"), STOP],
        K.COMPLETE,
        options={"lenient": True},
    ),
    Row("wrapped", [text('{"result": '), *FELIX, text("}"), STOP], K.COMPLETE, options={"wrap_key": "result"}),
    Row("white space after", [*FELIX, text(" \n"), STOP], K.COMPLETE),
    Row("length", [FELIX[0], chunk(finish="length"), USAGE, DONE], K.TRUNCATED, TruncatedError, saved=HALF),
    Row("length at once", [chunk(finish="length"), DONE], K.TRUNCATED, TruncatedError),
    Row("lost", [FELIX[0]], K.INCOMPLETE, IncompleteError, saved=HALF),
    Row("lost after the JSON closed", FELIX, K.INCOMPLETE, IncompleteError, saved=WHOLE),
    Row("lost within an event", [FELIX[0], FELIX[1][:30]], K.INCOMPLETE, None, saved=HALF),
    Row("nothing at all", [], K.INCOMPLETE, IncompleteError),
    Row("half, and the mark of the end", [FELIX[0], DONE], K.INCOMPLETE, IncompleteError, saved=HALF),
    Row("stop, but half", [FELIX[0], STOP], K.INVALID, InvalidOutputError, saved=HALF, says="the rest of the string"),
    Row(
        "refused",
        [chunk({"refusal": "I can"}), chunk({"refusal": "not."}), STOP],
        K.REFUSED,
        RefusedError,
        says="I cannot.",
    ),
    Row("refused in the middle", [FELIX[0], chunk({"refusal": "No."}), STOP], K.REFUSED, RefusedError, saved=HALF),
    Row("filtered", [FELIX[0], chunk(finish="content_filter")], K.FILTERED, FilteredError, saved=HALF),
    Row("filtered after all", [*FELIX, chunk(finish="content_filter")], K.FILTERED, FilteredError, saved=WHOLE),
    Row(
        "not JSON",
        [text('{"name": Felix}'), STOP],
        K.INVALID,
        InvalidOutputError,
        saved="Partial[Pet]()",
        says="a value",
    ),
    Row("prose", [text("I am sorry."), STOP], K.INVALID, InvalidOutputError, says="found 'I'"),
    Row("an empty answer", [STOP, DONE], K.INVALID, InvalidOutputError, says="empty"),
    Row("no tool call", [text("Hello."), STOP], K.INVALID, InvalidOutputError, {"tool": True}, says="text instead"),
    Row(
        "text after the JSON",
        [*FELIX, text(" Bye."), STOP],
        K.INVALID,
        InvalidOutputError,
        saved=WHOLE,
        says="end of the text",
    ),
    Row(
        "a wrong type",
        [text('{"name": "Fe", "legs": "x"'), text("}"), STOP],
        K.INVALID,
        InvalidOutputError,
        saved=HALF,
        says="at legs",
    ),
    Row(
        "a wrong type, patiently",
        [text('{"name": "Fe", "legs": "x"}'), STOP],
        K.INVALID,
        InvalidOutputError,
        {"fail_fast": False},
        saved=HALF,
    ),
    Row(
        "a bound",
        [*FELIX, STOP],
        K.INVALID,
        InvalidOutputError,
        {"limits": LIMIT},
        saved="Partial[Pet](name='Feli')",
        says="max_string_length=4",
    ),
    Row(
        "an error in the stream",
        [FELIX[0], event({"error": {"message": "overloaded", "code": 503}})],
        K.PROVIDER_ERROR,
        ProviderError,
        saved=HALF,
    ),
    Row("a chunk that is no JSON", [FELIX[0], b"data: {oops\n\n"], K.PROVIDER_ERROR, ProtocolError, saved=HALF),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_way_to_end_has_its_outcome_at_every_cut(row: Row) -> None:
    body = b"".join(row.body)
    _, outcome = decode([body], **row.options)
    assert outcome.kind is row.kind
    assert (outcome.result == RESULT) == (row.kind is OutcomeKind.COMPLETE)
    assert (outcome.error is None) == (row.kind is OutcomeKind.COMPLETE)
    assert row.error is None or isinstance(outcome.error, row.error)
    if outcome.error is not None:
        assert row.says in str(outcome.error)
        assert outcome.error.outcome is outcome
        assert repr(outcome.last_partial) == row.saved
    told = facts(outcome)
    for pieces in every_cut(body, limit=150):
        assert facts(decode(pieces, **row.options)[1]) == told


def test_a_snapshot_comes_with_each_read_that_brings_a_value() -> None:
    responses, outcome = decode([*FELIX, STOP, USAGE, DONE])
    shown = [repr(step.partial_result) for step in responses]
    assert shown == [HALF, "Partial[Pet](name='Felix é😀')", "Partial[Pet](name='Felix é😀', legs=4)", repr(RESULT)]
    assert outcome.usage == Usage(7, 5)
    assert outcome.response_id == "chat-1"
    assert outcome.finish_reason == "stop"
    percents = [step.progress_percent for step in responses]
    assert percents == sorted(percents)
    assert percents[-1] == 100.0


def test_one_response_a_read_or_a_delta_or_so_many_characters() -> None:
    body = b"".join([*FELIX, STOP])
    assert len(decode([body])[0]) == 2
    assert len(decode([body], cadence="delta")[0]) == len(FELIX) + 1
    assert len(decode(FELIX, chunk_size=20)[0]) == 2
    ones = [text(char) for char in '{"name": "Felix", "legs": 4}']
    assert len(decode([b"".join(ones)], cadence="delta")[0]) == len(ones) + 1
    assert len(decode(ones, chunk_size=7)[0]) == 4 + 1


def test_no_completion_is_lost_in_a_coarse_cadence() -> None:
    ones = [text(char) for char in '{"name": "Felix", "legs": 4}']
    for options in ({}, {"cadence": "delta"}, {"chunk_size": 9}):
        responses, outcome = decode([*ones, STOP], **options)
        assert [path for step in responses for path in step.completed] == ["name", "legs", ""]
        assert list(outcome.completed) == ["name", "legs", ""]
        assert "".join(piece for step in responses for piece in step.raw_chunks) == outcome.raw_text


def test_what_was_said_beside_the_answer_is_kept() -> None:
    _, outcome = decode([chunk({"reasoning_content": "Hm."}), *FELIX, chunk({"content": "B"}, index=1), STOP])
    assert outcome.thinking == "Hm."
    assert outcome.other_choices == {1: "B"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StreamTimeoutError("total", configured=1, elapsed=2), OutcomeKind.TIMEOUT),
        (StreamCancelledError("left"), OutcomeKind.CANCELLED),
        (ProviderError("reset", provider="test"), OutcomeKind.PROVIDER_ERROR),
    ],
)
def test_an_end_from_outside_is_the_outcome(error: StructStreamError, kind: OutcomeKind) -> None:
    _, outcome = decode(FELIX[:1], error)
    assert (outcome.kind, outcome.error) == (kind, error)
    assert repr(outcome.last_partial) == HALF
    assert outcome.raw_text == '{"name": "Fe'


def test_a_connection_that_breaks_after_the_end_breaks_nothing() -> None:
    _, outcome = decode([*FELIX, STOP], ProviderError("reset", provider="test"))
    assert (outcome.kind, outcome.result) == (OutcomeKind.COMPLETE, RESULT)


def test_done_is_told_at_the_mark_of_the_end_and_at_a_failure_and_nothing_is_read_after() -> None:
    for last in (DONE, text("!")):
        decoder = StreamDecoder(Pet, OpenAIChatDecoder("test"))
        for piece in [*FELIX, STOP]:
            decoder.feed(piece)
            assert not decoder.done
        decoder.feed(last)
        assert decoder.done
        assert decoder.feed(text("more")) == []


def test_an_endless_line_is_bounded() -> None:
    _, outcome = decode([FELIX[0], b"data: " + b"x" * 2000], max_event_bytes=1000)
    assert outcome.kind is OutcomeKind.PROVIDER_ERROR
    assert isinstance(outcome.error, SSEError)
    assert repr(outcome.last_partial) == HALF


@pytest.mark.parametrize(
    ("stray", "kind", "error"),
    [
        (
            '{\n  "error": {\n    "code": 503,\n    "message": "m"\n  }\n}\n',
            OutcomeKind.PROVIDER_ERROR,
            "test: m (code 503)",
        ),
        ('[{"error": {"message": "m"}}]', OutcomeKind.PROVIDER_ERROR, "test: m"),
        ('error: {"code": 500, "message": "m"}\n\n', OutcomeKind.PROVIDER_ERROR, "test: m (code 500)"),
        ('{"choices": [{"message": {"content": "\\"legs\\": 1}"}}]}', OutcomeKind.INCOMPLETE, None),
        ("<html>{}</html>\n", OutcomeKind.INCOMPLETE, None),
        ('{"error"', OutcomeKind.INCOMPLETE, None),
        ("[]", OutcomeKind.INCOMPLETE, None),
    ],
)
def test_an_error_that_is_written_into_the_stream_without_data_is_heard(
    stray: str, kind: OutcomeKind, error: str | None
) -> None:
    for pieces in every_cut(text('{"name": "F", ') + stray.encode()):
        _, outcome = decode(pieces)
        assert outcome.kind is kind
        assert error is None or str(outcome.error) == error
    _, done = decode([text('{"name": "F", "legs": 4}', "stop") + stray.encode()])
    assert done.kind is OutcomeKind.COMPLETE


def test_a_whole_answer_is_one_step() -> None:
    decoder = StreamDecoder(Pet, OpenAIChatDecoder("test"))
    decoder.feed_events([TextDelta('{"name": "Felix é😀", "legs": 4}'), Finished("stop", "stop")])
    assert decoder.done
    assert decoder.finish().result == RESULT


# --- recordings ---


def _recordings() -> list[tuple[str, bool]]:
    """The structured answers: file, and whether the JSON stands in a tool call."""
    if CORPUS is None:
        return []
    rows = [json.loads(line) for line in (CORPUS / "sse" / "manifest.jsonl").read_text("utf-8").splitlines()]
    chat = [row for row in rows if row["file"].startswith(("sse/openai-chat/", "sse/other-openai-compatible/"))]
    return [(row["file"], False) for row in chat if row["has_json_content"] and row["structured_request"]] + [
        (row["file"], True) for row in chat if row["tool_args_all_valid_json"] and row["n_tool_calls"] == 1
    ]


@needs_corpus
def test_there_are_recordings() -> None:
    assert len(_recordings()) > 100


@needs_corpus
@pytest.mark.parametrize("part", range(8))
def test_a_recorded_answer_gives_the_object_of_its_whole_text(part: int) -> None:
    assert CORPUS is not None
    for file, is_tool in _recordings()[part::8]:
        body = (CORPUS / file).read_bytes()
        _, outcome = decode([body], response_model=JsonValue, tool=is_tool)
        assert outcome.kind is OutcomeKind.COMPLETE, file
        assert same(outcome.result, TypeAdapter(JsonValue).validate_json(outcome.raw_text)), file
        told = facts(outcome)
        for pieces in [*every_cut(body, limit=0)][-4:]:
            assert facts(decode(pieces, response_model=JsonValue, tool=is_tool)[1]) == told, file


def _calls(*calls: tuple[str, str]) -> bytes:
    chunks: list[dict[str, Any]] = [
        {
            "choices": [
                {
                    "delta": {
                        "tool_calls": [
                            {"index": index, "id": f"c{index}", "function": {"name": name, "arguments": text}}
                        ]
                    }
                }
            ]
        }
        for index, (name, text) in enumerate(calls)
    ]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


@pytest.mark.parametrize(
    ("calls", "tool", "tool_name"),
    [
        ([("other", '{"x": 1}'), ("Ours", "[1, 2]")], True, "Ours"),
        ([("Ours", "[1, 2]"), ("other", '{"x": 1}')], True, "Ours"),
        ([("_Ours", "[1, 2]")], True, "Ours"),
        ([("Ours", "[1, 2]"), ("other", '{"x": 1}')], True, ""),
        ([("renamed", "[1, 2]")], True, "Ours"),
        ([("Ours", "[1, 2]")], False, ""),
    ],
)
def test_the_call_of_our_tool_is_the_answer(calls: list[tuple[str, str]], tool: bool, tool_name: str) -> None:
    decoder = StreamDecoder(list[int], OpenAIChatDecoder("openai"), tool=tool, tool_name=tool_name)
    decoder.feed(_calls(*calls))
    outcome = decoder.finish().outcome
    assert outcome is not None
    assert outcome.result == [1, 2]
    assert [call.name for call in outcome.tool_calls] == [name for name, _ in calls]


def test_two_faults_in_one_read_end_with_the_first_of_them_and_what_was_good() -> None:
    def chunk(text: str) -> bytes:
        return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"

    decoder = StreamDecoder(dict[str, int], route("openai/gpt-4o").provider.decoder(), lenient=True)
    [step] = decoder.feed(chunk('{"a": 1, "') + chunk('"t') + b'data: "\n\n')
    assert step.partial_result == {"a": 1}
    outcome = decoder.finish().outcome
    assert outcome is not None
    assert outcome.kind == "invalid"
    assert "expected ':', found 't'" in str(outcome.error)
