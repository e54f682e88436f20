"""The object a caller holds while an answer arrives."""

from __future__ import annotations

import inspect
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from .errors import ConfigurationError, StreamCancelledError, StructStreamError
from .progress import ProgressEvent
from .response import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping
    from types import AsyncGeneratorType, TracebackType

    from .clock import Clock
    from .ledger import Ledger
    from .progress import ProgressCallback, ProgressEventType
    from .response import StreamingResponse

__all__ = ["StructuredStream", "reported"]

T = TypeVar("T")

_logger = logging.getLogger("structstream")


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

    def __init__(self, responses: AsyncGenerator[StreamingResponse[T], None], ledger: Ledger[T]) -> None:
        self._responses = cast("AsyncGeneratorType[StreamingResponse[T], None]", responses)
        self._ledger = ledger

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

    async def aclose(self) -> None:
        """Close the connection and return once it is closed; harmless where the stream has ended.

        Called from within the stream's own progress callback it returns at once; the stream ends with its next step.
        """
        if self._responses.ag_running:
            if self._ledger.leave():  # another task waits for a step: it gets the last one
                await self._ledger.ended.wait()
            return
        await self._responses.aclose()
        if self._ledger.outcome is None:
            error = StreamCancelledError("cancelled: closed before anything was sent")
            self._ledger.outcome = error.outcome = Outcome(OutcomeKind.CANCELLED, error=error)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[StreamingResponse[T]]:
        if self._responses.ag_running:
            raise ConfigurationError("another task waits for this stream's next step: one at a time")
        # The generator's own awaitable: a coroutine around it would cost a frame a step.
        return self._responses.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def reported(
    responses: AsyncGenerator[StreamingResponse[T], None], callback: ProgressCallback, clock: Clock
) -> AsyncGenerator[StreamingResponse[T], None]:
    """Yield `responses` and tell `callback` of each; a stream without a callback does not pass through here.

    An async callback is waited for. One that raises does not break the stream: the first time is logged. Nothing is
    told of a stream that its own caller left.
    """
    reporter = _Reporter(callback, clock)
    async with aclosing(responses):
        await reporter.say("start", "the call begins")
        async for response in responses:
            await reporter.step(response)
            yield response


class _Reporter:
    """Turns steps into progress events; percent is told when another whole point is full."""

    def __init__(self, callback: ProgressCallback, clock: Clock) -> None:
        self._callback = callback
        self._clock = clock
        self._percent = 0.0
        self._failed = False

    async def step(self, response: StreamingResponse[Any]) -> None:  # Any: of any response model
        before, self._percent = self._percent, max(self._percent, response.progress_percent)
        for path in response.completed:
            if path:  # the root's is the end of the stream, and told as such
                await self.say("field", f"{path} is there", {"path": path})
        outcome = response.outcome
        if outcome is not None and outcome.error is None:
            await self.say("complete", "the answer is there")
        elif outcome is not None:
            facts = {"outcome": outcome.kind.value, "error": type(outcome.error).__name__}
            await self.say("error", str(outcome.error), facts)
        elif int(self._percent) > int(before):
            await self.say("progress", f"{self._percent:.0f} % of the answer is there")

    # Any: facts of several kinds, as in ProgressEvent
    async def say(self, kind: ProgressEventType, message: str, data: Mapping[str, Any] | None = None) -> None:
        event = ProgressEvent(kind, message, self._percent, data or {}, self._clock.now())
        try:
            waiting = self._callback(event)
            if inspect.isawaitable(waiting):
                await waiting
        except Exception:  # the callback is the caller's: whatever it raises, the stream goes on
            if not self._failed:
                self._failed = True
                _logger.exception("progress_callback raised at %r; the stream goes on", kind)
