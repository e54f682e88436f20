"""What a caller asks for, and what goes over the wire for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import SchemaError

from .errors import ConfigurationError
from .policies import Midstream, Policies
from .progress import ProgressFilter
from .verdicts import Guardrail

if TYPE_CHECKING:
    from .continuation import Continuation
    from .progress import ProgressCallback

__all__ = ["Cadence", "HTTPRequest", "Message", "Mode", "StreamingStructuredRequest", "Timeouts", "text_of"]

T = TypeVar("T")

Mode = Literal["auto", "native", "tool", "prompted"]
"""How the provider is held to the schema; ``auto`` takes the strictest that dialect and schema allow."""

Cadence = Literal["read", "delta"]
"""When a response is yielded: once per network read, or at every delta."""

Message = Mapping[str, Any]  # Any: content is text or a list of parts, whose shape is the provider's
"""One message: ``{"role": "system" | "user" | "assistant", "content": str | list of parts}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The four deadlines of a stream, in seconds; None means no deadline.

    Args:
        connect: until the connection stands and the request is sent.
        first_token: from the start of the call until the first event of the answer.
        between_tokens: between two reads that brought bytes.
        total: from the start of the first call, or of the wait for it, to the end of the stream, whatever attempts
            that takes.

    Raises:
        ConfigurationError: a deadline is not a positive number.
    """

    connect: float | None = 10.0
    first_token: float | None = 120.0
    between_tokens: float | None = 60.0
    total: float | None = 600.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not (_is_number(value) and value > 0):
                raise ConfigurationError(
                    f"timeouts.{item.name} must be a positive number of seconds or None, not {value!r}"
                )


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request as a provider encodes it, for this library's transport or a caller's own HTTP.

    Args:
        method: ``POST``; ``GET`` for what has no body.
        path: appended to the base URL, with a leading slash.
        headers: what the dialect demands beside the key; the key is the transport's business.
        body: the JSON body as plain data. It stays out of the repr, as the headers do: a repr ends up in logs.
        guardrails: what judges the answer; who keeps what came keeps no more of it than they let through.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)  # Any: JSON
    guardrails: Sequence[Guardrail] = field(default=(), repr=False, compare=False)

    def content(self) -> bytes:
        """The body as UTF-8 JSON."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamingStructuredRequest(Generic[T]):
    """One question whose answer is to arrive as a typed object.

    Args:
        response_model: the type of the answer: a BaseModel, dataclass, TypedDict, ``list[...]``, union, scalar: all
            that `pydantic.TypeAdapter` takes.
        model: the model, with the provider before the slash, such as ``openai/gpt-4o``; a bare name is routed by its
            prefix.
        prompt: the user's message; exactly one of `prompt` and `messages` is given.
        messages: the conversation so far, oldest first.
        system: a system message that stands before the others; None for none.
        mode: how the provider is held to the schema.
        temperature: 0 to 2; None for the provider's default.
        max_tokens: bound of the answer in tokens; None for the provider's.
        stop: texts at which the model stops; None for none.
        thinking_budget: tokens that the model may think before it answers, or the nearest level where a provider
            knows levels only; 0 asks it not to think; None leaves it to the provider.
        seed: for providers that can repeat themselves; None for none.
        timeouts: the deadlines, in seconds.
        max_retries: calls beyond the first that may be made of a model after failures, 0 or more. An answer that was
            cut off at the output limit may be continued beyond that; see `RetryPolicy`.
        fallback_models: the models that are asked one after the other when `model` has failed for good.
        midstream: what follows when an attempt ends early after something was shown; None for what the policies say.
        policies: stand instead of the service's for this request; None for the service's.
        idempotency_key: sent as ``Idempotency-Key``, the same with each retry of the same body and another with each
            changed one; None for a key of our own where the provider takes one.
        enable_streaming: False asks for one whole answer, which arrives as one step.
        cadence: one response per network read, or one per delta.
        streaming_chunk_size: if given, a response is yielded once this many characters have come since the last
            one, instead of by `cadence`; completions in between come with it.
        streaming_interval: if given, at most one response in so many seconds: the newest, with the completions of
            those in between; it goes together with `cadence` or `streaming_chunk_size`.
        logprobs: ask for the probability of each token, for `StreamingResponse.confidence`; left out where a dialect
            has no such parameter.
        progress_callback: called with each `ProgressEvent`; plain or async; None for none.
        progress_filter: which events the callback hears; None for all.
        expected_tokens: how long the caller takes the answer to be, for `progress_percent`; None leaves it to what
            earlier answers of the same model and type were like, and to the type.
        context: the validation context that Pydantic hands to validators.
        fail_fast: end the stream when a value closes invalid. False waits for the end, where Pydantic judges the whole.
        guardrails: what judges the prompt before it is sent and the answer before it is shown, beside those of the
            service.
        headers: HTTP headers to add to the call.
        extra: parameters for the provider's body, taken as they are; they win over those above.
        continuation: what an answer goes on from, as `structstream.resume.continued_request` makes it; None for a new
            answer.

    Raises:
        ConfigurationError: an argument cannot work; the sentence says which and what to do.

    >>> request = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="Legs of a cat?")
    >>> request.conversation
    ({'role': 'user', 'content': 'Legs of a cat?'},)
    """

    response_model: type[T]
    model: str
    prompt: str | None = None
    messages: Sequence[Message] = ()
    system: str | None = None
    mode: Mode = "auto"
    temperature: float | None = None
    max_tokens: int | None = None
    stop: str | Sequence[str] | None = None
    seed: int | None = None
    thinking_budget: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_retries: int = 2
    fallback_models: Sequence[str] = ()
    midstream: Midstream | None = None
    policies: Policies | None = None
    idempotency_key: str | None = None
    enable_streaming: bool = True
    cadence: Cadence = "read"
    streaming_chunk_size: int | None = None
    streaming_interval: float | None = None
    logprobs: bool = False
    progress_callback: ProgressCallback | None = None
    progress_filter: ProgressFilter | None = None
    expected_tokens: int | None = None
    context: Any = None  # Any: Pydantic's own type for it
    fail_fast: bool = True
    guardrails: Sequence[Guardrail] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # Any: the provider's own parameters
    continuation: Continuation | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigurationError(problem)

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages to send: the system message if any, `messages` or the prompt, what a continuation adds."""
        system: tuple[Message, ...] = () if self.system is None else ({"role": "system", "content": self.system},)
        user: tuple[Message, ...] = () if self.prompt is None else ({"role": "user", "content": self.prompt},)
        added = () if self.continuation is None else self.continuation.messages
        return (*system, *self.messages, *user, *added)

    def fingerprint(self) -> str:
        """Return a SHA-256 in hex over all that decides the answer: equal requests have equal fingerprints.

        Callbacks, deadlines, retries, guardrails, headers and the validation context do not count.
        """
        decides: dict[str, object] = {field: getattr(self, field) for field in _DECIDES}
        decides["type"] = _type_text(self.response_model)
        if self.continuation is not None:
            decides["continuation"] = self.continuation.fingerprint()
        return hashlib.sha256(_canonical(decides).encode()).hexdigest()

    def __repr__(self) -> str:
        # The conversation and the headers stay out: a repr ends up in logs.
        name = getattr(self.response_model, "__name__", repr(self.response_model))
        return f"StreamingStructuredRequest(model={self.model!r}, response_model={name}, mode={self.mode!r})"


def text_of(conversation: Sequence[Message]) -> str:
    r"""Return all text of a conversation, one part a line; pictures and other parts without text are left out.

    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"text": "Who?"}]}])
    'Be brief.\nWho?'
    """
    return "\n".join(text for message in conversation for text in _texts(message))


def _texts(value: object) -> list[str]:
    """The texts of a message, whatever the provider calls its parts; names of roles and types are none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for name, item in value.items() if name not in _NO_TEXT for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list | tuple) else []


