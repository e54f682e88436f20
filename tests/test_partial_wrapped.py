"""A value within an object of one key is told as the value itself."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from structstream.errors import InvalidOutputError
from structstream.partial import PartialParser
from structstream.partial.wrapped import unwrap, unwrapped_path, wrapper
from tests.chunking import every_cut


class Pet(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("kind", "inner", "result"),
    [(int, "42", 42), (list[int], "[1, 2]", [1, 2]), (Pet, '{"name": "a"}', Pet(name="a")), (int | None, "null", None)],
)
def test_the_value_is_that_within(kind: Any, inner: str, result: object) -> None:  # Any: types
    for pieces in every_cut(f'{{"result": {inner}}}'):
        parser: PartialParser[Any] = PartialParser(kind, wrap_key="result")  # Any: as above
        for piece in pieces:
            parser.step(piece)
        assert parser.finish() == result


def test_paths_and_snapshots_do_not_tell_of_the_wrapper() -> None:
    parser = PartialParser(list[Pet], wrap_key="result")
    moments = [parser.step(piece) for piece in ['{"res', 'ult": ', '[{"name": "a', '"}', "]", "}"]]
    assert [moment.begun for moment in moments] == [False, False, True, True, True, True]
    shown = [repr(moment.snapshot) for moment in moments]
    assert shown == [
        "None",
        "None",
        "[Partial[Pet](name='a')]",
        "[Pet(name='a')]",
        "[Pet(name='a')]",
        "[Pet(name='a')]",
    ]
    assert [list(moment.completed) for moment in moments] == [[], [], [], ["[0].name", "[0]"], [""], []]
    assert [list(moment.changed) for moment in moments] == [[], [], ["[0].name"], ["[0].name", "[0]"], [""], []]
    assert list(parser.completed()) == ["[0].name", "[0]", ""]
    percents = [moment.percent for moment in moments]
    assert percents == sorted(percents)


def test_an_error_tells_the_path_within() -> None:
    parser = PartialParser(list[Pet], wrap_key="result")
    with pytest.raises(InvalidOutputError) as caught:
        parser.step('{"result": [{"name": 1}]}')
    assert caught.value.path == "[0].name"
    assert caught.value.errors[0]["loc"] == (0, "name")


@pytest.mark.parametrize(
    ("path", "inner"),
    [("", None), ("result", ""), ("result.a", "a"), ("result[0].result", "[0].result"), ('result["a b"]', '["a b"]')],
)
def test_a_path_within(path: str, inner: str | None) -> None:
    assert unwrapped_path(path, "result") == inner


def test_a_wrapper_is_made_once_where_the_type_can_be_a_key() -> None:
    assert wrapper(list[int], "x") is wrapper(list[int], "x")
    assert wrapper(int | str, "x") is not wrapper(str | int, "x")
    assert wrapper(Annotated[int, ["unhashable"]], "x").model_validate({"x": 1}).x == 1
    assert unwrap(None, "x") is None
