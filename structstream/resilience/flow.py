"""How the steps of a call pass the policies around it: past those that have nothing to say about them.

Most policies look at the first step of a call and at its last. If each of them handed on every step in between, a step
would pass a generator for each. So a policy may yield a `Rest` instead, which tells whose steps are next; `Flow` takes
these from their source, and brings the policy the last one. The call itself may yield a `Pull`, which tells what
function gives the next steps; then a step passes no generator at all on its way to the `Reader`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar, cast

from structstream.response import StreamingResponse

if TYPE_CHECKING:
    from structstream.request import StreamingStructuredRequest

__all__ = ["Flow", "Inner", "Listener", "Parts", "Pull", "Reader", "Rest", "flowing"]

R = TypeVar("R")

_Steps = AsyncGenerator[StreamingResponse[Any], None]  # Any: of any response model


class Listener(Protocol):
    """Hears of each step of a call, but for the last one."""

    def hear(self, step: StreamingResponse[Any]) -> None:
        """A step is about to be handed over."""

    def taken(self) -> None:
        """Who got the step asks for the next one."""


class Rest(NamedTuple):
    """What a policy yields to have the steps of a call handed on without it; it gets back the last one.

    The last one, which has the outcome, is not handed on: the policy decides what becomes of it. What the call raises
    is raised where the policy yielded this. It still is the policy that closes the call.

    Args:
        steps: those of the call.
        first: hears the first of them, unless that is the last one as well; None for nobody.
        each: hears each of them, unless that is the last one; None for nobody.
    """

    steps: _Steps
    first: Callable[[StreamingResponse[Any]], object] | None = None  # Any: of any response model
    each: Listener | None = None


class Pull(NamedTuple):
    """What a call yields to have its next steps taken from a function instead of its generator.

    Args:
        read: gives the next step, never the last one; None where the generator goes on. What it raises is raised where
            the call yielded this.
        listeners: hear each of these steps.
    """

    read: Callable[[], Coroutine[Any, Any, StreamingResponse[Any] | None]]  # Any: as above
    listeners: Sequence[Listener] = ()


Parts = AsyncGenerator[StreamingResponse[Any] | Rest | Pull, Any]  # Any: gets a step after a Rest, None after others
"""What a policy, or a call, yields."""


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
            self._flat = cast("_Steps", _flat(self._parts, pulled=False))
        return self._flat

    def pulled(self) -> Parts:
        """Return the generator of the steps, and of a `Pull` here and there; this is not iterated beside it."""
        if self._flat is None:
            return _flat(self._parts, pulled=True)
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


async def _flat(outer: Parts, *, pulled: bool) -> Parts:
    """Yield the steps of `outer`, and of the calls that it names; each `Pull`, or else the steps that it gives."""
    around = _Around()
    top, read = outer, outer.__anext__
    try:
        waited: Coroutine[Any, Any, StreamingResponse[Any] | Rest | Pull] | None = _unknown(read)
        while True:
            waited = read() if waited is None else waited
            try:
                item = await waited
            except BaseException as error:
                if not around:
                    if isinstance(error, StopAsyncIteration):
                        return
                    raise
                if isinstance(error, StopAsyncIteration):
                    error = AssertionError("the last step of a call has its outcome")
                top = around.pop()
                read, waited = top.__anext__, top.athrow(error)
                continue
            waited = None
            if isinstance(item, Rest):
                around.push(top, item)
                top = _source(item.steps)
                read = top.__anext__
                waited = _unknown(read)
            elif isinstance(item, Pull):
                step: StreamingResponse[Any] | None
                while True:
                    if pulled and not around.unheard:
                        try:
                            yield Pull(item.read, around.listeners)
                        except GeneratorExit:
                            raise
                        except BaseException as error:  # noqa: BLE001  # as if the call itself had raised it
                            waited = top.athrow(error)
                        break
                    try:
                        step = await item.read()
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001  # as above
                        waited = top.athrow(error)
                        break
                    if step is None:
                        break
                    around.hear(step)
                    yield step
                    around.taken()
            elif item.outcome is not None and around:
                top = around.pop()
                read, waited = top.__anext__, top.asend(item)
            else:
                around.hear(item)
                yield item
                around.taken()
    finally:
        await outer.aclose()


class _Around:
    """The policies that wait for the last step of the call within them."""

    __slots__ = ("_waiting", "listeners", "unheard")

    def __init__(self) -> None:
        self._waiting: list[tuple[Parts, Rest]] = []  # from the outermost to the innermost
        self.unheard: list[Callable[[StreamingResponse[Any]], object]] = []
        """Those that want to hear the next step as the first one."""
        self.listeners: Sequence[Listener] = ()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def push(self, policy: Parts, rest: Rest) -> None:
        self._waiting.append((policy, rest))
        if rest.first is not None:
            self.unheard.append(rest.first)
        if rest.each is not None:
            self.listeners = (*self.listeners, rest.each)

    def pop(self) -> Parts:
        """Return the innermost, which waits no longer."""
        policy, rest = self._waiting.pop()
        if rest.first in self.unheard:
            self.unheard.pop()
        if rest.each is not None:
            self.listeners = self.listeners[:-1]
        return policy

    def hear(self, step: StreamingResponse[Any]) -> None:
        while self.unheard:
            self.unheard.pop()(step)
        for listener in self.listeners:
            listener.hear(step)

    def taken(self) -> None:
        for listener in self.listeners:
            listener.taken()


class Reader:
    """The steps of a call for whoever holds its stream: they pass no generator where none has anything to say.

    Args:
        steps: those of the call.
    """

    __slots__ = ("_handed", "_parts", "_pull", "running")

    def __init__(self, steps: _Steps) -> None:
        self._parts: Parts = steps.pulled() if isinstance(steps, Flow) else steps
        self._pull: Pull | None = None
        self._handed: Sequence[Listener] = ()  # who heard of the step that was handed over last
        self.running = False
        """Whether a step is waited for."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamingResponse[Any]:
        self.running = True
        try:
            if self._handed:
                self._take()
            item: StreamingResponse[Any] | Rest | Pull
            while True:
                pull = self._pull
                if pull is None:
                    item = await self._parts.__anext__()
                else:
                    try:
                        step = await pull.read()
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001  # as if the call itself had raised it
                        self._pull = None
                        item = await self._parts.athrow(error)
                    else:
                        if step is not None:
                            if pull.listeners:
                                self._hand(step, pull.listeners)
                            return step
                        self._pull = None
                        continue
                if isinstance(item, StreamingResponse):
                    return item
                self._pull = cast("Pull", item)
        finally:
            self.running = False

    async def aclose(self) -> None:
        """Close the call."""
        await self._parts.aclose()

    def _hand(self, step: StreamingResponse[Any], listeners: Sequence[Listener]) -> None:
        self._handed = listeners
        for listener in listeners:
            listener.hear(step)

    def _take(self) -> None:
        handed, self._handed = self._handed, ()
        for listener in handed:
            listener.taken()
