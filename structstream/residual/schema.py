"""The JSON schema of what is missing: that of the answer, less all that is there.

The open places are followed through the schema of the answer: references resolved, and of alternatives only those that
fit what is there. Each place that misses something becomes one member of a flat object, the innermost first, so that an
answer to it streams in the order of the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any  # Any in this module: JSON

from structstream.text import render_path

if TYPE_CHECKING:
    from structstream.continuation import OpenLevel

    from .opened import Container, Opened

__all__ = ["Walk", "residual_schema", "stem_for", "walk"]

_Schema = dict[str, Any]

_SHOWN_WORDS = 60  # characters of an open text that its description quotes
_SHOWN_KEYS = 30  # keys of an open mapping that its description names


class Walk:
    """The schemas along the open places of a text.

    Attributes:
        containers: for each container that could be followed, the root first, the alternatives that fit it.
        texts: the alternatives of the open string; empty where none is open, or no string can stand there.
    """

    def __init__(self, containers: list[list[_Schema]], texts: list[_Schema]) -> None:
        self.containers = containers
        self.texts = texts


def walk(root: Mapping[str, Any], opened: Opened) -> Walk:
    """Follow what is open through the schema `root`, as deep as that can be done."""
    schemas = _Schemas(root)
    places: list[Any] = [root]
    found: list[list[_Schema]] = []
    for container in opened.containers:
        kind = "object" if container.is_object else "array"
        able = [each for place in places for each in schemas.alternatives(place) if _takes(each, kind)]
        if not able:
            return Walk(found, [])
        fitting = schemas.fitting(able, container, opened.text)
        found.append(fitting)
        places = _distinct(_inner(each, container) for each in fitting)
    texts: list[_Schema] = []
    if opened.string_at is not None:
        texts = [each for place in places for each in schemas.alternatives(place) if _takes(each, "string")]
    return Walk(found, texts)


def stem_for(root: Mapping[str, Any]) -> str:
    """Return what the names of a residual answer's members begin with, as no member of the whole answer's does."""
    stem = "rest_"
    while any(name.startswith(stem) for each in _Schemas(root).alternatives(root) for name in _properties(each)):
        stem += "_"
    return stem


def residual_schema(
    root: Mapping[str, Any], found: Walk, levels: Sequence[OpenLevel], given: Sequence[frozenset[str]]
) -> _Schema:
    """Return the schema of the rest: an object with a member, by its name, for each level that misses something.

    Args:
        root: the schema of the answer.
        found: its schemas along the open places.
        levels: the open places, the innermost first; all of them are in `found`.
        given: for each container, the root first, keys of members that were given under another name.
    """
    named: dict[str, _Schema] = {}
    alternatives = [*([found.texts] if levels[0].kind == "text" else []), *reversed(found.containers)]
    others = [*([frozenset[str]()] if levels[0].kind == "text" else []), *reversed(given)]
    for level, able, gone in zip(levels, alternatives, others, strict=True):
        missing = _distinct(_MISSING[level.kind](each, level, gone) for each in able)
        if not all(each is None for each in missing):
            kept = [_empty(level) if each is None else each for each in missing]
            rest = kept[0] if len(kept) == 1 else {"anyOf": kept}
            named[level.name] = {**rest, "description": _described(missing, level)}
    whole: _Schema = {
        "type": "object",
        "description": "What is still missing of the answer that broke off",
        "properties": named,
        "required": list(named),
        "additionalProperties": False,
    }
    definitions = _reachable(named, root.get("$defs", {}))
    return {"$defs": definitions, **whole} if definitions else whole


def _described(able: Sequence[_Schema | None], level: OpenLevel) -> str:
    """What is missing at a level, for the model."""
    where = f"at {render_path(level.path)}" if level.path else "at the root"
    if level.kind == "text":
        shown = level.so_far if len(level.so_far) <= _SHOWN_WORDS else f"…{level.so_far[-_SHOWN_WORDS:]}"
        told = json.dumps(shown, ensure_ascii=False)
        return f"The rest of the text {where}, to follow directly upon what stands there: {told}"
    if level.kind == "items":
        return f"The items of the list {where} from index {level.count} on; empty if there are no more"
    if not level.keys:
        return f"The members of the object {where}"
    told = f"The members that the object {where} still misses"
    if not any(each is not None and _is_open(each) for each in able):
        return told
    there = ", ".join(json.dumps(key, ensure_ascii=False) for key in sorted(level.keys)[:_SHOWN_KEYS])
    return f"{told}, if any; it has {there}{'' if len(level.keys) <= _SHOWN_KEYS else ' and others'}"


class _Schemas:
    """Resolves the parts of one schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def alternatives(self, schema: Any, above: frozenset[str] = frozenset()) -> list[_Schema]:
        """The schemas that `schema` is a choice of, without references; none where that cannot be said."""
        if not isinstance(schema, Mapping):
            return [] if schema is False else [{}]
        plain = dict(schema)
        if (ref := plain.pop("$ref", None)) is not None:
            target = None if ref in above else self._target(ref)
            return [] if target is None else self.alternatives({**target, **plain}, above | {ref})
        if (joined := plain.pop("allOf", None)) is not None:
            return self.alternatives({**plain, **joined[0]}, above) if len(joined) == 1 else []
        options = [*plain.pop("anyOf", ()), *plain.pop("oneOf", ())]
        if not options:
            return [plain]
        shared = {key: value for key, value in plain.items() if key not in _OF_THE_CHOICE}
        return [found for option in options for found in self.alternatives(_with(option, shared), above)]

    def _target(self, ref: str) -> Mapping[str, Any] | None:
        found: Any = self._root
        for key in ref.removeprefix("#/").split("/"):
            found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else None

    def fitting(self, able: list[_Schema], container: Container, text: str) -> list[_Schema]:
        """Those that fit what has closed in the container; where none does, those that fit it less well."""
        if len(able) == 1 or not container.is_object:
            return able
        raws = {key: text[start:end] for key, (start, end) in container.spans.items()}
        for is_so, unnamed in ((self._is_of, _is_open), (self._is_of, _may_ignore), (self._may_be, _may_ignore)):
            fits = [
                each
                for each in able
                if all(self._holds(each, key, raw, is_so, unnamed(each)) for key, raw in raws.items())
            ]
            if fits:
                return fits
        return able

    def _holds(self, schema: _Schema, key: str, raw: str, is_so: Callable[[_Schema, str], bool], unnamed: bool) -> bool:
        place = _properties(schema).get(key)
        return unnamed if place is None else any(is_so(each, raw) for each in self.alternatives(place))

    def _is_of(self, schema: _Schema, raw: str) -> bool:
        return self._may_be(schema, raw) and any(
            _takes(schema, kind) for kind in _KINDS.get(raw[0], ("number", "integer"))
        )

    def _may_be(self, schema: _Schema, raw: str) -> bool:
        if "const" not in schema and "enum" not in schema:
            return True
        return raw[0] not in "{[" and json.loads(raw) in (schema["enum"] if "enum" in schema else [schema["const"]])


