"""What happens to a stream, as it is told to observers: one frozen fact each, and any callable may listen.

A fact is told where it happens: by the exchange, by a policy, by a guardrail. What an observer makes of it (a log line,
a metric, a span) is its own business, and never that of the stream. No fact holds text of a prompt or an answer but
`Stepped` and `StreamEnded`, which carry the response itself, `AttemptEnded`, whose error may quote it, and
`StreamInfo`, which carries the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from .errors import StructStreamError
    from .request import StreamingStructuredRequest
    from .response import Attempt, AttemptPlan, Outcome, OutcomeKind, StreamingResponse

__all__ = [
    "AttemptBegan",
    "AttemptEnded",
    "BreakerChanged",
    "BreakerState",
    "CacheLooked",
    "CallbackFailed",
    "ConcurrencyChanged",
    "Fact",
    "FirstToken",
    "Hedged",
    "Judged",
    "LimitName",
    "Observer",
    "Replanned",
    "Stepped",
    "StepsJoined",
    "StreamBegan",
    "StreamEnded",
    "StreamInfo",
    "Tell",
    "Waited",
]

BreakerState = Literal["closed", "open", "half_open"]
"""What a circuit breaker lets through: all calls, none, or a few to try."""

LimitName = Literal["requests", "tokens", "concurrency", "pause", "retries"]
"""What made a call wait or refused it."""


@dataclass(frozen=True, slots=True, eq=False)
class StreamInfo:
    """Which stream a fact belongs to; the same object in all facts of one stream.

    Args:
        id: counted up within the process.
        model: as the caller named it.
        response_model: the name of the type that is asked for.
        request: the caller's own; its repr shows neither conversation nor headers.
    """

    id: int
    model: str
    response_model: str
    request: StreamingStructuredRequest[Any] = field(repr=False)  # Any: of any response model


@dataclass(frozen=True, slots=True)
class StreamBegan:
    """A caller asked for the first step; `at` is in seconds on the service's clock."""

    at: float


@dataclass(frozen=True, slots=True)
class AttemptBegan:
    """A call to a provider is about to be made; `plan` is None for the first, else why there is another."""

    number: int
    provider: str
    model: str
    mode: str
    at: float
    plan: AttemptPlan | None = None


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first bytes of an answer came, `seconds` after its attempt began."""

    number: int
    provider: str
    model: str
    seconds: float


class Stepped(NamedTuple):
    """A step is about to be handed to the caller, the last one included.

    A named tuple: of these there are as many as steps, and a frozen dataclass takes five times as long to make.

    Args:
        response: the step, as the caller gets it.
        at: seconds on the service's clock.
    """

    response: StreamingResponse[Any]  # Any: of any response model
    at: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A call to a provider ended, `seconds` after it began; `attempt` tells how, and `error` is the typed error.

    `first_token` are the seconds until its first bytes; None where none came.
    """

    attempt: Attempt
    seconds: float
    first_token: float | None = None
    error: StructStreamError | None = field(default=None, repr=False)  # its sentence may quote the answer


@dataclass(frozen=True, slots=True)
class Replanned:
    """An attempt ended early and another one will be made.

    Args:
        plan: how it goes on.
        ended: how the attempt ended.
        error: the class of the error that ended it.
        wait: seconds before the next attempt.
        model: the model that is asked next, as the caller named it.
        path: from where it goes on; empty for the start.
    """

    plan: AttemptPlan
    ended: OutcomeKind
    error: str
    wait: float
    model: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The circuit breaker of a provider's model changed its state."""

    provider: str
    model: str
    before: BreakerState
    after: BreakerState
    at: float


@dataclass(frozen=True, slots=True)
class Waited:
    """A call was held back for `seconds` by a limit, or refused by it (`refused`)."""

    limit: LimitName
    provider: str
    seconds: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ConcurrencyChanged:
    """How many calls to a provider may be under way at once has changed."""

    provider: str
    limit: int


@dataclass(frozen=True, slots=True)
class CacheLooked:
    """The cache was asked."""

    hit: bool


@dataclass(frozen=True, slots=True)
class Hedged:
    """A second request was sent because the first was late; `won` tells which one spoke first."""

    won: Literal["first", "second", "none"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A guardrail gave its verdict on text; the text itself is not told.

    Args:
        guardrail: its name.
        action: ``allow``, ``redact``, ``hold`` or ``stop``; ``error`` where it failed itself.
        path: the field; empty for the prompt or the root.
    """

    guardrail: str
    action: Literal["allow", "redact", "hold", "stop", "error"]
    path: str = ""


@dataclass(frozen=True, slots=True)
class StepsJoined:
    """The caller was slow, or wanted fewer: `steps` were not handed over by themselves, but within a later one."""

    steps: int


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """A caller's own callback raised; the stream went on."""

    callback: str
    error: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream ended in `outcome`, `seconds` after it began.

    Of these the caller held on to steps for `consumer` seconds before he asked for the next one, his callbacks
    included; the rest of the time he waited for us.
    """

    outcome: Outcome[Any]  # Any: of any response model
    seconds: float
    consumer: float = 0.0


Fact = (
    StreamBegan
    | AttemptBegan
    | FirstToken
    | Stepped
    | AttemptEnded
    | Replanned
    | BreakerChanged
    | Waited
    | ConcurrencyChanged
    | CacheLooked
    | Hedged
    | Judged
    | StepsJoined
    | CallbackFailed
    | StreamEnded
)
"""All that an observer may hear."""

Observer = Callable[[StreamInfo, Fact], None]
"""Hears every fact of every stream of a service, at once and in order; it must be quick and never waits."""

Tell = Callable[[Fact], None]
"""Tells a fact of one stream to all who listen; never raises."""
