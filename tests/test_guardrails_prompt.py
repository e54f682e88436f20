"""Prompts that are empty or too long are not sent."""

from __future__ import annotations

import pytest

from structstream.errors import ConfigurationError
from structstream.guardrails import PromptLength


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("enough", ""),
        (" \n", "the prompt is empty"),
        (" a ", "the prompt has fewer than 2 characters"),
        ("x" * 11, "the prompt has 11 characters, more than the 10 allowed"),
    ],
)
def test_the_length_is_judged(text: str, reason: str) -> None:
    assert PromptLength(least=2, most=10).check_prompt(text).reason == reason


def test_bounds_must_be_bounds() -> None:
    with pytest.raises(ConfigurationError, match="most not less than that, not 5 and 4"):
        PromptLength(least=5, most=4)
