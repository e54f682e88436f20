"""How the steps of a call pass the policies around it: past those that have nothing to say about them.

Most policies look at the first step of a call and at its last. If each of them handed on every step in between, a step
would pass a generator for each. So a policy may yield a `Rest` instead, which tells whose steps are next; `Flow` takes
these from their source, and brings the policy the last one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from structstream.response import StreamingResponse

if TYPE_CHECKING:
    from structstream.request import StreamingStructuredRequest

__all__ = ["Flow", "Inner", "Parts", "Rest", "flowing"]

R = TypeVar("R")

_Steps = AsyncGenerator[StreamingResponse[Any], None]  # Any: of any response model


class Rest(NamedTuple):
    """What a policy yields to have the steps of a call handed on without it; it gets back the last one.

    The last one, which has the outcome, is not handed on: the policy decides what becomes of it. What the call raises
    is raised where the policy yielded this. It still is the policy that closes the call.

    Args:
        steps: those of the call.
        first: hears the first of them, unless that is the last one as well; None for nobody.
    """

    steps: _Steps
    first: Callable[[StreamingResponse[Any]], object] | None = None  # Any: of any response model


Parts = AsyncGenerator[StreamingResponse[Any] | Rest, Any]  # Any: gets a step after a Rest, and None after a step
"""What a policy yields."""


class Inner(AsyncGenerator[StreamingResponse[Any], None]):
    """The steps of a call, for whoever yields them on: left to be closed by him, and by nobody else.

    When a stream is garbage-collected, or its event loop ends, asyncio closes every asynchronous generator that it
    knows of, each in a task of its own. Of generators that stand in one another it must know the outermost alone, which
    closes the others in their order.

    (The Python Language Reference, asynchronous generator-iterator: the hooks are looked up when it is first iterated.)

    Args:
        steps: those of the call.
    """

    __slots__ = ("_begun", "_steps")

    def __init__(self, steps: _Steps) -> None:
        self._steps = steps
        self._begun = False

    def __anext__(self) -> Coroutine[Any, Any, StreamingResponse[Any]]:
        if self._begun:
            return self._steps.__anext__()
        if isinstance(self._steps, Flow):
            self._steps = self._steps.flat()
        return self._unknown(self._steps.__anext__)

    def asend(self, value: None) -> Coroutine[Any, Any, StreamingResponse[Any]]:
        """Return the next step."""
        return self._unknown(self._steps.asend, value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, StreamingResponse[Any]]:  # Any: as its caller has it
        """Raise `error` where the call yields."""
        return self._unknown(self._steps.athrow, *error)

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close the call."""
        return self._unknown(self._steps.aclose)

    def source(self) -> Parts:
        """Return what yields the steps, to be read instead of this; the call is still closed by `aclose`."""
        fresh, self._begun = not self._begun, True
        return _source(self._steps) if fresh else self._steps

    def _unknown(self, begin: Callable[..., R], *arguments: Any) -> R:  # Any: as above
        self._begun = True
        return _unknown(begin, *arguments)


def _unknown(begin: Callable[..., R], *arguments: Any) -> R:  # Any: as above
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, _leave)
    try:
        return begin(*arguments)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _leave(steps: object) -> None:
    """Leave it to the generator around it, which still holds it."""


class Flow(AsyncGenerator[StreamingResponse[Any], None]):
    """The steps of a call within a policy.

    Args:
        parts: what the policy yields.
    """

    __slots__ = ("_flat", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._flat: _Steps | None = None

    def flat(self) -> _Steps:
        """Return the generator of the steps, always the same one."""
        if self._flat is None:
            self._flat = _flat(self._parts)
        return self._flat

    def source(self) -> Parts:
        """Return what yields the steps, with a `Rest` here and there unless somebody has begun to read them."""
        return self._parts if self._flat is None else self._flat

    def __anext__(self) -> Coroutine[Any, Any, StreamingResponse[Any]]:
        return self.flat().__anext__()

    def asend(self, value: None) -> Coroutine[Any, Any, StreamingResponse[Any]]:
        """Return the next step."""
        return self.flat().asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, StreamingResponse[Any]]:  # Any: as its caller has it
        """Raise `error` where the steps are yielded."""
        return self.flat().athrow(*error)

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close the policy, which closes the call."""
        return self.source().aclose()


def flowing(
    run: Callable[[StreamingStructuredRequest[Any]], Parts],
) -> Callable[[StreamingStructuredRequest[Any]], Flow]:
    """Return the call whose steps a policy yields, some of them by a `Rest`."""

    @functools.wraps(run)
    def call(request: StreamingStructuredRequest[Any]) -> Flow:
        return Flow(run(request))

    return call


def _source(steps: _Steps) -> Parts:
    return steps.source() if isinstance(steps, Flow | Inner) else steps


async def _flat(outer: Parts) -> _Steps:
    """Yield the steps of `outer`, and of the calls that it names."""
    around: list[_Waiting] = []  # from the outermost to the innermost
    unheard = False  # whether one of them wants to hear the next step
    top, read = outer, outer.__anext__
    try:
        waited: Coroutine[Any, Any, StreamingResponse[Any] | Rest] = _unknown(read)
        while True:
            try:
                item = await waited
            except BaseException as error:
                if not around:
                    if isinstance(error, StopAsyncIteration):
                        return
                    raise
                if isinstance(error, StopAsyncIteration):
                    error = AssertionError("the last step of a call has its outcome")
                top = around.pop().parts
                read, waited = top.__anext__, top.athrow(error)
                continue
            if isinstance(item, Rest):
                around.append(_Waiting(top, item.first))
                unheard = unheard or item.first is not None
                top = _source(item.steps)
                read = top.__anext__
                waited = _unknown(read)
                continue
            if item.outcome is not None and around:
                top = around.pop().parts
                read, waited = top.__anext__, top.asend(item)
                continue
            if unheard:
                unheard = False
                for policy in reversed(around):
                    policy.hear(item)
            yield item
            waited = read()
    finally:
        await outer.aclose()


class _Waiting:
    """A policy that waits for the last step of the call within it."""

    __slots__ = ("_first", "parts")

    def __init__(self, parts: Parts, first: Callable[[StreamingResponse[Any]], object] | None) -> None:
        self.parts = parts
        self._first = first

    def hear(self, step: StreamingResponse[Any]) -> None:
        first, self._first = self._first, None
        if first is not None:
            first(step)
