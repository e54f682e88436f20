"""OpenAI's Responses as a server sends them (platform.openai.com, API reference: Responses; Responses streaming)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from structstream.events import ProviderEvent
    from structstream.response import Usage

__all__ = ["OpenAIResponses"]

_JSON = dict[str, Any]  # Any: JSON

_encoded = json.JSONEncoder(ensure_ascii=False).encode  # once: json.dumps makes a new encoder for each call

_CREATED = 1_700_000_000  # fixed, so that the same seed gives the same bytes
_INCOMPLETE = {"length": "max_output_tokens", "filtered": "content_filter"}

# What a response says of a request that asked for nothing special.
_RESPONSE: _JSON = {
    "status": "in_progress",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
}

# Parameters of chat completions, which this API refuses.
_UNKNOWN = (
    *("messages", "response_format", "max_tokens", "max_completion_tokens", "stop", "seed", "n", "functions"),
    *("frequency_penalty", "presence_penalty", "logit_bias", "logprobs"),
)


class OpenAIResponses:
    """``POST /v1/responses``, streamed and whole."""

    name = "openai_responses"
    id_prefix = "resp_"

    def read(self, body: Mapping[str, Any], path: str) -> Question:
        """Return what is asked: a JSON schema as the format of the text, a function, or a schema in the input."""
        model, given = body.get("model"), body.get("input")
        if not isinstance(model, str):
            raise BadQuestionError(
                "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
            )
        for name in _UNKNOWN:
            if name in body:
                raise BadQuestionError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if not given or not isinstance(given, str | list):
            raise BadQuestionError("'input' must be text or a list with at least one item", param="input")
        items = [{"content": given}] if isinstance(given, str) else given
        texts = [text for item in items if isinstance(item, dict) for text in texts_of(item.get("content"))]
        texts += texts_of(body.get("instructions"))
        return Question(
            model=model,
            stream=body.get("stream") is True,
            max_tokens=count_of(body, "max_output_tokens"),
            input_tokens=max(1, sum(map(len, texts)) // 4),
            answered=answered_in(items),
            **_form(body, texts),
        )

    def stream(self, question: Question, said: Sequence[ProviderEvent]) -> list[bytes]:
        """Return the events that say it, each with its number."""
        writer = _Writer(question)
        return [event for each in said for event in writer.write(each)]

    def whole(self, question: Question, said: Sequence[ProviderEvent]) -> bytes:
        """Return the response object that the stream ends with."""
        writer = _Writer(question)
        for event in said:
            writer.write(event)
        list(writer.close("completed"))
        return json.dumps(writer.response).encode()

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
        """Return ``{"error": {...}}``."""
        return error_body(status, message, param=param, code=code)

    def headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return the request id and the rate-limit headers."""
        return headers_of(number)


# reading


def _form(body: Mapping[str, Any], texts: Sequence[str]) -> _JSON:
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, dict) else None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if called := _tool(body, formatted=kind not in (None, "text")):
        return called
    if kind == "json_schema":
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        if not isinstance(wanted, dict) or not isinstance(schema, dict) or not wanted.get("name"):
            raise BadQuestionError("Missing required parameter: 'text.format.schema'.", param="text.format.schema")
        if wanted.get("strict"):
            check_strict(schema, f"response_format '{wanted['name']}'", "text.format.schema")
        return {"form": "json", "schema": schema}
    schema = next((found for found in map(find_schema, texts) if found is not None), None)
    if kind == "json_object":
        return {"form": "json", "schema": schema or {"type": "object"}}
    return {"form": "json" if schema else "text", "schema": schema}


def _tool(body: Mapping[str, Any], *, formatted: bool) -> _JSON | None:
    """The function that the model calls: the forced one, or the first where it may choose and no format is asked."""
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict) and tool.get("type") == "function"]
    choice = body.get("tool_choice", "auto" if tools else "none")
    if choice == "none" or (choice == "auto" and (not tools or formatted)):
        return None
    forced = choice.get("name") if isinstance(choice, dict) else None
    tool = next((tool for tool in tools if forced is None or tool.get("name") == forced), None)
    if tool is None or not tool.get("name"):
        raise BadQuestionError(f"Tool choice {forced!r} not found in 'tools' parameter.", param="tool_choice")
    schema = tool.get("parameters") or {"type": "object"}
    if tool.get("strict", True):  # here a function that does not say is a strict one
        check_strict(schema, f"function '{tool['name']}'", "tools")
    return {"form": "tool", "tool": tool["name"], "schema": schema, "forced": forced is not None}


# writing


@dataclass(slots=True)
class _Open:
    """The item that is being written, the part of it, and the text of that part."""

    key: tuple[str, int, int]
    item: _JSON
    part: str = ""
    texts: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


# Of each kind of part: its item, the stem of its delta events, the word in its place's key, the key of its text.
_KINDS = {
    "output_text": ("message", "response.output_text", "content", "text"),
    "refusal": ("message", "response.refusal", "content", "refusal"),
    "summary_text": ("reasoning", "response.reasoning_summary_text", "summary", "text"),
    "arguments": ("function_call", "response.function_call_arguments", "", "arguments"),
}
_PART_OF = {"content": "content_part", "summary": "reasoning_summary_part"}
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


