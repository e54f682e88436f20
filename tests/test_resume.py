"""An answer that broke off goes on where it stopped: the laws, over generated types, documents and every cut."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from structstream.answer import AnswerReader
from structstream.decoder import StreamDecoder
from structstream.errors import ConfigurationError, InvalidOutputError
from structstream.events import Finished, StreamEnd, TextDelta
from structstream.partial import PartialParser
from structstream.providers import route, wrap_key
from structstream.request import StreamingStructuredRequest
from structstream.response import Outcome, OutcomeKind
from structstream.resume import continued_request
from tests.models import Case, cases, cuts
from tests.resuming import answer_to, asked_again, continued, document_of, gone_on
from tests.walk import same


def valid(case: Case) -> tuple[str, Any] | None:  # Any: a value of any type
    """The document of a case on the wire and its value; None where it has none, or where a key comes twice."""
    if case.repeats:
        return None
    try:
        return document_of(case.type, case.text), TypeAdapter(case.type).validate_json(case.text)
    except (ValidationError, ConfigurationError):
        return None


@given(cases(valid=True))
def test_cut_anywhere_and_gone_on_with_the_end_is_that_of_the_uncut_one(case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document, value = found
    for cut in range(len(document) + 1):
        continuation = continued(case.type, document[:cut])
        if continuation is None:
            continue  # nothing was won: a new answer is asked for
        assert not list(asked_again(continuation))
        parser = gone_on(case.type, continuation, [answer_to(continuation, document)])
        assert same(parser.finish(), value)
        assert parser.text.startswith(continuation.prefix)


@given(cases(valid=True))
def test_what_had_closed_is_kept_and_told_once(case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document, _ = found
    for cut in range(0, len(document) + 1, 3):
        before: PartialParser[Any] = PartialParser(case.type, wrap_key=wrap_key(case.type))  # Any: of any type
        before.feed(document[:cut])
        before.read()
        closed = list(before.completed())
        continuation = continued(case.type, document[:cut])
        if continuation is None:
            assert not closed
            continue
        answer = answer_to(continuation, document)
        after: PartialParser[Any] = gone_on(case.type, continuation, [])
        told = [path for piece in ["", answer] for path in after.step(piece).completed]
        assert list(after.completed())[: len(closed)] == closed
        assert not {path for path in told if path} & set(closed)


@given(st.data(), cases(valid=True))
def test_how_the_rest_was_cut_and_repaired_decides_nothing(data: st.DataObject, case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document, value = found
    continuation = continued(case.type, document[: data.draw(st.integers(0, len(document)))])
    if continuation is None or not continuation.asks:
        return
    answer = answer_to(continuation, document)
    for lenient in (False, True):
        parser = gone_on(case.type, continuation, data.draw(cuts(answer)), lenient=lenient)
        assert same(parser.finish(), value)
    again = gone_on(case.type, continuation, data.draw(cuts(document)))
    assert same(again.finish(), value)


@given(st.data(), cases(valid=True))
def test_what_goes_on_can_be_gone_on_with(data: st.DataObject, case: Case) -> None:
    found = valid(case)
    if found is None:
        return
    document, value = found
    continuation = continued(case.type, document[: data.draw(st.integers(0, len(document)))])
    if continuation is None or not continuation.asks:
        return
    answer = answer_to(continuation, document)
    cut = gone_on(case.type, continuation, [answer[: data.draw(st.integers(0, len(answer)))]])
    second = continued(case.type, cut.text)
    assert second is not None
    assert second.prefix.startswith(continuation.prefix)
    assert same(gone_on(case.type, second, [answer_to(second, document)]).finish(), value)


# --- a value that closes invalid ---


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("it must be even")
    return value


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    price: Annotated[int, AfterValidator(_even)]
    kind: Literal["a", "b"] = "a"


class Range(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Order(BaseModel):
    id: int
    lines: list[Line] = []
    ranges: list[Range] = []
    note: Annotated[str, Field(max_length=3)] = ""


REFUSED: list[tuple[str, str, str]] = [  # what came, what is kept of it, the path that is told
    (
        '{"id": 1, "lines": [{"name": "x", "price": 3}, {"name": "y"',
        '{"id": 1, "lines": [{"name": "x"',
        "lines[0].price",
    ),
    (
        '{"id": 1, "lines": [{"name": "x", "price": 2}, {"name": "y", "kind": "c",',
        '{"id": 1, "lines": [{"name": "x", "price": 2}, {"name": "y"',
        "lines[1].kind",
    ),
    ('{"id": 1, "lines": [{"name": "x"}, ', '{"id": 1, "lines": [{"name": "x"', "lines[0].price"),
    ('{"id": 1, "lines": [{"name": "x", "size": 2}, ', '{"id": 1, "lines": [{"name": "x"', "lines[0].size"),
    (
        '{"id": 1, "ranges": [{"low": 1, "high": 2}, {"low": 3, "high": 2}, ',
        '{"id": 1, "ranges": [{"low": 1, "high": 2}',
        "ranges[1]",
    ),
    ('{"id": 1, "note": "long", ', '{"id": 1 ', "note"),
    ('{"id": 1, "ranges": {"low": 1}, ', '{"id": 1 ', "ranges"),
]


@pytest.mark.parametrize(("text", "kept", "path"), REFUSED)
def test_a_refused_value_is_asked_for_again_and_what_was_valid_before_it_is_kept(
    text: str, kept: str, path: str
) -> None:
    parser = PartialParser(Order)
    with pytest.raises(InvalidOutputError) as caught:
        parser.step(text)
    continuation = continued(Order, text, caught.value)
    assert continuation is not None
    assert (continuation.prefix, caught.value.path) == (kept, path)
    told = continuation.messages[-1]["content"]
    assert all(word in told for word in (path, caught.value.problem, str(caught.value.value)))
    assert not list(asked_again(continuation))
    assert gone_on(Order, continuation, [""]).text == kept


def test_a_refused_value_that_waits_for_the_end_is_found_as_well() -> None:
    text = '{"id": 1, "lines": [{"name": "x", "price": 3}], "note": ""}'
    parser = PartialParser(Order, fail_fast=False)
    parser.feed(text)
    with pytest.raises(InvalidOutputError) as caught:
        parser.finish()
    continuation = continued(Order, text, caught.value)
    assert continuation is not None
    assert continuation.prefix == '{"id": 1, "lines": [{"name": "x"'


def test_where_nothing_before_it_was_valid_the_whole_is_asked_for_again() -> None:
    text = '{"low": 3, "high": 2}'
    parser = PartialParser(Range)
    with pytest.raises(InvalidOutputError) as caught:
        parser.step(text)
    continuation = continued(Range, text, caught.value)
    assert continuation is not None
    assert (continuation.prefix, continuation.levels, continuation.schema) == ("", (), None)
    assert continuation.messages[0] == {"role": "assistant", "content": text}
    assert "low is above high" in continuation.messages[1]["content"]
    assert gone_on_from_reader(Range, continuation, '{"low": 1, "high": 2}').result == Range(low=1, high=2)


# --- what is said, and where there is nothing to say ---


def asked(text: str, **outcome: Any) -> StreamingStructuredRequest[Order] | None:  # Any: fields of an Outcome
    request = StreamingStructuredRequest(response_model=Order, model="openai/gpt-4o", prompt="Who?")
    return continued_request(request, Outcome(**{"kind": OutcomeKind.INCOMPLETE, "raw_text": text, **outcome}))


@pytest.mark.parametrize("text", ["", "{", '{"id"', '{"id": 1', '{"note": "', '{"lines": [{', "no JSON"])
def test_where_nothing_was_won_there_is_nothing_to_go_on_with(text: str) -> None:
    assert asked(text) is None


@pytest.mark.parametrize(
    "text",
    ['{"id": 1, "lines": [], "ranges": [], "note": ""', '{"id": 1, "lines": [], "ranges": [], "note": ""}'],
)
def test_where_only_brackets_are_missing_nothing_is_asked_for(text: str) -> None:
    request = asked(text)
    assert request is not None
    assert request.continuation is not None
    assert not request.continuation.asks
    assert request.conversation == ({"role": "user", "content": "Who?"},)
    outcome = gone_on_from_reader(Order, request.continuation, "")
    assert (outcome.kind, outcome.result) == (OutcomeKind.COMPLETE, Order(id=1))


def test_what_was_read_to_its_end_and_found_wrong_is_not_gone_on_with() -> None:
    assert asked('{"id": 1} and more', kind=OutcomeKind.INVALID) is None


def test_the_model_is_shown_what_is_kept_and_told_what_is_missing() -> None:
    request = asked('{"id": 1, "lines": [{"name": "Ada Lov')
    assert request is not None
    assert request.continuation is not None
    said, told = request.conversation[-2:]
    assert said == {"role": "assistant", "content": '{"id": 1, "lines": [{"name": "Ada Lov'}
    assert told["role"] == "user"
    schema = request.continuation.schema or {}
    assert all(f"- {name}: {rest['description']}" in told["content"] for name, rest in schema["properties"].items())
    assert request.continuation.path == "lines[0].name"


def test_of_a_long_answer_the_model_is_shown_the_end() -> None:
    text = json.dumps({"id": 1, "lines": [{"name": "x" * 300, "price": 2}] * 4})[:-2]
    request = StreamingStructuredRequest(response_model=Order, model="openai/gpt-4o", prompt="Who?")
    found = continued_request(request, Outcome(OutcomeKind.TRUNCATED, raw_text=text), max_shown=100)
    assert found is not None
    assert found.continuation is not None
    said, told = found.conversation[-2:]
    assert said["content"] == text[-100:]
    assert f"The first {len(text) - 100} characters of it are left out" in told["content"]
    assert found.continuation.prefix == text


# --- through the reader of answers ---


def gone_on_from_reader(kind: Any, continuation: Any, answer: str, **events: Any) -> Outcome[Any]:  # Any: of any type
    """The outcome of an attempt whose whole text is `answer`."""
    reader: AnswerReader[Any] = AnswerReader(
        kind,
        lenient=False,
        wrap_key=wrap_key(kind),
        limits=None,
        context=None,
        fail_fast=True,
        attempt=2,
        continuation=continuation,
    )
    reader.add(answer)
    if answer:
        reader.ended = True
    outcome = reader.finish(None).outcome
    assert outcome is not None
    return outcome


def decoded(text: str, *events: Any, tool: bool = False) -> Outcome[Order]:  # Any: events of the provider
    """The outcome of an attempt that goes on from `text` and says `events`."""
    request = asked(text)
    assert request is not None
    decoder = StreamDecoder(
        Order, route("openai/gpt-4o").provider.decoder(), tool=tool, continuation=request.continuation
    )
    decoder.feed_events(list(events))
    outcome = decoder.finish().outcome
    assert outcome is not None
    return outcome


KEPT = '{"id": 1, "lines": [{"name": "Ad'
REST = '{"rest_1": "a", "rest_2": {"price": 2}, "rest_3": [], "rest_4": {"note": "x"}}'
ENDS: dict[str, tuple[tuple[Any, ...], OutcomeKind]] = {  # Any: as above
    "said and finished": ((TextDelta(REST), Finished("stop"), StreamEnd()), OutcomeKind.COMPLETE),
    "finished too early": ((TextDelta(REST[:20]), Finished("stop"), StreamEnd()), OutcomeKind.INVALID),
    "cut by the length": ((TextDelta(REST[:20]), Finished("length"), StreamEnd()), OutcomeKind.TRUNCATED),
    "cut behind its last level": ((TextDelta(REST[:-1]), Finished("length"), StreamEnd()), OutcomeKind.COMPLETE),
    "cut off": ((TextDelta(REST[:20]),), OutcomeKind.INCOMPLETE),
    "nothing said": ((Finished("stop"), StreamEnd()), OutcomeKind.INVALID),
    "nothing came": ((), OutcomeKind.INCOMPLETE),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_attempt_that_goes_on_ends_as_any_other_and_never_holds_less(name: str) -> None:
    events, kind = ENDS[name]
    outcome = decoded(KEPT, *events)
    assert outcome.kind is kind
    assert outcome.raw_text.startswith(KEPT)
    assert outcome.completed[0] == "id"
    assert outcome.last_partial.id == 1
    assert (outcome.result is not None) is (kind is OutcomeKind.COMPLETE)
    if name.startswith("nothing"):
        assert outcome.raw_text == KEPT
        assert name == "nothing came" or "no JSON came" in str(outcome.error)


def test_a_rest_that_comes_as_text_instead_of_the_tool_call_is_taken() -> None:
    outcome = decoded(KEPT, TextDelta(f"Sure: {REST}"), Finished("stop"), StreamEnd(), tool=True)
    assert outcome.result == Order.model_validate({"id": 1, "lines": [{"name": "Ada", "price": 2}], "note": "x"})
