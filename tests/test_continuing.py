"""An answer that broke off is taken up again wherever it broke: the end is that of the uncut one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from structstream.continuation import Continuation
from structstream.continuing import asked, continued
from structstream.errors import ConfigurationError, IncompleteError, InvalidOutputError
from structstream.partial import PartialParser
from structstream.providers import model_schema, route
from structstream.request import StreamingStructuredRequest
from structstream.residual import Splice
from structstream.response import Outcome, OutcomeKind
from structstream.testing.residual import rest_of_document
from tests.models import Case, cases
from tests.walk import same


def request_of(kind: Any) -> StreamingStructuredRequest[Any]:
    return StreamingStructuredRequest(response_model=kind, model="openai/gpt-4o", prompt="Who?")


def continuation_of(kind: Any, text: str, **outcome: Any) -> Continuation | None:
    found = continued(request_of(kind), Outcome(OutcomeKind.INCOMPLETE, raw_text=text, **outcome))
    return None if found is None else found.continuation


def taken_up(kind: Any, continuation: Continuation, document: str, cut: Sequence[int] = ()) -> Any:
    """What a resumed attempt ends with, whose answer is cut at the places given."""
    parser: PartialParser[Any] = PartialParser(
        kind,
        wrap_key=model_schema(kind).wrap,
        prefix=continuation.prefix,
        splice=Splice(continuation.places),
    )
    if continuation.schema is not None:
        answer = rest_of_document(document, {"messages": [continuation.said]}, continuation.schema)
        edges = [0, *sorted(at % (len(answer) + 1) for at in cut), len(answer)]
        for start, end in itertools.pairwise(edges):
            parser.step(answer[start:end])
    return parser.finish()


def is_clean(continuation: Continuation) -> bool:
    """Whether what is asked for holds nothing that had closed."""
    properties = {} if continuation.schema is None else continuation.schema["properties"]
    for place in continuation.places:
        schema = properties.get(place.name, {})
        for branch in schema.get("anyOf", [schema]):
            if place.taken & branch.get("properties", {}).keys() or place.taken & set(branch.get("required", ())):
                return False
    return True


@given(st.data(), cases(valid=True))
@settings(max_examples=40)
def test_cut_anywhere_the_end_equals_that_of_the_uncut_answer(data: st.DataObject, case: Case) -> None:
    assume(not case.repeats)
    try:
        schema = model_schema(case.type)
        value = TypeAdapter(case.type).validate_json(case.text)
        request_of(case.type)
    except (ConfigurationError, ValidationError):
        assume(False)
        return
    document = case.text if schema.wrap is None else f'{{"{schema.wrap}": {case.text}}}'
    places = data.draw(st.lists(st.integers(0, 400), max_size=4))
    for at in range(len(document)):
        continuation = continuation_of(case.type, document[:at])
        if continuation is not None:
            assert document.startswith(continuation.prefix)
            assert is_clean(continuation)
            assert same(taken_up(case.type, continuation, document, places), value), (document[:at], continuation)


class Job(BaseModel):
    company: str
    years: int


class Person(BaseModel):
    name: str
    age: int
    jobs: list[Job]


TEXT = '{"name": "Ada", "age": 36, "jobs": [{"company": "Engines", "years": 3}, {"company": "Notes", "years": 4}]}'


def refused(kind: Any, text: str) -> Continuation | None:
    """What follows an answer of which a value was refused, with the error that said so."""
    parser: PartialParser[Any] = PartialParser(kind)
    parser.feed(text)
    with pytest.raises(InvalidOutputError) as caught:
        parser.read()
    return continuation_of(kind, parser.text, kept_text=parser.kept_text, error=caught.value)


def test_nothing_won_means_nothing_to_go_on_with() -> None:
    assert continuation_of(Person, "") is None
    assert continuation_of(Person, '{"na') is None
    assert continuation_of(int, '{"result": 4') is None
    assert continuation_of(Person, TEXT) is None


def test_an_answer_that_lacks_its_brackets_only_needs_nobody() -> None:
    continuation = continuation_of(Job, '{"company": "Engines", "years": 3 ')
    assert continuation is not None
    assert continuation.schema is None
    assert taken_up(Job, continuation, "") == Job(company="Engines", years=3)


@pytest.mark.parametrize(("kind", "text"), [(Person, TEXT), (int, '{"result": 4}'), (list[int], '{"result": [1, 2]} ')])
def test_an_answer_that_lacks_its_finish_only_needs_nobody(kind: Any, text: str) -> None:
    parser: PartialParser[Any] = PartialParser(kind, wrap_key=model_schema(kind).wrap)
    parser.step(text)
    continuation = continuation_of(kind, text, completed=[""], error=IncompleteError("no finish"))
    assert continuation is not None
    assert (continuation.prefix, continuation.schema) == (text, None)
    assert taken_up(kind, continuation, "") == parser.finish()
    assert continuation_of(kind, text, completed=[""], error=InvalidOutputError("no")) is None


def test_a_value_that_was_refused_starts_over_and_the_model_learns_why() -> None:
    continuation = refused(Person, '{"name": "Ada", "age": "old", "jobs": [')
    assert continuation is not None
    assert continuation.prefix == '{"name": "Ada"'
    assert "age" in continuation.said
    assert '"old"' in continuation.said
    assert "valid integer" in continuation.said


def test_an_object_that_was_refused_as_a_whole_starts_over_as_a_whole() -> None:
    continuation = refused(
        Person, '{"name": "Ada", "age": 3, "jobs": [{"company": "a", "years": 1}, {"company": "b"}, '
    )
    assert continuation is not None
    assert continuation.prefix.endswith('{"company": "a", "years": 1}')


def test_a_key_that_was_refused_is_not_kept() -> None:
    class Closed(BaseModel, extra="forbid"):
        a: int
        b: int

    continuation = refused(Closed, '{"a": 1, "c": 2}')
    assert continuation is not None
    assert continuation.prefix == '{"a": 1'


def test_what_goes_over_the_wire_is_the_question_for_the_rest() -> None:
    request = StreamingStructuredRequest(
        response_model=Person, model="openai/gpt-4o", prompt="Who was she?", system="Be brief."
    )
    outcome: Outcome[Person] = Outcome(OutcomeKind.TRUNCATED, raw_text=TEXT[:60])
    again = continued(request, outcome)
    assert again is not None
    on_wire = asked(again)
    roles = [message["role"] for message in on_wire.conversation]
    assert roles == ["system", "user", "user"]
    assert "<so_far>" in on_wire.conversation[-1]["content"]
    body = route(request.model).encode(on_wire).body
    schema = body["response_format"]["json_schema"]
    assert schema["name"] == "Person_rest"
    assert set(schema["schema"]["properties"]) == {"rest_1", "rest_2"}
    assert "age" not in json.dumps(schema)


def test_a_request_that_goes_on_is_another_than_the_first() -> None:
    request = request_of(Person)
    again = continued(request, Outcome(OutcomeKind.TRUNCATED, raw_text=TEXT[:60]))
    assert again is not None
    assert again.fingerprint() != request.fingerprint()
    assert "Ada" not in repr(again)
    assert asked(request) is request
