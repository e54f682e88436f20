"""The law behind every rule: `open` matches each start of what `full` matches, so nothing is let out too soon."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from structstream.guardrails import PatternGuardrail, PersonalData, Rule, Secrets
from structstream.verdicts import ALLOW, GuardedText, Span, Verdict
from tests.guarding import SECRETS, screened

RULES = (*PersonalData().rules, *Secrets(min_entropy=3.0).rules)
DIGITS = Rule("digits", "[n]", re.compile(r"(?<!\d)\d{3,5}(?!\d)"), re.compile(r"(?<!\d)\d{1,5}"))


WRITTEN = (
    "password: hunter2",
    '"api_key": "x1y2z3w4"',
    "Bearer abcdefgh01234567",
    "a://b:c@d",
    "secret_key\uff1ax1y2z3w4",
)


@pytest.mark.parametrize("text", [*SECRETS, *WRITTEN])
def test_every_start_of_a_finding_is_open(text: str) -> None:
    found = [(rule, match) for rule in RULES if (match := rule.full.search(text)) is not None]
    assert found
    for rule, match in found:
        for end in range(match.start() + 1, min(match.end(), match.start() + 60)):
            waiting = re.compile(f"(?:{rule.open.pattern})\\Z").search(text[:end])
            assert waiting is not None
            assert waiting.start() <= match.start()


@settings(max_examples=200)
@given(st.text(st.sampled_from("aZ09 .-@+(:=/_"), max_size=30), st.sampled_from(RULES))
def test_what_is_open_was_open_from_its_first_character_on(text: str, rule: Rule) -> None:
    ending = re.compile(f"(?:{rule.open.pattern})\\Z")
    waiting = ending.search(text)
    if waiting is not None and waiting.start() < len(text):
        for end in range(waiting.start() + 1, len(text)):
            earlier = ending.search(text[:end])
            assert earlier is not None
            assert earlier.start() <= waiting.start()


def rail(**how: object) -> PatternGuardrail:
    return PatternGuardrail([DIGITS], name="digits", **how)  # type: ignore[arg-type]  # as a test needs them


def test_a_rule_redacts_stops_or_allows() -> None:
    piece = GuardedText("is 1234 it")
    assert rail().check_text(piece).spans == (Span(3, 7, "[n]", since=3),)
    assert rail(on_find="stop").check_text(piece).reason == "it holds digits"
    assert rail(on_find="allow").check_text(piece) is ALLOW


def test_a_prompt_is_stopped_or_not_looked_at() -> None:
    assert rail().check_prompt("is 1234 it").reason == "the prompt holds digits"
    assert rail().check_prompt("nothing") is ALLOW
    assert rail(on_prompt="allow").check_prompt("is 1234 it") is ALLOW


def test_what_may_go_on_waits() -> None:
    assert rail().check_text(GuardedText("is 12", end="delta")) == Verdict.hold(3)
    assert rail(on_find="stop").check_text(GuardedText("is 1234", end="delta")) == Verdict.hold(3)
    assert screened([rail()], list("is 12345 or 123456"))[-1] == "is [n] or 123456"
