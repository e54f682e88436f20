"""A Python type as the JSON schema that goes over the wire.

Two forms: the plain one, as Pydantic writes it, and the strict one, the subset of JSON Schema that a provider's
structured outputs take: every object closed, every property required, ``$ref`` alone, no ``oneOf``, no ``default``, and
what a row of `FORMS` says beyond that. What the subset cannot say in its own words is told to the model in the
description; what it cannot say at all is named, so that the caller learns why another mode was taken.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import SchemaError

from structstream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from structstream.request import StreamingStructuredRequest

    from .base import StrictFormName

    _Rewrite = Callable[[Mapping[str, Any]], dict[str, Any]]  # Any: JSON

__all__ = ["FORMS", "WRAP_KEY", "ModelSchema", "StrictForm", "instruction", "model_schema", "schema_of", "wrap_key"]

_Schema = dict[str, Any]  # Any: JSON

WRAP_KEY = "result"
"""The key under which the answer stands where the response model is not an object."""

_INSTRUCTION = (
    "Answer with one JSON value that is valid for the JSON schema below, and with nothing else: no text before or "
    "after it, no code fence, no comment.\n\n{schema}"
)

_MAX_NAME = 64
_REST = "_rest"  # behind the name of the model whose rest is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictForm:
    """What the strict schemas of a provider can say, beyond what is common to all.

    Args:
        formats: the values of ``format`` that it knows; None if it takes any.
        told: keywords that it refuses, but that a sentence to the model says as well.
        patterns: whether it takes ``pattern``; one with a look-around is told in any case.
        min_items: the largest ``minItems`` that it takes; None for any.
        recursive: whether a type may stand within itself; ``optional`` if only where it need not.
        closed: every object is closed and has all its properties. False leaves both as the model says.
        extra_shapes: keywords that it takes though most do not.
        most: how much of something one schema may hold, by what `_amounts` calls it.
    """

    formats: frozenset[str] | None
    told: Sequence[str]
    patterns: bool = True
    min_items: int | None = None
    recursive: bool | Literal["optional"] = True
    closed: bool = True
    extra_shapes: frozenset[str] = frozenset()
    most: Mapping[str, int]


_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_TOLD = (
    "minLength",
    "maxLength",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contains",
    "minContains",
    "maxContains",
)

FORMS: Mapping[StrictFormName, StrictForm] = {
    # developers.openai.com, "Structured outputs", supported schemas.
    "openai": StrictForm(
        formats=_FORMATS,
        told=_TOLD,
        most={"properties": 5000, "enum values": 1000, "levels of nesting": 10},
    ),
    # platform.claude.com, "Structured outputs", JSON Schema limitations.
    "anthropic": StrictForm(
        formats=_FORMATS | {"uri"},
        told=(*_TOLD, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems"),
        patterns=False,
        min_items=1,
        recursive=False,
        most={"unions": 16},
    ),
    # ai.google.dev/api/generate-content, GenerationConfig.responseJsonSchema, which lists the keywords that it takes.
    "google": StrictForm(
        formats=None,
        told=(*_TOLD, "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        patterns=False,
        recursive="optional",
        closed=False,
        extra_shapes=frozenset({"prefixItems", "additionalProperties"}),
        most={},
    ),
}
"""The strict forms by their names in `ProviderSpec.strict_form`: a new one is a row."""

_SILENT = ("default", "discriminator", "examples", "contentMediaType", "contentSchema", "contentEncoding", "deprecated")
_UNSAYABLE = {
    "prefixItems": "a tuple, whose items differ by position",
    "patternProperties": "a mapping with free keys",
    "propertyNames": "a mapping with free keys",
    "unevaluatedProperties": "a mapping with free keys",
    "allOf": "an intersection of types",
    "not": "a negation",
    "if": "a condition",
    "dependentRequired": "a condition",
    "dependentSchemas": "a condition",
}
_SHAPES = ("type", "anyOf", "$ref", "enum", "const")


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """A response model as the wire sees it.

    Args:
        name: the model's name, made of letters, digits, ``_`` and ``-``, at most 64 of them.
        plain: the schema as Pydantic writes it; wrapped where the model is not an object.
        strict: the same in the provider's strict subset; None where the subset cannot say it.
        reason: why not, with the place; empty where it can.
        wrap: `WRAP_KEY` where the answer is an object that holds the value under this key; None where the value itself
            is the answer.
    """

    name: str
    plain: Mapping[str, Any]  # Any: JSON
    strict: Mapping[str, Any] | None  # Any: JSON
    reason: str
    wrap: str | None

    def native(self, provider: str, *, any_schema: bool = False) -> Mapping[str, Any]:  # Any: JSON
        """Return what holds a model to this type in mode ``native``.

        Args:
            provider: its name, for the error.
            any_schema: whether it takes the plain schema where the strict one cannot say it.

        Raises:
            ConfigurationError: the provider's subset cannot say it; the sentence names what.
        """
        if self.strict is None and not any_schema:
            raise ConfigurationError(
                f"{provider} cannot hold a model to {self.name} in mode='native': its strict schemas cannot say "
                f"{self.reason}; choose mode='auto', 'tool' or 'prompted'"
            )
        return self.plain if self.strict is None else self.strict


def model_schema(response_model: object, form: StrictFormName = "openai") -> ModelSchema:
    """Return the schemas of `response_model`; they are built once a type and form, and must not be changed.

    Args:
        response_model: all that `pydantic.TypeAdapter` takes.
        form: whose strict subset, as in `FORMS`.

    Raises:
        ConfigurationError: Pydantic cannot make a type or a schema of it.

    >>> model_schema(list[int]).wrap
    'result'
    """
    try:
        return _cached(response_model, form)
    except TypeError:  # an unhashable type, such as Annotated with a list in it
        return _build(response_model, form)


def schema_of(
    request: StreamingStructuredRequest[Any], form: StrictFormName = "openai"
) -> ModelSchema:  # Any: any type
    """Return the schemas of what `request` asks for: its response model, or the rest of an answer that broke off.

    Args:
        request: what is asked for.
        form: whose strict subset, as in `FORMS`.

    Raises:
        ConfigurationError: as `model_schema`.
    """
    going_on = request.continuation
    if going_on is None or going_on.schema is None:
        return model_schema(request.response_model, form)
    name = f"{_name(request.response_model)[: _MAX_NAME - len(_REST)]}{_REST}"
    return _of_schema(name, dict(going_on.schema), None, form)


def instruction(schema: ModelSchema) -> str:
    """Return what a model is told in ``prompted`` mode: the schema and how to answer; the same in all dialects.

    >>> instruction(model_schema(int)).startswith("Answer with one JSON value")
    True
    """
    return _INSTRUCTION.format(schema=json.dumps(schema.plain, ensure_ascii=False))


def wrap_key(response_model: object) -> str | None:
    """Return the key under which the answer holds the value; None where the value itself is the answer.

    Raises:
        ConfigurationError: as `model_schema`.

    >>> wrap_key(int)
    'result'
    >>> wrap_key(dict[str, int]) is None
    True
    """
    return model_schema(response_model).wrap


def _build(response_model: object, form_name: StrictFormName) -> ModelSchema:
    name = _name(response_model)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(response_model)  # type: ignore[arg-type]  # Any: the type is the caller's
        schema = _finite(adapter.json_schema(mode="validation", by_alias=True))
    except (PydanticInvalidForJsonSchema, PydanticUserError, SchemaError, NameError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ConfigurationError(f"response_model {response_model!r} has no JSON schema: {reason}") from problem
    except KeyError as missing:
        raise ConfigurationError(
            f"response_model {response_model!r} has no JSON schema: it refers to {missing.args[0]!r}, where nothing is "
            "defined"
        ) from missing
    root = _root_inlined(schema)
    wrap = None if root.get("type") == "object" else WRAP_KEY
    return _of_schema(name, schema if wrap is None else _wrapped(schema), wrap, form_name)


def _finite(schema: Any) -> Any:  # Any: JSON
    """A schema without defaults and examples that JSON cannot say, such as a default of infinity."""
    if isinstance(schema, dict):
        return {
            name: _finite(value)
            for name, value in schema.items()
            if name not in ("default", "examples") or isinstance(value, dict) or _is_finite(value)
        }
    return [_finite(item) for item in schema] if isinstance(schema, list) else schema


def _is_finite(value: Any) -> bool:  # Any: JSON
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or isfinite(value)


def _of_schema(name: str, plain: _Schema, wrap: str | None, form_name: StrictFormName) -> ModelSchema:
    form = FORMS[form_name]
    strict = _Strict(plain, form).schema()
    reason = next(_unsayable(strict, form, ""), "") or _recursion(strict, form) or _past_bounds(strict, form)
    return ModelSchema(name, plain, None if reason else strict, reason, wrap)


_cached: Callable[[object, StrictFormName], ModelSchema] = lru_cache(maxsize=1024)(_build)


def _name(response_model: object) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", getattr(response_model, "__name__", "") or "").strip("_")
    return name[:_MAX_NAME] or "answer"


def _wrapped(schema: _Schema) -> _Schema:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: _Schema = {"type": "object", "properties": {WRAP_KEY: inner}, "required": [WRAP_KEY]}
    return outer if "$defs" not in schema else {"$defs": schema["$defs"], **outer}


def _root_inlined(schema: _Schema) -> _Schema:
    ref = schema.get("$ref")
    return schema if ref is None else schema["$defs"][ref.rpartition("/")[2]]


class _Strict:
    """Rewrites one schema; as `openai.lib._pydantic.to_strict_json_schema` does, and on to what the API takes."""

    def __init__(self, root: Mapping[str, Any], form: StrictForm) -> None:
        self._root = root
        self._form = form

    def schema(self) -> _Schema:
        return self._rewrite(self._root, ())

    def _rewrite(self, source: Mapping[str, Any], inlined: tuple[str, ...]) -> _Schema:
        schema = _lone_all_of_hoisted(source)
        ref = schema.get("$ref")
        if isinstance(ref, str) and len(schema) > 1:
            if ref in inlined:  # a type that is its own required member: its description is lost, not the type
                return {"$ref": ref}
            del schema["$ref"]
            return self._rewrite({**self._resolve(ref), **schema}, (*inlined, ref))
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")
        for key, rewrite in _CHILDREN.items():
            if key in schema:
                schema[key] = rewrite(schema[key], lambda child: self._rewrite(child, inlined))
        if self._form.closed:
            if schema.get("type") == "object":
                schema.setdefault("additionalProperties", False)
            if "properties" in schema:
                schema["required"] = list(schema["properties"])
        return _permitted(schema, self._form)

    def _resolve(self, ref: str) -> _Schema:
        found: Any = self._root  # Any: JSON
        for key in ref.removeprefix("#/").split("/"):
            found = found[key.replace("~1", "/").replace("~0", "~")]
        return dict(found)


def _lone_all_of_hoisted(source: Mapping[str, Any]) -> _Schema:
    schema = dict(source)
    all_of = schema.get("allOf")
    if isinstance(all_of, list) and len(all_of) == 1:
        del schema["allOf"]
        schema.update(all_of[0])
    return schema


def _each_value(children: Mapping[str, Any], rewrite: _Rewrite) -> _Schema:
    return {name: rewrite(child) for name, child in children.items()}


def _each_item(children: list[Any], rewrite: _Rewrite) -> list[_Schema]:
    return [rewrite(child) for child in children]


def _itself(child: Any, rewrite: _Rewrite) -> Any:  # Any: a schema, or True or False
    return rewrite(child) if isinstance(child, dict) else child


_CHILDREN: Mapping[str, Callable[[Any, _Rewrite], Any]] = {
    "$defs": _each_value,
    "properties": _each_value,
    "items": _itself,
    "prefixItems": _each_item,
    "additionalProperties": _itself,
    "anyOf": _each_item,
    "allOf": _each_item,
}


def _permitted(schema: _Schema, form: StrictForm) -> _Schema:
    for key in _SILENT:
        schema.pop(key, None)
    told = [f"{key}={schema.pop(key)}" for key in form.told if key in schema]
    if form.min_items is not None and schema.get("minItems", 0) > form.min_items:
        told.append(f"minItems={schema.pop('minItems')}")
    # No look-around there; Pydantic's own pattern of a Decimal has one.
    if "pattern" in schema and ("(?" in schema["pattern"] or not form.patterns):
        told.append(f"pattern={schema.pop('pattern')}")
    if form.formats is not None and schema.get("format", "date") not in form.formats:
        told.append(f"format={schema.pop('format')}")
    if not form.closed and isinstance(schema.get("const"), str | int | float) and schema["const"] not in (True, False):
        schema["enum"] = [schema.pop("const")]
    if told:
        words = f"({', '.join(told)})"
        schema["description"] = f"{schema['description']} {words}" if schema.get("description") else words
    return schema


def _unsayable(schema: Mapping[str, Any], form: StrictForm, path: str) -> Iterator[str]:
    where = f" at {path}" if path else ""
    taken = form.extra_shapes
    yield from (f"{what}{where}" for key, what in _UNSAYABLE.items() if key in schema and key not in taken)
    is_open = schema.get("type") == "object" and schema.get("additionalProperties") is not False
    if is_open and "additionalProperties" not in taken:
        yield f"a mapping with free keys{where}"
    if not any(key in schema for key in _SHAPES):
        yield f"a value of any type{where}"
    if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
        yield f"a list of anything{where}"
    if any(isinstance(value, list | dict) for value in (*schema.get("enum", ()), schema.get("const"))):
        yield f"a choice between lists or objects{where}"
    for step, child in _children(schema):
        yield from _unsayable(child, form, f"{path}.{step}" if path else step)


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield name, child
    if isinstance(schema.get("items"), dict):
        yield "[]", schema["items"]
    for number, child in enumerate(schema.get("prefixItems", ())):
        yield f"[{number}]", child
    if isinstance(schema.get("additionalProperties"), dict):
        yield "*", schema["additionalProperties"]
    for child in schema.get("anyOf", ()):
        yield "|", child
    for name, child in schema.get("$defs", {}).items():
        yield name, child


def _recursion(schema: Mapping[str, Any], form: StrictForm) -> str:
    definitions = schema.get("$defs", {})
    if form.recursive is True or not definitions:
        return ""
    needed = form.recursive == "optional"
    uses = {name: set(_references(definition, needed=needed)) for name, definition in definitions.items()}
    while leaves := [name for name, used in uses.items() if not used & uses.keys()]:
        for name in leaves:
            del uses[name]
    if not uses:
        return ""
    way = [min(uses)]  # what is left stands within itself, or leads to what does
    while (following := min(uses[way[-1]] & uses.keys())) not in way:
        way.append(following)
    return f"a type that stands within itself, {following}"


def _references(schema: Mapping[str, Any], *, needed: bool) -> Iterator[str]:
    """The types that a schema leads to; if `needed`, by properties that are required alone."""
    if isinstance(schema.get("$ref"), str):
        yield schema["$ref"].rpartition("/")[2]
    properties, required = schema.get("properties", {}), schema.get("required", ())
    for name, child in _children(schema):
        if not needed or properties.get(name) is not child or name in required:
            yield from _references(child, needed=needed)


def _past_bounds(schema: Mapping[str, Any], form: StrictForm) -> str:
    found = _amounts(schema)
    found["levels of nesting"] = _depth(schema, schema, {})
    return next(
        (f"{found[what]} {what}, more than {most}" for what, most in form.most.items() if found[what] > most), ""
    )


def _amounts(schema: Mapping[str, Any]) -> dict[str, int]:
    amounts = {
        "properties": len(schema.get("properties", ())),
        "enum values": len(schema.get("enum", ())),
        "unions": int("anyOf" in schema or isinstance(schema.get("type"), list)),
    }
    for _, child in _children(schema):
        for what, amount in _amounts(child).items():
            amounts[what] += amount
    return amounts


def _depth(schema: Mapping[str, Any], root: Mapping[str, Any], known: dict[str, int]) -> int:
    ref = schema.get("$ref")
    if isinstance(ref, str):
        if ref not in known:
            known[ref] = 0  # what a type adds by standing within itself is not counted
            known[ref] = _depth(root["$defs"][ref.rpartition("/")[2]], root, known)
        return known[ref]
    below = (_depth(child, root, known) for _, child in _children({**schema, "$defs": {}}))
    return (schema.get("type") == "object") + max(below, default=0)
