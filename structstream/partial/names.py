"""The keys that a type gives to the objects of an answer: what of the keys is the type's word and not the answer's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .shapes import Shape

__all__ = ["field_names"]


def field_names(shape: Shape) -> frozenset[str]:
    """Return the names and aliases of all fields of all records in a type.

    >>> from pydantic import BaseModel, Field
    >>> from .schema import shape_of
    >>> class Line(BaseModel):
    ...     count: int = Field(validation_alias="Count")
    >>> sorted(field_names(shape_of(dict[str, Line])))
    ['Count', 'count']
    """
    return frozenset(_names((shape.schema, *shape.definitions.values())))


def _names(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            if name == "fields" and isinstance(value, Mapping):
                yield from value
                yield from _names(list(value.values()))
            elif name == "validation_alias" or (name == "fields" and schema.get("type") == "dataclass"):
                yield from _texts(value)
            elif name not in ("metadata", "default") or "type" not in schema:  # then it is a tag
                yield from _names(value)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from _names(item)


def _texts(alias: object) -> Iterator[str]:
    """The names in an alias, which may be a path or a choice of them."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list):
        for item in alias:
            yield from _texts(item)
