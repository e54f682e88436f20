"""Reading a model's text, and texts to read: valid JSON, and JSON damaged in the ways of models."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from structstream.errors import DecodeError, JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream
from structstream.repair import JSONRepair
from tests.jsonevents import EventLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# --- reading a text, and checking what comes out against the strict reader ---


class Reading(NamedTuple):
    """All that a caller can see of one reading."""

    out: str
    done: bool
    error: str = ""
    offset: int = -1


def read(pieces: Iterable[str], *, starts: str = "{[", scalars: bool = False) -> Reading:
    repair = JSONRepair(starts=starts, scalars=scalars)
    strict = JSONStream(EventLog(), allow_nan=True)
    out: list[str] = []

    def take(text: str) -> None:
        out.append(text)
        strict.feed(text)  # raises where the output is not the start of valid JSON

    try:
        for piece in pieces:
            take(repair.feed(piece))
        take(repair.finish())
    except DecodeError as error:
        take(repair.salvaged)
        offset = error.offset if isinstance(error, JSONSyntaxError | JSONLimitError) else -1
        return Reading("".join(out), repair.done, str(error), offset)
    if repair.done:
        strict.finish()
    return Reading("".join(out), repair.done)


def failure(repair: JSONRepair, pieces: Iterable[str]) -> DecodeError:
    """The error with which the reading of a text ends."""
    try:
        for piece in pieces:
            repair.feed(piece)
        repair.finish()
    except DecodeError as error:
        return error
    raise AssertionError("the text was taken")


def value_of(text: str, *, scalars: bool = True) -> object:
    reading = read([text], scalars=scalars)
    assert not reading.error, reading.error
    assert reading.done, reading.out
    value: object = json.loads(reading.out)
    return value


# --- documents, and the ways in which models damage them ---

JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | JSON_TEXT
CONTAINERS = st.recursive(
    st.lists(SCALARS, max_size=4) | st.dictionaries(JSON_TEXT, SCALARS, max_size=4),
    lambda inner: st.lists(SCALARS | inner, max_size=4) | st.dictionaries(JSON_TEXT, SCALARS | inner, max_size=4),
    max_leaves=12,
)
QUOTE_PAIRS = {"single quotes": ("'", "'"), "curly quotes": ("“", "”"), "single curly quotes": ("\u2018", "\u2019")}
FILLERS = {
    "comments": ["/* a } * ] // b */", "// it's\n", "# {\n", "/***/"],
    "odd whitespace": ["\u00a0", "\ufeff", "\u200b", "\u3000", "\u2028", "\v"],
    "whitespace": [" ", "\n", "\t", "\r\n"],
}
WORDS = {True: ["True", "TRUE"], False: ["False", "fAlse"], None: ["None", "undefined", "NULL"]}
DAMAGES = [
    *QUOTE_PAIRS,
    *FILLERS,
    "unquoted keys",
    "raw control characters",
    "needless escapes",
    "other words",
    "other numbers",
    "trailing commas",
    "missing commas",
]


class Writer:
    """Writes a value as JSON with some kinds of damage, each at some of its places."""

    def __init__(self, damages: Sequence[str], seed: int) -> None:
        self.damages = damages
        self.rng = random.Random(seed)

    def hits(self, damage: str) -> bool:
        return damage in self.damages and self.rng.random() < 0.7

    def filler(self) -> str:
        return "".join(self.rng.choice(choices) for damage, choices in FILLERS.items() if self.hits(damage))

    def string(self, text: str) -> str:
        opening = closing = '"'
        for damage, pair in QUOTE_PAIRS.items():
            if self.hits(damage):
                opening, closing = pair
        return opening + "".join(self.character(char, closing) for char in text) + closing

    def character(self, char: str, closing: str) -> str:
        if char in ("\\", closing):
            return "\\" + char
        if char == "'" and self.hits("needless escapes"):
            return "\\'"
        if char < " ":
            return char if self.hits("raw control characters") else json.dumps(char)[1:-1]
        return char

    def key(self, text: str) -> str:
        plain = text.isidentifier() and all(char.isalnum() or char == "_" for char in text)
        return text if plain and self.hits("unquoted keys") else self.string(text)

    def number(self, value: float) -> str:
        text = json.dumps(value)
        if not self.hits("other numbers"):
            return text
        sign, digits = ("-", text[1:]) if text.startswith("-") else (self.rng.choice(["", "+"]), text)
        if isinstance(value, int) and self.rng.random() < 0.5:
            return f"{sign}{int(digits):#x}"
        if digits.startswith("0."):
            return sign + digits[1:]
        return f"{sign}00{digits.removesuffix('0') if digits.endswith('.0') else digits}"

    def value(self, value: object) -> str:
        if isinstance(value, str):
            return self.string(value)
        if value is None or isinstance(value, bool):
            return self.rng.choice(WORDS[value]) if self.hits("other words") else json.dumps(value)
        if isinstance(value, int | float):
            return self.number(value)
        if isinstance(value, list):
            return self.container("[", [self.value(item) for item in value], "]")
        assert isinstance(value, dict)
        members = [
            self.key(key) + self.filler() + ":" + self.filler() + self.value(item) for key, item in value.items()
        ]
        return self.container("{", members, "}")

    def container(self, opening: str, parts: list[str], closing: str) -> str:
        text = opening + self.filler()
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            comma = "," if not last else self.rng.choice(["", ","]) if "trailing commas" in self.damages else ""
            if comma and not last and self.hits("missing commas"):
                comma = "\n"
            text += part + self.filler() + comma + self.filler()
        return text + closing


BEFORE = {
    "nothing": "",
    "prose": 'Sure! Here\'s the "JSON" for {name} (see [below] and {{x}}, a < b):\n',
    "thinking": '<think>{"a": 1} ```json\n[1] </thought> <think> </think>\n',
    "thinking, then prose": "<Thinking>[{</thinking>Well, `it` is:",
    "reasoning": "<reasoning>\n{'draft': true,</reasoning>",
    "fence": "```json\n",
    "fence without language": "Look:\n```\n",
    "fence on one line": "````JSON ",
    "fence of a program first": 'Run\n```python\nprint({"a": [1]})\n```\nto get\n```json5\n',
    "fence of a program": "```python\n",
    "byte order mark": "\ufeff\u00a0",
}
AFTER = ["", "\n```", "```\nAnything else? {", "\n} ] trailing", "\n\n"]


NOISE = st.text("{}[]\"'“”‘’,:/#*`<>\\ \n\r\t\ufeffab1-+.e_$thinkTNu0d8x\x00é", max_size=40)  # noqa: RUF001
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), NOISE.map(lambda text: text[:3])), max_size=4)


@st.composite
def damaged_texts(draw: st.DrawFn) -> tuple[object, str]:
    value = draw(CONTAINERS)
    writer = Writer(draw(st.lists(st.sampled_from(DAMAGES), unique=True)), draw(st.integers(0, 2**32)))
    before = BEFORE[draw(st.sampled_from(sorted(BEFORE)))]
    return value, before + writer.value(value) + draw(st.sampled_from(AFTER))


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """What a model might write, with a few characters put in, left out or replaced."""
    _, text = draw(damaged_texts())
    for place, removed, inserted in draw(EDITS):
        at = place % (len(text) + 1)
        text = text[:at] + inserted + text[at + removed :]
    return text
