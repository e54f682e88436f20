"""What the tests of guardrails share: planted personal data and keys, texts around them, and gates over cut text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hypothesis import strategies as st

from structstream.gate import Gate
from structstream.gate.rails import Rail
from structstream.gate.screen import Screen
from structstream.verdicts import Guardrail

__all__ = ["CARDS", "EMAILS", "IBANS", "KEYS", "PHONES", "SECRETS", "TYPESET", "gated", "screened", "secrets", "texts"]

EMAILS = ("ada@example.org", "a.b-c+tag_1@mail.example.co.uk", "ÄRGER@bücher.example", "x@y.io")
PHONES = ("+49 30 901820", "+1 (555) 123-4567", "0049-30-901820", "030 / 90 18 20 21", "(555) 123-4567", "01701234567")
CARDS = ("4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005")
IBANS = ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO9386011117947")
KEYS = (
    "sk-planted-0123456789abcdefghij",
    "sk-ant-api03-" + "aB3" * 40,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "AIza" + "Sy1" * 12,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
)
_WIDE = {ord(char): ord(char) - 0x20 + 0xFF00 for char in "0123456789+@"}
_ARABIC = {ord("0") + value: 0x0660 + value for value in range(10)}

TYPESET = (
    ("4111\u00a01111\u00a01111\u00a01111", "[card]"),
    ("4111\u202f1111\u202f1111\u202f1111", "[card]"),
    ("4111\u20111111\u20131111\u22121111", "[card]"),
    ("4111111111111111".translate(_WIDE), "[card]"),
    ("4111111111111111".translate(_ARABIC), "[card]"),
    ("DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00", "[iban]"),
    ("DE89-3704-0044-0532-0130-00", "[iban]"),
    ("de89370400440532013000", "[iban]"),
    ("+49\u00a030\u2011901820", "[phone]"),
    ("+4930901820".translate(_WIDE), "[phone]"),
    ("ada@example.org".translate(_WIDE), "[email]"),
)
"""As models and word processors write them, and what stands in their place."""
SECRETS = (*EMAILS, *PHONES, *CARDS, *IBANS, *KEYS, *(text for text, _ in TYPESET))

# What stands around a secret: it must be told from it, so no letters or digits directly at its sides.
_around = st.text(st.sampled_from([*"aZé日  ,;\n\"\\!?'"]), max_size=12)
_glue = st.sampled_from([" ", "\n", ' "', ": ", " (", ", ", "; ", "! "])


@st.composite
def texts(draw: st.DrawFn, planted: Sequence[str] = SECRETS) -> tuple[str, list[str]]:
    """Text with some of `planted` in it, and which."""
    parts = [draw(_around)]
    chosen = draw(st.lists(st.sampled_from(list(planted)), max_size=3))
    for secret in chosen:
        parts += (draw(_glue), secret, draw(st.sampled_from([" ", "\n", '"', ", ", "; ", "!", "? "])), draw(_around))
    return "".join(parts), chosen


secrets = st.sampled_from(list(SECRETS))


def screened(rails: Iterable[Guardrail], pieces: Iterable[str]) -> list[str]:
    """What is shown of one text after each of its pieces, and after its end."""
    screen = Screen([Rail(rail) for rail in rails], lambda: "")
    screen.begin("value")
    shown = [""]
    for piece in pieces:
        shown.append(shown[-1] + screen.feed(piece))
    return [*shown, shown[-1] + screen.end()]


def gated(rails: Sequence[Guardrail], pieces: Iterable[str], see: Callable[[str], object] = len) -> str:
    """What a gate lets through of a JSON text; `see` is told after each piece what it has let through so far."""
    shown: list[str] = []
    gate = Gate(rails, shown.append)
    for piece in pieces:
        gate.feed(piece)
        see("".join(shown))
    gate.finish()
    return "".join(shown)
