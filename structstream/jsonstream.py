"""JSON text in, events out: an incremental reader of RFC 8259 that looks at each character a bounded number of times.

The reader pushes what it finds into a `JSONSink`. Its states are the small methods below; each takes the text and a
position, consumes what it can, and returns the next position. Text may be cut anywhere: the events do not depend on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import JSONLimitError, JSONSyntaxError
from .jsongrammar import (
    HIGH_SURROGATE,
    LITERALS,
    NAN_LITERALS,
    SHORT,
    end_of_number,
    end_of_run,
    end_of_whitespace,
    good_number,
    match_cut_escape,
    match_escape,
    match_number,
    match_plain_key,
    match_plain_string,
    show,
    unescape,
    whole_container,
)
from .jsonsink import DEFAULT_LIMITS, JSONSink
from .text import MANY, TextBuffer, render_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from .jsonsink import JSONLimits

__all__ = ["JSONStream"]

# Below this many characters a whole container is hardly there: looking for one would cost more than it saves.
_WORTH_A_LOOK = 32


class JSONStream:
    """An incremental, strict reader of one JSON document.

    Args:
        sink: receives the events.
        limits: the bounds.
        allow_nan: whether ``NaN``, ``Infinity`` and ``-Infinity`` are taken, as Pydantic does and RFC 8259 does not.
        buffer: where the text is kept; an empty one. None for one of its own.
        offset: what the offset of the first character is, where the text is a part of another.

    >>> class Print:
    ...     def open_object(self, at): print("{ at", at)
    ...     def key(self, name): print("key", name)
    ...     def scalar(self, raw, end): print("scalar", raw)
    ...     def close(self, end): print("closed at", end)
    >>> stream = JSONStream(Print())
    >>> stream.feed('{"a'); stream.feed('ge": 4'); stream.feed('2}'); stream.finish()
    { at 0
    key age
    scalar 42
    closed at 11
    """

    __slots__ = (
        "_base",
        "_carry",
        "_counts",
        "_key_parts",
        "_limits",
        "_literals",
        "_mark",
        "_path",
        "_shift",
        "_sink",
        "_step",
        "_wanted",
        "_word",
        "buffer",
        "scanned",
    )

    def __init__(
        self,
        sink: JSONSink,
        *,
        limits: JSONLimits | None = None,
        allow_nan: bool = False,
        buffer: TextBuffer | None = None,
        offset: int = 0,
    ) -> None:
        self.buffer = TextBuffer() if buffer is None else buffer
        self.scanned = 0
        """Characters that the reader went through: the counted work that the linearity tests hold."""
        self._sink = sink
        self._limits = limits or DEFAULT_LIMITS
        self._literals = NAN_LITERALS if allow_nan else LITERALS
        self._shift = offset
        self._base = offset
        self._carry = ""  # the start of an escape whose end has not come yet
        self._path: list[str | int] = []  # one entry an open container: the current key or index
        self._counts: list[int] = []  # keys of each open object, -1 for an array
        self._key_parts: list[str] = []
        self._mark = 0  # offset where the current string, number or literal began
        self._wanted = False
        self._word = ""
        self._step: Callable[[JSONStream, str, int], int] = _VALUE

    # --- what callers use ---

    @property
    def done(self) -> bool:
        """Whether the root value has closed. A number at the root closes with the text."""
        return self._step is _DONE

    @property
    def mark(self) -> int:
        """The offset where the newest string, key, number or literal began."""
        return self._mark

    @property
    def path(self) -> str:
        """The JSON path of the place that was reached."""
        return render_path(self._path)

    def feed(self, text: str) -> None:
        """Read more text.

        Raises:
            JSONSyntaxError: the text is not JSON; the reader must not be fed again.
            JSONLimitError: a bound was passed; likewise.
        """
        buffer, end = self.buffer, len(text)
        base = self._base = buffer.length + self._shift
        # As `TextBuffer.append`: a call for each delta is saved.
        loose = buffer.loose
        loose.append(text)
        buffer.length += end
        if len(loose) >= MANY:
            buffer.settle()
        self.scanned += end
        # A short text that lies within a string is taken as a whole: what most deltas of a model are.
        if (
            self._step is _IN_STRING
            and end <= SHORT
            and '"' not in text
            and "\\" not in text
            and text.isprintable()
            and not self._carry
            and base + end - self._mark <= self._limits.max_string_length
        ):
            if self._wanted and end:
                self._sink.piece(text)
            return
        if self._carry:
            self.scanned += len(self._carry)
            text = self._carry + text
            self._base -= len(self._carry)
            self._carry = ""
            end = len(text)
        i = 0
        while i < end:
            i = self._step(self, text, i)

    def finish(self) -> None:
        """End the text.

        Raises:
            JSONSyntaxError: the document is not complete, or its last number is none.
        """
        self._base = self.buffer.length + self._shift
        if self._step is _NUMBER_STATE and not self._path:  # elsewhere it may be half a number
            self._scalar(self._number_text("", self._base), self._base)
        if self._step is not _DONE:
            raise self._syntax_error(_EXPECTED[self._step], self._base)

    # --- errors ---

    def _syntax_error(self, expected: str, offset: int) -> JSONSyntaxError:
        before = self.buffer.slice(0, offset - self._shift)
        found = self.buffer.slice(offset - self._shift, offset - self._shift + 1)
        return JSONSyntaxError(
            expected=expected,
            found=show(found),
            offset=offset,
            line=before.count("\n") + 1,
            column=offset - (before.rfind("\n") + 1) + 1,
            path=self.path,
        )

    def _limit_error(self, bound: str, offset: int) -> JSONLimitError:
        return JSONLimitError(bound, getattr(self._limits, bound), offset=offset, path=self.path)

    def _fail(self, i: int) -> JSONSyntaxError:
        return self._syntax_error(_EXPECTED[self._step], self._base + i)

    def _raw(self, text: str, start: int, end: int) -> str:
        """The characters between two offsets, from `text` where it holds them all."""
        if start >= self._base:
            return text[start - self._base : end - self._base]
        return self.buffer.slice(start - self._shift, end - self._shift)

    # --- values ---

    def _value(self, text: str, i: int) -> int:
        char = text[i]
        if char == '"':
            return self._begin_string(text, i)
        if char in "{[":
            return self._open(text, i, char)
        if char in "-0123456789":
            self._mark = self._base + i
            self._step = _NUMBER_STATE
            return self._in_number(text, i)
        if char in self._literals:
            self._mark = self._base + i
            self._word = self._literals[char]
            self._step = _LITERAL
            return i + 1
        if char in " \t\n\r":
            return end_of_whitespace(text, i)
        raise self._fail(i)

    def _value_or_end(self, text: str, i: int) -> int:
        if text[i] == "]":
            return self._close(i)
        return self._value(text, i)

    def _open(self, text: str, i: int, char: str) -> int:
        at = self._base + i
        if len(self._path) >= self._limits.max_depth:
            raise self._limit_error("max_depth", at)
        if len(text) - i >= _WORTH_A_LOOK and (end := self._step_over(text, i)):
            self._after_value()
            return end
        if char == "{":
            self._path.append("")
            self._counts.append(0)
            self._step = _KEY_OR_END
            self._sink.open_object(at)
        else:
            self._path.append(0)
            self._counts.append(-1)
            self._step = _VALUE_OR_END
            self._sink.open_array(at)
        return i + 1

    def _step_over(self, text: str, i: int) -> int:
        """Hand over a whole container that lies within this text; return its end, or 0 if there is none."""
        raw = whole_container(text, i)
        if not raw:
            return 0
        limits = self._limits
        may_pass_a_bound = (
            len(raw) > min(limits.max_string_length, limits.max_number_length)
            or len(self._path) + 3 > limits.max_depth
            or raw.count(":") > limits.max_keys
        )
        if may_pass_a_bound or not self._sink.container(raw, self._base + i):
            return 0
        return i + len(raw)

    def _close(self, i: int) -> int:
        self._path.pop()
        self._counts.pop()
        self._sink.close(self._base + i + 1)
        self._after_value()
        return i + 1

    def _after_value(self) -> None:
        if not self._path:
            self._step = _DONE
        else:
            self._step = _COMMA_OR_BRACKET if self._counts[-1] < 0 else _COMMA_OR_BRACE

    # --- between values ---

    def _comma_or_bracket(self, text: str, i: int) -> int:
        char = text[i]
        if char == ",":
            self._path[-1] += 1  # type: ignore[operator]  # an array's entry is its index
            self._step = _VALUE
            return i + 1
        if char == "]":
            return self._close(i)
        return self._skip_whitespace(text, i)

    def _comma_or_brace(self, text: str, i: int) -> int:
        char = text[i]
        if char == ",":
            self._step = _KEY
            return i + 1
        if char == "}":
            return self._close(i)
        return self._skip_whitespace(text, i)

    def _skip_whitespace(self, text: str, i: int) -> int:
        if text[i] not in " \t\n\r":
            raise self._fail(i)
        return end_of_whitespace(text, i)

    # --- keys ---

    def _key_or_end(self, text: str, i: int) -> int:
        if text[i] == "}":
            return self._close(i)
        return self._key(text, i)

    def _key(self, text: str, i: int) -> int:
        if text[i] != '"':
            return self._skip_whitespace(text, i)
        match = match_plain_key(text, i)
        if match is not None:
            key = match[1]
            self._mark = self._base + i
            self._check_length(self._mark + 1 + len(key))
            self._take_key(key)
            self._step = _VALUE
            return match.end()
        self._mark = self._base + i
        self._key_parts = []
        self._step = _IN_KEY
        return i + 1

    def _in_key(self, text: str, i: int) -> int:
        return self._in_string_text(text, i, self._key_parts.append, JSONStream._end_key)

    def _end_key(self, i: int) -> None:
        self._take_key("".join(self._key_parts))
        self._step = _COLON

    def _take_key(self, key: str) -> None:
        self._path[-1] = key
        self._counts[-1] += 1
        if self._counts[-1] > self._limits.max_keys:
            raise self._limit_error("max_keys", self._mark)
        self._sink.key(key)

    def _colon(self, text: str, i: int) -> int:
        if text[i] != ":":
            return self._skip_whitespace(text, i)
        self._step = _VALUE
        return i + 1

    # --- strings ---

    def _begin_string(self, text: str, i: int) -> int:
        at = self._base + i
        self._mark = at
        match = match_plain_string(text, i)
        if match is not None and len(match[1]) <= self._limits.max_string_length:
            self._sink.string(match[1], at)
            self._after_value()
            return match.end()
        self._wanted = self._sink.open_string(at)
        self._step = _IN_STRING
        return i + 1

    def _in_string(self, text: str, i: int) -> int:
        return self._in_string_text(text, i, self._sink.piece if self._wanted else None, JSONStream._end_string)

    def _end_string(self, i: int) -> None:
        self._sink.close_string(self._base + i)
        self._after_value()

    def _in_string_text(
        self, text: str, i: int, take: Callable[[str], None] | None, end: Callable[[JSONStream, int], None]
    ) -> int:
        """Read a run of a string's text and its closing quote, or one escape."""
        stop = end_of_run(text, i)
        if stop > i:
            longest = self._mark + 1 + self._limits.max_string_length - self._base
            if stop > longest:
                if take is not None and longest > i:
                    take(text[i:longest])
                raise self._limit_error("max_string_length", self._base + longest)
            if take is not None:
                take(text[i:stop])
            if stop == len(text):
                return stop
        char = text[stop]
        if char == '"':
            end(self, stop + 1)
            return stop + 1
        if stop > i:
            return stop
        if char != "\\":
            raise self._syntax_error("text of a string (a control character must be escaped)", self._base + i)
        match = match_escape(text, i)
        if match is None:
            return self._hold_escape(text, i)
        self._check_length(self._base + match.end())
        if take is not None:
            take(unescape(match[0]))
        return match.end()

    def _hold_escape(self, text: str, i: int) -> int:
        if match_cut_escape(text, i) is None:
            stop = i + 1
            while match_cut_escape(text[i:stop]) is not None:
                stop += 1
            lone = re.match(HIGH_SURROGATE, text[i:stop])
            expected = "the other half of a surrogate pair" if lone else "an escape sequence"
            raise self._syntax_error(expected, self._base + stop - 1)
        self._carry = text[i:]
        return len(text)

    def _check_length(self, end: int) -> None:
        if end - self._mark - 1 > self._limits.max_string_length:
            raise self._limit_error("max_string_length", self._mark + 1 + self._limits.max_string_length)

    # --- numbers and literals ---

    def _in_number(self, text: str, i: int) -> int:
        stop = end_of_number(text, i)
        end = self._base + stop
        if end - self._mark > self._limits.max_number_length:
            raise self._limit_error("max_number_length", self._mark + self._limits.max_number_length)
        if stop == len(text):
            return stop
        if text[stop] == "I" and end - self._mark == 1 and "I" in self._literals:
            self._word = "-Infinity"
            self._step = _LITERAL
            return stop
        self._scalar(self._number_text(text, end), end)
        return stop

    def _number_text(self, text: str, end: int) -> str:
        raw = self._raw(text, self._mark, end)
        if match_number(raw) is None:
            good = good_number(raw)
            expected = "a digit" if good == len(raw) or raw[good] in "-+.eE" else "the end of the number"
            raise self._syntax_error(expected, self._mark + good)
        return raw

    def _literal(self, text: str, i: int) -> int:
        word = self._word
        have = self._base + i - self._mark
        stop = min(len(text), i + len(word) - have)
        if text[i:stop] != word[have : have + stop - i]:
            while text[i] == word[self._base + i - self._mark]:
                i += 1
            raise self._syntax_error(f"the rest of {word}", self._base + i)
        if self._base + stop - self._mark == len(word):
            self._scalar(word, self._base + stop)
        return stop

    def _scalar(self, raw: str, end: int) -> None:
        self._sink.scalar(raw, end)
        self._after_value()

    def _done(self, text: str, i: int) -> int:
        return self._skip_whitespace(text, i)


# The states. Functions, not bound methods: a reader then holds no reference to itself.
_VALUE = JSONStream._value
_VALUE_OR_END = JSONStream._value_or_end
_KEY = JSONStream._key
_KEY_OR_END = JSONStream._key_or_end
_IN_KEY = JSONStream._in_key
_COLON = JSONStream._colon
_IN_STRING = JSONStream._in_string
_NUMBER_STATE = JSONStream._in_number
_LITERAL = JSONStream._literal
_COMMA_OR_BRACKET = JSONStream._comma_or_bracket
_COMMA_OR_BRACE = JSONStream._comma_or_brace
_DONE = JSONStream._done

_EXPECTED: dict[Callable[[JSONStream, str, int], int], str] = {
    _VALUE: "a value",
    _VALUE_OR_END: "a value or ']'",
    _KEY: "a key in double quotes",
    _KEY_OR_END: "a key in double quotes or '}'",
    _IN_KEY: "the rest of the key",
    _COLON: "':'",
    _IN_STRING: "the rest of the string",
    _NUMBER_STATE: "the rest of the number",
    _LITERAL: "the rest of the literal",
    _COMMA_OR_BRACKET: "',' or ']'",
    _COMMA_OR_BRACE: "',' or '}'",
    _DONE: "the end of the text",
}
