"""A type that is read strictly takes and refuses the JSON that Pydantic does with ``strict=True``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from structstream import InvalidOutputError, parse_stream
from structstream.integrations.strict import strictly
from tests import test_type_zoo as zoo

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Leaf(BaseModel):
    """Its fields have the names of members of a core schema."""

    type: int
    ref: int = 0
    metadata: int = 0
    config: bool = False


class Tree(BaseModel):
    name: str
    size: float = 1.0
    leaves: list[Leaf] = []
    branches: list[Tree] = []


class Pair(BaseModel, Generic[T]):
    one: T
    many: list[T] = []


@dataclass
class Point:
    x: int
    when: date


class Row(TypedDict):
    n: int
    colour: Colour


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    loud: bool


# A type, a text that strict reading takes, and one that only lax reading takes.
TEXTS: list[tuple[Any, str, str]] = [
    (int, "36", '"36"'),
    (bool, "true", "1"),
    (str, '"a"', ""),
    (float, "1", '"1"'),
    (date, '"2020-01-01"', "0"),
    (datetime, '"2020-01-01T00:00:00Z"', "0"),
    (timedelta, '"P1D"', "1.5"),
    (Decimal, '"1.50"', ""),
    (UUID, '"12345678-1234-5678-1234-567812345678"', ""),
    (Colour, '"red"', ""),
    (list[int], "[1]", '["1"]'),
    (set[int], "[1]", '["1"]'),
    (tuple[int, bool], "[1, true]", '[1, "yes"]'),
    (dict[str, int], '{"a": 1}', '{"a": "1"}'),
    (int | None, "null", '"1"'),
    (int | bool, "1", '"1"'),
    (Leaf, '{"type": 1, "ref": 2, "metadata": 3, "config": true}', '{"type": "1"}'),
    (Leaf, '{"type": 1}', '{"type": 1, "metadata": "3"}'),
    (Leaf, '{"type": 1}', '{"type": 1, "config": "yes"}'),
    (Tree, '{"name": "a", "branches": [{"name": "b", "leaves": [{"type": 1}]}]}', '{"name": "a", "size": "1"}'),
    (Tree, '{"name": "a"}', '{"name": "a", "branches": [{"name": "b", "leaves": [{"type": "1"}]}]}'),
    (list[Tree], '[{"name": "a"}]', '[{"name": "a", "size": "1"}]'),
    (Point, '{"x": 1, "when": "2020-01-01"}', '{"x": "1", "when": "2020-01-01"}'),
    (Row, '{"n": 1, "colour": "red"}', '{"n": "1", "colour": "red"}'),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        '{"kind": "dog", "loud": true}',
        '{"kind": "cat", "lives": "9"}',
    ),
    (Cat | Dog, '{"kind": "cat", "lives": 9}', '{"kind": "dog", "loud": "yes"}'),
]


@pytest.mark.parametrize("cut", [list, lambda text: [text]], ids=["letters", "whole"])
@pytest.mark.parametrize(("kind", "good", "lax"), TEXTS)
def test_a_stream_judges_as_pydantic_does_in_one_strict_call(kind: Any, good: str, lax: str, cut: Any) -> None:
    *_, last = parse_stream(cut(good), strictly(kind))
    assert last.result == TypeAdapter(kind).validate_json(good, strict=True)
    assert type(last.result) is type(TypeAdapter(kind).validate_json(good))
    if lax:
        TypeAdapter(kind).validate_json(lax)
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_json(lax, strict=True)
        *_, last = parse_stream(cut(lax), strictly(kind))
        with pytest.raises(InvalidOutputError):
            last.result  # noqa: B018  # raises what is wrong


@pytest.mark.parametrize("kind", [*(kind for kind, _, _ in TEXTS), Pair[Leaf | None]])
def test_the_schema_that_the_model_is_told_is_the_same(kind: Any) -> None:
    assert TypeAdapter(strictly(kind)).json_schema() == TypeAdapter(kind).json_schema()


def test_a_type_is_made_once_and_keeps_its_name() -> None:
    assert strictly(Tree) is strictly(Tree)
    assert strictly(Tree).__name__ == "Tree"
    assert strictly(Annotated[int, ["unhashable"]]) is not None


def test_the_model_itself_stays_lax() -> None:
    strictly(Tree)
    assert Tree.model_validate_json('{"name": "a", "size": "1"}').size == 1.0


def test_partials_show_what_strict_reading_took() -> None:
    steps = list(parse_stream(list('{"name": "Ada", "leaves": [{"type": 1}]}'), strictly(Tree)))
    names = [step.partial_result.name for step in steps[:-1] if step.partial_result is not None]
    assert {"A", "Ad", "Ada"} <= set(names)
    assert type(steps[-1].result) is Tree


@pytest.mark.parametrize("row", zoo.ROWS, ids=lambda row: row.name)
def test_every_type_of_the_zoo_is_judged_so(row: zoo.Row) -> None:
    *_, last = parse_stream(list(row.text), strictly(row.type), context=row.context)
    try:
        expected = TypeAdapter(row.type).validate_json(row.text, strict=True, context=row.context)
    except ValidationError:
        with pytest.raises(InvalidOutputError):
            last.result  # noqa: B018  # raises what is wrong
    else:
        assert repr(last.result) == repr(expected)
