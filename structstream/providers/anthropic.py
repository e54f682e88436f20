"""The Messages dialect of Anthropic, and of all that speak it.

POST /v1/messages; ``message_start``, blocks of content, ``message_delta``, ``message_stop`` (platform.claude.com,
"Messages" and "Streaming messages"). An answer comes in blocks by their index: text, tool calls, thinking, and what the
provider's own tools did, which is none of the answer. Unknown events, blocks, deltas and fields are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeVar

from structstream.errors import ProtocolError
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
from structstream.request import HTTPRequest
from structstream.response import Usage

from .anthropic_request import body_of
from .base import SurrogateHalves, count_of, parse_object, parse_object_with_halves
from .failures import http_failure, stream_failure
from .thinking import with_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structstream.continuation import TakeUp
    from structstream.errors import ProviderError
    from structstream.events import FinishReason, ProviderEvent, ServerSentEvent
    from structstream.request import StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec, TextTemplate

    _OfEvent = Callable[["AnthropicDecoder", Mapping[str, JSONValue], list[ProviderEvent]], None]
    _OfDelta = Callable[["AnthropicDecoder", str, "_Block", list[ProviderEvent]], None]

__all__ = ["Anthropic", "AnthropicDecoder"]

T = TypeVar("T")

# The version in which every parameter of a request can be said: its successor of October 2026 refuses `temperature`.
_VERSION = "2023-06-01"

_FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool",
    "refusal": "refused",
    "pause_turn": "other",  # the provider's own tools would go on if they were asked to
    "compaction": "other",
}


class Anthropic:
    """A provider that speaks this dialect.

    Args:
        spec: what is known about it.

    >>> from structstream.providers import route
    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="anthropic/claude-haiku-4-5", prompt="2 + 2?")
    >>> route(request.model).encode(request).body["output_config"]["format"]["type"]
    'json_schema'
    """

    __slots__ = ("spec",)

    takes_arrays: ClassVar[bool] = False

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec

    def encode(self, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode) -> HTTPRequest:
        """Return the POST for `request`; see `Provider.encode` and `anthropic_request.body_of`."""
        request = with_thinking(request, self.spec)
        accept = "text/event-stream" if request.enable_streaming else "application/json"
        headers = {"content-type": "application/json", "accept": accept, "anthropic-version": _VERSION}
        headers |= {**dict(self.spec.headers), **{name.lower(): value for name, value in request.headers.items()}}
        return HTTPRequest("POST", "/v1/messages", headers, body_of(self.spec, request, model=model, mode=mode))

    def decoder(self) -> AnthropicDecoder:
        """Return a fresh decoder for one streamed answer."""
        return AnthropicDecoder(self.spec.name)

    def take_up(self, request: StreamingStructuredRequest[T], stream: TakeUp) -> None:
        """Return None: no lost stream is sent on here; see `Provider.take_up`."""

    def decoder_of_rest(self) -> AnthropicDecoder:
        """Return a fresh decoder; see `Provider.decoder_of_rest`."""
        return self.decoder()

    def whole(self, body: bytes) -> list[ProviderEvent]:
        """Return what an answer that was not streamed says; see `Provider.whole`."""
        return [*self.decoder().read(parse_object(body, self.spec.name)), StreamEnd()]

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> ProviderError:
        """Return the error that an HTTP answer means; see `Provider.error`."""
        return http_failure(self.spec.name, status, headers, body, now=now)


@dataclass(slots=True)
class _Block:
    kind: str
    index: int
    call: int = 0
    given: Mapping[str, JSONValue] = field(default_factory=dict)  # arguments that came with the start
    spoke: bool = False


class AnthropicDecoder:
    """Reads one streamed answer of this dialect.

    A `Started` that is not the first says that the provider broke its message off and began another.

    Args:
        provider: the provider's name, for errors.
    """

    sequence_number: int | None = None  # the events of this dialect have no numbers
    template: TextTemplate | None = None

    __slots__ = ("_bare", "_begun", "_blocks", "_calls", "_finished", "_halves", "_provider", "_started", "_usage")

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._started: Started | None = None
        self._begun = False  # whether the message that is being read has a block
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._bare: list[int] = []  # closed calls without arguments
        self._usage: dict[str, JSONValue] = {}
        self._finished = ""
        self._halves: SurrogateHalves | None = None  # once one was seen

    def feed(self, event: ServerSentEvent) -> list[ProviderEvent]:
        """Return what `event` says, in order; nothing for events that the dialect does not know.

        Raises:
            ProtocolError: the event is not what the dialect promises.
        """
        data, name = event.data, event.event
        if name == "message" and data.startswith("[DONE]"):  # relays of other dialects add it
            return [StreamEnd()]
        try:
            value = self._parsed(data) if data and not data.isspace() else {}
        except ProtocolError:
            if name == "error":
                return [Failed(stream_failure(self._provider, data))]
            if name not in _EVENTS and name != "message":
                return []
            raise
        out: list[ProviderEvent] = []
        handler = _EVENTS.get(_word(value.get("type"))) or _EVENTS.get(name)
        if handler is not None:
            handler(self, value, out)
        elif value.get("error"):
            self._error(value, out)
        return out

    def close(self) -> list[ProviderEvent]:
        """Return what the end of the stream adds: nothing in this dialect."""
        return []

    def read(self, message: Mapping[str, JSONValue]) -> list[ProviderEvent]:
        """Return what a whole message says.

        Raises:
            ProtocolError: it is none.
        """
        out: list[ProviderEvent] = []
        if message.get("error"):
            self._error(message, out)
        elif isinstance(message.get("content"), list):
            self._message(message, out)
        else:
            raise self._wrong("a message", message)
        return out

    def _parsed(self, data: str) -> dict[str, JSONValue]:
        try:
            return parse_object(data, self._provider)
        except ProtocolError:
            value = parse_object_with_halves(data, self._provider)
            if value is None:
                raise
        self._halves = self._halves or SurrogateHalves()
        return value

    # --- the events ---

    def _message_start(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        self._message(self._dict(value, "message"), out)

    def _message(self, message: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        usage = message.get("usage")
        tier = message.get("service_tier") or (usage.get("service_tier") if isinstance(usage, dict) else "")
        started = Started(_word(message.get("id")), _word(message.get("model")), _word(tier))
        if started == self._started and (started.response_id or not self._begun):
            return  # the event was sent twice
        self._started, self._begun, self._finished = started, False, ""
        self._blocks.clear()
        self._bare.clear()
        self._usage.clear()
        out.append(started)
        content = message.get("content") or ()
        if not isinstance(content, list | tuple):
            raise self._wrong("content of an unknown form", message)
        cut = _FINISH.get(_word(message.get("stop_reason"))) == "length"
        for index, block in enumerate(content):
            self._content_block_start({"index": index, "content_block": block}, out)
            if not (cut and index == len(content) - 1):  # arguments that were cut are not what the model meant to say
                self._content_block_stop({"index": index}, out)
        self._finish(message, out)
        self._report(usage, out)

    def _content_block_start(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        content, index = self._dict(value, "content_block"), self._index(value)
        block = self._blocks[index] = _Block(_word(content.get("type")), index)
        self._begun = True
        if block.kind == "tool_use":
            block.call, self._calls = self._calls, self._calls + 1
            given = content.get("input")
            block.given = given if isinstance(given, dict) else {}
            out.append(ToolDelta("", block.call, _word(content.get("id")), _word(content.get("name"))))
        for kind, name, say in _DELTAS.values():
            if kind == block.kind and content.get(name):
                say(self, self._text(content[name], name), block, out)

    def _content_block_delta(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        delta, index = self._dict(value, "delta"), self._index(value)
        known = _DELTAS.get(_word(delta.get("type")))
        if known is None:
            return
        kind, name, say = known
        block = self._blocks.get(index)
        if block is None and kind != "tool_use":  # some relays leave the start out
            block = self._blocks[index] = _Block(kind, index)
            self._begun = True
        if block is None or (block.kind != kind and block.kind in _KINDS):
            raise self._wrong(f"a {delta['type']} outside of a block of its kind", value)
        text = self._text(delta.get(name), name)
        if text and block.kind == kind:
            say(self, text if self._halves is None else self._halves.join(text, index, name), block, out)

    def _content_block_stop(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        block = self._blocks.pop(self._index(value), None)
        if block is None or block.kind != "tool_use" or block.spoke:
            return
        if block.given:
            out.append(ToolDelta(json.dumps(block.given, ensure_ascii=False), block.call))
        else:
            self._bare.append(block.call)

    def _message_delta(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        if value.get("delta") is not None:
            self._finish(self._dict(value, "delta"), out)
        self._report(value.get("usage"), out)

    def _message_stop(self, _value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        out.append(StreamEnd())

    def _error(self, value: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        out.append(Failed(stream_failure(self._provider, value)))

    def _finish(self, said: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        raw = self._text(said.get("stop_reason") or "", "stop_reason")
        if not raw or raw == self._finished:
            return
        self._finished = raw
        reason, details = _FINISH.get(raw, "other"), said.get("stop_details")
        if reason == "refused" and isinstance(details, dict) and _word(details.get("explanation")):
            out.append(RefusalDelta(details["explanation"]))
        if reason in ("tool", "stop"):  # a call without arguments is one with none, unless it was cut
            out.extend(ToolDelta("{}", call) for call in self._bare)
        self._bare.clear()
        out.append(Finished(reason, raw))

    def _report(self, usage: JSONValue, out: list[ProviderEvent]) -> None:
        if usage is None:
            return
        if not isinstance(usage, dict):
            raise self._wrong("usage", usage)
        # The counts of a message_delta are totals: they replace those of the start, which stay where none is given.
        self._usage |= {name: value for name, value in usage.items() if value}
        out.append(UsageReported(_usage_of(self._usage)))

    # --- what a block says ---

    def _say(self, text: str, _block: _Block, out: list[ProviderEvent]) -> None:
        out.append(TextDelta(text))

    def _argue(self, text: str, block: _Block, out: list[ProviderEvent]) -> None:
        block.spoke = True
        out.append(ToolDelta(text, block.call))

    def _think(self, text: str, _block: _Block, out: list[ProviderEvent]) -> None:
        out.append(ThinkingDelta(text))

    def _sign(self, text: str, _block: _Block, out: list[ProviderEvent]) -> None:
        out.append(ThinkingDelta("", text))

    # --- what must have a form ---

    def _dict(self, value: Mapping[str, JSONValue], name: str) -> Mapping[str, JSONValue]:
        found = value.get(name)
        if not isinstance(found, dict):
            raise self._wrong(f"{name} of an unknown form", value)
        return found

    def _index(self, value: Mapping[str, JSONValue]) -> int:
        index = value.get("index") or 0
        if not isinstance(index, int):
            raise self._wrong("index of an unknown form", value)
        return index

    def _text(self, value: JSONValue, name: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(f"{name} of an unknown form", value)
        return value

    def _wrong(self, what: str, value: JSONValue) -> ProtocolError:
        return ProtocolError(what, provider=self._provider, event=repr(value))


_EVENTS: Mapping[str, _OfEvent] = {
    "content_block_delta": AnthropicDecoder._content_block_delta,
    "content_block_start": AnthropicDecoder._content_block_start,
    "content_block_stop": AnthropicDecoder._content_block_stop,
    "message_start": AnthropicDecoder._message_start,
    "message_delta": AnthropicDecoder._message_delta,
    "message_stop": AnthropicDecoder._message_stop,
    "error": AnthropicDecoder._error,
}

# Each delta: the kind of block that it belongs to, the field that holds its text, and what that says.
_DELTAS: Mapping[str, tuple[str, str, _OfDelta]] = {
    "text_delta": ("text", "text", AnthropicDecoder._say),
    "input_json_delta": ("tool_use", "partial_json", AnthropicDecoder._argue),
    "thinking_delta": ("thinking", "thinking", AnthropicDecoder._think),
    "signature_delta": ("thinking", "signature", AnthropicDecoder._sign),
}
_KINDS = frozenset(kind for kind, _, _ in _DELTAS.values())


def _word(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""


def _usage_of(usage: Mapping[str, JSONValue]) -> Usage:
    """Anthropic counts what was read from a cache, and what was written into one, apart from the other input."""
    cached, written = count_of(usage, "cache_read_input_tokens"), count_of(usage, "cache_creation_input_tokens")
    reasoning = count_of(usage.get("output_tokens_details"), "thinking_tokens")
    return Usage(
        count_of(usage, "input_tokens") + cached + written, count_of(usage, "output_tokens"), cached, reasoning
    )
