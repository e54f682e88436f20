"""Every word that a vendor's own types know is read here, or passed over on purpose: what is new is noticed.

The words come from the installed SDKs; those that are none of an answer are named below, with why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic.alias_generators import to_camel

from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from structstream.events import Finished, ProviderEvent, ServerSentEvent, ThinkingDelta
from structstream.providers import anthropic, failures, google, openai_chat, openai_items, openai_responses

Words = Callable[[], Collection[str]]
Feed = Callable[[str], list[ProviderEvent]]


@dataclass(frozen=True)
class Vocabulary:
    """The words of one place.

    Args:
        words: all that the vendor's types know.
        read: those that mean something here.
        passed_over: those that mean nothing for a structured answer, by why.
        feed: what our decoder makes of a word that is passed over; None where it is no part of a stream.
    """

    words: Words
    read: Collection[str]
    passed_over: Mapping[str, Collection[str]]
    feed: Feed | None = None

    @property
    def ignored(self) -> list[str]:
        return [word for words in self.passed_over.values() for word in words]


def literals(kind: Any) -> set[str]:
    """The words of a literal, or of a union of such."""
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    return set().union(*map(literals, get_args(kind)))


def types_of(union: Any) -> set[str]:
    """The ``type`` of each member of a union of models."""
    if isinstance(union, type):
        fields = getattr(union, "model_fields", {})
        return literals(fields["type"].annotation) if "type" in fields else set()
    return set().union(*map(types_of, get_args(union)))


def fields_of(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


# --- Anthropic ---


def anthropic_events() -> set[str]:
    types = pytest.importorskip("anthropic.types", reason="the vendor's SDK is not installed")
    beta = pytest.importorskip("anthropic.types.beta")
    return types_of(types.RawMessageStreamEvent) | types_of(beta.BetaRawMessageStreamEvent)


def anthropic_deltas() -> set[str]:
    types = pytest.importorskip("anthropic.types", reason="the vendor's SDK is not installed")
    beta = pytest.importorskip("anthropic.types.beta")
    return types_of(types.RawContentBlockDelta) | types_of(beta.BetaRawContentBlockDelta)


def anthropic_blocks() -> set[str]:
    types = pytest.importorskip("anthropic.types", reason="the vendor's SDK is not installed")
    beta = pytest.importorskip("anthropic.types.beta")
    return types_of(types.ContentBlock) | types_of(beta.BetaContentBlock)


def anthropic_stops() -> set[str]:
    types = pytest.importorskip("anthropic.types", reason="the vendor's SDK is not installed")
    beta = pytest.importorskip("anthropic.types.beta")
    return literals(types.StopReason) | literals(beta.BetaStopReason)


def anthropic_errors() -> set[str]:
    types = pytest.importorskip("anthropic.types", reason="the vendor's SDK is not installed")
    return types_of(types.ErrorObject)


def of_anthropic(*events: dict[str, Any]) -> list[ProviderEvent]:
    decoder = anthropic.AnthropicDecoder("anthropic")
    fed = [ServerSentEvent(json.dumps(event), event["type"]) for event in events]
    return [said for event in fed for said in decoder.feed(event)]


def anthropic_delta(word: str) -> list[ProviderEvent]:
    delta = {"type": word, "text": "a", "content": "a", "citation": {"cited_text": "a"}, "partial_json": "{"}
    return of_anthropic({"type": "content_block_delta", "index": 0, "delta": delta})


def anthropic_block(word: str) -> list[ProviderEvent]:
    """A block with all that ours have, and the deltas that such blocks get."""
    block = {"type": word, "id": "a", "name": "a", "input": {"a": 1}, "content": "a", "text": "a", "data": "a"}
    return of_anthropic(
        {"type": "content_block_start", "index": 1, "content_block": block},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
        {"type": "content_block_stop", "index": 1},
    )


# --- OpenAI ---


def responses_events() -> set[str]:
    from openai.types.responses import ResponseStreamEvent

    return types_of(ResponseStreamEvent)


def responses_items() -> set[str]:
    from openai.types.responses import ResponseOutputItem

    return types_of(ResponseOutputItem)


def responses_parts() -> set[str]:
    from openai.types.responses import ResponseOutputMessage, ResponseReasoningItem

    message, reasoning = ResponseOutputMessage.model_fields, ResponseReasoningItem.model_fields
    places = (message["content"], reasoning["content"], reasoning["summary"])
    return {word for place in places for word in types_of(place.annotation)}


def responses_statuses() -> set[str]:
    from openai.types.responses import ResponseStatus

    return literals(ResponseStatus)


def responses_reasons() -> set[str]:
    from openai.types.responses.response import IncompleteDetails

    return literals(IncompleteDetails.model_fields["reason"].annotation)


def responses_codes() -> set[str]:
    from openai.types.responses import ResponseError

    return literals(ResponseError.model_fields["code"].annotation)


def chat_chunk() -> set[str]:
    from openai.types.chat import ChatCompletionChunk

    return fields_of(ChatCompletionChunk)


def chat_choice() -> set[str]:
    from openai.types.chat.chat_completion_chunk import Choice

    return fields_of(Choice)


def chat_delta() -> set[str]:
    from openai.types.chat import ChatCompletionMessage
    from openai.types.chat.chat_completion_chunk import ChoiceDelta

    return fields_of(ChoiceDelta) | fields_of(ChatCompletionMessage)


def chat_finish() -> set[str]:
    from openai.types.chat.chat_completion_chunk import Choice

    return literals(Choice.model_fields["finish_reason"].annotation)


def of_responses(event: dict[str, Any]) -> list[ProviderEvent]:
    return openai_responses.OpenAIResponsesDecoder("openai").feed(ServerSentEvent(json.dumps(event), event["type"]))


def responses_event(word: str) -> list[ProviderEvent]:
    names = ("delta", "text", "code", "arguments", "input", "command", "partial_image_b64", "transcript")
    place = {"output_index": 0, "content_index": 0, "summary_index": 0, "item_id": "a", "sequence_number": 3}
    part = {"type": "summary_text", "text": "a"}
    return of_responses({"type": word, **place, "part": part, "annotation": {}, **dict.fromkeys(names, "a")})


def responses_item(word: str) -> list[ProviderEvent]:
    item = {"type": word, "id": "a", "name": "a", "arguments": "{}", "input": "a", "output": "a", "status": "completed"}
    said = [
        of_responses({"type": f"response.output_item.{step}", "output_index": 0, "item": item})
        for step in ("added", "done")
    ]
    return [event for events in said for event in events]


def chat_chunk_with(word: str) -> list[ProviderEvent]:
    return openai_chat.OpenAIChatDecoder("openai").read({word: {"a": 1}})


def chat_delta_with(word: str) -> list[ProviderEvent]:
    choice = {"index": 0, "delta": {word: "assistant"}}
    return openai_chat.OpenAIChatDecoder("openai").read({"choices": [choice]})[1:]


# --- Gemini ---


def gemini(name: str) -> Words:
    def words() -> set[str]:
        types = pytest.importorskip("google.genai.types", reason="the vendor's SDK is not installed")
        kind = getattr(types, name)
        return {to_camel(field) for field in kind.model_fields} if hasattr(kind, "model_fields") else set(kind)

    return words


def of_gemini(chunk: dict[str, Any]) -> list[ProviderEvent]:
    return google.GoogleDecoder("google").read(chunk)


def gemini_part(word: str) -> list[ProviderEvent]:
    return of_gemini({"candidates": [{"content": {"parts": [{word: {"text": "a", "data": "YQ=="}}]}}]})[1:]


def gemini_candidate(word: str) -> list[ProviderEvent]:
    return of_gemini({"candidates": [{word: {"text": "a"}}]})[1:]


def gemini_chunk(word: str) -> list[ProviderEvent]:
    return of_gemini({word: {"text": "a"}})


OWN_TOOLS = "what the provider's own tools do, and what they found"
OTHER_MEDIA = "sound, pictures and files"
BESIDE = "beside the answer: what it rests on, and how it was made"

VOCABULARIES: dict[str, Vocabulary] = {
    "anthropic: events": Vocabulary(anthropic_events, anthropic._EVENTS, {}),
    "anthropic: deltas": Vocabulary(
        anthropic_deltas, anthropic._DELTAS, {BESIDE: ["citations_delta", "compaction_delta"]}, anthropic_delta
    ),
    "anthropic: blocks": Vocabulary(
        anthropic_blocks,
        anthropic._KINDS,
        {
            OWN_TOOLS: [
                *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
                *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "mcp_tool_use"),
                *("tool_search_tool_result", "advisor_tool_result", "mcp_tool_result", "mcp_tool_listing"),
            ],
            OTHER_MEDIA: ["container_upload"],
            BESIDE: ["compaction", "fallback"],
            "thinking that only the provider can read": ["redacted_thinking"],
        },
        anthropic_block,
    ),
    "anthropic: stop reasons": Vocabulary(anthropic_stops, anthropic._FINISH, {}),
    "anthropic: errors": Vocabulary(anthropic_errors, {*failures._BY_CODE, *failures._AS_400}, {}),
    "responses: events": Vocabulary(
        responses_events,
        {*openai_responses._EVENTS, *openai_responses._PART_EVENTS},
        {
            OWN_TOOLS: [
                *(f"response.code_interpreter_call{step}" for step in (".completed", ".in_progress", ".interpreting")),
                *(f"response.code_interpreter_call_code{step}" for step in (".delta", ".done")),
                *(f"response.file_search_call{step}" for step in (".completed", ".in_progress", ".searching")),
                *(f"response.web_search_call{step}" for step in (".completed", ".in_progress", ".searching")),
                *(f"response.mcp_call{step}" for step in (".completed", ".failed", ".in_progress")),
                *(f"response.mcp_call_arguments{step}" for step in (".delta", ".done")),
                *(f"response.mcp_list_tools{step}" for step in (".completed", ".failed", ".in_progress")),
                *(f"response.shell_call_command{step}" for step in (".added", ".delta", ".done")),
                *(f"response.shell_call_output_content{step}" for step in (".delta", ".done")),
            ],
            "tools whose input is no JSON": [f"response.custom_tool_call_input{step}" for step in (".delta", ".done")],
            OTHER_MEDIA: [
                *("response.audio.delta", "response.audio.done"),
                *("response.audio.transcript.delta", "response.audio.transcript.done"),
                *(f"response.image_generation_call{step}" for step in (".completed", ".generating", ".in_progress")),
                "response.image_generation_call.partial_image",
            ],
            BESIDE: ["response.output_text.annotation.added", "response.compaction.compacting"],
            "that a part begins, or ends whose text came before": [
                *("response.content_part.added", "response.reasoning_summary_part.added"),
                "response.reasoning_summary_part.done",
            ],
        },
        responses_event,
    ),
    "responses: items": Vocabulary(
        responses_items,
        {"message", "reasoning", "function_call"},
        {
            OWN_TOOLS: [
                *("code_interpreter_call", "file_search_call", "web_search_call", "image_generation_call"),
                *("computer_call", "computer_call_output", "mcp_call", "mcp_list_tools", "mcp_approval_request"),
                *("mcp_approval_response", "tool_search_call", "tool_search_output", "additional_tools"),
                *("shell_call", "shell_call_output", "local_shell_call", "local_shell_call_output"),
                *("apply_patch_call", "apply_patch_call_output", "program", "program_output", "function_call_output"),
            ],
            "tools whose input is no JSON": ["custom_tool_call", "custom_tool_call_output"],
            BESIDE: ["compaction"],
        },
        responses_item,
    ),
    "responses: parts": Vocabulary(responses_parts, openai_items._PARTS, {}),
    "responses: statuses": Vocabulary(
        responses_statuses, openai_responses._ENDINGS, {"it has not ended": ["queued", "in_progress"]}
    ),
    "responses: incomplete reasons": Vocabulary(responses_reasons, openai_responses._INCOMPLETE, {}),
    "responses: error codes": Vocabulary(responses_codes, failures._BY_CODE, {}),
    "chat: chunk": Vocabulary(
        chat_chunk,
        {*dict(openai_chat._CHUNK), "id", "model", "service_tier"},
        {BESIDE: ["created", "object", "system_fingerprint", "moderation", "obfuscation"]},
        chat_chunk_with,
    ),
    "chat: choice": Vocabulary(chat_choice, {*dict(openai_chat._CHOICE), "delta", "index"}, {}),
    "chat: delta": Vocabulary(
        chat_delta,
        openai_chat._DELTA,
        {"who speaks": ["role"], OTHER_MEDIA: ["audio"], BESIDE: ["annotations"]},
        chat_delta_with,
    ),
    "chat: finish reasons": Vocabulary(chat_finish, openai_chat._FINISH, {}),
    "gemini: chunk": Vocabulary(
        gemini("GenerateContentResponse"),
        {*dict(google._CHUNK), "responseId", "modelVersion"},
        {
            BESIDE: ["createTime", "modelStatus"],
            "the SDK's own": [*("automaticFunctionCallingHistory", "parsed"), "sdkHttpResponse"],
        },
        gemini_chunk,
    ),
    "gemini: candidate": Vocabulary(
        gemini("Candidate"),
        {*dict(google._CANDIDATE), "index"},
        {
            BESIDE: [
                *("avgLogprobs", "citationMetadata", "groundingMetadata", "safetyRatings", "tokenCount"),
                *("urlContextMetadata", "finishMessage", "continuationToken"),
            ]
        },
        gemini_candidate,
    ),
    "gemini: part": Vocabulary(
        gemini("Part"),
        {"text", "thought", "thoughtSignature", "functionCall"},
        {
            OWN_TOOLS: ["codeExecutionResult", "executableCode", "functionResponse", "toolCall", "toolResponse"],
            OTHER_MEDIA: [
                *("audioMetadata", "audioTranscription", "documentMetadata", "fileData", "inlineData"),
                *("mediaProcessing", "mediaResolution", "speechMetadata", "spreadsheetMetadata", "videoMetadata"),
            ],
            BESIDE: ["partMetadata"],
        },
        gemini_part,
    ),
    "gemini: function call": Vocabulary(
        gemini("FunctionCall"), {"args", "id", "name", "partialArgs", "willContinue"}, {}
    ),
    "gemini: partial argument": Vocabulary(gemini("PartialArg"), {*google._VALUES, "jsonPath", "willContinue"}, {}),
    "gemini: finish reasons": Vocabulary(
        gemini("FinishReason"), google._FINISH, {"nothing": google._UNSPECIFIED & {"FINISH_REASON_UNSPECIFIED"}}
    ),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_word_of_a_vendors_types_is_read_or_passed_over_on_purpose(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    words = set(vocabulary.words())
    assert len(words) > 1, "the vendor's types have been cut otherwise: look them up anew"
    assert words - set(vocabulary.read) - set(vocabulary.ignored) == set()
    assert set(vocabulary.read) & set(vocabulary.ignored) == set()


PASSED_OVER = [
    pytest.param(vocabulary.feed, word, id=f"{name}: {word}")
    for name, vocabulary in VOCABULARIES.items()
    if vocabulary.feed is not None
    for word in vocabulary.ignored
]


@pytest.mark.parametrize(("feed", "word"), PASSED_OVER)
def test_what_is_passed_over_says_nothing_and_breaks_nothing(feed: Feed, word: str) -> None:
    assert feed(word) == []


@pytest.mark.parametrize("word", sorted(anthropic._FINISH))
def test_a_stop_reason_of_anthropic_is_told_once_with_its_own_word(word: str) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": word}, "usage": None}
    assert of_anthropic(delta, delta) == [Finished(anthropic._FINISH[word], word)]


@pytest.mark.parametrize("word", sorted(google._FINISH))
def test_a_finish_reason_of_gemini_is_told_with_its_own_word(word: str) -> None:
    assert of_gemini({"candidates": [{"finishReason": word}]})[1:] == [Finished(google._FINISH[word], word)]


def test_every_reason_to_block_a_prompt_is_a_filter() -> None:
    for word in gemini("BlockedReason")():
        said = of_gemini({"promptFeedback": {"blockReason": word}})
        assert said == ([] if word in google._UNSPECIFIED else [Finished("filtered", word)])


def test_a_reasoning_item_without_text_is_thinking_all_the_same() -> None:
    assert of_responses({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}}) == [
        ThinkingDelta("")
    ]


# The canonical codes, by what they mean for who calls (google.aip.dev/193, grpc.io/docs/guides/status-codes).
CANONICAL: Mapping[str, type[ProviderError]] = {
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "OUT_OF_RANGE": BadRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitedError,
    "UNAVAILABLE": OverloadedError,
    "ABORTED": ServerError,
    "CANCELLED": ServerError,
    "DATA_LOSS": ServerError,
    "DEADLINE_EXCEEDED": ServerError,
    "INTERNAL": ServerError,
    "UNKNOWN": ServerError,
}

OF_ANTHROPIC: Mapping[str, type[ProviderError]] = {
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": QuotaExceededError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitedError,
    "timeout_error": ServerError,
    "api_error": ServerError,
    "overloaded_error": OverloadedError,
}


@pytest.mark.parametrize(("word", "kind"), [*CANONICAL.items(), *OF_ANTHROPIC.items()])
def test_the_word_of_an_error_inside_a_stream_means_its_class(word: str, kind: type[ProviderError]) -> None:
    key = "status" if word.isupper() else "type"
    assert type(failures.stream_failure("any", {"error": {key: word, "message": "no"}})) is kind


def test_no_error_of_anthropic_is_without_a_class_here() -> None:
    assert anthropic_errors() <= set(OF_ANTHROPIC)
