"""Personal data: e-mail addresses, phone numbers, payment cards and IBANs, as they are commonly written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Literal, get_args

from structstream.errors import ConfigurationError

from .patterns import OnFind, PatternGuardrail, Rule

__all__ = ["PersonalData", "PersonalKind", "is_card", "is_iban"]

PersonalKind = Literal["email", "phone", "card", "iban"]
"""What can be looked for."""

_LOCAL = r"[\w.%+-]"
_HOST = r"[\w-]{1,63}"
_AT = "@\uff20"
_EMAIL = Rule(
    "an e-mail address",
    "[email]",
    re.compile(rf"(?<!{_LOCAL}){_LOCAL}{{1,64}}[{_AT}]{_HOST}(?:\.{_HOST}){{1,8}}"),
    re.compile(rf"(?<!{_LOCAL}){_LOCAL}{{1,64}}(?:[{_AT}](?:{_HOST}\.){{0,8}}[\w-]{{0,63}})?"),
    needs=tuple(_AT),
    in_word=True,
)

# Digits of the scripts that are written most, and the blanks and dashes that keep a number on one line: models write
# them. A class of characters by name (as \d is) takes twice the time of one by ranges.
_DIGIT = "0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59\uff10-\uff19"
_BLANK = " \u00a0\u2007\u2009\u202f\u3000"
_DASH = "\u2010-\u2015\u2212\uff0d-"

# Digits with what people put between them: cards, and phones with their plus and brackets. A letter of a script that
# does without blanks may stand directly before them.
_GAP = f"[{_BLANK}()./{_DASH}]{{0,3}}"
_PLUS = "[+(\uff0b\uff08]"
_NUMBER_START = rf"(?<![A-Za-z_{_DIGIT}])(?<![{_DIGIT}]\.)"
_NUMBER = re.compile(rf"{_NUMBER_START}{_PLUS}{{0,2}}[{_DIGIT}](?:{_GAP}[{_DIGIT}]){{6,21}}(?![{_DIGIT}])")
_OPEN_NUMBER = re.compile(
    rf"{_NUMBER_START}(?:{_PLUS}{{1,2}}|{_PLUS}{{0,2}}[{_DIGIT}](?:{_GAP}[{_DIGIT}]){{0,21}}{_GAP})"
)

_CARD = re.compile(r"[2-6][0-9](?:[ -]?[0-9]){11,17}")
_ABROAD = re.compile(r"\(?(?:\+|00) ?\(?[1-9](?:[ ()./-]{0,3}[0-9]){6,14}")
_AT_HOME = re.compile(
    r"\(?0[0-9]{1,5}\)?(?:[ /-]{1,3}[0-9]{2,8}){1,4}|0[1-9][0-9]{8,10}"
    r"|\(?[2-9][0-9]{2}(?:\) ?|[-. ])[0-9]{3}[-. ][0-9]{4}"
)
_not_a_digit = re.compile("[^0-9]")
_TRIGGER = re.compile(f"[{_AT}+(\uff0b\uff08{_DIGIT}]")
_NEEDS = re.compile(rf"[{_AT}]|[{_DIGIT}](?:{_GAP}[{_DIGIT}]){{6}}|[A-Za-z][{_DIGIT}]{{2}}")
_NUMBER_TRIGGER = re.compile("[0-9]{13}")

# ISO 13616: the length of an IBAN by its country.
_COUNTRIES = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29
ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29
PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
YE30
"""
_LENGTHS = {code[:2]: int(code[2:]) for code in _COUNTRIES.split()}
_IBAN_START = r"(?<![A-Za-z0-9])"


def is_card(digits: str) -> bool:
    """Whether digits are the number of a payment card: 13 to 19 of them, with the check digit of Luhn's algorithm.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether text without blanks is an IBAN: the length of its country, and a remainder of 1 modulo 97 (ISO 7064).

    >>> is_iban("DE89370400440532013000"), is_iban("DE88370400440532013000")
    (True, False)
    """
    if _LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


_Accepted = tuple[int, str, str]


def _plain(text: str) -> str:
    """A number with its digits, blanks and dashes as they are in ASCII; each character stays one."""
    return text if text.isascii() else "".join(map(_plain_char, text))


