"""The plainest check: a prompt that is empty or too long is not sent."""

from __future__ import annotations

from structstream.errors import ConfigurationError
from structstream.verdicts import ALLOW, Guardrail, Verdict

__all__ = ["PromptLength"]


class PromptLength(Guardrail):
    """Keeps a conversation from being sent whose text is too short or too long.

    Args:
        least: characters that there must be, blanks at the ends not counted; 1 refuses an empty prompt.
        most: characters that there may be, all messages together.

    Raises:
        ConfigurationError: the bounds are no bounds.

    >>> PromptLength(most=10).check_prompt("What is the answer?").reason
    'the prompt has 19 characters, more than the 10 allowed'
    """

    name = "prompt length"
    kinds = frozenset()

    def __init__(self, *, least: int = 1, most: int = 1_000_000) -> None:
        if not (type(least) is int and type(most) is int and 0 <= least <= most):
            raise ConfigurationError(
                "least and most must be integers, least 0 or more and most not less than that, "
                f"not {least!r} and {most!r}"
            )
        self.least = least
        self.most = most

    def check_prompt(self, text: str) -> Verdict:
        """Judge the length."""
        if len(text.strip()) < self.least:
            return Verdict.stop(
                f"the prompt has fewer than {self.least} characters" if text.strip() else "the prompt is empty"
            )
        if len(text) > self.most:
            return Verdict.stop(f"the prompt has {len(text)} characters, more than the {self.most} allowed")
        return ALLOW
