"""What the policies of one stream write down together: attempts, their cost, the best that was saved, what was shown.

Pure bookkeeping: no policy decides here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from structstream.response import AttemptStart, Outcome, OutcomeKind, StreamingResponse, Usage

if TYPE_CHECKING:
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Attempt, AttemptPlan

__all__ = ["CHARACTERS_PER_TOKEN", "Mark", "Tally", "estimated", "gained"]

CHARACTERS_PER_TOKEN = 4
"""What tokens are estimated from where a provider reports none: the common rule of thumb for English text and JSON."""

_SAYS_WHO = frozenset({"fallback", "whole", "cache"})


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an attempt was shown.

    Args:
        closed: the paths that had closed.
        length: the characters of JSON text that had come.
        open: the path that was open innermost; empty for none.
        shown: the characters that were shown of it, where it is a text.
    """

    closed: frozenset[str]
    length: int
    open: str = ""
    shown: int = 0


def gained(outcome: Outcome[Any]) -> tuple[int, int]:  # Any: of any response model
    """Return how much an outcome holds: closed paths first, then characters; to be compared.

    >>> gained(Outcome(OutcomeKind.INCOMPLETE, completed=["a"], raw_text='{"a": 1, "b"'))
    (1, 12)
    """
    return len(outcome.completed), len(outcome.raw_text)


def estimated(request: StreamingStructuredRequest[Any], characters: int) -> Usage:
    """Return what an answer of so many characters may have cost, flagged as estimated.

    >>> from structstream.request import StreamingStructuredRequest
    >>> estimated(StreamingStructuredRequest(response_model=int, model="openai/o3", prompt="Legs of a cat?"), 9)
    Usage(input_tokens=4, output_tokens=3, cached_input_tokens=0, reasoning_tokens=0, estimated=True)
    """
    asked = sum(_length(message.get("content")) for message in request.conversation)
    return Usage(_tokens(asked), _tokens(characters), estimated=True)


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def _length(content: object) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list | tuple):  # parts; of an image or a file the text says nothing
        return sum(_length(part.get("text")) for part in content if isinstance(part, Mapping))
    return 0


