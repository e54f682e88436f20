"""The law of the screen: what is shown depends on the text alone, only grows, and never holds a secret or its start."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, strategies as st

from structstream.errors import BlockedError
from structstream.facts import Fact, Judged
from structstream.gate.rails import Rail
from structstream.gate.screen import Screen
from structstream.guardrails import DenyList, MaxLength, PersonalData, Secrets
from structstream.verdicts import ALLOW, GuardedText, Guardrail, Judgement, Verdict
from tests.chunking import cut_at, every_cut
from tests.guarding import SECRETS, screened, texts

RAILS = (PersonalData(), Secrets())
FEW = 4
"""Characters of a secret's start that may be shown: less than tells it."""


def cuts(text: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.integers(0, len(text))).map(lambda places: cut_at(text, places))


def starts_of(secret: str) -> str:
    """The shortest start of a secret that must not be shown, without what is written between its characters."""
    return secret[: FEW + 1]


@given(texts(), st.data())
@example(("x password: hunter2; y", []), None)
def test_what_is_shown_depends_on_the_text_alone(text: tuple[str, list[str]], data: st.DataObject | None) -> None:
    whole = screened(RAILS, [text[0]])[-1]
    pieces = list(text[0]) if data is None else data.draw(cuts(text[0]))
    shown = screened(RAILS, pieces)
    assert shown[-1] == whole
    assert all(whole.startswith(earlier) for earlier in shown)


@given(texts(), st.data())
def test_what_was_shown_after_so_many_characters_does_not_depend_on_the_cuts(
    text: tuple[str, list[str]], data: st.DataObject
) -> None:
    ones = screened(RAILS, list(text[0]))
    pieces = data.draw(cuts(text[0]))
    length = 0
    for piece, shown in zip(pieces, screened(RAILS, pieces)[1:], strict=False):
        length += len(piece)
        assert shown == ones[length]


@given(texts())
def test_no_secret_is_shown_and_no_start_of_one(text: tuple[str, list[str]]) -> None:
    shown = screened(RAILS, list(text[0]))[-1]
    for secret in text[1]:
        assert starts_of(secret) not in shown


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "Is it {}?", "({})", "to:{}", '"{}"', "a\n{}\nb", "{}, {}"])
def test_each_secret_is_found_in_every_cut(secret: str, around: str) -> None:
    text = around.replace("{}", secret)
    results = set()
    for pieces in every_cut(text, limit=100):
        shown = screened(RAILS, pieces)
        assert all(starts_of(secret) not in each for each in shown)
        results.add(shown[-1])
    assert len(results) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The engine weaves algebraic patterns, just as the loom weaves flowers and leaves.",
        "Call 12 of 4711 at 10:30 on 2024-05-12 (or 05/12/2024); it costs 1,234.56.",
        "sk-learn-compatible and the bearer of basic mathematics: a token of thanks.",
        "Version 1.2.3.4 at 192.168.100.12, 3.14159265358979323846, id 8f14e45fceea",
        "DE89 is no account, 4111111111111112 no card.",
        "x" * 500,
        "日本語" * 50,
    ],
)
def test_plain_prose_passes_as_it_is(text: str) -> None:
    assert screened(RAILS, [text])[-1] == text
    assert screened(RAILS, list(text))[-1] == text


def test_a_word_waits_for_its_end_and_no_longer_than_a_word_can_be() -> None:
    shown = screened(RAILS, ["Hello wor", "ld and ", "x" * 64, "x"])
    long = f"Hello world and {'x' * 65}"
    assert shown == ["", "Hello ", "Hello world and ", "Hello world and ", long, long]


def test_a_key_without_an_end_is_taken_out_at_once_and_all_that_follows_with_it() -> None:
    pieces = ["sk-0123456789abcdef", *["0123456789" * 10] * 50, " is it"]
    shown = screened(RAILS, pieces)
    assert shown[2] == "[secret]"
    assert shown[-1] == "[secret] is it"


def test_stretches_that_overlap_are_taken_out_as_one_under_the_label_of_the_first() -> None:
    text = "Is sk-0123456789abcdefgh@example.org known?"
    assert screened(RAILS, list(text))[-1] == screened(RAILS, [text])[-1] == "Is [email] known?"


def test_each_redaction_is_told_with_its_path() -> None:
    told: list[Fact] = []
    screen = Screen([Rail(PersonalData(), told.append)], lambda: "items[0].note")
    screen.begin("value")
    screen.feed("x@y.io or ada@example.org")
    screen.end()
    assert told == [Judged("personal data", "redact", "items[0].note")] * 2


class Picky(Guardrail):
    """Stops at an exclamation mark."""

    name = "picky"
    unit = "delta"

    def check_text(self, piece: GuardedText) -> Judgement:
        return Verdict.stop("it shouts") if "!" in piece.text else ALLOW


def test_a_stop_ends_the_text_and_names_the_guardrail_and_the_path() -> None:
    screen = Screen([Rail(Picky())], lambda: "note")
    screen.begin("value")
    assert screen.feed("Hello ") == "Hello "
    with pytest.raises(BlockedError, match="blocked by the guardrail 'picky' at note: it shouts") as caught:
        screen.feed("you! and you")
    assert (caught.value.guardrail, caught.value.reason, caught.value.path) == ("picky", "it shouts", "note")


def test_a_guardrail_sees_the_kinds_and_paths_that_it_named() -> None:
    rail = Picky()
    rail.kinds = frozenset({"value"})
    rail.paths = ("notes[*]",)
    place: list[str | int] = ["notes", 3, "text"]
    screen = Screen([Rail(rail)], lambda: "there", lambda: place)
    assert screen.whole("Hey!", "key") is None
    with pytest.raises(BlockedError):
        screen.whole("Hey!", "value")
    place[:] = ["title"]
    assert screen.whole("Hey!", "value") is None


def test_a_guardrail_that_must_be_awaited_cannot_look_at_every_delta() -> None:
    class Slow(Guardrail):
        unit = "delta"

        async def check_text(self, piece: GuardedText) -> Verdict:
            return ALLOW

    screen = Screen([Rail(Slow())], lambda: "")
    with pytest.raises(BlockedError, match="must not be async"):
        screen.whole("text", "value")


@given(st.text(st.sampled_from("ab bad\u0301\uff22\uff21\uff24-"), max_size=40), st.data())
def test_a_screen_of_other_guardrails_keeps_the_law_as_well(text: str, data: st.DataObject) -> None:
    rails = (DenyList(["bad", "a b"], on_find="redact"), MaxLength(20, on_find="redact"))
    shown = screened(rails, data.draw(cuts(text)))
    assert shown[-1] == screened(rails, [text])[-1]
    assert all(shown[-1].startswith(each) for each in shown)
    assert re.search(r"\bbad\b", shown[-1].lower()) is None
