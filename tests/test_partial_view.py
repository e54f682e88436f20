"""Snapshots read like what they will become, and stay as they were (law 7)."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    RootModel,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    computed_field,
    field_serializer,
    model_serializer,
)
from typing_extensions import TypedDict

from structstream.partial import ListView, MappingView, Partial, PartialParser
from structstream.partial.view import RootPartial, View, partial_class


class Pet(BaseModel):
    name: str
    legs: int = 4
    toys: list[str] = Field(default_factory=list)


class Home(BaseModel):
    model_config = ConfigDict(extra="allow")

    owner: str | None
    pets: list[Pet] = []
    rooms: dict[str, Pet] = {}
    spot: tuple[int, int] = (0, 0)


TEXT = '{"owner": null, "pets": [{"name": "Fé", "legs": 3}, {"name": "Bo", "toys": ["ball", "bo'


def snapshot(text: str, kind: Any = Home) -> Any:  # Any: types and their snapshots
    return PartialParser(kind).step(text).snapshot


def plain(shown: Any) -> Any:  # Any: as above
    """What a snapshot dumps."""
    return shown.model_dump()


def test_it_reads_like_the_model() -> None:
    home = snapshot(TEXT)
    assert (home.owner, home.pets[0], home.pets[1].name) == (None, Pet(name="Fé", legs=3), "Bo")
    assert (home.rooms, home.spot, home.pets[-1].toys[-1], home.pets[1].legs) == ({}, (), "bo", None)
    assert home.model_fields_set == {"owner", "pets"}
    assert home.pets[1].model_fields_set == {"name", "toys"}
    assert dict(home)["owner"] is None
    assert type(home).__name__ == "Partial[Home]"
    assert type(home) is Partial[Home]
    assert not isinstance(home, Home)
    assert isinstance(home.pets[0], Pet)


def test_not_yet_and_null_are_told_apart() -> None:
    assert snapshot("{").owner is snapshot(TEXT).owner is None
    assert not snapshot('{"owner": nul').is_complete("owner")
    home = snapshot(TEXT)
    paths = ["owner", "pets[0]", "pets[0].name", "pets[0].toys", "pets[1].name", "pets[1].toys[0]"]
    assert all(home.is_complete(path) for path in paths)
    for path in [
        "",
        "pets",
        "pets[1]",
        "pets[1].legs",
        "pets[1].toys[1]",
        "pets[2]",
        "rooms",
        "x.y",
        "pets.name",
        "owner.x",
    ]:
        assert not home.is_complete(path)
    with pytest.raises(ValueError, match="is no path"):
        home.is_complete("pets[")


def test_dumps_are_plain_data() -> None:
    home = snapshot(TEXT)
    pets = [{"name": "Fé", "legs": 3, "toys": []}, {"name": "Bo", "legs": None, "toys": ["ball", "bo"]}]
    dumped = home.model_dump()
    assert dumped == {"owner": None, "pets": pets, "rooms": {}, "spot": ()}
    assert (type(dumped["pets"]), type(dumped["pets"][1])) == (list, dict)
    assert home.model_dump(exclude_unset=True) == {
        "owner": None,
        "pets": [{"name": "Fé", "legs": 3}, {"name": "Bo", "toys": ["ball", "bo"]}],
    }
    assert "owner" not in home.model_dump(exclude_none=True)
    assert json.loads(home.model_dump_json()) == {**dumped, "spot": []}
    assert home.model_dump_json(indent=1).startswith('{\n "owner": null')
    assert "Fé" in home.model_dump_json()


def test_extras_are_shown_where_the_model_allows_them() -> None:
    home = snapshot('{"x": {"y": [1, 2')
    assert home.model_extra == {"x": {"y": [1]}}
    assert home.x == {"y": [1]}
    assert snapshot('{"x": 1', Pet).model_extra is None
    with pytest.raises(AttributeError, match="has no field 'z'"):
        _ = home.z


def test_equal_where_the_same_is_shown() -> None:
    assert snapshot(TEXT) == snapshot(TEXT)
    assert snapshot(TEXT) != snapshot(TEXT + "n")
    assert snapshot(TEXT) != 1
    assert snapshot('{"name": "a', Pet) != Pet(name="a")
    with pytest.raises(TypeError):
        hash(snapshot(TEXT))


def test_an_open_list_reads_like_a_list() -> None:
    items = snapshot("[1, 2, 3", list[int])
    assert isinstance(items, ListView)
    assert (len(items), items[0], items[-1], items[:], items[::-1], 2 in items) == (2, 1, 2, [1, 2], [2, 1], True)
    assert items == [1, 2]
    assert items != [1]
    assert items != "12"
    assert (repr(items), items.model_dump(), list(reversed(items))) == ("[1, 2]", [1, 2], [2, 1])
    with pytest.raises(IndexError):
        items[2]


def test_an_open_mapping_reads_like_a_mapping() -> None:
    table = snapshot('{"1": "a", "2": "b', dict[int, str])
    assert isinstance(table, MappingView)
    assert (dict(table), len(table), table.get(3), 2 in table) == ({1: "a", 2: "b"}, 2, None, True)
    assert table == {1: "a", 2: "b"}
    assert table.is_complete("[1]")
    assert not table.is_complete("[2]")
    assert table.model_dump(mode="json") == {1: "a", 2: "b"}
    with pytest.raises(KeyError):
        table[3]


def test_of_a_key_that_comes_twice_the_last_wins() -> None:
    table = snapshot('{"a": 1, "b": 2, "a": 3,', dict[str, int])
    assert (dict(table), len(table)) == ({"b": 2, "a": 3}, 2)


def test_a_snapshot_of_before_a_key_came_twice_keeps_its_value() -> None:
    parser = PartialParser(dict[str, int])
    before = parser.step('{"a": 1, "b": 2, ').snapshot
    parser.step('"a": 3, "c": 4,')
    assert before == {"a": 1, "b": 2}


def test_a_snapshot_stays_as_it_was_whether_it_was_looked_at_or_not() -> None:
    parser = PartialParser(Home)
    taken = [(parser.step(char).snapshot, end) for end, char in enumerate(TEXT + '"]}]}', 1)]
    parser.finish()
    for shown, end in taken:
        assert repr(shown) == repr(snapshot((TEXT + '"]}]}')[:end]))
        assert plain(shown) == plain(snapshot((TEXT + '"]}]}')[:end]))


def test_it_cannot_be_changed() -> None:
    home = snapshot(TEXT)
    for name in ("owner", "other"):
        with pytest.raises(AttributeError):
            setattr(home, name, 1)
    with pytest.raises(TypeError):
        home.pets[0:1] = []


def test_a_framework_serves_snapshots_and_final_objects_alike() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Partial[Pet])
    partial, final = snapshot('{"name": "a', Pet), Pet(name="a")
    assert adapter.validate_python(partial) is partial
    assert adapter.dump_python(partial) == {"name": "a", "legs": None, "toys": []}
    assert adapter.dump_json(partial) == b'{"name":"a","legs":null,"toys":[]}'
    assert adapter.dump_json(final) == b'{"name":"a","legs":4,"toys":[]}'
    assert adapter.dump_python(final) == {"name": "a", "legs": 4, "toys": []}
    schema = adapter.json_schema()
    assert schema["title"] == "Partial[Pet]"
    assert set(schema["properties"]) == {"name", "legs", "toys"}
    assert "required" not in schema


def test_a_partial_within_a_model_is_served() -> None:
    class Answer(BaseModel):
        pet: Partial[Pet]

    answer = Answer(pet=snapshot('{"name": "a', Pet))
    assert answer.model_dump_json() == '{"pet":{"name":"a","legs":null,"toys":[]}}'
    assert TypeAdapter(Answer).json_schema()["properties"]["pet"] is not None


@dataclasses.dataclass
class Inward:
    """Fields that are called as a view's own."""

    _node: int
    _path: str
    is_complete: bool


