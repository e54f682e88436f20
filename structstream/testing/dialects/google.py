"""Gemini's ``generateContent`` and ``streamGenerateContent`` as a server speaks them (ai.google.dev/api).

Arguments of function calls come whole, as there; in pieces where the request says ``streamFunctionCallArguments``. What
Gemini has no word for is said as it would be: a model that declines ends with ``PROHIBITED_CONTENT`` and its sentence
as ``finishMessage``; arguments that are no JSON are a ``MALFORMED_FUNCTION_CALL``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from structstream.events import (
    Failed,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.testing.data import find_schema

from .base import BadQuestionError, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from structstream.events import ProviderEvent
    from structstream.response import Usage

__all__ = ["Google"]

_JSON = dict[str, Any]  # Any: JSON

_FINISH = {
    "stop": "STOP",
    "tool": "STOP",
    "length": "MAX_TOKENS",
    "filtered": "SAFETY",
    "refused": "PROHIBITED_CONTENT",
    "other": "OTHER",
}
# google.rpc.Code by HTTP status.
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
# Any other name is refused, as there.
_FIELDS = frozenset(
    {
        "contents",
        "systemInstruction",
        "generationConfig",
        "tools",
        "toolConfig",
        "safetySettings",
        "cachedContent",
        "labels",
        "model",
        "serviceTier",
        "store",
    }
)
_CONFIG = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "maxOutputTokens",
        "stopSequences",
        "seed",
        "candidateCount",
        "responseMimeType",
        "responseJsonSchema",
        "responseSchema",
        "thinkingConfig",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseModalities",
        "mediaResolution",
        "speechConfig",
        "imageConfig",
        "audioTimestamp",
        "routingConfig",
        "modelSelectionConfig",
        "enableEnhancedCivicAnswers",
    }
)


class Google:
    """``POST /v1beta/models/{model}:generateContent`` and ``:streamGenerateContent``, as events or as an array."""

    name = "google"
    id_prefix = ""

    def read(self, body: Mapping[str, Any], path: str) -> Question:
        """Return what is asked: a JSON schema in the generation config, a function, or a schema in the messages."""
        resource, _, query = path.partition("?")
        model, _, method = resource.rpartition("/")[2].partition(":")
        contents = body.get("contents")
        config = body.get("generationConfig") or {}
        _check_names(body, _FIELDS, "")
        _check_names(config, _CONFIG, " at 'generation_config'")
        if not isinstance(contents, list) or not contents:
            raise BadQuestionError("* GenerateContentRequest.contents: contents is not specified", param="contents")
        texts = [*_texts(body.get("systemInstruction")), *(text for content in contents for text in _texts(content))]
        stream = method == "streamGenerateContent"
        return Question(
            model=model,
            stream=stream,
            array=stream and "alt=sse" not in query.split("&"),
            choices=_count(config, "candidateCount") or 1,
            max_tokens=_count(config, "maxOutputTokens"),
            seed=config.get("seed") if isinstance(config.get("seed"), int) else None,
            input_tokens=max(1, sum(map(len, texts)) // 4),
            answered=_answered_in(contents),
            **_form(body, config, texts),
        )

    def stream(self, question: Question, said: Sequence[ProviderEvent]) -> list[bytes]:
        """Return one event for each thing that is said; a function call is one, or one a value."""
        return [_event(chunk) for chunk in _Writer(question).chunks(said)]

    def whole(self, question: Question, said: Sequence[ProviderEvent]) -> bytes:
        """Return the one response that the stream adds up to."""
        return json.dumps(_joined(list(_Writer(question).chunks(said))), indent=2).encode()

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
        """Return ``{"error": {...}}`` with the status by its name."""
        error = {"code": status, "message": message, "status": _STATUS.get(status, "INTERNAL")}
        return json.dumps({"error": error}, indent=2).encode()

    def headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return what Google puts on an answer; a request id is not among it."""
        return (("server-timing", f"gfet4t7; dur={100 + number}"), ("x-gemini-service-tier", "standard"))


# reading


