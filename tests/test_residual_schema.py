"""The schema of a rest asks for what is missing, as the whole's schema says it, and for nothing that is there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, StringConstraints
from typing_extensions import TypedDict

from structstream.providers import model_schema
from structstream.residual import read_open, stem_for, walk
from tests.models import Branch, Cat, Dog, Movie, Pair, Point
from tests.resuming import asked_again, continued, document_of


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Order(BaseModel):
    id: int
    items: list[Item]
    note: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int
    b: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    a: int = Field(alias="theA")
    b: int = Field(alias="theB")


class Size(enum.StrEnum):
    S = "s"
    L = "l"


class Square(BaseModel):
    shape: Literal["square"] = "square"
    side: int
    name: str


class Circle(BaseModel):
    shape: Literal["circle"] = "circle"
    radius: int
    name: str


TAGGED = Annotated[Cat | Dog, Field(discriminator="kind")]
ITEM: dict[str, Any] = {"$ref": "#/$defs/Item"}
PRICE: dict[str, Any] = {
    "properties": {"price": {"type": "number"}, "tags": {"default": [], "items": {"type": "string"}, "type": "array"}}
}
NOTE: dict[str, Any] = {
    "type": "object",
    "properties": {"note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
}
STRING: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
ANY: dict[str, Any] = {"type": "object", "additionalProperties": True}


def some(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


# What was asked for, what of the document came, the schemas of its rest, the innermost first.
ROWS: dict[str, tuple[Any, str, list[Any]]] = {
    "missing members": (
        Order,
        '{"id": 1, "it',
        [
            some(items={"items": ITEM, "type": "array"})
            | {"properties": {"items": {"items": ITEM, "type": "array"}, **NOTE["properties"]}}
        ],
    ),
    "items and what is around them": (
        Order,
        '{"id": 1, "items": [{"name": "a", "price": 1}, ',
        [{"type": "array", "items": ITEM}, NOTE],
    ),
    "four levels": (
        Order,
        '{"id": 1, "items": [{"name": "Ad',
        [STRING, {"type": "object", **PRICE, "required": ["price"]}, {"type": "array", "items": ITEM}, NOTE],
    ),
    "an object with all its members": (
        Order,
        '{"id": 1, "items": [{"name": "a", "price": 1, "tags": []',
        [{"type": "array", "items": ITEM}, NOTE],
    ),
    "a root list": (list[int], "[1, 2", [{"type": "array", "items": INTEGER}]),
    "a root text": (str, '"Ada Lov', [STRING]),
    "a mapping": (dict[str, int], '{"a": 1,', [{"type": "object", "additionalProperties": INTEGER}]),
    "a mapping of lists": (
        dict[str, list[int]],
        '{"a": [1,',
        [
            {"type": "array", "items": INTEGER},
            {"type": "object", "additionalProperties": {"items": INTEGER, "type": "array"}},
        ],
    ),
    "a mapping with keys of a kind": (
        dict[Size, int],
        '{"s": 1,',
        [{"type": "object", "additionalProperties": INTEGER, "propertyNames": {"$ref": "#/$defs/Size"}}],
    ),
    "a mapping with keys of a pattern": (
        dict[Annotated[str, StringConstraints(pattern="^x")], list[int]],
        '{"x1": [1,',
        [
            {"type": "array", "items": INTEGER},
            {"type": "object", "patternProperties": {"^x": {"items": INTEGER, "type": "array"}}},
        ],
    ),
    "a full mapping": (
        Annotated[dict[str, int], Field(min_length=1, max_length=3)],
        '{"a": 1,',
        [{"type": "object", "additionalProperties": INTEGER, "maxProperties": 2}],
    ),
    "an open model": (Open, '{"a": 1, "x": 2,', [some(b=INTEGER) | {"additionalProperties": True}]),
    "an alias": (Closed, '{"theA": 1,', [some(theB=INTEGER) | {"additionalProperties": False}]),
    "a name beside an alias": (Closed, '{"a": 1,', [some(theB=INTEGER) | {"additionalProperties": False}]),
    "a tag that decides": (
        TAGGED,
        '{"kind": "cat", "na',
        [some(name=STRING) | {"properties": {"name": STRING, "lives": {"default": 9, "type": "integer"}}}],
    ),
    "a shape that its keys decide": (
        Square | Circle,
        '{"side": 1,',
        [
            some(name=STRING)
            | {"properties": {"shape": {"const": "square", "default": "square", "type": "string"}, "name": STRING}}
        ],
    ),
    "a choice that is still open": (
        Square | Circle,
        '{"name": "a",',
        [
            {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "shape": {"const": "square", "default": "square", "type": "string"},
                            "side": INTEGER,
                        },
                        "required": ["side"],
                    },
                    {
                        "type": "object",
                        "properties": {
                            "shape": {"const": "circle", "default": "circle", "type": "string"},
                            "radius": INTEGER,
                        },
                        "required": ["radius"],
                    },
                ]
            }
        ],
    ),
    "within itself": (
        Branch,
        '{"name": "a", "children": [{"name": "b',
        [
            STRING,
            {
                "type": "object",
                "properties": {
                    "size": {"default": 0, "type": "integer"},
                    "children": {"default": [], "items": {"$ref": "#/$defs/Branch"}, "type": "array"},
                    "parent": {"anyOf": [{"$ref": "#/$defs/Branch"}, {"type": "null"}], "default": None},
                },
            },
            {"type": "array", "items": {"$ref": "#/$defs/Branch"}},
            {
                "type": "object",
                "properties": {
                    "size": {"default": 0, "type": "integer"},
                    "parent": {"anyOf": [{"$ref": "#/$defs/Branch"}, {"type": "null"}], "default": None},
                },
            },
        ],
    ),
    "a tuple": (
        tuple[int, str, bool],
        '[1, "a',
        [STRING, {"type": "array", "prefixItems": [{"type": "boolean"}], "minItems": 1, "maxItems": 1}],
    ),
    "a tuple that is full": (tuple[int, str], '[1, "a', [STRING]),
    "a named tuple": (Pair, "[1,", [{"type": "array", "prefixItems": [STRING], "minItems": 1, "maxItems": 1}]),
    "a set": (set[int], "[1,", [{"type": "array", "items": INTEGER, "uniqueItems": True}]),
    "a bounded list": (
        Annotated[list[int], Field(min_length=2, max_length=5)],
        "[1, 2, 3,",
        [{"type": "array", "items": INTEGER, "maxItems": 2}],
    ),
    "a list with a least": (
        Annotated[list[int], Field(min_length=5)],
        "[1, 2, 3,",
        [{"type": "array", "items": INTEGER, "minItems": 2}],
    ),
    "a bounded text": (
        Annotated[str, StringConstraints(min_length=3, max_length=9)],
        '"Ada',
        [{"type": "string", "maxLength": 6}],
    ),
    "a dataclass": (
        Point,
        '{"x": 1, "label": "h',
        [STRING, {"type": "object", "properties": {"more": {"items": STRING, "type": "array"}}}],
    ),
    "a TypedDict": (
        Movie,
        '{"title": "Up",',
        [{"type": "object", "properties": {"year": INTEGER, "cast": {"items": STRING, "type": "array"}}}],
    ),
    "anything": (dict[str, Any], '{"a": [1, {"b": "x', [ANY, {"type": "array", "items": {}}, ANY]),
    "a JSON value": (
        list[JsonValue],
        '[1, {"b": [2,',
        [{"type": "array", "items": {}}, ANY, {"type": "array", "items": {"$ref": "#/$defs/JsonValue"}}],
    ),
    "a root model": (
        RootModel[list[Item]],
        '[{"name": "a"',
        [{"type": "object", **PRICE, "required": ["price"]}, {"type": "array", "items": ITEM}],
    ),
    "a member that is ignored": (
        Order,
        '{"id": 1, "other": {"a": [1,',
        [
            {"type": "array", "items": {}},
            ANY,
            some(items={"items": ITEM, "type": "array"})
            | {"properties": {"items": {"items": ITEM, "type": "array"}, **NOTE["properties"]}},
        ],
    ),
}


def bare(schema: Any) -> Any:  # Any: JSON
    """Without what only describes."""
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: bare(item) for name, item in value.items()} if key == "properties" else bare(value)
        for key, value in schema.items()
        if key not in ("title", "description")
    }


@pytest.mark.parametrize("name", ROWS)
def test_what_is_asked_for(name: str) -> None:
    kind, text, expected = ROWS[name]
    found = continued(kind, document_of(kind, f"{text}\0").partition("\0")[0])
    assert found is not None
    assert found.schema is not None
    assert [bare(rest) for rest in found.schema["properties"].values()] == expected
    assert found.schema["required"] == list(found.schema["properties"])
    assert not list(asked_again(found))


def test_definitions_that_nothing_refers_to_are_left_out() -> None:
    found = continued(Order, '{"id": 1, "items": []')
    assert found is not None
    assert found.schema is not None
    assert "$defs" not in found.schema


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"id": 1, "items": [{"name": "Ad',
            'The rest of the text at items[0].name, to follow directly upon what stands there: "Ad"',
        ),
        ('{"id": 1, "items": [{"name": "Ad",', "The members that the object at items[0] still misses"),
        ('{"id": 1, "items": [', "The items of the list at items from index 0 on; empty if there are no more"),
    ],
)
def test_each_rest_tells_where_it_belongs(text: str, told: str) -> None:
    found = continued(Order, text)
    assert found is not None
    assert found.schema is not None
    assert found.schema["properties"]["rest_1"]["description"] == told


def test_the_keys_of_a_mapping_that_are_there_are_told() -> None:
    found = continued(dict[str, int], '{"b": 1, "a": 2,')
    assert found is not None
    assert found.schema is not None
    assert found.schema["properties"]["rest_1"]["description"].endswith('still misses, if any; it has "a", "b"')


class Names(TypedDict):
    rest_1: str
    rest_: int


def test_the_names_of_the_rest_are_none_of_the_answer() -> None:
    assert stem_for(model_schema(Order).plain) == "rest_"
    assert stem_for(model_schema(Names).plain) == "rest__"
    found = continued(Names, '{"rest_1": "a')
    assert found is not None
    assert found.schema is not None
    assert list(found.schema["properties"]) == ["rest__1", "rest__2"]


@pytest.mark.parametrize(
    ("schema", "text", "depth"),
    [
        ({"type": "array"}, '{"a": 1,', 0),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, '{"a": {"b": 1,', 1),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, '{"a": {"b": 1,', 1),
        ({"type": "object", "properties": {"a": {"allOf": [{}, {}]}}}, '{"a": {"b": 1,', 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, '{"a": 1,', 0),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"properties": {"a": True}}}}, '{"a": {"b": 1,', 2),
        ({"properties": {"a": {"type": ["null", "array"], "items": False}}}, '{"a": [1,', 2),
    ],
)
def test_it_is_followed_as_deep_as_that_can_be_done(schema: Any, text: str, depth: int) -> None:
    assert len(walk(schema, read_open(text)).containers) == depth
