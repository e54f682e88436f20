"""A step tells what closed and what is new, and a guess of how much is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from structstream.errors import JSONLimitError, JSONSyntaxError
from structstream.jsonsink import JSONLimits
from structstream.partial import PartialParser
from structstream.partial.moment import ClosedPaths, Reading
from structstream.partial.schema import shape_of
from tests.models import Case, cases


class Pet(BaseModel):
    name: str
    legs: int


def steps(kind: Any, *pieces: str) -> list[tuple[list[str], list[str]]]:  # Any: types
    parser: PartialParser[Any] = PartialParser(kind)  # Any: as above
    return [(list(moment.completed), list(moment.changed)) for moment in map(parser.step, pieces)]


def test_what_closed_and_what_grew() -> None:
    told = steps(list[Pet], '[{"name": "a', "", 'b", "legs": 1', "2}", ', {"name": "x", "legs": 3}', "]")
    assert told == [
        ([], ["[0].name"]),
        ([], []),
        (["[0].name"], ["[0].name"]),
        (["[0].legs", "[0]"], ["[0].legs", "[0]"]),
        (["[1].name", "[1].legs", "[1]"], ["[1].name", "[1].legs", "[1]"]),
        ([""], [""]),
    ]


def test_an_opened_container_is_new() -> None:
    assert steps(dict[str, list[int]], "{", '"a"', ": [") == [([], [""]), ([], []), ([], ["a"])]


def test_the_snapshot_of_a_moment_is_one_object() -> None:
    moment = PartialParser(list[int]).step("[1, ")
    assert moment.snapshot is moment.snapshot


@pytest.mark.parametrize(("text", "begun"), [("", False), (" ", False), ("[", True), ("1", False), ("1 ", True)])
def test_a_value_has_begun_when_something_is_shown(text: str, begun: bool) -> None:
    assert PartialParser(int | list[int]).step(text).begun is begun  # type: ignore[arg-type]  # a union is a type here


@given(cases())
def test_the_percentage_never_falls_nor_passes_99(case: Case) -> None:
    if case.repeats:
        return
    parser: PartialParser[Any] = PartialParser(case.type, fail_fast=False)  # Any: as above
    last = 0.0
    for char in case.text:
        percent = parser.step(char).percent
        assert last <= percent + 1e-9
        assert percent <= 99.0
        last = percent


def test_the_closed_paths_of_a_text_read_like_a_list() -> None:
    reading = Reading(JSONLimits(max_depth=3), allow_nan=False)
    paths = ClosedPaths('[{"name": "a", "x": [NaN', shape_of(list[Pet]), reading)
    assert (list(paths), len(paths), paths[0], paths[:1]) == (["[0].name"], 1, "[0].name", ["[0].name"])
    assert repr(paths) == "['[0].name']"
    assert paths.__eq__(["[0].name"])
    assert list(ClosedPaths("12", shape_of(int), reading)) == []
    assert list(ClosedPaths("12", shape_of(int), Reading(JSONLimits(), allow_nan=False, ended=True))) == [""]
    with pytest.raises(TypeError):
        hash(paths)


def test_what_lies_beyond_a_bound_or_a_fault_has_not_closed() -> None:
    for text, limits in (
        ('{"a": 1, "b": [[1]], "c": 2}', JSONLimits(max_depth=2)),
        ('{"a": 1, "b": NaN, "c": 2}', JSONLimits()),
    ):
        for pieces in ([text], list(text)):
            parser: PartialParser[Any] = PartialParser(dict[str, Any], limits=limits)  # Any: as above
            with pytest.raises((JSONLimitError, JSONSyntaxError)):
                list(map(parser.step, pieces))
            assert list(parser.completed()) == ["a"]
