"""Fields that are shown when complete, hold their parent back, or carry their state; and the laws hold with them."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from structstream.completion import Completions
from structstream.errors import ConfigurationError
from structstream.markers import HoldParent, Marker, ShowWhenComplete, Stated, WithState, markers_of
from structstream.parse import parse_stream
from structstream.partial import ListView, Partial, PartialParser, look
from structstream.text import parse_path
from tests.models import cuts
from tests.test_laws import plain, run
from tests.walk import is_open, same, walk


class Pin(BaseModel):
    """Nothing of it is shown before its y."""

    x: int
    y: Annotated[int, HoldParent()]
    label: str = ""


class Quote(BaseModel):
    """Held until its author has closed."""

    text: Annotated[str, WithState()] = ""
    author: Annotated[str, ShowWhenComplete(), HoldParent()]


@dataclasses.dataclass
class Leaf:
    """A dataclass with markers."""

    name: Annotated[str, WithState()]
    size: Annotated[int, HoldParent()] = 0


class Row(TypedDict):
    """A TypedDict with markers."""

    a: Annotated[str, WithState()]
    b: Annotated[list[int], ShowWhenComplete()]


class Page(BaseModel):
    """Every marker at every kind of place."""

    title: Annotated[str, WithState()]
    code: Annotated[str, ShowWhenComplete(), Field(max_length=99), AfterValidator(str)] = ""
    tags: Annotated[list[str], ShowWhenComplete()] = []
    names: Annotated[list[str], WithState()] = []
    pins: list[Pin] = []
    whole: list[Annotated[Pin, ShowWhenComplete()]] = []
    quote: Quote | None = None
    leaves: dict[str, Leaf] = {}
    rows: list[Row] = []


def snapshots(kind: Any, text: str) -> list[Any]:  # Any: types and snapshots
    parser: PartialParser[Any] = PartialParser(kind)
    return [parser.step(char).snapshot for char in text]


def test_what_is_shown_when_complete_is_never_half() -> None:
    text = '{"title": "a", "code": "xy", "tags": ["b", "c"], "whole": [{"x": 1, "y": 2, "label": "ab"}'
    for shown in snapshots(Page, text):
        if shown is not None:
            assert (shown.code, shown.tags) in [(None, []), ("xy", []), ("xy", ["b", "c"])]
            assert all(isinstance(item, Pin) for item in shown.whole)
    assert shown.whole == [Pin(x=1, y=2, label="ab")]


def test_a_parent_is_held_back_until_its_field_shows_something() -> None:
    found = [
        (repr(shown.pins), repr(shown.quote))
        for shown in snapshots(
            Page, '{"pins": [{"x": 1, "label": "a", "y": 2 }, {"x": 3, "y": 4, "label": "b'
            '"}], "quote": {"text": "t", "author": "Ada"'
        )
        if shown is not None
    ]  # fmt: skip
    pins = list(dict.fromkeys(pins for pins, _ in found))
    first, second = "Pin(x=1, y=2, label='a')", "Pin(x=3, y=4, label='b')"
    assert pins == [
        "[]",
        "[Partial[Pin](x=1, label='a', y=2)]",
        f"[{first}]",
        f"[{first}, Partial[Pin](x=3, y=4)]",
        f"[{first}, Partial[Pin](x=3, y=4, label='')]",
        f"[{first}, Partial[Pin](x=3, y=4, label='b')]",
        f"[{first}, {second}]",
    ]
    quotes = list(dict.fromkeys(quote for _, quote in found))
    assert quotes == ["None", "Partial[Quote](text=Stated(value='t', complete=True), author='Ada')"]


def test_a_root_that_is_held_back_has_not_begun() -> None:
    steps = list(parse_stream(list('{"x": 1, "label": "a", "y": 2 }'), Pin))
    assert repr(steps[0].partial_result) == "Partial[Pin](x=1, label='a', y=2)"
    assert list(steps[0].completed) == ["x", "label", "y"]
    assert [path for step in steps for path in step.completed] == ["x", "label", "y", ""]
    assert steps[-1].partial_result == Pin(x=1, y=2, label="a")


def test_a_field_that_never_comes_holds_back_to_the_end_and_no_longer() -> None:
    class Loose(BaseModel):
        a: int
        b: Annotated[int, HoldParent()] = 5

    parser = PartialParser(list[Loose])
    moments = [parser.step(char) for char in '[{"a": 1}, {"a": 2}]']
    assert [path for moment in moments for path in moment.completed] == ["[0].a", "[0]", "[1].a", "[1]", ""]
    assert parser.finish() == [Loose(a=1), Loose(a=2)]
    root = list(parse_stream(list('{"a": 1} '), Loose))
    assert repr(root[0].partial_result) == "Partial[Loose](a=1)"  # it has closed


def test_a_null_is_something() -> None:
    class Maybe(BaseModel):
        a: int
        b: Annotated[int | None, HoldParent()]

    shown = snapshots(list[Maybe], '[{"b": null, "a": ')
    assert [len(each) for each in shown if each is not None][-2:] == [1, 1]


def test_a_stated_field_tells_its_value_and_whether_it_is_complete() -> None:
    shown = [each.title for each in snapshots(Page, '{"title": "ab", "names": ["c"') if each is not None]
    assert shown[0] == Stated(None, complete=False)
    assert list(dict.fromkeys(shown))[1:] == [
        Stated("", complete=False),
        Stated("a", complete=False),
        Stated("ab", complete=False),
        Stated("ab", complete=True),
    ]
    last = snapshots(Page, '{"title": "ab", "names": ["c"')[-1]
    assert (last.names.complete, last.names.value == ["c"]) == (False, True)
    assert last.is_complete("names[0]")
    assert look(last, ["title"]) == "ab"
    assert last.model_dump(include={"title", "names", "code"}) == {
        "title": {"value": "ab", "complete": True},
        "names": {"value": ["c"], "complete": False},
        "code": None,
    }
    assert json.loads(last.model_dump_json(exclude_unset=True)) == last.model_dump(exclude_unset=True)
    assert last == snapshots(Page, '{"title": "ab", "names": ["c"')[-1]
    assert last != snapshots(Page, '{"title": "ab", "names": ["c"]')[-1]


def test_the_markers_stand_in_dataclasses_and_typed_dicts_too() -> None:
    shown = snapshots(Page, '{"leaves": {"a": {"name": "b", "size": 1')
    assert dict(shown[-1].leaves) == {}
    shown = snapshots(Page, '{"leaves": {"a": {"size": 1, "name": "b')
    assert repr(shown[-1].leaves) == "{'a': Partial[Leaf](size=1, name=Stated(value='b', complete=False))}"
    rows = snapshots(Page, '{"rows": [{"a": "x", "b": [1')[-1].rows
    assert (rows[0]["a"], list(rows[0])) == (Stated("x", complete=True), ["a"])
    assert rows.model_dump() == [{"a": {"value": "x", "complete": True}}]


def test_the_final_object_and_the_schema_are_as_without() -> None:
    text = '{"title": "a", "quote": {"author": "b"}, "pins": [{"x": 1, "y": 2}]}'
    step = list(parse_stream(list(text), Page))[-1]
    assert step.result == Page.model_validate_json(text)
    assert step.result.title == "a"
    assert "structstream" not in json.dumps(Page.model_json_schema())


@pytest.mark.parametrize("marker", [HoldParent(), WithState()])
@pytest.mark.parametrize("place", [list, dict, tuple, None])
def test_markers_of_fields_are_refused_elsewhere(marker: Marker, place: Any) -> None:
    kind: Any = Annotated[int, marker]
    kinds: dict[Any, Any] = {list: list[kind], dict: dict[str, kind], tuple: tuple[kind, int], None: kind}
    with pytest.raises(ConfigurationError, match="belongs to the field of an object"):
        PartialParser(kinds[place])


def test_a_marker_is_a_value() -> None:
    assert HoldParent() == HoldParent() != WithState()
    assert len({HoldParent(), HoldParent(), WithState()}) == 2
    assert repr(ShowWhenComplete()) == "ShowWhenComplete()"
    both = TypeAdapter(Annotated[str, ShowWhenComplete(), WithState()]).core_schema
    assert markers_of(both) == {ShowWhenComplete, WithState}


# the laws


_TEXT = st.text(st.sampled_from('ab "\\é'), max_size=4)
_PIN = st.permutations(["x", "y", "label"]).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: _TEXT if name == "label" else st.integers(0, 99) for name in names}
    )
)  # fmt: skip
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "title": _TEXT,
    "code": _TEXT,
    "tags": st.lists(_TEXT, max_size=2),
    "names": st.lists(_TEXT, max_size=2),
    "pins": st.lists(_PIN, max_size=3),
    "whole": st.lists(_PIN, max_size=2),
    "quote": st.none() | st.fixed_dictionaries({"text": _TEXT, "author": _TEXT}),
    "leaves": st.dictionaries(_TEXT, st.fixed_dictionaries({"name": _TEXT, "size": st.integers(0, 9)}), max_size=2),
    "rows": st.lists(st.fixed_dictionaries({"a": _TEXT, "b": st.lists(st.integers(0, 9), max_size=2)}), max_size=2),
}
_PAGES = st.lists(st.sampled_from(list(_FIELDS)), unique=True, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: _FIELDS[name] for name in dict.fromkeys([*names, "title"])})
)


@given(st.data(), _PAGES)
def test_the_laws_hold_with_markers(data: st.DataObject, page: dict[str, Any]) -> None:
    text = json.dumps(page)
    final = Page.model_validate_json(text)
    ones, cut = run(Page, list(text)), run(Page, data.draw(cuts(text)))
    assert same(ones.result, final)
    assert same(cut.result, final)
    for at, snapshot in cut.snapshots.items():
        assert plain(snapshot) == plain(ones.snapshots[at])
        assert cut.completed[at] == ones.completed[at]
    before: set[Any] = set()
    told = 0
    for at, snapshot in ones.snapshots.items():
        found = walk(snapshot) if snapshot is not None else ()
        now = {path for path, _ in found if path[-1:] not in (("value",), ("complete",))}  # those of a Stated
        assert before <= now
        before = now
        for path in ones.completed[at][told:]:
            shown = look(snapshot, parse_path(path)) if path else snapshot
            assert not isinstance(shown, ListView | Partial) or path == ""  # what is told has closed, and is shown
            assert look(final, parse_path(path)) == shown or path == ""
        told = len(ones.completed[at])


@given(
    st.data(), _PAGES, st.sampled_from(["pins[*]", "pins[*].label", "quote.author", "leaves.*", "rows[*].a", "tags"])
)
def test_each_gives_all_whatever_is_held_back(data: st.DataObject, page: dict[str, Any], pattern: str) -> None:
    text = json.dumps(page)
    completions, all_at_once = Completions(pattern), Completions(pattern)
    for step in parse_stream(data.draw(cuts(text)), Page):
        completions.follow(step)
    for step in parse_stream([text], Page):
        all_at_once.follow(step)
    assert list(completions.found) == list(all_at_once.found)
    assert not any(is_open(value) for _, value in completions.found)


def test_what_is_held_back_long_costs_no_more_a_step() -> None:
    class Late(BaseModel):
        rows: list[int]
        key: Annotated[int, HoldParent()]

    parser = PartialParser(list[Late])
    parser.step('[{"rows": [')
    waiting = None
    for number in range(500):
        assert list(parser.step(f"{number}, ").completed) == []
        waiting = waiting or parser._builder.closings
        assert parser._builder.closings is waiting  # the same list: nothing was copied
    assert len(parser.step('1], "key": 3, ').completed) == 503
