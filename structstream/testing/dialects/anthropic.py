"""Anthropic's Messages as a server sends them (platform.claude.com, "Messages", "Streaming messages", "Errors")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from structstream.events import (
    Failed,
    Finished,
    RefusalDelta,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.testing.data import find_schema

from .base import BadQuestionError, Question
from .openai_common import answered_in, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from structstream.events import ProviderEvent
    from structstream.response import Usage

__all__ = ["Anthropic"]

_JSON = dict[str, Any]  # Any: JSON

_encoded = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":")
).encode  # once: json.dumps makes one for each call

_SIGNATURE = "c2ltdWxhdGVk"  # closes a block of thinking whose own was not said
_STOPS = {
    "length": "max_tokens",
    "tool": "tool_use",
    "filtered": "refusal",
    "refused": "refusal",
    "other": "pause_turn",
}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# Parameters of other dialects, which this API refuses.
_UNKNOWN = ("response_format", "max_completion_tokens", "n", "seed", "stop", "stream_options", "input", "instructions")

# Keywords that the schema of a structured output must not have.
_REFUSED = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "oneOf", "default"),
)


class Anthropic:
    """``POST /v1/messages``, streamed and whole."""

    name = "anthropic"
    id_prefix = "msg_"

    def read(self, body: Mapping[str, Any], path: str) -> Question:
        """Return what is asked: a format of the output, a tool, or a schema in the system prompt or the messages."""
        _check(body)
        messages = body["messages"]
        texts = [*texts_of(body.get("system")), *(text for each in messages for text in texts_of(each.get("content")))]
        return Question(
            model=body["model"],
            stream=body.get("stream") is True,
            max_tokens=body["max_tokens"],
            input_tokens=max(1, sum(map(len, texts)) // 4),
            answered=answered_in(messages),
            **_form(body, texts),
        )

    def stream(self, question: Question, said: Sequence[ProviderEvent]) -> list[bytes]:
        """Return the named events that say it."""
        return [_event(payload) for payload in _payloads(question, said)]

    def whole(self, question: Question, said: Sequence[ProviderEvent]) -> bytes:
        """Return the message that the stream adds up to."""
        return _encoded(_whole(_payloads(question, said))).encode()

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
        """Return ``{"type": "error", "error": {...}}``; the dialect has no codes beside the type."""
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return _encoded(_error(kind, message if param is None else f"{param}: {message}")).encode()

    def headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return the request id and the rate-limit headers."""
        return (
            ("request-id", f"req_simulated_{number}"),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", str(max(0, 3999 - number))),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:20Z"),
        )


# reading


def _check(body: Mapping[str, Any]) -> None:
    messages, most = body.get("messages"), body.get("max_tokens")
    forced = _dict(body, "tool_choice").get("type") in ("tool", "any")
    thinking = _dict(body, "thinking")
    thinks = thinking.get("type") == "enabled"
    temperature = body.get("temperature")
    most = most if isinstance(most, int) else 0
    roles = (
        [each.get("role") if isinstance(each, dict) else None for each in messages]
        if isinstance(messages, list)
        else []
    )
    rules = (
        ("model", "Field required", isinstance(body.get("model"), str)),
        ("max_tokens", "Field required", "max_tokens" in body),
        ("max_tokens", "Input should be greater than or equal to 1", most >= 1),
        ("messages", "at least one message is required", bool(roles)),
        (
            "messages",
            'Unexpected role: the roles are "user" and "assistant"',
            all(role in ("user", "assistant") for role in roles),
        ),
        (
            "temperature",
            "range: 0..1",
            temperature is None or (isinstance(temperature, int | float) and 0 <= temperature <= 1),
        ),
        (
            "tool_choice",
            "Thinking may not be enabled when tool_choice forces tool use.",
            not (thinks and forced),
        ),
        (
            "max_tokens",
            "must be greater than `thinking.budget_tokens`",
            not thinks or most > thinking.get("budget_tokens", 0),
        ),
        *((name, "Extra inputs are not permitted", name not in body) for name in _UNKNOWN),
    )
    for name, problem, holds in rules:
        if not holds:
            raise BadQuestionError(problem, param=name)


