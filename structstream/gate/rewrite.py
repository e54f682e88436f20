"""JSON text in, the same JSON text out, with some of its strings changed: what a gate is made of."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from structstream.jsongrammar import (
    SHORT,
    end_of_run,
    match_cut_escape,
    match_escape,
    match_plain_string,
    unescape,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JSONRewriter", "encode", "is_plain"]

_MAX_TOKEN = 1 << 24  # characters of a key or a number that wait for its end; whoever reads on has tighter bounds

_NUMBER = r"-?[0-9][-+.0-9eE]*+"
_WS = r"[ \t\n\r]*+"
# Structure, and scalars behind which structure stands. What is no JSON beyond that is found by whoever reads on.
_match_structure = re.compile(
    rf"(?:[ \t\n\r{{}}\[\],:]++|(?:{_NUMBER}|true|false|null|NaN|-?Infinity)(?={_WS}[,\]}}]))*+"
).match
_find_scalars = re.compile(rf"{_NUMBER}|true|false|null|NaN|-?Infinity").finditer
_goes_on = re.compile(r"[-+.0-9A-Za-z \t\n\r]*+\Z").match
_find_marks = re.compile(r"[{}\[\],]").findall


def _starts(word: str) -> str:
    return word[0] + "".join(f"(?:{char}" for char in word[1:]) + ")?" * (len(word) - 1)


_match_scalar_start = re.compile(
    rf"{_NUMBER}|{'|'.join(map(_starts, ('true', 'false', 'null', 'NaN')))}|-?{_starts('Infinity')}|-"
).match

encode = json.encoder.encode_basestring  # with quotes; nothing but quotes, backslashes and control characters escaped


def is_plain(text: str) -> bool:
    """Whether a text may stand in a JSON string as it is, as far as that is quick to see."""
    return len(text) <= SHORT and '"' not in text and "\\" not in text and text.isprintable()


class JSONRewriter:
    """Copies the JSON text that it reads, but for strings, keys and scalars that a subclass changes.

    The text may be cut anywhere. A key, a number or a literal is copied when it has ended, all else as it comes;
    escapes within a string may come out in another form that says the same. Only as much of the grammar is known here
    as it takes to find the strings. Text that breaks it is copied up to the first character that does, so that whoever
    reads on finds the fault there, and nothing behind it is copied.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self.in_text = False
        """Whether the next character is one of a string value's text, or its end."""
        self._broken = False
        self._parts: list[str] | None = None  # of the open key
        self._length = 0
        self._in_value = False
        self._carry = ""  # the start of an escape whose end has not come yet
        self._scalar: list[str] = []  # a scalar behind which no structure has come yet, and blanks
        self._place: list[str | int] = []  # the current key or index of each open container
        self._wants_key = False

    # --- for the subclass ---

    def begin_string(self) -> None:
        """A string value begins whose text comes in pieces."""

    def more_string(self, text: str) -> None:
        """More of the string; the subclass emits what may be shown."""

    def end_string(self) -> None:
        """The string ends; the subclass emits the rest of it."""

    def string(self, text: str, raw: str) -> None:
        """A string value without escapes that came in one piece, and as written; the subclass emits it, with quotes."""
        self.emit(raw)

    def key(self, name: str) -> None:
        """A key; the subclass emits it, with its quotes."""
        self.emit(encode(name))

    def scalar(self, raw: str) -> None:
        """A number or a literal, as written; the subclass emits it."""
        self.emit(raw)

    def spares(self, raw: str) -> bool:
        """Return whether all scalars in a stretch of structure may be copied without a look."""
        return True

    def emit(self, text: str) -> None:
        """Put out JSON text; within a string escaped and without its quotes."""
        self._out.append(text)

    # --- what callers use ---

    @property
    def place(self) -> Sequence[str | int]:
        """The keys and indices that lead to the place that was reached, as they were written."""
        return self._place

    def take(self) -> str:
        """Return what was put out since the last call."""
        out = self._out
        if not out:
            return ""
        text = out[0] if len(out) == 1 else "".join(out)
        out.clear()
        return text

    def feed(self, text: str) -> None:
        """Read more text; `take` gives what comes of it."""
        if self._broken:
            return
        if self.in_text and is_plain(text):
            self.more_string(text)
            return
        if self._carry:
            text = self._carry + text
            self._carry = ""
        i, end = 0, len(text)
        while i < end and not self._broken:
            i = self._string(text, i) if self._in_value or self._parts is not None else self._structure(text, i)
        self.in_text = self._in_value and not self._carry and not self._broken

    def go_on_from(self, text: str) -> str | None:
        """Take up the state behind `text`, of which nothing is put out or told; return what is there of an open string.

        It ends where nothing waits: behind a value, a bracket, or a whole character of a string value.
        """
        follower = _Follower()
        follower.feed(text)
        self._place, self._wants_key = follower._place, follower._wants_key
        self._in_value = self.in_text = follower.in_text
        return "".join(follower.parts) if self.in_text else None

    def finish(self) -> None:
        """End the text: a scalar at the root ends with it."""
        if self._scalar and not self._broken:
            self._fault("".join(self._scalar), "")

    # --- between strings ---

    def _structure(self, text: str, i: int) -> int:
        quote = text.find('"', i)
        stop = quote if quote >= 0 else len(text)
        part = text[i:stop] if i or quote >= 0 else text
        if self._scalar:
            self._scalar.append(part)
            part = "".join(self._scalar) if self._has_ended(part) or quote >= 0 else ""
            if part:
                self._scalar = []
        if part:
            end = _match_structure(part).end()  # type: ignore[union-attr]  # matches the empty text
            if end:
                self._copy(part if end == len(part) else part[:end])
            if end < len(part) and not self._keeps(part[end:], quote >= 0):
                self._fault(part[end:], text[stop : stop + 1])
                return stop
        return self._begin(text, quote) if quote >= 0 else stop

    def _has_ended(self, part: str) -> bool:
        """Whether more of a scalar that waits holds what decides it, or it is too long to wait."""
        self._length += len(part)
        return self._length > _MAX_TOKEN or _goes_on(part) is None

    def _keeps(self, rest: str, followed: bool) -> bool:
        """Whether what is left of a structure is a scalar that may go on; then it waits."""
        found = _match_scalar_start(rest)
        if followed or found is None or rest[found.end() :].strip(" \t\n\r"):
            return False
        self._scalar = [rest]
        self._length = len(rest)
        return True

    def _copy(self, part: str) -> None:
        if self.spares(part):
            self.emit(part)
        else:
            at = 0
            for found in _find_scalars(part):
                if found.start() > at:
                    self.emit(part[at : found.start()])
                self._mark(part[at : found.start()])
                at = found.end()
                self.scalar(found[0])
            part = part[at:]
            self.emit(part)
        self._mark(part)

    def _mark(self, part: str) -> None:
        """Follow the brackets and commas."""
        place = self._place
        for mark in _find_marks(part):
            if mark == "{":
                place.append("")
            elif mark == "[":
                place.append(0)
            elif mark != ",":
                if place:
                    place.pop()
            elif place and isinstance(place[-1], int):
                place[-1] += 1
            self._wants_key = mark in "{," and bool(place) and isinstance(place[-1], str)

    def _fault(self, rest: str, following: str) -> None:
        """Copy text that breaks the grammar, or that the end of the text cuts off, up to the fault."""
        found = _match_scalar_start(rest)
        if found is not None:
            self.scalar(found[0])
            rest = rest[found.end() :]
        rest += following
        blanks = len(rest) - len(rest.lstrip(" \t\n\r"))
        self.emit(rest[: blanks + 1])
        self._broken = True

    # --- strings ---

    def _begin(self, text: str, quote: int) -> int:
        whole = match_plain_string(text, quote)
        if self._wants_key:
            self._wants_key = False
            if whole is not None:
                self._end_key(whole[1])
                return whole.end()
            self._parts = []
            self._length = 0
            return quote + 1
        if whole is not None:
            self.string(whole[1], whole[0])
            return whole.end()
        self.emit('"')
        self._in_value = True
        self.begin_string()
        return quote + 1

    def _end_key(self, name: str) -> None:
        if self._place:
            self._place[-1] = name
        self.key(name)

    def _string(self, text: str, i: int) -> int:
        """Read a run of a string's text and its closing quote, or one escape."""
        stop = end_of_run(text, i)
        if stop > i:
            self._more(text[i:stop])
            if stop == len(text):
                return stop
        char = text[stop]
        if char == '"':
            self._end()
            return stop + 1
        escape = match_escape(text, stop) if char == "\\" else None
        if escape is not None:
            self._more(unescape(escape[0]))
            return escape.end()
        if char == "\\" and match_cut_escape(text, stop) is not None:
            self._carry = text[stop:]
            return len(text)
        self._break_string(text, stop)
        return len(text)

    def _more(self, text: str) -> None:
        if self._parts is None:
            self.more_string(text)
            return
        self._parts.append(text)
        self._length += len(text)
        if self._length > _MAX_TOKEN:
            self._end()

    def _end(self) -> None:
        if self._parts is None:
            self._in_value = False
            self.end_string()
            self.emit('"')
        else:
            parts, self._parts = self._parts, None
            self._end_key("".join(parts))

    def _break_string(self, text: str, i: int) -> None:
        """A control character, or what begins like an escape and is none."""
        stop = i + 1
        while stop < len(text) and match_cut_escape(text[i:stop]) is not None:
            stop += 1
        if self._parts is not None:
            self.emit('"')  # the key itself was not judged
        self.emit(text[i:stop])
        self._broken = True


class _Follower(JSONRewriter):
    """Keeps the text of the string value that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def begin_string(self) -> None:
        self.parts = []

    def more_string(self, text: str) -> None:
        self.parts.append(text)
