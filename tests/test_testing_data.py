"""Generated data is valid: Pydantic takes what is made for the schema that it gave, whatever the type and the seed."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import ipaddress
import json
import pathlib
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar

import pytest
from hypothesis import given, strategies as st
from pydantic import (
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    HttpUrl,
    IPvAnyAddress,
    Json,
    JsonValue,
    NegativeFloat,
    NewPath,
    PositiveInt,
    PostgresDsn,
    RootModel,
    SecretStr,
    TypeAdapter,
)
from pydantic.types import UUID4
from typing_extensions import TypedDict

from structstream.errors import ConfigurationError
from structstream.providers.schema import model_schema
from structstream.testing import find_schema, generate

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Node(BaseModel):
    value: int
    children: list[Node] = []
    next: Node | None = None
    named: dict[str, Node] = {}


class Deep(BaseModel):
    left: Deep | int
    right: Deep | str


class Even(BaseModel):
    odd: Odd | None


class Odd(BaseModel):
    even: Even | None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog", "puppy"]
    name: str
    colour: Colour


class Owner(BaseModel):
    pets: Annotated[list[Annotated[Cat | Dog, Field(discriminator="kind")]], Field(min_length=3)]
    favourite: Annotated[Cat | Dog, Field(discriminator="kind")] | None


class Person(TypedDict):
    age: int
    email: NotRequired[str]


@dataclasses.dataclass
class Invoice:
    number: int
    days: list[dt.date]
    total: Annotated[Decimal, Field(max_digits=5, decimal_places=2)]


class Point(NamedTuple):
    x: int
    label: str


class Box(BaseModel, Generic[T]):
    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name + "Field")
    content: T
    more: list[T] = Field(min_length=5)


class Everything(BaseModel):
    title: str = Field(min_length=1, max_length=60)
    description: str = Field(min_length=120)
    price: float = Field(gt=0, le=9.5)
    codes: Annotated[set[Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2,4}$")]], Field(min_length=3, max_length=3)]
    when: dt.datetime
    took: dt.timedelta
    owner: Owner
    tree: Node
    level: Level
    either: int | str | None
    scores: dict[Colour, list[float]]
    place: tuple[float, float, str]
    nothing: None
    anything: Any


ZOO: list[Any] = [
    Node, Deep, Even, Owner, Person, Invoice, Point, Box[int], Box[Cat], Everything, Colour, Level,
    Annotated[Cat | Dog, Field(discriminator="kind")],
    int, float, str, bool, None, bytes, Decimal, Any, JsonValue, SecretStr, PositiveInt, NegativeFloat,
    int | str | None, int | float, dt.datetime | dt.date, Literal[1, "a", True] | None,
    dt.date, dt.datetime, dt.time, dt.timedelta, AwareDatetime,
    uuid.UUID, UUID4, HttpUrl, PostgresDsn, ipaddress.IPv4Address, ipaddress.IPv6Network, IPvAnyAddress,
    pathlib.Path, NewPath, DirectoryPath, Base64Bytes, Json[list[int]],
    list[list[list[list[list[list[list[list[int]]]]]]]], tuple[int, ...], tuple[int, str], set[int], set[Colour],
    frozenset[Literal[1, 2]], Sequence[int], collections.deque[int], RootModel[list[int]],
    dict[str, Any], dict[int, str], dict[float, int], dict[Colour, int], dict[dt.date, int],
    collections.OrderedDict[str, int], collections.Counter[str],
    dict[Annotated[str, Field(pattern="^a+$")], int],
    Annotated[dict[str, int], Field(min_length=7)],
    Annotated[list[int], Field(min_length=2, max_length=2)],
    Annotated[set[int], Field(min_length=8)],
    Annotated[str, Field(min_length=50, max_length=60)], Annotated[str, Field(max_length=3)],
    Annotated[str, Field(pattern=r"^\d{3}-\d{4}$")],
    Annotated[str, Field(pattern=r"^(foo|bar)[a-z_]+\.(py|js)$", min_length=20)],
    Annotated[int, Field(multiple_of=7, gt=100)], Annotated[int, Field(lt=-5)], Annotated[int, Field(ge=0, le=0)],
    Annotated[int, Field(strict=True)],
    Annotated[float, Field(multiple_of=0.05, le=-3)], Annotated[float, Field(gt=0, lt=0.001)],
    Annotated[Decimal, Field(max_digits=3, decimal_places=2)], Annotated[Decimal, Field(gt=1000)],
]  # fmt: skip


@pytest.mark.parametrize("type_", ZOO, ids=str)
def test_what_is_generated_validates(type_: Any) -> None:
    adapter = TypeAdapter(type_)
    schema = adapter.json_schema()
    for seed in range(40):
        adapter.validate_json(json.dumps(generate(schema, seed)))


@given(seed=st.integers() | st.text(), items=st.none() | st.integers(0, 9))
def test_any_seed_validates_and_repeats(seed: int | str, items: int | None) -> None:
    schema = TypeAdapter(Everything).json_schema()
    made = generate(schema, seed, items=items)
    TypeAdapter(Everything).validate_json(json.dumps(made))
    assert made == generate(schema, seed, items=items)


def test_other_seeds_give_other_data() -> None:
    schema = TypeAdapter(Everything).json_schema()
    assert len({json.dumps(generate(schema, seed)) for seed in range(10)}) == 10


def test_recursion_ends() -> None:
    for seed in range(40):
        assert len(json.dumps(generate(TypeAdapter(Node).json_schema(), seed))) < 20_000


def test_optional_properties_and_nulls_come_and_go() -> None:
    made = [generate(TypeAdapter(Person).json_schema(), seed) for seed in range(40)]
    assert {"email" in person for person in made} == {True, False}
    odd = [generate(TypeAdapter(Even).json_schema(), seed)["odd"] for seed in range(40)]
    assert {each is None for each in odd} == {True, False}


def test_all_alternatives_of_a_union_come() -> None:
    made = [generate(TypeAdapter(int | str | None).json_schema(), seed) for seed in range(60)]
    assert {type(each) for each in made} == {int, str, type(None)}


@pytest.mark.parametrize(
    ("name", "looks_right"),
    [
        ("email", lambda text: "@" in text),
        ("city", str.istitle),
        ("homepage_url", lambda text: text.startswith("https://")),
        ("description", lambda text: text.count(".") >= 4),
        ("full_name", lambda text: " " in text),
    ],
)
def test_strings_fit_their_field(name: str, looks_right: Any) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    assert looks_right(generate(schema, 1)[name])


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (False, "allows nothing"),
        ({"$ref": "#/$defs/Missing"}, "does not hold"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "circle"),
    ],
)
def test_a_schema_that_cannot_be_met_says_so(schema: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        generate(schema)


def test_parts_of_all_of_are_joined() -> None:
    schema = {
        "allOf": [
            {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
            {"properties": {"b": {"type": ["integer", "null"]}}, "required": ["b"]},
        ]
    }
    made = generate(schema, 3)
    assert made["a"] == 1
    assert set(made) == {"a", "b"}


STRICT_ZOO = [
    each for each in ZOO if model_schema(each).strict is not None and each not in (Json[list[int]], Base64Bytes)
]


@pytest.mark.parametrize("type_", STRICT_ZOO, ids=str)
def test_what_is_generated_for_the_strict_schema_validates(type_: Any) -> None:
    adapter = TypeAdapter(type_)
    schema = model_schema(type_)
    assert schema.strict is not None
    for seed in range(40):
        made = generate(schema.strict, seed)
        adapter.validate_json(json.dumps(made if schema.wrap is None else made[schema.wrap]))


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ("A word. (minLength=30, maxLength=31)", lambda text: 30 <= len(text) <= 31),
        (r"(pattern=^(?=a)a,b{2}\)$, format=none)", lambda text: text == "a,bb)"),
        ("(format=uri)", lambda text: text.startswith("https://")),
        ("A word that is (minLength=30) not told at the end.", lambda text: len(text) < 30),
    ],
)
def test_bounds_told_in_a_description_are_kept(told: str, holds: Any) -> None:
    assert holds(generate({"type": "string", "description": told}, 1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no schema at all {not json} {}", None),
        ('an example: {"name": "Ada"}', None),
        ('{"a": 1} then {"type": "integer"}', {"type": "integer"}),
        ('{"name": "x", "schema": {"type": "array", "items": {}}}', {"type": "array", "items": {}}),
        (
            'by ```json\n{"$ref": "#/$defs/A", "$defs": {"A": {"const": 1}}}\n```',
            {"$ref": "#/$defs/A", "$defs": {"A": {"const": 1}}},
        ),
    ],
)
def test_a_schema_is_found_in_a_prompt(text: str, found: object) -> None:
    assert find_schema(text) == found


@given(type_=st.sampled_from([each for each in ZOO if each not in (Any, JsonValue)]))
def test_every_schema_is_found_where_a_prompt_carries_it(type_: Any) -> None:
    schema = TypeAdapter(type_).json_schema()
    assert find_schema(f"Answer as JSON by this {{schema}}:\n{json.dumps(schema, indent=2)}\nand no more.") == schema
