"""The guardrails that look at every delta, over one text after another: what is certain comes out, the rest waits.

The law: what has come out after *n* characters depends on these characters and not on how they were cut, and whatever
comes later, it is the start of what will have come out in the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from structstream.verdicts import GuardedText, Span, Verdict

from .rails import Rail, awaits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structstream.verdicts import TextEnd, TextKind

__all__ = ["Screen"]

# A word waits until a blank follows: it may be the start of an address or a key. One that is longer is no word.
_MAX_WORD = 64
_CONTEXT = 16
_NOTHING = re.compile(r"(?!)")


class Screen:
    """Judges the texts of one attempt as they come.

    Args:
        rails: the guardrails.
        path: tells where the text stands, when somebody asks.
        place: gives the names and indices that lead there, as the model wrote them.

    >>> from structstream.guardrails import PersonalData
    >>> screen = Screen([Rail(PersonalData())], lambda: "note")
    >>> screen.begin("value")
    >>> [screen.feed(part) for part in ("Ask ada@exam", "ple.org ", "or me")], screen.end()
    (['Ask ', '[email] ', 'or '], 'me')
    """

    def __init__(
        self, rails: Sequence[Rail], path: Callable[[], str], place: Callable[[], Sequence[str | int]] = tuple
    ) -> None:
        self._all = rails
        self._path = path
        self._place = place
        self._rails: Sequence[Rail] = rails  # those that look at this text
        self._kind: TextKind = "value"
        trigger = _together([rail.guardrail.trigger for rail in rails])
        self._quick = trigger is not None
        self._trigger = (trigger or _NOTHING).search
        needs = [rail.guardrail.needs for rail in rails]
        self._needs = [needed.search for needed in needs if needed is not None] if all(needs) else None
        self._number_trigger = _together([rail.guardrail.number_trigger for rail in rails])
        self._picky = any(rail.has_paths or rail.guardrail.kinds is not None for rail in rails)
        self._tail = ""
        self._before = ""
        self._offset = 0  # of the tail
        self._word = 0  # how many characters of the last word have come out
        self._more: list[tuple[Rail, re.Pattern[str]]] = []  # what belongs to the last stretch that was taken out

    def begin(self, kind: TextKind) -> None:
        """Begin another text."""
        self._kind = kind
        self._tail = self._before = ""
        self._offset = self._word = 0
        self._more = []
        if self._picky:
            self._choose(kind)

    def go_on(self, text: str) -> None:
        """Go on with a string value of which `text` was judged and came out before."""
        self.begin("value")
        self._before = text[-_CONTEXT:]
        self._offset = len(text)
        self._word = len(text) - (text.rfind(" ") + 1)

    def _choose(self, kind: TextKind) -> None:
        place = self._place()
        self._rails = [rail for rail in self._all if rail.looks_at(kind, place)]

    def feed(self, text: str) -> str:
        """Take more of the text; return what of it is certain.

        Raises:
            BlockedError: a guardrail said stop, or failed.
        """
        text = self._tail + text
        if self._more:
            return self._judged(text, "delta")
        cut = text.rfind(" ") + 1
        if not cut:
            if len(text) + self._word <= _MAX_WORD:
                self._tail = text  # nothing of a word comes out before its end, whatever is said about it
                return ""
        elif self._quick and len(text) - cut <= _MAX_WORD and self._trigger(text) is None:
            self._tail = text[cut:]
            self._offset += cut
            self._word = 0
            text = text[:cut]
            self._before = text if cut >= _CONTEXT else (self._before + text)[-_CONTEXT:]
            return text
        return self._judged(text, "delta")

    @property
    def released(self) -> int:
        """How many characters of the text, as it was written, have come out or were taken out."""
        return self._offset

    def end(self) -> str:
        """End the text; return the rest of it.

        Raises:
            BlockedError: as `feed`.
        """
        text, self._tail = self._tail, ""
        if not self._more and self._is_clean(text):
            return text
        return self._judged(text, "field")

    def _is_clean(self, text: str) -> bool:
        """Whether nothing is to be taken out of a text that has ended, as far as that is quick to see."""
        if self._quick and self._trigger(text) is None:
            return True
        return self._needs is not None and all(needs(text) is None for needs in self._needs)

    def whole(self, text: str, kind: TextKind) -> str | None:
        """Judge a text that came in one piece; return what stands in its place, None where it stays.

        Raises:
            BlockedError: as `feed`.
        """
        if kind == "scalar":
            if self._number_trigger is not None and self._number_trigger.search(text) is None:
                return None
        elif self._is_clean(text):
            return None
        self.begin(kind)
        judged = self._judged(text, "field")
        return None if judged == text else judged

    def spares_numbers(self, text: str) -> bool:
        """Whether no number in JSON text needs a look."""
        return self._number_trigger is not None and self._number_trigger.search(text) is None

    # --- the slow way ---

    def _judged(self, text: str, end: TextEnd) -> str:
        piece = GuardedText(
            text, kind=self._kind, end=end, before=self._before[-_CONTEXT:], offset=self._offset, path=self._path
        )
        hold = size = len(text)
        found: list[tuple[Span, Rail]] = []
        if self._more:
            found += [
                (Span(0, goes_on.end(), "", more), rail)
                for rail, more in self._more
                if (goes_on := more.match(text)) is not None and goes_on.end()
            ]
        waits = end == "delta"
        word = self._word_start(text, found) if waits else size
        skipped: list[Rail] = []
        for rail in self._rails:
            trigger = rail.guardrail.trigger
            if word < size and trigger is not None and not self._more and trigger.search(text) is None:
                skipped.append(rail)  # the word that waits anyhow is all that may begin something
                continue
            verdict = _now(rail, piece)
            if verdict.action == "redact":
                found += [(span, rail) for span in _spans(verdict, size)]
            hold = min(hold, _held(verdict, size))
        if found:
            word = self._word_start(text, found) if waits else size
        if word == size:
            hold = min([hold, *(_held(_now(rail, piece), size) for rail in skipped)])
        if not waits:
            hold = size
        hold = min(hold, word)
        if found or self._more:
            return self._release(text, found, hold)
        self._advance(text, hold)
        return text[:hold]

    def _word_start(self, text: str, found: Sequence[tuple[Span, Rail]]) -> int:
        """Where the word begins that waits for its end; the end of the text where none does."""
        size = len(text)
        cut = text.rfind(" ") + 1
        if size - cut + (0 if cut else self._word) > _MAX_WORD:
            return size
        for span, _ in found:
            if span.more is not None and span.begins < cut < span.end:
                return span.end  # it is no word, but a part of what is taken out
        return cut

    def _release(self, text: str, found: list[tuple[Span, Rail]], hold: int) -> str:
        """Let the text out up to `hold`, or less where a stretch to take out is not certain yet."""
        hold = _certain(found, hold)
        out: list[str] = []
        at = 0
        for start, end, label, rail in _merged(found):
            if start >= hold:
                break
            out += (text[at:start], label)
            at = end
            if label:
                rail.tell("redact", self._path())
        out.append(text[at:hold])
        if hold or not self._more:
            size = len(text)
            self._more = [
                (rail, span.more)
                for span, rail in found
                if span.more is not None and span.start < hold and (span.end > hold or span.end == size)
            ]
        self._advance(text, hold)
        return "".join(out)

    def _advance(self, text: str, hold: int) -> None:
        cut = text.rfind(" ", 0, hold) + 1
        self._word = hold - cut if cut else self._word + hold
        self._before = (self._before + text[:hold])[-_CONTEXT:]
        self._offset += hold
        self._tail = text[hold:]


def _together(patterns: Sequence[re.Pattern[str] | None]) -> re.Pattern[str] | None:
    """One pattern for all; None where one is missing."""
    known = [pattern.pattern for pattern in patterns if pattern is not None]
    return re.compile("|".join(known)) if known and len(known) == len(patterns) else None


def _now(rail: Rail, piece: GuardedText) -> Verdict:
    judgement = rail.check(piece)
    if type(judgement) is Verdict and judgement.action != "stop":
        return judgement
    if awaits(judgement):
        close = getattr(judgement, "close", None)
        if close is not None:
            close()
        return rail.failed("a guardrail that looks at every delta must not be async", piece.path)
    return rail.settled(judgement, piece.path)


def _held(verdict: Verdict, size: int) -> int:
    return size if verdict.held_from is None else max(0, verdict.held_from)


def _spans(verdict: Verdict, size: int) -> list[Span]:
    if verdict.text is not None:
        return [Span(0, size, verdict.text)]
    return [span for span in verdict.spans if 0 <= span.start < span.end <= size]


def _certain(found: list[tuple[Span, Rail]], hold: int) -> int:
    """Up to where text may be let out: not within a stretch, but for one that goes on without a bound."""
    before = -1
    while hold != before:
        before = hold
        for span, _ in found:
            if span.begins < hold < span.end and not (span.more is not None and span.start < hold):
                hold = span.begins
    return hold


def _merged(found: list[tuple[Span, Rail]]) -> list[tuple[int, int, str, Rail]]:
    """The stretches in order, those that overlap made one under the label of the first."""
    found.sort(key=lambda each: (each[0].start, each[0].begins))
    merged: list[tuple[int, int, str, Rail]] = []
    for span, rail in found:
        if merged and span.start < merged[-1][1]:
            start, end, label, owner = merged[-1]
            merged[-1] = (start, max(end, span.end), label, owner)
        else:
            merged.append((span.start, span.end, span.label, rail))
    return merged
