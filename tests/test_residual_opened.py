"""What is open where a text broke off: what closed is kept, half a value is not, a text up to its last character."""

from __future__ import annotations

import json

import pytest

from structstream.residual import Opened, read_open

KEPT: list[tuple[str, str]] = [  # what came, what is kept of it
    ("", ""),
    ("  ", ""),
    ("{", "{"),
    (' { "a', " {"),
    ('{"a"', "{"),
    ('{"a" :', "{"),
    ('{"a": 1', "{"),
    ('{"a": 1 ', '{"a": 1 '),
    ('{"a": 1,', '{"a": 1 '),
    ('{"a": 1, "b": tru', '{"a": 1 '),
    ('{"a": true , "b": nul', '{"a": true'),
    ('{"a": "x", "b": -', '{"a": "x"'),
    ('{"a": [1, {"b": [', '{"a": [1, {"b": ['),
    ('{"a": [1, [2, 3], {"b": {"c": 1}', '{"a": [1, [2, 3], {"b": {"c": 1}'),
    ('{"a": [1, [2, 3], {"b": {"c": 1}},', '{"a": [1, [2, 3], {"b": {"c": 1}}'),
    ('{"a": "', '{"a": "'),
    ('{"a": "Ada Lov', '{"a": "Ada Lov'),
    ('{"a": "b\\', '{"a": "b'),
    ('{"a": "b\\\\', '{"a": "b\\\\'),
    ('{"a": "b\\u00e', '{"a": "b'),
    ('{"a": "b\\u00e9', '{"a": "b\\u00e9'),
    ('{"a": "\\ud83d', '{"a": "'),
    ('{"a": "\\ud83d\\ude0', '{"a": "'),
    ('{"a": "\\ud83d\\ude00', '{"a": "\\ud83d\\ude00'),
    ('{"a": "x", oops', '{"a": "x"'),
    ('{"a": "x\n", "b": 1', '{"a": "x'),
    ('{"a": NaN,', '{"a": NaN'),
]


@pytest.mark.parametrize(("text", "kept"), KEPT)
def test_what_is_kept(text: str, kept: str) -> None:
    assert read_open(text).prefix == kept


@pytest.mark.parametrize(("text", "kept"), KEPT)
def test_what_is_kept_is_kept_again(text: str, kept: str) -> None:
    """A kept number is a closed one, and an attempt that brought nothing loses nothing."""
    assert read_open(kept).prefix == kept
    assert [level.count for level in read_open(kept).levels("rest_")] == [
        level.count for level in read_open(text).levels("rest_")
    ]


def test_the_open_places_are_told_from_the_inside_out() -> None:
    levels = read_open('{"id": 1, "items": [{"n": 1}, {"name": "Ad').levels("rest_")
    assert [(level.kind, level.path, level.name, level.count, set(level.keys)) for level in levels] == [
        ("text", ("items", 1, "name"), "rest_1", 0, set()),
        ("members", ("items", 1), "rest_2", 1, {"name"}),
        ("items", ("items",), "rest_3", 2, set()),
        ("members", (), "rest_4", 2, {"id", "items"}),
    ]
    assert levels[0].so_far == "Ad"


def test_what_is_let_go_is_no_entry_of_what_is_around_it() -> None:
    opened = read_open('{"id": 1, "items": [{"name": "Ad')
    opened.cut(1)
    assert opened.prefix == '{"id": 1 '
    (level,) = opened.levels("rest_")
    assert (level.count, set(level.keys)) == (1, {"id"})


@pytest.mark.parametrize(
    ("text", "holds"), [("{", False), ('{"a": [{', False), ('{"a": "', False), ('{"a": "x', True), ('{"a": [1,', True)]
)
def test_whether_anything_was_won(text: str, holds: bool) -> None:
    assert read_open(text).holds_something is holds


def test_a_document_that_closed_has_nothing_open() -> None:
    opened: Opened = read_open(json.dumps({"a": [1, "x"]}))
    assert opened.done
    assert not opened.containers