def _type_text(model: Any) -> str:  # Any: typing constructs are no types
    """What tells one type from another: its name and its schema."""
    spelling = repr(model)
    name = f"{getattr(model, '__module__', '')}.{getattr(model, '__qualname__', '')} {spelling}"
    try:
        return f"{name} {_schema_text(model, spelling)}"
    except (PydanticUserError, SchemaError, NameError):
        return name  # a type without a JSON schema can be known by its name only


def _schema_text(model: Any, spelling: str) -> str:  # Any: as above
    try:
        hash(model)
    except TypeError:
        return _made_schema_text(model, spelling)
    # `int | str` equals `str | int`, yet they are not the same: the spelling is part of the key.
    return _cached_schema_text(model, spelling)


def _made_schema_text(model: Any, spelling: str) -> str:  # Any: as above
    return _canonical(TypeAdapter(model).json_schema())


_cached_schema_text = lru_cache(maxsize=512)(_made_schema_text)


def _canonical(value: object) -> str:
    return json.dumps(_plain(value), sort_keys=True, default=repr, separators=(",", ":"))


def _plain(value: object) -> object:
    """A value as JSON can say it, with keys that are text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _shown(name: str, value: object) -> str:
    """A value in a sentence; of what may hold a key or a conversation only the type."""
    return f"this {type(value).__name__}" if name in _PRIVATE else repr(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_stop(value: object) -> bool:
    if value is None or isinstance(value, str):
        return value is None or bool(value)
    return (
        isinstance(value, Sequence)
        and not isinstance(value, bytes)
        and all(isinstance(item, str) and item for item in value)
    )


def _is_headers(value: object) -> bool:
    """RFC 9110, sections 5.1 and 5.5: a name is a token; a value has no control characters and no space around it."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and _HEADER_NAME(name) and isinstance(text, str) and _HEADER_VALUE(text)
        for name, text in value.items()
    )