class Tally:
    """The books of one stream.

    An attempt belongs to a chain: those that built on one another, by resuming. A fresh start begins a new chain, and
    all attempts outside the chain whose outcome is handed over were thrown away.

    Attributes:
        shown: whether the caller has got a step yet.
        mark: how far what was shown had come; None where nobody asks.
        best: the outcome that holds most; None before an attempt ended.
        base: the outcome that the attempt under way builds on; None where it builds on nothing.
    """

    def __init__(self) -> None:
        self.shown = False
        self.mark: Mark | None = None
        self.best: Outcome[Any] | None = None
        self.base: Outcome[Any] | None = None
        self._begins: AttemptStart | None = None
        self._attempts: dict[int, Attempt] = {}
        self._chain: frozenset[int] = frozenset()
        self._best_chain: frozenset[int] = frozenset()
        self._lost: set[int] = set()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Those that have ended, by their numbers."""
        return tuple(self._attempts[number] for number in sorted(self._attempts))

    @property
    def usage(self) -> Usage | None:
        """The tokens of all attempts; None where nothing is known of any."""
        known = [attempt.usage for attempt in self._attempts.values() if attempt.usage is not None]
        return sum(known, Usage()) if known else None

    @property
    def number(self) -> int:
        """The highest number of an attempt; 0 before one ended."""
        return max(self._attempts, default=0)

    def show(self, step: StreamingResponse[Any]) -> StreamingResponse[Any]:
        """Return `step`, about to be shown: the first of another attempt says so."""
        if self._begins is not None:
            step.begins, self._begins = self._begins, None
        self.shown = True
        return step

    def note(self, request: StreamingStructuredRequest[Any], outcome: Outcome[Any]) -> None:
        """Write down the attempts of a call that ended; those that are known already stay as they are."""
        fresh = [attempt for attempt in outcome.attempts if attempt.number not in self._attempts]
        for attempt in fresh:
            self.add(attempt, request, outcome if attempt is fresh[-1] else None)
        self._chain |= {attempt.number for attempt in fresh} - self._lost
        # An outcome without an attempt of its own is a sum of others, which are written down already.
        if self.best is None or (fresh and gained(outcome) >= gained(self.best)):
            self.best, self._best_chain = outcome, self._chain

    def add(
        self, attempt: Attempt, request: StreamingStructuredRequest[Any], outcome: Outcome[Any] | None = None
    ) -> None:
        """Write down one attempt; where its provider reported no tokens they are estimated from `outcome`'s text.

        So is the output of one that was counted on the way only: a count at the start says nothing of what came.
        """
        usage = attempt.usage
        if (usage is None or usage.estimated) and outcome is not None:
            said = (outcome.thinking, outcome.refusal, outcome.prose)
            given = 0 if self.base is None else len(self.base.raw_text)
            characters = max(0, len(outcome.raw_text) - given) + sum(map(len, said))
            if characters:
                guess = estimated(request, characters)
                if usage is not None:
                    guess = replace(usage, output_tokens=max(usage.output_tokens, guess.output_tokens))
                attempt = replace(attempt, usage=guess)
        self._attempts.setdefault(attempt.number, attempt)

    def keep(self, attempt: Attempt) -> None:
        """Write down an attempt that needed no provider: its answer counts and costs nothing."""
        self._attempts[attempt.number] = attempt
        self._chain |= {attempt.number}

    def lose(
        self, attempt: Attempt, request: StreamingStructuredRequest[Any], outcome: Outcome[Any] | None = None
    ) -> None:
        """Write down an attempt whose answer nobody waited for."""
        self.add(attempt, request, outcome)
        self._lost.add(attempt.number)

    def carry_on(self, outcome: Outcome[Any]) -> None:
        """Note that the next attempt builds on `outcome`."""
        self.base = outcome

    def start_over(self) -> None:
        """Note that the next attempt builds on nothing."""
        self.base = None
        self._chain = frozenset()

    def begin(self, plan: AttemptPlan, after: Outcome[Any], path: str = "") -> None:
        """Note that another attempt begins: the first step that is shown of it will say so, if any was shown before."""
        if not self.shown:
            return
        start = AttemptStart(plan, after.kind, "" if after.error is None else str(after.error), path)
        waiting = self._begins
        if waiting is not None and waiting.plan in _SAYS_WHO and plan not in _SAYS_WHO:
            start = replace(waiting, path=path)  # nobody has seen the change of model yet
        self._begins = start

    def total(self, outcome: Outcome[Any]) -> Outcome[Any]:
        """Return `outcome` with the attempts and tokens of all, and the best that was saved where it holds less itself.

        An attempt of `outcome` that was not noted, as that of a call which was left midway, counts as it is. Of a
        stream that a guardrail stopped nothing older is handed over: nobody has judged it.
        """
        fresh = {attempt.number: attempt for attempt in outcome.attempts if attempt.number not in self._attempts}
        self._attempts |= fresh
        self._chain |= fresh.keys()
        best, chain = self.best, self._chain
        saved = outcome
        if (
            outcome.error is not None
            and outcome.kind is not OutcomeKind.BLOCKED
            and best is not None
            and gained(best) > gained(outcome)
        ):
            chain = self._best_chain
            saved = replace(outcome, last_partial=best.last_partial, completed=best.completed, raw_text=best.raw_text)
        wasted = [
            attempt.usage.output_tokens
            for number, attempt in self._attempts.items()
            if number not in chain and attempt.usage is not None
        ]
        found = replace(saved, attempts=self.attempts, usage=self.usage or outcome.usage, wasted_tokens=sum(wasted))
        if found.error is not None:
            found.error.outcome = found
        return found

    def close(self, last: StreamingResponse[Any]) -> StreamingResponse[Any]:
        """Return the last step with its outcome completed by `total`."""
        if last.outcome is None:
            raise AssertionError("the last step has an outcome")
        last.outcome = self.total(last.outcome)
        last.attempt = max(last.attempt, self.number)
        if self._begins is not None:  # still told of: whoever is around us may not show this step
            last.begins = self._begins
        return last
