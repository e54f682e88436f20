"""A type to a tree of shapes: how each place of the answer may be shown before it closes.

The tree is read off Pydantic's own core schema, which is what Pydantic executes, so aliases, validators, constraints,
generics, unions and recursion are its own. A kind of schema that is not listed here is opaque: shown when it closes.

A value is judged by the sub-validator of its shape, run on its raw JSON when it closes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, TypeVar

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import CoreConfig, SchemaError

from structstream.errors import ConfigurationError
from structstream.markers import HoldParent, ShowWhenComplete, WithState, markers_of

from .accepts import SCALAR_KINDS, STRINGS_THAT_YIELD, accepts
from .shapes import ArrayPart, Field, MappingPart, RecordPart, Schema, Shape, Siblings, TaggedPart, TextPart, Told

__all__ = ["shape_of"]

T = TypeVar("T")


_UNCHECKED = frozenset({"type", "items_schema", "metadata", "serialization"})
"""The keys of a list's schema where it checks nothing but its items."""


def _is_record(schema: Schema) -> bool:
    """Whether what stands within is judged as fields of this very object; a RootModel lets its surroundings through."""
    return schema.get("type") in _RECORDS and not schema.get("root_model")


def _looks_outside(schema: object, definitions: Mapping[str, Schema], _above: frozenset[str] = frozenset()) -> bool:
    """Whether a validator within `schema` may ask in which field it runs, or for the fields before it."""
    if isinstance(schema, list | tuple):
        return any(_looks_outside(item, definitions, _above) for item in schema)
    if not isinstance(schema, Mapping) or _is_record(schema):
        return False
    if schema.get("type") == "definition-ref":
        name = schema["schema_ref"]
        return name not in _above and _looks_outside(definitions.get(name), definitions, _above | {name})
    function = schema.get("function")
    if isinstance(function, Mapping) and function.get("type") == "with-info":
        return True
    inner = (value for key, value in schema.items() if key not in ("metadata", "serialization"))
    return any(_looks_outside(value, definitions, _above) for value in inner)


def _may_vanish(schema: Schema, definitions: Mapping[str, Schema], _above: frozenset[str] = frozenset()) -> bool:
    """Whether a value of `schema` that is invalid is left out of what is around it (`OnErrorOmit`)."""
    kind = schema["type"]
    if kind == "definition-ref":
        name = schema["schema_ref"]
        return (
            name not in _above and name in definitions and _may_vanish(definitions[name], definitions, _above | {name})
        )
    if kind == "default" and schema.get("on_error") == "omit":
        return True
    choices = schema.get("choices", ()) if kind in ("union", "tagged-union") else ()
    inner = [*(choices.values() if isinstance(choices, Mapping) else choices)]
    inner += [schema[key] for key in ("schema", "json_schema", "lax_schema", "strict_schema") if key in schema]
    schemas = (item[0] if isinstance(item, tuple) else item for item in inner)
    return kind not in _RECORDS and any(_may_vanish(item, definitions, _above) for item in schemas)


