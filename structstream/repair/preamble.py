"""Where the JSON begins in a model's text: behind prose, thinking, and the opening of a code fence.

Nothing of what is passed over is kept. What the finder points at is a place where a value *may* begin; `JSONRepair`
looks at what follows, and asks for the next place where it was prose after all (``{name}``, ``[see below]``).

- ``<think>``, ``<thinking>`` and ``<reasoning>`` hide everything up to the closing tag, brackets and fences too.
- A fence that names another language than JSON's (a program, a configuration) hides its content too, unless the value
  is the very first thing in it.
- Everything else is prose, in which the next wanted bracket is the next place.
- A scalar is looked for only where it is the first thing: of the text, behind the thinking, or in a fence. A number
  within a sentence is no answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .grammar import end_of, end_of_space, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Preamble"]

_JSON_LANGUAGES = frozenset({"", "json", "json5", "jsonc", "jsonl", "ndjson"})
_THINKING = frozenset({"think", "thinking", "reasoning"})
_MAX_NAME = 16  # characters of a tag or of a language that are looked at; each known one is shorter

_ticks = re.compile(r"`*+")
_language = re.compile(r"[\w+#.\-]*+")
_tag_name = re.compile(r"[A-Za-z/]*+")


class Preamble:
    """Finds the places in a text, which may come in any cuts, where a JSON value may begin.

    Args:
        starts: the brackets that may open the value: any of ``{`` and ``[``.
        scalars: whether a string, a number or a literal may be the value as well.

    >>> text = "I fill {in}: <think>{}</think> ```json"
    >>> finder = Preamble(starts="{")
    >>> place = finder.find(text, 0); text[place:]
    '{in}: <think>{}</think> ```json'
    >>> finder.find(text, place + 1) == len(text)
    True
    """

    __slots__ = (
        "_find_stop",
        "_foreign",
        "_found",
        "_name",
        "_otherwise",
        "_scalars",
        "_starts",
        "_step",
        "_tick_count",
        "thinking",
    )

    def __init__(self, *, starts: str, scalars: bool = False) -> None:
        self.thinking = False
        """Whether a thinking block is open."""
        self._starts = starts
        self._scalars = scalars
        self._find_stop = re.compile(f"[<`{re.escape(starts)}]").search
        self._step: Callable[[Preamble, str, int], int] = Preamble._first
        self._otherwise: Callable[[Preamble, str, int], int] = Preamble._prose  # where a place that was none is left
        self._found = False
        self._foreign = False  # whether the fence that was opened last names another language
        self._name = ""
        self._tick_count = 0

    def find(self, text: str, i: int) -> int:
        """Return the next place from `i` on where a value may begin, or the length of `text` if it holds none.

        Where that was no value after all, call again with a place behind it: it is not looked at twice.
        """
        self._found = False
        end = len(text)
        while i < end:
            i = self._step(self, text, i)
            if self._found:
                return i
        return end

    def _candidate(self, i: int) -> int:
        self._found = True
        self._step = self._otherwise
        return i

    def _first(self, text: str, i: int) -> int:
        i = end_of_space(text, i)
        if i == len(text):
            return i
        char = text[i]
        self._otherwise = Preamble._code if self._foreign else Preamble._prose
        self._foreign = False
        if char in self._starts:
            return self._candidate(i)
        if self._scalars and kind_of(char) in ("quote", "word"):
            return self._candidate(i)
        self._step = self._otherwise
        return i

    def _prose(self, text: str, i: int) -> int:
        match = self._find_stop(text, i)
        if match is None:
            return len(text)
        i = match.start()
        if text[i] == "<":
            self._name = ""
            self._step = Preamble._tag
            return i + 1
        if text[i] == "`":
            return self._begin_ticks(i, Preamble._prose)
        self._otherwise = Preamble._prose
        return self._candidate(i)

    # --- code fences ---

    def _code(self, text: str, i: int) -> int:
        i = text.find("`", i)
        return len(text) if i < 0 else self._begin_ticks(i, Preamble._code)

    def _begin_ticks(self, i: int, otherwise: Callable[[Preamble, str, int], int]) -> int:
        self._otherwise = otherwise
        self._tick_count = 0
        self._step = Preamble._in_ticks
        return i

    def _in_ticks(self, text: str, i: int) -> int:
        end = end_of(_ticks, text, i)
        self._tick_count += end - i
        if end < len(text):
            self._name = ""
            self._step = Preamble._in_language if self._tick_count >= 3 else self._otherwise
        return end

    def _in_language(self, text: str, i: int) -> int:
        """Read the word behind a fence's ticks; a closing fence has none, and opens prose like one without language."""
        end = end_of(_language, text, i) if self._name or text[i].isalpha() else i
        self._name += text[i : min(end, i + _MAX_NAME - len(self._name))]
        if end < len(text):
            self._foreign = self._name.lower() not in _JSON_LANGUAGES
            self._step = Preamble._first
        return end

    # --- thinking ---

    def _think(self, text: str, i: int) -> int:
        i = text.find("<", i)
        if i < 0:
            return len(text)
        self._name = ""
        self._step = Preamble._tag
        return i + 1

    def _tag(self, text: str, i: int) -> int:
        end = end_of(_tag_name, text, i)
        self._name += text[i : min(end, i + _MAX_NAME - len(self._name))]
        if end == len(text):
            return end
        name = self._name.lower()
        if text[end] == ">" and name.removeprefix("/") in _THINKING and name.startswith("/") == self.thinking:
            self.thinking = not self.thinking
            self._step = Preamble._think if self.thinking else Preamble._first
            return end + 1
        self._step = Preamble._think if self.thinking else Preamble._prose
        return end
