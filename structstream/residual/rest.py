"""The schema of what is missing: one place for each open container that is not full, the innermost first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from structstream.continuation import Rest
from structstream.text import render_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .outline import Level, Salvage

__all__ = ["Rests", "rests"]

_Schema = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Rests:
    """What is asked for.

    Args:
        salvage: what stands.
        places: the open places, the innermost first.
        schema: of the answer, an object with one property for each place that has a name; None where nothing is
            missing but the ends.
    """

    salvage: Salvage
    places: tuple[Rest, ...]
    schema: Mapping[str, Any] | None  # Any: JSON


def rests(found: Salvage, schema: Mapping[str, Any]) -> Rests | None:  # Any: JSON
    """Return what is missing of a document.

    Args:
        found: what stands of it.
        schema: the JSON schema of the whole document, as Pydantic writes it.

    Returns:
        None where the schema does not tell what may stand at the root.
    """
    walk = _Walk(schema)
    chosen: list[list[_Schema]] = []
    here: list[_Schema] = [dict(schema)]
    for depth, level in enumerate(found.levels):
        fitting = walk.fitting(here, level)
        if not fitting:
            if depth == 0:
                return None
            found = found.cut(depth)  # its parent knows only that it is missing
            break
        chosen.append(fitting)
        if found.is_open(depth):
            step = found.path_to(depth + 1)[-1]
            here = [_child(branch, step) for branch in fitting]
    return _Writer(found, walk.definitions).write(chosen[: len(found.levels)])


class _Walk:
    """Finds the branches of a schema that an open container can be of."""

    def __init__(self, schema: Mapping[str, Any]) -> None:  # Any: JSON
        self.definitions: Mapping[str, _Schema] = schema.get("$defs", {})

    def fitting(self, schemas: Sequence[_Schema], level: Level) -> list[_Schema]:
        """The branches of `schemas` that know most of the keys of `level`, and contradict none of its values."""
        fit = [
            branch
            for schema in schemas
            for branch in self._branches(schema)
            if branch.get("type") == level.kind and self._agrees(branch, level)
        ]
        if level.kind == "array" or len(fit) < 2:
            return fit
        keys = {*level.keys, *([level.key] if level.key is not None else [])}
        known = [len(keys & branch.get("properties", {}).keys()) for branch in fit]
        return [branch for branch, count in zip(fit, known, strict=True) if count == max(known)]

    def _agrees(self, branch: _Schema, level: Level) -> bool:
        properties: Mapping[str, _Schema] = branch.get("properties", {})
        if branch.get("additionalProperties") is False and not properties.keys() >= set(level.keys):
            return False
        for key, value in level.scalars.items():
            allowed = [word for one in self._branches(properties.get(key, {})) for word in _words(one)]
            if allowed and None not in allowed and value not in allowed and str(value) not in map(str, allowed):
                return False
        return True

    def _branches(self, schema: _Schema, _above: frozenset[str] = frozenset()) -> Iterator[_Schema]:
        """Its alternatives, references followed."""
        if reference := schema.get("$ref"):
            name = str(reference).rpartition("/")[2]
            if name not in _above and name in self.definitions:
                yield from self._branches(self.definitions[name], _above | {name})
            return
        alternatives = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if alternatives is None or (len(alternatives) > 1 and "allOf" in schema):
            yield schema
            return
        for alternative in alternatives:
            yield from self._branches(alternative, _above)


def _words(schema: _Schema) -> list[object]:
    """The values that a schema allows; one that is None where it allows any."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum", [None]))


def _child(branch: _Schema, step: str | int) -> _Schema:
    if isinstance(step, int):
        prefix: Sequence[_Schema] = branch.get("prefixItems", ())
        found = prefix[step] if step < len(prefix) else branch.get("items")
    else:
        found = branch.get("properties", {}).get(step, branch.get("additionalProperties"))
        if found is None:
            found = next(iter(branch.get("patternProperties", {}).values()), None)
    return found if isinstance(found, dict) else {}