class _Reader:
    """Reads one core schema into shapes, each definition once."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self.definitions = definitions
        self._by_reference: dict[str, Shape] = {}
        self._unsettled: set[str] = set()  # definitions that are being read, or read from one that was
        self._met_unsettled = False
        self._again: list[Callable[[], None]] = []
        self._made: list[Shape] = []
        self._asks_outside = False  # a model's own validator takes `info`
        self._holds = False  # some object is held back by one of its fields

    def read(self, schema: Schema) -> Shape:
        """The shape of a whole type."""
        shape = self.shape(schema, None)
        _refuse_field_markers(shape)
        self._unsettled.clear()
        for fill in self._again:  # the inner ones first
            fill()
        if self._asks_outside:
            for made in self._made:
                made.asks_outside = made.schema["type"] not in SCALAR_KINDS
        shape.holds = self._holds
        return shape

    def shape(self, schema: Schema, config: CoreConfig | None) -> Shape:
        """The shape of `schema`, whose models come with their own configuration."""
        if schema["type"] == "definition-ref":
            if "serialization" not in schema and not markers_of(schema):
                return self._referenced(schema, config)
            # Dumped or shown in its own way here: not the shape that all other places of this definition share.
            shape = self._new(schema, config)
            bare = {"type": "definition-ref", "schema_ref": schema["schema_ref"]}
            self._fill(shape, {"type": "definitions", "schema": bare}, config)
            return shape
        shape = self._new(schema, config)
        self._fill(shape, schema, config)
        return shape

    def _referenced(self, schema: Schema, config: CoreConfig | None) -> Shape:
        name = schema["schema_ref"]
        known = self._by_reference.get(name)
        if known is None:
            # Noted before it is filled in: a recursive type meets itself here.
            known = self._by_reference[name] = self._new(schema, config)
            self._unsettled.add(name)
            if self._fill(known, self.definitions[name], config):
                self._unsettled.discard(name)
        self._met_unsettled |= name in self._unsettled
        return known

    def _new(self, schema: Schema, config: CoreConfig | None) -> Shape:
        shape = Shape(schema, config, self.definitions, markers=markers_of(schema))
        self._made.append(shape)
        return shape

    def _fill(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> bool:
        """Fill in what is known; return whether that is all: what met its own definition is filled in again."""
        reader = _READERS.get(schema["type"])
        if reader is None:
            shape.deferred = _looks_outside(schema, self.definitions)
            return True
        before, self._met_unsettled = self._met_unsettled, False
        reader(self, shape, schema, config)
        if ShowWhenComplete in shape.markers:
            shape.text = shape.record = shape.array = shape.root_model = None
        settled = not self._met_unsettled or _is_record(schema)
        if not settled:
            self._again.append(functools.partial(reader, self, shape, schema, config))
        self._met_unsettled = before or not settled
        return settled

    def _copy(self, shape: Shape, inner: Shape) -> None:
        """Let `shape` be shown as `inner` is, and be judged by itself."""
        shape.text, shape.record, shape.array = inner.text, inner.record, inner.array
        if shape.array is not None and shape.array.adds_up and shape.schema["type"] not in ("default", "nullable"):
            shape.array = replace(shape.array, adds_up=False)
        shape.root_model, shape.empty, shape.deferred = inner.root_model, inner.empty, inner.deferred

    # --- wrappers: shown as what they wrap ---

    def wrapper(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        self._copy(shape, self.shape(schema["schema"], config))

    def nullable(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        self.wrapper(shape, schema, config)
        shape.empty = NoneType

    def default(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        # Where a default stands in for an invalid value, what is inside may vanish: opaque.
        if schema.get("on_error", "raise") == "raise":
            self.wrapper(shape, schema, config)
        else:
            shape.deferred = _looks_outside(schema, self.definitions)

    def json_or_python(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        self._copy(shape, self.shape(schema["json_schema"], config))

    def function_after(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        inner = self.shape(schema["schema"], config)
        takes_info = schema["function"]["type"] == "with-info"
        is_models_own = "ref" in schema
        self._asks_outside |= takes_info and is_models_own
        if takes_info and not is_models_own:
            shape.deferred = True
        elif isinstance(inner.record, RecordPart) and inner.array is None and inner.text is None:
            # A check of the whole model. What a function makes of a string or a list may be another one, so those wait.
            self._copy(shape, inner)
        else:
            shape.deferred = inner.deferred

    def function_other(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        shape.deferred = _looks_outside(schema, self.definitions)

    # --- values ---

    def anything(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        inner = Shape({"type": "any"})
        for one in (shape, inner):
            one.record = MappingPart(None, inner)
            one.array = ArrayPart((), inner)

    def string(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        rules = {name.removeprefix("str_"): value for name, value in (config or {}).items() if name.startswith("str_")}
        rules.update({name: schema[name] for name in _STRING_RULES if schema.get(name) is not None})
        if not rules.get("to_upper") and not rules.get("to_lower"):
            shape.text = TextPart(plain=not any(rules.values()), strip=bool(rules.get("strip_whitespace")))

    def sequence(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        items = schema.get("items_schema") or {"type": "any"}
        item = self.shape(items, config)
        _refuse_field_markers(item)
        if item.deferred:
            shape.deferred = True
            return
        shape.empty = list
        if not _may_vanish(items, self.definitions):  # where each stands is known at the end only
            adds_up = schema["type"] == "list" and schema.keys() <= _UNCHECKED and not item.asks_outside
            shape.array = ArrayPart((), item, adds_up=adds_up)

    def positions(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        items = [self.shape(item, config) for item in schema["items_schema"]]
        for item in items:
            _refuse_field_markers(item)
        if any(item.deferred for item in items):
            shape.deferred = True
            return
        variadic = schema.get("variadic_item_index")
        if any(_may_vanish(item, self.definitions) for item in schema["items_schema"]):
            return
        if variadic is None:
            shape.array = ArrayPart(tuple(items), None, is_tuple=True)
        elif variadic == len(items) - 1:
            shape.array = ArrayPart(tuple(items[:-1]), items[-1], is_tuple=True)
        else:
            return  # which item is which is known at the end only
        shape.empty = tuple

    def mapping(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        keys = schema.get("keys_schema") or {"type": "str"}
        key = self.shape(keys, config)
        value = self.shape(schema.get("values_schema") or {"type": "any"}, config)
        _refuse_field_markers(value)
        if key.deferred or value.deferred:
            shape.deferred = True
            return
        judge = Shape({"type": "dict", "keys_schema": keys}, config, self.definitions)
        plain = key.text is not None and key.text.plain
        shape.record = MappingPart(None if plain else judge, value)
        shape.empty = dict

    # --- records ---

    def model(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        own = schema.get("config", {})
        if schema.get("custom_init"):
            return  # its __init__ sees the raw data and may change it
        if schema.get("root_model"):
            self._copy(shape, self.shape(schema["schema"], own))
            if shape.text is not None:
                shape.text = TextPart(plain=False, strip=shape.text.strip)  # what closes is the model
            shape.root_model, shape.empty = schema["cls"], NoneType
        elif schema["schema"]["type"] == "model-fields":
            fields = schema["schema"]
            extra = fields.get("extra_behavior") or own.get("extra_fields_behavior") or "ignore"
            self._record(shape, schema["cls"], fields, fields["fields"], extra, own)

    def dataclass(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        own = schema.get("config", config) or {}
        fields = schema["schema"]
        if fields["type"] == "dataclass-args":
            members = {item["name"]: item for item in fields["fields"] if item.get("init", True)}
            extra = fields.get("extra_behavior") or own.get("extra_fields_behavior") or "ignore"
            self._record(shape, schema["cls"], fields, members, extra, own)

    def typed_dict(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        own = schema.get("config", config) or {}
        extra = schema.get("extra_behavior") or own.get("extra_fields_behavior") or "ignore"
        cls = schema.get("cls") or dict
        self._record(shape, cls, schema, schema["fields"], extra, own, is_mapping=True)

    def _record(
        self,
        shape: Shape,
        cls: type,
        schema: Schema,
        members: Schema,
        extra: str,
        config: Schema,
        *,
        is_mapping: bool = False,
    ) -> None:
        shown = {name: item for name, item in members.items() if not item.get("init_only")}
        by_name = {name: Field(name, self.shape(item["schema"], config)) for name, item in shown.items()}  # type: ignore[arg-type]  # a CoreConfig, read as a mapping
        lookup: dict[str, Field] = {}
        known: set[str] = set()
        keys: dict[str, str] = {}
        for name, item in members.items():
            for index, path in enumerate(_lookup_paths(name, item, config)):
                known.add(str(path[0]))
                if len(path) == 1 and name in shown:
                    lookup.setdefault(str(path[0]), Field(name, by_name[name].shape, certain=index == 0))
                    keys.setdefault(name, str(path[0]))
        extras = schema.get("extras_schema") or {"type": "any"}
        holding = tuple(name for name, field in by_name.items() if HoldParent in field.shape.markers)
        self._holds = self._holds or bool(holding)
        shape.record = RecordPart(
            cls=cls,
            is_mapping=is_mapping,
            names=tuple(shown),
            lookup=lookup,
            known=frozenset(known),
            extra=extra,
            extra_shape=self.shape(extras, config),  # type: ignore[arg-type]  # as above
            by_name=by_name,
            siblings=self._siblings(schema, by_name, keys, config) if len(shown) == len(members) else {},
            told=_told(schema, config),
            holding=holding,
            stated=frozenset(name for name, field in by_name.items() if WithState in field.shape.markers),
        )

    def _siblings(
        self, schema: Schema, by_name: Mapping[str, Field], keys: Mapping[str, str], config: Schema
    ) -> dict[str, Siblings]:
        """For each deferred field what it depends on, where each of these has a key of its own."""
        found: dict[str, Siblings] = {}
        names = list(by_name)
        for index, name in enumerate(names):
            before = names[: index + 1]
            if by_name[name].shape.deferred and all(other in keys for other in before):
                judge = Shape(_reduced(schema, before), config, self.definitions)  # type: ignore[arg-type]  # as above
                found[name] = Siblings({other: keys[other] for other in before}, judge)
        return found

    # --- unions ---

    def union(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        choices = [item[0] if isinstance(item, tuple) else item for item in schema["choices"]]
        shapes = [self.shape(item, config) for item in choices]
        if any(item.deferred for item in shapes):
            shape.deferred = True
            return
        taken = [accepts(item, self.definitions) for item in choices]

        def only(kind: str) -> Shape | None:
            able = [index for index, kinds in enumerate(taken) if kind in kinds]
            return shapes[able[0]] if len(able) == 1 else None

        for kind, part in (("{", "record"), ("[", "array"), ('"', "text")):
            chosen = only(kind)
            if chosen is not None and chosen.root_model is None:
                setattr(shape, part, getattr(chosen, part))
        if shape.text is None and schema.get("mode", "smart") == "smart":
            shape.text = self._string_of_union(choices, shapes)

    def _string_of_union(self, choices: Sequence[Schema], shapes: Sequence[Shape]) -> TextPart | None:
        """A plain `str` wins every JSON string from numbers, booleans and literals (Pydantic's smart mode)."""
        plain = [item for item in shapes if item.schema["type"] == "str" and item.text is not None and item.text.plain]
        others = [item for item in choices if item["type"] != "str"]
        if plain and all(
            item["type"] in STRINGS_THAT_YIELD or '"' not in accepts(item, self.definitions) for item in others
        ):
            return plain[0].text
        return None

    def tagged_union(self, shape: Shape, schema: Schema, config: CoreConfig | None) -> None:
        key = schema["discriminator"]
        if isinstance(key, list) and len(key) == 1:
            key = key[0][0] if isinstance(key[0], list) and len(key[0]) == 1 else key[0]
        choices = {tag: self.shape(item, config) for tag, item in schema["choices"].items()}
        if any(item.deferred for item in choices.values()):
            shape.deferred = True
        elif isinstance(key, str):
            shape.record = TaggedPart(key, choices)


def _refuse_field_markers(shape: Shape) -> None:
    """Say that a marker of fields stands where no field is."""
    for marker in (HoldParent, WithState):
        if marker in shape.markers:
            raise ConfigurationError(f"{marker.__name__} belongs to the field of an object, not to an item or the root")


def _reduced(schema: Schema, names: Sequence[str]) -> Schema:
    """The schema of a record with just some of its fields, which ignores all else."""
    fields = schema["fields"]
    kept = (
        {name: fields[name] for name in names}
        if isinstance(fields, Mapping)
        else [item for item in fields if item["name"] in names]
    )
    dropped = ("ref", "extras_schema", "computed_fields", "cls", "serialization")
    rest = {key: value for key, value in schema.items() if key not in dropped}
    reduced = {**rest, "fields": kept, "extra_behavior": "ignore"}
    return {**reduced, "computed_fields": []} if schema["type"] == "dataclass-args" else reduced


def _told(schema: Schema, config: Schema) -> Told:
    """How the fields of a record, and what it computes of them, are dumped."""
    fields = schema["fields"]
    items = dict(fields) if isinstance(fields, Mapping) else {item["name"]: item for item in fields}
    computed = {item["property_name"]: item for item in schema.get("computed_fields", ())}
    found = Told(
        aliases={name: item["serialization_alias"] for name, item in items.items() if item.get("serialization_alias")},
        by_alias=bool(config.get("serialize_by_alias")),
        hidden=frozenset(name for name, item in items.items() if item.get("serialization_exclude")),
    )
    found.aliases.update({name: item["alias"] for name, item in computed.items() if item.get("alias")})
    for name, item in {**items, **computed}.items():
        if item.get("serialization_exclude_if") is not None:
            found.hidden_if[name] = item["serialization_exclude_if"]
    return found


def _lookup_paths(name: str, item: Schema, config: Schema) -> list[list[str | int]]:
    """The ways in which a field may be given, as Pydantic looks for them."""
    alias = item.get("validation_alias")
    by_name: list[list[str | int]] = [[name]]
    if alias is None:
        return by_name
    paths: list[list[str | int]]
    if isinstance(alias, str):
        paths = [[alias]]
    else:
        paths = [list(path) for path in (alias if isinstance(alias[0], list) else [alias])]
    if config.get("validate_by_alias", True) is False:
        return by_name
    return paths + by_name if config.get("validate_by_name") or config.get("populate_by_name") else paths


_RECORDS = frozenset({"model", "dataclass", "typed-dict"})

_STRING_RULES = ("max_length", "min_length", "pattern", "strip_whitespace", "to_lower", "to_upper", "ascii_only")

_READERS: dict[str, Callable[[_Reader, Shape, Schema, CoreConfig | None], None]] = {
    "any": _Reader.anything,
    "dataclass": _Reader.dataclass,
    "default": _Reader.default,
    "definitions": _Reader.wrapper,
    "dict": _Reader.mapping,
    "function-after": _Reader.function_after,
    "function-before": _Reader.function_other,
    "function-plain": _Reader.function_other,
    "function-wrap": _Reader.function_other,
    "json-or-python": _Reader.json_or_python,
    "list": _Reader.sequence,
    "model": _Reader.model,
    "nullable": _Reader.nullable,
    "str": _Reader.string,
    "tagged-union": _Reader.tagged_union,
    "tuple": _Reader.positions,
    "typed-dict": _Reader.typed_dict,
    "union": _Reader.union,
}


@functools.lru_cache(maxsize=512)
def _cached_shape(response_model: type[T], spelling: str) -> Shape:
    return _read(response_model)


def shape_of(response_model: Any) -> Shape:  # Any: typing constructs are no types
    """The shape of a type, built once per type.

    Raises:
        ConfigurationError: Pydantic can make no validator of it; the sentence says why.
    """
    try:
        hash(response_model)
    except TypeError:
        return _read(response_model)
    # `int | str` equals `str | int`, yet Pydantic reads them in order: the spelling is part of the key.
    return _cached_shape(response_model, repr(response_model))


def _read(response_model: Any) -> Shape:  # Any: as above
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(response_model)  # Any: as above
        adapter.rebuild(raise_errors=True)
        schema: Schema = adapter.core_schema
    except (PydanticUserError, SchemaError, NameError) as error:
        problem = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"response_model {response_model!r} is no type that Pydantic can read: {problem}"
        ) from error
    definitions: dict[str, Schema] = {}
    while schema["type"] == "definitions":
        definitions.update({item["ref"]: item for item in schema["definitions"]})
        schema = schema["schema"]
    shape = _Reader(definitions).read(schema)
    if "strict" not in schema:  # else it is stricter than the models in it, whose own validators that one has
        shape._validator = adapter.validator  # type: ignore[assignment]  # plugins may wrap it; it validates all the same
    return shape
