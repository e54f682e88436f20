"""The rest, however it is cut and in whatever order it comes, goes on with the document."""

from __future__ import annotations

import json

import pytest

from structstream.continuation import Rest
from structstream.errors import InvalidOutputError, JSONSyntaxError
from structstream.residual import Splice, rest_of
from tests.chunking import every_cut

PREFIX = '{"id": 7, "items": [{"n": 1}, {"n": 2, "name": "Zo'
PLACES = (
    Rest("text", "rest_1", ("items", 1, "name"), text="Zo"),
    Rest("object", "rest_2", ("items", 1), taken=frozenset({"n", "name"})),
    Rest("array", "rest_3", ("items",), count=2),
    Rest("object", "rest_4", (), taken=frozenset({"id", "items"})),
)
WHOLE = {
    "id": 7,
    "items": [{"n": 1}, {"n": 2, "name": 'Zoë "x"', "ok": True, "at": [1, {"b": "}"}]}, {"n": 3}, {"n": -4.5}],
    "by": {"a": [[]]},
    "note": None,
}
REST = {
    "rest_1": 'ë "x"',
    "rest_2": {"ok": True, "at": [1, {"b": "}"}]},
    "rest_3": [{"n": 3}, {"n": -4.5}],
    "rest_4": {"by": {"a": [[]]}, "note": None},
}


def spliced(pieces: list[str]) -> str:
    splice = Splice(PLACES)
    return PREFIX + "".join(splice.feed(piece) for piece in pieces) + splice.finish()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_cut_gives_the_whole_document(indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(REST, indent=indent, ensure_ascii=ascii_only)
    for pieces in every_cut(text):
        assert json.loads(spliced(pieces)) == WHOLE


def test_the_text_goes_on_as_it_comes() -> None:
    splice = Splice(PLACES)
    assert [splice.feed(piece) for piece in ('{"rest_1": "', "ë", "!", '", "rest_2": {"ok": tr', "ue, ")] == [
        "",
        "ë",
        "!",
        '"',
        ',"ok":true',
    ]


@pytest.mark.parametrize("order", [["rest_4", "rest_3", "rest_2", "rest_1"], ["rest_2", "rest_4", "rest_1", "rest_3"]])
def test_a_place_that_comes_early_waits_for_its_turn(order: list[str]) -> None:
    assert json.loads(spliced(list(json.dumps({name: REST[name] for name in order})))) == WHOLE


def test_what_stands_already_is_not_said_twice() -> None:
    again = {**REST, "rest_2": {"n": 5, "ok": True, "at": [1, {"b": "}"}]}, "rest_4": {**REST["rest_4"], "id": 8}}  # type: ignore[dict-item]  # JSON
    assert json.loads(spliced([json.dumps(again)])) == WHOLE


def test_a_place_that_does_not_come_is_closed() -> None:
    assert json.loads(spliced(['{"rest_1": "ë", "rest_4": null}'])) == {
        "id": 7,
        "items": [{"n": 1}, {"n": 2, "name": "Zoë"}],
    }
    assert json.loads(spliced(["{}"])) == {"id": 7, "items": [{"n": 1}, {"n": 2, "name": "Zo"}]}


def test_what_was_not_asked_for_is_passed_over() -> None:
    text = json.dumps({"rest_1": REST["rest_1"], "why": {"rest_3": 1}, **REST})
    assert json.loads(spliced(list(text))) == WHOLE


def test_a_model_that_writes_the_whole_document_again_is_understood() -> None:
    for pieces in every_cut(json.dumps(WHOLE)):
        assert json.loads(spliced(pieces)) == WHOLE


@pytest.mark.parametrize(
    "text",
    ['["a"]', '{"rest_1": 5}', '{"rest_2": []}', '{"rest_3": "a"}', '{"other": 1}', '{"id": 7, "items": []}'],
)
def test_what_is_no_rest_is_invalid(text: str) -> None:
    with pytest.raises(InvalidOutputError):
        spliced([text])


def test_what_is_no_json_is_a_syntax_error() -> None:
    with pytest.raises(JSONSyntaxError):
        spliced(['{"rest_1": "a" "b"'])


def test_an_answer_that_breaks_off_leaves_the_document_open() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(spliced(['{"rest_1": "ë", "rest_2": {"ok": true']))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
def test_the_rest_of_a_whole_document_is_what_comes_behind_what_stands(place: Rest) -> None:
    assert rest_of(WHOLE, place) == REST[place.name or ""]


def test_a_document_that_goes_another_way_has_no_rest() -> None:
    with pytest.raises(InvalidOutputError):
        rest_of({"items": [{}, {"name": "Max"}]}, PLACES[0])
