"""A shape judges just its own place, with the definitions that it needs."""

from __future__ import annotations

import enum
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from structstream.partial.schema import shape_of
from structstream.partial.shapes import IGNORED, ArrayPart, RecordPart, Shape, TaggedPart
from tests.test_type_zoo import Siblings, Tree


class Color(enum.Enum):
    RED = "red"


class Plain(BaseModel):
    kind: Literal["x"]


def test_a_place_within_a_recursive_type_judges_for_itself() -> None:
    record = shape_of(Tree).record
    assert isinstance(record, RecordPart)
    left = record.by_name["left"].shape
    assert left.validator is left.validator
    assert left.validator.validate_json('{"name": "a", "left": {"name": "b"}}') == Tree(name="a", left=Tree(name="b"))
    assert left.serializer.to_python(Tree(name="a")) == {"name": "a", "left": None, "children": []}


def test_the_items_of_a_tuple_stand_by_their_place() -> None:
    part = shape_of(tuple[int, str]).array
    assert isinstance(part, ArrayPart)
    assert [part.at(index).schema["type"] for index in range(2)] == ["int", "str"]
    assert part.at(2) is IGNORED


def test_a_tag_is_told_by_its_value_and_its_kind() -> None:
    one, two, three = shape_of(int), shape_of(str), shape_of(bool)
    part = TaggedPart("kind", {1: one, "a": two, Color.RED: three})
    assert [part.choose(tag) for tag in (1, "a", "red", True, "1", None)] == [one, two, three, None, None, None]


def test_a_place_shown_as_a_choice_is_judged_as_before() -> None:
    union, choice = shape_of(int), shape_of(Plain)
    shown = union.shown_as(choice)
    assert shown.record is choice.record
    assert shown.validator is union.validator


def test_a_field_that_reads_its_siblings_is_judged_behind_them() -> None:
    record = shape_of(Siblings).record
    assert isinstance(record, RecordPart)
    siblings = record.siblings["high"]
    assert list(siblings.keys) == ["low", "high"]
    assert siblings.judge("high", {"low": "1", "high": "2"}, None) == 2
    with pytest.raises(ValidationError, match="high is below low"):
        siblings.judge("high", {"low": "3", "high": "2"}, None)


def test_each_shape_is_its_own() -> None:
    assert Shape({"type": "any"}) != Shape({"type": "any"})
