"""Personal data as it is commonly written, and what only looks like it."""

from __future__ import annotations

import pytest

from structstream.errors import ConfigurationError
from structstream.guardrails import PersonalData
from structstream.guardrails.personal import is_card, is_iban
from structstream.verdicts import GuardedText
from tests.guarding import CARDS, EMAILS, IBANS, PHONES, TYPESET, screened

LABELS = [
    *((text, "[email]") for text in EMAILS),
    *((text, "[phone]") for text in PHONES),
    *((text, "[card]") for text in CARDS),
    *((text, "[iban]") for text in IBANS),
    *TYPESET,
]


@pytest.mark.parametrize(("text", "label"), LABELS)
def test_each_kind_gets_its_label(text: str, label: str) -> None:
    assert screened([PersonalData()], [f"It is {text}, see?"])[-1] == f"It is {label}, see?"


@pytest.mark.parametrize("text", ["4111111111111111", "+8613812345678", "(555) 123-4567", "DE89370400440532013000"])
@pytest.mark.parametrize("around", ["卡号{}。", "ключ{} ok", "é{}²"])
def test_a_letter_of_another_script_may_stand_directly_before(text: str, around: str) -> None:
    for pieces in ([around.format(text)], list(around.format(text))):
        assert text[-4:] not in screened([PersonalData()], pieces)[-1]


@pytest.mark.parametrize(
    "text",
    [
        *("4111 1111 1111 1112", "1234567890123456", "0000000000000000", "DE88370400440532013000", "2024-05-12 10:30"),
        *("05/12/2024", "1,234,567.89", "3.14159265358979", "user@host", "@ada", "10 000 000", "192.168.0.1", "007"),
        *(
            "ISBN 978-3-16-148410-0",
            "1700000000",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "12:30-14:45",
            "de88370400440532013000",
        ),
        *("٤١١١١١١١١١١١١١١٢", "2024\u20112025", "No12 is the one that we meant, not ab12cd34"),
    ],
)
def test_what_only_looks_like_it_is_let_through(text: str) -> None:
    assert screened([PersonalData()], list(f"It is {text}, see?"))[-1] == f"It is {text}, see?"


def test_the_longest_number_that_is_one_counts() -> None:
    assert screened([PersonalData()], list("in 2024 4111 1111 1111 1111 20 times"))[-1] == "in 2024 [card] 20 times"
    assert (
        screened([PersonalData()], list("4111111111111111and DE89370400440532013000and"))[-1] == "[card]and [iban]and"
    )


def test_only_the_kinds_that_are_named_are_looked_for() -> None:
    text = "ada@example.org 4111111111111111 +49 30 901820"
    assert screened([PersonalData(["phone"])], [text])[-1] == "ada@example.org 4111111111111111 [phone]"
    assert screened([PersonalData(["card", "email"])], [text])[-1] == "[email] [card] +49 30 901820"


@pytest.mark.parametrize("kinds", [(), ["name"], "email"])
def test_kinds_must_be_known(kinds: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="kinds must be a list of some of email, phone, card, iban"):
        PersonalData(kinds)  # type: ignore[arg-type]  # that is the test


def test_a_stop_names_the_kind_and_not_the_text() -> None:
    verdict = PersonalData(on_find="stop").check_text(GuardedText("ada@example.org"))
    assert verdict.reason == "it holds an e-mail address"


def test_check_digits() -> None:
    assert all(is_card("".join(filter(str.isdigit, card))) for card in CARDS)
    assert all(is_iban(iban.replace(" ", "")) for iban in IBANS)
    assert not any(map(is_card, ("", "4111", "4111111111111112", "1" * 16)))
    assert not any(map(is_iban, ("", "XX", "DE8937040044053201300", "GB82WEST12345698765431")))
