"""Fields of an answer that may not grow longer than a bound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from structstream.errors import ConfigurationError
from structstream.verdicts import ALLOW, GuardedText, Guardrail, GuardUnit, Span, Verdict

from .patterns import require_list

__all__ = ["MaxLength"]

_rest = re.compile(".+", re.DOTALL)


class MaxLength(Guardrail):
    """Bounds the texts of an answer, each by itself.

    Args:
        characters: the bound of one text.
        on_find: ``stop`` ends the stream with the first character too many; ``redact`` leaves out what is too long.
        paths: the fields that it looks at; empty for all.

    Raises:
        ConfigurationError: `characters` is not positive.

    >>> MaxLength(5).check_text(GuardedText("too long")).reason
    'the text is longer than the 5 characters allowed'
    """

    name = "length"
    unit: GuardUnit = "delta"
    kinds = frozenset({"value", "key", "prose", "thinking", "refusal", "tool_call", "choice"})

    def __init__(
        self, characters: int, *, on_find: Literal["stop", "redact"] = "stop", paths: Sequence[str] = ()
    ) -> None:
        if type(characters) is not int or characters < 1:
            raise ConfigurationError(f"characters must be a positive integer, not {characters!r}")
        if on_find not in ("stop", "redact"):
            raise ConfigurationError(f"on_find must be one of stop, redact, not {on_find!r}")
        self.characters = characters
        self.on_find = on_find
        self.paths = require_list("paths", paths)

    def check_text(self, piece: GuardedText) -> Verdict:
        """Judge the length so far."""
        room = max(0, self.characters - piece.offset)
        if len(piece.text) <= room:
            return ALLOW
        if self.on_find == "stop":
            return Verdict.stop(f"the text is longer than the {self.characters} characters allowed")
        return Verdict.redact(Span(room, len(piece.text), "", _rest))
