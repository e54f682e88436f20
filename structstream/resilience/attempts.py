"""The attempts at one model: what follows each, and what the caller sees of it.

`Course` decides and waits for nothing; `attempting` is the layer around it, with tenacity as its engine.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from structstream.errors import (
    BadRequestError,
    ConfigurationError,
    InvalidOutputError,
    StreamCancelledError,
    StructStreamError,
)
from structstream.facts import Replanned, Waited
from structstream.response import OutcomeKind

from . import Rest, asks, ended, flowing
from .holding import Holding, no_text
from .retry import RetryBudget, delay, has_key, judged, keyed, reasked, repeatable
from .tally import Mark, Tally, gained

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import Midstream, RetryPolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import AttemptPlan, Outcome, StreamingResponse

    from . import Call, Continuing, EndpointOf, Layer, Parts, Pause

__all__ = ["Course", "Next", "attempting"]

_TOUCHED = frozenset({OutcomeKind.TRUNCATED, OutcomeKind.INCOMPLETE, OutcomeKind.INVALID})  # the model spoke

# What may be wrong with the request for a rest alone: its schema, or its length.
_UNSAYABLE = (BadRequestError, ConfigurationError)


@dataclass(frozen=True, slots=True)
class Next:
    """Another attempt.

    Args:
        plan: how it goes on.
        request: what is asked.
        after: the outcome that it follows.
        builds: whether it builds on what was saved.
        path: from where it goes on; empty for the start.
        wait: seconds before it.
    """

    plan: AttemptPlan
    request: StreamingStructuredRequest[Any]  # Any: of any response model
    after: Outcome[Any]
    builds: bool = False
    path: str = ""
    wait: float = 0.0


class Course:
    """Decides, after each attempt at a request, whether there is another and which.

    Args:
        request: the caller's, with the model that is asked.
        policy: the settings; None: there is no other attempt.
        midstream: what follows when something was shown already.
        tally: the books of the stream.
        continuing: gives the request for what an outcome lacks.
        path_of: the place from which a request given by `continuing` goes on.
        began: when the first attempt began, in seconds on the clock.

    Attributes:
        first: what is asked first: the rest of what another model had begun, where the books say so.
        body: the number of the body that is sent now: 1 for the first, another for each that differs.
    """

    def __init__(
        self,
        request: StreamingStructuredRequest[Any],
        *,
        policy: RetryPolicy | None,
        midstream: Midstream,
        tally: Tally,
        continuing: Continuing,
        path_of: Callable[[StreamingStructuredRequest[Any]], str],
        began: float,
    ) -> None:
        self._request = request
        self._policy = policy
        self._midstream = midstream
        self._tally = tally
        self._continuing = continuing
        self._path_of = path_of
        self._began = began
        # What the attempts that build on one another hold together.
        self._base = tally.base if policy is not None and midstream == "resume" else None
        rest = None if self._base is None else continuing(request, self._base)
        self.first = request if rest is None else rest
        self._resumed = rest is not None  # whether the attempt under way builds on others
        self._tired = False  # whether none does so any more
        self._closed: Outcome[Any] | None = None  # the one whose brackets were closed
        self._bodies: list[Outcome[Any] | None] = [self._base]  # what each body was made of
        self.body = 1
        self._failures = self._continuations = self._idle = 0

    def after(self, outcome: Outcome[Any], *, now: float, random: Callable[[], float]) -> Next | None:
        """Return what follows an attempt that ended; None where nothing does."""
        policy = self._policy
        if policy is None or outcome.error is None:
            return None
        base = self._grown(outcome)
        verdict = judged(outcome, policy, repeatable=repeatable(self._request))
        if self._resumed and isinstance(outcome.error, _UNSAYABLE):
            verdict, self._tired = "reask", True  # at once, and as a whole: that can be said
        if verdict == "end" or (self._tally.shown and self._midstream == "fail"):
            return None
        if verdict != "reask" and (closing := self._closing(outcome, base, policy)) is not None:
            return closing
        if policy.tokens is not None and (spent := self._tally.usage) and spent.total_tokens >= policy.tokens:
            return None
        # Whether the whole is too long is not known where what is kept was lost, and not cut for its length.
        if verdict == "continue" and not (self._resumed and self._tired and base.kind is not OutcomeKind.TRUNCATED):
            return self._continued(outcome, base, policy)
        self._failures += 1
        wait = 0.0 if verdict == "reask" else delay(outcome, policy, failures=self._failures, random=random)
        late = wait is None or (policy.seconds is not None and now + wait - self._began > policy.seconds)
        if wait is None or late or self._failures > self._request.max_retries:
            return None
        return self._again(outcome, base, policy, wait)

    def take(self, following: Next) -> None:
        """Note that the attempt is made."""
        self._resumed = following.builds
        made_of = self._base if following.builds else following.after if following.plan == "reask" else None
        if not any(made_of is each for each in self._bodies):
            self._bodies.append(made_of)
        self.body = 1 + next(at for at, each in enumerate(self._bodies) if each is made_of)
        if following.builds:
            self._tally.carry_on(self._base or following.after)
        else:
            self._base = None
            self._tally.start_over()
        self._tally.begin(following.plan, following.after, following.path)

    def _grown(self, outcome: Outcome[Any]) -> Outcome[Any]:
        """Return the outcome that holds most of those that build on one another, and count those that add nothing."""
        base = self._base
        if base is None or gained(outcome) > gained(base):
            self._base, self._idle = outcome, 0
            return outcome
        if self._resumed and outcome.kind in _TOUCHED:
            self._idle += 1
        if outcome.kind is OutcomeKind.INVALID and gained(outcome) == gained(base):
            self._base = outcome  # it holds the same, and says what was wrong
        return self._base or outcome

    def _rest(self, base: Outcome[Any], policy: RetryPolicy) -> StreamingStructuredRequest[Any] | None:
        self._tired = self._tired or self._idle >= policy.idle_resumes
        return None if self._tired or self._midstream != "resume" else self._continuing(self._request, base)

    def _closing(self, outcome: Outcome[Any], base: Outcome[Any], policy: RetryPolicy) -> Next | None:
        """Return the attempt that closes what lacks its brackets only: it asks for nothing, so nothing bounds it."""
        if self._request.max_retries == 0 or self._closed is base:
            return None
        rest = self._rest(base, policy)
        if rest is None or asks(rest):
            return None
        self._closed = base
        return Next("resume", rest, outcome, builds=True, path=self._path_of(rest))

    def _continued(self, outcome: Outcome[Any], base: Outcome[Any], policy: RetryPolicy) -> Next | None:
        self._continuations += 1
        if self._request.max_retries == 0 or self._continuations > policy.continuations:
            return None
        rest = self._rest(base, policy)
        return None if rest is None else Next("resume", rest, outcome, builds=True, path=self._path_of(rest))

    def _again(self, outcome: Outcome[Any], base: Outcome[Any], policy: RetryPolicy, wait: float) -> Next:
        invalid = isinstance(outcome.error, InvalidOutputError)
        # The last retry is for what may still help: a whole answer, where asking for the rest has brought nothing.
        self._tired = self._tired or (not invalid and self._idle > 0 and self._failures == self._request.max_retries)
        if (rest := self._rest(base, policy)) is not None:
            plan: AttemptPlan = "reask" if invalid else "resume"
            return Next(plan, rest, outcome, builds=True, path=self._path_of(rest), wait=wait)
        if invalid:
            return Next("reask", reasked(self._request, outcome), outcome, wait=wait)
        plan = "retry"
        if self._tally.shown:
            plan = "hold" if self._midstream == "hold" else "restart"
        return Next(plan, self._request, outcome, wait=wait)


def attempting(
    *,
    policy: RetryPolicy | None,
    midstream: Midstream,
    tally: Tally,
    budget: RetryBudget,
    continuing: Continuing,
    endpoint_of: EndpointOf,
    tell: Tell,
    pause: Pause,
    now: Callable[[], float],
    path_of: Callable[[StreamingStructuredRequest[Any]], str] = lambda request: "",
    takes_key: Callable[[StreamingStructuredRequest[Any]], bool] = lambda request: False,
    length_at: Callable[[Any, str], int] = no_text,  # Any: a snapshot of any response model
    chance: Callable[[], float] = random.random,
) -> Layer:
    """Return the layer that makes the attempts at one model.

    It stands around all that belongs to a single call, so that each attempt passes breaker and limits anew.

    Args:
        policy: the settings; None: one attempt.
        midstream: what follows when something was shown already.
        tally: the books of the stream.
        budget: that of the service.
        continuing: gives the request for what an outcome lacks.
        endpoint_of: who is asked.
        tell: hears what happened.
        pause: waits.
        now: the clock.
        path_of: the place from which a request given by `continuing` goes on.
        takes_key: whether an idempotency key is sent though the caller gave none.
        length_at: tells the characters of the text at a path of a snapshot; 0 where none is there.
        chance: gives a number from 0 to 1.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            course = Course(
                request,
                policy=policy,
                midstream=midstream,
                tally=tally,
                continuing=continuing,
                path_of=path_of,
                began=now(),
            )
            key = request.idempotency_key
            if key is None and takes_key(request) and not has_key(request):
                key = f"structstream-{uuid.uuid4()}"
            state = _Run(course, policy, tally, budget, tell, endpoint_of(request).provider, now, chance, pause)
            state.hold, state.key, state.length_at = midstream == "hold", key, length_at
            budget.enter()
            try:
                async for attempt in AsyncRetrying(
                    sleep=state.sleep, wait=state.wait, retry=retry_if_result(state.again)
                ):
                    if not state.begin():
                        break
                    async with aclosing(call(state.request)) as steps:
                        if not state.hold:
                            state.last = yield Rest(steps, state.show)
                        else:
                            async for step in steps:
                                if step.outcome is not None:
                                    state.last = step
                                elif (shown := state.show(step)) is not None:
                                    yield shown
                    state.end()
                    attempt.retry_state.set_result(None)
                yield tally.close(state.last)
            finally:
                state.leave()

        return run

    return layer


