"""How to look at a value or a snapshot, whatever it is made of."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, RootModel

from structstream.partial import ListView, MappingView, Partial

__all__ = ["Path", "entries", "is_open", "same", "walk"]

Path = tuple[Any, ...]  # Any: names, indices and keys of mappings


def is_open(value: object) -> bool:
    """Whether a value is a view of something that is still being written."""
    return isinstance(value, Partial | ListView | MappingView)


def entries(value: Any) -> Iterator[tuple[Any, Any]]:  # Any: a value of any type, here and below
    """The names and values within a value; none in a scalar or an opaque container."""
    if isinstance(value, Partial):
        names = value.model_fields_set
        yield from ((name, getattr(value, name)) for name in sorted(names))
    elif isinstance(value, RootModel):
        yield "root", value.root
    elif isinstance(value, BaseModel):
        yield from ((name, getattr(value, name)) for name in sorted(value.model_fields_set))
    elif dataclasses.is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | deque):
        yield from enumerate(value)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each path within a value, the outer ones first, with what stands there."""
    yield path, value
    for name, inner in entries(value):
        yield from walk(inner, (*path, name))


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal, of the same types, and had the same fields set, all the way down."""
    if type(one) is not type(two) or repr(one) != repr(two):
        return False
    if isinstance(one, BaseModel) and one.model_fields_set != two.model_fields_set:
        return False
    inner = list(entries(one))
    if not inner:
        return bool(one == two)
    return all(same(mine, theirs) for (_, mine), (_, theirs) in zip(inner, entries(two), strict=True))
