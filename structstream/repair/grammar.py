"""The lexical grammar of what models write where JSON was meant: its words, numbers and quotes, as tables.

None of the regular expressions can backtrack: a text is gone through once, whatever it holds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from structstream.jsongrammar import match_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "DOUBLE",
    "ENCODED",
    "MAX_GAP",
    "QUOTES",
    "Quote",
    "State",
    "end_of",
    "end_of_blanks",
    "end_of_space",
    "end_of_word",
    "find_line_end",
    "find_long_gap",
    "kind_of",
    "literal",
    "match_identifier",
    "shorten",
]

T = TypeVar("T")

# Whitespace of RFC 8259 and of Unicode, and three characters without width that editors leave behind.
_INVISIBLE = "\ufeff\u200b\u2060"
_whitespace = re.compile(rf"[\s{_INVISIBLE}]*+")
_blanks = re.compile(r"[ \t]*+")
_word = re.compile(r"[\w$.+\-]*+")
_lax_number = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]{1,256})|([0-9]*+)(\.[0-9]*+)?([eE][+-]?[0-9]++)?)").fullmatch

match_identifier = re.compile(r"[\w$][\w$.\-]*+").fullmatch
MAX_GAP = 1024
"""Characters of whitespace between two tokens that are passed on; they mean nothing."""

_MAX_SHOWN = 20  # characters of a wrong word that an error shows
find_long_gap = re.compile(rf"(?<![ \t\n\r])[ \t\n\r]{{{MAX_GAP + 1}}}").search
find_line_end = re.compile(r"[\n\r]").search

_WORDS = {
    "true": "true",
    "false": "false",
    "null": "null",
    "none": "null",
    "undefined": "null",
    "nan": "NaN",
    **{f"{sign}{word}": f"{sign.strip('+')}Infinity" for sign in ("", "+", "-") for word in ("infinity", "inf")},
}


@dataclass(frozen=True, slots=True)
class Quote:
    """How a string ends that began with this quote."""

    close: str
    match_run: Callable[[str, int], re.Match[str] | None]
    """Matches what passes as it is."""
    apostrophe: bool
    """Whether the closing character may be an apostrophe as well."""


def _quote(close: str, *, apostrophe: bool = False) -> Quote:
    return Quote(close, re.compile(rf"[^{close}\"\\\x00-\x1f]*+").match, apostrophe)


DOUBLE = _quote('"')
QUOTES = {
    '"': DOUBLE,
    "'": _quote("'", apostrophe=True),
    "\u201c": _quote("\u201d"),
    "\u2018": _quote("\u2019", apostrophe=True),
}

ENCODED = {chr(code): json.dumps(chr(code))[1:-1] for code in (*range(0x20), ord('"'), ord("\\"))}
"""How a character is written in a string that may not stand there as it is."""

_KINDS = {
    **{char: char for char in "{}[],:"},
    **dict.fromkeys(QUOTES, "quote"),
    **dict.fromkeys("/#", "comment"),
    **dict.fromkeys(" \t\n\r", "space"),
    **dict.fromkeys(_INVISIBLE, "odd space"),
    **dict.fromkeys("$_.+-", "word"),
}


def kind_of(char: str) -> str:
    """What `char` begins.

    One of ``quote``, ``comment``, ``word``, ``space`` (of RFC 8259), ``odd space``; itself if it is structural; empty
    if it begins nothing.
    """
    kind = _KINDS.get(char)
    if kind is not None:
        return kind
    if char.isalnum():
        return "word"
    return "odd space" if char.isspace() else ""


class State(Generic[T]):
    """A place between tokens: what each character or kind of character does there; one that is missing is an error."""

    __slots__ = ("actions", "expected")

    def __init__(self, expected: str, by_kind: Mapping[str, T]) -> None:
        self.expected = expected
        # Each character of ASCII has its own entry: one look instead of two for nearly all.
        kinds = {chr(code): kind_of(chr(code)) for code in range(128)}
        self.actions = dict(by_kind) | {char: by_kind[kind] for char, kind in kinds.items() if kind in by_kind}


def end_of(pattern: re.Pattern[str], text: str, i: int) -> int:
    """Where the match of `pattern` at `i` ends; `i` if it does not match."""
    match = pattern.match(text, i)
    return match.end() if match else i


def end_of_space(text: str, i: int) -> int:
    """Where the whitespace of any sort that begins at `i` ends."""
    return end_of(_whitespace, text, i)


def end_of_blanks(text: str, i: int) -> int:
    """Where the spaces and tabs that begin at `i` end."""
    return end_of(_blanks, text, i)


def end_of_word(text: str, i: int) -> int:
    """Where the number, literal or unquoted key that begins at `i` ends."""
    return end_of(_word, text, i)


def literal(word: str) -> str | None:
    """Return the JSON for a word in the place of a value; None where it is no value.

    A number that is one in JSON stays as it is written. Others become one without a change of their value: a plus sign
    and leading zeros go, a missing digit beside the point comes, hexadecimal turns decimal.

    >>> [literal(word) for word in ("1.50", "True", "None", "+.5", "007", "0x1F", "1_000", "yes")]
    ['1.50', 'true', 'null', '0.5', '7', '31', None, None]
    """
    if match_number(word):
        return word
    known = _WORDS.get(word.lower())
    if known:
        return known
    match = _lax_number(word)
    if match is None:
        return None
    sign, hexadecimal, whole, fraction, exponent = match.groups(default="")
    if hexadecimal:
        return f"{sign.strip('+')}{int(hexadecimal, 16)}"
    if not whole and len(fraction) < 2:
        return None
    return f"{sign.strip('+')}{whole.lstrip('0') or '0'}{'.0' if fraction == '.' else fraction}{exponent}"


def shorten(word: str) -> str:
    """Return a word as an error shows it."""
    return word if len(word) <= _MAX_SHOWN else word[: _MAX_SHOWN - 1] + "…"
