"""The pause: calls to a model wait while its provider has asked for peace, or has said that nothing is left.

`asked` reads what a provider says, `Gate` remembers it; time is an argument. `pausing` is the layer around them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from structstream.errors import LimitReachedError, ProviderError, StructStreamError
from structstream.facts import Waited
from structstream.response import OutcomeKind, kind_of

from . import Rest, ended, flowing

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import PausePolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome

    from . import Call, Endpoint, EndpointOf, Layer, Parts, Pause

__all__ = ["Gate", "Gates", "asked", "pausing", "reset_in"]

_REMAINING = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:.+-)?remaining(?:-.+)?")
_NUMBER = r"(\d{1,9}(?:\.\d{1,12})?)"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?")
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_IS_DATE = 1e8  # a reset above this many seconds is no distance but a date; in milliseconds above a thousand times that


def reset_in(text: str, today: float) -> float | None:
    """Return the seconds that a ``…-reset`` header tells; None where it cannot be read.

    OpenAI and others write a duration (``6m0s``, ``20ms``), Anthropic a date of RFC 3339, OpenRouter milliseconds since
    1970, the IETF's draft plain seconds.

    Args:
        text: the header's value.
        today: the seconds since 1970.

    >>> reset_in("1m30.5s", 0), reset_in("1970-01-01T00:01:00Z", 45)
    (90.5, 15.0)
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,15}(?:\.\d{1,12})?", text):
        number = float(text)
        if number > _IS_DATE * 1000:
            number /= 1000
        return number if number <= _IS_DATE else max(0.0, number - today)
    found = _DURATION.fullmatch(text)
    if text and found is not None:
        return sum(float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part)
    with suppress(ValueError, OverflowError):
        return max(0.0, datetime.fromisoformat(text).timestamp() - today)
    return None


def asked(outcome: Outcome[Any], today: float) -> float:  # Any: of any response model
    """Return the seconds for which the provider wants no call, by its error or its headers; 0 for none.

    Args:
        outcome: how a call ended; a good end may say that it was the last for now.
        today: the seconds since 1970.
    """
    error, timings = outcome.error, outcome.timings
    waits = [error.retry_after or 0.0] if isinstance(error, ProviderError) else []
    # The headers came before the answer: of the wait that they tell, the time that the answer took is over.
    age = 0.0 if timings.first_byte is None else (timings.total or 0.0) - timings.first_byte
    return max([0.0, *waits, *(wait - age for wait in _exhausted(outcome.headers, today - age))])


def _exhausted(headers: Mapping[str, str], today: float) -> list[float]:
    """The waits of the limits of which nothing remains."""
    found = []
    for name, value in headers.items():
        if _REMAINING.fullmatch(name) and re.fullmatch(r"-?\d+", value.strip()) and int(value) <= 0:
            wait = reset_in(headers.get(name.replace("remaining", "reset"), ""), today)
            found.append(wait or 0.0)
    return found


class Gate:
    """Whether calls to one model may begin.

    Attributes:
        length: for how many seconds it was closed last.

    >>> gate = Gate()
    >>> gate.close_for(5, now=100.0)
    >>> gate.wait(102.0), gate.wait(105.0)
    (3.0, 0.0)
    """

    def __init__(self) -> None:
        self.length = 0.0
        self._until = 0.0

    def close_for(self, seconds: float, *, now: float) -> None:
        """Let nobody through for so long; a gate that is closed for longer stays so."""
        if now + seconds > self._until:
            self._until, self.length = now + seconds, seconds

    def wait(self, now: float) -> float:
        """Return the seconds until it opens; 0 where it is open."""
        return max(0.0, self._until - now)


class Gates:
    """The gates of a service: one for each model of each provider."""

    def __init__(self) -> None:
        self._gates: dict[Endpoint, Gate] = {}

    def of(self, endpoint: Endpoint) -> Gate:
        """Return the gate of a model."""
        return self._gates.setdefault(endpoint, Gate())


def pausing(
    *,
    policy: PausePolicy,
    gates: Gates,
    endpoint_of: EndpointOf,
    tell: Tell,
    pause: Pause,
    now: Callable[[], float],
    today: Callable[[], float],
    remaining: Callable[[], float] = lambda: inf,
    chance: Callable[[], float] = random.random,
) -> Layer:
    """Return the layer that holds calls back while their gate is closed, and closes it when the provider says so.

    Args:
        policy: the settings.
        gates: those of the service.
        endpoint_of: who is asked.
        tell: hears who waits.
        pause: waits.
        now: the clock.
        today: the seconds since 1970.
        remaining: the seconds until the total deadline of the stream.
        chance: gives a number from 0 to 1.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            endpoint = endpoint_of(request)
            gate, provider, waited = gates.of(endpoint), endpoint.provider, 0.0
            while wait := gate.wait(now()):
                most = min(policy.max_wait - waited, remaining())
                if wait > most:
                    tell(Waited("pause", provider, waited, refused=True))
                    error = LimitReachedError("pause", provider=provider, max_wait=waited + most, retry_after=wait)
                    yield ended(OutcomeKind.UNAVAILABLE, error)
                    return
                # A little longer, so that not all who wait here go at the same moment, whenever they came.
                wait = min(wait + gate.length * policy.jitter * chance(), most)
                try:
                    await pause(wait)
                except StructStreamError as late:
                    yield ended(kind_of(late), late)
                    return
                waited += wait
            if waited:
                tell(Waited("pause", provider, waited))
            async with aclosing(call(request)) as steps:
                last = yield Rest(steps)
                if closed := asked(last.outcome, today()):
                    gate.close_for(min(closed, policy.longest), now=now())
                yield last

        return run

    return layer
