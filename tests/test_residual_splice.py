"""An answer to a residual request becomes the text that continues the kept one, the same for any cut."""

from __future__ import annotations

import json

import pytest

from structstream.errors import InvalidOutputError, JSONSyntaxError, StructStreamError
from structstream.residual import Splice, read_open
from tests.chunking import every_cut

BROKEN = '{"id": 1, "items": [{"n": 1}, {"name": "Ada Lov'
WHOLE = {"id": 1, "items": [{"n": 1}, {"name": "Ada Lovelace", "n": 2}, {"n": 3}], "note": "x"}
TEXT, MEMBERS, ITEMS, ROOT = (
    '"rest_1": "elace"',
    '"rest_2": {"n": 2}',
    '"rest_3": [{"n": 3}]',
    '"rest_4": {"note": "x"}',
)
GOOD: dict[str, str] = {
    "in order": f"{{{TEXT}, {MEMBERS}, {ITEMS}, {ROOT}}}",
    "backwards": f"{{{ROOT}, {ITEMS}, {MEMBERS}, {TEXT}}}",
    "mixed": f"{{{ITEMS}, {TEXT}, {ROOT}, {MEMBERS}}}",
    "with more": f'{{"thought": {{"rest_1": 0}}, {TEXT}, {MEMBERS}, "x": [1], {ITEMS}, {ROOT}}}',
    "with what was there": f'{{{TEXT}, "rest_2": {{"name": "B", "n": 2}}, {ITEMS}, "rest_4": {{"id": 7, "note":"x"}}}}',
    "given twice": f'{{{TEXT}, {MEMBERS}, {ITEMS}, {ROOT}, "rest_1": "again"}}',
    "held and given twice": f'{{{ROOT}, {TEXT}, "rest_4": {{"note": "y"}}, {MEMBERS}, {ITEMS}}}',
    "the whole again": json.dumps(WHOLE),
}


def splice(text: str = BROKEN, *, lenient: bool = False) -> Splice:
    return Splice(read_open(text).levels("rest_"), lenient=lenient)


def through(pieces: list[str], made: Splice) -> str:
    return "".join(made.feed(piece) for piece in pieces) + made.finish()


@pytest.mark.parametrize("name", GOOD)
def test_the_two_are_one_document_however_the_answer_was_cut(name: str) -> None:
    for pieces in every_cut(GOOD[name]):
        assert json.loads(BROKEN + through(pieces, splice())) == WHOLE
        assert json.loads(BROKEN + through(pieces, splice(lenient=True))) == WHOLE


def test_what_came_so_far_decides_what_is_there_so_far() -> None:
    for answer in GOOD.values():
        for end in range(1, len(answer)):
            whole = splice().feed(answer[:end])
            made = splice()
            assert "".join(map(made.feed, answer[:end])) == whole


def test_a_text_streams_on_and_its_escapes_stay_as_they_are_written() -> None:
    made = splice('{"a": "x')
    assert [made.feed(piece) for piece in ['{"rest_1": "y\\u00', "e9", '\\n"', ', "rest_2": {}}']] == [
        "y\\u00",
        "e9",
        '\\n"',
        "}",
    ]


FIRST: list[tuple[str, str, object]] = [  # what is kept, the answer, the whole
    ("{", '{"rest_1": {"a": 1}}', {"a": 1}),
    ('{"a": [', '{"rest_1": [1, 2], "rest_2": {}}', {"a": [1, 2]}),
    ('{"a": [', '{"rest_1": [ ], "rest_2": {"b": 1}}', {"a": [], "b": 1}),
    ('{"a": [1 ', '{"rest_1": [\n], "rest_2": {"a": 2}}', {"a": [1]}),
    ('{"a": {', '{"rest_1": {"a": {"b": 1}}, "rest_2": {"b": 2}}', {"a": {"a": {"b": 1}}, "b": 2}),
]


@pytest.mark.parametrize(("kept", "answer", "whole"), FIRST)
def test_commas_stand_where_they_belong(kept: str, answer: str, whole: object) -> None:
    for pieces in every_cut(answer):
        assert json.loads(kept + through(pieces, splice(kept))) == whole


def test_a_level_that_misses_nothing_closes_by_itself() -> None:
    text, members, items, root = read_open('{"a": [{"b": "x').levels("rest_")
    free = [
        text,
        *(type(level)(level.kind, level.path, "", level.keys, level.count) for level in (members, items, root)),
    ]
    assert through(['{"rest_1": "y"}'], Splice(free)) == 'y"}]}'
    assert through([""], Splice(free[1:])) == "}]}"
    assert through([""], Splice(free[1:], lenient=True)) == "}]}"


BAD: dict[str, tuple[str, type[StructStreamError], str]] = {
    "no JSON": ('{"rest_1": "elace" oops', JSONSyntaxError, "expected"),
    "no object": ('["elace"]', InvalidOutputError, "the rest is to be an object"),
    "another kind": ('{"rest_1": ["elace"]}', InvalidOutputError, "rest_1 is to be a text"),
    "null for a list": (f'{{{TEXT}, {MEMBERS}, "rest_3": null, {ROOT}}}', InvalidOutputError, "rest_3 is to be a list"),
    "a level left out": (f"{{{TEXT}, {MEMBERS}, {ROOT}}}", InvalidOutputError, "lacks rest_3"),
    "another document": ('{"items": [], "note": "x"}', InvalidOutputError, "neither the rest nor the same again"),
    "nothing": ("{}", InvalidOutputError, "neither the rest nor the same again"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_rest_is_refused_with_all_that_stood_before_it(name: str) -> None:
    answer, error, words = BAD[name]
    salvaged = set()
    for pieces in every_cut(answer):
        made = splice()
        got: list[str] = []
        with pytest.raises(error, match=words):
            got.extend(map(made.feed, pieces))
        salvaged.add("".join(got) + made.salvaged)
    assert len(salvaged) == 1


def test_lenient_reading_repairs_the_answer() -> None:
    answer = f"Sure!\n```json\n{{'rest_1': 'elace', {MEMBERS}, {ITEMS}, rest_4: {{note: 'x',}},}}\n```"
    assert json.loads(BROKEN + through(list(answer), splice(lenient=True))) == WHOLE
