"""Hypothesis strategies for response models and JSON documents of them, valid and not, written in many ways."""

from __future__ import annotations

import dataclasses
import enum
import json
import operator
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union
from uuid import UUID

from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    JsonValue,
    RootModel,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    computed_field,
    create_model,
    model_validator,
)
from typing_extensions import TypedDict

__all__ = [
    "Branch",
    "Case",
    "Cat",
    "Checked",
    "Dog",
    "Members",
    "Movie",
    "Point",
    "Raw",
    "Tree",
    "cases",
    "cuts",
    "write",
]


@dataclasses.dataclass(frozen=True)
class Raw:
    """A number or a literal, as it is written."""

    text: str


class Members(list[tuple[str, "Tree"]]):
    """The members of an object, in order; a key may come twice."""


Tree = Any  # Raw | str | list[Tree] | Members: recursive types that a list and a subclass of list share do not narrow
"""A JSON document before it is written."""

Trees = st.SearchStrategy[Tree]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A type and the JSON values of it."""

    type: Any  # Any: all that a TypeAdapter takes
    trees: Trees


@dataclasses.dataclass(frozen=True)
class Case:
    """A type, a text that is meant to be of it, and whether a key comes twice in some object."""

    type: Any  # Any: as above
    text: str
    repeats: bool = False

    @property
    def has_alternatives(self) -> bool:
        """Whether some field may be given by several names."""
        told = describe(self.type)
        return "AliasChoices" in told or "populate_by_name" in told

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # Any: Hypothesis' printer; it is how a case is told
        printer.text(f"Case({describe(self.type)}, {self.text!r}, repeats={self.repeats})")


def describe(kind: Any) -> str:  # Any: as above
    """A type as a person would write it, down to the fields of its models."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = ", ".join(
            f"{name}: {describe(field.annotation)} {field!r}" for name, field in kind.model_fields.items()
        )
        return f"{kind.__name__}[{kind.model_config!r}]({fields})"
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"{kind.__name__}({', '.join(f'{field.name}: {field.type}' for field in dataclasses.fields(kind))})"
    return repr(kind)


# --- scalars ---


