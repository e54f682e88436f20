"""One attempt: a request goes out, its answer is decoded as it arrives, and it ends in exactly one outcome.

The only place where decoder, transport and clock meet. Nothing is queued and no task is made: the caller's own task
reads the socket, so a caller that is slow slows the provider.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from .cadence import Patience
from .clock import DeadlinePassed, Interrupted, Watchdog
from .decoder import StreamDecoder
from .errors import (
    BlockedError,
    ConnectionFailedError,
    IncompleteError,
    ProviderError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    UnexpectedResponseError,
)
from .facts import AttemptBegan, AttemptEnded, FirstToken
from .head import Head
from .judging import Judging
from .providers import schema_of, wrap_key
from .resilience import Flow, Pull
from .response import Attempt, OutcomeKind, Timings
from .transport import Readable
from .unstreamed import MAX_ERROR_BODY, REQUEST_IDS, SAYING_WHY, collect, moved, refusal, unasked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .clock import Clock
    from .facts import Tell
    from .jsonsink import JSONLimits
    from .ledger import Ledger
    from .providers import Route
    from .request import StreamingStructuredRequest
    from .resilience import Parts, Steps
    from .response import StreamingResponse
    from .transport import HTTPAnswer, Transport
    from .verdicts import Guardrail

__all__ = ["Connect", "Exchange"]

T = TypeVar("T")

Connect = Callable[[], Awaitable["Transport"]]
"""Gives the transport of a call, on the event loop that the call runs on."""

_logger = logging.getLogger("structstream")

_MAX_WHOLE_BODY = 64 << 20  # bytes of an answer that was not asked to stream
_MAX_UNASKED_BODY = 16 << 20  # bytes of one that was
_CLOSING = 1.0  # seconds that closing a connection may take
_DRAINING = 0.05  # seconds that the end of a body may take after the dialect's own mark of the end
_DRAINED_READS = 4

_HEADERS = re.compile(r"(?:x-ratelimit-|anthropic-ratelimit-|ratelimit|retry-after|x-should-retry)|.*request-id$")

# After these the provider has said all it had to say: the connection can serve the next call.
_SAID_ALL = frozenset({OutcomeKind.COMPLETE, OutcomeKind.TRUNCATED, OutcomeKind.REFUSED, OutcomeKind.FILTERED})


class Exchange(Generic[T]):
    """One attempt at a request.

    Args:
        request: what is asked for.
        route: who answers.
        connect: gives the transport.
        clock: measures and bounds.
        ledger: where the attempt writes itself down.
        limits: the bounds of the JSON; None for the defaults.
        max_event_bytes: the bound of one line and of one event of the stream; None for the default.
        guardrails: what judges prompt and answer, those of the request among them.
        tell: hears of the attempt; None where nobody listens.

    Raises:
        ConfigurationError: provider, mode and response model do not go together, or a guardrail is none; nothing
            was sent.
    """

    def __init__(
        self,
        request: StreamingStructuredRequest[T],
        *,
        route: Route,
        connect: Connect,
        clock: Clock,
        ledger: Ledger[T],
        limits: JSONLimits | None = None,
        max_event_bytes: int | None = None,
        guardrails: Sequence[Guardrail] = (),
        tell: Tell | None = None,
    ) -> None:
        self._request = request
        self._tell = tell
        self._route = route
        self._connect = connect
        self._clock = clock
        self._ledger = ledger
        self._mode = route.mode(request)
        # What is judged is read from its beginning, so nothing is taken up in the middle of a text.
        stream = None if guardrails else route.take_up(request)
        self._call = stream or route.encode(request)
        if guardrails:
            self._call = replace(self._call, guardrails=tuple(guardrails))
        self._streams = request.enable_streaming and self._mode not in route.spec.whole_modes
        self._number = ledger.number()
        self._decoder: StreamDecoder[T] = self._make_decoder(
            takes_up=stream is not None, limits=limits, max_event_bytes=max_event_bytes, guardrails=guardrails
        )
        self._sent = False
        self._now = clock.now
        self._watchdog = Watchdog(clock)
        self._judging = Judging(guardrails, tell, clock, self._watchdog) if guardrails else None
        self._answer: HTTPAnswer | None = None
        self._headers: Mapping[str, str] = {}
        self._between = inf if request.timeouts.between_tokens is None else request.timeouts.between_tokens
        self._began = self._asked = 0.0  # when the call began; when the read that is under way was asked for
        self._first_at = self._total_at = inf
        self._first_byte: float | None = None
        self._first_partial: float | None = None
        self._said_all = False
        self._body: AsyncIterator[bytes] = _nothing()
        self._read: Callable[[], Awaitable[bytes]] = self._body.__anext__
        self._over = False  # the body has come to its end
        self._steps: Sequence[StreamingResponse[T]] = ()  # what was read last, not handed over yet
        # Where only brackets are missing of an answer that broke off, nothing is sent.
        self._asks = request.continuation is None or request.continuation.asks

    def _make_decoder(
        self,
        *,
        takes_up: bool,
        limits: JSONLimits | None,
        max_event_bytes: int | None,
        guardrails: Sequence[Guardrail],
    ) -> StreamDecoder[T]:
        """What reads the answer; `takes_up`: the stream goes on in the middle of a text."""
        request, route = self._request, self._route
        going_on = request.continuation
        if going_on is not None and not takes_up:
            going_on = replace(going_on, take_up=None)
        return StreamDecoder(
            request.response_model,
            route.provider.decoder_of_rest() if takes_up else route.provider.decoder(),
            tool=self._mode == "tool",
            tool_name=schema_of(request).name,
            lenient=self._mode == "prompted" or route.spec.lenient,
            wrap_key=wrap_key(request.response_model),
            cadence=request.cadence,
            chunk_size=request.streaming_chunk_size,
            limits=limits,
            max_event_bytes=max_event_bytes,
            context=request.context,
            fail_fast=request.fail_fast,
            attempt=self._number,
            continuation=going_on,
            estimate=self._ledger.estimate,
            guardrails=guardrails,
            tell=self._tell,
        )

    def run(self) -> Steps:
        """Yield each step; the last one carries the outcome. Leaving at any point closes the connection."""
        return Flow(self._run())

    async def _run(self) -> Parts:
        self._begin()
        decoder, watchdog, request = self._decoder, self._watchdog, self._request
        patience, judged = Patience(self._clock, self._tell), self._judging is not None
        error: StructStreamError | None = None
        try:
            try:
                if self._judging is not None:
                    await self._judging.prompt(request)
                body = await self._open()
                if request.enable_streaming:
                    await self._begin_reading(body)
                    with watchdog:
                        while True:
                            steps, self._steps = self._steps, ()
                            if steps and self._first_partial is None:
                                self._first_partial = self._now() - self._began
                            for step in patience.steps(steps):
                                yield step
                                if self._ledger.left:
                                    raise Interrupted
                            while judged and decoder.asks is not None:
                                for step in await self._judge():
                                    yield step
                            if self._over or decoder.done:
                                break
                            if self._first_partial is None:
                                await self._read_on()
                            else:
                                yield Pull(self._next)
                elif self._asks:
                    decoder.feed_events(self._route.provider.whole(await self._whole(body)))
            except DeadlinePassed:
                error = self._late()
            except Interrupted:
                error = _cancelled()
            except ConnectionFailedError as failure:
                error = failure if self._answer is None else _incomplete(failure)
            except StructStreamError as failure:
                error = failure
            except (asyncio.CancelledError, GeneratorExit):
                self._seal(decoder.finish(_cancelled()))
                raise
            last = self._seal(decoder.finish(await self._judge_rest(error)))
            if not self._said_all:
                await self._close()  # before the caller looks at the failure, for as long as he likes
            yield last
        finally:
            await self._close()

    def _begin(self) -> None:
        self._began = self._asked = self._now()
        self._ledger.outcome = None
        self._ledger.watch(self._watchdog)
        _logger.debug("%s: attempt %d starts, mode %s", self._name, self._number, self._mode)
        if self._tell is not None:
            route = self._route
            self._tell(AttemptBegan(self._number, route.spec.name, route.model, self._mode, self._began))

    async def _judge(self) -> list[StreamingResponse[T]]:
        """Await the verdict that the answer waits for, and return the steps that it sets free."""
        decoder = self._decoder
        ask = decoder.asks
        if ask is None or self._judging is None:
            return []
        try:
            return decoder.settle(await self._judging.verdict(ask, self._total_at))
        except BlockedError as error:
            return decoder.block(error)

    async def _judge_rest(self, error: StructStreamError | None) -> StructStreamError | None:
        """Have judged what is left at the end; return what the answer ends with."""
        if self._judging is None:
            return error
        decoder = self._decoder
        decoder.drain(error)
        try:
            while decoder.asks is not None:
                await self._judge()
        except DeadlinePassed:
            return error or self._late()
        except Interrupted:
            return error or _cancelled()
        except asyncio.CancelledError:
            self._seal(decoder.finish(_cancelled()))
            raise
        return error

    def _set_deadlines(self) -> None:
        timeouts, now = self._request.timeouts, self._ledger.begin()
        self._began = self._asked = now
        self._total_at = self._ledger.total_at
        # A whole answer has no first token: it comes when the model is done.
        first = inf if timeouts.first_token is None or not self._request.enable_streaming else timeouts.first_token
        self._first_at = min(now + first, self._total_at)

    async def _open(self) -> AsyncIterator[bytes]:
        if not self._asks:
            return _nothing()
        transport = await self._connect()
        self._set_deadlines()  # not before: the first call of a process imports the vendor's SDK, which takes seconds
        self._sent = True
        with self._watchdog.until(self._first_at):
            answer = await transport.stream(self._call, connect_timeout=self._request.timeouts.connect)
        self._answer = answer
        shown = self._decoder.redact
        headers = {name: shown(value) for name, value in answer.headers.items() if _HEADERS.match(name)}
        self._headers = {name: value for name, value in headers.items() if value}
        body: AsyncIterator[bytes] = aiter(answer)
        if 300 <= answer.status < 400:
            raise moved(self._route.spec.name, answer)
        if not 200 <= answer.status < 300:
            raise await self._refused(body, b"")
        return body

    async def _first(self, body: AsyncIterator[bytes]) -> bytes:
        """Return the first bytes in which an event begins; empty where the body ends before."""
        head = Head()
        while True:
            with self._watchdog.until(self._first_at):
                data = await anext(body, b"")
            if data and self._first_byte is None:
                self._first_byte = self._now() - self._began
                _logger.debug("%s: first byte after %.3f s", self._name, self._first_byte)
                if self._tell is not None:
                    self._tell(FirstToken(self._number, self._route.spec.name, self._route.model, self._first_byte))
            sign = head.feed(data)
            if sign == b"[" and self._route.provider.takes_arrays:
                self._decoder.take_array()
                return data[data.index(sign) :]
            if sign == b"{" and self._call.method == "POST":  # what is taken up by a GET is the rest of a stream
                await self._take_whole(body, data)
                return b""
            if sign and sign in b"{[<":
                raise await self._refused(body, data)
            if sign or not data:
                return data
            self._decoder.feed(data)  # comments that keep the connection alive: they are no answer yet
            if self._decoder.done:  # an endless one has passed its bound
                return b""

    async def _begin_reading(self, body: AsyncIterator[bytes]) -> None:
        data = await self._first(body)
        self._body = body
        self._read = body.read if isinstance(body, Readable) else body.__anext__
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._over = not data
        if data:
            self._steps = self._decoder.feed(data)

    async def _read_on(self) -> None:
        """Read once, and leave what that brings in `_steps`, or note that the body is `_over`."""
        self._asked = asked = self._now()
        self._watchdog.wait(min(asked + self._between, self._total_at), asked)
        data = await anext(self._body, b"")
        self._watchdog.rest()
        self._take(data)

    async def _next(self) -> StreamingResponse[T] | None:
        """Read on until one step is to be handed over and nothing else is to be done; None leaves that to `_run`.

        Every read of a stream but the first few passes here, and little else.
        """
        decoder, watchdog, judged = self._decoder, self._watchdog, self._judging is not None
        while True:
            self._asked = asked = self._now()
            watchdog.wait_again(min(self._total_at, asked + self._between), asked)
            try:
                data = await self._read()
            except StopAsyncIteration:
                data = b""
            except Exception as error:
                if isinstance(self._body, Readable):
                    self._body.broke(error)
                raise
            watchdog.rest()
            if not data:
                self._over = True
                return None
            steps = decoder.feed(data)
            asks = judged and decoder.asks is not None
            if len(steps) == 1 and not decoder.done and not asks:
                return steps[0]
            if steps or decoder.done or asks:
                self._steps = steps
                return None

    async def _take_whole(self, body: AsyncIterator[bytes], start: bytes) -> None:
        """Take a whole answer that came though a stream was asked for, or raise what else it is."""
        self._first_at = min(self._total_at, self._now() + self._between)
        collected, whole = bytearray(start), False
        with suppress(DeadlinePassed, StructStreamError):
            await self._collect(body, collected, _MAX_UNASKED_BODY)
            whole = len(collected) <= _MAX_UNASKED_BODY
        events = unasked(self._route.provider, bytes(collected)) if whole else ()
        if not events:
            whole = whole and len(collected) <= MAX_ERROR_BODY
            raise self._error(bytes(collected[:MAX_ERROR_BODY]), whole=whole)
        self._streams = False
        self._decoder.feed_events(events)

    async def _whole(self, body: AsyncIterator[bytes]) -> bytes:
        collected = bytearray()
        await self._collect(body, collected, _MAX_WHOLE_BODY)
        if len(collected) > _MAX_WHOLE_BODY:
            name = self._route.spec.name
            raise UnexpectedResponseError(f"the answer is longer than {_MAX_WHOLE_BODY} bytes", provider=name)
        whole = bytes(collected)
        if not whole.lstrip().startswith((b"{", b"[")):
            raise self._error(whole)
        return whole

    async def _refused(self, body: AsyncIterator[bytes], start: bytes) -> ProviderError:
        """Read what came instead of an event stream, as far and as long as is wanted, and return what it means."""
        self._first_at = min(self._first_at, self._now() + SAYING_WHY)
        collected, whole = bytearray(start), False
        with suppress(DeadlinePassed, StructStreamError):
            await self._collect(body, collected, MAX_ERROR_BODY)
            whole = len(collected) <= MAX_ERROR_BODY
        return self._error(bytes(collected), whole=whole)

    async def _collect(self, body: AsyncIterator[bytes], collected: bytearray, most: int) -> None:
        await collect(body, collected, most, until=self._first_at, watchdog=self._watchdog, now=self._now)

    def _error(self, body: bytes, *, whole: bool = True) -> ProviderError:
        return refusal(self._route.provider, self._answer, body, whole=whole)

    def _late(self) -> StreamTimeoutError:
        """Say which deadline passed: the one that was due first."""
        timeouts, now = self._request.timeouts, self._now()
        if now >= self._total_at:
            return self._ledger.late()
        if now >= self._first_at and self._asked == self._began and timeouts.first_token is not None:
            return StreamTimeoutError("first_token", configured=timeouts.first_token, elapsed=now - self._began)
        return StreamTimeoutError("between_tokens", configured=self._between, elapsed=now - self._asked)

    def _seal(self, last: StreamingResponse[T]) -> StreamingResponse[T]:
        """Complete the outcome with what only the edge knows, and write it down."""
        found = last.outcome
        if found is None:
            raise AssertionError("the decoder's last response has an outcome")
        error, usage = found.error, found.usage
        if usage is not None and found.finish_reason is None and found.kind is not OutcomeKind.COMPLETE:
            usage = replace(usage, estimated=True)  # counted on the way: Anthropic's start counts one token
        attempt = Attempt(
            number=self._number,
            provider=self._route.spec.name,
            model=self._route.model,
            mode=self._mode,
            streams=self._streams,
            kind=found.kind,
            reason="" if error is None else str(error),
            usage=usage,
            request_id=next((self._headers[name] for name in REQUEST_IDS if name in self._headers), None),
        )
        ledger = self._ledger
        if self._sent or found.kind is not OutcomeKind.BLOCKED:  # what the prompt kept from being sent was no call
            ledger.attempts.append(attempt)
        timings = Timings(self._first_byte, self._first_partial, self._now() - self._began)
        outcome = replace(found, usage=usage, timings=timings, attempts=tuple(ledger.attempts), headers=self._headers)
        last.outcome = ledger.outcome = outcome
        if error is not None:
            error.outcome = outcome
        self._said_all = found.kind in _SAID_ALL
        why = "" if error is None else f", {type(error).__name__}"  # the error's sentence may quote the answer
        _logger.debug("%s: %s after %.3f s%s", self._name, found.kind, timings.total, why)
        if self._tell is not None:
            self._tell(AttemptEnded(attempt, timings.total or 0.0, timings.first_byte, error))
        return last

    async def _close(self) -> None:
        answer, self._answer = self._answer, None
        self._watchdog.close()
        guard = Watchdog(self._clock)  # a fresh one: ours may have been interrupted
        try:
            if answer is not None:
                with suppress(DeadlinePassed):
                    await self._finish(answer, guard)
        finally:
            guard.close()
            self._ledger.unwatch(self._watchdog)

    async def _finish(self, answer: HTTPAnswer, guard: Watchdog) -> None:
        try:
            if self._said_all:
                await self._drain(answer, guard)
        finally:
            with guard.until(self._now() + _CLOSING):
                await answer.aclose()

    async def _drain(self, answer: HTTPAnswer, guard: Watchdog) -> None:
        """Read the end of the body, which follows at once as a rule: then the connection can be used again."""
        body = aiter(answer)
        with suppress(DeadlinePassed, StructStreamError):
            for _ in range(_DRAINED_READS):
                with guard.until(self._now() + _DRAINING):
                    if not await anext(body, b""):
                        return

    @property
    def _name(self) -> str:
        return f"{self._route.spec.name}/{self._route.model}"


def _incomplete(broken: ConnectionFailedError) -> IncompleteError:
    error = IncompleteError(f"the connection ended without a finish: {broken}")
    error.__cause__ = broken
    return error


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield  # makes it a generator


def _cancelled() -> StreamCancelledError:
    return StreamCancelledError("cancelled: the caller left before the end")