def test_fields_may_be_called_as_what_a_view_stands_on() -> None:
    shown = snapshot('{"_node": 1, "is_complete": true, "_path": "x', Inward)
    assert shown.model_dump() == {"_node": 1, "_path": "x", "is_complete": True}
    assert shown.is_complete is True
    assert snapshot("{", Inward).model_dump() == {"_node": None, "_path": None, "is_complete": None}


def test_a_root_model_shows_its_root() -> None:
    class Words(RootModel[list[str]]):
        pass

    words = snapshot('["a", "b', Words)
    assert isinstance(words, RootPartial)
    assert (words.root, words.model_dump(), words.model_fields_set) == (["a", "b"], ["a", "b"], {"root"})
    assert words.is_complete("[0]")
    assert not words.is_complete("[1]")
    assert words.model_dump_json() == '["a", "b"]'
    assert words == snapshot('["a", "b', Words)


def test_a_class_has_one_partial() -> None:
    assert Partial[Pet] is partial_class(Pet)
    assert issubclass(Partial[Pet], View)
    assert Partial[Pet].__module__ == Pet.__module__
    with pytest.raises(TypeError, match="takes a model or a dataclass"):
        partial_class(int)


class Link(BaseModel):
    to: str
    after: Link | None = None

    @field_serializer("after")
    def show_after(self, value: Link | None) -> str:
        return f"after {self.to}"


class Plain(BaseModel):
    price: float
    link: Link | None = None
    note: str = ""

    @field_serializer("price")
    def show(self, value: float) -> str:
        return f"{value} for {self.note}"


class Informed(Plain):
    @field_serializer("price")
    def show(self, value: float, info: FieldSerializationInfo) -> str:  # type: ignore[override]  # Pydantic reads it
        return f"{info.field_name}: {value} for {self.note}"


class Wrapping(Plain):
    @field_serializer("price", mode="wrap")
    def show(self, value: float, handler: SerializerFunctionWrapHandler) -> str:  # type: ignore[override]  # as above
        return f"{handler(value)} for {self.note}"


