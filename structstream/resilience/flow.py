"""How the steps of a call pass the policies around it: past those that have nothing to say about them.

Most policies look at the first step of a call and at its last. If each of them handed on every step in between, a step
would pass a generator for each. So a policy may yield a `Rest` instead, which tells whose steps are next; `Flow` takes
these from their source, and brings the policy the last one. The call itself may yield a `Pull`, which tells what
function gives the next steps; then a step passes no generator at all on its way to the `Reader`. Who has to look at
each step hears of it by a function, which may end the call.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial, wraps
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

    __slots__ = ("_flat", "_parts", "_walk")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._walk: _Walk | None = None
        self._flat: Parts | None = None

    def flat(self) -> _Steps:
        """Return the generator of the steps, always the same one."""
        if self._flat is None:
            self._walk = _Walk(self._parts)
            self._flat = _flat(self._parts, self._walk)
        return cast("_Steps", self._flat)

    def pulled(self) -> Parts:
        """Return the generator of the steps, and of a `Pull` here and there; this is not iterated beside it."""
        flat = self.flat()
        if self._walk is not None:
            self._walk.passes = True
        return flat

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

    @wraps(run)
    def call(request: StreamingStructuredRequest[Any]) -> Flow:
        return Flow(run(request))

    return call


def _source(steps: _Steps) -> Parts:
    return steps.source() if isinstance(steps, Flow | Inner) else steps


async def _flat(outer: Parts, walk: _Walk) -> Parts:
    """Yield the steps of `outer`, and of the calls that it names; each `Pull`, or else the steps that it gives."""
    try:
        while (item := await walk.next()) is not None:
            if isinstance(item, Pull):
                try:
                    enough = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # as if the call itself had raised it
                    walk.throw(error)
                else:
                    walk.end(enough)
            else:
                yield item
                walk.taken()
    finally:
        await outer.aclose()


class _Walk:
    """Reads a call from its source, past the policies that wait for its last step.

    Args:
        outer: what the outermost policy yields.
    """

    __slots__ = ("_each", "_go", "_pull", "_taken", "_top", "_unheard", "_waiting", "passes")

    def __init__(self, outer: Parts) -> None:
        self._top = outer  # who is read
        self._go: Callable[[], Coroutine[Any, Any, Any]] = partial(_unknown, outer.__anext__)
        self._pull: Pull | None = None  # what is read instead, until it has no more
        self._waiting: list[tuple[Parts, Rest]] = []  # from the outermost to the innermost
        self._unheard = False  # whether one of them wants to hear the next step as the first one
        self._each: Sequence[Hear] = ()  # from the innermost to the outermost, as the next
        self._taken: Sequence[Callable[[], None]] = ()
        self.passes = False
        """Whether each `Pull` is handed on, and not the steps that it gives."""

    async def next(self) -> StreamingResponse[Any] | Pull | None:
        """Return the next step, or what gives it; None at the end."""
        while True:
            pull = self._pull
            if pull is not None and self.passes and not self._unheard:
                self._pull = None
                return Pull(pull.read, (*pull.each, *self._each), (*pull.taken, *self._taken))
            try:
                item = await (pull.read() if pull is not None else self._go())
            except BaseException as error:
                self._go = self._top.__anext__  # what threw the error in would hold it, and it holds this
                if pull is None and not self._waiting:
                    if isinstance(error, StopAsyncIteration):
                        return None
                    raise
                if isinstance(error, GeneratorExit) and pull is not None:
                    raise
                self._fail(error)
                continue
            self._go = self._top.__anext__
            if item is None:
                self._pull = None
            elif isinstance(item, Pull):
                self._pull = item
            elif isinstance(item, Rest):
                self._push(item)
            elif item.outcome is not None and self._waiting:
                self._pop()
                self._go = partial(self._top.asend, item)
            elif (enough := self._hear(item)) is not None:
                self.end(enough)
            else:
                return item

    def taken(self) -> None:
        """The step that was returned last was taken."""
        for taken in self._taken if self._pull is None else (*self._pull.taken, *self._taken):
            taken()

    def throw(self, error: BaseException) -> None:
        """Go on as if the call itself had raised `error`."""
        self._pull, self._go = None, partial(self._top.athrow, error)

    def end(self, enough: Enough | None) -> None:
        """Go on at the policy that has had enough, or in the call where it is none of these; nothing for None."""
        if enough is None:
            return
        self._pull = None
        ours = [at for at, (_, rest) in enumerate(self._waiting) if rest.each is enough.hear]
        if not ours:
            self._go = partial(self._top.asend, enough)
            return
        while len(self._waiting) > ours[0]:  # nobody within it waits any longer: it closes them
            self._pop()
        self._go = partial(self._top.asend, enough.step)

    def _fail(self, error: BaseException) -> None:
        if self._pull is None:
            self._pop()
            if isinstance(error, StopAsyncIteration):
                error = AssertionError("the last step of a call has its outcome")
        self.throw(error)

    def _push(self, rest: Rest) -> None:
        self._waiting.append((self._top, rest))
        if rest.first is not None:
            self._unheard = True
        if rest.each is not None:
            self._each = (rest.each, *self._each)
        if rest.taken is not None:
            self._taken = (rest.taken, *self._taken)
        self._top = _source(rest.steps)
        self._go = partial(_unknown, self._top.__anext__)

    def _pop(self) -> None:
        """Go back to the innermost of those that wait."""
        self._top, rest = self._waiting.pop()
        self._unheard = self._unheard and any(each.first is not None for _, each in self._waiting)
        if rest.each is not None:
            self._each = self._each[1:]
        if rest.taken is not None:
            self._taken = self._taken[1:]

    def _hear(self, step: StreamingResponse[Any]) -> Enough | None:
        """Tell all who listen, those within the call first; return which of them ended it."""
        within = () if self._pull is None else self._pull.each
        if not self._unheard:
            return _told(step, (*within, *self._each))
        enough = _told(step, within)
        for at in reversed(range(len(self._waiting))):
            if enough is not None:
                return enough
            policy, rest = self._waiting[at]
            if rest.first is not None:
                rest.first(step)
                self._waiting[at] = policy, rest._replace(first=None)
            enough = _told(step, () if rest.each is None else (rest.each,))
        self._unheard = False
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
        """Close the call; who asks for a step afterwards gets none, and nothing is read for him."""
        self._pull = None
        await self._parts.aclose()