def _plain_char(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if unicodedata.category(char) == "Pd" or char == "\u2212":
        return "-"
    return unicodedata.normalize("NFKC", char)


def _accept_iban(text: str, start: int, end: int) -> _Accepted | None:
    whole = "".join(filter(str.isalnum, _plain(text[start:end]))).upper()
    length = _LENGTHS.get(whole[:2], 99)
    if length > len(whole) or not is_iban(whole[:length]):
        return None
    at, left = start, length
    while left:
        left -= text[at].isalnum()
        at += 1
    return at, "[iban]", "an IBAN"


_IBAN_GAP = f"[{_BLANK}{_DASH}]?"
_IBAN_NEXT = f"{_IBAN_GAP}[A-Za-z{_DIGIT}]"
_IBAN = Rule(
    "an IBAN",
    "[iban]",
    re.compile(rf"{_IBAN_START}[A-Za-z]{{2}}[{_DIGIT}]{{2}}(?:{_IBAN_NEXT}){{11,30}}"),
    re.compile(
        rf"{_IBAN_START}[A-Za-z]{{1,2}}"
        rf"(?:(?<=[A-Za-z]{{2}})[{_DIGIT}](?:[{_DIGIT}](?:{_IBAN_NEXT}){{0,30}}{_IBAN_GAP})?)?"
    ),
    _accept_iban,
)


def _numbers(kinds: frozenset[str]) -> Rule:
    """The rule for what is written in digits; the longest number that is one counts."""

    def accept(text: str, start: int, end: int) -> _Accepted | None:
        for stop in range(end, start, -1):
            if text[stop - 1].isdecimal() and not text[stop : stop + 1].isdecimal():
                written = _plain(text[start:stop])
                digits = _not_a_digit.sub("", written)
                if "card" in kinds and _CARD.fullmatch(written) and is_card(digits):
                    return stop, "[card]", "a payment card"
                if "phone" in kinds and _is_phone(written, len(digits)):
                    return stop, "[phone]", "a phone number"
        return None

    return Rule("a number", "[number]", _NUMBER, _OPEN_NUMBER, accept)


def _is_phone(written: str, digits: int) -> bool:
    if _ABROAD.fullmatch(written):
        return 8 <= digits <= 17  # E.164 allows 15, and 00 may stand before them
    return 9 <= digits <= 12 and _AT_HOME.fullmatch(written) is not None


class PersonalData(PatternGuardrail):
    """Finds personal data by its form; a name has none, and is not found.

    Taken out are e-mail addresses, phone numbers (with ``+`` or ``00``, with a leading zero, or as 555-123-4567),
    numbers of payment cards (Luhn) and IBANs (length of the country, ISO 7064), the last two with or without blanks or
    dashes. Full-width, Arabic and Indic digits are digits, and typographic blanks and dashes are blanks and dashes. A
    card that comes as a JSON number becomes a string, so a field that is declared as a number does not validate any
    more.

    Args:
        kinds: what to look for.
        on_find: what becomes of an answer in which something is found.
        on_prompt: what becomes of a prompt; ``allow`` does not look at it, anything else keeps it from being sent.
        paths: the fields that it looks at; empty for all.

    Raises:
        ConfigurationError: no such kind.

    >>> rail = PersonalData()
    >>> rail.check_prompt("Write to ada@example.org").reason
    'the prompt holds an e-mail address'
    """

    def __init__(
        self,
        kinds: Sequence[PersonalKind] = ("email", "phone", "card", "iban"),
        *,
        on_find: OnFind = "redact",
        on_prompt: OnFind = "stop",
        paths: Sequence[str] = (),
    ) -> None:
        known = get_args(PersonalKind)
        given: object = kinds
        wanted = frozenset(given if isinstance(given, Collection) else ())
        if isinstance(given, str) or not wanted or not wanted <= frozenset(known):
            raise ConfigurationError(f"kinds must be a list of some of {', '.join(known)}")
        rules = [rule for kind, rule in (("email", _EMAIL), ("iban", _IBAN)) if kind in wanted]
        if wanted & {"phone", "card"}:
            rules.append(_numbers(wanted))
        super().__init__(
            rules,
            name="personal data",
            on_find=on_find,
            on_prompt=on_prompt,
            paths=paths,
            trigger=_TRIGGER,
            needs=_NEEDS,
            number_trigger=_NUMBER_TRIGGER,
        )
