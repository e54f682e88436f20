"""The schema of the rest asks for what is missing and holds nothing that had closed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from structstream.residual import Rests, rests, salvage


class Line(BaseModel):
    item: str
    price: float
    tags: list[str] = Field(default=[], min_length=1, max_length=3)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    owner: Line


class Order(BaseModel):
    customer: str
    note: str | None = None
    lines: list[Line]
    by_month: dict[str, int] = {}
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


def plan_of(kind: Any, text: str, *, grows: bool = True) -> Rests:
    found = salvage(text, grows=grows)
    assert found is not None
    plan = rests(found, TypeAdapter(kind).json_schema())
    assert plan is not None
    return plan


def asked(kind: Any, text: str) -> dict[str, Any]:
    """The properties that are asked for, without what is said of them."""
    schema = plan_of(kind, text).schema
    return {} if schema is None else {name: shape(place) for name, place in schema["properties"].items()}


def shape(schema: dict[str, Any]) -> Any:
    """What a schema asks for, in short."""
    if "anyOf" in schema:
        return [shape(branch) for branch in schema["anyOf"]]
    if schema["type"] == "object":
        more = {"*"} if schema.get("additionalProperties") else set()
        return {*schema.get("properties", {}), *more}
    if schema["type"] == "array":
        bounds = schema.get("minItems"), schema.get("maxItems")
        return ["items", *bounds] if any(bounds) else ["items"]
    return schema["type"]


TABLE: list[tuple[Any, str, dict[str, Any]]] = [
    (Order, '{"customer": "Ada"', {"rest_1": {"note", "lines", "by_month", "pet"}}),
    (
        Order,
        '{"customer": "Ad',
        {"rest_1": "string", "rest_2": {"note", "lines", "by_month", "pet"}},
    ),
    (
        Order,
        '{"lines": [{"item": "a", "price": 1, "tags": ["x", "y',
        {
            "rest_1": "string",
            "rest_2": ["items", None, 1],
            "rest_3": ["items"],
            "rest_4": {"customer", "note", "by_month", "pet"},
        },
    ),
    (
        Order,
        '{"lines": [{"item": "a", "price": 1, "tags": ["x", "y", "z"',
        {"rest_1": ["items"], "rest_2": {"customer", "note", "by_month", "pet"}},
    ),
    (Order, '{"by_month": {"may": 1,', {"rest_1": {"*"}, "rest_2": {"customer", "note", "lines", "pet"}}),
    (Order, '{"pet": {"kind": "cat"', {"rest_1": {"lives"}, "rest_2": {"customer", "note", "lines", "by_month"}}),
    (
        Order,
        '{"pet": {',
        {"rest_1": [{"kind", "lives"}, {"kind", "owner"}], "rest_2": {"customer", "note", "lines", "by_month"}},
    ),
    (Tree, '{"name": "a", "children": [{"name": "b"', {"rest_1": {"children"}, "rest_2": ["items"]}),
    (Open, '{"a": 1,', {"rest_1": {"*"}}),
    (Cat, '{"kind": "cat", "lives": 9,', {}),
    (tuple[int, str, int], "[1, ", {"rest_1": ["items", 2, 2]}),
    (tuple[int, str], '[1, "a"', {}),
]


@pytest.mark.parametrize(("kind", "text", "expected"), TABLE, ids=lambda value: value if isinstance(value, str) else "")
def test_each_open_place_is_asked_for_what_it_lacks_the_innermost_first(
    kind: Any, text: str, expected: dict[str, Any]
) -> None:
    assert asked(kind, text) == expected


def test_a_property_that_must_come_still_must() -> None:
    schema = plan_of(Order, '{"customer": "Ada"').schema
    assert schema is not None
    assert schema["properties"]["rest_1"]["required"] == ["lines"]
    assert schema["required"] == ["rest_1"]
    assert schema["additionalProperties"] is False


def test_only_the_definitions_that_are_needed_come_along() -> None:
    schema = plan_of(Order, '{"lines": [], "note": null, "customer": "Ada"').schema
    assert schema is not None
    assert set(schema["$defs"]) == {"Cat", "Dog", "Line"}
    schema = plan_of(Order, '{"lines": [], "pet": null, "customer": "Ada"').schema
    assert schema is not None
    assert "$defs" not in schema


def test_what_the_schema_does_not_tell_starts_over() -> None:
    plan = plan_of(dict[str, Any], '{"a": {"b": 1')
    assert plan.salvage.prefix == "{"
    assert plan.places[0].taken == frozenset()


def test_a_root_that_the_schema_does_not_tell_has_no_rest() -> None:
    found = salvage('{"a": 1', grows=True)
    assert found is not None
    assert rests(found, {"type": "array"}) is None


def test_it_is_said_where_each_rest_belongs() -> None:
    schema = plan_of(Order, '{"lines": [{"item": "a').schema
    assert schema is not None
    said = [place["description"] for place in schema["properties"].values()]
    assert said[0].startswith("The rest of the text at `lines[0].item`")
    assert said[1:] == [
        "What is still missing of `lines[0]`.",
        "The items of `lines` after its first 1.",
        "What is still missing of the whole answer.",
    ]