def _dict(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _form(body: Mapping[str, Any], texts: Sequence[str]) -> _JSON:
    wanted = _dict(body, "output_config").get("format")
    if called := _tool(body, formatted=wanted is not None):
        return called
    if wanted is not None:
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        if not isinstance(schema, dict):
            raise BadQuestionError("Field required", param="output_config.format.schema")
        _check_strict(schema, "output_config.format.schema")
        return {"form": "json", "schema": schema}
    schema = next((found for found in map(find_schema, texts) if found is not None), None)
    return {"form": "json" if schema else "text", "schema": schema}


def _tool(body: Mapping[str, Any], *, formatted: bool) -> _JSON | None:
    """The tool that the model calls: the forced one, or the first where it may choose and nothing else is asked."""
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict) and "input_schema" in tool]
    choice = body.get("tool_choice") or {"type": "auto" if tools else "none"}
    if choice["type"] == "none" or (choice["type"] == "auto" and (not tools or formatted)):
        return None
    named = choice.get("name")
    tool = next((tool for tool in tools if named is None or tool.get("name") == named), None)
    if tool is None:
        raise BadQuestionError(f"Tool '{named}' not found in provided tools", param="tool_choice")
    if tool.get("strict"):
        _check_strict(tool["input_schema"], "tools.0.custom.input_schema")
    return {"form": "tool", "tool": tool["name"], "schema": tool["input_schema"], "forced": choice["type"] != "auto"}


def _check_strict(schema: object, owner: str) -> None:
    """Refuse, as the provider does, what a structured output cannot be held to."""
    if isinstance(schema, list):
        for part in schema:
            _check_strict(part, owner)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise BadQuestionError("For 'object' type, 'additionalProperties' must be explicitly set to false", param=owner)
    for name in _REFUSED:
        if name in schema:
            raise BadQuestionError(f"For '{kind}' type, property '{name}' is not supported", param=owner)
    for key, part in schema.items():
        if key not in ("enum", "const", "examples", "required"):
            _check_strict(list(part.values()) if key in ("properties", "$defs") else part, owner)


# writing


def _event(payload: _JSON) -> bytes:
    return f"event: {payload['type']}\ndata: {_encoded(payload)}\n\n".encode()


def _error(kind: str, message: str) -> _JSON:
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_simulated"}