_OF_THE_CHOICE = frozenset({"title", "description", "default", "examples", "discriminator"})
_KINDS = {"{": ("object",), "[": ("array",), '"': ("string",), "t": ("boolean",), "f": ("boolean",), "n": ("null",)}
_SHAPES = {"object": ("properties", "additionalProperties"), "array": ("items", "prefixItems")}


def _with(option: Any, shared: _Schema) -> Any:
    return {**shared, **option} if isinstance(option, Mapping) else option


def _takes(schema: _Schema, kind: str) -> bool:
    kinds = schema.get("type")
    if kinds is not None:
        return kind == kinds or (isinstance(kinds, list) and kind in kinds)
    if "const" in schema or "enum" in schema:
        return kind not in _SHAPES
    shapes = [shape for shape, words in _SHAPES.items() if any(word in schema for word in words)]
    return not shapes or kind in shapes


def _properties(schema: _Schema) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _inner(schema: _Schema, container: Container) -> Any:
    """The schema of the entry of `container` that is open."""
    if not container.is_object:
        first = schema.get("prefixItems", ())
        return first[container.count] if container.count < len(first) else schema.get("items", True)
    key = container.key
    if key in _properties(schema):
        return schema["properties"][key]
    for pattern, place in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return place
    more = schema.get("additionalProperties", True)
    return more if more is not False else True


