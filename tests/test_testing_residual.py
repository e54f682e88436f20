"""A simulated model that is asked for the rest gives the rest of its document."""

from __future__ import annotations

import json

from structstream.residual import rests, salvage
from structstream.testing.residual import rest_of_document

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
DOCUMENT = '{"n": -3, "tags": ["one", "two", "three"]}'


def told(prefix: str) -> tuple[object, dict[str, object]]:
    found = salvage(f"{prefix} " if prefix[-1].isdigit() else prefix, grows=True)
    assert found is not None
    plan = rests(found, SCHEMA)
    assert plan is not None
    return {"input": [{"text": f"So far:\n<so_far>\n{prefix}\n</so_far>\nGo on."}]}, dict(plan.schema or {})


def test_the_rest_begins_where_the_text_so_far_ends() -> None:
    answer = json.loads(rest_of_document(DOCUMENT, *told('{"n": -3, "tags": ["one", "tw')))
    assert answer == {"rest_1": "o", "rest_2": ["three"]}


def test_a_number_at_the_end_of_what_stands_is_whole() -> None:
    answer = json.loads(rest_of_document(DOCUMENT, *told('{"n": -3')))
    assert answer == {"rest_1": {"tags": ["one", "two", "three"]}}


def test_any_other_request_gets_the_whole_document() -> None:
    assert rest_of_document(DOCUMENT, {"messages": ["Who?"]}, SCHEMA) == DOCUMENT
    assert rest_of_document(DOCUMENT, {"messages": ["<so_far>\n{\n</so_far>"]}, None) == DOCUMENT
    assert rest_of_document(DOCUMENT, {"messages": ["<so_far>\n{\n</so_far>"]}, SCHEMA) == DOCUMENT
