"""The dialect of Google's Gemini: ``generateContent`` and ``streamGenerateContent``.

Each event, or each element of the array where nobody asked for events, is a ``GenerateContentResponse`` of what is new
(ai.google.dev/api/generate-content). There is no mark of the end: the last one has a ``finishReason``. Arguments of
function calls come whole, or as values with their paths (cloud.google.com, Vertex AI, ``streamFunctionCallArguments``).
What is no part of the answer (citations, code that the provider ran, safety ratings) and unknown keys are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeVar

from jiter import from_json

from structstream.errors import ProtocolError
from structstream.events import (
    Failed,
    Finished,
    Logprobs,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.request import HTTPRequest
from structstream.response import TokenLogprob, Usage

from .arguments import ArgumentWriter, parse_path
from .base import parse_object
from .failures import http_failure, stream_failure
from .google_request import body_of, path_of
from .thinking import with_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.continuation import TakeUp
    from structstream.errors import ProviderError
    from structstream.events import FinishReason, ProviderEvent, ServerSentEvent
    from structstream.request import StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec, TextTemplate

    _OfChunk = Callable[["GoogleDecoder", JSONValue, list[ProviderEvent]], None]
    _OfCandidate = Callable[["GoogleDecoder", JSONValue, int, list[ProviderEvent]], None]

__all__ = ["Google", "GoogleDecoder"]

T = TypeVar("T")

# ai.google.dev/api/generate-content, FinishReason; a new one is `other` as well.
_OTHER = (
    *("OTHER", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
    *("LANGUAGE", "MISSING_THOUGHT_SIGNATURE", "PUP_LIMITED_DISABLED", "IMAGE_OTHER", "NO_IMAGE"),
)
_FINISH: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
    "IMAGE_SAFETY": "filtered",
    "IMAGE_PROHIBITED_CONTENT": "filtered",
    "IMAGE_RECITATION": "filtered",
    "MODEL_ARMOR": "filtered",
    "ESCALATION": "filtered",
    **dict.fromkeys(_OTHER, "other"),
}
_UNSPECIFIED = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})

# The value of a partial argument is under one of these.
_VALUES: Mapping[str, tuple[type, ...]] = {
    "stringValue": (str,),
    "numberValue": (int, float),
    "boolValue": (bool,),
    "nullValue": (str, type(None)),
}


class Google:
    """A provider that speaks this dialect.

    Args:
        spec: what is known about it.

    >>> from structstream.providers import route
    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="gemini-2.5-flash", prompt="2 + 2?")
    >>> found = route(request.model)
    >>> found.provider.encode(request, model=found.model, mode="native").path
    '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse'
    """

    __slots__ = ("spec",)

    takes_arrays: ClassVar[bool] = True

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec

    def encode(self, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode) -> HTTPRequest:
        """Return the POST for `request`; see `Provider.encode`.

        In ``extra`` objects are joined with ours, so that ``{"generationConfig": {"thinkingConfig": {...}}}`` adds to
        what is there.
        """
        request = with_thinking(request, self.spec)
        events = request.enable_streaming and self.spec.asks_for_events
        accept = "text/event-stream" if events else "application/json"
        headers = {"content-type": "application/json", "accept": accept, **dict(self.spec.headers)}
        headers.update({name.lower(): value for name, value in request.headers.items()})
        path = path_of(model, stream=request.enable_streaming, events=events)
        return HTTPRequest("POST", path, headers, body_of(request, self.spec, mode))

    def decoder(self) -> GoogleDecoder:
        """Return a fresh decoder for one streamed answer."""
        return GoogleDecoder(self.spec.name)

    def take_up(self, request: StreamingStructuredRequest[T], stream: TakeUp) -> None:
        """Return None: no lost stream is sent on here; see `Provider.take_up`."""

    def decoder_of_rest(self) -> GoogleDecoder:
        """Return a fresh decoder; see `Provider.decoder_of_rest`."""
        return self.decoder()

    def whole(self, body: bytes) -> list[ProviderEvent]:
        """Return what an answer that was not streamed says; see `Provider.whole`.

        The array of a streamed answer is taken as well.
        """
        decoder = self.decoder()
        events = [event for chunk in _chunks(body, self.spec.name) for event in decoder.read(chunk)]
        if not any(isinstance(event, Finished | Failed | TextDelta | ToolDelta) for event in events):
            raise ProtocolError(
                "an answer without candidates", provider=self.spec.name, event=body[:400].decode("utf-8", "replace")
            )
        return [*events, *decoder.close(), StreamEnd()]

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> ProviderError:
        """Return the error that an HTTP answer means; see `Provider.error`."""
        return http_failure(self.spec.name, status, headers, body, now=now)


def _chunks(body: bytes, provider: str) -> list[dict[str, JSONValue]]:
    if not body.lstrip().startswith(b"["):
        return [parse_object(body, provider)]
    try:
        chunks: list[dict[str, JSONValue]] = from_json(body)
    except ValueError as problem:
        raise ProtocolError(f"not JSON ({problem})", provider=provider) from None
    if not chunks or not all(isinstance(chunk, dict) for chunk in chunks):
        raise ProtocolError("not an array of objects", provider=provider)
    return chunks


@dataclass(slots=True)
class _Call:
    """A function call that is still being said."""

    number: int
    id: str
    name: str
    writer: ArgumentWriter = field(default_factory=ArgumentWriter)
    spoken: bool = False


class GoogleDecoder:
    """Reads one streamed answer of this dialect.

    Args:
        provider: the provider's name, for errors.
    """

    sequence_number: int | None = None  # the events of this dialect have no numbers
    template: TextTemplate | None = None

    __slots__ = ("_calls", "_counts", "_finished", "_metadata", "_provider", "_started", "_usage")

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._started = False
        self._usage = Usage()
        self._metadata: dict[str, JSONValue] = {}
        self._finished: dict[int, str] = {}
        self._calls: dict[int, _Call] = {}  # that are open, by candidate
        self._counts: dict[int, int] = {}

    def feed(self, event: ServerSentEvent) -> list[ProviderEvent]:
        """Return what `event` says, in order; nothing for events that the dialect does not know.

        Raises:
            ProtocolError: the event is not what the dialect promises.
        """
        data = event.data
        if not data or data.isspace() or data.startswith("[DONE]"):  # relays add what OpenAI's clients wait for
            return []
        if event.event == "error":
            return [Failed(stream_failure(self._provider, parse_object(data, self._provider)))]
        if event.event != "message":
            return []
        # An error may come in the form of the array, even among events.
        return [
            told
            for chunk in _chunks(data.encode("utf-8", "surrogatepass"), self._provider)
            for told in self.read(chunk)
        ]

    def close(self) -> list[ProviderEvent]:
        """Return what the end of the stream adds: nothing in this dialect."""
        return []

    def read(self, chunk: Mapping[str, JSONValue]) -> list[ProviderEvent]:
        """Return what one parsed ``GenerateContentResponse`` says.

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
        return out

    def _start(self, chunk: Mapping[str, JSONValue], out: list[ProviderEvent]) -> None:
        usage = chunk.get("usageMetadata")
        tier = usage.get("serviceTier") if isinstance(usage, dict) else None
        words = [
            word if isinstance(word, str) else "" for word in (chunk.get("responseId"), chunk.get("modelVersion"), tier)
        ]
        if words[0] or words[1] or chunk.get("candidates"):
            self._started = True
            out.append(Started(*words))

    def _candidates(self, candidates: JSONValue, out: list[ProviderEvent]) -> None:
        for candidate in self._items(candidates, "candidates"):
            number = candidate.get("index") or 0  # JSON of a protocol buffer leaves a zero out
            if not isinstance(number, int):
                raise self._wrong("a candidate", candidate)
            for key, handler in _CANDIDATE:
                value = candidate.get(key)
                if value:
                    handler(self, value, number, out)

    def _content(self, content: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        if not isinstance(content, dict):
            raise self._wrong("content", content)
        for part in self._items(content.get("parts") or [], "parts"):
            self._part(part, number, out)

    def _part(self, part: Mapping[str, JSONValue], number: int, out: list[ProviderEvent]) -> None:
        if len(part) == 1 and type(alone := part.get("text")) is str:  # nine parts in ten
            if alone:
                out.append(TextDelta(alone, number))
            return
        text = self._text(part.get("text") or "", "text")
        signature = self._text(part.get("thoughtSignature") or "", "thoughtSignature")
        thought = part.get("thought") is True
        if signature or (thought and text):
            out.append(ThinkingDelta(text if thought else "", signature, number))
        if text and not thought:
            out.append(TextDelta(text, number))
        call = part.get("functionCall")
        if call is not None and not thought:
            self._function_call(call, number, out)

    def _function_call(self, said: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        if not isinstance(said, dict):
            raise self._wrong("functionCall", said)
        name, id_ = self._text(said.get("name") or "", "a name"), self._text(said.get("id") or "", "an id")
        call = self._calls.get(number)
        if call is not None and ((name and name != call.name) or (id_ and call.id and id_ != call.id)):
            self._end(call, number, out)
            call = None
        if call is None:
            if not said:  # the end of a call whose last piece did not announce it
                return
            call = self._calls[number] = self._new_call(id_, name, number)
        text = self._arguments(call, said)
        if said.get("willContinue") is not True:
            self._end(call, number, out, text)
        elif text or not call.spoken:
            self._speak(call, text, number, out)

    def _new_call(self, id_: str, name: str, number: int) -> _Call:
        count = self._counts.get(number, 0)
        self._counts[number] = count + 1
        return _Call(count, id_, name)

    def _arguments(self, call: _Call, said: Mapping[str, JSONValue]) -> str:
        """The text that the arguments of one piece add."""
        whole = said.get("args") or {}
        if not isinstance(whole, dict):
            raise self._wrong("args", whole)
        text = ""
        try:
            if not call.writer.begun:
                text = "".join(call.writer.add((key,), value, more=False) for key, value in whole.items())
            for piece in self._items(said.get("partialArgs") or [], "partialArgs"):
                text += self._partial(call.writer, piece)
        except ValueError as problem:
            raise ProtocolError(f"arguments that cannot be written: {problem}", provider=self._provider) from None
        return text

    def _partial(self, writer: ArgumentWriter, piece: Mapping[str, JSONValue]) -> str:
        path = parse_path(self._text(piece.get("jsonPath"), "jsonPath"))
        key = next((key for key in _VALUES if key in piece), None)
        value = piece[key] if key is not None else ""
        if key is None and not writer.goes_on(path):
            return ""
        if key is not None and not isinstance(value, _VALUES[key]):
            raise self._wrong("a partial argument", piece)
        more = piece.get("willContinue") is True
        return writer.add(path, None if key == "nullValue" else value, more=more)

    def _end(self, call: _Call, number: int, out: list[ProviderEvent], text: str = "") -> None:
        del self._calls[number]
        self._speak(call, text + call.writer.close(), number, out)

    def _speak(self, call: _Call, text: str, number: int, out: list[ProviderEvent]) -> None:
        words = ("", "") if call.spoken else (call.id, call.name)
        call.spoken = True
        out.append(ToolDelta(text, call.number, *words, number))

    def _logprobs(self, result: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
        tokens = [
            TokenLogprob(token, float(logprob))
            for item in (chosen if isinstance(chosen, list) else ())
            if isinstance(item, dict)
            and isinstance(token := item.get("token"), str)
            and isinstance(logprob := item.get("logProbability", 0), int | float)
        ]
        if tokens:
            out.append(Logprobs(tokens, number))

    def _finish_reason(self, reason: JSONValue, number: int, out: list[ProviderEvent]) -> None:
        raw = self._text(reason, "finishReason")
        if raw in _UNSPECIFIED:
            return
        meaning = _FINISH.get(raw, "other")
        call = self._calls.get(number)
        # The model came to its end by itself, only the end of its call was not said.
        if call is not None and meaning == "stop" and not call.writer.mid_string:
            self._end(call, number, out)
        if self._finished.get(number) != raw:
            self._finished[number] = raw
            out.append(Finished(meaning, raw, number))

    def _prompt_feedback(self, feedback: JSONValue, out: list[ProviderEvent]) -> None:
        reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
        if reason and reason not in _UNSPECIFIED:
            out.append(Finished("filtered", self._text(reason, "blockReason")))

    def _usage_metadata(self, metadata: JSONValue, out: list[ProviderEvent]) -> None:
        if not isinstance(metadata, dict):
            raise self._wrong("usageMetadata", metadata)
        if metadata == self._metadata:  # every event repeats it
            return
        self._metadata = metadata
        usage = _usage_of(metadata)
        if usage != self._usage:
            self._usage = usage
            out.append(UsageReported(usage))

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

    def _wrong(self, what: str, value: JSONValue) -> ProtocolError:
        return ProtocolError(f"{what} of an unknown form", provider=self._provider, event=repr(value))


# What a chunk can carry, in the order in which it is told.
_CHUNK: Sequence[tuple[str, _OfChunk]] = (
    ("candidates", GoogleDecoder._candidates),
    ("promptFeedback", GoogleDecoder._prompt_feedback),
    ("usageMetadata", GoogleDecoder._usage_metadata),
    ("error", GoogleDecoder._error),
)
_CANDIDATE: Sequence[tuple[str, _OfCandidate]] = (
    ("content", GoogleDecoder._content),
    ("logprobsResult", GoogleDecoder._logprobs),
    ("finishReason", GoogleDecoder._finish_reason),
)


def _usage_of(metadata: Mapping[str, JSONValue]) -> Usage:
    count = {name: value for name, value in metadata.items() if isinstance(value, int) and 0 < value < 2**53}
    thoughts = count.get("thoughtsTokenCount", 0)
    return Usage(
        input_tokens=count.get("promptTokenCount", 0) + count.get("toolUsePromptTokenCount", 0),
        output_tokens=count.get("candidatesTokenCount", 0) + thoughts,
        cached_input_tokens=count.get("cachedContentTokenCount", 0),
        reasoning_tokens=thoughts,
    )
