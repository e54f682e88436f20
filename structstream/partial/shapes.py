"""The places of an answer: what each may show before it closes, and who judges it then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import NoneType
from typing import Any

from pydantic_core import CoreConfig, SchemaSerializer, SchemaValidator, core_schema

from structstream.markers import Marker

__all__ = [
    "IGNORED",
    "WHITESPACE",
    "ArrayPart",
    "Field",
    "MappingPart",
    "RecordPart",
    "Schema",
    "Shape",
    "Siblings",
    "TaggedPart",
    "TextPart",
    "Told",
]

Schema = Mapping[str, Any]  # Any: a core schema is a tagged dict of many forms


WHITESPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Rust's `trim` takes for whitespace, which is what Pydantic strips."""


@dataclass(slots=True, eq=False)
class TextPart:
    """A string that is shown while it grows."""

    plain: bool  # nothing to check when it closes
    strip: bool  # Pydantic will strip its whitespace


@dataclass(slots=True, eq=False)
class Field:
    """A field of a record as one key gives it.

    `certain` is False where another key, if it is there too, wins over this one: then the value may not count.
    """

    name: str
    shape: Shape
    certain: bool = True


@dataclass(slots=True, eq=False)
class Siblings:
    """What a field whose validator may read ``info.data`` depends on: the fields that stand before it.

    `keys` gives the JSON key of each of them and, last, its own; `shape` judges an object of just these.
    """

    keys: dict[str, str]
    shape: Shape

    def judge(self, name: str, raw: Mapping[str, str], context: Any) -> object:  # Any: Pydantic's own type for it
        """What Pydantic makes of the field `name` behind the others, each given as its raw JSON."""
        members = ",".join(f"{json.dumps(key)}:{raw[field]}" for field, key in self.keys.items())
        found = self.shape.validator.validate_json(f"{{{members}}}", context=context)
        fields: Mapping[str, object] = found[0] if isinstance(found, tuple) else found
        return fields[name]


@dataclass(slots=True, eq=False)
class Told:
    """How the fields of a record are dumped: `hidden` are never, `hidden_if` not with a value of which it holds."""

    aliases: dict[str, str] = field(default_factory=dict)
    by_alias: bool = False  # where nobody says
    hidden: frozenset[str] = frozenset()
    hidden_if: dict[str, Callable[[Any], bool]] = field(default_factory=dict)  # Any: takes the field's own type


@dataclass(slots=True, eq=False)
class RecordPart:
    """An object with named fields: a model, a dataclass or a TypedDict."""

    cls: type
    is_mapping: bool  # a TypedDict: its value is a dict
    names: tuple[str, ...]
    lookup: dict[str, Field]
    known: frozenset[str]
    extra: str
    extra_shape: Shape
    by_name: dict[str, Field]
    siblings: dict[str, Siblings]
    told: Told
    holding: tuple[str, ...] = ()  # the object is held back until each of these fields shows something
    stated: frozenset[str] = frozenset()  # shown with their state
    view: type[Any] | None = None  # Any: what shows it while it is open, noted by who made it


@dataclass(slots=True, eq=False)
class MappingPart:
    """An object with free keys: `keys` judges an object of such a key; None where any text is one, as it stands.

    A key is judged as one, not as a value: a strict `int` takes the key ``"1"``, for JSON has no other kind of keys.
    """

    keys: Shape | None
    value: Shape
    view: type[Any] | None = None  # Any: what shows it while it is open, noted by who made it


@dataclass(slots=True, eq=False)
class TaggedPart:
    """An object whose shape is known once the value of one of its keys is."""

    key: str
    choices: Mapping[Any, Shape]  # Any: tags are str, int or enum members

    def choose(self, tag: object) -> Shape | None:
        """The shape for a tag as it stands in the JSON; None where there is none."""
        return next((shape for key, shape in self.choices.items() if _is_tag(key, tag)), None)


def _is_tag(key: object, tag: object) -> bool:
    value = key.value if isinstance(key, Enum) and not isinstance(key, str | int) else key
    return value == tag and isinstance(value, bool) == isinstance(tag, bool)


