"""What an attempt goes on with that takes up an answer which broke off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AskedFor", "Continuation", "Rest"]


@dataclass(frozen=True, slots=True)
class Rest:
    """One open place of a document, and how what comes for it is put there.

    Args:
        kind: what it is: a text, an object or an array.
        name: under which key of the answer its rest comes; None where nothing is missing but its end.
        steps: the path to it, from the root of the document.
        taken: the keys that stand already, of an object.
        count: how many items stand already, of an array.
        text: what stands already, of a text.
    """

    kind: Literal["text", "object", "array"]
    name: str | None
    steps: tuple[str | int, ...]
    taken: frozenset[str] = frozenset()
    count: int = 0
    text: str = field(default="", repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in it yet, so that what comes is not behind a comma."""
        return not self.taken and not self.count


@dataclass(frozen=True, slots=True, repr=False)
class Continuation:
    """What stands of an answer, and what is asked for beyond it.

    Args:
        prefix: the JSON text that stands.
        places: where what is missing goes, the innermost first.
        schema: of the rest, an object with a property for each place that has a name; None where nothing is missing but
            brackets: then nobody is asked.
        said: what the model is told, behind the conversation.
        path: where it goes on, such as ``items[2].name``; empty for the root.
    """

    prefix: str
    places: tuple[Rest, ...]
    schema: Mapping[str, Any] | None  # Any: JSON
    said: str
    path: str = ""

    def __repr__(self) -> str:
        # The prefix is a part of an answer, which no log is to show.
        return f"Continuation(path={self.path!r}, of {len(self.prefix)} characters)"


class AskedFor:
    """Stands for a response model in a request whose schema is given and no type's.

    Args:
        name: what it is called on the wire.
        schema: the JSON schema.
    """

    __hash__ = None  # type: ignore[assignment]  # what is made of it is kept by nobody

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:  # Any: JSON
        self.__name__ = name
        self.schema = schema
