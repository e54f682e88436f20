"""What is tried when a model has failed for good: one whole answer, the next model, and at last the cache.

`Alternatives` decides; `falling_back` is the layer around it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from structstream.errors import BadRequestError, StreamTimeoutError, UnexpectedResponseError
from structstream.facts import Replanned
from structstream.response import Outcome, StreamingResponse

from . import Rest, flowing
from .tally import Tally

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import FallbackPolicy, Midstream
    from structstream.request import StreamingStructuredRequest
    from structstream.response import AttemptPlan

    from . import Call, Continuing, Layer, Parts

__all__ = ["Alternative", "Alternatives", "Cached", "cannot_stream", "falling_back"]

Cached = Callable[
    ["StreamingStructuredRequest[Any]"], Awaitable["Sequence[StreamingResponse[Any]] | None"]
]  # Any: of any response model
"""Gives the steps of an answer that is kept, though its time may be over; None where there is none."""

_STREAM = re.compile(r"\bstream", re.IGNORECASE)


def cannot_stream(outcome: Outcome[Any]) -> bool:
    """Whether the provider said that streaming is not to be had, in words or by another kind of answer.

    Then the same may be had in one piece. A stream that broke, however early, is a matter of the attempts: who turned
    them off meant one request.

    >>> from structstream.errors import UnexpectedResponseError
    >>> from structstream.response import Outcome, OutcomeKind
    >>> page = UnexpectedResponseError("expected JSON, found an HTML page", provider="openai", status=200)
    >>> cannot_stream(Outcome(OutcomeKind.PROVIDER_ERROR, error=page))
    True
    """
    error = outcome.error
    if isinstance(error, UnexpectedResponseError):
        return error.retryable  # a redirect is not: it leads away for whole answers too
    return isinstance(error, BadRequestError) and _STREAM.search(error.message) is not None


@dataclass(frozen=True, slots=True)
class Alternative:
    """What is tried next.

    Args:
        plan: ``whole`` or ``fallback``.
        request: what is asked.
        rest: the request for what is missing of what was saved, which the attempts make of `request` and the books;
            None where it starts from nothing.
    """

    plan: AttemptPlan
    request: StreamingStructuredRequest[Any]
    rest: StreamingStructuredRequest[Any] | None = None


class Alternatives:
    """Decides what is tried after a model has failed for good.

    Args:
        request: the caller's.
        policy: the settings.
        midstream: what follows when something was shown already.
        tally: the books of the stream.
        continuing: gives the request for what an outcome lacks.
    """

    def __init__(
        self,
        request: StreamingStructuredRequest[Any],
        *,
        policy: FallbackPolicy,
        midstream: Midstream,
        tally: Tally,
        continuing: Continuing,
    ) -> None:
        self._request = self._model = request
        self._policy = policy
        self._midstream = midstream
        self._tally = tally
        self._continuing = continuing
        self._left = deque(request.fallback_models)
        self._count = 1

    def helps(self, outcome: Outcome[Any]) -> bool:
        """Whether anything else may be tried after `outcome`."""
        if outcome.kind not in self._policy.on or (self._tally.shown and self._midstream == "fail"):
            return False
        return not (isinstance(outcome.error, StreamTimeoutError) and outcome.error.deadline == "total")

    def after(self, outcome: Outcome[Any]) -> Alternative | None:
        """Return what is tried next; None where nothing is left."""
        if not self.helps(outcome):
            return None
        if self._policy.whole and self._model.enable_streaming and cannot_stream(outcome):
            self._model = self._numbered(replace(self._model, enable_streaming=False))
            return Alternative("whole", self._model)
        if not self._left:
            return None
        self._model = self._numbered(replace(self._request, model=self._left.popleft()))
        best = self._tally.best
        if self._midstream == "resume" and best is not None:
            return Alternative("fallback", self._model, self._continuing(self._model, best))
        return Alternative("fallback", self._model)

    def _numbered(self, request: StreamingStructuredRequest[Any]) -> StreamingStructuredRequest[Any]:
        """The same key must not go out with another body."""
        self._count += 1
        key = self._request.idempotency_key
        return request if key is None else replace(request, idempotency_key=f"{key}-model{self._count}")


def falling_back(
    *,
    policy: FallbackPolicy,
    midstream: Midstream,
    tally: Tally,
    continuing: Continuing,
    tell: Tell,
    path_of: Callable[[StreamingStructuredRequest[Any]], str] = lambda request: "",
    cached: Cached | None = None,
) -> Layer:
    """Return the layer that asks the next model.

    It stands around the attempts, so that each model has its own retries, breaker and limits.

    Args:
        policy: the settings.
        midstream: what follows when something was shown already.
        tally: the books of the stream.
        continuing: gives the request for what an outcome lacks.
        tell: hears what happened.
        path_of: the place from which a request given by `continuing` goes on.
        cached: gives the answer that is taken at last; None for none.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            alternatives = Alternatives(request, policy=policy, midstream=midstream, tally=tally, continuing=continuing)
            asked: StreamingStructuredRequest[Any] | None = request
            last: StreamingResponse[Any] | None = None
            while asked is not None:
                async with aclosing(call(asked)) as steps:
                    last = yield Rest(steps, tally.show)
                ended = _ended(last)
                tally.note(asked, ended)
                following = alternatives.after(ended)
                if following is not None:
                    path = path_of(following.rest) if following.rest is not None else ""
                    builds = following.rest is not None
                    _replan(tally, tell, following.plan, ended, following.request.model, path, builds=builds)
                asked = None if following is None else following.request
            if last is None:
                raise AssertionError("the last step of a call has its outcome")
            ended = _ended(last)
            if cached is not None and policy.cached and ended.error is not None and alternatives.helps(ended):
                kept = await cached(request)
                if kept is not None:
                    _replan(tally, tell, "cache", ended, request.model, "", builds=False)
                    for step in _numbered(kept, tally):
                        if step.outcome is None:
                            yield tally.show(step)
                        else:
                            last = step
            yield tally.close(last)

        return run

    return layer


def _ended(last: StreamingResponse[Any] | None) -> Outcome[Any]:
    if last is None or last.outcome is None:
        raise AssertionError("the last step of a call has its outcome")
    return last.outcome


def _replan(
    tally: Tally, tell: Tell, plan: AttemptPlan, ended: Outcome[Any], model: str, path: str, *, builds: bool
) -> None:
    if builds and tally.best is not None:
        tally.carry_on(tally.best)
    else:
        tally.start_over()
    tally.begin(plan, ended, path)
    tell(Replanned(plan, ended.kind, type(ended.error).__name__, 0.0, model, path))


def _numbered(steps: Sequence[StreamingResponse[Any]], tally: Tally) -> Sequence[StreamingResponse[Any]]:
    """Give the steps of a kept answer the number of the attempt that it stands for."""
    number = tally.number + 1
    for step in steps:
        step.attempt = number
        if step.outcome is not None:
            step.outcome = replace(
                step.outcome, attempts=[replace(attempt, number=number) for attempt in step.outcome.attempts]
            )
            for attempt in step.outcome.attempts:
                tally.keep(attempt)
    return steps
