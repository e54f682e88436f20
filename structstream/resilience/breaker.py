"""The circuit breaker: a model of a provider that fails too often is left alone for a while, then tried by a few.

`Breaker` is a machine of three states and the table `TRANSITIONS`; time and chance are arguments. `breaking` is the
layer around it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    CircuitOpenError,
    ConfigurationError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    StreamTimeoutError,
)
from structstream.facts import BreakerChanged, BreakerState
from structstream.response import OutcomeKind

from . import Rest, ended, flowing

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import BreakerPolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome

    from . import Call, Endpoint, EndpointOf, Layer, Parts, Steps

__all__ = ["TRANSITIONS", "Breaker", "BreakerEvent", "Breakers", "Permit", "Result", "breaking", "counted", "refusing"]

BreakerEvent = Literal[
    "too many failed or were slow", "the open time is over", "all probes ended well", "a probe failed"
]
"""What changes the state of a breaker."""

Result = Literal["success", "failure", "ignored"]
"""What a call says of its provider."""

TRANSITIONS: Mapping[tuple[BreakerState, BreakerEvent], BreakerState] = {
    ("closed", "too many failed or were slow"): "open",
    ("open", "the open time is over"): "half_open",
    ("half_open", "all probes ended well"): "closed",
    ("half_open", "a probe failed"): "open",
}
"""All that can happen: what is missing here cannot."""

_TRY_AGAIN = 1.0  # seconds after which it is worth asking a circuit again whose probes are all under way

# The caller's affair, or his account's; and a 429 is for the pause and the concurrency to heed.
_CALLERS = (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
)


def counted(outcome: Outcome[Any]) -> Result:  # Any: of any response model
    """Return what an outcome says of the provider.

    Success: the answer ended as the provider meant it to. Failure: a 5xx or 529, no connection, a stall, a stream that
    died or ended early, one that breaks its dialect. Neither: a caller who left, a 4xx, an answer that does not
    validate, a refusal, a filter, a guardrail, the total deadline, a call that was not made.

    >>> from structstream.errors import IncompleteError
    >>> from structstream.response import Outcome
    >>> counted(Outcome(OutcomeKind.INCOMPLETE, error=IncompleteError("the connection broke")))
    'failure'
    """
    error, kind = outcome.error, outcome.kind
    if kind in (OutcomeKind.COMPLETE, OutcomeKind.TRUNCATED):
        return "success"
    if isinstance(error, StreamTimeoutError):
        return "ignored" if error.deadline == "total" else "failure"
    if kind is OutcomeKind.INCOMPLETE or isinstance(error, OverloadedError):
        return "failure"
    if kind is not OutcomeKind.PROVIDER_ERROR or isinstance(error, _CALLERS):
        return "ignored"
    status = error.status if isinstance(error, ProviderError) else None
    return "ignored" if status is not None and 400 <= status < 500 else "failure"


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """The right to make one call.

    Args:
        generation: which state of the breaker gave it, counted up with each change.
        until: when the place of a probe is given to another, in seconds on the clock.
    """

    generation: int
    until: float


@dataclass(slots=True)
class _Second:
    """What ended within one second."""

    at: int
    calls: int = 0
    failures: int = 0
    answered: int = 0
    slow: int = 0


class Breaker:
    """Lets calls through or not, and learns from how they end.

    Every permit is to be given back by `settle`, whatever happened to its call; the place of a probe that is not given
    back is taken from it after a while. The result of a call that began in another state does not count.

    Args:
        policy: the settings.
        random: gives a number from 0 to 1.

    Attributes:
        state: ``closed``, ``open`` or ``half_open``, as of the last call of a method.

    >>> from structstream.policies import BreakerPolicy
    >>> breaker = Breaker(BreakerPolicy(minimum_calls=1))
    >>> breaker.settle(breaker.admit(0.0), "failure", 0.0)
    >>> breaker.state, breaker.admit(1.0)
    ('open', None)
    """

    def __init__(self, policy: BreakerPolicy, *, random: Callable[[], float] = random.random) -> None:
        self.state: BreakerState = "closed"
        self._policy = policy
        self._random = random
        self._generation = 0
        self._seconds: deque[_Second] = deque()
        self._open_until = 0.0
        self._openings = 0  # in a row, without having been closed between them
        self._probes: set[Permit] = set()
        self._good = 0  # probes that ended well
        self._flowing: set[Permit] = set()  # calls under way whose answer has begun

    def admit(self, now: float) -> Permit | None:
        """Return the permit for one call that begins now; None where it must not be made."""
        if self.state == "open" and now >= self._open_until:
            self._change("the open time is over", now)
        if self.state == "open":
            return None
        permit = Permit(self._generation, now + self._policy.probe_seconds)
        if self.state == "half_open":
            self._probes = {probe for probe in self._probes if probe.until > now}
            if len(self._probes) + self._good >= self._policy.probes:
                return None
            self._probes.add(permit)
        return permit

    def refuses(self, now: float) -> bool:
        """Whether `admit` would give no permit now; nothing is taken and nothing changes."""
        if self.state == "half_open":
            under_way = sum(probe.until > now for probe in self._probes)
            return under_way + self._good >= self._policy.probes
        return self.state == "open" and now < self._open_until

    def flows(self, permit: Permit) -> None:
        """Note that the answer of a call has begun to arrive: until it ends it counts against the share of failures.

        What fails, fails at once, and good streams last: without this the first seconds of many streams that begin
        together would look like an outage.
        """
        if permit.generation == self._generation:
            self._flowing.add(permit)

    def retry_after(self, now: float) -> float:
        """Return the seconds until it is worth asking again."""
        return max(0.0, self._open_until - now) if self.state == "open" else _TRY_AGAIN

    def settle(self, permit: Permit, result: Result, now: float, *, first_token: float | None = None) -> None:
        """Take a permit back.

        Args:
            permit: as `admit` gave it.
            result: what the call says of the provider.
            now: seconds on the clock.
            first_token: how long its first token took, in seconds; None where none came.
        """
        if permit.generation != self._generation:
            return
        self._flowing.discard(permit)
        bound = self._policy.slow_first_token
        slow = bound is not None and first_token is not None and first_token > bound
        if self.state == "half_open":
            self._settle_probe(permit, result, slow, now)
        elif result != "ignored":
            second = self._second(int(now))
            second.calls += 1
            second.failures += result == "failure"
            second.answered += first_token is not None
            second.slow += slow
            if self._too_bad():
                self._change("too many failed or were slow", now)

    def _settle_probe(self, permit: Permit, result: Result, slow: bool, now: float) -> None:
        if permit not in self._probes:
            return  # its time was over, and its place is another's
        self._probes.remove(permit)
        if result == "failure" or (slow and result == "success"):
            self._change("a probe failed", now)
        elif result == "success":
            self._good += 1
            if self._good >= self._policy.probes:
                self._change("all probes ended well", now)

    def _second(self, at: int) -> _Second:
        seconds = self._seconds
        while seconds and seconds[0].at <= at - self._policy.window:
            seconds.popleft()
        if not seconds or seconds[-1].at < at:
            seconds.append(_Second(at))
        return seconds[-1]

    def _too_bad(self) -> bool:
        policy = self._policy
        calls = sum(second.calls for second in self._seconds)
        failures = sum(second.failures for second in self._seconds)
        answered = sum(second.answered for second in self._seconds)
        slow = sum(second.slow for second in self._seconds)
        known = calls + len(self._flowing)
        return (calls >= policy.minimum_calls and failures >= policy.failure_rate * known) or (
            policy.slow_first_token is not None
            and answered >= policy.minimum_calls
            and slow >= policy.slow_rate * answered
        )

    def _change(self, event: BreakerEvent, now: float) -> None:
        self.state = TRANSITIONS[self.state, event]
        self._generation += 1
        self._seconds.clear()
        self._probes = set()
        self._flowing = set()
        self._good = 0
        if self.state == "closed":
            self._openings = 0
        elif self.state == "open":
            policy = self._policy
            length = min(policy.longest_open, policy.open_seconds * 2.0 ** min(self._openings, 60))
            self._openings += 1
            self._open_until = now + length * (1 + policy.jitter * (2 * self._random() - 1))


class Breakers:
    """The breakers of a service: one for each model of each provider, and for each way to set it.

    Args:
        random: gives a number from 0 to 1.
    """

    def __init__(self, *, random: Callable[[], float] = random.random) -> None:
        self.lock = Lock()  # a service may be used on several event loops, each in a thread of its own
        self._random = random
        self._breakers: dict[tuple[Endpoint, BreakerPolicy], Breaker] = {}

    def of(self, endpoint: Endpoint, policy: BreakerPolicy) -> Breaker:
        """Return the breaker of a model."""
        with self.lock:
            found = self._breakers.get((endpoint, policy))
            if found is None:
                found = self._breakers[endpoint, policy] = Breaker(policy, random=self._random)
            return found


def refusing(*, policy: BreakerPolicy, breakers: Breakers, endpoint_of: EndpointOf, now: Callable[[], float]) -> Layer:
    """Return the layer that ends a call as ``unavailable`` at once which `breaking` would not let through now.

    It stands around all that waits, takes nothing, and costs a step nothing: so nobody waits for a limit while the
    circuit is open, and who waits holds no permit.

    Args: as for `breaking`.
    """

    def layer(call: Call) -> Call:
        def begin(request: StreamingStructuredRequest[Any]) -> Steps:
            endpoint, at = endpoint_of(request), now()
            breaker = breakers.of(endpoint, policy)
            with breakers.lock:
                wait = breaker.retry_after(at) if breaker.refuses(at) else None
            return call(request) if wait is None else _refused(endpoint, wait)

        return begin

    return layer


async def _refused(endpoint: Endpoint, wait: float) -> Steps:
    yield ended(OutcomeKind.UNAVAILABLE, CircuitOpenError(endpoint.provider, endpoint.model, retry_after=wait))


def breaking(
    *, policy: BreakerPolicy, breakers: Breakers, endpoint_of: EndpointOf, tell: Tell, now: Callable[[], float]
) -> Layer:
    """Return the layer that makes no call while the circuit is open: it then ends as ``unavailable`` at once.

    It is the innermost, so that a permit is held for the call alone, and what has changed while a call waited counts.

    Args:
        policy: the settings.
        breakers: those of the service.
        endpoint_of: who is asked.
        tell: hears of each change.
        now: the clock.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            endpoint = endpoint_of(request)
            guarded = _Guarded(breakers.of(endpoint, policy), breakers.lock, endpoint, tell, now)
            permit, wait = guarded.admit()
            if permit is None:
                error = CircuitOpenError(endpoint.provider, endpoint.model, retry_after=wait)
                yield ended(OutcomeKind.UNAVAILABLE, error)
                return
            settled = False
            try:
                async with aclosing(call(request)) as steps:
                    last = yield Rest(steps, lambda step: guarded.flows(permit))
                    settled = True  # before the caller looks at it, for as long as he likes
                    guarded.settle(permit, counted(last.outcome), last.outcome.timings.first_byte)
                    yield last
            finally:
                if not settled:
                    guarded.settle(permit, "ignored", None)

        return run

    return layer


class _Guarded:
    """A breaker as one stream sees it: under the lock, and its changes are told."""

    def __init__(self, breaker: Breaker, lock: Lock, endpoint: Endpoint, tell: Tell, now: Callable[[], float]) -> None:
        self._breaker = breaker
        self._lock = lock
        self._endpoint = endpoint
        self._tell = tell
        self._now = now

    def admit(self) -> tuple[Permit | None, float]:
        now = self._now()
        with self._lock:
            before = self._breaker.state
            permit, after = self._breaker.admit(now), self._breaker.state
            wait = self._breaker.retry_after(now)
        self._say(before, after, now)
        return permit, wait

    def flows(self, permit: Permit) -> None:
        with self._lock:
            self._breaker.flows(permit)

    def settle(self, permit: Permit, result: Result, first_token: float | None) -> None:
        now = self._now()
        with self._lock:
            before = self._breaker.state
            self._breaker.settle(permit, result, now, first_token=first_token)
            after = self._breaker.state
        self._say(before, after, now)

    def _say(self, before: BreakerState, after: BreakerState, now: float) -> None:
        if before != after:
            self._tell(BreakerChanged(*self._endpoint, before, after, now))
