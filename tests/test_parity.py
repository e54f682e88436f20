"""One document, every dialect, every mode: the same sequence of partials, and the same end.

What a simulated provider writes goes through the library's decoder event by event; no socket is opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from structstream.decoder import StreamDecoder
from structstream.providers import DIALECTS, ConcreteMode, route, wrap_key
from structstream.request import StreamingStructuredRequest
from structstream.response import Outcome, OutcomeKind, StreamingResponse
from structstream.testing import Script
from structstream.testing.answer import answer
from structstream.testing.dialects import DIALECTS as WIRES

MODES: tuple[ConcreteMode, ...] = ("native", "tool", "prompted")


@dataclass(frozen=True)
class Row:
    """A dialect: a model that speaks it, and whether its tool calls come in the cuts in which they were written."""

    model: str
    cuts_arguments: bool = True


# A new dialect is one line.
ROWS = {
    "openai_chat": Row("openai/gpt-4o"),
    "openai_responses": Row("openai-responses/gpt-4o"),
    "anthropic": Row("anthropic/claude-sonnet-4-5"),
    "google": Row("google/gemini-2.5-flash", cuts_arguments=False),  # whole, or value by value
}


class Line(BaseModel):
    sku: str
    price: float
    kind: Literal["book", "game"]
    note: str | None


class Order(BaseModel):
    customer: str
    lines: list[Line]
    paid: bool
    total: int


LINES = [
    {"sku": "a-1", "price": 22.25, "kind": "book", "note": None},
    {"sku": 'b "2"\n', "price": 1e3, "kind": "game", "note": "für später 😀 \\ok"},
    {"sku": "", "price": -0.5, "kind": "book", "note": "\u2028x"},
]
ORDER = {"customer": "José 😀 Müller", "lines": LINES, "paid": True, "total": 1021}
TYPES: dict[str, tuple[Any, str]] = {  # Any: any response model
    "a model": (Order, json.dumps(ORDER, ensure_ascii=False)),
    "a model, escaped and indented": (Order, json.dumps(ORDER, indent=2)),
    "a list": (list[Line], json.dumps({"result": LINES})),
    "a number": (int, '{"result": 42}'),
}
SIZES = [1, (2, 9), 10_000]


def steps_of(
    dialect: str, mode: ConcreteMode, response_model: Any, document: str, script: Script, extra: Any = None
) -> list[StreamingResponse[Any]]:
    """What a caller sees of `document` at each event, the last step last."""
    request: StreamingStructuredRequest[Any] = StreamingStructuredRequest(
        response_model=response_model, model=ROWS[dialect].model, prompt="An order", mode=mode, extra=extra or {}
    )
    found = route(request.model)
    call = found.encode(request)
    wire = next(wire for _, wire in WIRES if wire.name == dialect)
    question = wire.read(json.loads(call.content()), call.path)
    said = answer(question, script, [document], "id-1", "seed")
    decoder: StreamDecoder[Any] = StreamDecoder(
        response_model,
        found.provider.decoder(),
        tool=mode == "tool",
        lenient=mode == "prompted",
        wrap_key=wrap_key(response_model),
    )
    steps = [step for event in wire.stream(question, said) for step in decoder.feed(event)]
    return [*steps, decoder.finish()]


def seen(steps: list[StreamingResponse[Any]]) -> list[tuple[str, tuple[str, ...], tuple[str, ...], str]]:
    return [
        (repr(step.partial_result), tuple(step.changed), tuple(step.completed), "".join(step.raw_chunks))
        for step in steps
    ]


def outcome_of(steps: list[StreamingResponse[Any]]) -> Outcome[Any]:
    outcome = steps[-1].outcome
    assert outcome is not None
    return outcome


def test_every_dialect_has_its_row() -> None:
    assert set(ROWS) == set(DIALECTS) == {wire.name for _, wire in WIRES}


@cache
def of_chat(mode: ConcreteMode, name: str, size: int | tuple[int, int]) -> list[StreamingResponse[Any]]:
    """What the others are compared with."""
    return steps_of("openai_chat", mode, *TYPES[name], Script(delta_size=size))


def shown(steps: list[StreamingResponse[Any]]) -> list[str]:
    """The partials, without the steps that show nothing new."""
    return list(dict.fromkeys(repr(step.partial_result) for step in steps))


def in_order(some: list[str], of: list[str]) -> bool:
    """Whether `some` stand in `of`, in the same order."""
    rest = iter(of)
    return all(one in rest for one in some)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", [dialect for dialect in ROWS if dialect != "openai_chat"])
def test_the_same_partials_in_every_dialect(
    dialect: str, mode: ConcreteMode, name: str, size: int | tuple[int, int]
) -> None:
    expected = of_chat(mode, name, size)
    found = steps_of(dialect, mode, *TYPES[name], Script(delta_size=size))
    if mode == "tool" and not ROWS[dialect].cuts_arguments:
        assert in_order(shown(found), shown(of_chat(mode, name, 1)))
    else:
        assert seen(found) == seen(expected)
    outcome, reference = outcome_of(found), outcome_of(expected)
    assert outcome.kind is OutcomeKind.COMPLETE
    assert outcome.result == reference.result
    assert sorted(outcome.completed) == sorted(reference.completed)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", TYPES)
def test_the_same_partials_in_every_mode(name: str, size: int | tuple[int, int]) -> None:
    """Lenient reading waits until it has seen what follows a number or a word: it may show that one step later."""
    native, tool, prompted = (of_chat(mode, name, size) for mode in MODES)
    assert seen(tool) == seen(native)
    assert in_order(shown(prompted), shown(native))
    assert len(shown(native)) - len(shown(prompted)) <= 1
    assert outcome_of(prompted).result == outcome_of(native).result
    assert outcome_of(prompted).completed == outcome_of(native).completed


@pytest.mark.parametrize("asked", [False, True])
def test_arguments_that_come_value_by_value_show_no_partial_that_characters_would_not(asked: bool) -> None:
    response_model, document = TYPES["a model"]
    calling = {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": asked}}}
    found = steps_of("google", "tool", response_model, document, Script(), calling)
    fine = steps_of("openai_chat", "tool", response_model, document, Script(delta_size=1))
    assert in_order(shown(found), shown(fine))
    assert (len(shown(found)) > 5) == asked


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", ROWS)
def test_thinking_and_usage_arrive_in_every_dialect_and_mode(dialect: str, mode: ConcreteMode) -> None:
    response_model, document = TYPES["a model"]
    outcome = outcome_of(steps_of(dialect, mode, response_model, document, Script(thinking="Let me see.")))
    assert outcome.result == Order.model_validate(ORDER)
    assert outcome.thinking == "Let me see."
    assert outcome.response_id == "id-1"
    assert outcome.usage is not None
    assert outcome.usage.output_tokens > 0


@pytest.mark.parametrize("dialect", ROWS)
def test_prose_and_fences_around_the_answer_are_passed_over_in_every_dialect(dialect: str) -> None:
    response_model, document = TYPES["a model"]
    script = Script(before="Certainly! Here it is:\n", fence=True, after="\nAnything else?")
    plain = steps_of("openai_chat", "prompted", response_model, document, script)
    assert seen(steps_of(dialect, "prompted", response_model, document, script)) == seen(plain)
    assert outcome_of(plain).result == Order.model_validate(ORDER)