class _Run:
    """The attempts of one request, between the engine and the decisions."""

    hold = False
    key: str | None = None
    length_at: Callable[[Any, str], int] = staticmethod(no_text)
    last: StreamingResponse[Any]

    def __init__(
        self,
        course: Course,
        policy: RetryPolicy | None,
        tally: Tally,
        budget: RetryBudget,
        tell: Tell,
        provider: str,
        now: Callable[[], float],
        chance: Callable[[], float],
        pause: Pause,
    ) -> None:
        self._course = course
        self._policy = policy
        self._tally = tally
        self._budget = budget
        self._tell = tell
        self._provider = provider
        self._now = now
        self._chance = chance
        self._pause = pause
        self._next: Next | None = None
        self._permit = False  # whether a place of the retry budget is ours
        self._ended_by: StructStreamError | None = None
        self._holding: Holding | None = None
        self._length = 0
        self._open = ""  # the path that is open innermost

    @property
    def request(self) -> StreamingStructuredRequest[Any]:
        request = self._course.first if self._next is None else self._next.request
        return request if self.key is None else keyed(request, self.key, self._course.body)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next attempt; what ends the wait ends the attempts."""
        try:
            await self._pause(seconds)
        except StructStreamError as error:
            self._ended_by = error

    @property
    def _outcome(self) -> Outcome[Any]:
        outcome = self.last.outcome
        if outcome is None:
            raise AssertionError("the last step of a call has its outcome")
        return outcome

    def again(self, result: object) -> bool:
        """Decide; the engine asks this after each attempt."""
        outcome = self._outcome
        following = self._course.after(outcome, now=self._now(), random=self._chance)
        policy = self._policy
        if following is None or policy is None:
            return False
        # What was cut for its length is no failure, and what sends nothing makes nothing worse.
        if outcome.kind is not OutcomeKind.TRUNCATED and asks(following.request):
            self._permit = self._budget.take(policy)
            if not self._permit:
                self._tell(Waited("retries", self._provider, 0.0, refused=True))
                return False
        self._next = following
        return True

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds that the engine waits."""
        return 0.0 if self._next is None else self._next.wait

    def begin(self) -> bool:
        """Note that an attempt begins; return False where no time is left for it, or nobody who waits."""
        if isinstance(self._ended_by, StreamCancelledError):
            self.last = ended(OutcomeKind.CANCELLED, self._ended_by)
        if self._ended_by is not None:
            return False  # the deadline: what the last attempt ended in tells more
        following = self._next
        if following is not None:
            self._course.take(following)
            error = following.after.error
            self._tell(
                Replanned(
                    following.plan,
                    following.after.kind,
                    type(error).__name__,
                    following.wait,
                    following.request.model,
                    following.path,
                )
            )
        mark = self._tally.mark
        self._holding = Holding(mark, self.length_at) if self.hold and mark is not None else None
        self._length, self._open = 0, ""
        return True

    def show(self, step: StreamingResponse[Any]) -> StreamingResponse[Any] | None:
        """Return the step that may be shown now; None for none."""
        if self.hold:
            self._length += sum(map(len, step.raw_chunks))
            if step.changed:  # in the order of the text
                last = step.changed[-1]
                self._open = "" if last in step.completed else last
        if self._holding is not None:
            shown = self._holding.feed(step)
            if shown is None:
                return None
            self._holding, step = None, shown
        return self._tally.show(step)

    def end(self) -> None:
        """Write down how the attempt ended."""
        outcome = self._outcome
        self._give()
        self._tally.note(self.request, outcome)
        if self._holding is not None and outcome.error is None:
            self.last = self._holding.feed(self.last) or self.last
        elif self.hold and self._holding is None and self._tally.shown:
            shown = self.length_at(outcome.last_partial, self._open)
            self._tally.mark = Mark(frozenset(outcome.completed), self._length, self._open, shown)

    def leave(self) -> None:
        """Give back what is held, and forget the answer: the engine stands in a circle, and is freed late."""
        self._give()
        self._budget.leave()
        vars(self).clear()

    def _give(self) -> None:
        if self._permit:
            self._permit = False
            self._budget.give()
