"""Requests and tokens per minute: a call beyond them waits for its turn, in the order of coming.

`Meter` reserves a place in time, and says how long that is away; the buckets are pyrate-limiter's, with time as an
argument. `limiting` is the layer around it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil, inf
from threading import Lock
from typing import TYPE_CHECKING, Any

from structstream.errors import ConnectionFailedError, LimitReachedError, StructStreamError
from structstream.facts import LimitName, Waited
from structstream.response import OutcomeKind, kind_of

from . import Rest, ended, flowing
from .tally import estimated

if TYPE_CHECKING:
    from pyrate_limiter import StateBucket

    from structstream.facts import Tell
    from structstream.policies import LimitsPolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome, StreamingResponse

    from . import Call, Endpoint, EndpointOf, Layer, Parts, Pause

__all__ = ["Meter", "Meters", "Reservation", "expected", "limiting"]

_ROUNDING = 0.005  # seconds by which two ways to one moment may differ


def expected(request: StreamingStructuredRequest[Any], policy: LimitsPolicy) -> int:  # Any: of any response model
    """Return the tokens that a call is charged with before anything is known of it.

    >>> from structstream.policies import LimitsPolicy
    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="openai/o3", prompt="x" * 40, max_tokens=5)
    >>> expected(request, LimitsPolicy())
    15
    """
    output = policy.expected_output if request.max_tokens is None else request.max_tokens
    return estimated(request, 0).input_tokens + output


@dataclass(slots=True)
class Reservation:
    """A place in time for one call.

    Args:
        wait: seconds until it.
        tokens: what it was charged with.
        limit: the one that makes it wait, or refuses it.
        refused: whether it was not given: the wait would be too long.
    """

    wait: float
    tokens: int
    limit: LimitName
    refused: bool = False


class Meter:
    """The limits of one model: full at rest, and refilled evenly (the token bucket that providers describe).

    Args:
        policy: the settings.

    >>> from structstream.policies import LimitsPolicy
    >>> meter = Meter(LimitsPolicy(requests_per_minute=1))
    >>> [meter.reserve(0, now=100.0).wait for _ in range(3)][:2]
    [0.0, 60.0]
    """

    def __init__(self, policy: LimitsPolicy) -> None:
        # Here, because the package takes a third of a second to import.
        from pyrate_limiter import Rate, RateItem, StateBucket, TokenBucket

        def bucket(limit: int | None) -> StateBucket | None:
            return None if limit is None else StateBucket([Rate(limit, 60_000)], TokenBucket())

        self._item = RateItem
        self._policy = policy
        self._requests = bucket(policy.requests_per_minute)
        self._tokens = bucket(policy.tokens_per_minute)
        self._lock = Lock()  # a service may be used on several event loops, each in a thread of its own

    def reserve(self, tokens: int, *, now: float) -> Reservation:
        """Return a place for a call of so many tokens; it is taken, unless it is refused."""
        at, most = ceil(now * 1000), self._policy.max_wait
        with self._lock:
            for_request = self._take(self._requests, 1, at, most)
            if for_request > most:
                return Reservation(for_request, 0, "requests", refused=True)
            for_tokens = self._take(self._tokens, tokens, at, most)
            if for_tokens > most:
                self._charge(self._requests, -1, at)
                return Reservation(for_tokens, 0, "tokens", refused=True)
        return Reservation(max(for_request, for_tokens), tokens, "tokens" if for_tokens > for_request else "requests")

    def correct(self, place: Reservation, tokens: int, *, now: float) -> None:
        """Charge what a call has really taken; what was too much is given back."""
        with self._lock:
            self._charge(self._tokens, tokens - place.tokens, ceil(now * 1000))

    def release(self, place: Reservation, *, now: float) -> None:
        """Give a place back whose call was not made."""
        with self._lock:
            self._charge(self._requests, -1, ceil(now * 1000))
            self._charge(self._tokens, -place.tokens, ceil(now * 1000))

    def _take(self, bucket: StateBucket | None, weight: int, at: int, most: float) -> float:
        """Take `weight` at the first time at which it fits, if that is not too late; return the seconds until then."""
        if bucket is None or weight <= 0:
            return 0.0
        # More than a minute's worth in one call: it goes when the bucket is full, and leaves a debt.
        fits = min(weight, bucket.rates[0].burst)
        decision = bucket.put_decision(self._item("", at, fits))
        wait = decision.retry_after_ms or 0  # type: ignore[union-attr]  # awaitable only for stores over a network
        if wait > most * 1000:
            return wait / 1000
        if wait:
            bucket.put(self._item("", at + wait, fits))
        self._charge(bucket, weight - fits, at + wait)
        return wait / 1000

    def _charge(self, bucket: StateBucket | None, weight: int, at: int) -> None:
        """Charge `weight` whether it fits or not; a negative one is given back."""
        while bucket is not None and weight:
            part = min(weight, bucket.rates[0].burst)
            item = self._item("", at, part)
            if not bucket.put(item):  # full: it would fit later, and what counts is the sum
                at += bucket.put_decision(item).retry_after_ms or 0  # type: ignore[union-attr]  # as above
                bucket.put(self._item("", at, part))
            weight -= part


class Meters:
    """The meters of a service: one for each model of each provider, and for each way to set it."""

    def __init__(self) -> None:
        self._meters: dict[tuple[Endpoint, LimitsPolicy], Meter] = {}

    def of(self, endpoint: Endpoint, policy: LimitsPolicy) -> Meter:
        """Return the meter of a model."""
        found = self._meters.get((endpoint, policy))
        return self._meters.setdefault((endpoint, policy), Meter(policy)) if found is None else found


def limiting(
    *,
    policy: LimitsPolicy,
    meters: Meters,
    endpoint_of: EndpointOf,
    tell: Tell,
    pause: Pause,
    now: Callable[[], float],
    sends: bool = False,
    remaining: Callable[[], float] = lambda: inf,
) -> Layer:
    """Return the layer that makes calls wait for their place, and refuses at once those that would wait too long.

    It stands twice around a call, each time with meters of its own. The outer one is the line: whoever waits in it
    holds nothing else. Its place is no longer true once the call has waited for something further in, as what was taken
    long ago has been refilled since. So the inner one, behind which nothing waits, counts what is sent.

    Args:
        policy: the settings.
        meters: those of the service.
        endpoint_of: who is asked.
        tell: hears who waits.
        pause: waits.
        now: the clock.
        sends: whether it is the inner one. Then a call that was begun counts, though it was left before it said
            anything: its provider has seen it.
        remaining: the seconds until the total deadline of the stream.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            endpoint = endpoint_of(request)
            meter, provider = meters.of(endpoint, policy), endpoint.provider
            place = meter.reserve(expected(request, policy), now=now())
            waits, most = place.wait > (_ROUNDING if sends else 0), min(policy.max_wait, remaining())
            refused = place.refused or (waits and place.wait > most)
            if waits or refused:
                tell(Waited(place.limit, provider, 0.0 if refused else place.wait, refused=refused))
            if refused:
                if not place.refused:
                    meter.release(place, now=now())
                error = LimitReachedError(place.limit, provider=provider, max_wait=most, retry_after=place.wait)
                yield ended(OutcomeKind.UNAVAILABLE, error)
                return
            sent = spoken = False

            def spoke(step: StreamingResponse[Any]) -> None:
                nonlocal sent, spoken
                sent = spoken = True

            try:
                if waits:
                    try:
                        await pause(place.wait)
                    except StructStreamError as late:
                        yield ended(kind_of(late), late)
                        return
                sent = sends
                async with aclosing(call(request)) as steps:
                    last = yield Rest(steps, spoke)
                    sent = spoken or _was_sent(last.outcome)
                    used = last.outcome.usage
                    if sent and used is not None and not used.estimated:
                        meter.correct(place, used.total_tokens, now=now())
                    yield last
            finally:
                if not sent:
                    meter.release(place, now=now())

        return run

    return layer


def _was_sent(outcome: Outcome[Any]) -> bool:
    return outcome.kind is not OutcomeKind.UNAVAILABLE and not isinstance(outcome.error, ConnectionFailedError)
