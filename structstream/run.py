"""One stream from its request to its outcome: the calls that are made for it, within the policies that hold for it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import ConfigurationError, InvalidOutputError, StreamCancelledError, StructStreamError
from .exchange import Exchange
from .facts import Stepped, StreamBegan, StreamEnded, StreamInfo
from .instrumentation import telling
from .instrumentation.metrics import Meter
from .layers import Surroundings, assembled
from .ledger import Ledger
from .partial import look
from .replay import Replayer
from .resilience import Endpoint, Flow, Inner, Rest, ended
from .resilience.tally import Tally
from .response import Outcome, OutcomeKind, kind_of
from .resume import continued_request
from .text import parse_path

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from .clock import Clock
    from .exchange import Connect
    from .facts import Fact, Observer, Tell
    from .jsonsink import JSONLimits
    from .layers import Shared
    from .metrics import Prices
    from .policies import Policies
    from .providers import Route
    from .request import StreamingStructuredRequest
    from .resilience import Parts, Steps
    from .resilience.bounds import CostOf
    from .response import StreamingResponse
    from .verdicts import Guardrail

__all__ = ["Run"]

T = TypeVar("T")

_numbers = itertools.count(1)


class Run(Generic[T]):
    """The calls for one request.

    Args:
        request: the caller's.
        plan: tells who answers for a model, and how it is reached.
        clock: measures and bounds.
        limits: the bounds of the JSON; None for the defaults.
        max_event_bytes: the bound of one line and of one event of the stream; None for the default.
        guardrails: what judges prompt and answer, those of the request among them.
        address_of: tells where a model is asked: what one address has answered is not given for another.

    Raises:
        ConfigurationError: provider, mode and response model do not go together; nothing was sent.
    """

    def __init__(
        self,
        request: StreamingStructuredRequest[T],
        plan: Callable[[str], tuple[Route, Connect]],
        clock: Clock,
        *,
        limits: JSONLimits | None = None,
        max_event_bytes: int | None = None,
        guardrails: Sequence[Guardrail] = (),
        address_of: Callable[[str], str] = str,
    ) -> None:
        self._request = request
        self._address_of = address_of
        self._plan = plan
        self._clock = clock
        self._limits = limits
        self._max_event_bytes = max_event_bytes
        self._guardrails = guardrails
        self._meter: Meter | None = None
        self.ledger: Ledger[T] = Ledger(clock, request.timeouts.total)
        self._tally = Tally()
        plan(request.model)[0].encode(request)  # what cannot be said is refused before anything is sent

    def steps(
        self,
        policies: Policies,
        shared: Shared,
        observers: Sequence[Observer],
        *,
        meter: Meter | None = None,
        prices: Prices | None = None,
    ) -> AsyncGenerator[StreamingResponse[T], None]:
        """Return the steps of the stream; nothing happens before the first is asked for.

        Args:
            policies: the settings that hold for it.
            shared: the state of the service.
            observers: hear what happens.
            meter: makes `Outcome.metrics`; None for none.
            prices: what tokens cost; None where nobody knows.

        Raises:
            ConfigurationError: the cache's file cannot be used.
        """
        request, ledger, clock = self._request, self.ledger, self._clock
        name = getattr(request.response_model, "__name__", repr(request.response_model))
        self._meter = meter
        if policies.bounds is not None and policies.bounds.max_seconds is not None:
            ledger.bound(policies.bounds.max_seconds)  # so that it ends what waits, too
        heard: Sequence[Observer] = observers if meter is None else (*observers, meter)
        ledger.tell = telling(StreamInfo(next(_numbers), request.model, name, request), heard)
        around = Surroundings(
            tally=self._tally,
            endpoint_of=self._endpoint,
            continuing=_continued,
            tell=ledger.tell or _to_nobody,
            pause=ledger.pause,
            now=clock.now,
            lost=lambda: ledger.outcome,
            replay=self._replay,
            key_of=self._key_of,
            path_of=_path_of,
            takes_key=lambda asked: self._plan(asked.model)[0].spec.takes_key,
            length_at=_length_at,
            remaining=ledger.remaining,
            cost_of=None if prices is None else self._priced(prices),
        )
        return Flow(self._observed(Inner(assembled(self._call, request, policies, shared, around)(request))))

    def _call(self, request: StreamingStructuredRequest[Any]) -> Steps:  # Any: as `Call` says
        try:
            found, connect = self._plan(request.model)
            return Exchange(
                request,
                route=found,
                connect=connect,
                clock=self._clock,
                ledger=self.ledger,
                limits=self._limits,
                max_event_bytes=self._max_event_bytes,
                guardrails=self._guardrails,
                tell=self.ledger.tell,
            ).run()
        except ConfigurationError as error:  # of another model, or of a rest that its dialect cannot say
            return _refused(error, self.ledger.number())

    def _endpoint(self, request: StreamingStructuredRequest[Any]) -> Endpoint:  # Any: as `EndpointOf` says
        found = self._plan(request.model)[0]
        return Endpoint(found.spec.name, found.model)

    def _priced(self, prices: Prices) -> CostOf:
        return lambda request, usage: prices(*self._endpoint(request), usage)

    def _key_of(self, request: StreamingStructuredRequest[Any]) -> str:  # Any: as above
        """Return what a kept answer is known by."""
        asked = f"{request.fingerprint()} {self._address_of(request.model)}"
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    async def _replay(
        self, request: StreamingStructuredRequest[Any], text: str
    ) -> Sequence[StreamingResponse[Any]]:  # Any: as `Replay` says
        replayer = Replayer(self._clock, self.ledger, limits=self._limits, guardrails=self._guardrails)
        return await replayer.steps(request, text, self._plan(request.model)[0])

    def _measured(self, outcome: Outcome[T], at: float, held: float) -> Outcome[T]:
        """Return `outcome` with its figures, where they are taken."""
        if self._meter is None:
            return outcome
        found = replace(outcome, metrics=self._meter.measured(outcome, at, self.ledger.tell, held=held))
        if found.error is not None:
            found.error.outcome = found
        return found

    async def _observed(self, steps: Steps) -> Parts:
        """Yield the steps; tell of them where somebody listens, and write down how it ended, also where it was left."""
        ledger, tell, now = self.ledger, self.ledger.tell, self._clock.now
        began, heard = now(), None
        if tell is not None:
            tell(StreamBegan(began))
            heard = _Heard(tell, now)
        hears, taken = (None, None) if heard is None else (heard.hear, heard.taken)
        left = True
        try:
            async with aclosing(steps):
                last: StreamingResponse[T] = yield Rest(steps, each=hears, taken=taken)
                if heard is not None:
                    heard.hear(last)
                held = 0.0 if heard is None else heard.held
                if last.outcome is not None:
                    last.outcome = ledger.outcome = self._measured(last.outcome, now(), held)
                left = False
                yield last
        except (asyncio.CancelledError, GeneratorExit):
            if left and (ledger.outcome is None or ledger.outcome.kind is not OutcomeKind.CANCELLED):
                ledger.outcome = _left()  # between two calls, or before the first
            raise
        finally:
            if heard is not None:
                heard.taken()
            held = 0.0 if heard is None else heard.held
            if left and ledger.outcome is not None:
                ledger.outcome = self._measured(self._tally.total(ledger.outcome), now(), held)
            if tell is not None:
                tell(StreamEnded(ledger.outcome or _broken(), now() - began, held))


class _Heard:
    """Tells of each step, and how long the caller held them.

    Args:
        tell: hears of them.
        now: the clock.
    """

    __slots__ = ("_handed", "_now", "_tell", "held")

    def __init__(self, tell: Tell, now: Callable[[], float]) -> None:
        self._tell = tell
        self._now = now
        self._handed: float | None = None  # when the caller got the step that he has
        self.held = 0.0
        """Seconds."""

    def hear(self, step: StreamingResponse[Any]) -> bool:
        self._handed = handed = self._now()
        # Without the named tuple's own constructor, which takes thrice as long.
        self._tell(tuple.__new__(Stepped, (step, handed)))
        return False

    def taken(self) -> None:
        if self._handed is not None:
            self.held += self._now() - self._handed
            self._handed = None


def _broken() -> Outcome[Any]:
    """What observers hear of a stream that a foreign exception ended: whoever counts open streams counts it closed."""
    error = StructStreamError("the stream was broken by an error that is none of this library's")
    return Outcome(OutcomeKind.PROVIDER_ERROR, error=error)


def _left() -> Outcome[Any]:
    error = StreamCancelledError("cancelled: the caller left before the end")
    error.outcome = Outcome(OutcomeKind.CANCELLED, error=error)
    return error.outcome


def _to_nobody(fact: Fact) -> None:
    pass


def _continued(
    request: StreamingStructuredRequest[Any], outcome: Outcome[Any]
) -> StreamingStructuredRequest[Any] | None:
    """Return the request for what is missing; None where nothing was won: to ask anew is a matter of the attempts."""
    refused = outcome.error if isinstance(outcome.error, InvalidOutputError) else None
    found = continued_request(request, outcome, refused=refused)
    return None if found is None or found.continuation is None or not found.continuation.prefix else found


def _length_at(snapshot: Any, path: str) -> int:  # Any: of any response model
    found = look(snapshot, parse_path(path))
    return len(found) if isinstance(found, str) else 0


def _path_of(request: StreamingStructuredRequest[Any]) -> str:
    return "" if request.continuation is None else request.continuation.path


async def _refused(error: ConfigurationError, number: int) -> Steps:
    yield ended(kind_of(error), error, attempt=number)
