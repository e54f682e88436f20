"""The service: requests go in, typed streams come out.

The path of a request: `route` names the provider, `Exchange` encodes, sends and decodes, `StructuredStream` is what the
caller holds. Everything that can be known to be wrong is said before a byte is sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypeVar

from .adopted import adopted, is_instructor
from .cadence import spaced
from .clock import checked_clock, epoch
from .errors import ConfigurationError
from .gate import Rail
from .history import AnswerHistory
from .httpclient import check_http2
from .instrumentation.metrics import Meter
from .jsonsink import JSONLimits
from .layers import Shared
from .many import stream_many
from .partial import Estimate
from .policies import Policies
from .pool import TransportPool
from .providers import DIALECTS, ROUTES, ProviderSpec, Route, route
from .request import StreamingStructuredRequest
from .resilience import Inner
from .run import Run
from .stream import StructuredStream
from .sync import BackgroundLoop, SyncStructuredLLMService
from .tracker import reported
from .transport import SDKTransport, Transport, transport_of
from .verdicts import Guardrail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable
    from types import TracebackType

    from instructor import Instructor
    from openai import AsyncOpenAI

    from .clock import Clock
    from .exchange import Connect
    from .facts import Observer
    from .many import Order
    from .metrics import CacheStatistics, Prices, QualityScore
    from .request import Mode
    from .response import StreamingResponse

__all__ = ["StructuredLLMService"]

T = TypeVar("T")


class StructuredLLMService:
    """Streams structured answers of language models as typed objects.

    Args:
        client: the caller's own `AsyncOpenAI` or `AsyncAzureOpenAI`, used for every request with its key, base URL and
            HTTP client, and not closed here; or a client of instructor around one, or around one of Anthropic, whose
            mode then holds for requests that leave it open, and whose hooks hear what happens; or a `Transport`. None
            builds a client for each provider when it is first asked, with key and base URL from the environment.
        providers: rows that are added to `structstream.providers.ROUTES`, or replace those of the same name; None for
            none.
        api_keys: keys by the provider's name, before those of the environment; None for none.
        guardrails: what judges every prompt and every answer, before those of the request.
        limits: the bounds of an answer's JSON; None for the defaults.
        max_event_bytes: the bound of one line and of one event of a stream, in bytes; None for 16 MiB.
        wrap_transport: puts a transport of the caller's around each that is used, such as one that records; None for
            none.
        policies: what is done when things go wrong; None for the defaults. A request may bring its own.
        observers: hear every fact of every stream; see `structstream.facts`.
        metrics: whether each outcome has the figures of its stream in `Outcome.metrics`.
        prices: what tokens cost, such as `structstream.instrumentation.cost.cost_of`; None for no prices.
            `OutputBounds.max_cost` needs them.
        quality: the caller's own scores of a finished stream, by name; each is called with the outcome, must be quick,
            and stands in `Outcome.metrics`, which they switch on. None for none.
        clock: what measures time; None for the machine's.
        http2: speak HTTP/2 over the connections that are built here, with servers that do; several streams then share
            one connection, and each costs more to read. False and None: HTTP/1.1. A client that is given brings its
            own HTTP.
        history: what earlier answers were like, for `progress_percent`; None for one of its own, in memory.

    Raises:
        MissingDependencyError: `http2`, and h2 is not installed.
        ConfigurationError: an argument cannot work, such as a blocking `OpenAI` client.

    Example::

        service = StructuredLLMService()
        request = StreamingStructuredRequest(response_model=Profile, model="openai/gpt-4o", prompt="An engineer")
        async for response in service.route_structured_streaming(request):
            print(response.progress_percent, response.partial_result)
    """

    def __init__(
        self,
        client: AsyncOpenAI | Instructor | Transport | None = None,
        *,
        providers: Mapping[str, ProviderSpec] | None = None,
        api_keys: Mapping[str, str] | None = None,
        guardrails: Sequence[Guardrail] = (),
        limits: JSONLimits | None = None,
        max_event_bytes: int | None = None,
        policies: Policies | None = None,
        observers: Sequence[Observer] = (),
        metrics: bool = False,
        prices: Prices | None = None,
        quality: Mapping[str, QualityScore] | None = None,
        wrap_transport: Callable[[Transport], Transport] | None = None,
        clock: Clock | None = None,
        http2: bool | None = None,
        history: AnswerHistory | None = None,
    ) -> None:
        _check_providers(providers)
        _check_keys(api_keys)
        _check_bounds(limits, max_event_bytes)
        _check_policies(policies, observers)
        _check_figures(metrics, prices, quality)
        if not callable(wrap_transport or _as_it_is):
            raise ConfigurationError(f"wrap_transport must be callable or None, not {type(wrap_transport).__name__}")
        self._http2 = check_http2(http2)
        self._guardrails = _checked_guardrails(guardrails)
        self._limits = limits
        self._max_event_bytes = max_event_bytes
        self._clock = checked_clock(clock)
        if not isinstance(history, AnswerHistory | None):
            raise ConfigurationError(f"history must be an AnswerHistory(...) or None, not {type(history).__name__}")
        taken = adopted(client) if is_instructor(client) else None
        self._mode: Mode = "auto" if taken is None else taken.mode
        self._providers = {**ROUTES, **({} if taken is None else taken.providers), **(providers or {})}
        self._api_keys = {**({} if taken is None else taken.api_keys), **(api_keys or {})}
        own = client if taken is None else taken.client
        self._given = None if own is None else transport_of(own, self._clock)
        self._twin = None if taken is None else taken.twin
        self._wrap = wrap_transport or _as_it_is
        self._policies = policies or Policies()
        self._observers = (*observers, *(() if taken is None else (taken.observer,)))
        self._measuring = (lambda: Meter(prices, quality)) if metrics or quality else _unmeasured
        self._prices = prices
        self._shared = Shared(today=epoch)
        self._history = AnswerHistory() if history is None else history
        self._pool = TransportPool()
        self._background = BackgroundLoop()

    def route_structured_streaming(self, request: StreamingStructuredRequest[T]) -> StructuredStream[T]:
        """Return the stream of the answer to `request`; nothing is sent before its first step is asked for.

        Raises:
            ConfigurationError: the request cannot work: no such provider, a mode that it does not have, a response
                model that is no type, a guardrail's path that is no pattern, a missing key; the sentence says what to
                do.
        """
        if not isinstance(request, StreamingStructuredRequest):
            raise ConfigurationError(f"request must be a StreamingStructuredRequest, not {type(request).__name__}")
        if request.mode == "auto" != self._mode:
            request = replace(request, mode=self._mode)
        for model in request.fallback_models:
            self._plan(model)[0].encode(request)  # what cannot be asked is said before anything is sent
        guardrails = (*self._guardrails, *request.guardrails)
        for guardrail in guardrails:
            Rail(guardrail)  # one whose paths are no patterns would look at nothing
        run = Run(
            request,
            self._plan,
            self._clock,
            limits=self._limits,
            max_event_bytes=self._max_event_bytes,
            guardrails=guardrails,
            address_of=self._address,
        )
        typical = self._history.of(request.model, request.response_model)
        run.ledger.estimate = Estimate(expected_tokens=request.expected_tokens, typical=typical)
        policies = request.policies or self._policies
        responses = run.steps(policies, self._shared, self._observers, meter=self._measuring(), prices=self._prices)
        if request.streaming_interval is not None:
            responses = spaced(Inner(responses), request.streaming_interval, self._clock, run.ledger.tell)
        if request.progress_callback is not None:
            responses = reported(
                Inner(responses),
                request.progress_callback,
                self._clock,
                only=request.progress_filter,
                tell=run.ledger.tell,
            )
        return StructuredStream(responses, run.ledger, clock=self._clock)

    async def route_structured(self, request: StreamingStructuredRequest[T]) -> T:
        """Return the validated object that answers `request`.

        Raises:
            ConfigurationError: as `route_structured_streaming`.
            StreamFailedError: the stream ended in another outcome than ``complete``; the class tells which, and
                `outcome` holds what could be saved.
        """
        async with self.route_structured_streaming(request) as stream:
            return await stream.result()

    def stream_many(
        self,
        requests: Iterable[StreamingStructuredRequest[T]] | AsyncIterable[StreamingStructuredRequest[T]],
        *,
        concurrency: int = 8,
        order: Order = "arrival",
    ) -> AsyncGenerator[tuple[int, StreamingResponse[T]], None]:
        """Yield the steps of the answers to many requests, each with the number of its request, counted from 0.

        A stream reads on when its step was taken: a slow consumer holds the providers back by their sockets. One that
        fails ends with its own outcome and takes no other with it. Closing the generator closes every stream; use
        ``contextlib.aclosing``, as ``async for … break`` closes it only when nothing refers to it any more.

        Args:
            requests: of any number, also without an end; the next is looked for when a stream may begin.
            concurrency: how many streams are under way at once.
            order: ``arrival`` yields steps as they come; ``request`` all of a request before the next one's, which
                reads meanwhile: what it shows then is its newest, in one step.

        Raises:
            ConfigurationError: an argument cannot work; the sentence says which and what to do.

        Example::

            async with aclosing(service.stream_many(requests, concurrency=20)) as steps:
                async for number, response in steps:
                    if response.is_complete:
                        save(number, response.outcome)
        """
        return stream_many(self.route_structured_streaming, requests, concurrency=concurrency, order=order)

    async def cache_statistics(self) -> CacheStatistics | None:
        """Return what the cache of the service's policies holds, and what it was good for; None where they have none.

        Raises:
            ConfigurationError: the cache's file cannot be used.
        """
        policy = self._policies.cache
        return None if policy is None else await self._shared.cache(policy).statistics()

    @property
    def sync(self) -> SyncStructuredLLMService:
        """The same service for callers without an event loop."""
        return SyncStructuredLLMService(self, self._background, self._put_away)

    async def aclose(self) -> None:
        """Close what was opened here: connections, on all event loops, and files; a later call opens new ones."""
        try:
            await asyncio.to_thread(self._background.close)
            await self._pool.aclose()
        finally:
            await asyncio.to_thread(self._put_away)

    def _put_away(self) -> None:
        """Close the cache's file and write down what was learned, which waits for the disk."""
        self._shared.close()
        self._history.save()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"StructuredLLMService(client={self._given!r})"

    def _plan(self, model: str) -> tuple[Route, Connect]:
        given = self._given
        if isinstance(given, SDKTransport):
            found = self._route_of(given, model)
            return found, self._twins(found) or _always(self._wrap(given.named(found.spec.name)))
        found = route(model, self._providers)
        if given is not None:
            return found, _always(self._wrap(given))
        spec = found.spec
        base_url, api_key = self._base_url(spec), self._api_key(spec)

        def build() -> Transport:
            transport = SDKTransport.build(
                provider=spec.name,
                base_url=base_url,
                api_key=api_key,
                key_header=None if spec.auth == "bearer" else spec.auth,
                clock=self._clock,
                http2=self._http2,
            )
            return self._wrap(transport)

        return found, self._pooled((spec.name, base_url, api_key), build)

    def _twins(self, found: Route) -> Connect | None:
        """The way through a client that was made after a blocking one, one for each event loop; None without one."""
        twin = self._twin
        if twin is None:
            return None
        name = found.spec.name

        def build() -> Transport:
            return self._wrap(SDKTransport(twin(), provider=name, owned=True, clock=self._clock))

        return self._pooled(name, build)

    def _pooled(self, name: Hashable, build: Callable[[], Transport]) -> Connect:
        async def connect() -> Transport:
            return await self._pool.get(name, build)

        return connect

    def _route_of(self, given: SDKTransport, model: str) -> Route:
        """A caller's client speaks to one provider: that at its base URL, or else that which the model's name says.

        It sends its key as OpenAI does, so it reaches no provider that wants it in another header.
        """
        bearers = {name: row for name, row in self._providers.items() if row.auth == "bearer"}
        served = {name: row for name, row in bearers.items() if row.base_url and given.serves(row.base_url)}
        if given.is_azure and not served:
            served = {name: row for name, row in bearers.items() if name.partition("-")[0] == "azure"}
        prefix, slash, _ = model.partition("/")
        if slash and prefix in bearers and not served:
            return route(model, bearers)
        if not served:
            return route(f"openai/{model}", self._providers)
        spec = served[prefix] if slash and prefix in served else list(served.values())[-1]
        # The name of a deployment has no slash; the names of other providers' models may.
        name = model.rpartition("/")[2] if given.is_azure else model.removeprefix(f"{spec.name}/")
        return Route(DIALECTS[spec.dialect](spec), name)

    def _address(self, model: str) -> str:
        """Return where a model is asked; empty where only the caller's transport knows."""
        given = self._given
        if given is None:
            return self._base_url(route(model, self._providers).spec)
        return given.address if isinstance(given, SDKTransport) else ""

    def _base_url(self, spec: ProviderSpec) -> str:
        names = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
        base_url = next((found for name in names if name and (found := os.environ.get(name))), spec.base_url)
        if not base_url:
            raise ConfigurationError(
                f"no base URL for provider {spec.name!r}: set {' or '.join(names) or 'base_url in its ProviderSpec'}, "
                "or give the service a client"
            )
        return base_url

    def _api_key(self, spec: ProviderSpec) -> str:
        named = [(f"api_keys[{spec.name!r}]", self._api_keys.get(spec.name, ""))]
        named += [(name, os.environ.get(name, "")) for name in spec.key_env]
        for source, key in named:
            if key.strip():
                return _checked(source, key.strip())
        if spec.needs_key:
            raise ConfigurationError(
                f"no key for provider {spec.name!r}: set {' or '.join(spec.key_env)} in the environment, "
                f"pass api_keys={{{spec.name!r}: ...}}, or give the service a client"
            )
        return "none"  # the SDK wants one; the provider does not


