"""The chat-completions dialect of OpenAI, and of all that speak it.

POST /chat/completions; ``chat.completion.chunk`` events; a usage chunk; ``[DONE]``
(platform.openai.com/docs/api-reference/chat-streaming). What providers add, leave out or do twice is handled where it
stands in a chunk, by key; unknown keys and events are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from structstream.errors import ProtocolError
from structstream.events import (
    Failed,
    Finished,
    Logprobs,
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

from .base import SurrogateHalves, count_of, logprobs_of, parse_object, parse_object_with_halves
from .failures import http_failure, is_bare_error, stream_failure
from .openai_template import Template
from .schema import instruction, schema_of
from .thinking import with_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.continuation import TakeUp
    from structstream.errors import ProviderError
    from structstream.events import FinishReason, ProviderEvent, ServerSentEvent
    from structstream.request import StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec
    from .schema import ModelSchema

    _OfChunk = Callable[["OpenAIChatDecoder", JSONValue, list[ProviderEvent]], None]
    _OfChoice = Callable[["OpenAIChatDecoder", JSONValue, int, list[ProviderEvent]], None]

__all__ = ["OpenAIChat", "OpenAIChatDecoder"]

T = TypeVar("T")

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool",
    "tool_use": "tool",
    "function_call": "tool",
    "content_filter": "filtered",
    "safety": "filtered",
    "refusal": "refused",
}
# A finish that says that the provider failed, mostly without an error object beside it (OpenRouter, Mistral, vLLM;
# api-docs.deepseek.com: "interrupted due to insufficient resource of the inference system").
_FAILURES = frozenset({"error", "insufficient_system_resource"})


class OpenAIChat:
    """A provider that speaks this dialect.

    Args:
        spec: what is known about it.

    >>> from structstream.providers import route
    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="2 + 2?")
    >>> found = route(request.model)
    >>> found.provider.encode(request, model=found.model, mode="tool").body["tool_choice"]
    {'type': 'function', 'function': {'name': 'int'}}
    """

    __slots__ = ("spec",)

    takes_arrays: ClassVar[bool] = False

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec

    def encode(self, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode) -> HTTPRequest:
        """Return the POST for `request`; see `Provider.encode`."""
        spec = self.spec
        request = with_thinking(request, spec)
        schema = schema_of(request)
        body: dict[str, JSONValue] = {"model": model, "messages": [dict(message) for message in request.conversation]}
        _MODES[mode](spec, schema, body)
        stop = request.stop if request.stop is None or isinstance(request.stop, str) else list(request.stop)
        asked = {
            "temperature": request.temperature,
            spec.max_tokens_field: request.max_tokens,
            "stop": stop,
            spec.seed_field: request.seed,
            "logprobs": request.logprobs or None,
            "stream": request.enable_streaming,
            "stream_options": {"include_usage": True} if request.enable_streaming and spec.stream_usage else None,
        }
        body.update({name: value for name, value in asked.items() if value is not None})
        body.update(request.extra)
        accept = "text/event-stream" if request.enable_streaming else "application/json"
        headers = {"content-type": "application/json", "accept": accept, **dict(spec.headers)}
        headers.update({name.lower(): value for name, value in request.headers.items()})
        return HTTPRequest("POST", "/chat/completions", headers, body)

    def decoder(self) -> OpenAIChatDecoder:
        """Return a fresh decoder for one streamed answer."""
        return OpenAIChatDecoder(self.spec.name)

    def take_up(self, request: StreamingStructuredRequest[T], stream: TakeUp) -> None:
        """Return None: no lost stream is sent on here; see `Provider.take_up`."""

    def decoder_of_rest(self) -> OpenAIChatDecoder:
        """Return a fresh decoder; see `Provider.decoder_of_rest`."""
        return self.decoder()

    def whole(self, body: bytes) -> list[ProviderEvent]:
        """Return what an answer that was not streamed says; see `Provider.whole`."""
        answer = parse_object(body, self.spec.name)
        events = self.decoder().read(answer)
        if not (answer.get("choices") or any(isinstance(event, Failed) for event in events)):
            raise ProtocolError("an answer without choices", provider=self.spec.name, event=str(answer))
        return [*events, StreamEnd()]

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> ProviderError:
        """Return the error that an HTTP answer means; see `Provider.error`."""
        return http_failure(self.spec.name, status, headers, body, now=now)


def _native(spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    held = schema.native(spec.name, any_schema=spec.any_schema)
    shape = {"name": schema.name, "strict": schema.strict is not None, "schema": held}
    body["response_format"] = {"type": "json_schema", "json_schema": shape}


def _tool(spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    function: dict[str, JSONValue] = {
        "name": schema.name,
        "description": schema.plain.get("description") or "Gives the answer.",
        "parameters": schema.strict or schema.plain,
    }
    if spec.strict_tools and schema.strict is not None:
        function["strict"] = True
    named = {"type": "function", "function": {"name": schema.name}}
    body["tools"] = [{"type": "function", "function": function}]
    body["tool_choice"] = named if spec.tool_choice == "named" else spec.tool_choice


def _prompted(_spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    text = instruction(schema)
    messages = body["messages"]
    first = messages[0]
    # Some chat templates take one system message only, as the first: ours joins the caller's.
    if first["role"] == "system" and isinstance(first["content"], str):
        body["messages"] = [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    else:
        body["messages"] = [{"role": "system", "content": text}, *messages]


_MODES: Mapping[ConcreteMode, Callable[[ProviderSpec, ModelSchema, dict[str, JSONValue]], None]] = {
    "native": _native,
    "tool": _tool,
    "prompted": _prompted,
}


@dataclass(slots=True)
class _Call:
    number: int
    id: str
    name: str


class OpenAIChatDecoder:
    """Reads one streamed answer of this dialect.

    Args:
        provider: the provider's name, for errors.
    """

    sequence_number: int | None = None  # the events of this dialect have no numbers

    __slots__ = (
        "_broke",
        "_calls",
        "_counts",
        "_deltas",
        "_finished",
        "_halves",
        "_latest",
        "_provider",
        "_started",
        "_thinking",
        "template",
    )

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._started = False
        self._deltas = False  # the answer comes in pieces: a whole message after them repeats it
        self._broke = ""  # the finish that says so
        self._thinking = ""  # the key under which this provider thinks aloud; some send two with the same text
        self._finished: dict[int, str] = {}
        self._calls: dict[tuple[int, int | str], _Call] = {}
        self._latest: dict[int, _Call] = {}
        self._counts: dict[int, int] = {}
        self._halves: SurrogateHalves | None = None  # once one was seen
        self.template = Template(_BESIDE_TEXT, provider)

    def feed(self, event: ServerSentEvent) -> list[ProviderEvent]:
        """Return what `event` says, in order; nothing for events that the dialect does not know.

        Raises:
            ProtocolError: the event is not what the dialect promises.
        """
        data = event.data
        if event.event == "message":
            if self.template.before and (text := self.template.text_within(data)):
                return [TextDelta(text)]
            if data.startswith("[DONE]"):
                return [StreamEnd()]
            if not data or data.isspace():
                return []
            chunk = self._parsed(data)
            events = self.read(chunk)
            if len(events) == 1:
                self.template.learn(data, chunk, events[0])
            return events
        return self._named(event)

    def close(self) -> list[ProviderEvent]:
        """Return what the end of the stream adds: nothing in this dialect."""
        return []

    def read(self, chunk: Mapping[str, JSONValue]) -> list[ProviderEvent]:
        """Return what one parsed chunk, or one whole answer, says.

        Raises:
            ProtocolError: as `feed`.
        """
        out: list[ProviderEvent] = []
        if not self._started:
            self._start(chunk, out)
        for key, handler in _CHUNK:
            value = chunk.get(key)
            if value:
                handler(self, value, out)
        if self._broke and not any(isinstance(event, Failed) for event in out):
            words = {"message": f"the provider broke its answer off with finish_reason {self._broke!r}"}
            self._error({**words, "code": self._broke}, out)
        if not out and "choices" not in chunk and is_bare_error(chunk):
            out.append(Failed(stream_failure(self._provider, chunk)))
        return out

    def _named(self, event: ServerSentEvent) -> list[ProviderEvent]:
        try:
            value: JSONValue = self._parsed(event.data)
        except ProtocolError:
            value = event.data
        if event.event == "error":
            return [Failed(stream_failure(self._provider, value))]
        if isinstance(value, str):
            return [StreamEnd()] if value.startswith("[DONE]") else []
        return self.read(value)

    def _parsed(self, data: str) -> dict[str, JSONValue]:
        try:
            return parse_object(data, self._provider)
        except ProtocolError:
            value = parse_object_with_halves(data, self._provider)
            if value is None:
                raise
        self._halves = self._halves or SurrogateHalves()
        self.template.forget()  # from now on texts may have to be joined
        return value

    def _start(self, chunk: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        words = [word if isinstance(word := chunk.get(key), str) else "" for key in ("id", "model", "service_tier")]
        if words[0] or words[1] or chunk.get("choices"):
            self._started = True
            out.append(Started(*words))

    def _choices(self, choices: JSONValue, out: list[ProviderEvent]) -> None:
        if not isinstance(choices, list):
            raise self._wrong("choices", choices)
        for choice in choices:
            if not isinstance(choice, dict):
                raise self._wrong("a choice", choice)
            number = choice.get("index") or 0
            delta = choice.get("delta")
            if delta is None and not self._deltas:  # a whole answer has a message instead
                delta = choice.get("message")
            elif delta is not None:
                self._deltas = True
            if delta:
                if not isinstance(delta, dict) or not isinstance(number, int):
                    raise self._wrong("a choice", choice)
                for key, value in delta.items():
                    if key == "content" and type(value) is str and value and self._halves is None:
                        out.append(TextDelta(value, number))  # nine events in ten
                    elif value and (handler := _DELTA.get(key)) is not None:
                        handler(self, value, number, out)
            for key, of_choice in _CHOICE:
                value = choice.get(key)
                if value:
                    of_choice(self, value, number, out)

    def _content(self, content: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        if isinstance(content, str):
            if self._halves is not None:
                content = self._joined(content, "content", number)
            out.append(TextDelta(content, number))
            return
        for part in self._items(content, "content"):
            kind = part.get("type")
            if kind == "text" and part.get("text"):
                self._content(self._text(part["text"], "content"), number, out)
            elif kind == "thinking" and part.get("thinking"):
                self._think("content", part["thinking"], number, out)
            elif kind == "reasoning" and part.get("summary"):  # Databricks
                self._think("content", part["summary"], number, out)

    def _reasoning(self, value: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        self._think("reasoning", value, number, out)

    def _reasoning_content(self, value: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        self._think("reasoning_content", value, number, out)

    def _reasoning_details(self, details: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        for detail in self._items(details, "reasoning_details"):
            self._think("reasoning_details", detail.get("text") or detail.get("summary") or "", number, out)
            signature = detail.get("signature")
            if isinstance(signature, str) and signature:
                out.append(ThinkingDelta("", signature, number))

    def _think(self, key: str, value: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        parts = [value] if isinstance(value, str) else [part.get("text") or "" for part in self._items(value, key)]
        text = self._joined("".join(self._text(part, key) for part in parts), key, number)
        self._thinking = self._thinking or (key if text else "")
        if text and self._thinking == key:
            out.append(ThinkingDelta(text, "", number))

    def _refusal(self, refusal: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        text = self._joined(self._text(refusal, "refusal"), "refusal", number)
        out.append(RefusalDelta(text, number))

    def _tool_calls(self, calls: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        for call in self._items(calls, "tool_calls"):
            function, index = call.get("function"), call.get("index")
            if type(index) is int and type(function) is dict and len(function) == 1 and self._halves is None:
                known, text = self._calls.get((number, index)), function.get("arguments")
                if known is not None and type(text) is str:  # the usual continuation
                    self._latest[number] = known
                    if text:
                        out.append(ToolDelta(text, known.number, "", "", number))
                    continue
            if function is not None:  # other kinds of tools than functions are none of ours
                id_ = call.get("id") or ""
                self._call(index, str(id_) if type(id_) is int else id_, function, number, out)

    def _function_call(self, function: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        self._call("function_call", "", function, number, out)

    def _call(
        self, index: JSONValue, id_: JSONValue, function: JSONValue, number: int, out: list[ProviderEvent]
    ) -> None:
        if not isinstance(function, dict) or not isinstance(index, int | str | None):
            raise self._wrong("a tool call", function)
        name = self._text(function.get("name") or "", "a tool's name")
        text = self._joined(self._arguments(function.get("arguments")), "arguments", number, index)
        known = self._known_call(index, self._text(id_, "a tool call's id"), name, number)
        if known is None:
            known = _Call(self._counts.get(number, 0), id_, name)
            self._counts[number] = known.number + 1
            out.append(ToolDelta(text, known.number, id_, name, number))
        elif text or (name and not known.name):
            out.append(ToolDelta(text, known.number, "", "" if known.name else name, number))
            known.name = known.name or name
        self._latest[number] = known
        # Where no index is given, the id says which call goes on.
        if index is not None or known.id:
            self._calls[number, known.id if index is None else index] = known

    def _known_call(self, index: int | str | None, id_: str, name: str, number: int) -> _Call | None:
        if index is None:
            known = self._calls.get((number, id_)) or self._latest.get(number)
        else:
            known = self._calls.get((number, index))
        if known is None or not name:
            return known
        # A name begins a call, but some repeat it. Mistral gives no index, Gemini's relay gives 0 to all: the id tells.
        if index is None:
            return known if id_ and id_ == known.id else None
        return None if id_ and known.id and id_ != known.id else known

    def _arguments(self, arguments: JSONValue) -> str:
        if isinstance(arguments, dict):  # some local servers send the object itself
            return json.dumps(arguments, ensure_ascii=False)
        return self._text(arguments or "", "a tool call's arguments")

    def _logprobs(self, logprobs: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        tokens = logprobs_of(logprobs.get("content") if isinstance(logprobs, dict) else None)
        if tokens:
            out.append(Logprobs(tokens, number))

    def _finish_reason(self, reason: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        raw = self._text(reason, "finish_reason")
        if self._finished.get(number) != raw:
            self._finished[number] = raw
            if not number and raw.lower() in _FAILURES:
                self._broke = raw
            out.append(Finished(_FINISH.get(raw.lower(), "other"), raw, number))

    def _choice_error(self, error: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        if not number:
            self._error(error, out)

    def _usage(self, usage: JSONValue, out: list[ProviderEvent]) -> None:
        if not isinstance(usage, dict):
            raise self._wrong("usage", usage)
        out.append(UsageReported(_usage_of(usage)))

    def _groq(self, extension: JSONValue, out: list[ProviderEvent]) -> None:
        told = extension if isinstance(extension, dict) else {}
        if isinstance(told.get("usage"), dict):
            self._usage(told["usage"], out)
        if told.get("error"):  # why the stream stops early
            self._error(told["error"], out)

    def _error(self, error: JSONValue, out: list[ProviderEvent]) -> None:
        out.append(Failed(stream_failure(self._provider, {"error": error})))

    def _items(self, value: JSONValue, what: str) -> Sequence[dict[str, JSONValue]]:
        if not isinstance(value, list):
            raise self._wrong(what, value)
        for item in value:
            if not isinstance(item, dict):
                raise self._wrong(what, value)
        return value

    def _text(self, value: JSONValue, what: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(what, value)
        return value

    def _joined(self, text: str, *place: object) -> str:
        return text if self._halves is None else self._halves.join(text, *place)

    def _wrong(self, what: str, value: JSONValue) -> ProtocolError:
        return ProtocolError(f"{what} of an unknown form", provider=self._provider, event=repr(value))


# What a chunk can carry, in the order in which it is told.
_CHUNK: Sequence[tuple[str, _OfChunk]] = (
    ("choices", OpenAIChatDecoder._choices),
    ("usage", OpenAIChatDecoder._usage),
    ("x_groq", OpenAIChatDecoder._groq),
    ("error", OpenAIChatDecoder._error),
)
_CHOICE: Sequence[tuple[str, _OfChoice]] = (
    ("logprobs", OpenAIChatDecoder._logprobs),
    ("finish_reason", OpenAIChatDecoder._finish_reason),
    ("error", OpenAIChatDecoder._choice_error),
)
_DELTA: Mapping[str, _OfChoice] = {
    "content": OpenAIChatDecoder._content,
    "tool_calls": OpenAIChatDecoder._tool_calls,
    "function_call": OpenAIChatDecoder._function_call,
    "refusal": OpenAIChatDecoder._refusal,
    "reasoning": OpenAIChatDecoder._reasoning,
    "reasoning_content": OpenAIChatDecoder._reasoning_content,
    "reasoning_details": OpenAIChatDecoder._reasoning_details,
}
_BESIDE_TEXT = tuple(key for key in _DELTA if key != "content")


def _usage_of(usage: Mapping[str, JSONValue]) -> Usage:
    prompt = count_of(usage, "prompt_tokens") or count_of(usage, "input_tokens")
    completion = count_of(usage, "completion_tokens") or count_of(usage, "output_tokens")
    reasoning = count_of(usage.get("completion_tokens_details"), "reasoning_tokens") or count_of(
        usage, "reasoning_tokens"
    )
    cached = count_of(usage.get("prompt_tokens_details"), "cached_tokens") or count_of(usage, "prompt_cache_hit_tokens")
    if reasoning and count_of(usage, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI counts them apart
    return Usage(prompt, completion, cached or count_of(usage, "cached_tokens"), reasoning)
