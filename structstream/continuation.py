"""How an answer that broke off goes on: what is kept of it, what is still open, and what is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Continuation", "LevelKind", "OpenLevel", "TakeUp"]

LevelKind = Literal["text", "items", "members"]
"""What is missing at an open place: more of a text, more items of a list, more members of an object."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenLevel:
    """A place of an answer that was still open when the answer broke off.

    Args:
        kind: what is missing there.
        path: keys and indexes from the root to the place.
        name: the member of the residual answer that holds what is missing; empty where nothing is, so that the place
            closes by itself.
        keys: of an object: the keys that are there, that of the open member included.
        count: the entries of an object or a list that are there, the open one included.
        so_far: of a text: what of it is there.
    """

    kind: LevelKind
    path: tuple[str | int, ...]
    name: str
    keys: frozenset[str] = frozenset()
    count: int = 0
    so_far: str = ""

    def __repr__(self) -> str:
        return f"OpenLevel({self.kind!r}, {self.name!r}, count={self.count})"


@dataclass(frozen=True, slots=True, repr=False)
class TakeUp:
    """A stream that was lost and that its provider can send on from where it stopped.

    Args:
        model: who answered, as the request named it: no other can send it on.
        response_id: the provider's id of the answer.
        after: the number of the last event that came.
        text: all of the JSON text that came.
    """

    model: str
    response_id: str
    after: int
    text: str

    def __repr__(self) -> str:
        return f"TakeUp({self.model!r}, {self.response_id!r}, after={self.after})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Continuation:
    """What a request carries that goes on with an answer instead of beginning one.

    Three forms: a rest is asked for (`schema` is set); nothing is missing but brackets (no `messages`: no call is
    made); nothing could be kept and the whole is asked for again, with what was wrong said (`prefix` is empty).

    Args:
        prefix: the JSON text that is kept: it ends behind the last value that had closed, behind an opening bracket,
            or within a text, and the rest follows it directly.
        levels: the open places, the innermost first.
        schema: what is asked for: an object with one member for each level that misses something, the innermost
            first; None where no rest is asked for.
        messages: what is said to the model, behind the conversation.
        path: from where it goes on, such as ``items[2].name``; empty for the root.
        take_up: set where the stream itself can go on: then that is asked for, and not the rest, as long as the same
            model is asked.
        confidence: how sure the model was of the values that are kept; None where that is not known.
    """

    prefix: str
    levels: tuple[OpenLevel, ...] = ()
    schema: Mapping[str, Any] | None = None  # Any: JSON
    messages: tuple[Mapping[str, Any], ...] = ()  # Any: as `Message`
    path: str = ""
    take_up: TakeUp | None = None
    confidence: Callable[[str], float | None] | None = field(default=None, compare=False)

    @property
    def asks(self) -> bool:
        """Whether anything is asked for; if not, the answer is whole as soon as its brackets are closed."""
        return bool(self.messages)

    def fingerprint(self) -> str:
        """Return a SHA-256 in hex over all that decides the answer."""
        text = repr((self.prefix, self.schema, self.messages))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        # The text stays out: a repr ends up in logs.
        return f"Continuation(path={self.path!r}, kept={len(self.prefix)}, levels={len(self.levels)})"
