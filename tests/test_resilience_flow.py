"""Steps pass the policies that have nothing to say about them: what arrives, and who is closed, is the same."""

from __future__ import annotations

import asyncio
import gc
import itertools
import traceback
import weakref
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import Any, Literal, get_args

import pytest
from hypothesis import given, strategies as st

from structstream.errors import UnavailableError
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call, Flow, Inner, Layer, Parts, Pull, Reader, Rest, Steps, ended, flowing, stack
from structstream.response import OutcomeKind, StreamingResponse

REQUEST = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="Legs of a cat?")


class Seen:
    """A call of so many steps, and what happened around it."""

    def __init__(self, steps: int, fails: Exception | None = None) -> None:
        self.steps = [StreamingResponse[Any](attempt=number) for number in range(1, steps + 1)]
        self.fails = fails
        self.told: list[str] = []
        self.resumed = self.reads = 0

    def pulled(self, request: StreamingStructuredRequest[Any]) -> Steps:
        """The same call, whose steps but the first and the last come from a function, two at a time."""
        return Flow(self._pulled())

    async def _pulled(self) -> Parts:
        left = list(self.steps)
        failed = False

        async def read() -> StreamingResponse[Any] | None:
            nonlocal failed
            await asyncio.sleep(0)
            if not left and self.fails is not None and not failed:
                failed = True
                raise self.fails
            self.reads += 1
            return left.pop(0) if left and self.reads % 3 else None

        try:
            if left:
                yield left.pop(0)
            while left or (self.fails is not None and not failed):
                yield Pull(read)
            yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("no"))
        finally:
            await asyncio.sleep(0)
            self.told.append("call closed")

    async def call(self, request: StreamingStructuredRequest[Any]) -> Steps:
        try:
            for step in self.steps:
                yield step
            if self.fails is not None:
                raise self.fails
            yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("no"))
        finally:
            await asyncio.sleep(0)
            self.told.append("call closed")

    def by_rest(self, name: str, ends_at: int = 0, begins: bool = False) -> Layer:
        """A policy that looks at the first and at the last step.

        Args:
            name: what it is called in `told`.
            ends_at: the number of the step at which it ends the call; 0 for none.
            begins: whether it takes the first step itself.
        """
        hear = Hears(self.told, name, ends_at)

        def layer(call: Call) -> Call:
            @flowing
            async def run(request: StreamingStructuredRequest[Any]) -> Parts:
                try:
                    async with aclosing(call(request)) as steps:
                        last = await anext(steps) if begins else None
                        if last is not None and last.outcome is None:
                            hear.first(last)
                            if not hear.hear(last):
                                yield last
                                last = yield Rest(steps, each=hear.hear)
                        elif last is None:
                            last = yield Rest(steps, hear.first, hear.hear)
                        self.resumed += 1
                        if last.outcome is not None:
                            self.told.append(f"{name} last")
                            yield last
                    if last.outcome is None:
                        yield ended(OutcomeKind.BLOCKED, UnavailableError(name))
                except ZeroDivisionError:
                    self.told.append(f"{name} raised")
                    raise
                finally:
                    self.told.append(f"{name} closed")

            return run

        return layer

    def by_step(self, name: str, ends_at: int = 0) -> Layer:
        """The same, which hands on each step."""
        hear = Hears(self.told, name, ends_at)

        def layer(call: Call) -> Call:
            async def run(request: StreamingStructuredRequest[Any]) -> Steps:
                first = True
                try:
                    async with aclosing(call(request)) as steps:
                        async for step in steps:
                            if step.outcome is not None:
                                self.told.append(f"{name} last")
                            else:
                                if first:
                                    hear.first(step)
                                if hear.hear(step):
                                    break
                            first = False
                            yield step
                    if step.outcome is None:
                        yield ended(OutcomeKind.BLOCKED, UnavailableError(name))
                except ZeroDivisionError:
                    self.told.append(f"{name} raised")
                    raise
                finally:
                    self.told.append(f"{name} closed")

            return run

        return layer


class Hears:
    """Writes down which steps a policy hears of, and has enough of them at one."""

    def __init__(self, told: list[str], name: str, ends_at: int) -> None:
        self._told, self._name, self._ends_at = told, name, ends_at

    def first(self, step: StreamingResponse[Any]) -> None:
        self._told.append(f"{self._name} first {step.attempt}")

    def hear(self, step: StreamingResponse[Any]) -> bool:
        self._told.append(f"{self._name} {step.attempt}")
        return step.attempt == self._ends_at


Kind = Literal["step", "rest", "begun"]
"""How a policy hands on the steps."""


