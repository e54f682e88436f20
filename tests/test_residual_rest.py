"""The rest of a whole document is what stands in it beyond what is there, as it is written."""

from __future__ import annotations

import json

import pytest

from structstream.residual import read_open, rest_of, written

DOCUMENT = '{"id": 1, "items": [{"n": 1.50}, {"name": "Ada Lovelace \\ud83d\\ude00", "n" : 2}, {"n": 3}], "z": [ ]}'

RESTS: list[tuple[str, str]] = [
    (
        '{"id": 1,',
        '{"rest_1": {"items": [{"n": 1.50}, {"name": "Ada Lovelace \\ud83d\\ude00", "n" : 2}, {"n": 3}], "z": [ ]}}',
    ),
    (
        '{"id": 1, "items": [{"n": 1.50}, {"name": "Ada Love',
        '{"rest_1": "lace 😀", "rest_2": {"n" : 2}, "rest_3": [{"n": 3}], "rest_4": {"z": [ ]}}',
    ),
    (
        '{"id": 1, "items": [{"n": 1.50}, {"n": 2,',
        '{"rest_1": {"name": "Ada Lovelace \\ud83d\\ude00"}, "rest_2": [{"n": 3}], "rest_3": {"z": [ ]}}',
    ),
    (DOCUMENT[:-2], '{"rest_1": [], "rest_2": {}}'),
]


@pytest.mark.parametrize(("text", "rest"), RESTS)
def test_the_rest_of_a_document(text: str, rest: str) -> None:
    found = written(rest_of(DOCUMENT, read_open(text).levels("rest_")))
    assert found == rest
    json.loads(found)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ('{"a": "other"}', '{"a": "some'),
        ('{"a": 1}', '{"a": "some'),
        ('{"b": 1}', '{"a": [1,'),
        ('{"a": {}}', '{"a": [1,'),
        ('{"a": [1]}', '{"a": [1, [2,'),
        ('{"a": [1', '{"a": [1,'),
        ("no JSON", '{"a": [1,'),
    ],
)
def test_another_document_has_no_rest(document: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"place|begins otherwise|not a document"):
        rest_of(document, read_open(text).levels("rest_"))