def _distinct(found: Iterator[Any]) -> list[Any]:
    kept: list[Any] = []
    for each in found:
        if each not in kept:
            kept.append(each)
    return kept


# --- what is missing of one place; None for nothing ---


def _missing_text(schema: _Schema, level: OpenLevel, gone: frozenset[str]) -> _Schema | None:
    most = schema.get("maxLength")
    return {"type": "string"} if most is None else {"type": "string", "maxLength": max(0, most - len(level.so_far))}


def _missing_items(schema: _Schema, level: OpenLevel, gone: frozenset[str]) -> _Schema | None:
    first, items = list(schema.get("prefixItems", ()))[level.count :], schema.get("items", True)
    most = schema.get("maxItems")
    if (most is not None and most <= level.count) or (not first and items is False):
        return None
    rest: _Schema = {"type": "array"}
    if first:
        rest["prefixItems"] = first
    if "items" in schema or not first:
        rest["items"] = {} if items is True else items
    least = schema.get("minItems", 0) - level.count
    rest |= {"minItems": least} if least > 0 else {}
    rest |= {} if most is None else {"maxItems": most - level.count}
    rest |= {"uniqueItems": True} if schema.get("uniqueItems") else {}
    return rest


def _missing_members(schema: _Schema, level: OpenLevel, gone: frozenset[str]) -> _Schema | None:
    known, most = _properties(schema), schema.get("maxProperties")
    properties = {key: place for key, place in known.items() if key not in level.keys and key not in gone}
    # Of an object that does not say whether it is open, more is ignored; without properties it is a mapping.
    more = schema.get("additionalProperties", "properties" not in schema)
    is_open = more is not False or "patternProperties" in schema
    if not (properties or is_open) or (most is not None and most <= level.count):
        return None
    rest: _Schema = {"type": "object"}
    if properties or not is_open:
        rest["properties"] = properties
        required = [key for key in schema.get("required", ()) if key in properties]
        rest |= {"required": required} if required else {}
    rest |= {key: schema[key] for key in _OF_MAPPINGS if key in schema}
    if more is True and not any(key in schema for key in ("properties", "patternProperties")):
        rest["additionalProperties"] = True
    least = schema.get("minProperties", 0) - level.count
    rest |= {"minProperties": least} if least > 0 else {}
    rest |= {} if most is None else {"maxProperties": most - level.count}
    return rest


_OF_MAPPINGS = ("additionalProperties", "patternProperties", "propertyNames")
_MISSING: Mapping[str, Callable[[_Schema, OpenLevel, frozenset[str]], _Schema | None]] = {
    "text": _missing_text,
    "items": _missing_items,
    "members": _missing_members,
}


def _is_open(schema: _Schema) -> bool:
    return schema.get("additionalProperties", False) is not False or "patternProperties" in schema


def _may_ignore(schema: _Schema) -> bool:
    return schema.get("additionalProperties") is not False or "patternProperties" in schema


def _empty(level: OpenLevel) -> _Schema:
    """What stands for an alternative that misses nothing, beside others that do."""
    if level.kind == "items":
        return {"type": "array", "items": {}, "maxItems": 0}
    return {"type": "object", "properties": {}, "additionalProperties": False}


def _reachable(schema: object, definitions: Mapping[str, Any]) -> _Schema:
    """The definitions that `schema` refers to, or that those do."""
    found: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in found:
            found.add(name)
            waiting += _references(definitions[name])
    return {name: definitions[name] for name in definitions if name in found}


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        ref = schema.get("$ref")
        if isinstance(ref, str):
            yield ref.rpartition("/")[2]
        for child in schema.values():
            yield from _references(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _references(child)
