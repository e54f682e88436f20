"""How sure the model was of each value: from the probabilities of the tokens that spell it."""

from __future__ import annotations

import codecs
import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from .text import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .partial import PartialParser
    from .response import TokenLogprob

__all__ = ["Confidence", "Tokens"]

_LEAST = -10_000.0  # of a logarithm: what is impossible, and is there all the same
_ENOUGH = 64  # characters by which the text is found among the tokens


class Tokens:
    """The tokens of an answer as places in its text; a character may take several tokens, and a token several.

    Args:
        tokens: as they come; the list may grow.

    >>> from .response import TokenLogprob
    >>> tokens = Tokens([TokenLogprob('{"a', -0.5), TokenLogprob('": 1', -0.25), TokenLogprob("}", 0.0)])
    >>> tokens.find('{"a": 1}'), tokens.sum_over(6, 7)
    (0, (-0.25, 1))
    """

    def __init__(self, tokens: Sequence[TokenLogprob]) -> None:
        self._tokens = tokens
        self._taken = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = TextBuffer()
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sums = [0.0]

    def _take(self) -> None:
        """Place the tokens that came since the last time."""
        for token in self._tokens[self._taken :]:
            start = self._text.length
            self._text.append(self._utf8.decode(token.utf8 or token.token.encode("utf-8", "replace")))
            unfinished = bool(self._utf8.getstate()[0])  # the first bytes of a character
            self._starts.append(start)
            self._ends.append(max(self._text.length + unfinished, start + 1))
            self._sums.append(self._sums[-1] + max(token.logprob, _LEAST))
        self._taken = len(self._tokens)

    def find(self, beginning: str) -> int | None:
        """Where a text begins among the tokens; None where it does not."""
        self._take()
        at = self._text.text().find(beginning)
        return None if at < 0 or not beginning else at

    def spell(self, start: int, end: int) -> str:
        """The text of the tokens from one offset to another."""
        self._take()
        return self._text.slice(start, end)

    def sum_over(self, start: int, end: int) -> tuple[float, int]:
        """The sum of the logarithms of the tokens that have a part between two offsets, and their number."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        return self._sums[last] - self._sums[first], max(last - first, 0)


class Confidence:
    """How sure the model was of the values of one answer, by their paths; computed when somebody asks.

    Args:
        parser: of the answer's text.
        tokens: of the answer, as they come; the list may grow.
        prefix: how many characters of the text were kept of an earlier attempt, which these tokens do not spell.
        kept: that of the earlier attempt; None where it had no tokens.
    """

    def __init__(
        self,
        parser: PartialParser[Any],  # Any: of any type
        tokens: Sequence[TokenLogprob],
        *,
        prefix: int = 0,
        kept: Confidence | None = None,
    ) -> None:
        self._source = parser, tokens
        self._spans = parser.spans()
        self._text = parser.buffer
        self._key = parser.key
        self._tokens = Tokens(tokens)
        self._prefix = prefix
        self._kept = kept
        self._offset: int | None = None

    def of(self, path: str = "") -> float | None:
        """Return the geometric mean of the probabilities of the tokens that spell the value at `path`, 0 to 1.

        Of a container it is that of all scalars in it, without names and brackets. None where no value has closed
        there, or the tokens that came do not spell it.
        """
        leaves = self._spans.leaves(self._wrapped(path))
        if leaves is None:
            return None
        total, count = 0.0, 0
        for start, end in leaves:
            found = self._over(start, end, self._text.slice(start, end))
            if found is None:
                return None
            total, count = total + found[0], count + found[1]
        return min(1.0, math.exp(total / count)) if count else None

    __call__ = of

    def _over(self, start: int, end: int, text: str) -> tuple[float, int] | None:
        """The sum of the logarithms of the tokens that spell a stretch of the answer; None where none do."""
        if end <= self._prefix:  # the earlier attempt's text began with just that
            return None if self._kept is None else self._kept._over(start, end, text)
        if self._offset is None:
            found = self._tokens.find(self._text.slice(self._prefix, self._prefix + _ENOUGH))
            self._offset = None if found is None else found - self._prefix
        if self._offset is None or start + self._offset < 0:
            return None
        place = start + self._offset, end + self._offset
        return self._tokens.sum_over(*place) if self._tokens.spell(*place) == text else None

    def is_of(self, parser: PartialParser[Any], tokens: Sequence[TokenLogprob]) -> bool:  # Any: as above
        """Whether it was made of just these."""
        return self._source[0] is parser and self._source[1] is tokens

    def _wrapped(self, path: str) -> str:
        """The path in the text, where the value stands in an object of one key."""
        if self._key is None:
            return path
        return f"{self._key}{'.' if path and not path.startswith('[') else ''}{path}"
