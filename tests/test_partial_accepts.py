"""The kinds that a schema is said to take are those that it takes."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from structstream.partial.accepts import accepts
from structstream.partial.schema import shape_of
from tests.models import Case, cases


class Pet(BaseModel):
    name: str


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Words(RootModel[list[str]]):
    pass


class Branch(BaseModel):
    parent: Branch | None = None


@dataclasses.dataclass
class Point:
    x: int


@dataclasses.dataclass
class Parsed:
    x: int

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:  # Any: raw data
        return {"x": len(data)} if isinstance(data, str) else data


class Loose(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    text: str


def _tag(value: object) -> str:
    return "text" if isinstance(value, str) else "pet"


EVERYTHING = '{["01n'


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        (str, '"0'),
        (int, '"01'),
        (bool, '"01'),
        (None, "n"),
        (date, '"0'),
        (UUID, '"'),
        (list[int], "["),
        (tuple[int, str], "["),
        (set[int], "["),
        (dict[str, int], "{"),
        (Pet, "{"),
        (Point, "{"),
        (Words, "["),
        (Branch, "{"),
        (Pet | None, "{n"),
        (int | list[int], '"01['),
        (Annotated[Cat | Dog, Field(discriminator="kind")], "{"),
        (Any, EVERYTHING),
        (Parsed, EVERYTHING),
        (Annotated[Pet, BeforeValidator(dict)], EVERYTHING),
        (Annotated[Annotated[str, Tag("text")] | Annotated[Pet, Tag("pet")], Discriminator(_tag)], '"0{'),
    ],
)
def test_the_kinds_of_a_type(kind: Any, kinds: str) -> None:  # Any: types
    shape = shape_of(kind)
    assert accepts(shape.schema, shape.definitions) == frozenset(kinds)


_KIND_OF = {"{": "{", "[": "[", '"': '"', "t": "1", "f": "1", "n": "n"}


@given(cases() | st.sampled_from([Case(Loose, '{"text": 1}')]))
def test_what_is_valid_is_of_a_kind_that_is_taken(case: Case) -> None:
    try:
        TypeAdapter(case.type).validate_json(case.text)
    except ValidationError:
        return
    shape = shape_of(case.type)
    assert _KIND_OF.get(case.text.strip()[0], "0") in accepts(shape.schema, shape.definitions)
