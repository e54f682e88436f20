"""Which keys of an answer are the words of its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field
from typing_extensions import TypedDict

from structstream.partial import field_names
from structstream.partial.schema import shape_of


class Told(TypedDict):
    told: int


@dataclass
class Data:
    data: int
    more: list[Told] = field(default_factory=list)


class Odd(BaseModel):
    kind: Literal["default"]
    fields: dict[str, Data] = {"not": Data(1)}
    default: Told


class Aliased(BaseModel):
    kind: Literal["metadata"]
    one: int = Field(alias="One")
    two: int = Field(validation_alias=AliasChoices("Two", AliasPath("2", 0, "deep")))
    again: Aliased | None = None


ODD = {"kind", "fields", "default", "told", "data", "more"}
ALIASED = {"kind", "one", "One", "two", "Two", "2", "deep", "again"}
TYPES: list[tuple[Any, set[str]]] = [
    (int, set()),
    (dict[str, list[Any]], set()),
    (dict[str, Told] | list[Data], {"told", "data", "more"}),
    (Odd, ODD),
    (list[Aliased], ALIASED),
    (tuple[int, Annotated[Odd | Aliased, Field(discriminator="kind")]], ODD | ALIASED),
]


@pytest.mark.parametrize(("response_model", "names"), TYPES, ids=range(len(TYPES)))
def test_the_names_and_aliases_of_all_fields_are_known(response_model: Any, names: set[str]) -> None:
    assert field_names(shape_of(response_model)) == names
