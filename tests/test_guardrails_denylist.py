"""Words of a list are found whatever their case, accents and Unicode form, and only as whole words."""

from __future__ import annotations

from pathlib import Path

import pytest

from structstream.errors import ConfigurationError
from structstream.guardrails import DenyList
from structstream.guardrails.denylist import fold
from structstream.verdicts import ALLOW, GuardedText
from tests.guarding import screened

LIST = DenyList(["Röntgen", "big secret", "c++"], on_find="redact", label="[…]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the RÖNTGEN ray", "the […] ray"),
        ("the Ro\u0308ntgen ray", "the […] ray"),
        ("the r\uff4fntgen", "the […]"),
        ("the ro\u00adntgen ray", "the […] ray"),
        ("a big  secret, a Big Secret!", "a big  secret, a […]!"),
        ("röntgens and biröntgen", "röntgens and biröntgen"),
        ("big secretary", "big secretary"),
        ("in c++, not c", "in […], not c"),
    ],
)
def test_words_are_found_in_every_form(text: str, shown: str) -> None:
    assert screened([LIST], [text])[-1] == shown
    assert screened([LIST], list(text))[-1] == shown


def test_no_start_of_a_phrase_is_shown() -> None:
    assert all("big" not in shown for shown in screened([LIST], list("a big secret")))


def test_a_stop_quotes_nothing() -> None:
    rail = DenyList("hush")
    assert rail.check_text(GuardedText("Hush!")).reason == "it holds a word of the deny-list"
    assert rail.check_prompt("hush").reason == "the prompt holds a word of the deny-list"
    assert rail.check_prompt("hushed") is ALLOW
    assert DenyList("hush", on_prompt="allow", on_find="allow").check_prompt("hush") is ALLOW


def test_a_list_may_stand_in_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = Path(tmp_path_factory.mktemp("lists")) / "words.txt"
    file.write_text("# not these\nhush\n\nBig Secret\n", "utf-8")
    assert DenyList.from_file(file).check_prompt("a big secret") is not ALLOW
    assert DenyList.from_file(file).check_prompt("not these") is ALLOW


@pytest.mark.parametrize("words", [[], [" "], ["\u00ad"]])
def test_a_list_without_words_is_none(words: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="at least one, and none of them blank"):
        DenyList(words)


def test_folding_tells_where_each_character_stood() -> None:
    assert fold("Abc") == ("abc", [0, 1, 2])
    assert fold("ß\u0301x") == ("ssx", [0, 0, 2])
