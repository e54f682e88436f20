"""What every provider is to the rest of the house, and the few things that all dialects share.

A dialect is pure: it turns a request into an `HTTPRequest` and events of the stream into `ProviderEvent`. It opens no
socket, reads no environment and no clock, and knows no other dialect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, get_args

from jiter import from_json

from structstream.errors import ConfigurationError, ProtocolError
from structstream.response import TokenLogprob

if TYPE_CHECKING:
    from structstream.continuation import TakeUp
    from structstream.errors import ProviderError
    from structstream.events import ProviderEvent, ServerSentEvent
    from structstream.request import HTTPRequest, StreamingStructuredRequest

__all__ = [
    "Auth",
    "ConcreteMode",
    "JSONValue",
    "MaxTokensField",
    "Provider",
    "ProviderDecoder",
    "ProviderSpec",
    "StrictFormName",
    "SurrogateHalves",
    "TextTemplate",
    "ThinkingForm",
    "ToolChoice",
    "count_of",
    "logprobs_of",
    "parse_object",
    "parse_object_with_halves",
]

T = TypeVar("T")

ConcreteMode = Literal["native", "tool", "prompted"]
"""A mode that has been decided: `Mode` without ``auto``."""

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
"""How a provider calls the bound of the answer."""

Auth = Literal["bearer", "x-api-key", "x-goog-api-key"]
"""How the key is sent: as ``Authorization: Bearer``, or alone in a header of that name."""

ThinkingForm = Literal["reasoning_effort", "reasoning.effort", "reasoning.max_tokens", "thinking", "thinkingConfig"]
"""How a provider is told how much a model may think; see `THINKING`."""

ToolChoice = Literal["named", "required", "any"]
"""How a provider is told that the tool must be called: by its name, or by one of two words."""

StrictFormName = Literal["openai", "anthropic", "google"]
"""Which subset of JSON Schema a provider's structured outputs take: a row of `schema.FORMS`."""

JSONValue = Any  # Any: what a JSON parser gives; each use looks at the type before it relies on it
"""A parsed JSON value."""

_HALF = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """What is known about one provider: a row of a table, never a branch.

    Args:
        name: as it stands before the slash of a model's name, such as ``openai``.
        dialect: which dialect it speaks, as in `DIALECTS`.
        base_url: where its API begins; empty where only the caller can know.
        base_url_env: the environment variable that replaces `base_url`, or several, the first that is set wins; empty
            for none.
        key_env: the environment variables that may hold the key, the first that is set wins.
        needs_key: whether a call without a key is bound to fail.
        auth: how the key is sent.
        modes: what it can do, strictest first.
        modes_of: for some of its models, by a regular expression on the name's start, other modes than `modes`; the
            first that matches counts.
        whole_modes: those of its modes in which the answer comes in one piece, though it is streamed.
        strict_form: the subset of JSON Schema that its structured outputs take.
        lenient: its answers are read leniently in every mode: it serves models that may put prose, thinking or a code
            fence around the JSON, whatever was asked.
        any_schema: ``native`` takes schemas that the strict subset cannot say.
        strict_tools: a tool may carry ``strict``.
        tool_choice: how the tool call is forced.
        max_tokens_field: how the bound of the answer is called.
        seed_field: how the seed is called.
        thinking: how a thinking budget is said; None where it takes none.
        stream_usage: it wants ``stream_options`` to report the usage of a stream.
        asks_for_events: a stream is asked for as events where the dialect has another form besides; False for a relay
            that does not know how, such as one that drops the query of a path. Either form is read.
        headers: what its calls carry beside the key.
        takes_key: it knows a repeated call by its ``Idempotency-Key``: each logical call is given one, unless the
            request brings its own. No provider of the table is known to heed it.

    Raises:
        ConfigurationError: a value is not what it has to be; the sentence says which.
    """

    name: str
    dialect: str = "openai_chat"
    base_url: str = ""
    base_url_env: str | Sequence[str] = ""
    key_env: Sequence[str] = ()
    needs_key: bool = True
    auth: Auth = "bearer"
    modes: Sequence[ConcreteMode] = ("native", "tool", "prompted")
    modes_of: Sequence[tuple[str, Sequence[ConcreteMode]]] = ()
    whole_modes: Sequence[ConcreteMode] = ()
    strict_form: StrictFormName = "openai"
    lenient: bool = False
    any_schema: bool = False
    strict_tools: bool = False
    tool_choice: ToolChoice = "named"
    max_tokens_field: MaxTokensField = "max_tokens"
    seed_field: str = "seed"
    thinking: ThinkingForm | None = None
    stream_usage: bool = True
    asks_for_events: bool = True
    headers: Sequence[tuple[str, str]] = ()
    takes_key: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                shown = value if isinstance(value, str) else type(value).__name__
                known = ", ".join(str(choice) for choice in choices)
                raise ConfigurationError(f"{name} of a ProviderSpec must be one of {known}, not {shown}")
        for wanted, (names, fits) in _KINDS.items():
            for name in names:
                if not fits(getattr(self, name)):  # not quoted: a header may be a key
                    kind = type(getattr(self, name)).__name__
                    raise ConfigurationError(f"{name} of a ProviderSpec must be {wanted}, not {kind}")

    def modes_for(self, model: str) -> Sequence[ConcreteMode]:
        """Return what `model`, as the provider calls it, can do, strictest first."""
        return next((modes for start, modes in self.modes_of if re.match(start, model)), self.modes)


