"""What OpenAI's two simulated dialects have in common."""

from __future__ import annotations

import json
from typing import Any

import pytest

from structstream.testing.dialects.base import BadQuestionError
from structstream.testing.dialects.openai_common import check_strict, count_of, error_body, headers_of, texts_of

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("content", "texts"),
    [("a", ["a"]), ([{"text": "a"}, {"text": 1}, "b", {"image_url": "c"}], ["a"]), (None, []), ({"text": "a"}, [])],
)
def test_texts(content: object, texts: list[str]) -> None:
    assert texts_of(content) == texts


@pytest.mark.parametrize("value", [0, -1, True, "3", 1.5])
def test_a_count_is_at_least_one(value: object) -> None:
    with pytest.raises(BadQuestionError, match="Invalid value for 'n'") as caught:
        count_of({"n": value}, "n")
    assert caught.value.param == "n"
    assert count_of({"n": 3}, "n") == 3
    assert count_of({}, "n") is None


@pytest.mark.parametrize(
    "schema",
    [
        {**CLOSED, "additionalProperties": True},
        {**CLOSED, "required": []},
        {"type": "array", "items": {**CLOSED, "required": []}},
        {"anyOf": [{"type": "null"}, {**CLOSED, "required": []}]},
        {"$defs": {"A": {**CLOSED, "additionalProperties": None}}, "$ref": "#/$defs/A"},
        {**CLOSED, "properties": {"a": {**CLOSED, "required": []}}},
    ],
)
def test_a_schema_that_strict_mode_refuses(schema: dict[str, Any]) -> None:
    with pytest.raises(BadQuestionError, match="Invalid schema for mine") as caught:
        check_strict(schema, "mine", "tools")
    assert caught.value.param == "tools"


@pytest.mark.parametrize("schema", [CLOSED, {"enum": [{"properties": {"a": {}}}]}, {"type": "object"}])
def test_a_schema_that_it_takes(schema: dict[str, Any]) -> None:
    check_strict(schema, "mine", "tools")


@pytest.mark.parametrize(("status", "kind"), [(404, "invalid_request_error"), (429, "requests"), (500, "server_error")])
def test_errors(status: int, kind: str) -> None:
    assert json.loads(error_body(status, "why", param="p", code="c")) == {
        "error": {"message": "why", "type": kind, "param": "p", "code": "c"}
    }


def test_headers_name_the_request() -> None:
    assert dict(headers_of(3))["x-request-id"] == "req_simulated_3"