def _is_names(value: object) -> bool:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return all(isinstance(item, str) and item.strip() for item in value)


def _is_key(value: object) -> bool:
    # HTTP clients write a header's text in ASCII.
    return value is None or (isinstance(value, str) and value.isascii() and bool(value) and bool(_HEADER_VALUE(value)))


def _is_guardrails(value: object) -> bool:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return all(isinstance(item, Guardrail) for item in value)


def _is_messages(value: object) -> bool:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return all(isinstance(item, Mapping) and "role" in item and bool(item.keys() & _SAYS) for item in value)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?").fullmatch
_PRIVATE = frozenset({"prompt", "messages", "system", "headers", "extra"})
_NO_TEXT = frozenset({"role", "type", "id", "tool_call_id", "image_url", "source", "data", "inline_data", "file"})
_SAYS = frozenset({"content", "tool_calls"})
_DECIDES = (
    "model",
    "conversation",
    "mode",
    "temperature",
    "max_tokens",
    "stop",
    "seed",
    "thinking_budget",
    "logprobs",
    "extra",
)

# One row a rule: the field, what it must be, the test. The sentence is built from the row.
_RULES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("model", "the name of a model, such as 'openai/gpt-4o'", lambda v: isinstance(v, str) and bool(v.strip())),
    ("prompt", "text that says something", lambda v: v is None or (isinstance(v, str) and bool(v.strip()))),
    ("messages", "a list of {'role': …, 'content': …}", _is_messages),
    ("system", "text or None", lambda v: v is None or isinstance(v, str)),
    ("mode", f"one of {', '.join(get_args(Mode))}", lambda v: v in get_args(Mode)),
    ("temperature", "a number from 0 to 2 or None", lambda v: v is None or (_is_number(v) and 0 <= v <= 2)),
    ("max_tokens", "a positive integer or None", lambda v: v is None or _is_count(v, 1)),
    ("seed", "an integer or None", lambda v: v is None or _is_count(v, -(2**63))),
    ("stop", "text, a list of texts or None", _is_stop),
    ("thinking_budget", "an integer, 0 or more, or None", lambda v: v is None or _is_count(v, 0)),
    ("timeouts", "a Timeouts(...)", lambda v: isinstance(v, Timeouts)),
    ("max_retries", "an integer, 0 or more", lambda v: _is_count(v, 0)),
    ("fallback_models", "a list of names of models", _is_names),
    ("midstream", f"one of {', '.join(get_args(Midstream))} or None", lambda v: v is None or v in get_args(Midstream)),
    ("policies", "a Policies(...) or None", lambda v: v is None or isinstance(v, Policies)),
    ("idempotency_key", "text that a header can carry, or None", _is_key),
    ("enable_streaming", "True or False", lambda v: isinstance(v, bool)),
    ("logprobs", "True or False", lambda v: isinstance(v, bool)),
    ("fail_fast", "True or False", lambda v: isinstance(v, bool)),
    ("cadence", f"one of {', '.join(get_args(Cadence))}", lambda v: v in get_args(Cadence)),
    ("streaming_chunk_size", "a positive integer or None", lambda v: v is None or _is_count(v, 1)),
    (
        "streaming_interval",
        "a positive number of seconds or None",
        lambda v: v is None or (_is_number(v) and 0 < v < inf),
    ),
    ("progress_callback", "callable or None", lambda v: v is None or callable(v)),
    ("progress_filter", "a ProgressFilter(...) or None", lambda v: v is None or isinstance(v, ProgressFilter)),
    ("expected_tokens", "a positive integer or None", lambda v: v is None or _is_count(v, 1)),
    ("guardrails", "a list of Guardrail objects; wrap a function in CallableGuardrail", _is_guardrails),
    ("headers", "a mapping of header names to text that HTTP can carry", _is_headers),
    ("extra", "a mapping", lambda v: isinstance(v, Mapping)),
)


def _problems(request: StreamingStructuredRequest[Any]) -> list[str]:
    found = [
        f"{name} must be {what}, not {_shown(name, value)}"
        for name, what, holds in _RULES
        if not holds(value := getattr(request, name))
    ]
    if not found and (request.prompt is None) == (not request.messages):
        found.append("give exactly one of prompt and messages")
    if request.response_model is None:
        found.append("response_model must be a type, such as a BaseModel subclass; for a null answer use type(None)")
    return found
