"""The order of the policies, and what the streams of a service share of them.

`assembled` is the one expression that says which policy stands around which; `Shared` holds the state that outlives a
stream. What the policies do stands in `structstream.resilience`, one file each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from .resilience import asks, stack
from .resilience.attempts import attempting
from .resilience.bounds import Spent, bounding
from .resilience.breaker import Breakers, breaking, refusing
from .resilience.cache import AnswerCache, caching, replayed
from .resilience.concurrency import Queues, sharing
from .resilience.fallback import falling_back
from .resilience.hedge import hedging
from .resilience.holding import no_text, past
from .resilience.limits import Meters, limiting
from .resilience.pause import Gates, pausing
from .resilience.retry import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .facts import Tell
    from .policies import CachePolicy, Policies
    from .request import StreamingStructuredRequest
    from .resilience import Call, Continuing, Endpoint, EndpointOf, Layer, Pause
    from .resilience.bounds import CostOf
    from .resilience.cache import Replay
    from .resilience.fallback import Cached
    from .resilience.tally import Tally
    from .response import Outcome, StreamingResponse

__all__ = ["Shared", "Surroundings", "assembled"]


class Shared:
    """What the streams of a service share: breakers, limits, queues, gates, the budget of retries, the caches.

    Args:
        today: gives the seconds since 1970.
    """

    def __init__(self, *, today: Callable[[], float]) -> None:
        self.today = today
        self.breakers = Breakers()
        self.line = Meters()
        self.sent = Meters()
        self.queues = Queues()
        self.gates = Gates()
        self.budget = RetryBudget()
        self._lock = Lock()
        self._caches: dict[CachePolicy, AnswerCache] = {}

    def cache(self, policy: CachePolicy) -> AnswerCache:
        """Return the cache for these settings; it is opened when it is first asked for.

        Raises:
            ConfigurationError: as `AnswerCache`.
        """
        with self._lock:
            if policy not in self._caches:
                self._caches[policy] = AnswerCache(policy, today=self.today)
            return self._caches[policy]

    def close(self) -> None:
        """Close what is open; what is asked for later is opened anew."""
        with self._lock:
            caches, self._caches = self._caches, {}
        for cache in caches.values():
            cache.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the policies of one stream need beside their settings.

    Args:
        tally: the books of the stream.
        endpoint_of: who is asked for a request.
        continuing: gives the request for what an outcome lacks.
        tell: hears what happened.
        pause: waits.
        now: the clock.
        lost: gives what the call that was closed last left behind.
        replay: reads a kept text as a stream.
        key_of: what an answer to a request is kept under.
        path_of: the place from which a request given by `continuing` goes on.
        takes_key: whether an idempotency key is sent though the caller gave none.
        length_at: tells the characters of the text at a path of a snapshot; 0 where none is there.
        remaining: the seconds until the total deadline of the stream.
        cost_of: the prices; needed for `OutputBounds.max_cost` alone.
    """

    tally: Tally
    endpoint_of: EndpointOf
    continuing: Continuing
    tell: Tell
    pause: Pause
    now: Callable[[], float]
    lost: Callable[[], Outcome[Any] | None]  # Any: of any response model
    replay: Replay
    key_of: Callable[[StreamingStructuredRequest[Any]], str]
    path_of: Callable[[StreamingStructuredRequest[Any]], str] = field(default=lambda request: "")
    takes_key: Callable[[StreamingStructuredRequest[Any]], bool] = field(default=lambda request: False)
    length_at: Callable[[Any, str], int] = field(default=no_text)
    remaining: Callable[[], float] = field(default=lambda: float("inf"))
    cost_of: CostOf | None = None


def assembled(
    call: Call, request: StreamingStructuredRequest[Any], policies: Policies, shared: Shared, around: Surroundings
) -> Call:
    """Return `call` within all policies that are switched on, the first of them outermost.

    A hit of the cache passes nothing else. Each model has its own attempts, each attempt passes breaker, pause, limits
    and queue anew, and waits for none of them while the circuit is open. The bounds see each call, shown or not. An
    attempt that sends nothing passes none of them.

    Args:
        call: makes one call.
        request: the caller's.
        policies: the settings that hold for this stream.
        shared: the state of the service.
        around: what belongs to this stream.

    Raises:
        ConfigurationError: the cache's file cannot be used.
    """
    made = _Made(request, policies, shared, replace(around, endpoint_of=_remembered(around.endpoint_of)))
    sent = stack(
        call,
        made.hedge(),
        made.bounds(),
        made.circuit(),
        made.pause(),
        made.limits(),
        made.concurrency(),
        made.limits(sends=True),
        made.breaker(),
    )
    return stack(
        lambda asked: sent(asked) if asks(asked) else call(asked),
        made.cache(),
        made.fallback(),
        made.attempts(),
    )