async def drained(
    seen: Seen, call: Call, kinds: Sequence[Kind], ends: Sequence[int], leave_after: int, read: bool
) -> list[int | str]:
    made = [
        seen.by_step(str(at), end) if kind == "step" else seen.by_rest(str(at), end, kind == "begun")
        for at, (kind, end) in enumerate(zip(kinds, ends, strict=True))
    ]
    got: list[int | str] = []
    steps = stack(call, *made)(REQUEST)
    try:
        async with aclosing(Reader(steps) if read else steps) as reader:
            async for step in reader:
                got.append(step.attempt if step.outcome is None else f"{step.outcome.kind} {step.outcome.error}")
                if len(got) == leave_after:
                    break
    except ZeroDivisionError:
        got.append("raised")
    return got


@given(
    st.lists(st.tuples(st.sampled_from(get_args(Kind)), st.just(0) | st.integers(1, 7)), max_size=5),
    st.integers(0, 6),
    st.booleans(),
    st.integers(1, 9),
)
def test_a_policy_that_yields_a_rest_is_one_that_hands_on_each_step(
    policies: list[tuple[Kind, int]], count: int, fails: bool, leave_after: int
) -> None:
    ends = [end for _, end in policies]
    mixed: list[Kind] = [kind for kind, _ in policies]
    plain: list[Kind] = ["step" for _ in policies]
    found = []
    for each, pulls, read in itertools.product((mixed, plain), (True, False), (True, False)):
        seen = Seen(count, ZeroDivisionError() if fails else None)
        call = seen.pulled if pulls else seen.call
        found.append((asyncio.run(drained(seen, call, each, ends, leave_after, read)), seen.told))
    assert all(each == found[0] for each in found)


class Ears:
    """Hears each step, and when the next one is asked for."""

    def __init__(self) -> None:
        self.heard: list[int | str] = []

    def hear(self, step: StreamingResponse[Any]) -> bool:
        self.heard.append(step.attempt)
        return False

    def taken(self) -> None:
        if self.heard and self.heard[-1] != "taken":
            self.heard.append("taken")


@pytest.mark.anyio
@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("pulls", [True, False])
async def test_a_listener_hears_of_each_step_and_of_its_being_taken(read: bool, pulls: bool) -> None:
    seen, ears = Seen(5), Ears()

    @flowing
    async def listening(request: StreamingStructuredRequest[Any]) -> Parts:
        async with aclosing(Inner(seen.by_rest("in")(seen.pulled if pulls else seen.call)(request))) as steps:
            yield (yield Rest(steps, each=ears.hear, taken=ears.taken))

    steps = listening(REQUEST)
    numbers = []
    async with aclosing(Reader(steps) if read else steps) as reader:
        async for step in reader:
            numbers.append(step.attempt)
            assert step.outcome is not None or ears.heard[-1] == step.attempt
    assert numbers == [1, 2, 3, 4, 5, 1]
    assert ears.heard == [1, "taken", 2, "taken", 3, "taken", 4, "taken", 5, "taken"]
    assert seen.told == ["in first 1", *(f"in {at}" for at in range(1, 6)), "in last", "call closed", "in closed"]


@pytest.mark.anyio
@pytest.mark.parametrize("begins", ["", "a", "b", "abc"])
async def test_between_source_and_reader_a_step_passes_no_generator(begins: str) -> None:
    """Looked at: who waits for the function that gives the step, also where some policies took the first themselves."""
    seen = Seen(300)
    left = list(seen.steps)
    waiting: list[set[str]] = []

    async def read() -> StreamingResponse[Any] | None:
        waiting.append({frame.name for frame in traceback.extract_stack(limit=12)})
        return left.pop(0) if left else None

    async def source() -> Parts:
        while left:
            yield Pull(read)
        yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("no"))

    policies = [seen.by_rest(name, begins=name in begins) for name in "abc"]
    steps = stack(lambda request: Flow(source()), *policies)(REQUEST)
    assert len([step async for step in Reader(steps)]) == 301
    generators = {"_flat", "source", "run"}
    assert "_flat" in waiting[0]  # the policies want to hear the first step
    assert not any(waited & generators for waited in waiting[1:])
    assert (len(waiting), seen.resumed) == (301, 3)


@pytest.mark.anyio
async def test_a_reader_that_is_cancelled_closes_what_it_reads_and_one_that_is_dropped_too() -> None:
    told: list[str] = []
    closed = asyncio.Event()

    async def read() -> StreamingResponse[Any] | None:
        await asyncio.Event().wait()
        return None

    async def source() -> Parts:
        try:
            yield StreamingResponse[Any]()
            yield Pull(read)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
        finally:
            closed.set()

    reader = Reader(Flow(source()))
    await anext(reader)
    task = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert reader.running
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cancelled"]
    assert closed.is_set()
    assert not reader.running

    seen = Seen(0)
    for layers in ([], [seen.by_rest("a"), seen.by_rest("b", begins=True), seen.by_step("c")]):
        closed.clear()
        dropped = Reader(stack(lambda request: Flow(source()), *layers)(REQUEST))
        await anext(dropped)
        gc.disable()  # nothing of it stands in a circle: it is known at once that nobody has it any more
        try:
            del dropped
            await asyncio.wait_for(closed.wait(), 5)  # asyncio closes it in a task of its own
        finally:
            gc.enable()


