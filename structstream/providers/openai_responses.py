"""OpenAI's Responses dialect, and that of all who speak it: xAI, DeepSeek, OpenRouter, LM Studio and others.

POST /responses; typed events of an answer that is a list of output items (platform.openai.com/docs/api-reference:
Responses, and Responses streaming; openresponses.org). Items are known by their ``output_index``: some relays change
their ids in the middle of a stream. Unknown items, events and fields are ignored.

Three rules, where the documentation leaves room:

- What came in deltas counts. The text of a ``.done`` event, of a finished item and of the final response counts only
  where no delta of it came; so nothing is told twice.
- The first message that is not marked as commentary is the answer, the parts of it joined; each other message is an
  alternative with a number of its own.
- ``seed`` is a wish and is left out, as the API has none; ``stop`` would change the answer, so it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar
from urllib.parse import quote

from structstream.errors import ConfigurationError, ProtocolError
from structstream.events import (
    Failed,
    Finished,
    Logprobs,
    Started,
    StreamEnd,
    UsageReported,
)
from structstream.request import HTTPRequest
from structstream.response import Usage

from .base import count_of, logprobs_of, parse_object, parse_object_with_halves
from .content import image_of, text_of
from .failures import http_failure, stream_failure
from .openai_items import OutputItems
from .schema import instruction, schema_of
from .thinking import with_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structstream.continuation import TakeUp
    from structstream.errors import ProviderError
    from structstream.events import FinishReason, ProviderEvent, ServerSentEvent
    from structstream.request import Message, StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec, TextTemplate
    from .openai_items import OutputItem
    from .schema import ModelSchema

    _Event = Mapping[str, JSONValue]
    _Handler = Callable[["OpenAIResponsesDecoder", _Event, list[ProviderEvent]], object]
    _Row = tuple[str, str, str, bool]

__all__ = ["OpenAIResponses", "OpenAIResponsesDecoder"]

T = TypeVar("T")

_INCOMPLETE: Mapping[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_messages": "other",
    "content_filter": "filtered",
    "steered": "other",
}


class OpenAIResponses:
    """A provider that speaks this dialect.

    Args:
        spec: what is known about it.

    >>> from structstream.providers import route
    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="openai-responses/gpt-4o", prompt="2 + 2?")
    >>> found = route(request.model)
    >>> found.provider.encode(request, model=found.model, mode="tool").body["tool_choice"]
    {'type': 'function', 'name': 'int'}
    """

    __slots__ = ("spec",)

    takes_arrays: ClassVar[bool] = False

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec

    def encode(self, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode) -> HTTPRequest:
        """Return the POST for `request`; see `Provider.encode`."""
        spec = self.spec
        request = with_thinking(request, spec)
        if request.stop:
            raise ConfigurationError(
                f"{spec.name} cannot stop at a text: the Responses API has no such parameter; leave stop out, or ask "
                "the same model over chat completions"
            )
        items = [item for message in request.conversation for item in _items_of(message)]
        body: dict[str, JSONValue] = {"model": model, "input": items}
        _MODES[mode](spec, schema_of(request, spec.strict_form), body)
        asked = {
            "temperature": request.temperature,
            "max_output_tokens": request.max_tokens,
            "stream": request.enable_streaming,
            "include": ["message.output_text.logprobs"] if request.logprobs else None,
        }
        body.update({name: value for name, value in asked.items() if value is not None})
        shape = body.get("text")
        body.update(request.extra)
        if shape is not None and isinstance(request.extra.get("text"), dict):  # a verbosity beside our format
            body["text"] = {**shape, **request.extra["text"]}
        accept = "text/event-stream" if request.enable_streaming else "application/json"
        headers = {"content-type": "application/json", "accept": accept, **dict(spec.headers)}
        headers.update({name.lower(): value for name, value in request.headers.items()})
        return HTTPRequest("POST", "/responses", headers, body)

    def decoder(self) -> OpenAIResponsesDecoder:
        """Return a fresh decoder for one streamed answer."""
        return OpenAIResponsesDecoder(self.spec.name)

    def take_up(self, request: StreamingStructuredRequest[T], stream: TakeUp) -> HTTPRequest:
        """Return the GET that sends on a background response (API reference: "Get a model response")."""
        headers = {"accept": "text/event-stream", **dict(self.spec.headers)}
        headers.update({name.lower(): value for name, value in request.headers.items()})
        path = f"/responses/{quote(stream.response_id, safe='')}?stream=true&starting_after={stream.after}"
        return HTTPRequest("GET", path, headers, {})

    def decoder_of_rest(self) -> OpenAIResponsesDecoder:
        """Return a fresh decoder for a stream that goes on; see `Provider.decoder_of_rest`."""
        return OpenAIResponsesDecoder(self.spec.name, goes_on=True)

    def whole(self, body: bytes) -> list[ProviderEvent]:
        """Return what an answer that was not streamed says; see `Provider.whole`."""
        answer = parse_object(body, self.spec.name)
        if answer.get("error"):
            return [Failed(stream_failure(self.spec.name, answer)), StreamEnd()]
        if not isinstance(answer.get("output"), list):
            raise ProtocolError("an answer without output", provider=self.spec.name, event=str(answer))
        return self.decoder().read_whole(answer)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> ProviderError:
        """Return the error that an HTTP answer means; see `Provider.error`."""
        return http_failure(self.spec.name, status, headers, body, now=now)


# --- the request ---


def _items_of(message: Message) -> list[dict[str, JSONValue]]:
    """The input items of one message, which may be written as one of chat completions."""
    role, content = message["role"], message.get("content")
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": content}]
    said = {name: value for name, value in message.items() if name not in ("tool_calls", "content")}
    items = [{**said, "content": _content(content, role)}] if content else []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        items.append({"type": "function_call", "call_id": call.get("id"), **function})
    return items


def _content(content: JSONValue, role: str) -> JSONValue:
    if not isinstance(content, list | tuple):
        return content
    return [_part(part, role) if isinstance(part, dict) else part for part in content]


def _part(part: dict[str, JSONValue], role: str) -> dict[str, JSONValue]:
    """A content part in the words of this dialect; one that is in them already, or in none known, stays as it is."""
    text = text_of(part)
    if text is not None:
        return {**part, "type": "output_text" if role == "assistant" else "input_text", "text": text}
    image = image_of(part)
    if image is not None:
        found = part.get("image_url")
        detail = part.get("detail") or (found.get("detail") if isinstance(found, dict) else None) or "auto"
        return {**part, "type": "input_image", "image_url": image.as_url, "detail": detail}
    if part.get("type") == "file" and isinstance(part.get("file"), dict):
        return {"type": "input_file", **part["file"]}
    return part


def _native(spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    if schema.strict is None and not spec.any_schema:
        raise ConfigurationError(
            f"{spec.name} cannot hold a model to {schema.name} in mode='native': its strict schemas cannot say "
            f"{schema.reason}; choose mode='auto', 'tool' or 'prompted'"
        )
    shape = {"name": schema.name, "strict": schema.strict is not None, "schema": schema.strict or schema.plain}
    body["text"] = {"format": {"type": "json_schema", **shape}}


def _tool(spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    tool: dict[str, JSONValue] = {
        "type": "function",
        "name": schema.name,
        "description": schema.plain.get("description") or "Gives the answer.",
        "parameters": schema.strict or schema.plain,
        # Said in any case: here a function that does not say is a strict one.
        "strict": spec.strict_tools and schema.strict is not None,
    }
    named = {"type": "function", "name": schema.name}
    body["tools"] = [tool]
    body["tool_choice"] = named if spec.tool_choice == "named" else spec.tool_choice


def _prompted(_spec: ProviderSpec, schema: ModelSchema, body: dict[str, JSONValue]) -> None:
    text = instruction(schema)
    first = body["input"][0]
    if first.get("role") in ("system", "developer") and isinstance(first["content"], str):
        body["input"] = [{**first, "content": f"{first['content']}\n\n{text}"}, *body["input"][1:]]
    else:
        body["input"] = [{"role": "system", "content": text}, *body["input"]]


_MODES: Mapping[ConcreteMode, Callable[[ProviderSpec, ModelSchema, dict[str, JSONValue]], None]] = {
    "native": _native,
    "tool": _tool,
    "prompted": _prompted,
}


# --- the answer ---


class OpenAIResponsesDecoder:
    """Reads one streamed answer of this dialect.

    Args:
        provider: the provider's name, for errors.
        goes_on: the stream begins in the middle of the answer: of an item whose beginning it does not have, only what
            is new is told.

    Attributes:
        sequence_number: that of the last event, from which a lost stream of a background response can be taken up
            again (GET /responses/{id}, ``starting_after``); None where the provider numbers none.
    """

    template: TextTemplate | None = None  # each event has a number of its own

    __slots__ = ("_ended", "_failed", "_id", "_items", "_provider", "_started", "_tier", "sequence_number")

    def __init__(self, provider: str, *, goes_on: bool = False) -> None:
        self._provider = provider
        self._items = OutputItems(provider, goes_on=goes_on)
        self._id: JSONValue = None
        self._tier = ""
        self._started = self._failed = self._ended = False
        self.sequence_number: int | None = None

    def feed(self, event: ServerSentEvent) -> list[ProviderEvent]:
        """Return what `event` says, in order; nothing for events that the dialect does not know.

        Raises:
            ProtocolError: the event is not what the dialect promises.
        """
        name, data = event.event, event.data
        known = name in _PART_EVENTS or name in _EVENTS
        if not known and (name.startswith("response.") or not data or data.isspace()):
            return []
        if data.startswith("[DONE]"):
            return self._end()
        try:
            value = self._parsed(data)
        except ProtocolError:
            if name == "error":
                return self._fail(data)
            if known or name == "message":
                raise
            return []
        return self.read(value, name)

    def close(self) -> list[ProviderEvent]:
        """Return what the end of the stream adds: nothing in this dialect."""
        return []

    def read(self, event: _Event, name: str = "message") -> list[ProviderEvent]:
        """Return what one parsed event says.

        Args:
            event: its data.
            name: its name in the event stream, for data that does not tell its own ``type``.

        Raises:
            ProtocolError: as `feed`.
        """
        number = event.get("sequence_number")
        if type(number) is int:
            self.sequence_number = number
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = "error" if name == "message" and event.get("error") else name
        out: list[ProviderEvent] = []
        row = _PART_EVENTS.get(kind)
        if row is not None:
            self._part(row, event, out)
        elif (handler := _EVENTS.get(kind)) is not None:
            handler(self, event, out)
        return out

    def read_whole(self, response: Mapping[str, JSONValue]) -> list[ProviderEvent]:
        """Return what one parsed response says that was not streamed, `StreamEnd` last.

        Raises:
            ProtocolError: as `feed`.
        """
        out: list[ProviderEvent] = []
        status = response.get("status") or "completed"
        ending = _EVENTS[f"response.{status}"] if status in _ENDINGS else OpenAIResponsesDecoder._stopped
        ending(self, {"response": response}, out)
        return [*out, *self._end()]

    def _parsed(self, data: str) -> dict[str, JSONValue]:
        try:
            return parse_object(data, self._provider)
        except ProtocolError:
            value = parse_object_with_halves(data, self._provider)
            if value is None:
                raise
        self._items.join_halves()
        return value

    # --- the response as a whole ---

    def _created(self, event: _Event, out: list[ProviderEvent]) -> None:
        # A second response within a stream is an answer begun anew, and counts its items anew.
        response = event.get("response")
        if isinstance(response, dict) and response.get("id") != self._id:
            self._started = False
        self._items.forget()
        self._ended = False
        self._response(event, out)

    def _begun(self, event: _Event, out: list[ProviderEvent]) -> None:
        self._response(event, out)

    def _response(self, event: _Event, out: list[ProviderEvent]) -> _Event:
        response = event.get("response")
        if not isinstance(response, dict):
            raise self._wrong("a response", event)
        if not self._started:
            self._started = True
            self._id = response.get("id")
            self._tier = _word(response, "service_tier")
            out.append(Started(_word(response, "id"), _word(response, "model"), self._tier))
        return response

    def _stopped(self, event: _Event, out: list[ProviderEvent]) -> _Event:
        response = self._response(event, out)
        if not self._items.answered:
            for index, item in enumerate(self._items.objects(response.get("output"), "output")):
                self._items.tell_item(self._items.at(index), item, out)
        tier = _word(response, "service_tier")
        if tier not in ("", self._tier):  # "auto" until it is decided
            out.append(Started(service_tier=tier))
        return response

    def _completed(self, event: _Event, out: list[ProviderEvent]) -> None:
        told = event.get("response")
        ending = _UNFINISHED.get(told.get("status") or "") if isinstance(told, dict) else None
        if ending is not None:  # some name every end so, and tell in the response which it was
            ending(self, event, out)
            return
        response = self._stopped(event, out)
        self._finish(Finished(self._items.reason, "completed"), response, out)

    def _incomplete(self, event: _Event, out: list[ProviderEvent]) -> None:
        response = self._stopped(event, out)
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        raw = reason if isinstance(reason, str) and reason else "incomplete"
        self._finish(Finished(_INCOMPLETE.get(raw, "other"), raw), response, out)

    def _cancelled(self, event: _Event, out: list[ProviderEvent]) -> None:
        self._finish(Finished("other", "cancelled"), self._stopped(event, out), out)

    def _not_done(self, event: _Event, out: list[ProviderEvent]) -> None:
        response = self._response(event, out)
        self._usage(response, out)
        out += self._fail({"error": response.get("error") or {}})

    def _error(self, event: _Event, out: list[ProviderEvent]) -> None:
        out += self._fail({name: value for name, value in event.items() if name != "type"})

    def _finish(self, finished: Finished, response: _Event, out: list[ProviderEvent]) -> None:
        out.append(finished)
        self._usage(response, out)
        out += self._end()

    def _usage(self, response: _Event, out: list[ProviderEvent]) -> None:
        usage = response.get("usage")
        if usage:
            if not isinstance(usage, dict):
                raise self._wrong("usage", usage)
            out.append(UsageReported(_usage_of(usage)))

    def _end(self) -> list[ProviderEvent]:
        ended, self._ended = self._ended, True
        return [] if ended else [StreamEnd()]

    def _fail(self, value: JSONValue) -> list[ProviderEvent]:
        # An `error` is followed by `response.failed`, which says the same.
        failed, self._failed = self._failed, True
        return [] if failed else [Failed(stream_failure(self._provider, value))]

    # --- its items ---

    def _item_added(self, event: _Event, out: list[ProviderEvent]) -> None:
        item = self._object(event, "item")
        self._items.open(self._items.begin(event.get("output_index"), item.get("id")), item, out)

    def _item_done(self, event: _Event, out: list[ProviderEvent]) -> None:
        item = self._object(event, "item")
        self._items.tell_item(self._items.at(event.get("output_index"), item.get("id")), item, out)

    def _call_done(self, event: _Event, out: list[ProviderEvent]) -> None:
        item = self._items.at(event.get("output_index"), event.get("item_id"))
        self._items.tell_call(item, event, out)

    def _part_done(self, event: _Event, out: list[ProviderEvent]) -> None:
        item, place = self._place(event, "content_index")
        self._items.tell_part(item, place, self._object(event, "part"), out)

    def _part(self, row: _Row, event: _Event, out: list[ProviderEvent]) -> None:
        kind, index_key, text_key, whole = row
        item, place = self._place(event, index_key)
        if not whole or (kind, place) not in item.told:
            self._items.tell(kind, item, place, event.get(text_key), out)
        if event.get("logprobs") and not whole and (tokens := logprobs_of(event["logprobs"])):
            out.append(Logprobs(tokens, self._items.choice_of(item)))

    def _place(self, event: _Event, key: str) -> tuple[OutputItem, int]:
        place = event.get(key) or 0
        if type(place) is not int:
            raise self._wrong(f"a {key}", event)
        return self._items.at(event.get("output_index"), event.get("item_id")), place

    def _object(self, event: _Event, key: str) -> dict[str, JSONValue]:
        value = event.get(key)
        if not isinstance(value, dict):
            raise self._wrong(f"an event without its {key}", event)
        return value

    def _wrong(self, what: str, value: JSONValue) -> ProtocolError:
        return ProtocolError(f"{what} of an unknown form", provider=self._provider, event=repr(value))


_EVENTS: Mapping[str, _Handler] = {
    "response.created": OpenAIResponsesDecoder._created,
    "response.queued": OpenAIResponsesDecoder._begun,
    "response.in_progress": OpenAIResponsesDecoder._begun,
    "response.output_item.added": OpenAIResponsesDecoder._item_added,
    "response.output_item.done": OpenAIResponsesDecoder._item_done,
    "response.content_part.done": OpenAIResponsesDecoder._part_done,
    "response.function_call_arguments.done": OpenAIResponsesDecoder._call_done,
    "response.completed": OpenAIResponsesDecoder._completed,
    "response.incomplete": OpenAIResponsesDecoder._incomplete,
    "response.cancelled": OpenAIResponsesDecoder._cancelled,
    "response.failed": OpenAIResponsesDecoder._not_done,
    "response.error": OpenAIResponsesDecoder._error,
    "error": OpenAIResponsesDecoder._error,
}

_UNFINISHED = {status: _EVENTS[f"response.{status}"] for status in ("incomplete", "cancelled", "failed")}
_ENDINGS = ("completed", *_UNFINISHED)

# The events of a part of an item: its kind, the keys of its place and of its text, and whether that is the whole text.
_PART_EVENTS: Mapping[str, _Row] = {
    "response.output_text.delta": ("output_text", "content_index", "delta", False),
    "response.output_text.done": ("output_text", "content_index", "text", True),
    "response.refusal.delta": ("refusal", "content_index", "delta", False),
    "response.refusal.done": ("refusal", "content_index", "refusal", True),
    "response.reasoning_summary_text.delta": ("summary_text", "summary_index", "delta", False),
    "response.reasoning_summary_text.done": ("summary_text", "summary_index", "text", True),
    "response.reasoning_text.delta": ("reasoning_text", "content_index", "delta", False),
    "response.reasoning_text.done": ("reasoning_text", "content_index", "text", True),
    "response.function_call_arguments.delta": ("arguments", "content_index", "delta", False),
}


def _word(response: _Event, key: str) -> str:
    word = response.get(key)
    return word if isinstance(word, str) else ""


def _usage_of(usage: _Event) -> Usage:
    return Usage(
        count_of(usage, "input_tokens"),
        count_of(usage, "output_tokens"),
        count_of(usage.get("input_tokens_details"), "cached_tokens"),
        count_of(usage.get("output_tokens_details"), "reasoning_tokens"),
    )
