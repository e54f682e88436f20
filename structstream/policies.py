"""What is done when things go wrong, as plain settings: one frozen class a policy, None for one that is off.

The settings are words: a service holds a `Policies`, a request may bring its own. What they make happen stands in
`structstream.resilience`, one file each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import ConfigurationError
from .response import OutcomeKind

__all__ = [
    "BreakerPolicy",
    "CachePolicy",
    "ConcurrencyPolicy",
    "FallbackPolicy",
    "HedgePolicy",
    "LimitsPolicy",
    "Midstream",
    "OutputBounds",
    "PausePolicy",
    "Policies",
    "RetryPolicy",
]

Midstream = Literal["resume", "restart", "hold", "fail"]
"""What follows when an attempt ends early after something was shown.

In this order: go on from what was saved; start over; start over, unseen until it has passed what was shown; end.
"""

_LARGEST = sys.float_info.max  # NaN is not below it, and no integer beyond it can be reckoned with

_Test = Callable[[Any], bool]  # Any: arguments of every type, also wrong ones


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _or_none(what: str, test: _Test) -> tuple[str, _Test]:
    return f"{what} or None", lambda value: value is None or test(value)


_SECONDS = ("a positive number of seconds", lambda value: _is_number(value) and value > 0)
_WAIT = ("a number of seconds, 0 or more", lambda value: _is_number(value) and value >= 0)
_SHARE = ("a number above 0 and up to 1", lambda value: _is_number(value) and 0 < value <= 1)
_FRACTION = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_COUNT = ("a positive integer", lambda value: _is_count(value) and value > 0)
_COUNT_OR_0 = ("an integer, 0 or more", lambda value: _is_count(value) and value >= 0)
_POSITIVE = ("a positive number", lambda value: _is_number(value) and value > 0)
_SWITCH = ("True or False", lambda value: isinstance(value, bool))
_PATH = ("the path of a file", lambda value: isinstance(value, str) and bool(value))
_KINDS = (
    "a collection of OutcomeKind",
    lambda value: isinstance(value, Collection) and all(isinstance(kind, OutcomeKind) for kind in value),
)


def _check(policy: object, **rules: tuple[str, _Test]) -> None:
    """Refuse the first field that is not as its rule says."""
    for name, (what, holds) in rules.items():
        value = getattr(policy, name)
        if not holds(value):
            raise ConfigurationError(f"{type(policy).__name__}.{name} must be {what}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When an attempt that failed is followed by another; how many there may be is the request's `max_retries`.

    Args:
        first_wait: bound of the wait before the first retry, in seconds; it doubles with each, and the wait is drawn
            evenly from 0 to the bound.
        longest_wait: the bound never grows above this, in seconds.
        longest_retry_after: a wait that the provider asks for is obeyed up to this many seconds; for a longer one
            nobody waits, and the attempt is the last.
        open_circuit_wait: an open circuit is waited for if it is due to let calls through within so many seconds;
            else the attempt is the last, and another model may be asked.
        seconds: no attempt begins later than this after the first began; None for no bound but the total deadline.
        tokens: no attempt begins once this many tokens were spent; None for no bound.
        idle_resumes: after so many resumed attempts in a row that brought nothing new, nothing is resumed any more; the
            last retry is not spent on a resume that follows even one of them.
        continuations: how often an answer that was cut off at the output limit may be continued. As long as each
            brings something new they do not count as retries; with `max_retries=0` there is none.
        share: retries that may be under way at once in one service, as a share of the calls in flight.
        least: retries that may be under way at once whatever `share` says.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 60.0
    open_circuit_wait: float = 1.0
    seconds: float | None = None
    tokens: int | None = None
    idle_resumes: int = 2
    continuations: int = 16
    share: float = 0.2
    least: int = 3

    def __post_init__(self) -> None:
        _check(
            self,
            first_wait=_WAIT,
            longest_wait=_WAIT,
            longest_retry_after=_WAIT,
            open_circuit_wait=_WAIT,
            seconds=_or_none(*_SECONDS),
            tokens=_or_none(*_COUNT),
            idle_resumes=_COUNT,
            continuations=_COUNT_OR_0,
            share=_FRACTION,
            least=_COUNT_OR_0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a provider's model is left alone for a while; each model of each provider has a breaker of its own.

    Args:
        window: seconds that are looked back on; counted in buckets of one second.
        minimum_calls: calls in the window before its rates mean anything.
        failure_rate: the share of failed calls at which the circuit opens: of those that ended in the window, and of
            those under way whose answer has begun.
        slow_first_token: seconds after which a first token counts as slow; None: none does.
        slow_rate: the share of slow first tokens at which the circuit opens.
        open_seconds: how long the circuit stays open the first time; doubled each time that the probes fail.
        longest_open: it never stays open longer than this, in seconds, but for the jitter.
        jitter: the share by which the open time is drawn longer or shorter, so that not all come back at once.
        probes: calls that are let through when the time is over; all of them must end well for the circuit to close.
        probe_seconds: a probe that has not ended after so many seconds gives its place to another, and its result no
            longer counts.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    window: int = 30
    minimum_calls: int = 10
    failure_rate: float = 0.5
    slow_first_token: float | None = None
    slow_rate: float = 0.8
    open_seconds: float = 5.0
    longest_open: float = 30.0
    jitter: float = 0.2
    probes: int = 3
    probe_seconds: float = 120.0

    def __post_init__(self) -> None:
        _check(
            self,
            window=_COUNT,
            minimum_calls=_COUNT,
            failure_rate=_SHARE,
            slow_first_token=_or_none(*_SECONDS),
            slow_rate=_SHARE,
            open_seconds=_SECONDS,
            longest_open=_SECONDS,
            jitter=_FRACTION,
            probes=_COUNT,
            probe_seconds=_SECONDS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsPolicy:
    """How much is sent to each model of each provider; a call beyond it waits, in order of coming.

    Args:
        requests_per_minute: None for no limit.
        tokens_per_minute: input and output together; None for no limit.
        expected_output: output tokens that a call is charged with before it is made, where it names no `max_tokens`;
            corrected by what the provider reports afterwards.
        max_wait: seconds that a call may be held back; one that would wait longer is refused at once.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expected_output: int = 1000
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        _check(
            self,
            requests_per_minute=_or_none(*_COUNT),
            tokens_per_minute=_or_none(*_COUNT),
            expected_output=_COUNT_OR_0,
            max_wait=_WAIT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyPolicy:
    """How many calls to each provider may be under way at once: found out, not guessed.

    A 429 or 529 halves the limit; as many good ends as it has places raise it by one, as long as the places are used.

    Args:
        start: the limit at first; None for none until a provider pushes back, and then half of what was under way.
        least: it never falls below this.
        most: it never rises above this; None for no bound.
        cooldown: seconds after a halving in which another push-back changes nothing: they tell of the same moment.
        max_wait: seconds that a call may wait for its turn, after which it is refused.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    start: int | None = None
    least: int = 1
    most: int | None = None
    cooldown: float = 1.0
    max_wait: float = 60.0

    def __post_init__(self) -> None:
        _check(
            self,
            start=_or_none(*_COUNT),
            least=_COUNT,
            most=_or_none(*_COUNT),
            cooldown=_WAIT,
            max_wait=_WAIT,
        )
        if self.most is not None and self.most < max(self.least, self.start or 0):
            raise ConfigurationError(f"ConcurrencyPolicy.most={self.most} must not be below start or least")
        if self.start is not None and self.start < self.least:
            raise ConfigurationError(f"ConcurrencyPolicy.start={self.start} must not be below least={self.least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PausePolicy:
    """Calls to a model wait while its provider has asked for peace, or has said that nothing is left.

    Args:
        max_wait: seconds that a call may be held back; one that would wait longer is refused at once.
        longest: after so many seconds the provider is asked again, whatever it had said.
        jitter: those who waited go at moments drawn from as long a time after the pause as this share of it, and not
            all at once; none goes before its end.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    max_wait: float = 60.0
    longest: float = 300.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        _check(self, max_wait=_WAIT, longest=_SECONDS, jitter=_FRACTION)


_FALL_BACK = frozenset(
    {
        OutcomeKind.PROVIDER_ERROR,
        OutcomeKind.UNAVAILABLE,
        OutcomeKind.TIMEOUT,
        OutcomeKind.INCOMPLETE,
        OutcomeKind.INVALID,
        OutcomeKind.TRUNCATED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """What is tried when a model has failed for good; the models are the request's `fallback_models`.

    Args:
        on: outcomes that are followed by the next model. The total deadline, a cancellation and a bound of the
            caller's end the stream whatever this says.
        whole: a model that refuses to stream, or gives a page or other JSON where a stream was due, is asked once more
            for one whole answer. One that comes unasked is the answer. A stream that broke is a matter of the retries.
        cached: at last, an answer of the cache is taken, even one whose time is over; it is marked.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    on: frozenset[OutcomeKind] = _FALL_BACK
    whole: bool = True
    cached: bool = True

    def __post_init__(self) -> None:
        _check(self, on=_KINDS, whole=_SWITCH, cached=_SWITCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """Where whole, valid answers are kept, under the exact fingerprint of their request.

    Args:
        path: an SQLite file, made where there is none; ``:memory:`` keeps them for the life of the service; None for
            ``structstream/answers.sqlite3`` in the user's cache folder. It holds answers in plain text, and the file
            is made readable for its owner alone.
        ttl: seconds for which an answer is given instead of a call.
        stale: seconds beyond `ttl` for which it may still be given when all else has failed.
        most_bytes: bound of the texts kept; those that were not used for longest go first.
        most_rows: the same in answers.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    path: str | None = None
    ttl: float = 86_400.0
    stale: float = 604_800.0
    most_bytes: int = 256 << 20
    most_rows: int = 100_000

    def __post_init__(self) -> None:
        _check(self, path=_or_none(*_PATH), ttl=_SECONDS, stale=_WAIT, most_bytes=_COUNT, most_rows=_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgePolicy:
    """A second, equal request is sent when the first token is late; the first to speak wins.

    Args:
        after: seconds without a first token.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    after: float = 10.0

    def __post_init__(self) -> None:
        _check(self, after=_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBounds:
    """What one stream may cost, over all its attempts; None for no bound.

    Args:
        max_bytes: JSON text received, in bytes of UTF-8.
        max_tokens: output tokens, counted from the text where the provider has not reported them.
        max_seconds: from the first step that was asked for.
        max_cost: in the unit of the service's prices.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.
    """

    max_bytes: int | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        _check(
            self,
            max_bytes=_or_none(*_COUNT),
            max_tokens=_or_none(*_COUNT),
            max_seconds=_or_none(*_SECONDS),
            max_cost=_or_none(*_POSITIVE),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All policies of a service, or of one request, for which they stand instead; None for one that is off.

    State is shared between the streams of a service whose settings are equal: a request that brings the same breaker
    settings meets the same breaker.

    Args:
        retry: None: one attempt a model.
        breaker: None: a provider that is down is asked all the same.
        limits: None: nothing is held back before a provider says so.
        concurrency: None: as many calls as are asked for.
        pause: None: what a provider says of its limits is heard by the retries alone.
        fallback: None: `fallback_models` are not asked.
        cache: None: no answer is kept.
        hedge: None: one request at a time.
        bounds: None: no bound but the request's deadlines and `max_tokens`.
        midstream: what follows when an attempt ends early after something was shown; a request's own comes first.

    Raises:
        ConfigurationError: a value is not of its class.

    >>> Policies(cache=CachePolicy(path=":memory:"), hedge=None).midstream
    'resume'
    """

    retry: RetryPolicy | None = RetryPolicy()
    breaker: BreakerPolicy | None = BreakerPolicy()
    limits: LimitsPolicy | None = None
    concurrency: ConcurrencyPolicy | None = ConcurrencyPolicy()
    pause: PausePolicy | None = PausePolicy()
    fallback: FallbackPolicy | None = FallbackPolicy()
    cache: CachePolicy | None = None
    hedge: HedgePolicy | None = None
    bounds: OutputBounds | None = None
    midstream: Midstream = "resume"

    def __post_init__(self) -> None:
        for name, cls in _CLASSES.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, cls):
                raise ConfigurationError(
                    f"Policies.{name} must be a {cls.__name__}(...) or None, not {type(value).__name__}"
                )
        if self.midstream not in get_args(Midstream):
            known = ", ".join(get_args(Midstream))
            raise ConfigurationError(f"Policies.midstream must be one of {known}, not {self.midstream!r}")


_CLASSES: dict[str, type] = {
    "retry": RetryPolicy,
    "breaker": BreakerPolicy,
    "limits": LimitsPolicy,
    "concurrency": ConcurrencyPolicy,
    "pause": PausePolicy,
    "fallback": FallbackPolicy,
    "cache": CachePolicy,
    "hedge": HedgePolicy,
    "bounds": OutputBounds,
}
