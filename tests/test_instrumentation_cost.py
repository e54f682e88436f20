"""What tokens cost, by the tables of genai-prices."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, strategies as st

from structstream.errors import MissingDependencyError
from structstream.response import Usage

pytest.importorskip("genai_prices", reason="genai-prices is an extra")

from structstream.instrumentation.cost import cost_of

_MANY = st.integers(0, 10_000_000)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "cost"),
    [
        ("openai", "gpt-4o", Usage(1_000_000, 0), 2.5),
        ("openai", "gpt-4o", Usage(0, 1_000_000), 10.0),
        ("openai", "gpt-4o", Usage(1_000_000, 0, cached_input_tokens=1_000_000), 1.25),
        ("openai", "gpt-4o", Usage(0, 1_000_000, reasoning_tokens=1_000_000), 10.0),
        ("openai-responses", "gpt-4o", Usage(1_000_000, 0), 2.5),
        ("anthropic", "claude-3-5-haiku-latest", Usage(1_000_000, 0), 0.8),
        ("openai", "gpt-4o", Usage(), 0.0),
        ("openai", "no-such-model", Usage(1, 1), None),
        ("nobody", "no-such-model", Usage(1, 1), None),
        ("openai", "", Usage(1, 1), None),
    ],
)
def test_tokens_have_a_price_or_none(provider: str, model: str, usage: Usage, cost: float | None) -> None:
    assert cost_of(provider, model, usage) == (None if cost is None else pytest.approx(cost))


@given(asked=_MANY, said=_MANY, cached=_MANY)
def test_more_tokens_never_cost_less_and_cached_ones_never_more(asked: int, said: int, cached: int) -> None:
    cost = cost_of("openai", "gpt-4o", Usage(asked, said))
    less = cost_of("openai", "gpt-4o", Usage(asked, said, cached_input_tokens=cached))
    more = cost_of("openai", "gpt-4o", Usage(asked + 1, said + 1))
    assert cost is not None
    assert less is not None
    assert more is not None
    assert less <= cost < more


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.delitem(sys.modules, "structstream.instrumentation.cost")
    with pytest.raises(MissingDependencyError, match=r"structstream\[prices\]"):
        import structstream.instrumentation.cost  # noqa: F401  # only to be refused
