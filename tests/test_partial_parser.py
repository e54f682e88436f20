"""The parser takes text in any pieces, looks when asked, and keeps what had closed when it fails."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from structstream.errors import ConfigurationError, InvalidOutputError, JSONLimitError, JSONSyntaxError
from structstream.jsonsink import JSONLimits
from structstream.partial import PartialParser


class Pet(BaseModel):
    name: str
    legs: int


class Home(BaseModel, extra="forbid"):
    a: int
    pets: dict[int, Pet] = {}


def test_text_waits_until_somebody_looks() -> None:
    parser = PartialParser(list[int])
    for piece in ("[1", ", 2", ", 3"):
        parser.feed(piece)
    assert parser._reader.scanned == 0
    assert parser.moment().snapshot == [1, 2]
    parser.feed("4]")
    assert parser.done
    assert (parser.text, parser.path) == ("[1, 2, 34]", "")
    assert parser.finish() == [1, 2, 34]


def test_waiting_text_is_read_in_blocks() -> None:
    parser = PartialParser(list[int])
    for _ in range(5000):
        parser.feed("1,") if parser._text.length or parser._waiting else parser.feed("[")
    assert parser._waiting_length < 4096 < parser._reader.scanned


def test_what_waits_is_read_before_a_step() -> None:
    parser = PartialParser(list[int])
    parser.feed("[1,")
    assert parser.step(" 2,").snapshot == [1, 2]
    assert parser.path == "[2]"


FAULTS: list[tuple[Any, str, type[Exception], list[str]]] = [  # Any: types
    (Home, '{"a": 1, "b": 2}', InvalidOutputError, ["a"]),
    (Home, '{"a": "x", "b": 2}', InvalidOutputError, []),
    (Home, '{"a": 1, "pets": {"x": {}}, "c": 1}', InvalidOutputError, ["a"]),
    (Home, '{"pets": {"1": {"name": "a", "legs": []}}, "a": 1}', InvalidOutputError, ["pets[1].name"]),
    (Home, '{"a": 1, "pets": {"1": {"name": "a"}, "2": {}}}', InvalidOutputError, ["a", "pets[1].name"]),
    (
        Home,
        '{"a": 1, "pets": {"1": {"name": "a", "legs": 1}, }}',
        JSONSyntaxError,
        ["a", "pets[1].name", "pets[1].legs", "pets[1]"],
    ),
    (list[Any], "[1, [2], [[3]], 4]", JSONLimitError, ["[0]", "[1][0]", "[1]"]),
    (list[float], "[1, NaN, 2]", JSONSyntaxError, ["[0]"]),
]


@pytest.mark.parametrize(("kind", "text", "error", "closed"), FAULTS)
def test_what_had_closed_is_told_after_a_fault(kind: Any, text: str, error: type[Exception], closed: list[str]) -> None:
    for pieces in ([text], list(text), [text[:9], text[9:]]):
        parser: PartialParser[Any] = PartialParser(kind, limits=JSONLimits(max_depth=2 if kind == list[Any] else 9))
        told: list[str] = []
        with pytest.raises(error):
            told.extend(path for piece in pieces for path in parser.step(piece).completed)
        assert list(parser.completed()) == closed
        assert closed[: len(told)] == told


def test_the_end_decides_where_nothing_was_judged_on_the_way() -> None:
    parser = PartialParser(list[int], fail_fast=False)
    parser.feed('[1, "x"]')
    with pytest.raises(InvalidOutputError) as caught:
        parser.finish()
    assert (caught.value.path, caught.value.value) == ("[1]", '[1, "x"]')


def test_half_a_document_is_no_value() -> None:
    for text, path in (("", ""), ('{"name": "a', "name"), ("[1", ""), ("12e", "")):
        parser: PartialParser[Any] = PartialParser(Any)  # Any: as above
        parser.feed(text)
        with pytest.raises(JSONSyntaxError) as caught:
            parser.finish()
        assert caught.value.path.startswith(path)


def test_lenient_reading_gives_the_value_of_the_repaired_text() -> None:
    parser = PartialParser(Pet, lenient=True)
    parser.feed("Sure!\n```json\n{'name': 'a', legs: 4,} \n```")
    assert parser.finish() == Pet(name="a", legs=4)
    assert Pet.model_validate_json(parser.text) == Pet(name="a", legs=4)
    assert list(parser.completed()) == ["name", "legs", ""]


def test_a_type_that_pydantic_cannot_read_is_refused() -> None:
    class Strange:
        pass

    with pytest.raises(ConfigurationError, match="Strange"):
        PartialParser(Strange)


def test_what_a_prefix_closes_is_there_and_is_not_told_again() -> None:
    whole = '{"a": [1, 2], "b": "text"}'
    for cut in range(1, len(whole)):
        parser: PartialParser[dict[str, Any]] = PartialParser(dict[str, Any], prefix=whole[:cut])
        first = parser.step("")
        assert first.completed == []
        alone: PartialParser[dict[str, Any]] = PartialParser(dict[str, Any])
        assert repr(first.snapshot) == repr(alone.step(whole[:cut]).snapshot)
        parser.feed(whole[cut:])
        assert parser.finish() == {"a": [1, 2], "b": "text"}
        assert parser.text == whole


def test_a_prefix_is_there_before_anything_is_fed() -> None:
    parser: PartialParser[list[int]] = PartialParser(list[int], prefix="[1, 2")
    assert parser.text == "[1, 2"
    assert list(parser.completed()) == ["[0]"]


def test_a_fault_that_is_found_is_found_again_and_what_stood_before_it_is_read_once() -> None:
    parser = PartialParser(dict[str, int], lenient=True)
    for _ in range(3):
        with pytest.raises(JSONSyntaxError, match="expected ':', found 't'") as caught:
            parser.step('{"a": 1, ""t' if parser.text == "" else "")
        assert caught.value.offset == 11
        assert parser.text == '{"a": 1, ""'
