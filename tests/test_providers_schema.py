from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

import openai
import pytest
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, WithJsonSchema, create_model
from typing_extensions import TypedDict

from structstream.continuation import Continuation
from structstream.errors import ConfigurationError
from structstream.providers.schema import WRAP_KEY, model_schema, schema_of, wrap_key
from structstream.request import StreamingStructuredRequest

Schema = dict[str, Any]  # Any: JSON
T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Flat(BaseModel):
    """Plain fields."""

    name: str
    age: int = Field(ge=0, le=150, description="years")
    ratio: float
    ok: bool


class Optionals(BaseModel):
    a: Optional[str] = None  # noqa: UP045  # both spellings
    b: int | None = Field(None, description="maybe")
    c: Flat | None = None


class Nested(BaseModel):
    flat: Flat
    flats: list[Flat]
    color: Color
    level: Level


class Described(BaseModel):
    """A reference with words beside it."""

    flat: Flat = Field(description="the flat one")
    color: Color = Field(description="the color", title="Hue")


class Node(BaseModel):
    value: int
    children: list[Node] = []
    parent: Node | None = Field(None, description="up")


class Left(BaseModel):
    right: Right | None


class Right(BaseModel):
    left: Left


class Box(BaseModel, Generic[T]):
    content: T
    more: list[T]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Untagged(BaseModel):
    pet: Cat | Dog
    count: int | str


