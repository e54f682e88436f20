"""The states and steps of `JSONRepair`; what they take and refuse stands in the package's docstring."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from structstream.errors import DecodeError, JSONLimitError, JSONSyntaxError
from structstream.jsongrammar import (
    SHORT,
    end_of_whitespace,
    match_cut_escape,
    match_escape,
    match_plain_string,
    whole_container,
)

from .grammar import (
    DOUBLE,
    ENCODED,
    MAX_GAP,
    QUOTES,
    State,
    end_of_blanks,
    end_of_word,
    find_line_end,
    find_long_gap,
    kind_of,
    literal,
    match_identifier,
    shorten,
)
from .position import Nesting, Position
from .preamble import Preamble

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JSONRepair"]

_Step: TypeAlias = "Callable[[JSONRepair, str, int], int]"  # takes a text and a place, returns the next place

_WORTH_A_LOOK = 32  # below this many characters a whole container is hardly there
_WHOLE_LEVELS = 3  # containers within one another that `whole_container` takes


class JSONRepair:
    """A linear transducer from what a model wrote to strictly valid JSON text.

    The pieces that `feed` and `finish` return are, joined, the JSON text; at any time they are the start of one. Valid
    JSON passes as it is, but for whitespace before and after it and beyond 1024 characters in one place.

    Args:
        starts: the brackets that may open the value: ``{`` for an object model, ``[`` for a list, or both; a bracket of
            the other kind before the value is prose.
        scalars: whether a string, a number or a literal may be the value as well. Prose before a scalar is not taken.
            Without `starts` and `scalars`, any value is looked for.
        max_depth: containers within one another.
        max_number_length: characters of one number, literal or unquoted key.

    >>> JSONRepair(starts="", scalars=True).feed('"tex')
    '"tex'
    """

    def __init__(
        self, *, starts: str = "{[", scalars: bool = False, max_depth: int = 201, max_number_length: int = 2**16
    ) -> None:
        self.salvaged = ""
        """After an error: the repaired text that stood before it in the `feed` that raised."""
        if not (starts or scalars):
            starts, scalars = "{[", True
        self._preamble = Preamble(starts=starts, scalars=scalars)
        self._wanted = "value" if scalars else {"{": "object", "[": "array"}.get(starts, "object or array")
        self._max_depth = max_depth
        self._max_number_length = max_number_length
        # Functions, not bound methods: a repair then holds no reference to itself.
        self._step: _Step = JSONRepair._find_root
        self._state = _VALUE
        self._out: list[str] = []
        self._tentative = False  # whether what was read since the preamble may still turn out to be prose
        self._rejected: JSONSyntaxError | None = None  # why the first place that looked like a value was none
        self._error: DecodeError | None = None
        self._nesting = Nesting()
        # Between tokens: the whitespace and the comma that wait for the next one.
        self._gap = ""
        self._comma = False
        self._spaced = False
        self._broken = False
        self._after_container = False
        # Within a token.
        self._quote = DOUBLE
        self._key: list[str] | None = None  # the pieces of the key that is being read
        self._word: list[str] = []
        self._word_length = 0
        self._carry = ""  # the start of an escape whose end has not come yet
        self._position = Position()

    # --- what callers use ---

    @property
    def done(self) -> bool:
        """Whether the value has closed; whatever follows is ignored. A number at the root closes with its line."""
        return self._step is JSONRepair._ignore

    def feed(self, text: str) -> str:
        """Read more text; return the JSON text that is certain by now.

        Raises:
            JSONSyntaxError: the text is not JSON, nor anything that is taken for it; every later call raises the same.
            JSONLimitError: a bound was passed; likewise.
        """
        if self._error is not None:
            raise self._error
        if self._step is JSONRepair._string and self._quote is DOUBLE and self._is_all_plain(text):
            return text
        if self._carry:
            text = self._carry + text
            self._carry = ""
        i, end = 0, len(text)
        try:
            while i < end:
                i = self._step(self, text, i)
        except DecodeError as error:
            self._error = error
            self.salvaged = "".join(self._out)
            raise
        self._position.move(text[: end - len(self._carry)])
        return self._flush() if self._out else ""

    def _is_all_plain(self, text: str) -> bool:
        """Take a short text within a string as a whole: what most deltas of a model are."""
        if len(text) > SHORT or self._carry or '"' in text or "\\" in text or not text.isprintable():
            return False
        self._position.offset += len(text)
        if self._key is not None:
            self._key.append(text)
        return True

    def _flush(self) -> str:
        if self._tentative:
            return ""
        out = "".join(self._out)
        self._out.clear()
        return out

    def finish(self) -> str:
        """End the text; return what only the end could decide. What is open stays open.

        Raises:
            JSONSyntaxError: there is no JSON value in the text.
        """
        if self._error is not None:
            raise self._error
        if self._step is JSONRepair._apostrophe:
            self._close_string()
        elif self._step is JSONRepair._in_word and not self._nesting.closers:
            self._end_word("", 0)
        if self._step is JSONRepair._end_of_line:
            self._end_root_word()
        if self._step is JSONRepair._find_root:
            self._error = self._rejected or self._nothing_found()
            raise self._error
        self._tentative = False
        return self._flush()

    # --- errors ---

    def _nothing_found(self) -> JSONSyntaxError:
        thinking = "the end of the thinking and " if self._preamble.thinking else ""
        found = "end of text (no JSON value found)"
        return self._position.syntax_error("", 0, f"{thinking}a JSON {self._wanted}", found, "")

    def _refuse(self, text: str, i: int, token: str = "") -> int:
        """Raise for `token`, which ended before `i`, or for the character at `i`; or return to the prose, at `i`."""
        began = self._state is not _VALUE  # or it was but a word of prose, where a scalar might have stood
        if not self._tentative or (began and self._rejected is None):
            found = repr(shorten(token) or text[i])
            path = self._nesting.path()
            error = self._position.syntax_error(text, i - len(token), self._state.expected, found, path)
            if not self._tentative:
                raise error
            self._rejected = error
        self._tentative = False
        self._gap = ""
        self._out.clear()
        self._nesting.clear()
        self._step = JSONRepair._find_root
        return i

    def _limit_error(self, bound: str, limit: int, offset: int) -> JSONLimitError:
        return JSONLimitError(bound, limit, offset=offset, path=self._nesting.path())

    # --- the root ---

    def _find_root(self, text: str, i: int) -> int:
        i = self._preamble.find(text, i)
        if i < len(text):
            self._tentative = True
            self._state = _VALUE
            self._step = JSONRepair._structure
        return i

    def _end_of_line(self, text: str, i: int) -> int:
        """A word at the root is the value only if nothing but the end of a line or fence stands behind it."""
        i = end_of_blanks(text, i)
        if i == len(text):
            return i
        if text[i] in "\n\r`":
            self._end_root_word()
            return i
        return self._refuse(text, i)

    def _end_root_word(self) -> None:
        self._out.append(literal("".join(self._word)) or "")
        self._end_value()

    def _ignore(self, text: str, i: int) -> int:
        return len(text)

    # --- between tokens: whitespace, commas, colons, comments ---

    def _structure(self, text: str, i: int) -> int:
        char = text[i]
        actions = self._state.actions
        action = actions.get(char) or actions.get(kind_of(char))
        if action is None:
            return self._refuse(text, i)
        return action(self, text, i)

    def _skip_space(self, text: str, i: int) -> int:
        end = end_of_whitespace(text, i)
        run = text[i:end]
        self._spaced = True
        if run != " " and ("\n" in run or "\r" in run):
            self._broken = True
        if len(self._gap) < MAX_GAP:
            self._gap += run[: MAX_GAP - len(self._gap)]
        return end

    def _skip_odd_space(self, text: str, i: int) -> int:
        self._spaced = True
        return i + 1

    def _give_waiting(self) -> None:
        """Give what waited for the token that now begins."""
        if self._comma:
            self._out.append(",")
            self._comma = False
        if self._spaced:
            self._out.append(self._gap)
            self._gap = ""
            self._spaced = self._broken = False

    def _take_comma(self, text: str, i: int) -> int:
        self._give_waiting()
        self._begin_next()
        return i + 1

    def _begin_next(self) -> None:
        self._comma = True
        self._nesting.next()
        self._state = _KEY if self._nesting.closers[-1] == "}" else _ITEM

    def _imply_comma(self, text: str, i: int) -> int:
        """Read on as if a comma had stood here, where leaving it out is unambiguous."""
        is_key = self._nesting.closers[-1] == "}" and self._spaced and text[i] in QUOTES
        if not (is_key or self._broken or self._after_container or text[i] in "{["):
            return self._refuse(text, i)
        self._begin_next()
        return i

    def _take_colon(self, text: str, i: int) -> int:
        self._tentative = False
        self._give_waiting()
        self._out.append(":")
        self._state = _VALUE
        return i + 1

    def _open_comment(self, text: str, i: int) -> int:
        self._step = JSONRepair._line_comment if text[i] == "#" else JSONRepair._slash
        return i + 1

    def _slash(self, text: str, i: int) -> int:
        if text[i] not in "/*":
            self._step = JSONRepair._structure
            return self._refuse(text, i, "/")
        self._step = JSONRepair._line_comment if text[i] == "/" else JSONRepair._block_comment
        return i + 1

    def _line_comment(self, text: str, i: int) -> int:
        match = find_line_end(text, i)
        if match is None:
            return len(text)
        self._step = JSONRepair._structure
        return match.start()

    def _block_comment(self, text: str, i: int) -> int:
        i = text.find("*", i)
        if i < 0:
            return len(text)
        self._step = JSONRepair._star
        return i + 1

    def _star(self, text: str, i: int) -> int:
        """Read on behind a star within a block comment."""
        if text[i] == "/":
            self._spaced = True
            self._step = JSONRepair._structure
        elif text[i] != "*":
            self._step = JSONRepair._block_comment
        return i + 1

    # --- containers ---

    def _open(self, text: str, i: int) -> int:
        if len(self._nesting.closers) >= self._max_depth:
            raise self._limit_error("max_depth", self._max_depth, self._position.offset + i)
        self._give_waiting()
        if len(text) - i >= _WORTH_A_LOOK and (end := self._step_over(text, i)):
            return end
        self._out.append(text[i])
        self._nesting.open(text[i])
        self._state = _KEY if text[i] == "{" else _ITEM
        return i + 1

    def _step_over(self, text: str, i: int) -> int:
        """Pass a whole container that is valid and lies within this text; return its end, or 0 if there is none."""
        raw = whole_container(text, i)
        if not raw:
            return 0
        if len(raw) > self._max_number_length or len(self._nesting.closers) + _WHOLE_LEVELS > self._max_depth:
            return 0  # a bound may be passed within
        if len(raw) > MAX_GAP and find_long_gap(raw):
            return 0
        self._out.append(raw)
        self._end_value(container=True)
        return i + len(raw)

    def _close(self, text: str, i: int) -> int:
        self._comma = False  # it was one too many
        self._give_waiting()
        self._out.append(text[i])
        self._nesting.close()
        self._end_value(container=True)
        return i + 1

    def _end_value(self, *, container: bool = False) -> None:
        self._tentative = False
        self._after_container = container
        if not self._nesting.closers:
            self._step = JSONRepair._ignore
            return
        self._step = JSONRepair._structure
        self._state = _AFTER_MEMBER if self._nesting.closers[-1] == "}" else _AFTER_ITEM

    # --- words: numbers, literals, unquoted keys ---

    def _open_word(self, text: str, i: int) -> int:
        self._word = []
        self._word_length = 0
        self._step = JSONRepair._in_word
        return self._in_word(text, i)

    def _in_word(self, text: str, i: int) -> int:
        end = end_of_word(text, i)
        self._word.append(text[i:end])
        self._word_length += end - i
        if self._word_length > self._max_number_length:
            limit = self._max_number_length
            raise self._limit_error("max_number_length", limit, self._position.offset + end - self._word_length + limit)
        return end if end == len(text) else self._end_word(text, end)

    def _end_word(self, text: str, i: int) -> int:
        """Take the word that ended before `i`."""
        word = "".join(self._word)
        self._step = JSONRepair._structure
        if self._state is _KEY:
            if not match_identifier(word):
                return self._refuse(text, i, word)
            self._give_waiting()
            self._out.append(f'"{word}"')
            self._nesting.set_key(word)
            self._state = _COLON
            return i
        value = literal(word)
        if value is None:
            return self._refuse(text, i, word)
        if not self._nesting.closers:
            self._state = _AFTER_ROOT
            self._step = JSONRepair._end_of_line
            return i
        self._give_waiting()
        self._out.append(value)
        self._end_value()
        return i

    # --- strings ---

    def _open_string(self, text: str, i: int) -> int:
        self._tentative = False
        self._give_waiting()
        char = text[i]
        match = match_plain_string(text, i) if char == '"' else None
        if match is not None:
            self._out.append(match[0])
            self._end_string(match[1])
            return match.end()
        self._out.append('"')
        self._quote = QUOTES[char]
        self._key = [] if self._state is _KEY else None
        self._step = JSONRepair._string
        return i + 1

    def _end_string(self, key: str) -> None:
        if self._state is _KEY:
            self._nesting.set_key(key)
            self._state = _COLON
            self._step = JSONRepair._structure
        else:
            self._end_value()

    def _close_string(self) -> None:
        self._out.append('"')
        self._end_string("".join(self._key or ()))
        self._key = None

    def _give(self, piece: str) -> None:
        self._out.append(piece)
        if self._key is not None:
            self._key.append(piece)

    def _string(self, text: str, i: int) -> int:
        quote = self._quote
        match = quote.match_run(text, i)
        end = match.end() if match else i
        if end > i:
            self._give(text[i:end])
            if end == len(text):
                return end
        char = text[end]
        if char == quote.close:
            if quote.apostrophe:
                self._step = JSONRepair._apostrophe
            else:
                self._close_string()
            return end + 1
        if char == "\\":
            return self._take_escape(text, end)
        self._give(ENCODED[char])  # a control character, or a double quote within other quotes
        return end + 1

    def _take_escape(self, text: str, i: int) -> int:
        match = match_escape(text, i)
        if match is not None:
            self._give(match[0])
            return match.end()
        if match_cut_escape(text, i):
            self._carry = text[i:]
            return len(text)
        char = text[i + 1]
        if char in ("'", self._quote.close):
            self._give(ENCODED.get(char, char))
            return i + 2
        self._give(ENCODED["\\"])
        return i + 1

    def _apostrophe(self, text: str, i: int) -> int:
        """Behind a closing quote that may have been an apostrophe."""
        if text[i].isalnum():
            self._give(self._quote.close)
            self._step = JSONRepair._string
        else:
            self._close_string()
        return i


# The places between tokens.
_BETWEEN: dict[str, _Step] = {
    "space": JSONRepair._skip_space,
    "odd space": JSONRepair._skip_odd_space,
    "comment": JSONRepair._open_comment,
}
_BEGIN_KEY: dict[str, _Step] = {"quote": JSONRepair._open_string, "word": JSONRepair._open_word}
_BEGIN_VALUE: dict[str, _Step] = {**_BEGIN_KEY, "{": JSONRepair._open, "[": JSONRepair._open}

_KEY = State("a key or '}'", {**_BETWEEN, **_BEGIN_KEY, "}": JSONRepair._close})
_COLON = State("':'", {**_BETWEEN, ":": JSONRepair._take_colon})
_VALUE = State("a value", {**_BETWEEN, **_BEGIN_VALUE})
_ITEM = State("a value or ']'", {**_BETWEEN, **_BEGIN_VALUE, "]": JSONRepair._close})
_AFTER = {**_BETWEEN, ",": JSONRepair._take_comma}
_AFTER_MEMBER = State(
    "',' or '}'", {**_AFTER, **dict.fromkeys(_BEGIN_KEY, JSONRepair._imply_comma), "}": JSONRepair._close}
)
_AFTER_ITEM = State(
    "',' or ']'", {**_AFTER, **dict.fromkeys(_BEGIN_VALUE, JSONRepair._imply_comma), "]": JSONRepair._close}
)
_AFTER_ROOT: State[_Step] = State("the end of the line", {})
