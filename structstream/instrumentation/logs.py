"""Structured logs under the logger ``structstream``: one line for each stream, and the flow where DEBUG is on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    FirstToken,
    Hedged,
    Judged,
    Replanned,
    Stepped,
    StepsJoined,
    StreamBegan,
    StreamEnded,
    Waited,
)
from structstream.response import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from structstream.facts import Fact, StreamInfo
    from structstream.response import Outcome, StreamingResponse

__all__ = ["LogObserver"]

_QUIET = frozenset({OutcomeKind.COMPLETE, OutcomeKind.CANCELLED})
"""Ends that need nobody's attention: the answer is there, or its caller left."""

# What DEBUG says of each fact.
_FLOW: dict[type[Any], Callable[[Any], str]] = {  # Any: each its own fact
    StreamBegan: lambda fact: "begins",
    AttemptBegan: lambda fact: f"attempt {fact.number} asks {fact.provider}/{fact.model}, mode {fact.mode}",
    FirstToken: lambda fact: f"attempt {fact.number}: first bytes after {fact.seconds:.3f} s",
    AttemptEnded: lambda fact: f"attempt {fact.attempt.number}: {fact.attempt.kind} after {fact.seconds:.3f} s",
    Replanned: lambda fact: f"{fact.plan} with {fact.model} in {fact.wait:.3f} s, after {fact.error}",
    BreakerChanged: lambda fact: f"breaker of {fact.provider}/{fact.model}: {fact.before} to {fact.after}",
    Waited: lambda fact: f"{'refused by' if fact.refused else 'waited for'} {fact.limit}, {fact.seconds:.3f} s",
    ConcurrencyChanged: lambda fact: f"{fact.provider} takes {fact.limit} calls at once",
    CacheLooked: lambda fact: f"cache {'hit' if fact.hit else 'miss'}",
    Hedged: lambda fact: f"hedged; {fact.won} spoke first",
    Judged: lambda fact: f"guardrail {fact.guardrail}: {fact.action}",
    StepsJoined: lambda fact: f"{fact.steps} steps are shown within a later one: the caller is slow, or wanted fewer",
    CallbackFailed: lambda fact: f"callback {fact.callback} raised {fact.error}",
}


class LogObserver:
    """Writes what happens to streams into the log.

    The line at the end of a stream is INFO, or WARNING where it failed, and carries its figures as ``extra`` fields:
    ``stream``, ``model``, ``response_model``, ``outcome``, ``error`` (the class), ``seconds``, ``attempts``,
    ``input_tokens``, ``output_tokens``, ``wasted_tokens`` and, where the service takes them, ``time_to_first_token``,
    ``tokens_per_second``, ``gap_p99`` and ``cost``. DEBUG shows the flow. No line holds text of a prompt or an answer.

    Args:
        content: whether DEBUG also shows the text of the answer as it comes, and the last line how an error says it.
            Only for a machine of your own: what is logged is stored.
        logger: takes the lines; None for ``structstream``.

    >>> logging.getLogger("structstream").setLevel(logging.INFO)
    >>> observer = LogObserver()
    """

    def __init__(self, *, content: bool = False, logger: logging.Logger | None = None) -> None:
        self._content = content
        self._logger = logger or logging.getLogger("structstream")

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if type(fact) is StreamEnded:
            self._end(info, fact)
        elif not self._logger.isEnabledFor(logging.DEBUG):
            return
        elif type(fact) is Stepped:
            self._step(info, fact.response)
        else:
            # A name that a caller chose may hold a line break.
            said = _FLOW[type(fact)](fact).replace("\n", " ")
            extra = {**_whose(info), "fact": type(fact).__name__}
            self._logger.debug("stream %d: %s", info.id, said, extra=extra)

    def _step(self, info: StreamInfo, step: StreamingResponse[Any]) -> None:
        text = f": {''.join(step.raw_chunks)!r}" if self._content and step.raw_chunks else ""
        many = sum(map(len, step.raw_chunks))
        extra = {**_whose(info), "fact": "Stepped", "characters": many, "percent": step.progress_percent}
        self._logger.debug("stream %d: %d characters, %.0f %%%s", info.id, many, extra["percent"], text, extra=extra)

    def _end(self, info: StreamInfo, fact: StreamEnded) -> None:
        outcome = fact.outcome
        level = logging.INFO if outcome.kind in _QUIET else logging.WARNING
        if not self._logger.isEnabledFor(level):
            return
        extra = {**_whose(info), **_figures(outcome), "seconds": fact.seconds}
        why = "" if outcome.error is None else f", {type(outcome.error).__name__}"
        if outcome.error is not None and self._content:
            why += f": {outcome.error}"
        self._logger.log(
            level, "stream %d: %s after %.3f s%s", info.id, outcome.kind.value, fact.seconds, why, extra=extra
        )


def _whose(info: StreamInfo) -> dict[str, Any]:  # Any: fields of several kinds
    return {"stream": info.id, "model": info.model, "response_model": info.response_model}


def _figures(outcome: Outcome[Any]) -> dict[str, Any]:
    usage, metrics = outcome.usage, outcome.metrics
    found: dict[str, Any] = {
        "outcome": outcome.kind.value,
        "error": None if outcome.error is None else type(outcome.error).__name__,
        "attempts": len(outcome.attempts),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "wasted_tokens": outcome.wasted_tokens,
    }
    if metrics is not None:
        found |= {
            "time_to_first_token": metrics.time_to_first_token,
            "tokens_per_second": metrics.tokens_per_second,
            "gap_p99": metrics.gap_p99,
            "cost": metrics.cost,
        }
    return found
