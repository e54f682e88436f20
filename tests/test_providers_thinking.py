"""A thinking budget is said as each provider wants to hear it, or refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from structstream.errors import ConfigurationError
from structstream.providers import ROUTES, route
from structstream.providers.thinking import THINKING
from structstream.request import StreamingStructuredRequest


def body(model: str, budget: int | None, **more: Any) -> dict[str, Any]:  # Any: JSON
    request = StreamingStructuredRequest(
        response_model=int, model=model, prompt="2 + 2?", thinking_budget=budget, **more
    )
    return dict(route(model).encode(request).body)


@pytest.mark.parametrize(
    ("budget", "level"), [(0, "minimal"), (1, "low"), (2048, "low"), (2049, "medium"), (8192, "medium"), (8193, "high")]
)
def test_openai_hears_the_nearest_level(budget: int, level: str) -> None:
    assert body("openai/o3", budget)["reasoning_effort"] == level
    assert body("openai-responses/o3", budget)["reasoning"] == {"effort": level}


def test_the_others_hear_tokens() -> None:
    thinking = body("anthropic/claude-sonnet-4-5", 4000)
    assert thinking["thinking"] == {"type": "enabled", "budget_tokens": 4000}
    assert thinking["max_tokens"] > 4000
    assert body("anthropic/claude-sonnet-4-5", 5)["thinking"]["budget_tokens"] == 1024
    assert body("anthropic/claude-sonnet-4-5", 0)["thinking"] == {"type": "disabled"}
    config = body("google/gemini-2.5-flash", 512)["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingBudget": 512, "includeThoughts": True}
    assert body("openrouter/x/y", 512)["reasoning"] == {"max_tokens": 512}
    assert body("openrouter/x/y", 0)["reasoning"] == {"enabled": False}


def test_what_the_caller_says_himself_wins() -> None:
    extra = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 7}, "topK": 3}}
    config = body("google/gemini-2.5-flash", 512, extra=extra)["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingBudget": 7, "includeThoughts": True}
    assert config["topK"] == 3


def test_without_a_budget_nothing_is_said() -> None:
    said = {"reasoning_effort", "reasoning", "thinking", "thinkingConfig"}
    for model in ("openai/o3", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-flash"):
        assert said.isdisjoint(body(model, None))


def test_a_provider_that_takes_none_says_so() -> None:
    with pytest.raises(ConfigurationError, match="groq takes no thinking_budget"):
        body("groq/llama", 100)


def test_each_form_of_a_row_has_its_words() -> None:
    assert {spec.thinking for spec in ROUTES.values()} - {None} == set(THINKING)
