"""Resuming over real HTTP: in every dialect and mode, cut at a byte, the end is that of the uncut answer."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from structstream.errors import InvalidOutputError
from structstream.request import StreamingStructuredRequest
from structstream.response import Outcome, OutcomeKind
from structstream.resume import continued_request
from structstream.testing import Script
from structstream.testing.dialects.base import Question
from tests.resuming import MODELS, outcome_of, speaking, tried

pytestmark = pytest.mark.anyio

MODES = ("native", "tool", "prompted")
SAMPLED = 10  # bytes of each body in the suite; scripts/resume cuts at every one


class Book(BaseModel):
    kind: Literal["book"]
    title: str
    pages: int


class Game(BaseModel):
    kind: Literal["game"]
    title: str
    ages: list[int] = []


class Order(BaseModel):
    customer: str
    lines: list[Annotated[Book | Game, Field(discriminator="kind")]]
    prices: dict[str, float]
    note: str | None = None
    paid: bool


LINES: list[dict[str, Any]] = [  # Any: JSON
    {"kind": "book", "title": 'José\'s "😀" \\ für\n', "pages": 321},
    {"kind": "game", "title": "Go", "ages": [8, 10, 99]},
    {"kind": "book", "title": "", "pages": 1},
]
ORDER = {"customer": "Ada Lovelace", "lines": LINES, "prices": {"a b": 1.5, "é": -2e3}, "note": None, "paid": True}
CASES: dict[str, tuple[Any, str]] = {  # Any: any response model
    "an order": (Order, json.dumps(ORDER, ensure_ascii=False)),
    "a list": (list[Book], json.dumps({"result": [line for line in LINES if line["kind"] == "book"]})),
}


def value_of(name: str) -> Any:  # Any: as above
    kind, document = CASES[name]
    whole = json.loads(document)
    return TypeAdapter(kind).validate_python(whole.get("result", whole))


def request_for(dialect: str, mode: Any, name: str) -> StreamingStructuredRequest[Any]:
    # The strict schemas of two providers know no free keys: there the mapping is asked for in another way.
    return StreamingStructuredRequest(response_model=CASES[name][0], model=MODELS[dialect], prompt="Who?", mode=mode)


def is_sayable(dialect: str, mode: str, name: str) -> bool:
    return not (mode == "native" and name == "an order" and dialect != "google")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("name", CASES)
async def test_cut_at_a_byte_it_ends_as_if_it_had_not_been(name: str, dialect: str, mode: str) -> None:
    if not is_sayable(dialect, mode, name):
        pytest.skip("a mapping cannot be said in this provider's strict schemas, with or without resuming")
    request = request_for(dialect, mode, name)
    async with speaking(dialect, document=CASES[name][1], script=Script(delta_size=5)) as (service, provider):
        whole = await tried(service, request)
        size = provider.requests[0].bytes_sent
        assert (whole.outcome.result, len(provider.requests)) == (value_of(name), 1)
        plans = set()
        for byte in sorted(Random(f"{name}/{dialect}/{mode}").sample(range(size), SAMPLED)):
            provider.requests.clear()
            done = await tried(service, request, f"cut_at_byte({byte})")
            assert done.outcome.kind is OutcomeKind.COMPLETE, (byte, done.outcome.error)
            assert done.outcome.result == value_of(name)
            assert len(provider.requests) <= 2
            assert not done.asked_again
            plans |= set(done.plans)
        comes_whole = dialect == "google" and mode == "tool"
        assert "resume" in plans or comes_whole


@pytest.mark.parametrize("mode", ["native", "tool"])
async def test_a_background_response_is_sent_on_from_where_its_stream_was_lost(mode: str) -> None:
    name = "a list"
    request = replace(request_for("openai_responses", mode, name), extra={"background": True})
    script = Script(delta_size=5, thinking="Let me see.")
    async with speaking("openai_responses", document=CASES[name][1], script=script) as (service, provider):
        await tried(service, request)
        size = provider.requests[0].bytes_sent
        methods = set()
        for byte in range(0, size, max(1, size // 40)):
            provider.requests.clear()
            done = await tried(service, request, f"cut_at_byte({byte})")
            assert done.outcome.result == value_of(name), (byte, done.outcome.error, done.outcome.raw_text)
            assert done.outcome.raw_text == CASES[name][1]
            assert len(done.plans) == 1
            methods |= {(*done.plans, *(record.method for record in provider.requests[1:]))}
        # Where only the end of the stream was lost, the answer is whole without it.
        assert methods == {("restart", "POST"), ("resume", "GET"), ("resume",)}


async def test_a_stream_that_is_lost_twice_and_then_for_good_is_gone_on_with_by_its_rest() -> None:
    name = "an order"
    request = replace(request_for("openai_responses", "tool", name), extra={"background": True})
    async with speaking("openai_responses", document=CASES[name][1], script=Script(delta_size=5)) as (
        service,
        provider,
    ):
        lost = await outcome_of(service, replace(request, headers={"x-simulate": "cut_at_byte(5000)"}))
        first = continued_request(request, lost)
        assert first is not None
        assert provider.requests[-1].method == "POST"
        again = await outcome_of(service, replace(first, headers={"x-simulate": "cut_at_byte(900)"}))
        assert provider.requests[-1].method == "GET"
        assert (again.kind, again.response_id) == (OutcomeKind.INCOMPLETE, lost.response_id)
        assert again.raw_text.startswith(lost.raw_text)
        assert len(again.raw_text) > len(lost.raw_text)
        second = continued_request(first, again)
        assert second is not None
        other = await outcome_of(service, replace(second, model="openai-responses/gpt-4.1"))
        assert provider.requests[-1].method == "POST"  # another model cannot send it on
        provider._stored.clear()
        gone = await outcome_of(service, second)
        assert gone.kind is OutcomeKind.PROVIDER_ERROR
        third = continued_request(second, gone)
        assert third is not None
        last = await outcome_of(service, third)
        assert [record.method for record in provider.requests[-2:]] == ["GET", "POST"]
        assert other.result == last.result == value_of(name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", MODELS)
async def test_an_answer_that_the_output_limit_cut_goes_on(dialect: str, mode: str) -> None:
    name = "a list"
    async with speaking(dialect, document=CASES[name][1], script=Script(delta_size=5)) as (service, provider):
        done = await tried(service, request_for(dialect, mode, name), "length(60)")
        assert done.outcome.result == value_of(name)
        assert len(provider.requests) == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", MODELS)
async def test_a_refused_value_is_asked_for_again_with_what_was_wrong(dialect: str, mode: str) -> None:
    good = CASES["a list"][1]
    bad = good.replace("321", '"many"')

    def document(question: Question) -> str:
        return good if question.answered else bad

    async with speaking(dialect, document=document, script=Script(delta_size=5)) as (service, provider):
        request = request_for(dialect, mode, "a list")
        refused = await outcome_of(service, request)
        assert isinstance(refused.error, InvalidOutputError)
        again = continued_request(request, refused, refused=refused.error)
        assert again is not None
        assert again.continuation is not None
        assert again.continuation.path == "[0]"
        assert (await outcome_of(service, again)).result == value_of("a list")
        sent = json.dumps(provider.requests[1].body, ensure_ascii=False)
        assert refused.error.problem in sent
        assert "[0].pages" in sent


async def test_where_only_brackets_are_missing_no_call_is_made() -> None:
    whole = CASES["a list"][1]
    async with speaking("openai_chat", document=whole) as (service, provider):
        lost = Outcome[Any](OutcomeKind.INCOMPLETE, raw_text=whole[:-1])
        request = request_for("openai_chat", "native", "a list")
        again = continued_request(request, lost)
        assert again is not None
        found = await outcome_of(service, replace(again, continuation=again.continuation))
        ended = continued_request(request, replace(lost, raw_text=whole))
        assert ended is not None
        free = await outcome_of(service, ended)
        assert found.result == free.result == value_of("a list")
        assert (free.kind, free.attempts[-1].kind) == (OutcomeKind.COMPLETE, OutcomeKind.COMPLETE)
        assert not provider.requests
