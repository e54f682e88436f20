"""Words and phrases that must not be said, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from structstream.errors import ConfigurationError
from structstream.verdicts import ALLOW, REDACTED, GuardedText, Guardrail, GuardUnit, Span, Verdict

from .patterns import OnFind, require_known, require_list

__all__ = ["DenyList", "fold"]

_INVISIBLE = ("Mn", "Cf")  # marks on letters; joiners, soft hyphens
_SAME = {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2212": "-"}
_other_blanks = re.compile(r"[^\S ]")
# Thai and its neighbours, Khmer, Tibetan, kana, Han: they put no blanks between words, so that a letter beside a word
# does not make it another one.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_LETTER = rf"[^\W{_UNSPACED}]"
_is_letter = re.compile(_LETTER).match
_is_unspaced = re.compile(f"[{_UNSPACED}]").match


def fold(text: str) -> tuple[str, list[int]]:
    """Return a text as comparisons see it, and for each of its characters the place that it has in `text`.

    Case, accents, full-width and other compatible forms (Unicode NFKD), invisible characters, and the kinds of blanks,
    dashes and apostrophes make no difference.

    >>> fold("Ca\u0301fé")[0], fold("ﬁne")
    ('cafe', ('fine', [0, 0, 1, 2]))
    """
    if text.isascii():
        return _other_blanks.sub(" ", text.lower()), list(range(len(text)))
    folded: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for part in unicodedata.normalize("NFKD", char).casefold():
            category = unicodedata.category(part)
            if category not in _INVISIBLE:
                folded.append(_SAME.get(part, " " if part.isspace() else "-" if category == "Pd" else part))
                places.append(place)
    return "".join(folded), places


class DenyList(Guardrail):
    """Finds words and phrases, as whole words, whatever their case, accents and Unicode form.

    In scripts that put no blanks between words, such as Chinese, Japanese and Thai, a word is found wherever it stands.

    Args:
        words: the words and phrases.
        on_find: what becomes of an answer in which one is found.
        on_prompt: what becomes of a prompt; ``allow`` does not look at it, anything else keeps it from being sent.
        label: what stands in the place of a word that is taken out.
        paths: the fields that it looks at; empty for all.

    Raises:
        ConfigurationError: there are no words, or one is blank.

    >>> rail = DenyList(["Project Röntgen"])
    >>> rail.check_prompt("tell me of PROJECT RONTGEN!").reason
    'the prompt holds a word of the deny-list'
    """

    name = "deny-list"
    unit: GuardUnit = "delta"

    def __init__(
        self,
        words: Iterable[str],
        *,
        on_find: OnFind = "stop",
        on_prompt: OnFind = "stop",
        label: str = REDACTED,
        paths: Sequence[str] = (),
    ) -> None:
        require_known(on_find=on_find, on_prompt=on_prompt)
        found = (words,) if isinstance(words, str) else require_list("words", words)
        self._words = tuple(sorted({" ".join(fold(word)[0].split()) for word in found}, key=len, reverse=True))
        if not self._words or not all(self._words):
            raise ConfigurationError("words must be words or phrases, at least one, and none of them blank")
        self.on_find = on_find
        self.on_prompt = on_prompt
        self.label = label
        self.paths = require_list("paths", paths)
        self._full = re.compile("|".join(map(_whole, self._words)))
        self._longest = len(self._words[0])

    @classmethod
    def from_file(cls, path: str | Path, *, on_find: OnFind = "stop", on_prompt: OnFind = "stop") -> DenyList:
        """Return the list that stands in a UTF-8 file, a word or phrase on each line; lines with ``#`` are comments."""
        lines = (line.strip() for line in Path(path).read_text("utf-8").splitlines())
        words = [line for line in lines if line and not line.startswith("#")]
        return cls(words, on_find=on_find, on_prompt=on_prompt)

    def check_prompt(self, text: str) -> Verdict:
        """Look at a prompt."""
        if self.on_prompt == "allow" or self._full.search(fold(text)[0]) is None:
            return ALLOW
        return Verdict.stop("the prompt holds a word of the deny-list")

    def check_text(self, piece: GuardedText) -> Verdict:
        """Look at a text of an answer."""
        if self.on_find == "allow":
            return ALLOW
        before, _ = fold(piece.before)
        after, places = fold(piece.text)
        text, shift, size = before + after, len(before), len(piece.text)
        held = len(text) if piece.ended else self._held_from(text, shift)
        spans: list[Span] = []
        for found in self._full.finditer(text, shift):
            if found.start() < held:
                end = places[found.end() - shift] if found.end() < len(text) else size
                spans.append(Span(places[found.start() - shift], end, self.label))
        if spans and self.on_find == "stop":
            return Verdict.stop("it holds a word of the deny-list")
        return Verdict.redact(*spans, held_from=places[held - shift] if held < len(text) else None)

    def _held_from(self, text: str, start: int) -> int:
        """Where a word of the list may have begun that is not certain yet; the end of the text if nowhere."""
        for at in range(max(start, len(text) - self._longest), len(text)):
            if at and _is_letter(text[at - 1]) and not _is_unspaced(text[at]):
                continue
            rest = text[at:]
            if any(word.startswith(rest) for word in self._words):
                return at
        return len(text)


def _whole(word: str) -> str:
    """The pattern of a word, no letter directly beside its own."""
    before = "" if _is_unspaced(word[0]) else f"(?<!{_LETTER})"
    after = "" if _is_unspaced(word[-1]) else f"(?!{_LETTER})"
    return before + re.escape(word) + after