def _check_names(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for name in given:
        if re.sub(r"_([a-z])", lambda found: found[1].upper(), name) not in known:
            raise BadQuestionError(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')


def _texts(content: object) -> list[str]:
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part["text"] for part in parts or () if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _count(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise BadQuestionError(f"* GenerateContentRequest.generation_config.{name}: must be positive", param=name)
    return value


def _answered_in(contents: Sequence[object]) -> str:
    said = [content for content in contents if isinstance(content, dict) and content.get("role") == "model"]
    return "".join(_texts(said[-1])) if said else ""


def _form(body: Mapping[str, Any], config: Mapping[str, Any], texts: Sequence[str]) -> _JSON:
    schema = config.get("responseJsonSchema") or _lowered(config.get("responseSchema"))
    is_json = config.get("responseMimeType") == "application/json"
    if schema is not None and not is_json:
        raise BadQuestionError("response schemas are only supported with response_mime_type application/json")
    if called := _function(body, wanted=is_json):
        return called
    found = next((found for found in map(find_schema, texts) if found is not None), None)
    if is_json:
        return {"form": "json", "schema": schema or found or {"type": "object"}}
    return {"form": "json" if found else "text", "schema": found}


def _function(body: Mapping[str, Any], *, wanted: bool) -> _JSON | None:
    """The function that the model calls: an allowed one, or the first where it may choose and no JSON is wanted."""
    functions = [function for tool in body.get("tools") or () for function in tool.get("functionDeclarations") or ()]
    settings = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    forced = settings.get("mode") == "ANY"
    allowed = settings.get("allowedFunctionNames") or [function.get("name") for function in functions]
    if settings.get("mode") == "NONE" or not functions or (wanted and not forced):
        return None
    function = next((function for function in functions if function.get("name") in allowed), None)
    if function is None:
        raise BadQuestionError("allowed_function_names has a name that is no function's", param="tool_config")
    schema = function.get("parametersJsonSchema") or _lowered(function.get("parameters")) or {"type": "object"}
    in_pieces = settings.get("streamFunctionCallArguments") is True
    return {"form": "tool", "tool": function["name"], "schema": schema, "forced": forced, "in_pieces": in_pieces}


def _lowered(schema: Any) -> Any:  # Any: JSON
    """A schema of Google's own form, with ``"STRING"`` for ``"string"``, as JSON Schema."""
    if isinstance(schema, list):
        return [_lowered(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {key: _lowered(value) for key, value in schema.items()}
    kind = lowered.get("type")
    return {**lowered, "type": kind.lower()} if isinstance(kind, str) else lowered


# writing


def _event(chunk: _JSON) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\r\n\r\n"


def _usage(usage: Usage) -> _JSON:
    return {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input_tokens}],
    }


class _Writer:
    """Makes the chunks of one answer."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.head: _JSON = {}
        self.calls: dict[int, list[ToolDelta]] = {}  # what was said of the open call of a candidate
        self.refusals: dict[int, str] = {}
        self.ends: list[_JSON] = []  # candidates that finish with the next chunk
        self.rows: dict[type, Callable[[Any], Iterator[_JSON]]] = {  # Any: each row takes its own event
            Started: self.started,
            TextDelta: lambda event: self.part(event.choice, {"text": event.text}),
            ThinkingDelta: self.thinking,
            RefusalDelta: self.refusal,
            ToolDelta: self.tool,
            Finished: self.finished,
            UsageReported: self.usage,
            Failed: self.failed,
        }

    def chunks(self, said: Sequence[ProviderEvent]) -> Iterator[_JSON]:
        for event in said:
            if type(event) in self.rows:
                yield from self.rows[type(event)](event)
        for number in list(self.calls):
            yield from self.call(number)
        yield from self.ended()

    def chunk(self, candidates: list[_JSON], **more: _JSON) -> _JSON:
        return {**({"candidates": candidates} if candidates else {}), **more, **self.head}

    def part(self, number: int, part: _JSON) -> Iterator[_JSON]:
        yield from self.ended()
        yield self.chunk([{"content": {"parts": [part], "role": "model"}, "index": number}])

    def ended(self) -> Iterator[_JSON]:
        ends, self.ends = self.ends, []
        if ends:
            yield self.chunk(ends)

    def started(self, event: Started) -> Iterator[_JSON]:
        self.head = {"modelVersion": event.model, "responseId": event.response_id}
        yield from ()

    def thinking(self, event: ThinkingDelta) -> Iterator[_JSON]:
        signature = {"thoughtSignature": event.signature} if event.signature else {}
        return self.part(event.choice, {"text": event.text, "thought": True, **signature})

    def refusal(self, event: RefusalDelta) -> Iterator[_JSON]:
        self.refusals[event.choice] = self.refusals.get(event.choice, "") + event.text
        yield from ()

    def tool(self, event: ToolDelta) -> Iterator[_JSON]:
        known = self.calls.get(event.choice)
        if known and known[0].call != event.call:
            yield from self.call(event.choice)
        self.calls.setdefault(event.choice, []).append(event)

    def call(self, number: int) -> Iterator[_JSON]:
        deltas = self.calls.pop(number)
        try:
            arguments = json.loads("".join(delta.text for delta in deltas))
        except ValueError:  # cut off, be it before its first character
            return
        about = {"name": deltas[0].name, **({"id": deltas[0].id} if deltas[0].id else {})}
        if not self.question.in_pieces:
            yield from self.part(number, {"functionCall": {**about, "args": arguments}})
            return
        yield from self.part(number, {"functionCall": {**about, "willContinue": True}})
        for piece in _pieces("$", arguments):
            yield from self.part(number, {"functionCall": {"partialArgs": [piece], "willContinue": True}})
        yield from self.part(number, {"functionCall": {}})

    def finished(self, event: Finished) -> Iterator[_JSON]:
        number, reason = event.choice, event.raw or _FINISH[event.reason]
        spoken = True
        if number in self.calls:
            called = list(self.call(number))
            spoken = bool(called)
            yield from called
        if any(candidate["index"] == number for candidate in self.ends):
            yield from self.ended()
        if not spoken and reason == "STOP":
            reason = "MALFORMED_FUNCTION_CALL"
        message = self.refusals.pop(number, "")
        words = {"finishMessage": message} if message else {}
        self.ends.append({"content": {"role": "model"}, "finishReason": reason, "index": number, **words})

    def usage(self, event: UsageReported) -> Iterator[_JSON]:
        ends, self.ends = self.ends, []
        yield self.chunk(ends, usageMetadata=_usage(event.usage))

    def failed(self, event: Failed) -> Iterator[_JSON]:
        yield from self.ended()
        yield {"error": {"code": 500, "message": event.error.message, "status": event.error.code or "INTERNAL"}}


def _pieces(path: str, value: Any) -> Iterator[_JSON]:  # Any: JSON
    """What is sent of a value: a piece for each scalar, and one more for the end of a string."""
    if isinstance(value, dict):
        for key, item in value.items():
            step = f".{key}" if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else f"[{json.dumps(key)}]"
            yield from _pieces(path + step, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pieces(f"{path}[{index}]", item)
    elif isinstance(value, str):
        yield {"jsonPath": path, "stringValue": value, "willContinue": True}
        yield {"jsonPath": path, "stringValue": ""}
    elif value is None:
        yield {"jsonPath": path, "nullValue": "NULL_VALUE"}
    else:
        yield {"jsonPath": path, "boolValue" if isinstance(value, bool) else "numberValue": value}


def _joined(chunks: Sequence[_JSON]) -> _JSON:
    """The one response that chunks add up to; texts of one kind in a row become one part."""
    whole: _JSON = {"candidates": []}
    candidates: dict[int, _JSON] = {}
    for chunk in chunks:
        if "error" in chunk:
            return chunk
        whole |= {key: value for key, value in chunk.items() if key != "candidates"}
        for each in chunk.get("candidates", ()):
            known = candidates.setdefault(each["index"], {"content": {"parts": [], "role": "model"}})
            parts = known["content"]["parts"]
            for part in each["content"].get("parts", ()):
                if parts and "text" in part and parts[-1].keys() == part.keys() - {"thoughtSignature"}:
                    parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
            known.update({key: value for key, value in each.items() if key != "content"})
    whole["candidates"] = [candidate for _, candidate in sorted(candidates.items())]
    return whole
