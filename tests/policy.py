"""Fakes for the tests of the policies: a provider that plays what it is told, and one stream's surroundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from structstream.clock import Clock
from structstream.errors import IncompleteError, StreamCancelledError, StructStreamError
from structstream.facts import Fact
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call, Endpoint, Pause, Steps
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage, kind_of
from structstream.testing import FakeClock

REQUEST = StreamingStructuredRequest(response_model=list[int], model="fake/large", prompt="Count to three, please!")


@dataclass(frozen=True)
class Said:
    """What one step brought."""

    snapshot: Any
    changed: Sequence[str] = ()
    completed: Sequence[str] = ()
    percent: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What a call gives: `pieces` of text, each a step, and then its end.

    Each piece closes the paths that stand under its index in `closes`. A call that resumes (its ``extra`` says of what)
    has that text before its own.
    """

    pieces: Sequence[str] = ()
    error: StructStreamError | None = None
    closes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    usage: Usage | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    before: float = 0.0  # seconds before the first piece, on the clock
    sent: bool = True  # whether a request went out


class FakeProvider:
    """Plays its answers one after the other, the last one for ever; or what a function of the request says."""

    def __init__(
        self, *answers: Answer, clock: Clock | None = None, say: Callable[[Any], Answer] | None = None
    ) -> None:
        self.answers = list(answers)
        self.clock = clock
        self.say = say
        self.requests: list[StreamingStructuredRequest[Any]] = []
        self.attempts: list[Attempt] = []
        self.left: list[Outcome[Any]] = []
        self.open = 0
        self.most_open = 0

    async def call(self, request: StreamingStructuredRequest[Any]) -> Steps:
        answer = self.say(request) if self.say else self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        number = len(self.requests)
        text, closed = request.extra.get("rest_of", ""), list(request.extra.get("closed", ()))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if answer.before and self.clock is not None:
                await self.clock.sleep(answer.before)
            for at, piece in enumerate(answer.pieces):
                text += piece
                paths = answer.closes.get(at, ())
                closed += paths
                yield StreamingResponse(Said(text, paths, paths), [piece], attempt=number)
            outcome = self._outcome(request, number, answer, text, closed)
        except (BaseException, GeneratorExit):
            gone = replace(answer, error=StreamCancelledError("left"), usage=None)
            self.left.append(self._outcome(request, number, gone, text, closed))
            self.open -= 1
            raise
        try:
            yield StreamingResponse(Said(text), attempt=number, outcome=outcome)
        finally:
            self.open -= 1

    def _outcome(
        self, request: StreamingStructuredRequest[Any], number: int, answer: Answer, text: str, closed: list[str]
    ) -> Outcome[Any]:
        error = answer.error
        kind = OutcomeKind.COMPLETE if error is None else kind_of(error)
        provider, model = endpoint_of(request)
        if answer.sent:
            reason = "" if error is None else str(error)
            self.attempts.append(Attempt(number, provider, model, "native", kind, reason, answer.usage))
        return Outcome(
            kind,
            result=None if error is not None else text,
            error=error,
            last_partial=text or None,
            completed=tuple(closed),
            raw_text=text,
            attempts=tuple(self.attempts),
            usage=answer.usage,
            headers=answer.headers,
        )

    def lost(self) -> Outcome[Any] | None:
        """What the call that was closed last left behind."""
        return self.left[-1] if self.left else None


def endpoint_of(request: StreamingStructuredRequest[Any]) -> Endpoint:
    return Endpoint(*request.model.split("/"))


def broken(*pieces: str, closes: Mapping[int, Sequence[str]] | None = None, usage: Usage | None = None) -> Answer:
    return Answer(pieces, IncompleteError("the connection ended without a finish"), closes or {}, usage)


def continuing(
    request: StreamingStructuredRequest[Any], outcome: Outcome[Any]
) -> StreamingStructuredRequest[Any] | None:
    """Ask for the rest of a text, if there is any of it."""
    if not outcome.raw_text:
        return None
    return replace(request, extra={"rest_of": outcome.raw_text, "closed": list(outcome.completed)})


def never(request: StreamingStructuredRequest[Any], outcome: Outcome[Any]) -> None:
    return None


def pausing(clock: Clock, slept: list[float] | None = None) -> Pause:
    async def pause(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)
        await clock.sleep(seconds)

    return pause


class Impatient(FakeClock):
    """A fake clock that jumps ahead as soon as somebody sleeps: for tests with one task."""

    async def sleep(self, seconds: float) -> None:
        await self.advance(max(0.0, seconds))


async def drained(call: Call, request: StreamingStructuredRequest[Any] = REQUEST) -> list[StreamingResponse[Any]]:
    async with aclosing(call(request)) as steps:
        return [step async for step in steps]


def outcome_of(steps: list[StreamingResponse[Any]]) -> Outcome[Any]:
    """The outcome of the last step, and of that alone."""
    assert [step.is_complete for step in steps] == [False] * (len(steps) - 1) + [True]
    outcome = steps[-1].outcome
    assert outcome is not None
    return outcome


class Facts(list[Fact]):
    """Hears what is told."""

    def tell(self, fact: Fact) -> None:
        self.append(fact)

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self if isinstance(fact, kind)]