class Everywhere(Plain):
    @field_serializer("*")
    def show_all(self, value: object) -> str:
        return f"{value} for {self.note}"


class Whole(Plain):
    @model_serializer
    def show_whole(self) -> str:
        return f"{self.price} for {self.note}"


@pytest.mark.parametrize("kind", [Plain, Informed, Wrapping, Everywhere, Whole, Link])
def test_a_serializer_that_needs_the_finished_model_waits_for_it(kind: type[BaseModel]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Partial[kind])  # type: ignore[valid-type]  # made at run time
    text = '{"price": 1.5, "to": "x", "after": null, "note": "ab'
    shown = snapshot(text, kind)
    expected = {"to": "x", "after": None} if kind is Link else {"price": 1.5, "link": None, "note": "ab"}
    assert shown.model_dump() == adapter.dump_python(shown) == expected
    assert json.loads(shown.model_dump_json()) == json.loads(adapter.dump_json(shown)) == expected


def test_a_closed_model_within_is_dumped_by_its_own_serializers() -> None:
    shown = snapshot('{"price": 1, "link": {"to": "x"}, "note": "', Plain)
    assert shown.model_dump() == {"price": 1.0, "link": {"to": "x", "after": "after x"}, "note": ""}


class Leaf(BaseModel):
    size: int = Field(serialization_alias="leafSize")
    token: str = Field(default="t", exclude=True)


class LeafDict(TypedDict):
    leaf: Leaf
    secret: Annotated[int, Field(exclude=True)]
    big: Annotated[int, Field(alias="isBig")]


class Bush(BaseModel):
    name: str = Field(alias="bushName")
    leaves: list[Leaf] = []
    table: LeafDict | None = None
    password: str = Field(default="p", exclude=True)
    zero: int = Field(default=1, exclude_if=lambda value: value == 0)

    @computed_field(alias="nameLength")  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def name_length(self) -> int:
        return len(self.name)


BUSH = (
    '{"password": "pw", "zero": 0, "bushName": "b", "leaves": [{"size": 1, "token": "x"}, {"token": "y", "size": 2}],'
    ' "table": {"secret": 1, "isBig": 2, "leaf": {"size": 3, "token": "z"}}}'
)


def keys_of(dumped: Any) -> set[str]:  # Any: plain data
    """Every key of plain data, however deep."""
    if isinstance(dumped, dict):
        return set(dumped).union(*map(keys_of, dumped.values()))
    return set().union(*map(keys_of, dumped)) if isinstance(dumped, list) else set()


@pytest.mark.parametrize("by_alias", [True, False])
def test_a_partial_has_no_key_that_the_final_object_has_not(by_alias: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Partial[Bush])
    final = Bush.model_validate_json(BUSH).model_dump(by_alias=by_alias)
    top, allowed = set(final) | {"zero"}, keys_of(final) | {"zero"}
    for end in range(1, len(BUSH)):
        shown = snapshot(BUSH[:end], Bush)
        dumped = shown.model_dump(mode="json", by_alias=by_alias)
        assert top - {"zero"} <= set(dumped) <= top
        assert keys_of(dumped) <= allowed
        assert dumped == json.loads(shown.model_dump_json(by_alias=by_alias))
        assert dumped == adapter.dump_python(shown, mode="json", by_alias=by_alias)
        assert dumped == json.loads(adapter.dump_json(shown, by_alias=by_alias))


def test_a_framework_passes_its_options_on() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Partial[Bush])
    shown, final = snapshot('{"bushName": "b", "leaves": [{"si', Bush), Bush.model_validate_json(BUSH)
    assert adapter.dump_python(shown, exclude_unset=True) == {"name": "b", "leaves": [{}]}
    assert adapter.dump_python(shown, exclude_none=True) == {"name": "b", "leaves": [{}]}
    assert adapter.dump_python(shown, include={"name", "zero"}) == {"name": "b", "zero": None}
    assert adapter.dump_python(final, by_alias=True) == final.model_dump(by_alias=True)
    assert json.loads(adapter.dump_json(final, exclude_none=True, exclude={"leaves"})) == final.model_dump(
        mode="json", exclude_none=True, exclude={"leaves"}
    )


def test_fields_are_chosen_by_their_names() -> None:
    shown = snapshot('{"bushName": "b", "leaves": [{"si', Bush)
    assert shown.model_dump(include={"name", "password"}, by_alias=True) == {"bushName": "b"}
    assert shown.model_dump(include={"name", "zero"}, exclude={"zero"}) == {"name": "b"}
    assert json.loads(shown.model_dump_json(exclude={"leaves", "name_length"}, exclude_none=True)) == {"name": "b"}


def test_a_model_may_ask_for_its_aliases() -> None:
    class Own(BaseModel):
        model_config = ConfigDict(serialize_by_alias=True)

        one: int = Field(alias="uno")

    assert snapshot('{"uno": 1,', Own).model_dump() == {"uno": 1}
    assert snapshot('{"uno": 1,', Own).model_dump(by_alias=False) == {"one": 1}
