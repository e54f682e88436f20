"""What an attempt goes on with shows no part of an answer, and the wire sees the schema that was given."""

from __future__ import annotations

from structstream.continuation import AskedFor, Continuation, Rest
from structstream.providers import model_schema


def test_a_repr_shows_nothing_of_the_answer() -> None:
    place = Rest("text", "rest_1", ("name",), text="in confidence")
    found = Continuation('{"name": "in confidence', (place,), None, "in confidence", "name")
    assert "confidence" not in repr(found) + repr(place)
    assert "name" in repr(found)


def test_nothing_stands_in_a_place_without_keys_and_items() -> None:
    assert Rest("object", None, ()).is_empty
    assert not Rest("object", None, (), taken=frozenset({"a"})).is_empty
    assert not Rest("array", None, (), count=1).is_empty


def test_a_given_schema_goes_over_the_wire_under_its_name() -> None:
    given = {"type": "object", "properties": {"rest_1": {"type": "string"}}, "required": ["rest_1"]}
    found = model_schema(AskedFor("Order_rest", given))
    assert (found.name, found.plain, found.wrap) == ("Order_rest", given, None)
    assert found.strict is not None
    assert found.strict["additionalProperties"] is False