class _Made:
    """The layers of one stream; None for those that are switched off."""

    def __init__(
        self, request: StreamingStructuredRequest[Any], policies: Policies, shared: Shared, around: Surroundings
    ) -> None:
        self._policies = policies
        self._shared = shared
        self._around = around
        self._midstream = request.midstream or policies.midstream

    def cache(self) -> Layer | None:
        policy, around = self._policies.cache, self._around
        if policy is None:
            return None
        cache = self._shared.cache(policy)
        return caching(cache=cache, replay=around.replay, tell=around.tell, key_of=around.key_of)

    def fallback(self) -> Layer | None:
        policy, around = self._policies.fallback, self._around
        if policy is None:
            return None
        cache = self._policies.cache
        kept = None if cache is None else _kept(self._shared.cache(cache), around, hold=self._midstream == "hold")
        return falling_back(
            policy=policy,
            midstream=self._midstream,
            tally=around.tally,
            continuing=around.continuing,
            tell=around.tell,
            path_of=around.path_of,
            cached=kept,
        )

    def attempts(self) -> Layer:
        """Also where retries are off: they complete the outcome."""
        around = self._around
        return attempting(
            policy=self._policies.retry,
            midstream=self._midstream,
            tally=around.tally,
            budget=self._shared.budget,
            continuing=around.continuing,
            endpoint_of=around.endpoint_of,
            tell=around.tell,
            pause=around.pause,
            now=around.now,
            path_of=around.path_of,
            takes_key=around.takes_key,
            length_at=around.length_at,
        )

    def hedge(self) -> Layer | None:
        policy, around = self._policies.hedge, self._around
        if policy is None:
            return None
        return hedging(policy=policy, tally=around.tally, tell=around.tell, pause=around.pause, lost=around.lost)

    def bounds(self) -> Layer | None:
        bounds, around = self._policies.bounds, self._around
        if bounds is None:
            return None
        return bounding(bounds=bounds, spent=Spent(bounds), now=around.now, lost=around.lost, cost_of=around.cost_of)

    def circuit(self) -> Layer | None:
        """Before all that waits; the permit itself is taken behind it."""
        policy, around = self._policies.breaker, self._around
        if policy is None:
            return None
        return refusing(policy=policy, breakers=self._shared.breakers, endpoint_of=around.endpoint_of, now=around.now)

    def breaker(self) -> Layer | None:
        policy, around = self._policies.breaker, self._around
        if policy is None:
            return None
        return breaking(
            policy=policy,
            breakers=self._shared.breakers,
            endpoint_of=around.endpoint_of,
            tell=around.tell,
            now=around.now,
        )

    def pause(self) -> Layer | None:
        policy, around = self._policies.pause, self._around
        if policy is None:
            return None
        return pausing(
            policy=policy,
            gates=self._shared.gates,
            endpoint_of=around.endpoint_of,
            tell=around.tell,
            pause=around.pause,
            now=around.now,
            today=self._shared.today,
            remaining=around.remaining,
        )

    def limits(self, *, sends: bool = False) -> Layer | None:
        policy, around = self._policies.limits, self._around
        if policy is None or policy.requests_per_minute is policy.tokens_per_minute is None:
            return None
        return limiting(
            policy=policy,
            meters=self._shared.sent if sends else self._shared.line,
            endpoint_of=around.endpoint_of,
            tell=around.tell,
            pause=around.pause,
            now=around.now,
            sends=sends,
            remaining=around.remaining,
        )

    def concurrency(self) -> Layer | None:
        policy, around = self._policies.concurrency, self._around
        if policy is None:
            return None
        return sharing(
            policy=policy,
            queues=self._shared.queues,
            endpoint_of=around.endpoint_of,
            tell=around.tell,
            pause=around.pause,
            now=around.now,
            remaining=around.remaining,
        )


def _remembered(endpoint_of: EndpointOf) -> EndpointOf:
    """Ask once for each model, not once for each layer."""
    found: dict[str, Endpoint] = {}

    def endpoint(request: StreamingStructuredRequest[Any]) -> Endpoint:
        known = found.get(request.model)
        if known is None:
            known = found[request.model] = endpoint_of(request)
        return known

    return endpoint


def _kept(cache: AnswerCache, around: Surroundings, *, hold: bool) -> Cached:
    async def kept(request: StreamingStructuredRequest[Any]) -> Sequence[StreamingResponse[Any]] | None:
        found = await cache.get(around.key_of(request), stale=True)
        steps = None if found is None else await replayed(request, found, around.replay)
        mark = around.tally.mark if hold else None
        return steps if steps is None or mark is None else past(mark, steps, around.length_at)

    return kept
