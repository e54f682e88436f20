"""Guardrails that look for patterns as text comes letter by letter: neither what they find is shown, nor its start."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from structstream.errors import ConfigurationError
from structstream.verdicts import ALLOW, GuardedText, Guardrail, GuardUnit, Span, Verdict

__all__ = ["Finding", "OnFind", "PatternGuardrail", "Rule", "require_known", "require_list"]

OnFind = Literal["redact", "stop", "allow"]
"""What becomes of a text in which something was found."""

Finding = tuple[Span, str]
"""What is to be taken out, and what it is called."""


def require_known(**options: object) -> None:
    """Hold options that are an `OnFind` to its words: one that is misspelt would let everything through.

    Raises:
        ConfigurationError: one is no such word.

    >>> require_known(on_find="stop")
    """
    for name, value in options.items():
        if value not in get_args(OnFind):
            raise ConfigurationError(f"{name} must be one of {', '.join(get_args(OnFind))}, not {value!r}")


def require_list(name: str, value: object) -> tuple[Any, ...]:  # Any: items of the caller's type
    """Return a list of texts as a tuple; a text alone is none, its characters would be the items.

    Raises:
        ConfigurationError: `value` is no list of texts.

    >>> require_list("paths", ["a.b"])
    ('a.b',)
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name} must be a list of texts, not {value!r}")
    items = tuple(value)
    if not all(isinstance(item, str) for item in items):
        raise ConfigurationError(f"{name} must be a list of texts, not {items!r}")
    return items


@dataclass(frozen=True, slots=True)
class Rule:
    r"""One thing to look for.

    The two patterns make it work on text that is cut anywhere. `open` decides how long text waits, so it must match
    every start of what `full` matches, and the whole of it; and what it matches must have no start that it does not.

    Args:
        name: what it is called in reasons.
        label: what stands in its place.
        full: what is looked for, as it is written; a group ``value`` is the part that is taken out, else all of it.
        open: what may still become a match of `full`, without the ``\Z`` behind it.
        accepts: judges what `full` has found, from the text and the place of the match, and returns its end, label and
            name; None for none. Without it everything is taken as it is.
        more: what follows directly and belongs to it, however long; None where `full` ends by itself.
        needs: texts of which every match, with the 16 characters before it, holds at least one; empty for none.
        in_word: whether nothing that `open` matches holds a blank.
    """

    name: str
    label: str
    full: re.Pattern[str]
    open: re.Pattern[str]
    accepts: Callable[[str, int, int], tuple[int, str, str] | None] | None = None
    more: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()
    in_word: bool = False

    def find(self, text: str, at: int) -> Finding | None:
        """Return the first finding from `at` on."""
        while (found := self.full.search(text, at)) is not None:
            if self.accepts is None:
                start, end = found.span("value") if "value" in self.full.groupindex else found.span()
                return Span(start, end, self.label, self.more, found.start()), self.name
            accepted = self.accepts(text, found.start(), found.end())
            if accepted is not None:
                end, label, name = accepted
                return Span(found.start(), end, label), name
            at = found.start() + 1
        return None


class PatternGuardrail(Guardrail):
    """Takes out, or stops at, what its rules find.

    Args:
        rules: what to look for.
        on_find: what becomes of an answer in which something is found.
        on_prompt: what becomes of a prompt; ``allow`` does not look at it, anything else keeps it from being sent.
        paths: the fields that it looks at; empty for all.
        trigger, needs, number_trigger: as in `Guardrail`.

    Raises:
        ConfigurationError: `on_find` or `on_prompt` is no such word, or `paths` is no list of texts.
    """

    unit: GuardUnit = "delta"

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        name: str,
        on_find: OnFind = "redact",
        on_prompt: OnFind = "stop",
        paths: Sequence[str] = (),
        trigger: re.Pattern[str] | None = None,
        number_trigger: re.Pattern[str] | None = None,
        needs: re.Pattern[str] | None = None,
    ) -> None:
        require_known(on_find=on_find, on_prompt=on_prompt)
        self.name = name
        self.rules = tuple(rules)
        self.on_find = on_find
        self.on_prompt = on_prompt
        self.paths = require_list("paths", paths)
        self.trigger = trigger
        self.number_trigger = number_trigger
        self.needs = needs
        self._open = _ending([rule for rule in rules if not rule.in_word])
        self._open_in_word = _ending([rule for rule in rules if rule.in_word])

    def check_prompt(self, text: str) -> Verdict:
        """Look at a prompt."""
        if self.on_prompt == "allow":
            return ALLOW
        found = self._find(text, 0)
        return Verdict.stop(f"the prompt holds {' and '.join(sorted({name for _, name in found}))}") if found else ALLOW

    def check_text(self, piece: GuardedText) -> Verdict:
        """Look at a text of an answer."""
        if self.on_find == "allow":
            return ALLOW
        text, shift = piece.before + piece.text, len(piece.before)
        found = self._find(text, shift)
        held = len(text) if piece.ended else self._held_from(text, shift, found)
        if self.on_find == "stop":
            certain = [name for span, name in found if span.begins < held]
            return Verdict.stop(f"it holds {certain[0]}") if certain else Verdict.hold(held - shift)
        if not found:
            return Verdict.hold(held - shift)
        return Verdict.redact(*(_moved(span, -shift) for span, _ in found), held_from=held - shift)

    def _held_from(self, text: str, start: int, found: Sequence[Finding]) -> int:
        """From where on the text may be the start of something that is not certain yet."""
        size = len(text)
        word = max(start, text.rfind(" ") + 1)
        held = min(
            size if waiting is None else waiting.start()
            for waiting in (self._open(text, start), self._open_in_word(text, word))
        )
        certain = {span.begins for span, _ in found if span.more is not None and span.end == size}
        if held not in certain:
            return held
        starts = [_first_open(rule, text, word if rule.in_word else start, certain) for rule in self.rules]
        return min(starts)

    def _find(self, text: str, start: int) -> list[Finding]:
        """All findings from `start` on, in order; those of rules that go on may begin within one another."""
        found: list[Finding] = []
        if self.needs is not None and self.needs.search(text) is None:
            return found
        for rule in self.rules:
            if rule.needs and not any(needed in text for needed in rule.needs):
                continue
            at = start
            while (finding := rule.find(text, at)) is not None:
                found.append(finding)
                span = finding[0]
                at = span.end if span.more is None else span.begins + 1
        found.sort(key=lambda finding: finding[0].begins)
        return found


def _ending(rules: Sequence[Rule]) -> Callable[[str, int], re.Match[str] | None]:
    """What finds the first place from which on one of the rules matches up to the end of the text."""
    return re.compile("|".join(f"(?:{rule.open.pattern})\\Z" for rule in rules) or "(?!)").search


def _first_open(rule: Rule, text: str, start: int, certain: set[int]) -> int:
    """Where the first match of a rule may have begun that is not certain; what goes on without an end is."""
    ending = re.compile(f"(?:{rule.open.pattern})\\Z")
    while (waiting := ending.search(text, start)) is not None:
        if waiting.start() not in certain or waiting.start() == len(text):
            return waiting.start()
        start = waiting.start() + 1
    return len(text)


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by, span.label, span.more, span.begins + by)
