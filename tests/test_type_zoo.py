"""Every construct that the contract names: what is shown on the way, and that the end equals the one-shot parse."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, Union
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    JsonValue,
    OnErrorOmit,
    PlainValidator,
    RootModel,
    SecretStr,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    computed_field,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from structstream.errors import InvalidOutputError
from structstream.partial import PartialParser
from tests.chunking import every_cut
from tests.walk import same

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Pet(BaseModel):
    name: str
    legs: int = 4


class Aliased(BaseModel):
    one: str = Field(alias="uno")
    two: int = Field(validation_alias=AliasChoices("dos", "zwei"))
    three: int = Field(default=0, validation_alias=AliasPath("deep", 1))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    one: str = Field(alias="uno")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int


class Defaults(BaseModel):
    a: int = 7
    items: list[int] = Field(default_factory=lambda: [1])
    table: dict[str, int] = {}
    pet: Pet | None = None


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    name: str
    left: Tree | None = None
    children: list[Tree] = []


class Names(RootModel[list[str]]):
    pass


class Word(RootModel[str]):
    pass


class Computed(BaseModel):
    width: int
    height: int

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def area(self) -> int:
        return self.width * self.height


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    a: int
    when: date


class FieldChecks(BaseModel):
    before: int
    after: str
    wrapped: int
    plain: Annotated[int, PlainValidator(int)]

    @field_validator("before", mode="before")
    @classmethod
    def _first_word(cls, value: str) -> str:
        return value.partition(" ")[0]

    @field_validator("after", mode="after")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @field_validator("wrapped", mode="wrap")
    @classmethod
    def _at_least_zero(cls, value: object, inner: ValidatorFunctionWrapHandler) -> int:
        try:
            return int(inner(value))
        except ValidationError:
            return 0


class Siblings(BaseModel):
    low: int
    high: int

    @field_validator("high")
    @classmethod
    def _above(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data["low"]:
            raise ValueError("high is below low")
        return value


class ModelBefore(BaseModel):
    a: int

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, data: dict[str, Any]) -> dict[str, Any]:  # Any: raw data
        return {"a": data["b"]} if "b" in data else data


class ModelWrap(BaseModel):
    a: int

    @model_validator(mode="wrap")
    @classmethod
    def _default(cls, data: object, inner: Callable[[object], ModelWrap]) -> ModelWrap:
        try:
            return inner(data)
        except ValidationError:
            return cls(a=0)


class ModelAfter(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> ModelAfter:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@dataclasses.dataclass
class Point:
    x: int
    label: str = "here"
    scale: dataclasses.InitVar[int] = 1
    made: str = dataclasses.field(default="now", init=False)


class Movie(TypedDict, total=False):
    title: str
    cast: list[str]


class Pair(NamedTuple):
    left: int
    right: str


class Cat(BaseModel):
    kind: Literal["cat"]
    name: str


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str
    tricks: list[str] = []


Animal = Annotated[Union[Cat, Dog], Field(discriminator="kind")]  # noqa: UP007  # as users of 3.9 write it
Stripped = Annotated[str, StringConstraints(strip_whitespace=True)]
Upper = Annotated[str, StringConstraints(to_upper=True)]
Short = Annotated[str, Field(max_length=3)]
FromCSV = Annotated[list[int], BeforeValidator(lambda text: text.split(",") if isinstance(text, str) else text)]


@dataclasses.dataclass(frozen=True)
class Row:
    """A type, a text of it, and what is shown behind some of its beginnings."""

    name: str
    type: Any  # Any: all that a TypeAdapter takes
    text: str
    shown: Mapping[str, str]
    context: Any = None  # Any: Pydantic's own type for it


def _row(name: str, kind: Any, *pieces: str, context: Any = None) -> Row:  # Any: as above
    """A row from alternating pieces of text and what is shown behind each; the last piece shows nothing more."""
    text, shown = "", {}
    for piece, told in zip(pieces[::2], [*pieces[1::2], None], strict=False):
        text += piece
        if told is not None:
            shown[text] = told
    return Row(name, kind, text, shown, context)


def _needs_context(value: int, info: ValidationInfo) -> int:
    if value > dict(info.context or {})["most"]:
        raise ValueError("too much")
    return value


class StrictKeys(BaseModel):
    model_config = ConfigDict(strict=True)
    days: dict[date, int]


class Vanishing(BaseModel):
    a: OnErrorOmit[int] = 3
    b: int


_P = "Partial"
_DAY = "{datetime.date(2020, 1, 1): 1}"
ROWS = [
    _row(
        "alias",
        Aliased,
        '{"uno": "a',
        f"{_P}[Aliased](one='a')",
        '", "zwei": 2, "deep": [1, 3',
        f"{_P}[Aliased](one='a', two=2)",
        "]}",
    ),
    _row("populate_by_name, by name", ByName, '{"one": "a', f"{_P}[ByName](one='a')", '"}'),
    _row("populate_by_name, by alias", ByName, '{"uno": "a', f"{_P}[ByName](one='a')", '"}'),
    _row("extra allowed", Open, '{"b": [1', f"{_P}[Open](b=[])", '], "a": 2', f"{_P}[Open](b=[1])", "}"),
    _row("extra ignored", Pet, '{"x": [1', f"{_P}[Pet]()", '], "name": "F', f"{_P}[Pet](name='F')", '"}'),
    _row(
        "defaults",
        Defaults,
        "{",
        f"{_P}[Defaults]()",
        '"pet": ',
        f"{_P}[Defaults]()",
        "{",
        f"{_P}[Defaults](pet={_P}[Pet]())",
        '"name":"F"}}',
    ),
    _row("generic", Box[Pet], '{"content": {"name": "F', f"{_P}[Box[Pet]](content={_P}[Pet](name='F'))", '"}}'),
    _row("generic of a list", Box[list[int]], '{"content": [1, 2', f"{_P}[Box[list[int]]](content=[1])", "]}"),
    _row(
        "recursive by an optional field",
        Tree,
        '{"name": "a", "left": {"name": "b',
        f"{_P}[Tree](name='a', left={_P}[Tree](name='b'))",
        '"}}',
    ),
    _row(
        "recursive by a list",
        Tree,
        '{"name": "a", "children": [{"name": "b"}, {"na',
        f"{_P}[Tree](name='a', children=[Tree(name='b', left=None, children=[]), {_P}[Tree]()])",
        'me": ""}]}',
    ),
    _row("root model of a list", Names, '["a", "b', f"{_P}[Names](root=['a', 'b'])", '"]'),
    _row(
        "root model of a string, in a list",
        list[Word],
        '["a',
        f"[{_P}[Word](root='a')]",
        'b"',
        "[Word(root='ab')]",
        "]",
    ),
    _row(
        "computed field",
        list[Computed],
        '[{"width": 2, "height": 3',
        f"[{_P}[Computed](width=2)]",
        "}",
        "[Computed(width=2, height=3, area=6)]",
        "]",
    ),
    _row("Any", Any, '{"a": [1, {"b": "x', "{'a': [1, {}]}", '"}]}'),
    _row("JsonValue", dict[str, JsonValue], '{"a": [1, null, "x', "{'a': [1, None]}", '"]}'),
    _row(
        "tuple of three",
        tuple[int, str, Pet],
        '[1, "a',
        "[1, 'a']",
        '", {"name": "F',
        f"[1, 'a', {_P}[Pet](name='F')]",
        '"}]',
    ),
    _row("tuple of any length", dict[str, tuple[int, ...]], '{"a": [1, 2', "{'a': [1]}", "]", "{'a': (1, 2)}", "}"),
    _row("set", list[set[int]], "[[1, 1", "[]", "]", "[{1}]", "]"),
    _row("frozenset", list[frozenset[int]], "[[1", "[]", "]", "[frozenset({1})]", "]"),
    _row("deque", list[deque[int]], "[[1", "[]", "]", "[deque([1])]", "]"),
    _row("constrained string", list[Short], '["ab', "['ab']", '"', "['ab']", "]"),
    _row("constrained number", list[Annotated[int, Field(ge=3)]], "[1", "[]", "2", "[]", ",", "[12]", "3]"),
    _row(
        "strict",
        Strict,
        '{"a": 1, "when": "2024-01-0',
        f"{_P}[Strict](a=1)",
        '2"',
        f"{_P}[Strict](a=1, when=datetime.date(2024, 1, 2))",
        "}",
    ),
    _row("context", list[Annotated[int, AfterValidator(_needs_context)]], "[1, 2", "None", "]", context={"most": 2}),
    _row(
        "field validators",
        FieldChecks,
        '{"before": "1 x", "after": "ab',
        f"{_P}[FieldChecks](before=1)",
        '", "wrapped": "?',
        f"{_P}[FieldChecks](before=1, after='AB')",
        '", "plain": "5"}',
    ),
    _row(
        "info.data, siblings first",
        Siblings,
        '{"low": 1, "high": 2',
        f"{_P}[Siblings](low=1)",
        " ",
        f"{_P}[Siblings](low=1, high=2)",
        "}",
    ),
    _row(
        "info.data, siblings last",
        Siblings,
        '{"high": 2, ',
        f"{_P}[Siblings]()",
        '"low": 1 ',
        f"{_P}[Siblings](low=1)",
        "}",
    ),
    _row("model validator before", list[ModelBefore], '[{"b": 1', "[]", "}", "[ModelBefore(a=1)]", "]"),
    _row("model validator wrap", list[ModelWrap], '[{"a": "x"', "[]", "}", "[ModelWrap(a=0)]", "]"),
    _row(
        "model validator after",
        list[ModelAfter],
        '[{"low": 1, ',
        f"[{_P}[ModelAfter](low=1)]",
        '"high": 2}',
        "[ModelAfter(low=1, high=2)]",
        "]",
    ),
    _row(
        "dataclass",
        list[Point],
        '[{"x": 1, "scale": 2, "label": "a',
        f"[{_P}[Point](x=1, label='a')]",
        '"}',
        "[Point(x=1, label='a', made='now')]",
        "]",
    ),
    _row("TypedDict", Movie, '{"title": "a", "cast": ["b', "{'title': 'a', 'cast': ['b']}", '"]}'),
    _row("NamedTuple", list[Pair], '[[1, "a', "[]", '"]', "[Pair(left=1, right='a')]", "]"),
    _row("union by kind: number or string", list[int | str], '[1, "a', "[1, 'a']", '"]'),
    _row("union by kind: model or null", list[Pet | None], '[null, {"name": "F', f"[None, {_P}[Pet](name='F')]", '"}]'),
    _row(
        "union by kind: model, list or string",
        list[Pet | list[int] | str],
        '["a", [1, 2',
        "['a', [1]]",
        '], {"name": "F',
        f"['a', [1, 2], {_P}[Pet](name='F')]",
        '"}]',
    ),
    _row(
        "union that cannot be told apart",
        list[Cat | Dog],
        '[{"kind": "dog"',
        "[]",
        ', "name": "x"}',
        "[Dog(kind='dog', name='x', tricks=[])]",
        "]",
    ),
    _row(
        "tag first",
        list[Animal],
        '[{"kind": "do',
        "[]",
        'g"',
        f"[{_P}[Dog](kind='dog')]",
        ', "tricks": ["a',
        f"[{_P}[Dog](kind='dog', tricks=['a'])]",
        '"], "name": ""}]',
    ),
    _row(
        "tag last",
        list[Animal],
        '[{"tricks": ["a"], "name": "x", ',
        "[]",
        '"kind": "dog"',
        f"[{_P}[Dog](tricks=['a'], name='x', kind='dog')]",
        "}]",
    ),
    _row(
        "nested optional",
        Box[Box[int] | None] | None,
        '{"content": ',
        f"{_P}[Box[Union[Box[int], NoneType]]]()",
        "{",
        f"{_P}[Box[Union[Box[int], NoneType]]](content={_P}[Box[int]]())",
        '"content": 1}}',
    ),
    _row("enum", list[Color], '["re', "[]", 'd"', "[<Color.RED: 'red'>]", "]"),
    _row("literal", list[Literal["on", "off"]], '["o', "[]", 'n"', "['on']", "]"),
    _row(
        "dates and UUID",
        dict[str, date | UUID | datetime],
        '{"a": "2024-01-0',
        "{}",
        '2"',
        "{'a': datetime.date(2024, 1, 2)}",
        "}",
    ),
    _row("Decimal", list[Decimal], "[22.2", "[]", "5 ", "[Decimal('22.25')]", "]"),
    _row("bytes", list[bytes], '["a', "[]", '"', "[b'a']", "]"),
    _row("SecretStr", list[SecretStr], '["a', "[]", '"', "[SecretStr('**********')]", "]"),
    _row("Url", list[HttpUrl], '["http://a.ex', "[]", 'ample"', "[HttpUrl('http://a.example/')]", "]"),
    _row("Json", list[Json[list[int]]], '["[1, 2', "[]", ']"', "[[1, 2]]", "]"),
    _row("strip_whitespace", list[Stripped], '["  a ', "['a']", ' b  "', "['a  b']", "]"),
    _row("to_upper", list[Upper], '["ab', "[]", '"', "['AB']", "]"),
    _row("before validator of a list", list[FromCSV], '["1,2"', "[[1, 2]]", ", [3", "[[1, 2]]", "]]"),
    _row("keys that are numbers", dict[int, str], '{"1": "a', "{1: 'a'}", '"}'),
    _row("keys that are enums", dict[Color, int], '{"red": 1,', "{<Color.RED: 'red'>: 1}", '"blue": 2}'),
    _row("keys that are strict numbers", dict[StrictInt, str], '{"1": "a', "{1: 'a'}", '"}'),
    _row(
        "keys of a strict model",
        StrictKeys,
        '{"days": {"2020-01-01": 1,',
        f"{_P}[StrictKeys](days={_DAY})",
        '"2020-01-02": 2}}',
    ),
    _row("items that vanish", list[OnErrorOmit[int]], '[1, "x", 2', "None", "]"),
    _row("values that vanish", dict[str, OnErrorOmit[int]], '{"a": "x", "b": 1,', "{'b': 1}", '"c": 2}'),
    _row("keys that vanish", dict[OnErrorOmit[int], int], '{"a": 1, "2": 3,', "{2: 3}", '"b": 2}'),
    _row("a field that vanishes", Vanishing, '{"a": "x", "b": 1,', f"{_P}[Vanishing](b=1)", '"c": 2}'),
    _row("scalar at the root", int, "12", "None", "3"),
    _row("string at the root", str, '"ab', "'ab'", 'c"'),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_shown(row: Row) -> None:
    for start, shown in row.shown.items():
        for pieces in ([start], list(start)):
            parser: PartialParser[Any] = PartialParser(row.type, context=row.context)  # Any: as above
            snapshots = [parser.step(piece).snapshot for piece in pieces]
            assert repr(snapshots[-1]) == shown


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_end_equals_the_one_shot_parse_at_every_cut(row: Row) -> None:
    expected = TypeAdapter(row.type).validate_json(row.text, context=row.context)
    for pieces in every_cut(row.text):
        parser: PartialParser[Any] = PartialParser(row.type, context=row.context)  # Any: as above
        for piece in pieces:
            parser.step(piece)
        assert same(parser.finish(), expected)


# --- what can never be valid fails at once ---

FAILURES: list[tuple[str, Any, str, str, str]] = [  # Any: types
    ("a forbidden key", list[Closed], '[{"a": 1, "b"', ": 1}]", "[0].b"),
    ("a number out of bounds", Box[Annotated[int, Field(le=3)]], '{"content": 4 ', "}", "content"),
    ("a string where a number is due", Pet, '{"legs": "x"', ', "name": ""}', "legs"),
    ("a tag that no choice has", list[Animal], '[{"kind": "cow"', "}]", "[0]"),
    ("a missing field", list[Pet], '[{"legs": 1}', "]", "[0].name"),
    ("a key that is no number", dict[int, str], '{"x"', ': ""}', "x"),
    ("a value that a validator refuses", list[ModelAfter], '[{"low": 2, "high": 1}', "]", "[0]"),
    ("a sibling that is too low", Siblings, '{"low": 2, "high": 1 ', "}", "high"),
    ("a value of the strict type", Strict, '{"a": "1"', "}", "a"),
    ("one item too many", list[tuple[int]], "[[1, 2]", "]", "[0]"),
    ("a string that is too long", list[Short], '["abcd"', "]", "[0]"),
]


@pytest.mark.parametrize(
    ("name", "kind", "start", "rest", "path"), FAILURES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_can_never_be_valid_fails_where_it_closes(name: str, kind: Any, start: str, rest: str, path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_json(start + rest)
    for pieces in ([start], list(start), [start + rest]):
        parser: PartialParser[Any] = PartialParser(kind)  # Any: as above
        for piece in pieces[:-1]:
            parser.step(piece)
        with pytest.raises(InvalidOutputError) as caught:
            parser.step(pieces[-1])
        assert caught.value.path == path, name


@pytest.mark.parametrize(
    ("name", "kind", "start", "rest", "path"), FAILURES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_without_fail_fast_the_end_decides(name: str, kind: Any, start: str, rest: str, path: str) -> None:
    parser: PartialParser[Any] = PartialParser(kind, fail_fast=False)  # Any: as above
    for char in start + rest:
        parser.step(char)
    with pytest.raises(InvalidOutputError):
        parser.finish()


def test_a_snapshot_is_no_instance_of_the_model() -> None:
    parser = PartialParser(Pet)
    snapshot = parser.step(json.dumps({"name": "F", "legs": 3})).snapshot
    assert not isinstance(snapshot, Pet)
    assert isinstance(parser.finish(), Pet)
