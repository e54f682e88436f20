"""What a caller receives: one `StreamingResponse` a step, one `Outcome` at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from .errors import (
    BlockedError,
    FilteredError,
    IncompleteError,
    InvalidOutputError,
    RefusedError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    TruncatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .metrics import StreamingMetrics

__all__ = [
    "Attempt",
    "AttemptPlan",
    "AttemptStart",
    "Outcome",
    "OutcomeKind",
    "Step",
    "StreamingResponse",
    "Timings",
    "TokenLogprob",
    "ToolCall",
    "Usage",
    "kind_of",
]

T = TypeVar("T")


class OutcomeKind(StrEnum):
    """How a stream ended; every stream ends in exactly one of these."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"
    FILTERED = "filtered"
    INVALID = "invalid"
    BLOCKED = "blocked"
    PROVIDER_ERROR = "provider_error"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


_KINDS: dict[type[StructStreamError], OutcomeKind] = {
    TruncatedError: OutcomeKind.TRUNCATED,
    IncompleteError: OutcomeKind.INCOMPLETE,
    RefusedError: OutcomeKind.REFUSED,
    FilteredError: OutcomeKind.FILTERED,
    InvalidOutputError: OutcomeKind.INVALID,
    BlockedError: OutcomeKind.BLOCKED,
    UnavailableError: OutcomeKind.UNAVAILABLE,
    StreamTimeoutError: OutcomeKind.TIMEOUT,
    StreamCancelledError: OutcomeKind.CANCELLED,
}


def kind_of(error: StructStreamError) -> OutcomeKind:
    """The outcome that an error means; what has none of its own is the provider's."""
    return next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), OutcomeKind.PROVIDER_ERROR)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them.

    `cached_input_tokens` are part of `input_tokens`, `reasoning_tokens` part of `output_tokens`. `estimated` is True
    where the provider reported nothing, or not yet the end, and the figures were counted from the text.

    >>> Usage(10, 2) + Usage(5, 1)
    Usage(input_tokens=15, output_tokens=3, cached_input_tokens=0, reasoning_tokens=0, estimated=False)
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """When things happened, in seconds after the call began; None for what did not happen."""

    first_byte: float | None = None
    first_partial: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a provider within a stream.

    Args:
        number: counted from 1.
        provider: the provider's name in the routing table.
        model: the model that answered, or that was asked where none answered.
        mode: ``native``, ``tool`` or ``prompted``: what ``auto`` took, if the request left it open.
        streams: whether the provider sends an answer of this mode bit by bit; False where it comes in one piece.
        kind: how the attempt ended.
        reason: why, one sentence; empty where it is complete.
        usage: its tokens; None where the provider reported none.
        request_id: the provider's id for the call; None where it gave none.
    """

    number: int
    provider: str
    model: str
    mode: str
    kind: OutcomeKind
    reason: str = ""
    usage: Usage | None = None
    request_id: str | None = None
    streams: bool = True


AttemptPlan = Literal["retry", "resume", "restart", "hold", "reask", "fallback", "whole", "cache"]
"""Why another attempt begins, and from where.