def _usage(usage: Usage) -> _JSON:
    counts = {
        "input_tokens": usage.input_tokens - usage.cached_input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    details = {"output_tokens_details": {"thinking_tokens": usage.reasoning_tokens}} if usage.reasoning_tokens else {}
    return counts | details


def _payloads(question: Question, said: Iterable[ProviderEvent]) -> list[_JSON]:
    writer = _Writer(question)
    for event in said:
        writer.rows[type(event)](event)
    writer.end_message()
    return writer.payloads


class _Writer:
    """Says it in blocks, one after the other."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.payloads: list[_JSON] = []
        self.index = -1
        self.kind = ""  # of the block that is open; empty for none
        self.signed = False
        self.calls: dict[int, int] = {}
        self.refusal = ""
        self.finish: Finished | None = None
        self.usage: _JSON = {}
        self.rows: dict[type, Callable[[Any], None]] = {  # Any: each row takes its own event
            Started: self.started,
            TextDelta: lambda event: self.delta("text", "text_delta", "text", event.text),
            ThinkingDelta: self.thinking,
            RefusalDelta: self.refused,
            ToolDelta: self.tool,
            Finished: self.finished,
            UsageReported: self.reported,
            Failed: self.failed,
            StreamEnd: self.ended,
        }

    def put(self, kind: str, **more: Any) -> None:  # Any: JSON
        self.payloads.append({"type": kind, **more})

    def started(self, event: Started) -> None:
        usage: _JSON = {"input_tokens": self.question.input_tokens, "cache_creation_input_tokens": 0}
        usage |= {"cache_read_input_tokens": 0, "output_tokens": 1, "service_tier": event.service_tier or "standard"}
        message = {"id": event.response_id, "type": "message", "role": "assistant", "model": event.model, "content": []}
        self.put("message_start", message=message | {"stop_reason": None, "stop_sequence": None, "usage": usage})
        self.put("ping")

    def open(self, kind: str, content: _JSON) -> None:
        self.close()
        self.kind, self.index, self.signed = kind, self.index + 1, False
        self.put("content_block_start", index=self.index, content_block={"type": kind, **content})

    def close(self) -> None:
        if self.kind == "thinking" and not self.signed:
            self.put(
                "content_block_delta", index=self.index, delta={"type": "signature_delta", "signature": _SIGNATURE}
            )
        if self.kind:
            self.put("content_block_stop", index=self.index)
        self.kind = ""

    def delta(self, block: str, kind: str, name: str, text: str) -> None:
        if self.kind != block:
            self.open(block, {name: ""} | ({"signature": ""} if block == "thinking" else {}))
        self.put("content_block_delta", index=self.index, delta={"type": kind, name: text})

    def thinking(self, event: ThinkingDelta) -> None:
        if event.text:
            self.delta("thinking", "thinking_delta", "thinking", event.text)
        if event.signature:
            self.delta("thinking", "signature_delta", "signature", event.signature)
            self.signed = True

    def refused(self, event: RefusalDelta) -> None:
        self.refusal += event.text

    def tool(self, event: ToolDelta) -> None:
        if event.call not in self.calls:
            self.open("tool_use", {"id": event.id, "name": event.name, "input": {}})
            self.calls[event.call] = self.index
        delta = {"type": "input_json_delta", "partial_json": event.text}
        self.put("content_block_delta", index=self.calls[event.call], delta=delta)

    def finished(self, event: Finished) -> None:
        self.end_message()
        self.finish = event

    def reported(self, event: UsageReported) -> None:
        self.usage = _usage(event.usage)
        self.end_message()

    def end_message(self) -> None:
        """Say how the message ended, with the tokens, once both are known or no more comes."""
        if self.finish is None:
            return
        finish, self.finish = self.finish, None
        self.close()
        reason = _STOPS.get(finish.reason, "tool_use" if self.calls else "end_turn")
        details = {"type": "refusal", "category": None, "explanation": self.refusal or None}
        delta: _JSON = {"stop_reason": finish.raw or reason, "stop_sequence": None}
        delta |= {"stop_details": details} if reason == "refusal" else {}
        self.put("message_delta", delta=delta, usage=self.usage or {"output_tokens": 1})

    def failed(self, event: Failed) -> None:
        self.payloads.append(_error(event.error.code or "api_error", event.error.message))

    def ended(self, _event: StreamEnd) -> None:
        self.end_message()
        self.put("message_stop")


def _whole(payloads: Iterable[_JSON]) -> _JSON:
    """The message that the events add up to, or the error among them."""
    message: _JSON = {}
    for payload in payloads:
        kind = payload["type"]
        if kind == "error":
            return payload
        if kind == "message_start":
            message = payload["message"]
        elif kind == "content_block_start":
            message["content"].append(payload["content_block"])
        elif kind == "content_block_delta":
            _add(message["content"][payload["index"]], payload["delta"])
        elif kind == "message_delta":
            message |= payload["delta"]
            message["usage"] |= payload["usage"]
    for block in message.get("content", ()):
        if block["type"] == "tool_use":
            block["input"] = _parsed(block.pop("partial_json", ""))
    return message


def _add(block: _JSON, delta: Mapping[str, Any]) -> None:
    for name in ("text", "thinking", "signature", "partial_json"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:  # they were cut
        return {}
