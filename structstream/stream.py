"""The object a caller holds while an answer arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

from .errors import ConfigurationError, StreamCancelledError, StructStreamError
from .response import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from types import AsyncGeneratorType, TracebackType

    from .exchange import Ledger
    from .response import StreamingResponse

__all__ = ["StructuredStream"]

T = TypeVar("T")


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

        Called from within the stream's own plain progress callback it returns at once; the stream ends with its next
        step.
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