class Color(enum.Enum):
    """Strings by name."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """Numbers by name."""

    LOW = 1
    HIGH = 2


_TEXT = st.text(st.sampled_from('ab Z9\t\n"\\/é€😀\u2028\x00{}[],:'), max_size=8)
_WORD = st.text(st.sampled_from("abc dé"), max_size=6)


def _raw(values: st.SearchStrategy[Any]) -> Trees:  # Any: numbers and literals
    return values.map(lambda value: Raw(json.dumps(value)))


_INTS: Trees = _raw(st.integers(-(10**20), 10**20) | st.integers(-20, 300))
_FLOATS: Trees = _raw(st.floats(allow_nan=False, allow_infinity=False)) | st.sampled_from(
    [Raw("0.0"), Raw("-0"), Raw("1E3"), Raw("2.50e-2"), Raw("1e400"), Raw("7")]
)
_BOOLS: Trees = st.sampled_from([Raw("true"), Raw("false")])
_NULL: Trees = st.just(Raw("null"))
_ISO_DATES: Trees = st.dates().map(str)

_SCALARS: list[Kind] = [
    Kind(str, _TEXT),
    Kind(str, _TEXT),  # twice: what models mostly write
    Kind(int, _INTS),
    Kind(float, _FLOATS),
    Kind(bool, _BOOLS),
    Kind(None, _NULL),
    Kind(Literal["a", "bc", 1] | None, st.sampled_from(["a", "bc", Raw("1"), Raw("null")])),
    Kind(Color, st.sampled_from(["red", "blue"])),
    Kind(Level, st.sampled_from([Raw("1"), Raw("2")])),
    Kind(date, _ISO_DATES),
    Kind(datetime, st.datetimes().map(datetime.isoformat)),
    Kind(timedelta, st.sampled_from(["P1DT2H", Raw("90")])),
    Kind(UUID, st.uuids().map(str)),
    Kind(Decimal, st.sampled_from([Raw("22.25"), "1.10", Raw("-3"), Raw("1e2")])),
    Kind(bytes, _WORD),
    Kind(SecretStr, _WORD),
    Kind(HttpUrl, st.sampled_from(["https://a.example/x?y=1", "http://b.example"])),
    Kind(Annotated[int, Field(ge=0, le=300)], _raw(st.integers(-1, 301))),
    Kind(Annotated[str, Field(min_length=1, max_length=4, pattern="^[a-d é]*$")], _WORD),
    Kind(Annotated[str, StringConstraints(strip_whitespace=True)], _TEXT),
    Kind(Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)], _WORD),
    Kind(Annotated[str, StringConstraints(to_upper=True)], _TEXT),
    Kind(Annotated[int, Field(strict=True)], _INTS),
]


@st.composite
def _anything(draw: st.DrawFn, depth: int = 2) -> Tree:
    choice = draw(st.integers(0, 6 if depth else 4))
    if choice == 5:
        return draw(st.lists(_anything(depth - 1), max_size=3))
    if choice == 6:
        return Members(draw(st.lists(st.tuples(_TEXT, _anything(depth - 1)), max_size=3)))
    return draw([_TEXT, _INTS, _FLOATS, _BOOLS, _NULL][choice])


_ANYTHING: Trees = _anything()


# --- types that stand in a module, because they refer to themselves or are no models ---


class Branch(BaseModel):
    """A tree."""

    name: str
    size: int = 0
    children: list[Branch] = []
    parent: Branch | None = None


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    label: str = "here"
    more: list[str] = dataclasses.field(default_factory=list)


class Movie(TypedDict, total=False):
    """A TypedDict."""

    title: str
    year: int
    cast: list[str]


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


class Cat(BaseModel):
    """One choice of the discriminated union."""

    kind: Literal["cat"]
    name: str
    lives: int = 9


class Dog(BaseModel):
    """Another one."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["dog", "wolf"]
    tricks: list[str] = []
    friend: Cat | None = None


class Checked(BaseModel):
    """A model that checks itself, and its fields against one another."""

    low: int
    high: int
    note: str = ""

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def span(self) -> int:
        """How far apart they are."""
        return self.high - self.low

    @model_validator(mode="after")
    def _in_order(self) -> Checked:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Loose(BaseModel):
    """A model whose raw data may be of another form."""

    value: int
    text: str = ""

    @model_validator(mode="before")
    @classmethod
    def _take_a_number(cls, data: Any) -> Any:  # Any: as Pydantic hands it over
        return {"value": data} if isinstance(data, int) else data


def _some(members: list[tuple[str, Trees, bool]]) -> Trees:
    """Objects of these members: name, values, whether it may be left out."""

    @st.composite
    def objects(draw: st.DrawFn) -> Tree:
        return Members((name, draw(trees)) for name, trees, optional in members if not optional or draw(st.booleans()))

    return objects()


def _branches(depth: int) -> Trees:
    members: list[tuple[str, Trees, bool]] = [("name", _TEXT, False), ("size", _INTS, True)]
    if depth:
        members.append(("children", st.lists(_branches(depth - 1), max_size=2), True))
        members.append(("parent", _branches(0) | _NULL, True))
    return _some(members)


_WORDS: Trees = st.lists(_WORD, max_size=3)
_CATS: Trees = _some([("kind", st.just("cat"), False), ("name", _TEXT, False), ("lives", _INTS, True)])
_DOGS: Trees = _some(
    [("kind", st.sampled_from(["dog", "wolf"]), False), ("tricks", _WORDS, True), ("friend", _CATS, True)]
)
_TAGGED = Annotated[Cat | Dog, Field(discriminator="kind")]
_LOW_AND_HIGH: list[tuple[str, Trees, bool]] = [
    ("low", _raw(st.integers(0, 3)), False),
    ("high", _raw(st.integers(2, 5)), False),
    ("note", _WORD, True),
]

