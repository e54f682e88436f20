"""Seeded, plausible JSON for a JSON schema: what the simulated provider answers with."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any  # Any in this module: JSON, of a schema or of a value

from structstream.errors import ConfigurationError

from .patterns import text_for_pattern
from .vocabulary import FORMATS, anything, keys, number_range, sentences, text_for_name

__all__ = ["find_schema", "generate"]

_Schema = Mapping[str, Any]

_DEPTH = 6  # past it the shallowest alternative is taken, so that recursive types end
_NESTED = 3  # how often a type may stand within itself
_UNIQUE_TRIES = 200
_ENDLESS = 10**6  # the height of a schema that only ends by an alternative of its parent
_KEYWORDS = ("properties", "$ref", "$defs", "anyOf", "oneOf", "allOf", "enum", "const", "items", "prefixItems")
_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")


def generate(schema: _Schema | bool, seed: int | str = 0, *, items: int | None = None) -> Any:
    """Return a JSON value that `schema` allows; the same for the same seed.

    It promises that for the schema that Pydantic makes of a type,
    ``TypeAdapter(T).validate_json(json.dumps(generate(schema)))`` succeeds. What a schema does not say cannot be kept:
    a validator function, ``date`` in the past, digits of a ``Decimal``, a naive ``datetime``, the keys of a mapping
    (``dict[int, …]`` works, as keys are years), a byte unit, an existing file. A ``pattern`` that no try satisfies
    (look-arounds that contradict the rest, back-references) gives plausible text without it.

    Bounds that a description tells, as in ``(minLength=3, format=uri)``, are kept as well: a strict mode that refuses
    them elsewhere leaves no other place.

    Args:
        schema: as draft 2020-12 has it, with ``$defs`` at its root; True allows all.
        seed: decides; any number or text.
        items: how many items an array has that does not say; None for two to four.

    Raises:
        ConfigurationError: the schema refers to a definition that it does not hold, or allows nothing at all.

    >>> generate({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, seed=1)
    {'city': 'Melbourne'}
    """
    root = {} if schema is True else schema
    if not isinstance(root, Mapping):
        raise ConfigurationError("the schema allows nothing: it is false")
    return _Generator(root, Random(f"{seed}"), items).value(root, "", 0)


def find_schema(text: str) -> dict[str, Any] | None:
    """Return the first JSON schema that stands in `text` as a JSON object, or None: how a prompt carries one.

    >>> find_schema('Answer by this schema: {"type": "object", "properties": {"a": {"type": "integer"}}} only.')
    {'type': 'object', 'properties': {'a': {'type': 'integer'}}}
    """
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            for candidate in (found, *(found.get(key) for key in ("schema", "json_schema", "parameters"))):
                if _looks_like_schema(candidate):
                    return dict(candidate)
        start = text.find("{", end)
    return None


def _looks_like_schema(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    structural = any(isinstance(value.get(key), dict | list) or (key == "$ref" and key in value) for key in _KEYWORDS)
    return structural or "const" in value or (isinstance(kind, str | list) and all(each in _TYPES for each in kinds))


class _Generator:
    """One run over one schema."""

    def __init__(self, root: _Schema, random: Random, items: int | None) -> None:
        self.root = root
        self.random = random
        self.items = items
        self.heights: dict[str, int] = {}
        self.open: Counter[str] = Counter()  # the definitions that are being written, by their references
        self.kinds: dict[str, Callable[[_Schema, str, int], Any]] = {
            "object": self.object,
            "array": self.array,
            "string": self.string,
            "integer": self.integer,
            "number": self.number,
            "boolean": lambda schema, name, depth: self.random.random() < 0.5,
            "null": lambda schema, name, depth: None,
        }

    def value(self, schema: _Schema | bool, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return anything(self.random)
        reference = schema.get("$ref", "")
        self.open[reference] += 1
        made = self.made(_with_what_is_told(self.resolved(schema)), name, depth)
        self.open[reference] -= 1
        return made

    def made(self, schema: _Schema, name: str, depth: int) -> Any:
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(list(schema["enum"]))
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                return self.alternative(schema, key, name, depth)
        kind = self.kind(schema, depth)
        return (
            anything(self.random) if kind is None else self.kinds[kind](schema, name or schema.get("title", ""), depth)
        )

    def resolved(self, schema: _Schema) -> _Schema:
        """The schema with its reference followed and its parts joined."""
        for _ in range(100):
            if "$ref" in schema:
                siblings = {key: value for key, value in schema.items() if key != "$ref"}
                schema = _joined(self.definition(schema["$ref"]), siblings)
            elif schema.get("allOf"):
                merged: _Schema = {key: value for key, value in schema.items() if key != "allOf"}
                for part in schema["allOf"]:
                    merged = _joined(merged, self.resolved(part))
                schema = merged
            else:
                return schema
        raise ConfigurationError("the schema allows nothing: its references go round in a circle")

    def definition(self, reference: str) -> _Schema:
        found: Any = self.root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise ConfigurationError(f"the schema refers to {reference!r}, which it does not hold")
            found = found[key]
        return found if isinstance(found, Mapping) else {}

    def alternative(self, schema: _Schema, key: str, name: str, depth: int) -> Any:
        rest = {each: value for each, value in schema.items() if each not in (key, "discriminator", "title", "default")}
        options = [option for option in schema[key] if isinstance(option, Mapping)]
        if not options:
            return anything(self.random)
        if depth >= _DEPTH:
            return self.value(_joined(rest, min(options, key=self.height)), name, depth)
        ending = [option for option in options if self.ends(option, 0)] or options
        options = [_joined(rest, option) for option in ending]
        kinds = {option.get("type") for option in options}
        if {"number", "string"} == kinds and len(options) == 2:  # how Pydantic writes a Decimal: the number is exact
            return self.decimal(options, name)
        chosen = self.random.choice(options)
        if chosen.get("type") == "null" and self.random.random() < 0.5:  # mostly there is a value
            chosen = self.random.choice(options)
        return self.value(chosen, name, depth)

    def kind(self, schema: _Schema, depth: int) -> str | None:
        kind = schema.get("type")
        if isinstance(kind, Sequence) and not isinstance(kind, str):
            present = [each for each in kind if each in self.kinds]
            scalar = [each for each in present if each not in ("object", "array")]
            kind = self.random.choice((scalar if depth >= _DEPTH and scalar else present) or ["null"])
        if kind in self.kinds:
            return str(kind)
        if any(key in schema for key in ("properties", "additionalProperties", "patternProperties")):
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else None

    # containers

    def object(self, schema: _Schema, name: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = set(schema.get("required", ()))
        made: dict[str, Any] = {}
        for key, part in properties.items():
            if key in required or self.wanted(part, schema, depth):
                made[key] = self.value(part, key, depth + 1)
        for key in required - properties.keys():
            made[key] = self.value(schema.get("additionalProperties", True), key, depth + 1)
        self.add_open_keys(made, schema, name, depth)
        return made

    def wanted(self, part: _Schema | bool, parent: _Schema, depth: int) -> bool:
        """Whether an optional property is written: tags always, others mostly, none that would go too deep."""
        if not isinstance(part, Mapping):
            return False
        if "const" in self.resolved(part):
            return True
        if len(parent.get("properties", {})) < parent.get("minProperties", 0):
            return True
        return self.ends(part, depth) and self.random.random() < 0.85

    def add_open_keys(self, made: dict[str, Any], schema: _Schema, name: str, depth: int) -> None:
        patterns = schema.get("patternProperties", {})
        rest = schema.get("additionalProperties", not patterns and not schema.get("properties"))
        least, most = schema.get("minProperties", 0), schema.get("maxProperties")
        if not patterns and (rest is False or (rest is True and schema.get("properties") and len(made) >= least)):
            return
        ends = self.ends(next(iter(patterns.values()), rest), depth)
        count = max(least, self.random.randint(2, 3) if ends else 0)
        if patterns:
            pattern, part = next(iter(patterns.items()))
            names = self.distinct(lambda: text_for_pattern(pattern, self.random) or "key", count, count)
        else:
            part = rest
            names = self.key_names(schema.get("propertyNames"), count)
        for key in names:
            if most is None or len(made) < most:
                made[key] = self.value(part, name, depth + 1)

    def key_names(self, schema: _Schema | None, count: int) -> list[Any]:
        if not schema:
            return keys(self.random, count)
        text = {"type": "string", **self.resolved(schema)}
        return self.distinct(lambda: self.value(text, "key", 0), count, count)

    def distinct(self, make: Callable[[], Any], least: int, count: int) -> list[Any]:
        """Up to `count` different values, at least `least` where the domain holds so many."""
        found: dict[str, Any] = {}
        for tries in range(_UNIQUE_TRIES):
            if len(found) >= count or (tries >= 5 * count and len(found) >= least):
                break
            value = make()
            # 1 and 1.0 and true are one value to a set.
            comparable = value + 0 if isinstance(value, int | float) else value
            found.setdefault(json.dumps(comparable, sort_keys=True), value)
        return list(found.values())

    def array(self, schema: _Schema, name: str, depth: int) -> list[Any]:
        first = [self.value(part, name, depth + 1) for part in schema.get("prefixItems", ())]
        rest = schema.get("items", not first)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if rest is False or (most is not None and len(first) >= most):
            return first
        wanted = self.items if self.items is not None else self.random.randint(2, 4)
        if depth >= _DEPTH or not self.ends(rest, depth):
            wanted = 0
        count = max(wanted, least - len(first))
        if most is not None:
            count = min(count, most - len(first))

        def make() -> Any:
            return self.value(rest, name, depth + 1)

        if schema.get("uniqueItems"):
            return first + self.distinct(make, min(count, max(1, least)), count)
        return first + [make() for _ in range(count)]

    def ends(self, schema: _Schema | bool, depth: int) -> bool:
        """Whether an optional value of the schema is still in place here: neither too deep nor too often in itself."""
        if not isinstance(schema, Mapping):
            return depth < _DEPTH
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return any(self.ends(option, depth) for option in options)
        nested = self.open[schema["$ref"]] >= _NESTED if "$ref" in schema else False
        return not nested and self.height(schema) <= max(0, _DEPTH - depth)

    def height(self, schema: _Schema | bool) -> int:
        """How deep the shallowest value of the schema nests."""
        if not isinstance(schema, Mapping):
            return 1
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in self.heights:
                self.heights[reference] = _ENDLESS  # met again on the way down: no end there
                self.heights[reference] = self.height(self.definition(reference))
            return self.heights[reference]
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return min(self.height(option) for option in options)
        parts = [self.height(part) for part in schema.get("allOf", ())]
        required = schema.get("required", ())
        parts += [1 + self.height(part) for key, part in schema.get("properties", {}).items() if key in required]
        parts += [1 + self.height(part) for part in schema.get("prefixItems", ())]
        if schema.get("minItems", 0) > len(schema.get("prefixItems", ())) and "items" in schema:
            parts.append(1 + self.height(schema["items"]))
        return min(_ENDLESS, max(parts, default=0))

    # scalars

    def string(self, schema: _Schema, name: str, depth: int) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if "contentSchema" in schema:
            return json.dumps(self.value(schema["contentSchema"], name, depth + 1))
        if "pattern" in schema:
            text = text_for_pattern(schema["pattern"], self.random, least=least, most=most)
            if text is not None:
                return text
        if make := FORMATS.get(schema.get("format", "")):
            return make(self.random)
        return _fit(text_for_name(name, self.random), least, most, self.random)

    def integer(self, schema: _Schema, name: str, depth: int) -> int:
        low, high = _bounds(schema, number_range(name), open_step=1)
        step = schema.get("multipleOf")
        if step:
            return int(_multiple(low, high, step, self.random))
        return self.random.randint(math.ceil(low), max(math.ceil(low), math.floor(high)))

    def number(self, schema: _Schema, name: str, depth: int) -> float:
        low, high = _bounds(schema, number_range(name), open_step=None)
        step = schema.get("multipleOf")
        if step:
            return _multiple(low, high, step, self.random)
        value = self.random.uniform(low, high)
        for digits in (2, 6, 12):
            if _allowed(schema, rounded := round(value, digits)):
                return rounded
        return value

    def decimal(self, options: Sequence[_Schema], name: str) -> float:
        number = next(option for option in options if option["type"] == "number")
        text = next(option for option in options if option["type"] == "string")
        # Three digits, two of them places, pass the digit limits that people set and a schema does not show.
        low, high = _bounds(number, (1, 9.99), open_step=None)
        narrowed = {**number, "minimum": low, "maximum": high}
        for _ in range(_UNIQUE_TRIES):
            value = self.number(narrowed, name, 0)
            if _text_matches(text.get("pattern"), f"{value}") and _allowed(number, value):
                return value
        return self.number(narrowed, name, 0)


def _text_matches(pattern: str | None, text: str) -> bool:
    return pattern is None or re.search(pattern, text) is not None


_TOLD_NUMBER = re.compile(r"\b((?:min|max)(?:Length|Items|Properties))=(\d+)")
_TOLD_TEXT = re.compile(r"\b(pattern|format)=(.+?)(?=, format=|\)$)")


def _with_what_is_told(schema: _Schema) -> _Schema:
    """The schema with the bounds that only its description has: strict modes refuse them elsewhere."""
    description = schema.get("description")
    if not isinstance(description, str) or not description.endswith(")"):
        return schema
    told: dict[str, Any] = {name: int(number) for name, number in _TOLD_NUMBER.findall(description)}
    told |= dict(_TOLD_TEXT.findall(description))
    if "uniqueItems=True" in description:
        told["uniqueItems"] = True
    return {**told, **schema}


def _joined(one: _Schema, other: _Schema) -> _Schema:
    """Both schemas in one: properties and required together, of the rest the second's."""
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    return merged


def _fit(text: str, least: int, most: int | None, random: Random) -> str:
    while len(text) < least:
        text = f"{text} {sentences(random, 1)}" if least > 40 else text + random.choice("abcdefghijklmnopqrstuvwxyz")
    if most is not None and len(text) > most:
        text = text[:most].rstrip() or text[:most]
        text += "a" * (least - len(text))
    return text


def _bounds(schema: _Schema, usual: tuple[float, float], open_step: int | None) -> tuple[float, float]:
    """The range to draw from: the schema's, and where it has no bound, the usual one moved beside it."""
    low = max((schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema), default=None)
    high = min((schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema), default=None)
    if open_step is not None:
        low = low + open_step if low is not None and low == schema.get("exclusiveMinimum") else low
        high = high - open_step if high is not None and high == schema.get("exclusiveMaximum") else high
    usual_low, usual_high = usual
    if low is None:
        low = usual_low if high is None or usual_low <= high else high - 100
    if high is None:
        high = usual_high if low <= usual_high else low + 100
    # Inside the schema's bounds the usual ones are the more plausible.
    if low <= usual_low < usual_high <= high:
        low, high = usual_low, usual_high
    inset = (high - low) * 0.01 if open_step is None else 0
    return low + inset, high - inset


def _multiple(low: float, high: float, step: float, random: Random) -> float:
    exact = Decimal(str(step))
    first = math.ceil(Decimal(str(low)) / exact)
    last = max(first, math.floor(Decimal(str(high)) / exact))
    value = random.randint(first, last) * exact
    return int(value) if value == value.to_integral_value() else float(value)


def _allowed(schema: _Schema, value: float) -> bool:
    tests: tuple[tuple[str, bool], ...] = (
        ("minimum", value >= schema.get("minimum", value)),
        ("maximum", value <= schema.get("maximum", value)),
        ("exclusiveMinimum", value > schema.get("exclusiveMinimum", value - 1)),
        ("exclusiveMaximum", value < schema.get("exclusiveMaximum", value + 1)),
    )
    return all(holds for key, holds in tests if key in schema)
