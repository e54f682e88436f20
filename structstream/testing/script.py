"""How a simulated answer goes when nothing goes wrong: its pace, the size of its pieces, and what stands around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from structstream.errors import ConfigurationError

__all__ = ["Script", "ThinkingForm"]

ThinkingForm = Literal["field", "tag"]
"""Where thinking stands: in the dialect's own field for it, or in the text as ``<think>…</think>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How an answer goes.

    Args:
        first_token_delay: seconds between the head of the answer and its first delta.
        tokens_per_second: deltas a second, each counted as one token; None or 0 for as fast as the reader takes them.
        delta_size: characters in a delta; a pair for a size drawn between the two, seeded.
        events_per_write: how many events go into one network write (and one HTTP chunk).
        thinking: what the model thinks aloud before it answers; empty for nothing.
        thinking_form: where that stands.
        before, after: prose around an answer that is text; a forced tool call's arguments have none.
        fence: puts a Markdown code fence around an answer that is text.
        indent: spaces of indentation in generated JSON; None for JSON on one line.
        array_items: items of each generated array that does not say; None for two to four.

    Raises:
        ConfigurationError: a value cannot work; the sentence says which.

    >>> Script(tokens_per_second=50, delta_size=(2, 6)).delta_size
    (2, 6)
    """

    first_token_delay: float = 0.0
    tokens_per_second: float | None = None
    delta_size: int | tuple[int, int] = 4
    events_per_write: int = 1
    thinking: str = ""
    thinking_form: ThinkingForm = "field"
    before: str = ""
    after: str = ""
    fence: bool = False
    indent: int | None = None
    array_items: int | None = None

    def __post_init__(self) -> None:
        least, most = self.delta_size if isinstance(self.delta_size, tuple) else (self.delta_size, self.delta_size)
        rules = (
            ("first_token_delay", "0 or more seconds", self.first_token_delay >= 0),
            ("tokens_per_second", "0 or more, or None", (self.tokens_per_second or 0) >= 0),
            ("delta_size", "1 or more, or a rising pair of such", 1 <= least <= most),
            ("events_per_write", "1 or more", self.events_per_write >= 1),
            (
                "thinking_form",
                f"one of {', '.join(get_args(ThinkingForm))}",
                self.thinking_form in get_args(ThinkingForm),
            ),
            ("indent", "0 or more, or None", (self.indent or 0) >= 0),
            ("array_items", "0 or more, or None", (self.array_items or 0) >= 0),
        )
        for name, expected, holds in rules:
            if not holds:
                raise ConfigurationError(f"Script: {name} must be {expected}, not {getattr(self, name)!r}")

    @property
    def interval(self) -> float:
        """Seconds between two deltas; 0 where they go flat out."""
        return 1 / self.tokens_per_second if self.tokens_per_second else 0.0
