"""The words of guardrails: verdicts that hold no text, and a guardrail that allows all unless it says otherwise."""

from __future__ import annotations

from structstream.verdicts import ALLOW, GuardedText, Guardrail, Span, Verdict

SECRET = "ada@example.org"


def test_a_verdict_is_made_by_what_it_says() -> None:
    assert Verdict.allow() is ALLOW
    assert Verdict.redact((1, 2), (3, 4, "[x]"), Span(5, 6)).spans == (Span(1, 2), Span(3, 4, "[x]"), Span(5, 6))
    assert (Verdict.hold(3).action, Verdict.hold(3).held_from) == ("hold", 3)
    assert Verdict.stop("why").reason == "why"


def test_no_repr_shows_a_text() -> None:
    assert SECRET not in repr(Verdict.replace(SECRET))
    piece = GuardedText(SECRET, path=lambda: "items[0]")
    assert repr(piece) == "GuardedText(15 characters, kind='value', end='field', path='items[0]')"


def test_a_span_begins_where_that_begins_which_makes_it_one() -> None:
    assert (Span(10, 12).begins, Span(10, 12, since=4).begins) == (10, 4)


def test_a_guardrail_that_overrides_nothing_allows_all() -> None:
    rail = Guardrail()
    assert rail.check_prompt("x") is rail.check_text(GuardedText("x")) is ALLOW
    assert repr(rail) == "Guardrail(name='guardrail', mode='hold', unit='sentence')"
