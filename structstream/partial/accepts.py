"""Which JSON kinds a core schema can take: what decides a union at its first character."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .shapes import Schema

__all__ = ["SCALAR_KINDS", "STRINGS_THAT_YIELD", "accepts"]


_EVERYTHING = frozenset('{["01n')  # object, array, string, number, boolean, null
_SCALARS = frozenset('"01n')

STRINGS_THAT_YIELD = frozenset({"int", "float", "bool", "none", "literal"})
"""Kinds that never win a JSON string from a plain `str` beside them, or win it with the same value (smart mode)."""

# A superset is safe: a union is decided early only where exactly one choice can take the kind.
_KINDS: dict[str, frozenset[str]] = {
    "none": frozenset("n"),
    "bool": frozenset('"01'),
    "int": frozenset('"01'),
    "float": frozenset('"01'),
    "decimal": frozenset('"01'),
    "str": frozenset('"0'),
    "bytes": frozenset('"'),
    "date": frozenset('"0'),
    "time": frozenset('"0'),
    "datetime": frozenset('"0'),
    "timedelta": frozenset('"0'),
    "uuid": frozenset('"'),
    "url": frozenset('"'),
    "multi-host-url": frozenset('"'),
    "literal": _SCALARS,
    "json": frozenset('"'),
    "complex": frozenset('"01'),
    "list": frozenset("["),
    "tuple": frozenset("["),
    "set": frozenset("["),
    "frozenset": frozenset("["),
    "deque": frozenset("["),
    "generator": frozenset("["),
    "dict": frozenset("{"),
    "ordered-dict": frozenset("{"),
    "typed-dict": frozenset("{"),
    "dataclass-args": frozenset("{"),
}

SCALAR_KINDS = frozenset(kind for kind, kinds in _KINDS.items() if kinds <= _SCALARS) - {"json"}
"""Kinds of core schema that hold no other."""

_INNER: dict[str, Callable[[Schema], tuple[Schema, ...]]] = {
    "dataclass": lambda schema: (schema["schema"],),
    "default": lambda schema: (schema["schema"],),
    "function-after": lambda schema: (schema["schema"],),
    "nullable": lambda schema: (schema["schema"], {"type": "none"}),
    "json-or-python": lambda schema: (schema["json_schema"],),
    "lax-or-strict": lambda schema: (schema["lax_schema"], schema["strict_schema"]),
    "tagged-union": lambda schema: tuple(schema["choices"].values()),
    "union": lambda schema: tuple(item[0] if isinstance(item, tuple) else item for item in schema["choices"]),
}


def accepts(schema: Schema, definitions: Mapping[str, Schema], _above: frozenset[str] = frozenset()) -> frozenset[str]:
    """The JSON kinds that `schema` may take: ``{``, ``[``, ``"``, ``0`` (number), ``1`` (boolean), ``n`` (null).

    What is not known takes everything; a default that stands in for an invalid value does, too.
    """
    kind = schema["type"]
    if kind == "definition-ref":
        name = schema["schema_ref"]
        if name in _above or name not in definitions:
            return _EVERYTHING
        return accepts(definitions[name], definitions, _above | {name})
    if kind == "model":
        if schema.get("custom_init"):
            return _EVERYTHING
        if schema.get("root_model"):
            return accepts(schema["schema"], definitions, _above)
        return frozenset("{") if schema["schema"]["type"] == "model-fields" else _EVERYTHING
    if kind == "default" and schema.get("on_error", "raise") != "raise":
        return _EVERYTHING
    if kind == "tagged-union" and not callable(schema["discriminator"]):
        return frozenset("{")
    if kind in _INNER:
        return frozenset().union(*(accepts(item, definitions, _above) for item in _INNER[kind](schema)))
    return _KINDS.get(kind, _EVERYTHING)
