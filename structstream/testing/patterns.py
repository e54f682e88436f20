"""Text for a regular expression: the inverse of matching, for the patterns that people put on fields."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

__all__ = ["text_for_pattern"]

_TRIES = 300
_PRINTABLE = string.ascii_letters + string.digits + " .,-_"
_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": " -.",
    "S": string.ascii_letters + string.digits,
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}

_Maker = Callable[["Random", int], str]
"""Makes text for one part of a pattern; the number is how often an open-ended part may repeat at most."""


def text_for_pattern(pattern: str, random: Random, *, least: int = 0, most: int | None = None) -> str | None:
    """Return text in which `pattern` is found, as JSON Schema's ``pattern`` means it, or None.

    Read are literals, classes, escapes, groups, alternatives, repeats and anchors. A look-around is skipped and a
    back-reference is not understood, so each text is tried against the pattern itself; None is returned where none of
    300 tries holds.

    Args:
        pattern: the regular expression; it is searched for, so that an unanchored one may stand anywhere.
        random: decides.
        least, most: the length in characters; None for no upper bound.

    >>> from random import Random
    >>> text_for_pattern(r"^[A-Z]{2}-[0-9]{4}$", Random(1))
    'SZ-4177'
    """
    try:
        known = re.compile(pattern)
        make = _Reader(pattern).alternatives()
    except (re.error, _NotUnderstood, IndexError, ValueError):
        return None
    for attempt in range(_TRIES):
        text = make(random, max(1, min(least + attempt // 20, 2 + least + attempt // 3)))
        if not pattern.endswith("$") and len(text) < least:
            text += "".join(random.choice(string.ascii_lowercase) for _ in range(least - len(text)))
        if len(text) >= least and (most is None or len(text) <= most) and known.search(text):
            return text
    return None


class _NotUnderstood(Exception):
    """The pattern uses something that has no row here."""


@dataclass(slots=True)
class _Reader:
    """A recursive-descent reader of one pattern."""

    text: str
    at: int = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self) -> _Maker:
        options = [self.sequence()]
        while self.peek() == "|":
            self.take()
            options.append(self.sequence())
        if len(options) == 1:
            return options[0]
        return lambda random, stretch: random.choice(options)(random, stretch)

    def sequence(self) -> _Maker:
        parts: list[_Maker] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.one()))
        return lambda random, stretch: "".join(part(random, stretch) for part in parts)

    def one(self) -> _Maker:
        character = self.take()
        if character in "^$":
            return _nothing
        if character == "(":
            return self.group()
        if character == "[":
            return _any_of(self.members())
        if character == ".":
            return _any_of(_PRINTABLE)
        if character == "\\":
            return self.escape()
        return lambda random, stretch: character

    def group(self) -> _Maker:
        skipped = False
        if self.peek() == "?":
            self.take()
            kind = self.take()
            if kind == "P" or (kind == "<" and self.peek() not in "=!"):
                self.at = self.text.index(">", self.at) + 1
            elif kind in "=!<":
                skipped = True
                self.at += kind == "<"
            elif kind != ":":
                raise _NotUnderstood(kind)
        inner = self.alternatives()
        if self.take() != ")":
            raise _NotUnderstood("group")
        return _nothing if skipped else inner

    def escape(self) -> _Maker:
        character = self.take()
        if character in "bBAZz":
            return _nothing
        if character.isdigit():
            raise _NotUnderstood("back-reference")
        return _any_of(self.escaped(character))

    def escaped(self, character: str) -> str:
        if character in _CLASSES:
            return _CLASSES[character]
        if character in "xu":
            width = 2 if character == "x" else 4
            self.at += width
            return chr(int(self.text[self.at - width : self.at], 16))
        if character in "pPkN":
            raise _NotUnderstood(character)
        return _CONTROL.get(character, character)

    def members(self) -> str:
        inverted = self.peek() == "^"
        self.at += inverted
        found = ""
        first = True
        while first or self.peek() != "]":
            first = False
            character = self.take()
            members = self.escaped(self.take()) if character == "\\" else character
            if self.peek() == "-" and self.text[self.at + 1] != "]" and len(members) == 1:
                self.take()
                end = self.take()
                members = _span(members, self.escaped(self.take()) if end == "\\" else end)
            found += members
        self.take()
        return "".join(each for each in _PRINTABLE if each not in found) if inverted else found

    def repeated(self, maker: _Maker) -> _Maker:
        while (bounds := self.bounds()) is not None:
            maker = _repeat(maker, *bounds)
        return maker

    def bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        counted = re.compile(r"\{(\d*)(,?)(\d*)\}").match(self.text, self.at)
        if self.peek() in simple:
            found = simple[self.take()]
        elif counted is not None:
            self.at = counted.end()
            low, comma, high = counted.groups()
            found = (int(low or 0), (int(high) if high else None) if comma else int(low))
        else:
            return None
        if self.peek() in ("?", "+"):  # lazy or possessive: the same language for one who writes
            self.take()
        return found


def _nothing(random: Random, stretch: int) -> str:
    return ""


def _any_of(characters: str) -> _Maker:
    if not characters:
        raise _NotUnderstood("empty class")
    return lambda random, stretch: random.choice(characters)


def _span(first: str, last: str) -> str:
    # A long span is cut: some of its characters are enough to write text with.
    return "".join(chr(code) for code in range(ord(first), min(ord(last), ord(first) + 255) + 1))


def _repeat(maker: _Maker, low: int, high: int | None) -> _Maker:
    def make(random: Random, stretch: int) -> str:
        top = low + stretch if high is None else min(high, low + max(stretch, 1))
        return "".join(maker(random, stretch) for _ in range(random.randint(low, max(low, top))))

    return make
