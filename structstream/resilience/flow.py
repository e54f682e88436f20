"""How the steps of a call pass the policies around it: past those that have nothing to say about them.

Most policies look at the first step of a call and at its last. If each of them handed on every step in between, a step
would pass a generator for each. So a policy may yield a `Rest` instead, which tells whose steps are next; `Flow` takes
these from their source, and brings the policy the last one. The call itself may yield a `Pull`, which tells what
function gives the next steps; then a step passes no generator at all on its way to the `Reader`. Who has to look at
each step hears of it by a function, which may end the call.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast

from structstream.response import StreamingResponse

if TYPE_CHECKING:
    from structstream.request import StreamingStructuredRequest

__all__ = ["Enough", "Flow", "Hear", "Inner", "Parts", "Pull", "Reader", "Rest", "flowing"]

R = TypeVar("R")

_Steps = AsyncGenerator[StreamingResponse[Any], None]  # Any: of any response model


Hear = Callable[[StreamingResponse[Any]], bool]  # Any: of any response model
"""Hears that a step is about to be handed over. True ends the call: the policy gets the step, and nobody else does."""


class Rest(NamedTuple):
    """What a policy yields to have the steps of a call handed on without it; it gets back the last one.

    The last one, which has the outcome, is not handed on: the policy decides what becomes of it. Nor is one that has
    none, at which its own `each` had enough. What the call raises is raised where the policy yielded this. It still is
    the policy that closes the call.

    Args:
        steps: those of the call.
        first: hears the first of them, unless that is the last one as well; None for nobody.
        each: hears each of them, unless that is the last one, before all who stand around the policy; None for nobody.
        taken: hears that who got such a step asks for the next one; None for nobody.
    """

    steps: _Steps
    first: Callable[[StreamingResponse[Any]], object] | None = None  # Any: of any response model
    each: Hear | None = None
    taken: Callable[[], None] | None = None


class Pull(NamedTuple):
    """What a call yields to have its next steps taken from a function instead of its generator.

    It gets back an `Enough` where one of `each` had that, and else None.

    Args:
        read: gives the next step, never the last one; None where the generator goes on. What it raises is raised where
            the call yielded this.
        each: hear each of these steps, those of the innermost policy first.
        taken: hear that the next one is asked for.
    """

    read: Callable[[], Coroutine[Any, Any, StreamingResponse[Any] | None]]  # Any: as above
    each: Sequence[Hear] = ()
    taken: Sequence[Callable[[], None]] = ()


class Enough(NamedTuple):
    """Who ended the call, and at what step; nobody around that policy has heard of it."""

    hear: Hear
    step: StreamingResponse[Any]


Parts = AsyncGenerator[StreamingResponse[Any] | Rest | Pull, Any]  # Any: gets what Rest and Pull say, None after a step
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
        return self._steps.__anext__() if self._begun else self._unknown(self._steps.__anext__)

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
        self._begun = True
        return _source(self._steps)

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

    __slots__ = ("_flat", "_parts", "passes")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._flat: Parts | None = None
        self.passes = False
        """Whether each `Pull` is handed on, and not the steps that it gives."""

    def flat(self) -> _Steps:
        """Return the generator of the steps, always the same one."""
        if self._flat is None:
            self._flat = _flat(self._parts, self)
        return cast("_Steps", self._flat)

    def pulled(self) -> Parts:
        """Return the generator of the steps, and of a `Pull` here and there; this is not iterated beside it."""
        self.passes = True
        return self.flat()

    def source(self) -> Parts:
        """Return what yields the steps, with a `Rest` or a `Pull` here and there; this is not iterated beside it."""
        return self._parts if self._flat is None else self.pulled()

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
        return (self._flat or self._parts).aclose()


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


async def _flat(outer: Parts, flow: Flow) -> Parts:
    """Yield the steps of `outer`, and of the calls that it names; each `Pull`, or else the steps that it gives."""
    around = _Around()
    top, pull = outer, None
    item: StreamingResponse[Any] | Rest | Pull | None
    try:
        waited: Coroutine[Any, Any, StreamingResponse[Any] | Rest | Pull] | None = _unknown(top.__anext__)
        while True:
            try:
                if pull is None:
                    item = await (waited or top.__anext__())
                elif flow.passes and not around.unheard:
                    item, pull = pull, None
                else:
                    item = await pull.read()
                    if item is None:
                        pull = waited = None
                        continue
            except BaseException as error:
                if pull is not None:  # as if the call itself had raised it
                    if isinstance(error, GeneratorExit):
                        raise
                    pull, waited = None, top.athrow(error)
                    continue
                if not around:
                    if isinstance(error, StopAsyncIteration):
                        return
                    raise
                if isinstance(error, StopAsyncIteration):
                    error = AssertionError("the last step of a call has its outcome")
                top = around.pop()
                waited = top.athrow(error)
                continue
            waited = None
            if isinstance(item, Rest):
                around.push(top, item)
                top = _source(item.steps)
                waited = _unknown(top.__anext__)
            elif isinstance(item, Pull):
                if around.unheard or not flow.passes:
                    pull = item
                    continue
                try:
                    enough = yield Pull(item.read, (*item.each, *around.each), (*item.taken, *around.taken))
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # as if the call itself had raised it
                    waited = top.athrow(error)
                else:
                    if enough is not None:
                        top, sent = around.back_to(enough) or (top, enough)
                        waited = top.asend(sent)
            elif item.outcome is not None and around:
                top = around.pop()
                waited = top.asend(item)
            elif (enough := around.hear(item, () if pull is None else pull.each)) is not None:
                top, sent = around.back_to(enough) or (top, enough)
                pull, waited = None, top.asend(sent)
            else:
                yield item
                for taken in (*(() if pull is None else pull.taken), *around.taken):
                    taken()
    finally:
        await outer.aclose()


class _Around:
    """The policies that wait for the last step of the call within them."""

    __slots__ = ("_waiting", "each", "taken", "unheard")

    def __init__(self) -> None:
        self._waiting: list[tuple[Parts, Rest]] = []  # from the outermost to the innermost
        self.unheard = False
        """Whether one of them wants to hear the next step as the first one."""
        self.each: Sequence[Hear] = ()
        self.taken: Sequence[Callable[[], None]] = ()
        """Both from the innermost to the outermost."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def push(self, policy: Parts, rest: Rest) -> None:
        self._waiting.append((policy, rest))
        if rest.first is not None:
            self.unheard = True
        if rest.each is not None:
            self.each = (rest.each, *self.each)
        if rest.taken is not None:
            self.taken = (rest.taken, *self.taken)

    def pop(self) -> Parts:
        """Return the innermost, which waits no longer."""
        policy, rest = self._waiting.pop()
        self.unheard = self.unheard and any(each.first is not None for _, each in self._waiting)
        if rest.each is not None:
            self.each = self.each[1:]
        if rest.taken is not None:
            self.taken = self.taken[1:]
        return policy

    def back_to(self, enough: Enough) -> tuple[Parts, StreamingResponse[Any]] | None:
        """Return the policy that ended the call, and the step for it; None where it is none of these.

        Nobody within it waits any longer: it closes them.
        """
        for at, (policy, rest) in enumerate(self._waiting):
            if rest.each is enough.hear:
                while len(self._waiting) > at:
                    self.pop()
                return policy, enough.step
        return None

    def hear(self, step: StreamingResponse[Any], within: Sequence[Hear]) -> Enough | None:
        """Tell all who listen, those within the call first; return which of them ended it."""
        if not self.unheard:
            return _told(step, (*within, *self.each))
        enough = _told(step, within)
        for at in reversed(range(len(self._waiting))):
            if enough is not None:
                return enough
            policy, rest = self._waiting[at]
            if rest.first is not None:
                rest.first(step)
                self._waiting[at] = policy, rest._replace(first=None)
            enough = _told(step, () if rest.each is None else (rest.each,))
        self.unheard = False
        return enough


