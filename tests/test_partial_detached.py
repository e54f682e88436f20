"""A snapshot that is copied or pickled reads, compares, dumps and tells what is complete as the one that it was."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from structstream.partial import Partial, PartialParser


class Line(BaseModel):
    name: str = Field(serialization_alias="Name")
    due: date | None = None


class Lines(RootModel[list[Line]]):
    pass


class Place(TypedDict):
    row: int
    words: list[str]


class Order(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int = 0
    lines: list[Line] = []
    by_number: dict[int, list[date]] = {}
    pair: tuple[int, str] | None = None
    rest: Lines | None = None
    place: Place | None = None
    anything: Any = None


ORDER = (
    '{"number": 1, "lines": [{"name": "q", "due": "2020-01-01"}, {"name": "\\u00e9"}],'
    ' "by_number": {"1": ["2020-01-01", "2020-01-02"], "2": []}, "pair": [1, "abc"],'
    ' "rest": [{"name": "z"}, {"name": "y"}], "place": {"row": 1, "words": ["x", "yy"]},'
    ' "anything": {"k": [1, {"z": 2}]}, "more": [1, "b"]}'
)
PATHS = (
    *("lines", "lines[0]", "lines[0].name", "lines[1]", "by_number", 'by_number["1"]', 'by_number["1"][1]'),
    *(
        "place.row",
        "place.words[0]",
        "rest[0]",
        "anything.k[0]",
        "more[0]",
        "[0]",
        "[0].lines",
        "[1].number",
        "a.number",
    ),
)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), lambda one: copy.copy(copy.copy(one))],
    ids=["copy", "deepcopy", "pickle", "twice"],
)
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Order, ORDER),
        (list[Order], f"[{ORDER}, {ORDER}]"),
        (dict[str, Order], f'{{"a": {ORDER}}}'),
        (Lines, '[{"name": "q"}, {"name": "r"}]'),
    ],
    ids=["model", "list", "mapping", "root"],
)
def test_a_copy_is_what_it_was(kind: Any, text: str, copied: Callable[[Any], Any]) -> None:
    parser: PartialParser[Any] = PartialParser(kind)
    for char in text:
        snapshot: Any = parser.step(char).snapshot  # Any: it reads as the type does
        if snapshot is None:
            continue
        again = copied(snapshot)
        assert type(again) is type(snapshot)
        assert (again, repr(again)) == (snapshot, repr(snapshot))
        for mode in ("python", "json"):
            assert again.model_dump(mode=mode) == snapshot.model_dump(mode=mode)
        assert [again.is_complete(path) for path in PATHS] == [snapshot.is_complete(path) for path in PATHS]


def test_a_deep_copy_shares_nothing_with_the_stream() -> None:
    parser = PartialParser(Order)
    snapshot: Any = parser.step('{"lines": [{"name": "a"}, {"name": "b').snapshot
    again = copy.deepcopy(snapshot)
    assert type(again) is Partial[Order]
    again.lines[0].name = "changed"
    parser.step('c"}')
    assert (snapshot.lines[0].name, again.lines[1].name) == ("a", "b")