In this order: from the start, where nothing was shown; from what was saved; from the start, though something was shown;
the same, unseen until it has passed what was shown; with what was wrong said; with another model; as one whole answer;
from the cache.
"""


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """What a step tells that belongs to another attempt than the one before it.

    Args:
        plan: how it goes on.
        ended: how the attempt before it ended.
        reason: why, one sentence.
        path: from where it goes on, such as ``items[2].name``; empty for the start.
    """

    plan: AttemptPlan
    ended: OutcomeKind
    reason: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call of an answer: its name, the provider's id for it, and its arguments as JSON text."""

    name: str
    id: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and the natural logarithm of its probability.

    `utf8` are its bytes, which may be a part of a character; empty where the provider does not tell them.
    """

    token: str
    logprob: float
    utf8: bytes = field(default=b"", repr=False, compare=False)


def _unknown(path: str) -> None:
    """The confidence where no tokens were sent."""


@dataclass(frozen=True)  # no slots: a frozen generic with slots cannot be made as Outcome[int](...)
class Outcome(Generic[T]):
    """How a stream ended and all that could be saved.

    Args:
        kind: one of the eleven.
        result: the validated object; None unless `kind` is ``complete``.
        error: the typed error; None if `kind` is ``complete``.
        last_partial: the last snapshot; None where no value had begun.
        completed: the paths that had closed, in the order in which they did.
        raw_text: the JSON text that was received (in lenient reading: repaired).
        finish_reason: the provider's own word; None where it sent none.
        thinking: what the model thought aloud; empty where it did not.
        signature: the provider's seal on the thinking, to be sent back with it; empty where it gave none.
        refusal: the model's sentence; empty where it did not refuse.
        response_id: the provider's id of the answer; empty where it gave none.
        sequence_number: the number of the last event that came; None where the provider numbers none.
        model: the model that answered, as the provider calls it; empty where it does not say.
        service_tier: in which the provider served the call; empty where it does not say.
        prose: text that came beside a tool call.
        tool_calls: every tool call of the answer, the result's own first.
        logprobs: the tokens of the answer with their probabilities, where they were asked for and sent.
        attempts: each call that was made, in order; empty for `parse_stream`.
        usage: the tokens of all attempts; None where none was reported.
        wasted_tokens: output tokens of attempts that were thrown away.
        other_choices: the texts of the alternatives, by their number, where several were asked for.
        timings: when things happened; all None where the caller drove the decoder.
        headers: the answer's rate-limit headers and request id, by their lower-case names.
        confidence: a function of a path, such as ``items[2].price``: the geometric mean of the probabilities of the
            tokens that spell the value there, 0 to 1; None where no value closed, or no tokens were sent. A pickled or
            copied outcome knows none.
        metrics: figures of the stream; None where the service takes none.
    """

    kind: OutcomeKind
    result: T | None = None
    error: StructStreamError | None = None
    last_partial: Any = None  # a snapshot of T: what it reads like depends on T's kind
    completed: Sequence[str] = ()
    raw_text: str = ""
    finish_reason: str | None = None
    thinking: str = ""
    signature: str = ""
    refusal: str = ""
    response_id: str = ""
    sequence_number: int | None = None
    model: str = ""
    service_tier: str = ""
    prose: str = ""
    tool_calls: Sequence[ToolCall] = ()
    logprobs: Sequence[TokenLogprob] = ()
    attempts: Sequence[Attempt] = ()
    usage: Usage | None = None
    wasted_tokens: int = 0
    other_choices: Mapping[int, str] = field(default_factory=dict)
    timings: Timings = Timings()
    headers: Mapping[str, str] = field(default_factory=dict)
    confidence: Callable[[str], float | None] = field(default=_unknown, repr=False, compare=False)
    metrics: StreamingMetrics | None = None

    def __getstate__(self) -> dict[str, Any]:  # Any: the fields, of several types
        return {**self.__dict__, "confidence": _unknown}  # the function has the whole reader in its hand

    def unwrap(self) -> T:
        """Return the validated object, or raise the stream's error."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # complete: T itself, which may be None


