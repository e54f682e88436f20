"""How many calls to a provider may be under way at once: found out from what it says, and shared fairly.

`Adaptive` finds the limit (additive increase, multiplicative decrease; time is an argument), `Places` keeps the queue.
`sharing` is the layer around them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing, suppress
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any

from structstream.errors import LimitReachedError, OverloadedError, RateLimitedError, StructStreamError
from structstream.facts import ConcurrencyChanged, Waited
from structstream.response import OutcomeKind, kind_of

from . import Rest, arrives, ended, flowing

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import ConcurrencyPolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome

    from . import Call, EndpointOf, Layer, Parts, Pause

__all__ = ["Adaptive", "Places", "Queues", "sharing"]


class Adaptive:
    """The limit of one provider.

    Args:
        policy: the settings.

    Attributes:
        limit: how many calls may be under way; None for any number.

    >>> from structstream.policies import ConcurrencyPolicy
    >>> adaptive = Adaptive(ConcurrencyPolicy())
    >>> adaptive.pushed_back(busy=40, now=0.0)
    >>> adaptive.limit
    20
    """

    def __init__(self, policy: ConcurrencyPolicy) -> None:
        self.limit = policy.start if policy.start is not None else policy.most
        self._policy = policy
        self._quiet_until = 0.0
        self._good = 0  # good ends since the limit changed, while it was reached

    def room(self, busy: int) -> bool:
        """Whether one more call may begin."""
        return self.limit is None or busy < self.limit

    def pushed_back(self, *, busy: int, now: float) -> None:
        """Heed a 429 or 529; `busy` counts the calls that were under way, the one that got it included."""
        if now < self._quiet_until:
            return
        self._quiet_until = now + self._policy.cooldown
        reached = busy if self.limit is None else min(self.limit, busy)
        self.limit, self._good = max(self._policy.least, reached // 2), 0

    def ended_well(self, *, busy: int) -> None:
        """Heed a good end; `busy` counts the calls that were under way, this one included."""
        if self.limit is None or busy < self.limit:
            return  # a limit that nobody reaches says nothing about what would be borne
        self._good += 1
        if self._good >= self.limit:
            most, self._good = self._policy.most, 0
            self.limit = self.limit + 1 if most is None else min(most, self.limit + 1)


class Places:
    """The calls to one provider that are under way, and those that wait, first come first served.

    The streams of several event loops may share it.

    Args:
        policy: the settings.
    """

    def __init__(self, policy: ConcurrencyPolicy) -> None:
        self.adaptive = Adaptive(policy)
        self._lock = Lock()
        self._busy = 0
        self._queue: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @property
    def busy(self) -> int:
        """The calls under way."""
        return self._busy

    @property
    def waiting(self) -> int:
        """The calls that wait for a place."""
        return len(self._queue)

    def enter(self) -> asyncio.Future[None] | None:
        """Take a place; or return what comes once it is ours."""
        with self._lock:
            if self.adaptive.room(self._busy):  # then nobody waits: whoever left has called the next
                self._busy += 1
                return None
            loop = asyncio.get_running_loop()
            turn: asyncio.Future[None] = loop.create_future()
            self._queue.append((loop, turn))
            return turn

    def leave(self, outcome: Outcome[Any] | None, now: float) -> int | None:  # Any: of any response model
        """Give a place back; return the limit, where `outcome` has changed it."""
        with self._lock:
            before = self.adaptive.limit
            if outcome is not None and isinstance(outcome.error, RateLimitedError | OverloadedError):
                self.adaptive.pushed_back(busy=self._busy, now=now)
            elif outcome is not None and outcome.kind in (OutcomeKind.COMPLETE, OutcomeKind.TRUNCATED):
                self.adaptive.ended_well(busy=self._busy)
            self._busy -= 1
            self._call_next()
            after = self.adaptive.limit
            return after if after != before else None

    def give_up(self, turn: asyncio.Future[None], now: float) -> None:
        """Leave the queue, or the place that came at the last moment."""
        with self._lock:
            for item in self._queue:
                if item[1] is turn:
                    self._queue.remove(item)
                    return
        self.leave(None, now)

    def _call_next(self) -> None:
        while self._queue and self.adaptive.room(self._busy):
            loop, turn = self._queue.popleft()
            with suppress(RuntimeError):  # its event loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_come, turn)
                self._busy += 1


def _come(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Queues:
    """The places of a service: those of each provider, and of each way to set them."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, ConcurrencyPolicy], Places] = {}

    def of(self, provider: str, policy: ConcurrencyPolicy) -> Places:
        """Return the places of a provider."""
        found = self._places.get((provider, policy))
        return self._places.setdefault((provider, policy), Places(policy)) if found is None else found


def sharing(
    *,
    policy: ConcurrencyPolicy,
    queues: Queues,
    endpoint_of: EndpointOf,
    tell: Tell,
    pause: Pause,
    now: Callable[[], float],
    remaining: Callable[[], float] = lambda: inf,
) -> Layer:
    """Return the layer that gives each call one of its provider's places.

    Args:
        policy: the settings.
        queues: those of the service.
        endpoint_of: who is asked.
        tell: hears who waits, and of each change of the limit.
        pause: waits.
        now: the clock.
        remaining: the seconds until the total deadline of the stream.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            provider = endpoint_of(request).provider
            places = queues.of(provider, policy)
            turn = places.enter()
            if turn is not None and (refusal := await _queued(places, turn, provider)) is not None:
                yield ended(kind_of(refusal), refusal)
                return
            held = True
            try:
                async with aclosing(call(request)) as steps:
                    last = yield Rest(steps)
                    held = False  # before the caller looks at it, for as long as he likes
                    if (limit := places.leave(last.outcome, now())) is not None:
                        tell(ConcurrencyChanged(provider, limit))
                    yield last
            finally:
                if held:
                    places.leave(None, now())

        return run

    async def _queued(places: Places, turn: asyncio.Future[None], provider: str) -> StructStreamError | None:
        began, came = now(), False
        try:
            while not came and (left := began + policy.max_wait - now()) > 0:
                # A wait that might pass the deadline is refused before it begins: so it is half of what is left.
                came = await arrives(turn, pause, min(left, remaining() / 2))
        except StructStreamError as late:
            return late
        finally:
            if not came:
                places.give_up(turn, now())
        tell(Waited("concurrency", provider, now() - began, refused=not came))
        if came:
            return None
        return LimitReachedError("concurrency", provider=provider, max_wait=policy.max_wait, retry_after=None)

    return layer
