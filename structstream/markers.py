"""Markers that tune how one field is shown while an answer is written; the final object is as it would be without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["HoldParent", "Marker", "ShowWhenComplete", "Stated", "WithState", "markers_of"]

T = TypeVar("T")

_KEY = "structstream_markers"


class Marker:
    """What stands in ``Annotated[...]`` beside a type; it changes no validation and no JSON schema."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Any: Pydantic's own signature. The metadata of a core schema is where it keeps what others may read.
        schema = handler(source)
        metadata = schema.get("metadata", {})
        marked = {**metadata, _KEY: (*metadata.get(_KEY, ()), type(self))}
        return {**schema, "metadata": marked}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


class ShowWhenComplete(Marker):
    """Shows the value when it has closed, and nothing of it before: neither a half sentence nor a half list.

    It may stand at any place of a type. (BAML: ``@stream.done``.)

    >>> from typing import Annotated
    >>> from pydantic import BaseModel
    >>> class Ticket(BaseModel):
    ...     code: Annotated[str, ShowWhenComplete()]
    """

    __slots__ = ()


class HoldParent(Marker):
    """Holds back the object that the field stands in until the field shows something.

    Until then the object reads as if it had not begun: None in a field, and it is no item of a list. Together with
    `ShowWhenComplete` it waits until the field has closed. A null is something. (BAML: ``@stream.not_null``.)

    >>> from typing import Annotated
    >>> from pydantic import BaseModel
    >>> class Point(BaseModel):
    ...     x: float
    ...     y: Annotated[float, HoldParent()]
    """

    __slots__ = ()


class WithState(Marker):
    """Shows the field as a `Stated`: the value so far, and whether it is complete.

    Once the object around it has closed, it is the real object with the plain value. (BAML: ``@stream.with_state``.)

    >>> from typing import Annotated
    >>> from pydantic import BaseModel
    >>> class Article(BaseModel):
    ...     text: Annotated[str, WithState()]
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stated(Generic[T]):
    """What a field with `WithState` reads in a partial.

    Args:
        value: what the field would show without the marker.
        complete: whether it has closed.
    """

    value: T
    complete: bool


def markers_of(schema: Mapping[str, Any]) -> frozenset[type[Marker]]:  # Any: a core schema is a tagged dict
    """Return the markers at a place of a core schema, also where validators or a default stand around them."""
    found: set[type[Marker]] = set()
    while True:
        found.update(schema.get("metadata", {}).get(_KEY, ()))
        inner = schema.get("schema")
        if not isinstance(inner, Mapping) or "cls" in schema or schema["type"] == "typed-dict":
            return frozenset(found)
        schema = inner