def _is_list(value: object, fits: Callable[[Any], bool]) -> bool:  # Any: what `fits` tells
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(fits, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return _is_list(value, _is_text)


def _are_modes(value: object) -> bool:
    return _is_list(value, get_args(ConcreteMode).__contains__)


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


_CHOICES: Mapping[str, Sequence[str | None]] = {
    "auth": get_args(Auth),
    "strict_form": get_args(StrictFormName),
    "tool_choice": get_args(ToolChoice),
    "max_tokens_field": get_args(MaxTokensField),
    "thinking": (*get_args(ThinkingForm), None),
}
_FLAGS = ("needs_key", "lenient", "any_schema", "strict_tools", "stream_usage", "asks_for_events", "takes_key")
_KINDS: Mapping[str, tuple[Sequence[str], Callable[[Any], bool]]] = {  # Any: whatever a caller has given
    "text that is not empty": (("name", "dialect", "seed_field"), lambda value: _is_text(value) and bool(value)),
    "text": (("base_url",), _is_text),
    "text or a list of texts": (("base_url_env",), lambda value: _is_text(value) or _are_texts(value)),
    "a list of texts": (("key_env",), _are_texts),
    "True or False": (_FLAGS, lambda value: isinstance(value, bool)),
    "a list of native, tool, prompted that is not empty": (("modes",), lambda value: _are_modes(value) and bool(value)),
    "a list of native, tool, prompted": (("whole_modes",), _are_modes),
    "a list of pairs of a regular expression and modes": (
        ("modes_of",),
        lambda value: _is_list(value, lambda pair: len(pair) == 2 and _is_pattern(pair[0]) and _are_modes(pair[1])),
    ),
    "a list of pairs of names and values": (
        ("headers",),
        lambda value: _is_list(value, lambda pair: _are_texts(pair) and len(pair) == 2),
    ),
}


class TextTemplate(Protocol):
    """Knows the text of an event by what stands around it, which was seen before."""

    def text_of(self, event: bytes) -> str:
        """Return the text of the answer's first choice that these bytes bring.

        Empty where they are anything else than one whole event which brings that and nothing else.
        """
        ...


class ProviderDecoder(Protocol):
    """The state of one answer while it is read; one decoder an answer."""

    @property
    def template(self) -> TextTemplate | None:
        """Reads events without `feed`, to which they are the same; None where the dialect has none."""
        ...

    @property
    def sequence_number(self) -> int | None:
        """The number of the last event; None where the provider numbers none."""
        ...

    def feed(self, event: ServerSentEvent) -> list[ProviderEvent]:
        """Return what `event` says, in order; nothing for events that the dialect does not know.

        Raises:
            ProtocolError: the event is not what the dialect promises.
        """
        ...

    def close(self) -> list[ProviderEvent]:
        """Return what the end of the stream adds, mostly nothing."""
        ...


class Provider(Protocol):
    """One provider in its dialect.

    Attributes:
        takes_arrays: whether a stream of the dialect may come as one JSON array, an event an element.
    """

    takes_arrays: ClassVar[bool]

    @property
    def spec(self) -> ProviderSpec:
        """What is known about it."""
        ...

    def encode(self, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode) -> HTTPRequest:
        """Return the call for `request`.

        Args:
            request: what the caller asks for.
            model: the model as the provider calls it, without the routing prefix.
            mode: how the provider is held to the schema.

        Raises:
            ConfigurationError: the provider or the mode cannot do it; the sentence says what cannot be said.
        """
        ...

    def decoder(self) -> ProviderDecoder:
        """Return a fresh decoder for one streamed answer."""
        ...

    def take_up(self, request: StreamingStructuredRequest[T], stream: TakeUp) -> HTTPRequest | None:
        """Return the call that sends a lost stream on from where it stopped; None where the provider has none.

        Args:
            request: what the caller asks for.
            stream: the one that was lost.
        """
        ...

    def decoder_of_rest(self) -> ProviderDecoder:
        """Return a fresh decoder for a stream that `take_up` sends on: it begins in the middle of the answer."""
        ...

    def whole(self, body: bytes) -> list[ProviderEvent]:
        """Return what an answer that was not streamed says, as the events of a stream, `StreamEnd` last.

        Raises:
            ProtocolError: the body is no answer of the dialect.
        """
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> ProviderError:
        """Return the error that an HTTP answer means; it is not raised.

        Args:
            status: the HTTP status.
            headers: the answer's headers, in any case.
            body: the answer's body, or its start; JSON, HTML, anything.
            now: seconds since 1970, to read a ``Retry-After`` that is a date; None leaves such a date unread.
        """
        ...


def parse_object(data: str | bytes, provider: str) -> dict[str, JSONValue]:
    """Return the JSON object that `data` holds.

    Raises:
        ProtocolError: `data` is not JSON, or JSON of another kind.

    >>> parse_object('{"a": 1}', "openai")
    {'a': 1}
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        value = from_json(raw)
    except ValueError as problem:
        raise ProtocolError(f"not JSON ({problem})", provider=provider, event=_start_of(raw)) from None
    return _object(value, raw, provider)


def parse_object_with_halves(data: str, provider: str) -> dict[str, JSONValue] | None:
    r"""Return the JSON object that `data` holds where a character is cut between two escapes of one pair.

    Relays that forward UTF-16 piece by piece send such halves; RFC 8259, section 8.2 leaves them to the reader.

    Returns:
        The object, with lone surrogates in its strings; None where nothing in `data` looks like one.

    Raises:
        ProtocolError: as `parse_object`.

    >>> parse_object_with_halves(r'{"a": "\ud83d"}', "openai")
    {'a': '\ud83d'}
    """
    if not _HALF.search(data):
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError(f"not JSON ({problem})", provider=provider, event=data[:400]) from None
    return _object(value, data.encode("utf-8", "surrogatepass"), provider)


class SurrogateHalves:
    r"""Joins characters that were cut between the two escapes of a surrogate pair, each at its own place of an answer.

    A half that never finds its other one becomes U+FFFD.

    >>> halves = SurrogateHalves()
    >>> halves.join("a\ud83d", "content"), halves.join("\ude00", "content")
    ('a', '😀')
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], str] = {}

    def join(self, text: str, *place: object) -> str:
        """Return `text` after what waits at `place`, without a half at its end, which waits there from now on."""
        text = self._waiting.pop(place, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._waiting[place] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def count_of(values: JSONValue, key: str) -> int:
    """Return the number of tokens that stands under `key`; 0 where there is none.

    >>> count_of({"total": 3, "cached": None}, "total"), count_of(None, "total")
    (3, 0)
    """
    value = values.get(key) if isinstance(values, dict) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 2**53 else 0


def logprobs_of(tokens: JSONValue) -> list[TokenLogprob]:
    """Return the tokens of OpenAI's list of them, without those that are of another form.

    >>> logprobs_of([{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}, None])
    [TokenLogprob(token='a', logprob=-0.5)]
    """
    return [
        TokenLogprob(token, float(logprob), _utf8(item.get("bytes")))
        for item in (tokens if isinstance(tokens, list) else ())
        if isinstance(item, dict)
        and isinstance(token := item.get("token"), str)
        and isinstance(logprob := item.get("logprob"), int | float)
    ]


def _utf8(values: JSONValue) -> bytes:
    """The bytes of a token, which may be a part of a character; empty where they are not told."""
    known = isinstance(values, list) and all(isinstance(value, int) and 0 <= value < 256 for value in values)
    return bytes(values) if known else b""


def _object(value: JSONValue, raw: bytes, provider: str) -> dict[str, JSONValue]:
    if not isinstance(value, dict):
        raise ProtocolError("not a JSON object", provider=provider, event=_start_of(raw))
    return value


def _start_of(raw: bytes) -> str:
    """Return the start of `raw` as text, for a sentence."""
    return raw[:400].decode("utf-8", "replace")
