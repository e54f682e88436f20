"""What a schema alone says of the length of its values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from structstream.partial.schema import shape_of
from structstream.partial.sizes import entry_size, items_of, likely, size_of
from tests.models import Branch, Cat, Dog


class Note(BaseModel):
    """A name that says something."""

    id: str
    description: str
    short: Annotated[str, Field(max_length=2)]
    rank: int = 1


def size(kind: Any) -> float:  # Any: types
    return size_of(shape_of(kind))


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        (bool, list[bool]),
        (int, str),
        (Annotated[str, Field(max_length=4)], str),
        (str, Annotated[str, Field(min_length=100)]),
        (Annotated[list[int], Field(max_length=1)], list[int]),
        (list[int], Annotated[list[int], Field(min_length=9)]),
        (Literal["a", "b"], Literal["a", "a much longer word"]),
        (list[int], dict[str, int]),
        (tuple[int, int], tuple[int, int, str]),
        (int, int | str),
        (Cat, list[Cat]),
        (Annotated[Cat | Dog, Field(discriminator="kind")], list[Cat | Dog]),
    ],
)
def test_more_is_longer(shorter: Any, longer: Any) -> None:
    assert 0 < size(shorter) < size(longer)


def test_the_name_of_a_field_says_something_of_its_text() -> None:
    fields = shape_of(Note).record.by_name  # type: ignore[union-attr]  # a model's
    sizes = {name: size_of(field.shape, name) for name, field in fields.items()}
    assert sizes["short"] < sizes["id"] < sizes["description"]


def test_a_recursive_type_is_taken_to_end() -> None:
    assert size(Branch) < 200


def test_a_size_is_counted_once_a_shape() -> None:
    shape = shape_of(list[Note])
    assert size_of(shape) == shape.size
    shape.size = 5.0
    assert size_of(shape) == 5.0
    shape.size = None


def test_entries_and_chances() -> None:
    shape = shape_of(Annotated[list[int], Field(min_length=2, max_length=8)])
    assert items_of(shape.schema, shape.definitions) == 5
    assert entry_size("name", 10.0) == 20.0
    fields = shape_of(Note).record.by_name  # type: ignore[union-attr]  # a model's
    assert likely(fields["rank"].shape.schema) < likely(fields["id"].shape.schema) == 1.0