@dataclass(slots=True, eq=False)
class ArrayPart:
    """A list or tuple: the shapes of its first items, and that of all others.

    `adds_up`: the whole is what its items are, and nothing is checked of it but these.
    """

    first: tuple[Shape, ...]
    item: Shape | None
    is_tuple: bool = False
    adds_up: bool = False
    view: type[Any] | None = None  # Any: what shows it while it is open, noted by who made it

    def at(self, index: int) -> Shape:
        """The shape of the item at `index`."""
        if index < len(self.first):
            return self.first[index]
        return self.item or IGNORED


@dataclass(slots=True, eq=False)
class Shape:
    """A place of the answer.

    What may be shown of it while it is open stands in `text`, `record` and `array`, by the JSON kind that begins it;
    None means: when it closes. `deferred` means: only when the object around it has closed, because a validator here
    may look at its siblings. `asks_outside` means: a model's own validator in here may look at what is around the
    model, so that only the whole tells whether it is invalid.
    """

    schema: Schema
    config: CoreConfig | None = None
    definitions: Mapping[str, Schema] = field(default_factory=dict)
    text: TextPart | None = None
    record: RecordPart | MappingPart | TaggedPart | None = None
    array: ArrayPart | None = None
    root_model: type | None = None  # a RootModel around what the parts describe
    deferred: bool = False
    asks_outside: bool = False
    markers: frozenset[type[Marker]] = frozenset()
    holds: bool = False  # of the root: some object in it is held back by one of its fields
    empty: Callable[[], Any] = NoneType  # Any: None, [] or {}
    size: float | None = None  # characters that a value is taken to have, noted by who counted them
    _validator: SchemaValidator | None = None
    _serializer: SchemaSerializer | None = None

    @property
    def validator(self) -> SchemaValidator:
        """Pydantic's validator of just this place."""
        if self._validator is None:
            self._validator = _validator_of(self._standalone(self.schema), self.config, whole="strict" in self.schema)
        return self._validator

    @property
    def serializer(self) -> SchemaSerializer:
        """Pydantic's serializer of just this place, without a method of the object around it."""
        if self._serializer is None:
            schema = self.schema
            if schema.get("serialization", {}).get("is_field_serializer"):
                schema = {key: value for key, value in schema.items() if key != "serialization"}
            self._serializer = SchemaSerializer(self._standalone(schema), self.config)
        return self._serializer

    def shown_as(self, choice: Shape) -> Shape:
        """This place, judged as before, with an open object shown as `choice` shows it."""
        return Shape(
            self.schema,
            self.config,
            self.definitions,
            record=choice.record,
            root_model=self.root_model,
            asks_outside=self.asks_outside,
            empty=self.empty,
            _validator=self.validator,
            _serializer=self._serializer,
        )

    def _standalone(self, schema: Schema) -> core_schema.CoreSchema:
        needed: dict[str, Schema] = {}
        _collect_references(schema, self.definitions, needed)
        if not needed:
            return schema
        inner = {"type": "definition-ref", "schema_ref": schema["ref"]} if schema.get("ref") in needed else schema
        return {"type": "definitions", "schema": inner, "definitions": list(needed.values())}


def _validator_of(schema: core_schema.CoreSchema, config: CoreConfig | None, *, whole: bool) -> SchemaValidator:
    """Pydantic's validator of a schema; `whole`: the schema is stricter than the models in it, whose own do not serve.

    As of 2.12 Pydantic takes for a model the validator that the model has, whatever the schema says.
    """
    if whole:
        with suppress(TypeError):  # older ones know no such argument
            return SchemaValidator(schema, config, _use_prebuilt=False)
    return SchemaValidator(schema, config)


IGNORED = Shape({"type": "any"})
"""The place of a value that is read and not kept."""


def _collect_references(schema: object, definitions: Mapping[str, Schema], needed: dict[str, Schema]) -> None:
    """Find the definitions that `schema` refers to, and those that these refer to."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "definition-ref":
            name = schema["schema_ref"]
            if name not in needed and name in definitions:
                needed[name] = definitions[name]
                _collect_references(definitions[name], definitions, needed)
        for key, value in schema.items():
            if key != "metadata":
                _collect_references(value, definitions, needed)
    elif isinstance(schema, list | tuple):
        for value in schema:
            _collect_references(value, definitions, needed)
