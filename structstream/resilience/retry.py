"""When an attempt that failed is followed by another, how long that waits, and how many may be under way at once.

Pure: what tells time or chance is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from structstream.errors import (
    CircuitOpenError,
    InvalidOutputError,
    ProviderError,
    StreamTimeoutError,
    UnavailableError,
)
from structstream.response import Outcome, OutcomeKind

if TYPE_CHECKING:
    from structstream.policies import RetryPolicy
    from structstream.request import StreamingStructuredRequest

__all__ = ["RetryBudget", "Verdict", "delay", "has_key", "judged", "keyed", "reasked", "repeatable"]

Verdict = Literal["retry", "continue", "reask", "end"]
"""Ask again; ask for the rest of an answer that was cut for its length; ask again and say what was wrong; do not."""

_LONGEST_QUOTE = 20_000  # characters of a wrong answer that the model is shown again
_VERDICTS: Mapping[OutcomeKind, Verdict] = {
    OutcomeKind.TRUNCATED: "continue",
    OutcomeKind.INVALID: "reask",
    OutcomeKind.INCOMPLETE: "retry",
    OutcomeKind.TIMEOUT: "retry",
    OutcomeKind.PROVIDER_ERROR: "retry",
    OutcomeKind.UNAVAILABLE: "retry",
}
_SAID: Mapping[str, Verdict] = {"true": "retry", "false": "end"}


def judged(outcome: Outcome[Any], policy: RetryPolicy, *, repeatable: bool = True) -> Verdict:
    """Return what may follow an outcome.

    408, 409, 429, 5xx and 529, a connection that failed or broke, a stall, an event that breaks its dialect: again.
    Other 4xx, an exhausted account, the total deadline, a refusal, a filter, a guardrail, a caller who left: never.
    The provider's own ``x-should-retry`` counts before its status. A circuit that is open is waited for only where
    that is short.

    Args:
        outcome: how the attempt ended.
        policy: the settings.
        repeatable: whether the same body may be sent again though the provider may have taken it; if not, a 409 is
            final.

    >>> from structstream.errors import TruncatedError
    >>> from structstream.policies import RetryPolicy
    >>> judged(Outcome(OutcomeKind.TRUNCATED, error=TruncatedError("cut")), RetryPolicy())
    'continue'
    """
    error, verdict = outcome.error, _VERDICTS.get(outcome.kind, "end")
    if verdict != "retry":
        return verdict
    if isinstance(error, StreamTimeoutError):
        return "end" if error.deadline == "total" else "retry"
    if isinstance(error, UnavailableError):
        wait = error.retry_after
        short = isinstance(error, CircuitOpenError) and wait is not None and wait <= policy.open_circuit_wait
        return "retry" if short else "end"
    if isinstance(error, ProviderError) and error.status == 409 and not repeatable:
        return "end"
    if said := _SAID.get(outcome.headers.get("x-should-retry", "")):
        return said
    return "retry" if error is None or error.retryable else "end"


def delay(outcome: Outcome[Any], policy: RetryPolicy, *, failures: int, random: Callable[[], float]) -> float | None:
    """Return the seconds to wait before the next attempt; None where the provider asks for longer than anybody waits.

    Exponential with full jitter; a wait that the provider asks for is obeyed, and a little more, so that not all who
    were told the same come at the same moment.

    Args:
        outcome: how the attempt ended.
        policy: the settings.
        failures: how many attempts have failed so far, this one included.
        random: gives a number from 0 to 1.

    >>> from structstream.errors import RateLimitedError
    >>> from structstream.policies import RetryPolicy
    >>> slow = Outcome(OutcomeKind.PROVIDER_ERROR, error=RateLimitedError("slow", provider="openai", retry_after=7))
    >>> delay(slow, RetryPolicy(), failures=1, random=lambda: 0.5)
    7.25
    """
    bound = min(policy.longest_wait, policy.first_wait * 2.0 ** min(failures - 1, 60))
    asked = getattr(outcome.error, "retry_after", None)
    if asked is None:
        return random() * bound
    return None if asked > policy.longest_retry_after else asked + random() * min(bound, policy.first_wait)


def repeatable(request: StreamingStructuredRequest[Any]) -> bool:
    """Whether the body may be sent twice: not where it adds to a conversation that the provider keeps.

    (API reference of OpenAI, create a model response: items are added to the ``conversation``.)
    """
    return "conversation" not in request.extra


def reasked(request: StreamingStructuredRequest[Any], outcome: Outcome[Any]) -> StreamingStructuredRequest[Any]:
    """Return `request` with what was wrong with its answer said in the conversation: path, problem and value."""
    error = outcome.error
    if not isinstance(error, InvalidOutputError):
        return request
    where = f" at {error.path}" if error.path else ""
    found = f" The value there was: {error.value}" if error.value else ""
    told = f"That answer is not valid{where}: {error.problem}.{found} Give the whole answer again, with this corrected."
    turns = list(request.messages) or [{"role": "user", "content": request.prompt}]
    if outcome.raw_text.strip():
        turns.append({"role": "assistant", "content": outcome.raw_text[:_LONGEST_QUOTE]})
    return replace(request, prompt=None, messages=(*turns, {"role": "user", "content": told}))


def keyed(request: StreamingStructuredRequest[Any], key: str, body: int) -> StreamingStructuredRequest[Any]:
    """Return `request` with its idempotency key: that of the logical call, told apart for each changed body.

    Args:
        request: what is sent.
        key: the key of the logical call.
        body: 1 for the first body, one more for each that differs from the one before.

    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="openai/o3", prompt="Legs of a cat?")
    >>> keyed(request, "abc", 2).headers
    {'Idempotency-Key': 'abc-2'}
    """
    name = key if body == 1 else f"{key}-{body}"
    others = {header: value for header, value in request.headers.items() if header.lower() != "idempotency-key"}
    return replace(request, headers={**others, "Idempotency-Key": name})


def has_key(request: StreamingStructuredRequest[Any]) -> bool:
    """Whether the caller has put a key of his own into the headers, which then stands as it is."""
    return any(header.lower() == "idempotency-key" for header in request.headers)


class RetryBudget:
    """How many retries may be under way at once in one service, so that an outage is not made worse by them.

    A retry counts from the decision to make it, its wait included, until its attempt has ended.

    >>> from structstream.policies import RetryPolicy
    >>> budget = RetryBudget()
    >>> [budget.take(RetryPolicy(least=1)) for _ in range(2)]
    [True, False]
    """

    def __init__(self) -> None:
        self._lock = Lock()  # a service may be used on several event loops, each in a thread of its own
        self._calls = 0
        self._retries = 0

    @property
    def calls(self) -> int:
        """The streams under way."""
        return self._calls

    @property
    def retries(self) -> int:
        """The retries under way."""
        return self._retries

    def enter(self) -> None:
        """Note that a stream begins."""
        with self._lock:
            self._calls += 1

    def leave(self) -> None:
        """Note that it ended."""
        with self._lock:
            self._calls -= 1

    def take(self, policy: RetryPolicy) -> bool:
        """Take the place of one retry, to be given back; return whether there was one."""
        with self._lock:
            if self._retries >= max(policy.least, int(policy.share * self._calls)):
                return False
            self._retries += 1
            return True

    def give(self) -> None:
        """Give a place back."""
        with self._lock:
            self._retries -= 1
