"""The work per delta and the memory do not depend on how much came before (law 8), and early judgement is right."""

from __future__ import annotations

import json
import tracemalloc
from typing import Annotated, Any

import pytest
from annotated_types import Len
from pydantic import AfterValidator, BaseModel, ValidationInfo, model_validator

from structstream.errors import InvalidOutputError
from structstream.jsonstream import JSONStream
from structstream.partial import ListView, MappingView, Partial, PartialParser
from structstream.partial.builder import UNBOUNDED, Builder, as_invalid
from structstream.partial.schema import shape_of
from structstream.text import TextBuffer
from tests.test_type_zoo import Animal, Dog


class Record(BaseModel):
    id: int
    name: str
    tags: list[str]


class Deep(BaseModel):
    inner: Deep | None = None
    text: str = ""


def _deep(levels: int) -> str:
    return '{"inner":' * levels + '{"text":"' + "x" * levels + '"}' + "}" * levels


# Any: types, here and below
SHAPES: dict[str, tuple[Any, Any]] = {
    "list of records": (
        list[Record],
        lambda n: json.dumps([{"id": i, "name": f"n{i}", "tags": ["a", "b"]} for i in range(n)]),
    ),
    "list of small items": (list[int], lambda n: json.dumps(list(range(n * 10)))),
    "mapping of many keys": (dict[str, int], lambda n: json.dumps({f"key{i}": i for i in range(n)})),
    "one long string": (dict[str, str], lambda n: json.dumps({"text": "word " * n * 10})),
    "anything": (Any, lambda n: json.dumps({"items": [{"a": [i], "b": None} for i in range(n)]})),
}


def newest(value: Any) -> Any:
    """Look at the newest value, as deep as it stands."""
    while isinstance(value, Partial | ListView | MappingView):
        if isinstance(value, ListView):
            value = value[-1] if len(value) else None
        elif isinstance(value, MappingView):
            value = None
        else:
            value = value.model_dump(exclude_unset=True)
    return value


def work_of(kind: Any, text: str, size: int, *, look: bool) -> int:
    """Characters scanned, and nodes and values touched, for a text in pieces of `size`."""
    parser: PartialParser[Any] = PartialParser(kind)
    for at in range(0, len(text), size):
        moment = parser.step(text[at : at + size])
        if look:
            newest(moment.snapshot)
    parser.finish()
    return parser._reader.scanned + parser._builder.work


@pytest.mark.parametrize("name", SHAPES)
def test_the_work_grows_as_the_text_does(name: str) -> None:
    kind, make = SHAPES[name]
    small, large = make(250), make(2000)
    for size in (4, 4096):
        work = [work_of(kind, text, size, look=False) / len(text) for text in (small, large)]
        assert work[1] <= 1.15 * work[0]
        assert work[1] <= 3


def test_a_look_at_the_newest_value_touches_the_open_path_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    at = ListView._at

    def counted(view: ListView, pos: int) -> Any:
        nonlocal looks
        looks += 1
        return at(view, pos)

    monkeypatch.setattr(ListView, "_at", counted)
    text = json.dumps(list(range(5000)))
    work_of(list[int], text, 4, look=True)
    assert looks <= len(text) / 4 + 1


def test_a_hundred_levels_cost_as_much_as_their_text_and_their_depth() -> None:
    work = {levels: work_of(Deep, _deep(levels), 4, look=False) / len(_deep(levels)) for levels in (25, 100)}
    assert work[100] <= 1.3 * work[25]


@pytest.mark.parametrize("name", SHAPES)
def test_the_memory_is_a_small_multiple_of_the_text(name: str) -> None:
    kind, make = SHAPES[name]
    text = make(1000)
    shape_of(kind)
    pieces = [text[at : at + 16] for at in range(0, len(text), 16)]
    parser: PartialParser[Any] = PartialParser(kind)
    tracemalloc.start()
    try:
        for piece in pieces:
            newest(parser.step(piece).snapshot)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 60 * len(text)
    assert peak <= 80 * len(text)


