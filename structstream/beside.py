"""What an answer carries beside the JSON that is read, through the gate before it is shown."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import BlockedError, StructStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .answer import AnswerReader, Said
    from .gate import Gate
    from .response import TokenLogprob

__all__ = ["guard_errors", "guard_said", "seal_said"]

# A string literal, also one that the end of the text cut off, or what stands between two.
_stretches = re.compile(r'"(?:[^"\\]|\\.)*+(?P<closed>"?)|[^"]++', re.DOTALL)


def guard_said(gate: Gate, said: Said) -> None:
    """Judge every text that was said beside the answer; some may wait for verdicts that are awaited.

    Raises:
        BlockedError: a guardrail said stop, or failed.
    """
    # A text that broke off may have ended in the middle of what is not to be shown.
    cut = said.finish is None or said.finish.reason in ("length", "filtered")
    for kind, parts in said.texts():
        text = "".join(parts)
        parts.clear()  # until it was judged
        if text:
            gate.judge(text, kind, partial(_put, parts), cut=cut)


def _put(parts: list[str], text: str) -> None:
    parts[:] = [text]


def guard_errors(gate: Gate, *errors: StructStreamError | None) -> None:
    """Judge what errors say, and those that they were made of; some may wait for verdicts that are awaited."""
    for failure in _chain(*errors):
        gate.guard_error(failure)


def seal_said(
    gate: Gate,
    answer: AnswerReader[Any],  # Any: of any response model
    error: StructStreamError | None,
) -> None:
    """Settle what may be told at the end: of text that was stopped, or not judged, nothing.

    Args:
        gate: the answer's.
        answer: what was read.
        error: why the answer was ended from outside; None if its body ended.
    """
    ask = gate.asks
    if ask is not None and gate.leave():
        answer.said.withhold()
        if error is None and answer.failure is None:
            answer.fail(BlockedError(ask.rail.name, "its verdict was not awaited", path=ask.path))
    guard_errors(gate, error, answer.failure)
    gate.leave()  # what an error says that nobody has judged stays unsaid
    said = answer.said
    if isinstance(answer.failure, BlockedError):
        said.withhold()
    elif said.logprobs:
        said.logprobs = [] if gate.changed else list(_clean_tokens(gate, said.logprobs))
    if gate.has_late and answer.failure is None and error is None:
        answer.revise(gate.revised)


def _chain(*errors: BaseException | None) -> Iterator[StructStreamError]:
    """The errors, and those that they were made of."""
    seen: set[int] = set()
    waiting = list(errors)
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            waiting += (error.__cause__, error.__context__)
            if isinstance(error, StructStreamError):
                yield error


def _clean_tokens(gate: Gate, tokens: Sequence[TokenLogprob]) -> Iterator[TokenLogprob]:
    """The tokens that spell nothing of what was taken out or held back."""
    text = "".join(token.token for token in tokens)
    dirty = [
        found.span()
        for found in _stretches.finditer(text)
        if (found[0].startswith('"') and not found["closed"]) or gate.redact(found[0]) != found[0]
    ]
    if gate.redact(text) != text and not dirty:
        return  # something that no single stretch shows
    at = 0
    for token in tokens:
        end = at + len(token.token)
        if not any(start < end and at < stop for start, stop in dirty):
            yield token
        at = end
