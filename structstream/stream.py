"""The object a caller holds while an answer arrives."""

from __future__ import annotations

import asyncio
from math import isinf
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from .cadence import Held
from .clock import SystemClock
from .completion import Completions, check_callback
from .courier import Courier
from .errors import ConfigurationError, StreamCancelledError, StructStreamError
from .resilience import Reader
from .response import Outcome, OutcomeKind, StreamingResponse
from .tee import tee

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from types import TracebackType

    from .clock import Clock
    from .ledger import Ledger
    from .tee import Branch

__all__ = ["StructuredStream"]

T = TypeVar("T")

_GLANCE = 0.01  # seconds


class StructuredStream(Generic[T]):
    """The steps of one answer, for ``async for`` and ``async with``; to be iterated once.

    Nothing is sent before the first step is asked for. The last step carries the outcome; a failure is reported there
    and not raised. The connection is closed as soon as the stream ends or is left: by `aclose`, at the end of the
    ``async with`` block, by a cancellation of the task that waits for a step, or, where a plain ``async for`` was left
    by ``break`` or an exception, when nothing refers to the stream any more. ``async with`` is the sure way.

    One task at a time may wait for a step; any task of the same event loop may call `aclose`, and the waiting one then
    gets the last step with the outcome ``cancelled``.

    Example::

        async with service.route_structured_streaming(request) as stream:
            async for response in stream:
                print(response.partial_result)
    """

    def __init__(
        self, responses: AsyncGenerator[StreamingResponse[T], None], ledger: Ledger[T], *, clock: Clock | None = None
    ) -> None:
        self._responses = Reader(responses)
        self._ledger = ledger
        self._clock: Clock = clock or SystemClock()
        self._followers: list[Completions] = []
        self._couriers: list[tuple[Completions, Courier[tuple[str, Any]]]] = []  # Any: values of any type
        self._missed: Held[T] = Held()  # what a reader of completions read past a plain iteration
        self._iterated = False
        self._steered = False  # whether it was ever followed, paused or left: from then on a step is more than a step
        self._puller: Literal["", "steps", "completions"] = ""
        self._turn: asyncio.Future[None] | None = None  # done when the step that is waited for has come
        self._paused: asyncio.Future[None] | None = None

    @property
    def outcome(self) -> Outcome[T] | None:
        """How the stream ended; None before that."""
        return self._ledger.outcome

    async def result(self) -> T:
        """Read the stream to its end and return the validated object.

        Raises:
            StructStreamError: the stream's own error, where it failed; its `outcome` holds what could be saved.
        """
        async for _ in self:
            pass
        if self.outcome is None:
            raise StructStreamError("the stream was broken before by an error that is none of this library's")
        return self.outcome.unwrap()

    # --- completion ---

    def on_complete(self, pattern: str, callback: Callable[[str, Any], Awaitable[None] | None]) -> None:
        """Call `callback` with the path and the value of each value that closes at a path that fits `pattern`.

        Each once, validated, in the order of the text. One that is async is awaited beside the stream, one call after
        another; one that raises breaks nothing. What has closed before this call is told with the next step.

        Args:
            pattern: such as ``orders[*].lines[*]``, ``name``, ``prices.*``; see `structstream.patterns`.
            callback: takes a path and a value; plain or async.

        Raises:
            ConfigurationError: `pattern` is no pattern, or `callback` cannot be called so.
        """
        check_callback(callback)
        self._steered = True
        courier: Courier[tuple[str, Any]] = Courier(  # Any: values of any type
            lambda found: callback(*found), self._clock, name="on_complete", tell=self._ledger.tell
        )
        self._couriers.append((Completions(pattern), courier))

    def each(self, pattern: str) -> AsyncGenerator[Any, None]:  # Any: values of any type
        """Yield each value that closes at a path that fits `pattern`: once, validated, in the order of the text.

        It reads the stream by itself. Beside a plain iteration in another task it reads along: each gets all. The end
        of the stream ends it, whatever the outcome is; look at `outcome`, or call `result`, which raises.

        Args:
            pattern: such as ``orders[*].lines[*]``, ``name``, ``prices.*``; see `structstream.patterns`.

        Raises:
            ConfigurationError: `pattern` is no pattern.

        Example::

            async with service.route_structured_streaming(request) as stream:
                async for line in stream.each("orders[*].lines[*]"):
                    save(line)
        """
        completions = Completions(pattern)
        self._steered = True
        self._followers.append(completions)
        return self._each(completions)

    async def _each(self, completions: Completions) -> AsyncGenerator[Any, None]:  # Any: as above
        try:
            while True:
                while completions.found:
                    yield completions.found.popleft()[1]
                if not await self._read_along():
                    break
            while completions.found:
                yield completions.found.popleft()[1]
        finally:
            self._followers.remove(completions)

    async def _read_along(self) -> bool:
        """Let another step come, whoever reads it; return whether there was one."""
        if self._responses.running and not self._puller:  # a step was asked for before anybody followed
            await self._clock.sleep(_GLANCE)
            return True
        if self._puller:
            if self._turn is None:
                self._turn = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._turn)
            return True
        step = await self._pull("completions")
        if step is not None and self._iterated:
            self._missed.add(step)
        return step is not None

    async def _pull(self, puller: Literal["steps", "completions"]) -> StreamingResponse[T] | None:
        """Read a step and tell those who follow; None at the end."""
        self._puller = puller
        try:
            await self._held()
            left = self._ledger.left
            step = await anext(self._responses, None)
        finally:
            self._puller = ""
            turn, self._turn = self._turn, None
            if turn is not None:
                turn.set_result(None)
        if step is None:
            await self._drain()
            return None
        if left and step.outcome is None:  # of an answer that waits for nobody, such as one of the cache
            await self.aclose()
            step = StreamingResponse(attempt=step.attempt, outcome=self._ledger.outcome)
        for completions in self._followers:
            completions.follow(step)
        for completions, courier in self._couriers:
            completions.follow(step)
            while completions.found:
                courier.give(completions.found.popleft())
        return step

    async def _drain(self) -> None:
        for _, courier in self._couriers:
            await courier.drain()

    def tee(self, count: int = 2) -> Sequence[Branch[T]]:
        """Return `count` consumers of this stream, each of which gets all of it; see `structstream.tee`.

        Raises:
            ConfigurationError: `count` is no positive integer.
        """
        return tee(self, count)

    # --- steering ---

    def pause(self) -> None:
        """Read nothing more until `resume`: the provider is held back by the socket.

        Whoever asks for a step waits. A read that is under way is finished, and its step still comes. Of the deadlines
        only ``total`` goes on, and ends a stream that is asked for a step.
        """
        self._steered = True
        if self._paused is None:
            self._paused = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """Go on after `pause`; harmless where nothing was paused."""
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.set_result(None)

    @property
    def is_paused(self) -> bool:
        """Whether `pause` was called and `resume` was not."""
        return self._paused is not None

    async def _held(self) -> None:
        while self._paused is not None:
            # Nothing is read that could meet the deadline of the whole: it ends the pause.
            late = None if isinf(self._ledger.total_at) else self._clock.call_at(self._ledger.total_at, self.resume)
            try:
                await asyncio.shield(self._paused)
            finally:
                if late is not None:
                    late.cancel()

    def cancel(self) -> None:
        """End the stream: the next step is the last one, with the outcome ``cancelled``.

        The connection is closed as that step comes: at once where a task waits for one. `aclose` closes it by itself.
        """
        self._leave()
        self.resume()

    def _leave(self) -> bool:
        """End what is under way; return whether that waits now, and so ends now."""
        self._steered = True
        return self._ledger.leave()

    async def aclose(self) -> None:
        """Close the connection and return once it is closed; harmless where the stream has ended.

        Called from within the stream's own plain progress callback it returns at once; the stream ends with its next
        step.
        """
        if self._responses.running or (self._puller and self._paused is not None):
            waits = self._leave() or self._paused is not None
            self.resume()
            if waits:  # another task waits for a step: it gets the last one
                await self._ledger.ended.wait()
            return
        self.resume()
        await self._responses.aclose()
        if self._ledger.outcome is None:
            error = StreamCancelledError("cancelled: closed before anything was sent")
            self._ledger.outcome = error.outcome = Outcome(OutcomeKind.CANCELLED, error=error)
        await self._drain()

    def __aiter__(self) -> Self:
        self._iterated = True
        return self

    def __anext__(self) -> Awaitable[StreamingResponse[T]]:
        self._iterated = True
        if self._steered or self._responses.running:
            if self._puller == "steps" or (self._responses.running and not self._puller):
                raise ConfigurationError("another task waits for this stream's next step: one at a time")
            return self._next()
        # The reader's own coroutine: one around it would cost a frame a step.
        return self._responses.__anext__()

    async def _next(self) -> StreamingResponse[T]:
        while self._puller:
            await self._read_along()
        missed = self._missed.take()
        if missed is not None:
            return missed
        step = await self._pull("steps")
        if step is None:
            raise StopAsyncIteration
        return step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
