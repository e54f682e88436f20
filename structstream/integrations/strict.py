"""A response model read strictly: Pydantic's ``strict=True`` of one call, as a type of its own.

A value of such a type is an instance of the model itself; only what its JSON may be is narrower: no ``"36"`` for an
`int`, no `1` for a `bool`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["strictly"]

# Members of a core schema that hold the caller's own objects, or no schemas.
_OPAQUE = frozenset({"cls", "config", "default", "expected", "function", "members", "metadata", "serialization"})


def strictly(response_model: Any) -> Any:  # Any: all that TypeAdapter takes, and a type that is made at run time
    """Return a type with the values and the JSON schema of `response_model`, whose JSON this library reads strictly.

    For `parse_stream` and requests; Pydantic's own adapter of it asks the validators that the models in it have.

    Args:
        response_model: all that `pydantic.TypeAdapter` takes.

    Raises:
        pydantic.PydanticUserError, pydantic_core.SchemaError: Pydantic cannot make a type of it.

    >>> from structstream import parse_stream
    >>> *_, last = parse_stream(['["36"]'], strictly(list[int]))
    >>> str(last.error)
    'invalid output at [0]: Input should be a valid integer'
    """
    try:
        return _cached(response_model)
    except TypeError:  # an unhashable type, such as Annotated with a list in it
        return _build(response_model)


def _build(response_model: Any) -> Any:  # Any: as above
    schema = _narrowed(TypeAdapter(response_model).core_schema)
    name = getattr(response_model, "__name__", "") or "Answer"
    # A class, not an annotation: Pydantic takes a schema with definitions from a class alone.
    return type(name, (), {"__get_pydantic_core_schema__": classmethod(lambda *_: schema)})


_cached: Callable[[Any], Any] = lru_cache(maxsize=256)(_build)


def _narrowed(schema: Any) -> Any:  # Any: a core schema or a part of it
    """A copy in which everything is read strictly."""
    if isinstance(schema, Mapping):
        if not isinstance(schema.get("type"), str):  # names with schemas, such as the fields of a model
            return {name: _narrowed(part) for name, part in schema.items()}
        copy = {name: part if name in _OPAQUE else _narrowed(part) for name, part in schema.items()}
        return {**copy, "strict": True}
    if isinstance(schema, list | tuple):
        return type(schema)(_narrowed(part) for part in schema)
    return schema