class _Writer:
    """Writes one response, one item after the other; what only the end tells is kept until then."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.response: _JSON = {}
        self.number = 0
        self.open: _Open | None = None
        self.finishes: list[Finished] = []
        self.usage: Usage | None = None
        self.rows: dict[type, Callable[[Any], Iterator[bytes]]] = {  # Any: each row takes its own event
            Started: self.started,
            TextDelta: lambda event: self.delta("output_text", event.choice, 0, event.text),
            RefusalDelta: lambda event: self.delta("refusal", event.choice, 0, event.text),
            ThinkingDelta: self.thinking,
            ToolDelta: self.tool,
            Finished: self.finished,
            UsageReported: self.reported,
            Failed: self.failed,
            StreamEnd: self.ended,
        }

    def write(self, event: ProviderEvent) -> list[bytes]:
        return list(self.rows[type(event)](event))

    def event(self, kind: str, **payload: Any) -> bytes:
        data = _encoded({"type": kind, "sequence_number": self.number, **payload})
        self.number += 1
        return f"event: {kind}\ndata: {data}\n\n".encode()

    # the response

    def started(self, event: Started) -> Iterator[bytes]:
        self.response = {
            "id": event.response_id,
            "object": "response",
            "created_at": _CREATED,
            "model": event.model,
            "service_tier": event.service_tier or "default",
            "max_output_tokens": self.question.max_tokens,
            "output": [],
            **_RESPONSE,
        }
        yield self.event("response.created", response=self.response)
        yield self.event("response.in_progress", response=self.response)

    def finished(self, event: Finished) -> Iterator[bytes]:
        self.finishes.append(event)
        yield from ()

    def reported(self, event: UsageReported) -> Iterator[bytes]:
        self.usage = event.usage
        yield from ()

    def ended(self, event: StreamEnd) -> Iterator[bytes]:
        for finish in self.finishes:
            reason = _INCOMPLETE.get(finish.reason)
            status = "incomplete" if reason else "completed"
            yield from self.close(status)
            self.response["status"] = status
            self.response["incomplete_details"] = {"reason": reason} if reason else None
            self.response["usage"] = None if self.usage is None else _usage(self.usage)
            yield self.event(f"response.{status}", response=self.response)

    def failed(self, event: Failed) -> Iterator[bytes]:
        error = {"code": event.error.code or "server_error", "message": event.error.message}
        self.response |= {"status": "failed", "error": error}
        yield self.event("error", error={"type": "server_error", **error, "param": None})
        yield self.event("response.failed", response=self.response)

    # its items

    def thinking(self, event: ThinkingDelta) -> Iterator[bytes]:
        yield from self.delta("summary_text", event.choice, 0, event.text)
        if event.signature and self.open is not None:
            self.open.item["encrypted_content"] = event.signature

    def tool(self, event: ToolDelta) -> Iterator[bytes]:
        call = {"arguments": "", "call_id": event.id, "name": event.name}
        yield from self.delta("arguments", event.choice, event.call, event.text, **call)

    def delta(self, part: str, choice: int, call: int, text: str, **more: Any) -> Iterator[bytes]:
        kind = _KINDS[part][0]
        opened = self.open
        if opened is None or opened.key != (kind, choice, call):
            yield from self.close("completed")
            opened = self.open = _Open((kind, choice, call), self.item(kind, more))
            yield self.event("response.output_item.added", output_index=self.index, item=opened.item)
        if opened.part != part:
            yield from self.close_part(opened)
            yield from self.open_part(opened, part)
        if text:
            opened.texts.append(text)
            yield f"{opened.before}{self.number}{opened.after}{_encoded(text)}}}\n\n".encode()
            self.number += 1

    def item(self, kind: str, more: _JSON) -> _JSON:
        item = {"id": f"{_PREFIXES[kind]}_simulated_{self.index}", "type": kind}
        if kind == "reasoning":
            return {**item, "summary": []}
        item["status"] = "in_progress"
        return {**item, "content": [], "role": "assistant"} if kind == "message" else {**item, **more}

    @property
    def index(self) -> int:
        return len(self.response["output"])

    def place(self, opened: _Open, part: str) -> _JSON:
        word = _KINDS[part][2]
        place = {"item_id": opened.item["id"], "output_index": self.index}
        return {**place, f"{word}_index": len(opened.item[word])} if word else place

    def open_part(self, opened: _Open, part: str) -> Iterator[bytes]:
        place = self.place(opened, part)
        _, stem, word, _ = _KINDS[part]
        opened.part, opened.texts = part, []
        if word:
            yield self.event(f"response.{_PART_OF[word]}.added", **place, part=_part(part, ""))
        where = _encoded(place | ({"logprobs": []} if part == "output_text" else {}))[1:-1]
        kind = f"{stem}.delta"
        opened.before = f'event: {kind}\ndata: {{"type": "{kind}", "sequence_number": '
        opened.after = f', {where}, "delta": '

    def close_part(self, opened: _Open) -> Iterator[bytes]:
        if not opened.part:
            return
        part, text = opened.part, "".join(opened.texts)
        place = self.place(opened, part)
        _, stem, word, key = _KINDS[part]
        more: _JSON = {"logprobs": []} if part == "output_text" else {}
        if part == "arguments":
            more = {"name": opened.item["name"]}
            opened.item["arguments"] = text
        yield self.event(f"{stem}.done", **place, **{key: text}, **more)
        if word:
            yield self.event(f"response.{_PART_OF[word]}.done", **place, part=_part(part, text))
            opened.item[word].append(_part(part, text))
        opened.part = ""

    def close(self, status: str) -> Iterator[bytes]:
        """Write the end of the item that is open, if one is."""
        opened = self.open
        if opened is None:
            return
        yield from self.close_part(opened)
        if "status" in opened.item:
            opened.item["status"] = status
        yield self.event("response.output_item.done", output_index=self.index, item=opened.item)
        self.response["output"].append(opened.item)
        self.open = None


def _part(part: str, text: str) -> _JSON:
    if part == "output_text":
        return {"type": part, "annotations": [], "logprobs": [], "text": text}
    return {"type": part, _KINDS[part][3]: text}


def _usage(usage: Usage) -> _JSON:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