def _as_it_is(transport: Transport) -> Transport:
    return transport


def _unmeasured() -> None:
    return None


def _always(transport: Transport) -> Connect:
    async def connect() -> Transport:
        return transport

    return connect


def _checked(source: str, key: str) -> str:
    # HTTP would refuse it later, and quote it.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"the key in {source} has a character that no HTTP header can carry: copy it again")
    return key


def _check_providers(providers: object) -> None:
    if providers is None:
        return
    if not isinstance(providers, Mapping):
        raise ConfigurationError(
            f"providers must be a mapping of names to ProviderSpec, not {type(providers).__name__}"
        )
    for name, spec in providers.items():
        if not isinstance(spec, ProviderSpec):
            raise ConfigurationError(f"providers[{name!r}] must be a ProviderSpec, not {type(spec).__name__}")
        if spec.dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            raise ConfigurationError(f"providers[{name!r}] speaks {spec.dialect!r}, which is none of {known}")


def _check_keys(keys: object) -> None:
    """Say what is wrong with the keys, and show none."""
    if keys is None:
        return
    if not isinstance(keys, Mapping):
        raise ConfigurationError(f"api_keys must be a mapping of providers' names to keys, not {type(keys).__name__}")
    for name, key in keys.items():
        if not isinstance(key, str) or not key.strip():
            raise ConfigurationError(f"api_keys[{name!r}] must be text and not empty; this is {type(key).__name__}")


