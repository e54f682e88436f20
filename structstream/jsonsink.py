"""What a reader of JSON tells, and the bounds that it holds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

from .errors import ConfigurationError

__all__ = ["DEFAULT_LIMITS", "JSONLimits", "JSONSink"]


@dataclass(frozen=True, slots=True)
class JSONLimits:
    """The bounds of a document, each refused with a `JSONLimitError` that names it.

    Args:
        max_depth: containers within one another; 201 is what Pydantic's own reader takes.
        max_keys: keys of one object.
        max_string_length: characters of one string or key, as written, without its quotes.
        max_number_length: characters of one number.

    Raises:
        ConfigurationError: a bound is no positive integer.
    """

    max_depth: int = 201
    max_keys: int = 1_000_000
    max_string_length: int = 16 * 2**20
    max_number_length: int = 2**16

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{bound.name} must be a positive integer, not {value!r}")


DEFAULT_LIMITS = JSONLimits()
"""What holds where nobody sets bounds: one for all readers, so that it stays at hand."""


class JSONSink(Protocol):
    """Receives the events of one document. Offsets count characters from the start of the text."""

    def open_object(self, at: int) -> None: ...
    def open_array(self, at: int) -> None: ...
    def key(self, name: str) -> None: ...
    def close(self, end: int) -> None:
        """The innermost container closed; `end` is the offset behind its bracket."""

    def scalar(self, raw: str, end: int) -> None:
        """A number or a literal, as written; `end` is the offset behind it."""

    def open_string(self, at: int) -> bool:
        """A string value begins; the answer tells whether its pieces are wanted as they come."""
        ...

    def piece(self, text: str) -> None:
        """More of a wanted string, escapes resolved."""

    def close_string(self, end: int) -> None: ...
    def string(self, text: str, at: int) -> None:
        """A whole string without escapes, instead of open_string, piece and close_string."""

    def container(self, raw: str, at: int) -> bool:
        """A whole, well-formed object or array; False asks for its events one by one instead."""
        ...
