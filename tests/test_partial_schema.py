"""A type is read into shapes once, and what may be shown of it follows from Pydantic's own schema."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, RootModel, ValidationInfo

from structstream.errors import ConfigurationError
from structstream.partial.schema import shape_of
from structstream.partial.shapes import ArrayPart, MappingPart, RecordPart, Shape, TaggedPart
from tests.test_type_zoo import Aliased, Animal, ByName, Closed, Movie, Open, Pet, Point, Tree


def _plain(value: Any) -> Any:  # Any: a validator's argument
    return value


def _with_info(value: Any, info: ValidationInfo) -> Any:  # Any: as above
    return value


def parts(kind: Any) -> str:  # Any: types
    """What may be shown of a type while it is open, by the first character of its JSON."""
    shape = shape_of(kind)
    found = [
        mark for mark, part in zip('"{[', (shape.text, shape.record, shape.array), strict=True) if part is not None
    ]
    return "".join(found) + ("d" if shape.deferred else "")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (str, '"'),
        (int, ""),
        (str | None, '"'),
        (int | str, '"'),
        (bytes | str, ""),
        (list[int], "["),
        (set[int], ""),
        (dict[str, int] | list[int] | str, '"{['),
        (Pet | dict[str, str], ""),
        (Any, "{["),
        (Annotated[str, AfterValidator(_plain)], ""),
        (Annotated[list[int], AfterValidator(_plain)], ""),
        (Annotated[Pet, AfterValidator(_plain)], "{"),
        (Annotated[Pet, BeforeValidator(_plain)], ""),
        (Annotated[int, AfterValidator(_with_info)], "d"),
        (Annotated[Annotated[int, AfterValidator(_with_info)], BeforeValidator(_plain)], "d"),
        (list[Annotated[int, AfterValidator(_with_info)]], "d"),
        (set[Annotated[int, AfterValidator(_with_info)]], "d"),
        (dict[str, Annotated[int, AfterValidator(_with_info)]], "d"),
        (Annotated[int, AfterValidator(_with_info)] | None, "d"),
        (RootModel[Annotated[int, AfterValidator(_with_info)]], "d"),
        (tuple[int, *tuple[str, ...]], "["),
    ],
)
def test_what_is_shown_while_open(kind: Any, shown: str) -> None:
    assert parts(kind) == shown


def record(kind: Any) -> RecordPart:
    part = shape_of(kind).record
    assert isinstance(part, RecordPart)
    return part


def test_a_field_is_found_by_each_of_its_keys() -> None:
    found = {key: (field.name, field.certain) for key, field in record(Aliased).lookup.items()}
    assert found == {"uno": ("one", True), "dos": ("two", True), "zwei": ("two", False)}
    assert record(Aliased).known == {"uno", "dos", "zwei", "deep"}
    assert {key: field.certain for key, field in record(ByName).lookup.items()} == {"uno": True, "one": False}


def test_extras_and_names() -> None:
    assert [record(kind).extra for kind in (Open, Closed, Pet, Point, Movie)] == [
        "allow",
        "forbid",
        "ignore",
        "ignore",
        "ignore",
    ]
    assert record(Movie).is_mapping
    assert record(Point).names == ("x", "label")
    assert "scale" in record(Point).known


def test_a_recursive_type_is_shown_at_every_depth() -> None:
    tree = shape_of(Tree)
    part = record(Tree)
    left, children = part.by_name["left"].shape, part.by_name["children"].shape
    assert isinstance(left.record, RecordPart)
    assert left.record.by_name["left"].shape.record is left.record
    assert isinstance(children.array, ArrayPart)
    assert children.array.at(3).record is left.record
    assert tree.record is not None


class Loop(RootModel["dict[str, Loop] | list[Loop] | int"]):
    pass


def test_a_recursive_root_model_is_shown_at_every_depth() -> None:
    shape = shape_of(Loop)
    assert isinstance(shape.record, MappingPart)
    assert isinstance(shape.record.value.array, ArrayPart)
    assert shape.record.value.root_model is Loop


def test_tagged_choices() -> None:
    part = shape_of(Animal).record
    assert isinstance(part, TaggedPart)
    assert part.key == "kind"
    assert isinstance(part.choose("dog"), Shape)
    assert part.choose("cow") is None
    assert part.choose(1) is None


def test_strings_and_what_is_done_to_them() -> None:
    class Stripped(BaseModel, str_strip_whitespace=True):
        text: str

    plain, stripped = shape_of(str).text, record(Stripped).by_name["text"].shape.text
    assert plain is not None
    assert (plain.plain, plain.strip) == (True, False)
    assert stripped is not None
    assert (stripped.plain, stripped.strip) == (False, True)


def test_a_type_is_read_once_and_its_spelling_counts() -> None:
    assert shape_of(list[Pet]) is shape_of(list[Pet])
    assert shape_of(int | str) is not shape_of(str | int)
    assert shape_of(Annotated[int, ["unhashable"]]).schema["type"] == "int"


def test_what_pydantic_cannot_read_is_the_callers_to_change() -> None:
    class Strange:
        pass

    with pytest.raises(ConfigurationError, match="Strange"):
        shape_of(list[Strange])