_STANDING: list[Kind] = [
    Kind(Branch, _branches(2)),
    Kind(Point, _some([("x", _INTS, False), ("label", _TEXT, True), ("more", _WORDS, True)])),
    Kind(Movie, _some([("title", _TEXT, True), ("year", _INTS, True), ("cast", _WORDS, True)])),
    Kind(Pair, st.tuples(_INTS, _TEXT).map(list)),
    Kind(_TAGGED, _CATS | _DOGS),
    Kind(_TAGGED, _CATS | _DOGS),
    Kind(Cat | Dog, _CATS | _DOGS),
    Kind(Checked, _some(_LOW_AND_HIGH)),
    Kind(Loose, _some([("value", _INTS, False), ("text", _TEXT, True)]) | _INTS),
    Kind(Any, _ANYTHING),
    Kind(JsonValue, _ANYTHING),
    Kind(dict[str, Any], st.lists(st.tuples(_TEXT, _ANYTHING), max_size=3).map(Members)),
]


# --- validators that change nothing ---


def _same(value: Any) -> Any:  # Any: a value of any type, here and below
    return value


def _same_in_a_field(value: Any, info: ValidationInfo) -> Any:
    if info.field_name is None:
        raise ValueError("judged outside of its field")
    return value


def _same_after_the_inner(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
    return inner(value)


def _none_if_invalid(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
    try:
        return inner(value)
    except ValidationError:
        return None


_VALIDATORS: list[Any] = [
    AfterValidator(_same),
    AfterValidator(_same_in_a_field),
    BeforeValidator(_same),
    BeforeValidator(_same_in_a_field),
    WrapValidator(_same_after_the_inner),
    WrapValidator(_none_if_invalid),
]


# --- containers ---

_NAMES = ["alpha", "beta", "gamma", "delta"]


@dataclasses.dataclass(frozen=True)
class Lookup:
    """A way in which a field is given: what its definition says, and how its key is written."""

    arguments: Mapping[str, Any]  # Any: Field's arguments
    place: Callable[[str, Tree], tuple[str, Tree]]


def _plain(name: str, tree: Tree) -> tuple[str, Tree]:
    return name, tree


def _aliased(name: str, tree: Tree) -> tuple[str, Tree]:
    return f"{name}Alias", tree


def _within(name: str, tree: Tree) -> tuple[str, Tree]:
    return f"{name}Path", Members([("inner", [Raw("0"), tree])])


def _lookups(name: str) -> list[Lookup]:
    alias, path = f"{name}Alias", AliasPath(f"{name}Path", "inner", 1)
    choices = {"validation_alias": AliasChoices(path, alias, name)}
    return [
        *[Lookup({}, _plain)] * 4,
        Lookup({"alias": alias}, _aliased),
        Lookup({"validation_alias": alias}, _aliased),
        Lookup({"validation_alias": path}, _within),
        Lookup(choices, _plain),
        Lookup(choices, _aliased),
        Lookup(choices, _within),
    ]


_CONFIGS: list[ConfigDict] = [
    *[ConfigDict()] * 4,
    ConfigDict(extra="allow"),
    ConfigDict(extra="forbid"),
    ConfigDict(populate_by_name=True),
    ConfigDict(str_strip_whitespace=True),
    ConfigDict(strict=True),
    ConfigDict(frozen=True, extra="ignore"),
    ConfigDict(coerce_numbers_to_str=True),
]


# Any: Field's arguments
_DEFAULTS: list[dict[str, Any]] = [{}, {}, {"default": None}, {"default_factory": list}]


@st.composite
def _models(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Kind:
    definitions: dict[str, Any] = {}  # Any: create_model's own form
    members: list[tuple[Callable[[str, Tree], tuple[str, Tree]], str, Trees, bool]] = []
    for name in _NAMES[: draw(st.integers(1, 4))]:
        kind = draw(inner)
        lookup = draw(st.sampled_from(_lookups(name)))
        default = draw(st.sampled_from(_DEFAULTS))
        definitions[name] = (kind.type, Field(**default, **lookup.arguments))
        members.append((lookup.place, name, kind.trees, bool(default)))

    @st.composite
    def objects(draw_tree: st.DrawFn) -> Tree:
        return Members(
            place(name, draw_tree(trees))
            for place, name, trees, optional in members
            if not optional or draw_tree(st.booleans())
        )

    config = draw(st.sampled_from(_CONFIGS))
    return Kind(create_model("Made", __config__=config, **definitions), objects())


def _list_of(kind: Kind, most: int = 4) -> Trees:
    return st.lists(kind.trees, max_size=most)


def _mapping_of(keys: st.SearchStrategy[str], kind: Kind) -> Trees:
    return st.lists(st.tuples(keys, kind.trees), max_size=3, unique_by=operator.itemgetter(0)).map(Members)


@st.composite
def _containers(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Kind:
    one, two = draw(inner), draw(inner)
    scalar = draw(st.sampled_from(_SCALARS))
    makers: list[Callable[[], Kind]] = [
        lambda: Kind(list[one.type], _list_of(one)),  # type: ignore[name-defined]  # made at run time, as those below
        lambda: Kind(Optional[one.type], one.trees | _NULL),  # noqa: UP045  # the type is a value here
        lambda: Kind(Union[one.type, two.type], one.trees | two.trees),  # noqa: UP007  # as above
        lambda: Kind(dict[str, one.type], _mapping_of(_TEXT, one)),  # type: ignore[name-defined]
        lambda: Kind(dict[int, one.type], _mapping_of(st.integers(0, 30).map(str), one)),  # type: ignore[name-defined]
        lambda: Kind(tuple[one.type, two.type], st.tuples(one.trees, two.trees).map(list)),  # type: ignore[name-defined]
        lambda: Kind(tuple[one.type, ...], _list_of(one)),  # type: ignore[name-defined]
        lambda: Kind(set[scalar.type], _list_of(scalar)),  # type: ignore[name-defined]
        lambda: Kind(frozenset[scalar.type], _list_of(scalar)),  # type: ignore[name-defined]
        lambda: Kind(deque[one.type], _list_of(one)),  # type: ignore[name-defined]
        lambda: Kind(RootModel[one.type], one.trees),  # type: ignore[name-defined]
        lambda: Kind(Annotated[one.type, draw(st.sampled_from(_VALIDATORS))], one.trees),
        lambda: Kind(Annotated[list[one.type], Field(max_length=3)], _list_of(one)),  # type: ignore[name-defined]
    ]
    return draw(st.sampled_from(makers))()


def kinds(depth: int = 2) -> st.SearchStrategy[Kind]:
    """Types with their documents, at most `depth` made containers within one another."""
    level: st.SearchStrategy[Kind] = st.sampled_from(_SCALARS + _STANDING)
    for _ in range(depth):
        level = st.one_of(st.sampled_from(_SCALARS + _STANDING), _containers(level), _models(level), _models(level))
    return level


# --- what goes wrong in a document ---

_ODD: list[Tree] = [
    Raw("null"),
    Raw("1"),
    Raw("2.5"),
    Raw("true"),
    "x",
    "",
    "7",
    [],
    Members(),
    [Raw("1")],
    Members([("a", "b")]),
]


def _places(tree: Tree) -> Iterator[tuple[list[Any], int]]:  # Any: items or members
    """Each place of a tree, as the list that it stands in and its index there."""
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            yield tree, index
            yield from _places(item[1] if isinstance(tree, Members) else item)


def _objects(tree: Tree) -> Iterator[Members]:
    if isinstance(tree, Members):
        yield tree
    for within, index in _places(tree):
        value = within[index][1] if isinstance(within, Members) else within[index]
        if isinstance(value, Members):
            yield value


def _repeats(tree: Tree) -> bool:
    """Whether some object gives a field twice: by the same key, or by two of its names."""
    names = (
        [key.strip().removesuffix("Alias").removesuffix("Path") for key, _ in members] for members in _objects(tree)
    )
    return any(len(set(given)) < len(given) for given in names)


def _spoil(holder: list[Tree], rng: random.Random) -> None:
    """Change a document in one way."""
    objects = list(_objects(holder[0]))
    places = [*_places(holder)]
    way = rng.choice(["value", "value", "drop", "extra", "repeat", "order", "order"])
    if way == "value" or not objects:
        within, index = rng.choice(places)
        odd = _copy(rng.choice(_ODD))
        within[index] = (within[index][0], odd) if isinstance(within, Members) else odd
        return
    chosen = rng.choice(objects)
    if way == "extra":
        chosen.insert(rng.randint(0, len(chosen)), (rng.choice([*_NAMES, "other", "a b"]), _copy(rng.choice(_ODD))))
    elif chosen and way == "drop":
        del chosen[rng.randrange(len(chosen))]
    elif chosen and way == "order":
        rng.shuffle(chosen)
    elif chosen:
        key, value = rng.choice(chosen)
        chosen.insert(rng.randint(0, len(chosen)), (key, _copy(rng.choice([value, *_ODD]))))


def write(tree: Tree, rng: random.Random | None) -> str:
    """Write a tree as JSON: compact without `rng`, in its odd way with it."""
    odd = rng is not None and rng.random() < 0.3
    ascii_only = rng is not None and rng.random() < 0.5

    def space() -> str:
        return rng.choice(["", "", " ", "\n  ", "\t", "\r\n"]) if rng is not None and odd else ""

    def string(text: str) -> str:
        written = json.dumps(text, ensure_ascii=ascii_only)
        if rng is not None and odd:
            written = written.replace("/", rng.choice(["/", "\\/"])).replace("a", rng.choice(["a", "\\u0061"]))
        return written

    def one(value: Tree) -> str:
        if isinstance(value, Raw):
            return value.text
        if isinstance(value, str):
            return string(value)
        if isinstance(value, Members):
            members = [f"{space()}{string(key)}{space()}:{space()}{one(item)}{space()}" for key, item in value]
            return f"{{{','.join(members) or space()}}}"
        return f"[{','.join(f'{space()}{one(item)}{space()}' for item in value) or space()}]"

    return f"{space()}{one(tree)}{space()}"


def _copy(tree: Tree) -> Tree:
    if isinstance(tree, Members):
        return Members((key, _copy(value)) for key, value in tree)
    return [_copy(item) for item in tree] if isinstance(tree, list) else tree


@st.composite
def cases(draw: st.DrawFn, *, valid: bool = False, depth: int = 2) -> Case:
    """A type and a document of it; with `valid`, nothing was spoilt (which does not make it valid for each type)."""
    kind = draw(kinds(depth))
    holder: list[Tree] = [_copy(draw(kind.trees))]
    rng = random.Random(draw(st.integers(0, 2**16)))
    for _ in range(0 if valid else draw(st.sampled_from([0, 0, 1, 1, 2]))):
        _spoil(holder, rng)
    return Case(kind.type, write(holder[0], rng if draw(st.booleans()) else None), _repeats(holder[0]))


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """Ways to cut a text: whole, few large pieces, many small ones."""
    size = draw(st.sampled_from([10**6, 40, 12, 4, 2]))
    rng = random.Random(draw(st.integers(0, 2**16)))
    pieces: list[str] = []
    at = 0
    while at < len(text):
        end = at + rng.randint(1, size)
        pieces.append(text[at:end])
        at = end
    return pieces