class _Writer:
    """Writes the places and their schema."""

    def __init__(self, found: Salvage, definitions: Mapping[str, _Schema]) -> None:
        self._found = found
        self._definitions = definitions
        self._properties: dict[str, _Schema] = {}

    def write(self, chosen: Sequence[Sequence[_Schema]]) -> Rests:
        found = self._found
        places: list[Rest] = []
        if found.text is not None:
            said = (
                f"The rest of the text at `{render_path(found.path)}`, from the very character where it stops; "
                "empty if nothing is missing."
            )
            name = self._ask({"type": "string", "description": said})
            places.append(Rest("text", name, tuple(found.path), text=found.text))
        places += [self._place(depth, chosen[depth]) for depth in reversed(range(len(found.levels)))]
        return Rests(found, tuple(places), self._schema())

    def _place(self, depth: int, branches: Sequence[_Schema]) -> Rest:
        found = self._found
        level, steps = found.levels[depth], found.path_to(depth)
        where = f"`{render_path(steps)}`" if steps else "the whole answer"
        if level.kind == "array":
            count = level.count + found.is_open(depth)
            parts = [part for branch in branches if (part := _rest_of_array(branch, count)) is not None]
            name = self._ask(_either(parts, f"The items of {where} after its first {count}.")) if parts else None
            return Rest("array", name, tuple(steps), count=count)
        taken = frozenset(level.keys) | ({str(level.key)} if found.is_open(depth) else set())
        parts = [part for branch in branches if (part := _rest_of_object(branch, taken)) is not None]
        name = self._ask(_either(parts, f"What is still missing of {where}.")) if parts else None
        return Rest("object", name, tuple(steps), taken=taken)

    def _ask(self, schema: _Schema) -> str:
        name = f"rest_{len(self._properties) + 1}"
        self._properties[name] = schema
        return name

    def _schema(self) -> _Schema | None:
        if not self._properties:
            return None
        used = _reachable(self._properties, self._definitions)
        schema: _Schema = {
            "type": "object",
            "properties": self._properties,
            "required": list(self._properties),
            "additionalProperties": False,
        }
        return {"$defs": used, **schema} if used else schema


def _rest_of_array(branch: _Schema, count: int) -> _Schema | None:
    """The schema of the items that may come after `count`; None where none may."""
    most = branch.get("maxItems")
    prefix = list(branch.get("prefixItems", ()))[count:]
    items = branch.get("items", True)
    if (most is not None and count >= most) or (not prefix and items is False):
        return None
    rest = {key: value for key, value in branch.items() if key not in _OF_THE_WHOLE}
    rest["type"] = "array"
    if prefix:
        rest["prefixItems"] = prefix
    if most is not None:
        rest["maxItems"] = most - count
    if (least := branch.get("minItems", 0) - count) > 0:
        rest["minItems"] = least
    return rest


def _rest_of_object(branch: _Schema, taken: frozenset[str]) -> _Schema | None:
    """The schema of the properties that are not taken; None where none is left."""
    properties = {key: value for key, value in branch.get("properties", {}).items() if key not in taken}
    open_ended = branch.get("additionalProperties") not in (None, False) or "patternProperties" in branch
    if not properties and not open_ended:
        return None
    rest = {key: value for key, value in branch.items() if key not in _OF_THE_WHOLE}
    rest["type"] = "object"
    if properties:
        rest["properties"] = properties
    if required := [key for key in branch.get("required", ()) if key in properties]:
        rest["required"] = required
    if (least := branch.get("minProperties", 0) - len(taken)) > 0:
        rest["minProperties"] = least
    if (most := branch.get("maxProperties")) is not None:
        if most <= len(taken):
            return None
        rest["maxProperties"] = most - len(taken)
    return rest


# What is said of a whole container, and is not true of its rest, or is written anew.
_OF_THE_WHOLE = frozenset(
    {
        *("title", "description", "default", "examples", "$defs", "properties", "required", "prefixItems"),
        *("minItems", "maxItems", "minProperties", "maxProperties", "discriminator", "uniqueItems"),
    }
)


def _either(parts: Sequence[_Schema], said: str) -> _Schema:
    unlike = [part for number, part in enumerate(parts) if part not in parts[:number]]
    return {**unlike[0], "description": said} if len(unlike) == 1 else {"anyOf": unlike, "description": said}


def _reachable(schema: object, definitions: Mapping[str, _Schema]) -> dict[str, _Schema]:
    """The definitions that `schema` leads to."""
    used: dict[str, _Schema] = {}
    todo: list[object] = [schema]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in definitions and name not in used:
                used[name] = definitions[name]
                todo.append(definitions[name])
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return used
