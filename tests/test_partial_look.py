"""What stands within a value, by the names of a path."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, RootModel, computed_field

from structstream.partial import ABSENT, PartialParser
from structstream.partial.look import child, children, look
from structstream.partial.nodes import Open


class Loose(BaseModel):
    """A model with extras and a computed field."""

    model_config = ConfigDict(extra="allow")

    name: str = "none"

    @computed_field  # type: ignore[prop-decorator]  # as Pydantic has it
    @property
    def size(self) -> int:
        return len(self.name)


LOOSE = Loose.model_validate({"name": "ab", "other": 3})


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: int = 0


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ({"a": 1}, "a", 1),
        ({date(2020, 1, 2): 1}, "2020-01-02", 1),
        ({3: 1}, 3, 1),
        ({}, "a", ABSENT),
        ([1, 2], 1, 2),
        ([1, 2], 2, ABSENT),
        ([1, 2], "a", ABSENT),
        ({7}, 0, 7),
        ("text", 0, ABSENT),
        (LOOSE, "name", "ab"),
        (LOOSE, "other", 3),
        (Loose(name="ab"), "size", 2),
        (Loose(), "model_dump", ABSENT),
        (Point(1), "y", 0),
        (Pair(1, 2), "b", 2),
        (Pair(1, 2), "count", ABSENT),
        (RootModel[list[int]]([5]), 0, 5),
        (None, "a", ABSENT),
    ],
)
def test_a_child_is_what_a_value_holds_and_no_method(value: Any, name: Any, expected: Any) -> None:
    assert child(value, name) == expected


def test_children_are_what_was_given_and_no_default() -> None:
    assert dict(children(Loose.model_validate({"other": 3}))) == {"other": 3}
    assert dict(children(Loose.model_validate({"name": "a", "other": 3}))) == {"name": "a", "other": 3}
    assert list(children(RootModel[list[int]]([5, 6]))) == [(0, 5), (1, 6)]
    assert dict(children(Point(1))) == {"x": 1, "y": 0}
    assert list(children("text")) == []


def test_an_open_value_is_looked_through_like_a_closed_one() -> None:
    parser = PartialParser(RootModel[dict[str, list[Point]]])
    shown = parser.step('{"a": [{"x": 1}], "b": [{"x": 2}, {"x": 3').snapshot
    assert look(shown, ["a", 0, "x"]) == 1
    assert look(shown, ["b", 1, "x"]) is ABSENT
    assert [name for name, _ in children(shown)] == ["a", "b"]
    assert list(children(look(shown, ["b", 1]))) == []
    text = PartialParser(RootModel[str]).step('"ab').snapshot
    assert (child(text, 0), list(children(text))) == (ABSENT, [])


def test_what_is_open_says_how_it_is_looked_through() -> None:
    class Bare(Open):
        """Says nothing."""

    with pytest.raises(NotImplementedError):
        child(Bare(), "a")
    with pytest.raises(NotImplementedError):
        list(children(Bare()))
