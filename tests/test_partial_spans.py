"""Where each value stands in the text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from pydantic import BaseModel, Field

from structstream.partial import PartialParser
from structstream.partial.schema import shape_of
from structstream.partial.spans import Spans
from structstream.text import TextBuffer
from tests.models import Case, cases


class Pet(BaseModel):
    """A field that is given by another name."""

    name: str = Field(alias="petName")
    seen: set[int] = set()


def spans(kind: Any, text: str) -> Spans:  # Any: types
    buffer = TextBuffer()
    buffer.append(text)
    return Spans(shape_of(kind), buffer)


def spelt(kind: Any, text: str, path: str) -> list[str] | None:  # Any: as above
    found = spans(kind, text).leaves(path)
    return None if found is None else [text[start:end] for start, end in found]


def test_a_scalar_a_container_and_what_is_read_as_a_whole() -> None:
    text = '[{"petName": "Fe\\u00e9", "seen": [1, 2]}, {"petName": ""}, {"petName": "x'
    assert spelt(list[Pet], text, "[0].name") == ["Fe\\u00e9"]
    assert spelt(list[Pet], text, "[0].seen") == ["[1, 2]"]
    assert spelt(list[Pet], text, "[0]") == ["Fe\\u00e9", "[1, 2]"]
    assert spelt(list[Pet], text, "[1].name") == ['""']
    assert spelt(list[Pet], text, "[2].name") is None
    assert spelt(list[Pet], text, "") is None
    assert spelt(dict[str, Any], '{"a": {}, "b": []}', "a") == ["{}"]


def test_what_is_no_json_any_more_keeps_what_had_closed() -> None:
    assert spelt(list[int], "[1, 2, x", "[1]") == ["2"]


@given(cases(valid=True))
def test_the_text_of_a_scalar_is_its_json(case: Case) -> None:
    if case.repeats:
        return
    parser: PartialParser[Any] = PartialParser(case.type, fail_fast=False)  # Any: as above
    parser.feed(case.text)
    parser.read()
    found = spans(case.type, case.text)
    for path in parser.completed():
        for start, end in found.leaves(path) or ():
            inside = case.text[start:end]
            json.loads(inside if case.text[start - 1 : start] != '"' else f'"{inside}"')
