"""How many tokens a model may think, said as each provider wants to hear it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from structstream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structstream.request import StreamingStructuredRequest

    from .base import JSONValue, ProviderSpec, ThinkingForm

__all__ = ["THINKING", "with_thinking"]

T = TypeVar("T")

# OpenAI knows levels and no tokens; each stands for budgets up to its bound.
_LEVELS: tuple[tuple[int, str], ...] = ((0, "minimal"), (2_048, "low"), (8_192, "medium"))
_HIGHEST = "high"
_LEAST_OF_ANTHROPIC = 1_024  # tokens; a smaller budget is refused


def _level(tokens: int) -> str:
    return next((level for bound, level in _LEVELS if tokens <= bound), _HIGHEST)


def _anthropic(tokens: int) -> dict[str, JSONValue]:
    if not tokens:
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled", "budget_tokens": max(tokens, _LEAST_OF_ANTHROPIC)}}


def _google(tokens: int) -> dict[str, JSONValue]:
    return {"generationConfig": {"thinkingConfig": {"thinkingBudget": tokens, "includeThoughts": tokens > 0}}}


THINKING: Mapping[ThinkingForm, Callable[[int], dict[str, JSONValue]]] = {
    "reasoning_effort": lambda tokens: {"reasoning_effort": _level(tokens)},
    "reasoning.effort": lambda tokens: {"reasoning": {"effort": _level(tokens)}},
    "reasoning.max_tokens": lambda tokens: {"reasoning": {"max_tokens": tokens} if tokens else {"enabled": False}},
    "thinking": _anthropic,
    "thinkingConfig": _google,
}
"""What of a body says a budget in tokens, by the form that a provider's row names."""


def with_thinking(request: StreamingStructuredRequest[T], spec: ProviderSpec) -> StreamingStructuredRequest[T]:
    """Return `request` with its thinking budget among its extra parameters; what the caller put there wins.

    Raises:
        ConfigurationError: the provider takes no budget.
    """
    if request.thinking_budget is None:
        return request
    if spec.thinking is None:
        raise ConfigurationError(
            f"{spec.name} takes no thinking_budget: leave it out, or say in extra what its models understand"
        )
    said = THINKING[spec.thinking](request.thinking_budget)
    return replace(request, thinking_budget=None, extra=_joined(said, request.extra))


def _joined(ours: Mapping[str, JSONValue], theirs: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    both = {**ours, **theirs}
    for name in ours.keys() & theirs.keys():
        if isinstance(ours[name], dict) and isinstance(theirs[name], dict):
            both[name] = _joined(ours[name], theirs[name])
    return both
