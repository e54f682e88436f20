"""What stands within a value, closed or open, by the names of a path."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence, Set as AbstractSet
from typing import Any

from pydantic import BaseModel, RootModel

from .nodes import ABSENT, Open

__all__ = ["child", "children", "look"]


def look(value: Any, path: Sequence[Any]) -> Any:  # Any: values and names of any type, here and below
    """Return what stands at `path` within `value`; `ABSENT` where nothing does.

    >>> look({"a": [1, 2]}, ["a", 1]), look({"a": [1, 2]}, ["a", 2])
    (2, ABSENT)
    """
    for name in path:
        value = child(value, name)
        if value is ABSENT:
            break
    return value


def child(value: Any, name: Any) -> Any:
    """Return what is called `name` in `value`; `ABSENT` where nothing is.

    A path names a key that is no text by its text.
    """
    if isinstance(value, Open):
        return value._child(name)
    while isinstance(value, RootModel):
        value = value.root
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        return next((inner for key, inner in value.items() if not isinstance(key, str) and str(key) == name), ABSENT)
    if isinstance(name, int):
        items = _items(value)
        return ABSENT if items is None or not 0 <= name < len(items) else items[name]
    return getattr(value, name) if name in _names(value) else ABSENT


def _names(value: Any) -> Collection[str]:
    """The names of what a value holds, and not of its methods."""
    cls = type(value)
    if isinstance(value, BaseModel):
        return {*cls.model_fields, *cls.model_computed_fields, *(value.model_extra or ())}
    return getattr(cls, "__dataclass_fields__", getattr(cls, "_fields", ()))


def children(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the names and values within a value, in its own order: what was given, and no default of a model.

    Of an open one there is what has closed in it, and its open container.
    """
    if isinstance(value, Open):
        yield from value._children()
        return
    while isinstance(value, RootModel):
        value = value.root
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, BaseModel):
        given = value.model_fields_set
        names = [name for name in (*type(value).model_fields, *(value.model_extra or ())) if name in given]
        yield from ((name, getattr(value, name)) for name in names)
    elif dataclasses.is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    elif (items := _items(value)) is not None:
        yield from enumerate(items)


def _items(value: Any) -> Sequence[Any] | None:
    if isinstance(value, AbstractSet):
        return list(value)
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else None