class Step(Protocol):
    """What one step of the parser brought: rendered only when somebody asks."""

    @property
    def snapshot(self) -> Any: ...  # Any: reads as the response model's kind demands
    @property
    def changed(self) -> Sequence[str]: ...
    @property
    def completed(self) -> Sequence[str]: ...
    @property
    def percent(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A step that has left its stream."""

    snapshot: Any  # Any: as above
    changed: Sequence[str]
    completed: Sequence[str]
    percent: float


_DEFAULTS = {"begins": None, "coalesced": 1}


class StreamingResponse(Generic[T]):
    """One step of a stream.

    Before the end `partial_result` is a snapshot: a `Partial` of the response model with the values so far, or None
    where no value has begun. In the last step (`is_complete`) it is the validated object, or None on failure; `error`
    is then a sentence and `outcome` holds the typed error and all that was saved.

    Args:
        step: what the parser saw.
        raw_chunks: the deltas of the JSON text that made this step.
        attempt: which attempt it belongs to, counted from 1.
        outcome: how the stream ended; None before the last step.
        usage: the tokens so far; None where the provider has reported none yet.

    Attributes:
        begins: set in the first step of another attempt, after something was shown: why it begins, and from where.
        confidence: as `Outcome.confidence`, of what has been read by now.
        coalesced: how many steps this one stands for: more than 1 where the caller was slow, or wanted fewer.

    >>> StreamingResponse(outcome=Outcome(OutcomeKind.COMPLETE, result=[1, 2]))
    StreamingResponse(partial_result=[1, 2], is_complete=True, progress_percent=100.0)
    """

    __slots__ = ("_step", "attempt", "begins", "coalesced", "confidence", "outcome", "raw_chunks", "usage")

    begins: AttemptStart | None
    coalesced: int
    confidence: Callable[[str], float | None]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            # What few steps have is not set in all: a step is made for every read.
            if name == "confidence":
                return _unknown if self.outcome is None else self.outcome.confidence
            try:
                return _DEFAULTS[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __init__(
        self,
        step: Step | None = None,
        raw_chunks: Sequence[str] = (),
        attempt: int = 1,
        outcome: Outcome[T] | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.raw_chunks = raw_chunks
        self.attempt = attempt
        self.outcome = outcome
        self.usage = usage
        self._step = step

    @property
    def partial_result(self) -> T | Any | None:  # Any: a snapshot of T reads as T's kind demands
        """The values so far; in the last step the validated object, or None on failure."""
        if self.outcome is not None:
            return self.outcome.result
        return self._step.snapshot if self._step is not None else None

    @property
    def is_complete(self) -> bool:
        """Whether this is the last step, for good or ill."""
        return self.outcome is not None

    @property
    def error(self) -> str | None:
        """Why the stream failed, one sentence; None before the end and on success."""
        if self.outcome is None or self.outcome.error is None:
            return None
        return str(self.outcome.error)

    @property
    def progress_percent(self) -> float:
        """How much of the answer is there, 0 to 100; never falls; 100 only when complete."""
        if self.outcome is not None and self.outcome.kind is OutcomeKind.COMPLETE:
            return 100.0
        return self._step.percent if self._step is not None else 0.0

    @property
    def changed(self) -> Sequence[str]:
        """The paths whose value is new or has grown in this step, such as ``items[2].name``."""
        return self._step.changed if self._step is not None else ()

    @property
    def completed(self) -> Sequence[str]:
        """The paths that closed in this step, in the order in which they did; the root's is the empty string."""
        return self._step.completed if self._step is not None else ()

    @property
    def result(self) -> T:
        """The validated object.

        Raises:
            StructStreamError: the stream's own error, where it failed.
            RuntimeError: before the last step.
        """
        if self.outcome is None:
            raise RuntimeError("the stream has not ended yet: look at partial_result, or wait for is_complete")
        return self.outcome.unwrap()

    def __reduce__(self) -> tuple[Any, ...]:  # Any: as `object.__reduce__`
        step = self._step
        kept = None if step is None else _Kept(step.snapshot, list(step.changed), list(step.completed), step.percent)
        told = (kept, list(self.raw_chunks), self.attempt, self.outcome, self.usage)
        return type(self), told, (None, {"begins": self.begins, "coalesced": self.coalesced})

    def __repr__(self) -> str:
        error = f", error={self.error!r}" if self.error else ""
        return (
            f"StreamingResponse(partial_result={self.partial_result!r}, is_complete={self.is_complete}, "
            f"progress_percent={self.progress_percent:.1f}{error})"
        )
