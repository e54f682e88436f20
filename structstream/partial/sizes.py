"""How many characters a value of a schema is likely to have, where nothing but the schema is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .shapes import Schema, Shape

__all__ = ["entry_size", "items_of", "likely", "size_of"]

_ITEMS = 3.0  # entries of a list or mapping whose bounds are not declared
_EMPTY = 2.0

_TEXT = 18.0
_DEPTH = 8  # containers within one another that are counted
_OPTIONAL = 0.8  # how likely a field comes that has a default
_AROUND = 6  # the quotes of a key, colon, comma and the usual blanks

# What a name says of a text, by the end of it; the first that fits counts.
_NAMED: tuple[tuple[tuple[str, ...], float], ...] = (
    (("description", "summary", "explanation", "reasoning", "analysis", "content", "bio", "body", "rationale"), 110.0),
    (("text", "answer", "comment", "notes", "note", "message", "instructions", "reason", "response"), 60.0),
    (("email", "url", "address", "title", "question", "query"), 24.0),
    (("id", "code", "currency", "unit", "symbol", "lang", "language", "status", "type", "kind"), 8.0),
    (("name", "city", "country", "location", "label", "tag", "password"), 10.0),
)

_FIXED = {
    "bool": 5.0,
    "int": 3.0,
    "float": 4.0,
    "decimal": 6.0,
    "none": 4.0,
    "date": 12.0,
    "time": 10.0,
    "datetime": 22.0,
    "timedelta": 8.0,
    "uuid": 38.0,
    "url": 32.0,
    "multi-host-url": 32.0,
    "bytes": 20.0,
    "json": 20.0,
    "any": 20.0,
}


def size_of(shape: Shape, name: str = "") -> float:
    """The characters that a value at this place is taken to have; counted once a shape.

    >>> from .schema import shape_of
    >>> size_of(shape_of(bool)), size_of(shape_of(list[bool]))
    (5.0, 23.0)
    """
    if shape.size is None:
        shape.size = _Sizes(shape.definitions).of(shape.schema, name)
    return shape.size


def entry_size(name: str, value: float) -> float:
    """The characters of a value with its key."""
    return len(name) + _AROUND + value


def items_of(schema: Schema, definitions: Mapping[str, Schema]) -> float:
    """How many entries a list or mapping of this schema is taken to have."""
    return _count(_Sizes(definitions).bare(schema)[0])


def likely(schema: Schema) -> float:
    """How likely a field comes, as far as the schema of its value tells."""
    return _OPTIONAL if schema["type"] == "default" else 1.0


def _count(schema: Schema) -> float:
    least, most = schema.get("min_length") or 0, schema.get("max_length")
    if most is None:
        return max(_ITEMS, float(least))
    return float(min(max(_ITEMS, (least + most) / 2), most))


class _Sizes:
    """Adds up a schema; a type within itself is taken to end there."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._above: list[set[str]] = []

    def bare(self, schema: Schema) -> tuple[Schema, set[str]]:
        """The schema within those that only wrap it, and the definitions that were gone through."""
        passed: set[str] = set()
        while True:
            if schema["type"] == "definition-ref":
                passed.add(schema["schema_ref"])
                schema = self._definitions.get(schema["schema_ref"], {"type": "any"})
            elif schema["type"] == "json-or-python":
                schema = schema["json_schema"]
            elif "schema" in schema:
                schema = schema["schema"]
            else:
                return schema, passed

    def of(self, schema: Schema, name: str) -> float:
        """The characters of a value of `schema`, in a field called `name`."""
        schema, passed = self.bare(schema)
        if schema["type"] not in _READERS:
            return _FIXED.get(schema["type"], _FIXED["any"])
        if len(self._above) >= _DEPTH or any(passed & above for above in self._above):
            return _EMPTY
        self._above.append(passed)
        size = _READERS[schema["type"]](self, schema, name)
        self._above.pop()
        return size

    def text(self, schema: Schema, name: str) -> float:
        plain = name.lower().rstrip("s")
        size = next((size for ends, size in _NAMED if plain.endswith(ends)), _TEXT)
        least, most = schema.get("min_length") or 0, schema.get("max_length")
        if most is not None:
            size = min(size, max(least, most * 0.6))
        return _EMPTY + max(size, least * 1.2)

    def literal(self, schema: Schema, name: str) -> float:
        return _choices(schema["expected"])

    def members(self, schema: Schema, name: str) -> float:
        return _choices(member.value for member in schema["members"])

    def items(self, schema: Schema, name: str) -> float:
        item = self.of(schema.get("items_schema") or {"type": "any"}, name)  # the name says what its items are
        return _EMPTY + _count(schema) * (item + _EMPTY)

    def positions(self, schema: Schema, name: str) -> float:
        return _EMPTY + sum(self.of(item, name) + _EMPTY for item in schema["items_schema"])

    def mapping(self, schema: Schema, name: str) -> float:
        value = self.of(schema.get("values_schema") or {"type": "any"}, name)
        return _EMPTY + _count(schema) * entry_size("a key", value)

    def record(self, schema: Schema, name: str) -> float:
        fields = schema["fields"]
        members = fields.items() if isinstance(fields, dict) else ((item["name"], item) for item in fields)
        return _EMPTY + sum(
            likely(item["schema"]) * entry_size(key, self.of(item["schema"], key)) for key, item in members
        )

    def union(self, schema: Schema, name: str) -> float:
        choices = schema["choices"]
        found = choices.values() if isinstance(choices, dict) else choices
        sizes = [self.of(item[0] if isinstance(item, tuple) else item, name) for item in found]
        return sum(sizes) / len(sizes)


def _choices(values: Iterable[object]) -> float:
    sizes = [len(str(value)) + _EMPTY * isinstance(value, str) for value in values]
    return sum(sizes) / max(len(sizes), 1)


_READERS: dict[str, Callable[[_Sizes, Schema, str], float]] = {
    "dataclass-args": _Sizes.record,
    "dict": _Sizes.mapping,
    "enum": _Sizes.members,
    "frozenset": _Sizes.items,
    "list": _Sizes.items,
    "literal": _Sizes.literal,
    "model-fields": _Sizes.record,
    "set": _Sizes.items,
    "str": _Sizes.text,
    "tagged-union": _Sizes.union,
    "tuple": _Sizes.positions,
    "typed-dict": _Sizes.record,
    "union": _Sizes.union,
}
