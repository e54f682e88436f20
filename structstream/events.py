"""What a provider can say, whatever its dialect: the words between `providers/` and the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import ProviderError
from .response import TokenLogprob, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Failed",
    "FinishReason",
    "Finished",
    "Logprobs",
    "ProviderEvent",
    "RefusalDelta",
    "ServerSentEvent",
    "Started",
    "StreamEnd",
    "TextDelta",
    "ThinkingDelta",
    "ToolDelta",
    "UsageReported",
]

FinishReason = Literal["stop", "length", "tool", "filtered", "refused", "other"]
"""Why a model stopped, in one vocabulary for all dialects."""


# Nobody changes an event. But a frozen dataclass takes three times as long to make: those events of which one is made
# for every delta are frozen by custom only.
@dataclass(slots=True, unsafe_hash=True)
class ServerSentEvent:
    r"""One dispatched event of an event stream (WHATWG HTML, 9.2.6).

    Args:
        data: the data lines, joined by ``\n``.
        event: the event's name; ``message`` where the stream named none.
        id: the last event id of the stream so far; empty where there was none.
        retry: the reconnection time in milliseconds that was current at dispatch; None where none was sent.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The answer has begun; a later one without an id adds what was not known then.

    Empty strings where the provider names nothing.
    """

    response_id: str = ""
    model: str = ""
    service_tier: str = ""


@dataclass(slots=True, unsafe_hash=True)
class TextDelta:
    """More text of the answer. `choice` counts the alternatives from 0."""

    text: str
    choice: int = 0


@dataclass(slots=True, unsafe_hash=True)
class ToolDelta:
    """More of a tool call's arguments, as JSON text.

    `call` counts the calls of a choice from 0; `id` and `name` come with the first delta and are empty in the others.
    """

    text: str
    call: int = 0
    id: str = ""
    name: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of what the model thinks aloud, kept apart from the answer."""

    text: str
    signature: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More of the sentence with which the model declines."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The tokens of the answer's text, in order, as far as the provider sends their probabilities."""

    tokens: Sequence[TokenLogprob]
    choice: int = 0


@dataclass(frozen=True, slots=True)
class UsageReported:
    """The tokens of the call so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice has ended; `raw` is the provider's own word for it."""

    reason: FinishReason
    raw: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """An error inside the stream."""

    error: ProviderError


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The provider's own mark of the end, after which nothing is read."""


ProviderEvent = (
    Started
    | TextDelta
    | ToolDelta
    | ThinkingDelta
    | RefusalDelta
    | Logprobs
    | UsageReported
    | Finished
    | Failed
    | StreamEnd
)
"""Any of the above."""