def _checked_guardrails(guardrails: object) -> tuple[Guardrail, ...]:
    if isinstance(guardrails, str | bytes) or not isinstance(guardrails, Sequence):
        raise ConfigurationError(f"guardrails must be a list of Guardrail objects, not {type(guardrails).__name__}")
    for guardrail in guardrails:
        if not isinstance(guardrail, Guardrail):
            raise ConfigurationError(
                f"guardrails must be Guardrail objects, not {type(guardrail).__name__}; "
                "wrap a function in CallableGuardrail"
            )
    return tuple(guardrails)


def _check_bounds(limits: object, max_event_bytes: object) -> None:
    if limits is not None and not isinstance(limits, JSONLimits):
        raise ConfigurationError(f"limits must be a JSONLimits(...) or None, not {type(limits).__name__}")
    if max_event_bytes is not None and not (type(max_event_bytes) is int and max_event_bytes > 0):
        raise ConfigurationError(f"max_event_bytes must be a positive integer or None, not {max_event_bytes!r}")


def _check_policies(policies: object, observers: object) -> None:
    if policies is not None and not isinstance(policies, Policies):
        raise ConfigurationError(f"policies must be a Policies(...) or None, not {type(policies).__name__}")
    if not isinstance(observers, Sequence) or not all(callable(observer) for observer in observers):
        raise ConfigurationError("observers must be a list of callables that take a StreamInfo and a fact")


def _check_figures(metrics: object, prices: object, quality: object) -> None:
    if not isinstance(metrics, bool):
        raise ConfigurationError(f"metrics must be True or False, not {type(metrics).__name__}")
    if not (prices is None or callable(prices)):
        raise ConfigurationError("prices must be a callable of provider, model and Usage, or None")
    if quality is not None and not (isinstance(quality, Mapping) and all(map(callable, quality.values()))):
        raise ConfigurationError("quality must be a mapping of names to callables that take an Outcome, or None")