def test_a_closed_string_is_not_judged_twice_and_a_piece_is_not_kept_twice() -> None:
    builder = Builder(shape_of(dict[str, str]), TextBuffer())
    stream = JSONStream(builder)
    for char in '{"a": "xyz':
        stream.feed(char)
    assert builder.text is not None
    assert builder.text.buffer.text() == "xyz"
    before = builder.work
    stream.feed("x" * 50)
    assert builder.work == before


def test_a_replayed_choice_keeps_its_places() -> None:
    tagged = '[{"name": "a\\u0041", "deep": {"list": [1, 2]}, "kind": "dog", "last": 1}]'
    parser = PartialParser(list[Animal])
    for char in tagged:
        parser.step(char)
    assert parser.finish() == [Dog(kind="dog", name="aA")]
    assert list(parser.completed()) == ["[0].name", "[0].kind", "[0]", ""]


@pytest.mark.parametrize("raised", [KeyError("x"), RuntimeError("x"), ZeroDivisionError()])
def test_whatever_a_validator_raises_is_told_where_it_was(raised: Exception) -> None:
    error = as_invalid(raised, ["a", 0], "1", 0)
    assert isinstance(error, InvalidOutputError)
    assert error.path == "a[0]"
    assert type(raised).__name__ in str(error)


def test_a_replay_has_no_bounds() -> None:
    assert UNBOUNDED.max_depth > 10**9


class Inner(BaseModel):
    value: int = 0

    @model_validator(mode="after")
    def ask(self, info: ValidationInfo) -> Inner:
        if info.data["allowed"] is not True:
            raise ValueError("not allowed")
        return self


class Outer(BaseModel):
    allowed: bool
    one: Inner
    many: list[Inner] = []
    named: dict[str, Inner] = {}


@pytest.mark.parametrize("size", [1, 1000])
def test_a_models_own_validator_that_asks_what_is_around_it_refuses_nothing_early(size: int) -> None:
    text = '{"allowed": true, "one": {"value": 1}, "many": [{"value": 2}], "named": {"a": {"value": 3}}}'
    parser = PartialParser(Outer)
    for at in range(0, len(text), size):
        parser.step(text[at : at + size])
    assert parser.finish() == Outer.model_validate_json(text)

    refused = PartialParser(Outer)
    with pytest.raises(InvalidOutputError, match="not allowed"):
        refused.step(text.replace("true", "false"))


JUDGED: list[int] = []


def noted(value: int) -> int:
    JUDGED.append(value)
    return value


Noted = Annotated[int, AfterValidator(noted)]


class Table(BaseModel):
    rows: list[list[Noted]] = []
    few: Annotated[list[Noted], Len(max_length=2)] | None = None


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_list_without_a_rule_of_its_own_is_what_its_items_are_and_is_not_judged_again(size: int) -> None:
    text = '{"rows": [[1, 2], [3]], "few": [4]}'
    JUDGED.clear()
    parser = PartialParser(Table)
    for at in range(0, len(text) - 1, size):
        parser.feed(text[: len(text) - 1][at : at + size])
    shown: Any = parser.moment().snapshot
    assert (shown.rows, shown.few) == ([[1, 2], [3]], [4])
    assert JUDGED == [1, 2, 3, 4, 4]  # the list that has a rule is judged as a whole too
    parser.feed("}")
    assert parser.finish() == Table.model_validate_json(text)


def test_what_a_caller_does_to_a_list_that_has_closed_changes_no_other_snapshot() -> None:
    parser = PartialParser(Table)
    parser.feed('{"rows": [[1], [2]]')
    shown: Any = parser.moment().snapshot
    shown.rows.append("mine")
    shown.rows[0].append("mine")
    parser.feed(', "few": null}')
    assert parser.finish() == Table(rows=[[1], [2]])


def test_a_list_that_lacks_an_item_is_judged_as_a_whole() -> None:
    parser = PartialParser(Table, fail_fast=False)
    parser.feed('{"rows": [[1, "x"]]')
    shown: Any = parser.moment().snapshot
    assert shown.rows == []
    parser.feed("}")
    with pytest.raises(InvalidOutputError):
        parser.finish()