def _told(step: StreamingResponse[Any], each: Sequence[Hear]) -> Enough | None:
    for hear in each:
        if hear(step):
            return Enough(hear, step)
    return None


class Reader:
    """The steps of a call for whoever holds its stream: they pass no generator where none has anything to say.

    Args:
        steps: those of the call.
    """

    __slots__ = ("_handed", "_parts", "_pull", "running")

    def __init__(self, steps: _Steps) -> None:
        self._parts: Parts = steps.pulled() if isinstance(steps, Flow) else steps
        self._pull: Pull | None = None
        self._handed: Sequence[Callable[[], None]] = ()  # who hears that the next step is asked for
        self.running = False
        """Whether a step is waited for."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamingResponse[Any]:
        self.running = True
        try:
            if self._handed:
                handed, self._handed = self._handed, ()
                for taken in handed:
                    taken()
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
                        if step is None:
                            self._pull = None
                            continue
                        for hear in pull.each:
                            if hear(step):
                                break
                        else:
                            self._handed = pull.taken
                            return step
                        self._pull = None
                        item = await self._parts.asend(Enough(hear, step))
                if isinstance(item, StreamingResponse):
                    return item
                self._pull = cast("Pull", item)
        finally:
            self.running = False

    async def aclose(self) -> None:
        """Close the call."""
        await self._parts.aclose()