class Tagged(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Literals(BaseModel):
    one: Literal["a"]
    many: Literal["a", "b", 3]


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    first_name: str = Field(alias="firstName")


class Times(BaseModel):
    at: dt.datetime
    on: dt.date
    took: dt.timedelta
    id: uuid.UUID


class Constrained(BaseModel):
    tags: list[str] = Field(min_length=1, max_length=3)
    share: float = Field(gt=0, multiple_of=0.5)
    code: str = Field(pattern=r"^[A-Z]{3}$")


class Defaults(BaseModel):
    name: str = "x"
    tags: list[str] = Field(default_factory=list)
    color: Color = Color.RED


class Lengths(BaseModel):
    code: str = Field(min_length=2, max_length=3, description="short")
    unique: set[int]


class Formats(BaseModel):
    where: Path
    host: ipaddress.IPv4Address
    price: decimal.Decimal


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Empty(BaseModel):
    pass


class Root(RootModel[Flat]):
    pass


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Movie(TypedDict):
    title: str
    flat: Flat


class Pair(NamedTuple):
    a: int
    b: str


MODELS: list[type[BaseModel]] = [
    *(Flat, Optionals, Nested, Described, Node, Left, Right, Box[int], Box[Flat], Untagged, Tagged, Literals, Aliased),
    *(Times, Constrained, Defaults, Lengths, Formats, Forbidding, Empty, Root),
]

# What the API refuses although openai's own function leaves it in: "'default' is not permitted", and so on.
REFUSED = {"default", "discriminator", "minLength", "maxLength", "uniqueItems"}
NOT_FORMATS = {"path"}


def as_the_api_takes_it(schema: Any) -> Any:  # Any: JSON
    """Take out of openai's schema what the API refuses; what is told in words instead is compared on its own."""
    if isinstance(schema, list):
        return [as_the_api_takes_it(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {("anyOf" if key == "oneOf" else key): value for key, value in schema.items() if key not in REFUSED}
    if schema.get("format") in NOT_FORMATS:
        del schema["format"]
    if isinstance(schema.get("pattern"), str) and "(?" in schema["pattern"]:
        del schema["pattern"]
    return {key: as_the_api_takes_it(value) for key, value in schema.items()}


def without_told(schema: Any) -> Any:  # Any: JSON
    if isinstance(schema, list):
        return [without_told(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    words = schema.get("description")
    if isinstance(words, str) and words.endswith(")") and "=" in words:
        before = words[: words.rindex("(")].rstrip()
        schema = {**schema, "description": before}
        if not before:
            del schema["description"]
    return {key: without_told(value) for key, value in schema.items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_strict_is_what_openai_makes_of_the_same_model_less_what_its_api_refuses(model: type[BaseModel]) -> None:
    found = model_schema(model)
    assert found.reason == ""
    assert found.wrap is None
    assert without_told(found.strict) == as_the_api_takes_it(to_strict_json_schema(model))


EXACT = [
    Flat,
    Optionals,
    Nested,
    Described,
    Left,
    Right,
    Box[int],
    Box[Flat],
    Untagged,
    Literals,
    Aliased,
    Times,
    Constrained,
]


@pytest.mark.parametrize("model", EXACT, ids=lambda model: model.__name__)
def test_strict_is_exactly_what_openai_sends(model: type[BaseModel]) -> None:
    tool = openai.pydantic_function_tool(model)
    assert model_schema(model).strict == tool["function"]["parameters"]
    assert tool["function"]["strict"] is True


def each(schema: Any) -> list[Schema]:  # Any: JSON
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return [*([schema] if isinstance(schema, dict) else []), *(one for value in inner for one in each(value))]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_strict_holds_to_the_subset(model: type[BaseModel]) -> None:
    strict = model_schema(model).strict
    assert strict is not None
    assert strict["type"] == "object"
    for schema in each(strict):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema.get("required", []) == list(schema.get("properties", {}))
        if "$ref" in schema:
            assert list(schema) == ["$ref"]
        if isinstance(schema.get("type"), str):
            assert not {"oneOf", "allOf", *REFUSED} & set(schema)


def test_a_discriminated_union_becomes_a_plain_one() -> None:
    strict = model_schema(Tagged).strict
    assert strict is not None
    pet = strict["properties"]["pet"]
    assert pet == {"title": "Pet", "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}


def test_what_the_subset_does_not_know_is_told_to_the_model() -> None:
    strict = model_schema(Lengths).strict
    assert strict is not None
    assert strict["properties"]["code"]["description"] == "short (minLength=2, maxLength=3)"
    assert strict["properties"]["unique"]["description"] == "(uniqueItems=True)"
    formats = model_schema(Formats).strict
    assert formats is not None
    assert formats["properties"]["where"]["description"] == "(format=path)"
    assert formats["properties"]["host"]["format"] == "ipv4"


def test_a_type_that_is_its_own_required_member_does_not_go_round_for_ever() -> None:
    class Loop(BaseModel):
        again: Loop = Field(description="itself")

    strict = model_schema(Loop).strict
    assert strict is not None
    assert {"$ref": "#/$defs/Loop"} in each(strict)


@pytest.mark.parametrize(
    ("response_model", "wrapped"),
    [
        (Flat, False),
        (Node, False),
        (Root, False),
        (Point, False),
        (Movie, False),
        (dict[str, int], False),
        (Cat | Dog, True),
        (Annotated[Cat | Dog, Field(discriminator="kind")], True),
        (list[Flat], True),
        (RootModel[list[int]], True),
        (int, True),
        (str | None, True),
        (type(None), True),
        (Color, True),
        (Literal["a", "b"], True),
        (Pair, True),
        (Any, True),
    ],
)
def test_what_is_not_an_object_is_wrapped(response_model: object, wrapped: bool) -> None:
    found = model_schema(response_model)
    assert wrap_key(response_model) == found.wrap == (WRAP_KEY if wrapped else None)
    if wrapped:
        adapter: TypeAdapter[Any] = TypeAdapter(response_model)  # type: ignore[arg-type]  # the type is a parameter
        own = adapter.json_schema()
        own.pop("$defs", None)
        assert found.plain["properties"] == {WRAP_KEY: own}
        assert found.plain["required"] == [WRAP_KEY]
        assert (found.strict is None) == bool(found.reason)


@pytest.mark.parametrize(
    ("response_model", "reason"),
    [
        (dict[str, int], "a mapping with free keys"),
        (dict, "a mapping with free keys"),
        (Any, "a value of any type at result"),
        (list, "a value of any type at result.[]"),
        (tuple[int, str], "a tuple, whose items differ by position at result"),
        (Pair, "a tuple, whose items differ by position at result"),
        (Allowing, "a mapping with free keys"),
        (create_model("Deep", inner=(dict[str, Flat], ...)), "a mapping with free keys at inner"),
        (create_model("Listed", inner=(list[Allowing], ...)), "a mapping with free keys at Allowing"),
        (create_model("Wide", **{f"f{n}": (int, ...) for n in range(5001)}), "5001 properties, more than 5000"),  # type: ignore[call-overload]  # fields by name
        (Literal[tuple(f"v{n}" for n in range(1001))], "1001 enum values, more than 1000"),
    ],
)
def test_what_strict_cannot_say_is_named(response_model: object, reason: str) -> None:
    found = model_schema(response_model)
    assert found.strict is None
    assert found.reason == reason


def test_depth_is_counted_through_references() -> None:
    def nested(depth: int) -> type[BaseModel]:
        model: type[BaseModel] = Flat
        for level in range(depth - 1):
            model = create_model(f"Level{level}", inner=(model, ...))
        return model

    assert model_schema(nested(10)).reason == ""
    assert model_schema(nested(11)).reason == "11 levels of nesting, more than 10"
    assert model_schema(Node).reason == ""


@pytest.mark.parametrize(
    ("response_model", "name"),
    [
        (Flat, "Flat"),
        (Box[int], "Box_int"),
        (list[int], "list"),
        (int | str, "answer"),
        (type("Ä" * 3, (Flat,), {}), "answer"),
    ],
)
def test_names_are_made_of_what_the_api_takes(response_model: object, name: str) -> None:
    assert model_schema(response_model).name == name


def test_a_long_name_is_cut() -> None:
    assert model_schema(create_model("N" * 100, a=(int, ...))).name == "N" * 64


def test_schemas_are_built_once_a_type() -> None:
    assert model_schema(Node) is model_schema(Node)
    unhashable = Annotated[int, Field(json_schema_extra={"a": []}), []]
    assert model_schema(unhashable).wrap == WRAP_KEY


class Unfinished(BaseModel):
    a: Missing  # type: ignore[name-defined]  # noqa: F821  # that is the case


class Endless(BaseModel):
    default: float = float("inf")
    examples: list[float] = [float("-inf"), float("nan")]
    low: float = 0.5


def test_a_default_that_json_cannot_say_is_left_out() -> None:
    plain = model_schema(Endless).plain
    json.dumps(plain, allow_nan=False)
    assert list(plain["properties"]) == ["default", "examples", "low"]
    assert plain["properties"]["low"]["default"] == 0.5


def test_a_reference_into_nothing_is_refused() -> None:
    class Broken(BaseModel):
        a: Annotated[int, WithJsonSchema({"$ref": "#/$defs/Nowhere"})]

    with pytest.raises(ConfigurationError, match=r"Broken.*refers to '#/\$defs/Nowhere', where nothing is defined"):
        model_schema(Broken)


@pytest.mark.parametrize("response_model", [Callable[[], int], object(), Unfinished])
def test_what_has_no_schema_is_refused_with_its_name(response_model: object) -> None:
    with pytest.raises(ConfigurationError, match="has no JSON schema"):
        model_schema(response_model)


# Other strict forms


@pytest.mark.parametrize(
    "model", [model for model in MODELS if model not in (Node, Left, Right)], ids=lambda m: m.__name__
)
def test_anthropics_form_leaves_nothing_for_its_own_sdk_to_take_out(model: type[BaseModel]) -> None:
    anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed")
    strict = model_schema(model, "anthropic").strict
    assert strict is not None
    assert without_types(anthropic.transform_schema(strict)) == without_types(strict)
    assert all(
        schema.get("required", []) == list(schema.get("properties", {}))
        for schema in each(strict)
        if schema.get("type") == "object"
    )


def without_types(schema: Any) -> Any:  # Any: JSON
    """The SDK writes no type beside an enumeration, and an empty mapping of properties where there are none."""
    if isinstance(schema, list):
        return [without_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: without_types(value) for key, value in schema.items() if key != "type" and value != {}}
    return {key: value for key, value in kept.items() if (key, value) != ("required", [])}


def test_anthropics_form_tells_bounds_in_words() -> None:
    strict = model_schema(Constrained, "anthropic").strict
    assert strict is not None
    shown = {name: value.get("description") for name, value in strict["properties"].items()}
    assert shown == {
        "tags": "(maxItems=3)",
        "share": "(exclusiveMinimum=0, multipleOf=0.5)",
        "code": "(pattern=^[A-Z]{3}$)",
    }
    assert strict["properties"]["tags"]["minItems"] == 1
    more = model_schema(create_model("More", tags=(Annotated[list[int], Field(min_length=2)], ...)), "anthropic").strict
    assert more is not None
    assert more["properties"]["tags"]["description"] == "(minItems=2)"


class Outer(BaseModel):
    left: Left


@pytest.mark.parametrize(
    ("response_model", "reason"),
    [
        (Node, "a type that stands within itself, Node"),
        (Outer, "a type that stands within itself, Left"),
        (create_model("Many", **{f"f{n}": (int | None, ...) for n in range(17)}), "17 unions, more than 16"),  # type: ignore[call-overload]  # fields by name
        (dict[str, int], "a mapping with free keys"),
    ],
)
def test_what_anthropics_form_cannot_say_is_named(response_model: object, reason: str) -> None:
    found = model_schema(response_model, "anthropic")
    assert (found.strict, found.reason) == (None, reason)
    assert model_schema(response_model).reason in ("", reason)


# What Gemini takes (GenerationConfig.responseJsonSchema)


class Leaf(BaseModel):
    leaves: list[Leaf] = []
    size: float = Field(gt=0, le=9, multiple_of=0.5)


class Rooted(BaseModel):
    roots: list[Rooted]


class Loose(BaseModel):
    kind: Literal["loose"]
    pair: tuple[int, str]
    counts: dict[str, int]
    code: str = Field("a", pattern="[a-z]+", max_length=3, description="short")
    link: Path


def test_google_takes_tuples_mappings_and_properties_that_may_be_missing() -> None:
    schema = model_schema(Loose, "google").strict
    assert schema is not None
    properties = schema["properties"]
    assert schema["required"] == ["kind", "pair", "counts", "link"]
    assert "additionalProperties" not in schema
    assert (properties["kind"]["enum"], "const" in properties["kind"]) == (["loose"], False)
    assert [item["type"] for item in properties["pair"]["prefixItems"]] == ["integer", "string"]
    assert properties["counts"]["additionalProperties"] == {"type": "integer"}
    assert properties["code"]["description"] == "short (maxLength=3, pattern=[a-z]+)"
    assert properties["link"]["format"] == "path"


def test_google_takes_a_type_within_itself_where_it_may_be_missing() -> None:
    leaf = model_schema(Leaf, "google").strict
    assert leaf is not None
    assert leaf["properties"]["leaves"]["items"] == {"$ref": "#/$defs/Leaf"}
    assert leaf["properties"]["size"]["description"] == "(exclusiveMinimum=0, multipleOf=0.5)"
    assert leaf["properties"]["size"]["maximum"] == 9
    rooted = model_schema(Rooted, "google")
    assert (rooted.strict, rooted.reason) == (None, "a type that stands within itself, Rooted")
    assert model_schema(dict[str, Rooted], "google").strict is None
    assert "any type" in model_schema(list[Any], "google").reason


def test_what_is_asked_for_is_the_rest_where_a_request_goes_on() -> None:
    rest = {"type": "object", "properties": {"rest_1": {"type": "string"}}, "required": ["rest_1"]}
    request = StreamingStructuredRequest(response_model=list[int], model="openai/gpt-4o", prompt="Who?")
    assert schema_of(request) == model_schema(list[int])
    again = replace(request, continuation=Continuation(prefix=""))
    assert schema_of(again) == model_schema(list[int])
    schema = schema_of(replace(request, continuation=Continuation(prefix="[1", schema=rest)))
    assert (schema.name, schema.plain, schema.wrap) == ("list_rest", rest, None)
    assert schema.strict == {**rest, "additionalProperties": False}


@pytest.mark.parametrize(("length", "name"), [(10, "x" * 10 + "_rest"), (64, "x" * 59 + "_rest")])
def test_the_name_of_a_rest_is_one_that_providers_take(length: int, name: str) -> None:
    model = create_model("x" * length)
    request = StreamingStructuredRequest(
        response_model=model,
        model="openai/gpt-4o",
        prompt="Who?",
        continuation=Continuation(prefix="[1", schema={"type": "object", "properties": {}}),
    )
    assert schema_of(request).name == name
