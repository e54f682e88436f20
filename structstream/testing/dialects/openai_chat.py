"""OpenAI's chat completions as a server sends them (platform.openai.com, API reference: Chat, and Chat streaming)."""

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
from .openai_common import answered_in, check_strict, count_of, error_body, headers_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.events import ProviderEvent
    from structstream.response import Usage

__all__ = ["OpenAIChat"]

_JSON = dict[str, Any]  # Any: JSON

_encoded = json.JSONEncoder(ensure_ascii=False).encode  # once: json.dumps makes a new encoder for each call

_CREATED = 1_700_000_000  # fixed, so that the same seed gives the same bytes
_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filtered": "content_filter",
    "refused": "stop",
    "other": "stop",
}


class OpenAIChat:
    """``POST /v1/chat/completions``, streamed and whole."""

    name = "openai_chat"
    id_prefix = "chatcmpl-"

    def read(self, body: Mapping[str, Any], path: str) -> Question:
        """Return what is asked: a JSON schema in the response format, a tool, or a schema in the messages."""
        model = body.get("model") or (path.split("/")[3] if path.startswith("/openai/deployments/") else None)
        messages = body.get("messages")
        if not isinstance(model, str):
            raise BadQuestionError("you must provide a model parameter")
        if not isinstance(messages, list) or not messages:
            raise BadQuestionError("'messages' must be a list with at least one message", param="messages")
        texts = [text for message in messages if isinstance(message, dict) for text in texts_of(message.get("content"))]
        options = body.get("stream_options")
        return Question(
            model=model,
            stream=body.get("stream") is True,
            choices=count_of(body, "n") or 1,
            max_tokens=count_of(body, "max_completion_tokens") or count_of(body, "max_tokens"),
            seed=body.get("seed") if isinstance(body.get("seed"), int) else None,
            input_tokens=max(1, sum(map(len, texts)) // 4),
            answered=answered_in(messages),
            report_usage=isinstance(options, dict) and options.get("include_usage") is True,
            **_form(body, texts),
        )

    def stream(self, question: Question, said: Sequence[ProviderEvent]) -> list[bytes]:
        """Return one event for each thing that is said."""
        writer = _StreamWriter(question)
        return [event for each in said for event in writer.write(each)]

    def whole(self, question: Question, said: Sequence[ProviderEvent]) -> bytes:
        """Return the completion object that the stream adds up to."""
        return json.dumps(_whole(said)).encode()

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
        """Return ``{"error": {...}}``."""
        return error_body(status, message, param=param, code=code)

    def headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return the request id and the rate-limit headers."""
        return headers_of(number)


# reading


def _form(body: Mapping[str, Any], texts: Sequence[str]) -> _JSON:
    if called := _tool(body):
        return called
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        given = wanted.get("json_schema") if isinstance(wanted, dict) else None
        if not isinstance(given, dict) or not isinstance(given.get("schema"), dict):
            raise BadQuestionError(
                "Missing required parameter: 'response_format.json_schema.schema'", param="response_format"
            )
        if given.get("strict"):
            check_strict(given["schema"], f"response_format '{given.get('name')}'", "response_format")
        return {"form": "json", "schema": given["schema"]}
    schema = next((found for found in map(find_schema, texts) if found is not None), None)
    if kind == "json_object":
        return {"form": "json", "schema": schema or {"type": "object"}}
    return {"form": "json" if schema else "text", "schema": schema}


def _tool(body: Mapping[str, Any]) -> _JSON | None:
    """The tool that the model calls: the forced one, or the first where it may choose and nothing else is asked."""
    tools = [tool["function"] for tool in body.get("tools") or () if isinstance(tool, dict) and "function" in tool]
    choice = body.get("tool_choice", "auto" if tools else "none")
    if choice == "none" or (choice == "auto" and (not tools or body.get("response_format"))):
        return None
    forced = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    tool = next((tool for tool in tools if forced is None or tool.get("name") == forced), None)
    if tool is None:
        raise BadQuestionError(f"Tool choice {forced!r} not found in 'tools' parameter", param="tool_choice")
    schema = tool.get("parameters", {"type": "object"})
    if tool.get("strict"):
        check_strict(schema, f"function '{tool.get('name')}'", "tools")
    return {"form": "tool", "tool": tool.get("name", ""), "schema": schema, "forced": forced is not None}


# writing


def _usage(usage: Usage) -> _JSON:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0},
    }


def _error(event: Failed) -> _JSON:
    return {"message": event.error.message, "type": "server_error", "param": None, "code": event.error.code}


def _finish(event: Finished) -> str:
    return event.raw or _FINISH[event.reason]


def _event(payload: _JSON) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class _StreamWriter:
    """Writes the events of one stream; the frame around a delta is made once."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.head: _JSON = {}
        self.frames: dict[tuple[str, int, int], tuple[bytes, bytes]] = {}
        self.rows: dict[type, Callable[[Any], list[bytes]]] = {  # Any: each row takes its own event
            Started: self.started,
            TextDelta: lambda event: [self.framed("content", event.choice, 0, event.text)],
            ThinkingDelta: lambda event: [self.framed("reasoning_content", event.choice, 0, event.text)],
            RefusalDelta: lambda event: [self.framed("refusal", event.choice, 0, event.text)],
            ToolDelta: self.tool,
            Finished: self.finished,
            UsageReported: self.usage,
            Failed: lambda event: [_event({"error": _error(event)})],
            StreamEnd: lambda event: [b"data: [DONE]\n\n"],
        }

    def write(self, event: ProviderEvent) -> list[bytes]:
        return self.rows[type(event)](event)

    def chunk(self, choices: list[_JSON], usage: _JSON | None = None) -> _JSON:
        chunk = {**self.head, "choices": choices}
        return {**chunk, "usage": usage} if self.question.report_usage else chunk

    def choice(self, number: int, delta: _JSON, finish: str | None = None) -> bytes:
        return _event(self.chunk([{"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}]))

    def started(self, event: Started) -> list[bytes]:
        self.head = {
            "id": event.response_id,
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": event.model,
            "service_tier": event.service_tier or "default",
            "system_fingerprint": "fp_simulated",
        }
        content = None if self.question.form == "tool" else ""
        delta = {"role": "assistant", "content": content, "refusal": None}
        return [self.choice(number, delta) for number in range(self.question.choices)]

    def framed(self, kind: str, choice: int, call: int, text: str) -> bytes:
        frame = self.frames.get((kind, choice, call))
        if frame is None:
            mark = "\x00text\x00"
            delta = _arguments(call, mark) if kind == "arguments" else {kind: mark}
            before, after = self.choice(choice, delta).split(json.dumps(mark).encode())
            frame = self.frames[kind, choice, call] = before, after
        return frame[0] + _encoded(text).encode() + frame[1]

    def tool(self, event: ToolDelta) -> list[bytes]:
        if not event.id:
            return [self.framed("arguments", event.choice, event.call, event.text)]
        function = {"name": event.name, "arguments": event.text}
        opened = {"index": event.call, "id": event.id, "type": "function", "function": function}
        return [self.choice(event.choice, {"tool_calls": [opened]})]

    def finished(self, event: Finished) -> list[bytes]:
        return [self.choice(event.choice, {}, _finish(event))]

    def usage(self, event: UsageReported) -> list[bytes]:
        return [_event(self.chunk([], _usage(event.usage)))] if self.question.report_usage else []


def _arguments(call: int, text: str) -> _JSON:
    return {"tool_calls": [{"index": call, "function": {"arguments": text}}]}


def _whole(said: Sequence[ProviderEvent]) -> _JSON:
    """The completion object that a stream adds up to."""
    body: _JSON = {"id": "", "object": "chat.completion", "created": _CREATED, "model": "", "choices": []}
    choices: dict[int, _JSON] = {}
    for event in said:
        if isinstance(event, Failed):
            return {"error": _error(event)}
        if isinstance(event, Started):
            body |= {"id": event.response_id, "model": event.model, "service_tier": event.service_tier or "default"}
        elif isinstance(event, UsageReported):
            body["usage"] = _usage(event.usage)
        elif not isinstance(event, StreamEnd):
            message = choices.setdefault(event.choice, {"role": "assistant", "content": None, "refusal": None})
            _add(message, event)
    for number, message in sorted(choices.items()):
        finish = message.pop("finish_reason", None)
        body["choices"].append({"index": number, "message": message, "logprobs": None, "finish_reason": finish})
    return body


def _add(message: _JSON, event: ProviderEvent) -> None:
    texts = {TextDelta: "content", ThinkingDelta: "reasoning_content", RefusalDelta: "refusal"}
    if isinstance(event, TextDelta | ThinkingDelta | RefusalDelta):
        field = texts[type(event)]
        message[field] = (message.get(field) or "") + event.text
    elif isinstance(event, Finished):
        message["finish_reason"] = _finish(event)
    elif isinstance(event, ToolDelta):
        calls = message.setdefault("tool_calls", [])
        while len(calls) <= event.call:
            calls.append({"id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}})
        calls[event.call]["function"]["arguments"] += event.text
