"""What closed, given out by pattern: as much as the final answer holds, each equal, once, whatever the cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from structstream.completion import Completions, check_callback
from structstream.errors import ConfigurationError
from structstream.parse import parse_stream
from structstream.partial import Partial, children
from structstream.patterns import PathPattern
from structstream.text import render_path
from tests.chunking import every_cut
from tests.models import Case, cases, cuts
from tests.walk import same


class Line(BaseModel):
    """A row."""

    sku: str
    count: int = 1


class Order(BaseModel):
    """Rows within rows."""

    id: int
    lines: list[Line]
    sizes: dict[str, float] = {}
    seen: set[int] = set()


class Basket(BaseModel):
    """The whole."""

    owner: str
    orders: list[Order]


TEXT = json.dumps(
    {
        "owner": "Ada",
        "orders": [
            {"id": 1, "lines": [{"sku": "a"}, {"sku": "b", "count": 2}], "sizes": {"x y": 1.5, "z": 2}},
            {"lines": [], "id": 2, "seen": [7]},
            {"id": 3, "lines": [{"sku": "c"}]},
        ],
    }
)
BASKET = Basket.model_validate_json(TEXT)

FOUND: dict[str, list[Any]] = {
    "orders[*].lines[*]": [line for order in BASKET.orders for line in order.lines],
    "orders[*]": BASKET.orders,
    "orders[1]": [BASKET.orders[1]],
    "orders[*].id": [1, 2, 3],
    "orders[*].sizes.*": [1.5, 2.0],
    'orders[*].sizes["x y"]': [1.5],
    "orders[*].seen[*]": [7],
    "orders[*].lines[*].count": [2],
    "owner": ["Ada"],
    "*": ["Ada", BASKET.orders],
    "": [BASKET],
    "orders[*].lines[*].sku[*]": [],
    "nothing": [],
}


def found(kind: Any, pieces: Sequence[str], pattern: str, since: int = 0) -> list[tuple[str, Any]]:  # Any: types
    completions = Completions(pattern)
    for at, step in enumerate(parse_stream(pieces, kind)):
        if at >= since:
            completions.follow(step)
    return list(completions.found)


@pytest.mark.parametrize("pattern", FOUND)
def test_each_value_once_in_the_order_of_the_text_under_every_cut(pattern: str) -> None:
    for pieces in every_cut(TEXT):
        assert [value for _, value in found(Basket, pieces, pattern)] == FOUND[pattern]


@pytest.mark.parametrize("since", [1, 30, 120, 190])
def test_who_comes_late_gets_what_closed_before_as_well(since: int) -> None:
    for pattern, expected in FOUND.items():
        assert [value for _, value in found(Basket, list(TEXT), pattern, since)] == expected


def test_paths_are_told_beside() -> None:
    paths = [path for path, _ in found(Basket, list(TEXT), "orders[*].lines[*]")]
    assert paths == ["orders[0].lines[0]", "orders[0].lines[1]", "orders[2].lines[0]"]


def test_the_first_comes_before_its_list_closes() -> None:
    completions = Completions("orders[*].lines[*]")
    for step in parse_stream(list(TEXT), Basket):
        completions.follow(step)
        if completions.found:
            assert isinstance(step.partial_result, Partial)
            assert not step.partial_result.is_complete("orders[0].lines")
            assert isinstance(completions.found[0][1], Line)
            return
    raise AssertionError("nothing was found")


def meant(pattern: PathPattern, value: Any, path: tuple[Any, ...] = ()) -> list[tuple[str, Any]]:
    """What the final answer holds at a pattern."""
    if len(path) == pattern.depth:
        return [(render_path(path), value)]
    inner = ((name, one) for name, one in children(value) if pattern.begins((*path, name)))
    return [hit for name, one in inner for hit in meant(pattern, one, (*path, name))]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return [path, *(place for name, inner in children(value) for place in places(inner, (*path, name)))]


@given(st.data(), cases(valid=True))
def test_as_many_as_the_final_answer_holds_and_each_equal(data: st.DataObject, case: Case) -> None:
    if case.repeats:
        return
    try:
        final = TypeAdapter(case.type).validate_json(case.text)
    except ValidationError:
        return
    path = data.draw(st.sampled_from(places(final)))
    pattern = ""
    for item in path:
        name = "[*]" if data.draw(st.booleans()) else render_path([item])
        pattern += name if not pattern or name.startswith("[") else f".{name}"
    expected = meant(PathPattern(pattern), final)
    got = found(case.type, data.draw(cuts(case.text)), pattern)
    assert sorted(name for name, _ in got) == sorted({name for name, _ in expected})
    values = dict(expected)
    assert all(same(value, values[path]) for path, value in got)


def test_a_later_attempt_gives_nothing_twice() -> None:
    completions = Completions("orders[*]")
    half = TEXT[: TEXT.index('{"id": 3')]
    for text in (half, TEXT):
        for step in parse_stream(list(text), Basket):
            completions.follow(step)
    assert [value for _, value in completions.found] == BASKET.orders


def test_what_failed_gives_what_closed_and_no_more() -> None:
    assert [value for _, value in found(Basket, [TEXT[:-3]], "orders[*].id")] == [1, 2, 3]
    assert found(Basket, [TEXT[:-3]], "") == []


@pytest.mark.parametrize("callback", [lambda path, value: None, print, lambda *both: None])
def test_a_callback_that_takes_path_and_value_will_do(callback: Any) -> None:
    check_callback(callback)


@pytest.mark.parametrize(
    ("callback", "sentence"),
    [(5, "must be callable, not int"), (lambda value: None, r"take a path and a value; this one takes \(value\)")],
)
def test_any_other_is_refused_at_once(callback: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        check_callback(callback)