@pytest.mark.anyio
async def test_nothing_is_read_of_a_call_that_was_closed() -> None:
    reads = itertools.count()

    async def read() -> StreamingResponse[Any]:
        next(reads)
        return StreamingResponse[Any]()

    async def source() -> Parts:
        yield Pull(read)

    reader = Reader(Flow(source()))
    await anext(reader)
    await reader.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert next(reads) == 1


class Oops(Exception):
    """An error that is none of this library's."""


@pytest.mark.anyio
async def test_what_a_call_raised_is_freed_with_the_last_who_holds_it() -> None:
    """Its traceback holds every frame that it passed, and with them all that the call had read."""
    raised: list[weakref.ref[Oops]] = []

    async def read() -> StreamingResponse[Any] | None:
        error = Oops()
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def source() -> Parts:
        yield StreamingResponse[Any]()
        yield Pull(read)

    seen = Seen(0)
    gc.disable()  # nothing of it stands in a circle
    try:
        for layers in ([], [seen.by_rest("a"), seen.by_rest("b", begins=True)]):
            reader = Reader(stack(lambda request: Flow(source()), *layers)(REQUEST))
            await anext(reader)
            with suppress(Oops):
                await anext(reader)
            assert raised.pop()() is None
    finally:
        gc.enable()


@pytest.mark.anyio
async def test_a_policy_is_resumed_once_however_many_steps_there_are() -> None:
    for count in (1, 500):
        seen = Seen(count)
        steps = stack(seen.call, *map(seen.by_rest, "abc"))(REQUEST)
        assert len([step async for step in steps]) == count + 1
        assert seen.resumed == 3


@pytest.mark.anyio
async def test_a_policy_may_hand_on_one_call_after_another_and_what_it_makes_itself() -> None:
    seen = Seen(2)

    @flowing
    async def twice(request: StreamingStructuredRequest[Any]) -> Parts:
        for begun in (1, 2):
            async with aclosing(Inner(seen.by_rest("in")(seen.call)(request))) as steps:
                last = yield Rest(steps)
            yield StreamingResponse[Any](attempt=9) if begun == 1 else last

    assert [step.attempt for step in [step async for step in twice(REQUEST)]] == [1, 2, 9, 1, 2, 1]
    assert seen.told.count("call closed") == seen.told.count("in closed") == 2


@pytest.mark.anyio
async def test_steps_that_somebody_has_begun_to_read_go_on_from_there() -> None:
    seen = Seen(3)
    begun: Steps = Inner(stack(seen.call, seen.by_rest("in"))(REQUEST))
    assert (await anext(begun)).attempt == 1

    @flowing
    async def going_on(request: StreamingStructuredRequest[Any]) -> Parts:
        async with aclosing(begun) as steps:
            yield (yield Rest(steps))

    assert [step.attempt async for step in going_on(REQUEST)] == [2, 3, 1]


@pytest.mark.anyio
async def test_a_call_that_ends_without_its_last_step_is_a_fault_of_ours() -> None:
    async def silent(request: StreamingStructuredRequest[Any]) -> Steps:
        return
        yield  # makes it a generator

    seen = Seen(0)
    with pytest.raises(AssertionError, match="last step"):
        [step async for step in seen.by_rest("in")(silent)(REQUEST)]
    assert seen.told == ["in closed"]


@pytest.mark.anyio
async def test_a_cancellation_passes_every_policy_from_the_inside() -> None:
    seen = Seen(1)

    async def waiting(request: StreamingStructuredRequest[Any]) -> Steps:
        async for step in seen.call(request):
            yield step
            await asyncio.Event().wait()

    async def drain() -> None:
        async for _ in stack(waiting, *map(seen.by_rest, "ab"))(REQUEST):
            pass

    task = asyncio.create_task(drain())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [told for told in seen.told if told.endswith("closed")][-2:] == ["b closed", "a closed"]


@pytest.mark.anyio
async def test_the_steps_within_a_policy_are_a_generator_as_any_other() -> None:
    seen = Seen(2)
    steps = stack(seen.call, seen.by_rest("in"))(REQUEST)
    assert isinstance(steps, Flow)
    assert (await steps.asend(None)).attempt == 1
    with pytest.raises(KeyError):
        await steps.athrow(KeyError("mine"))
    assert "in closed" in seen.told
    assert [step async for step in steps] == []
    await steps.aclose()


@pytest.mark.anyio
async def test_what_was_never_begun_is_closed_without_a_word() -> None:
    seen = Seen(2)
    await Inner(stack(seen.call, seen.by_rest("in"))(REQUEST)).aclose()
    assert seen.told == []
