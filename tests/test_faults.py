"""The fault table: each fault, in each dialect, at each place where it can strike, alone and with the policies.

Alone, a stream ends in its outcome with all that had closed; with the policies it is taken up again and ends complete,
in two requests at most. Time is the fake clock's, and nothing sleeps: who waits is told of by an event.

What stands elsewhere: no connection, TLS, DNS and content encodings in `test_transport`; redirects, endless error
bodies, gzip bombs, bytes that are no HTTP, each deadline, slow readers and endless streams in `test_exchange`; every
way of leaving in `test_cancellation`; callbacks that raise in `test_stream`; an event loop that is closed, a fork in
`test_sync`; endless lines in `test_sse`; a cut at *every* byte of generated documents in `test_continuing`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import BaseModel

from structstream import errors
from structstream.facts import AttemptEnded, BreakerChanged, Fact, StreamInfo
from structstream.jsonsink import JSONLimits
from structstream.policies import BreakerPolicy, ConcurrencyPolicy, LimitsPolicy, Policies, RetryPolicy
from structstream.request import StreamingStructuredRequest, Timeouts
from structstream.resilience.retry import RetryBudget
from structstream.response import Outcome, OutcomeKind
from structstream.service import StructuredLLMService
from structstream.sse import SSEDecoder
from structstream.testing import (
    FakeClock,
    Fault,
    RecordedRequest,
    Script,
    SimulatedProvider,
    content_filter,
    cut_at_byte,
    drop_at_byte,
    duplicate_finish,
    empty_stream,
    html_200,
    in_band_error,
    length,
    malformed_chunk,
    no_finish,
    no_tool_call,
    plain_json_200,
    refusal,
    stall_at_byte,
    stall_before_first_byte,
    status,
    text_after_json,
    two_tool_calls,
    unknown_events,
    whole_200,
)
from tests.edge import BARE, KEY
from tests.simulated import connected
from tests.taping import AUTH, rows

pytestmark = pytest.mark.anyio

PROMPT = 0.1  # seconds within which the provider must see that its client has left
SEVERAL_TURNS = 20

# No wait before a retry, and no circuit: the one is drawn at random, the other is for the storms below.
RESUMING = Policies(retry=RetryPolicy(first_wait=0.0), breaker=None)


class Author(BaseModel):
    name: str
    age: int


class Note(BaseModel):
    title: str
    score: float
    tags: list[str]
    author: Author


DOCUMENT = (
    '{"title": "Zo\u00eb says \\"hi\\" \U0001f600", "score": 22.25, "tags": ["engines", "notes"],'
    ' "author": {"name": "Ada", "age": 36}}'
)
NOTE = Note.model_validate_json(DOCUMENT)
WHOLE = ("title", "score", "tags[0]", "tags[1]", "tags", "author.name", "author.age", "author", "")


@dataclass(frozen=True)
class Place:
    """Where a body breaks: behind the delta that brings the last character of `before`, or `within` bytes beyond it.

    Where `before` is empty, `within` counts from the first byte of the body.
    """

    name: str
    before: str
    closed: tuple[str, ...] = ()
    within: int = 0


def until(end: str) -> str:
    return DOCUMENT[: DOCUMENT.index(end) + len(end)]


PLACES = (
    Place("in a string", until("Zo\u00eb sa")),
    Place("in an event", until("Zo\u00eb sa"), within=30),
    Place("in an escape", until("says \\")),
    Place("in a key", until('"sco'), WHOLE[:1]),
    Place("in a number", until("22."), WHOLE[:1]),
    Place("behind a number", until("22.25"), WHOLE[:1]),
    Place("between items", until('"engines", '), WHOLE[:3]),
    Place("in an object", until('"age"'), WHOLE[:6]),
    Place("before the last bracket", until("36}"), WHOLE[:8]),
    Place("before the finish", DOCUMENT, WHOLE),
    Place("before the first byte", ""),
    Place("in the first event", "", within=12),
)

BREAKS: dict[str, Callable[[int], Fault]] = {
    "cut": cut_at_byte,
    "drop": drop_at_byte,
    "reset": stall_at_byte,  # until all was read: a reset may overtake what lies in buffers
    "stall": stall_at_byte,
}

every_dialect = pytest.mark.parametrize("dialect", AUTH)


def request_in(dialect: str, **others: Any) -> StreamingStructuredRequest[Note]:  # Any: whatever a request takes
    return StreamingStructuredRequest(response_model=Note, model=f"{dialect}/m", prompt="A note", **others)


@asynccontextmanager
async def running(
    policies: Policies,
    *,
    observer: Callable[[StreamInfo, Fact], None] | None = None,
    limits: JSONLimits | None = None,
    takes_key: bool = False,
    **provider: Any,  # Any: whatever a SimulatedProvider takes
) -> AsyncIterator[tuple[StructuredLLMService, SimulatedProvider, FakeClock]]:
    """Run a provider and a service that speaks to it in each dialect, both on one clock."""
    clock = FakeClock()
    async with (
        SimulatedProvider(
            **{"document": DOCUMENT, "script": Script(delta_size=1), "clock": clock, **provider}
        ) as simulated,
        StructuredLLMService(
            providers={name: replace(row, takes_key=takes_key) for name, row in rows(simulated.base_url).items()},
            api_keys=dict.fromkeys(AUTH, KEY),
            policies=policies,
            limits=limits,
            observers=() if observer is None else (observer,),
            clock=clock,
        ) as service,
    ):
        yield service, simulated, clock


class Reading:
    """A stream that is read in a task of its own; `until` waits for what it has shown."""

    def __init__(self, service: StructuredLLMService, request: StreamingStructuredRequest[Note]) -> None:
        self.stream = service.route_structured_streaming(request)
        self.text = ""
        self._task = asyncio.create_task(self._read())
        self._more = asyncio.Event()

    async def _read(self) -> Outcome[Note]:
        async for step in self.stream:
            self.text += "".join(step.raw_chunks)
            self._more.set()
        assert self.stream.outcome is not None
        return self.stream.outcome

    async def until(self, length: int) -> None:
        while len(self.text) < length:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 5)
        for _ in range(SEVERAL_TURNS):  # it waits for the next step by then
            await asyncio.sleep(0)

    @property
    def ended(self) -> bool:
        return self._task.done()

    async def end(self) -> Outcome[Note]:
        return await asyncio.wait_for(self._task, 10)


_pieces: dict[str, list[tuple[int, str]]] = {}


async def pieces_of(dialect: str) -> list[tuple[int, str]]:
    """Return, for each event of a good answer, the byte at which it ends and the text that has come by then."""
    if dialect not in _pieces:
        async with running(BARE) as (service, provider, _):
            assert await service.route_structured(request_in(dialect)) == NOTE
            asked = provider.requests[0]
            async with connected(provider) as client:
                client.ask(asked.body, path=f"{asked.path}?{asked.query}")
                await client.head()
                events = await client.chunks()
            decoder, lines = service._plan(f"{dialect}/m")[0].provider.decoder(), SSEDecoder()
            at, text, found = 0, "", []
            for event in events:
                at += len(event)
                said = [each for sse in lines.feed(event) for each in decoder.feed(sse)]
                text += "".join(getattr(each, "text", "") for each in said)
                found.append((at, text[: len(DOCUMENT)]))
            _pieces[dialect] = found
    return _pieces[dialect]


async def offset_of(dialect: str, place: Place) -> int:
    """Return the byte of the body at which a place is."""
    if not place.before:
        return place.within
    return place.within + next(at for at, text in await pieces_of(dialect) if text.startswith(place.before))


async def broken_at(reading: Reading, provider: SimulatedProvider, clock: FakeClock, place: Place, how: str) -> None:
    """Do what a fault leaves to be done."""
    if how in {"stall", "reset"}:
        await provider.wait_for_stall()
        await reading.until(len(place.before))
        if how == "stall":
            await clock.advance(60 if place.before else 120)
        else:
            (connection,) = provider._open
            await connection.reset()


async def assert_closed(provider: SimulatedProvider, ended_at: float) -> RecordedRequest:
    """The connection of the first request is gone, at once."""
    record = await provider.wait_for_disconnect(0, within=PROMPT)
    assert time.monotonic() - ended_at <= PROMPT
    return record


@pytest.mark.parametrize("how", BREAKS)
@every_dialect
async def test_alone_a_broken_stream_ends_in_its_outcome_with_what_had_closed(dialect: str, how: str) -> None:
    for place in PLACES:
        fault = BREAKS[how](await offset_of(dialect, place))
        async with running(BARE, faults=[fault]) as (service, provider, clock):
            reading = Reading(service, request_in(dialect))
            await broken_at(reading, provider, clock, place, how)
            outcome, ended_at = await reading.end(), time.monotonic()
            row = (outcome.kind.value, type(outcome.error), tuple(outcome.completed), outcome.raw_text, place.name)
            kind, error = (
                ("timeout", errors.StreamTimeoutError) if how == "stall" else ("incomplete", errors.IncompleteError)
            )
            assert row == (kind, error, place.closed, place.before, place.name)
            assert outcome.result is None
            assert (len(outcome.attempts), len(provider.requests)) == (1, 1)
            if how != "cut":  # which leaves it in good order
                await assert_closed(provider, ended_at)


@pytest.mark.parametrize("how", BREAKS)
@every_dialect
async def test_with_the_policies_it_goes_on_from_there_and_is_complete(dialect: str, how: str) -> None:
    for place in PLACES:
        fault = BREAKS[how](await offset_of(dialect, place))
        async with running(RESUMING, faults=[fault]) as (service, provider, clock):
            reading = Reading(service, request_in(dialect))
            await broken_at(reading, provider, clock, place, how)
            outcome = await reading.end()
            assert (outcome.kind, outcome.result, place.name) == (OutcomeKind.COMPLETE, NOTE, place.name)
            # What lacks its brackets only is closed without a question.
            asked = 1 if place.closed[-1:] in {("author",), ("",)} else 2
            assert (len(provider.requests), place.name) == (asked, place.name)
            assert len(outcome.attempts) == 2
            assert outcome.wasted_tokens == 0
            if asked == 2:
                named = set(names_in(provider.requests[1].body))
                assert named, place.name
                assert not named & set(place.closed), place.name


@every_dialect
async def test_what_a_lost_stream_cost_is_counted_from_its_text_and_flagged(dialect: str) -> None:
    """Anthropic counts one token at the start: that is no count of what came."""
    place = PLACES[6]
    fault, least = drop_at_byte(await offset_of(dialect, place)), -(-len(place.before) // 4)
    async with running(BARE, faults=[fault]) as (service, _, _clock):
        lost = await Reading(service, request_in(dialect)).end()
        assert lost.usage is not None
        assert (lost.usage.output_tokens, lost.usage.estimated) == (least, True)
    async with running(replace(RESUMING, midstream="restart"), faults=[fault]) as (service, _, _clock):
        outcome = await Reading(service, request_in(dialect)).end()
        assert (outcome.result, outcome.wasted_tokens) == (NOTE, least)
        assert [attempt.usage.estimated for attempt in outcome.attempts if attempt.usage] == [True, False]


@every_dialect
async def test_a_provider_that_takes_keys_gets_one_for_each_logical_call(dialect: str) -> None:
    """The same with each retry of the same body, another for the rest of an answer; and nobody else gets any."""
    faults = [status(503), drop_at_byte(await offset_of(dialect, PLACES[6]))]
    keys: dict[bool, list[str | None]] = {}
    for takes_key in (True, False):
        async with running(RESUMING, faults=faults, takes_key=takes_key) as (service, provider, _):
            for _ in range(2):
                assert (await Reading(service, request_in(dialect)).end()).result == NOTE
            keys[takes_key] = [request.headers.get("idempotency-key") for request in provider.requests]
    first, again, rest, other = (str(key) for key in keys[True])
    assert (again, rest) == (first, f"{first}-2")
    assert first.startswith("structstream-")
    assert other.startswith("structstream-")
    assert other != first
    assert keys[False] == [None] * 4


# What has been said by the time that the last byte of a body is missing: the finish, or not yet.
LAST_BYTE = {
    "openai_chat": dict.fromkeys(BREAKS, "complete"),
    "anthropic": dict.fromkeys(BREAKS, "complete"),
    "openai_responses": {"cut": "complete", "drop": "incomplete", "reset": "incomplete", "stall": "timeout"},
    "google": {"cut": "complete", "drop": "complete", "reset": "complete", "stall": "complete"},
}


@pytest.mark.parametrize("how", BREAKS)
@every_dialect
async def test_a_body_that_lacks_its_last_byte_lacks_nothing_of_the_answer(dialect: str, how: str) -> None:
    """It lacks the finish, where that is one event with the end; a body that ends in good order ends the event."""
    fault = BREAKS[how]((await pieces_of(dialect))[-1][0] - 1)
    for policies, kind in ((BARE, LAST_BYTE[dialect][how]), (RESUMING, "complete")):
        async with running(policies, faults=[fault]) as (service, provider, clock):
            reading = Reading(service, request_in(dialect))
            await broken_at(reading, provider, clock, PLACES[9], how)
            await reading.until(len(PLACES[9].before))
            while not reading.ended:
                await clock.advance(0.05)  # what follows the finish is waited for a moment
                await asyncio.sleep(0)
            outcome, ended_at = await reading.end(), time.monotonic()
            assert (outcome.kind.value, outcome.raw_text, tuple(outcome.completed)) == (kind, DOCUMENT, WHOLE)
            assert outcome.result == (NOTE if kind == "complete" else None)
            assert len(provider.requests) == 1
            if how != "cut":
                await assert_closed(provider, ended_at)


def names_in(value: object) -> Iterator[str]:
    """The names of all properties in the schemas of a request."""
    if isinstance(value, dict):
        if isinstance(found := value.get("properties"), dict):
            yield from found
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


@dataclass(frozen=True)
class Row:
    """A fault that strikes at no byte: its outcome alone, and with the policies, and how many requests that takes."""

    fault: Fault
    kind: str
    error: type[errors.StructStreamError] | None
    ends: str = "complete"
    requests: int = 2
    mode: str = "native"
    closed: tuple[str, ...] = ()


BUSY = {"error": {"message": "Slow down."}}
ROWS = (
    Row(status(400), "provider_error", errors.BadRequestError, "provider_error", 1),
    Row(status(401), "provider_error", errors.AuthenticationError, "provider_error", 1),
    Row(status(403), "provider_error", errors.PermissionDeniedError, "provider_error", 1),
    Row(status(404), "provider_error", errors.NotFoundError, "provider_error", 1),
    Row(status(422), "provider_error", errors.BadRequestError, "provider_error", 1),
    Row(status(429, body=BUSY), "provider_error", errors.RateLimitedError),
    Row(status(500), "provider_error", errors.ServerError),
    Row(status(502, {"content-type": "text/html"}, "<html>Bad gateway</html>"), "provider_error", errors.ServerError),
    Row(status(503), "provider_error", errors.OverloadedError),
    Row(status(529), "provider_error", errors.OverloadedError),
    Row(html_200(), "provider_error", errors.UnexpectedResponseError),
    Row(plain_json_200('{"choices": []}'), "provider_error", errors.UnexpectedResponseError),
    Row(empty_stream(), "incomplete", errors.IncompleteError),
    Row(in_band_error(0), "provider_error", errors.ServerError),
    Row(in_band_error(90), "provider_error", errors.ServerError, closed=WHOLE[:5]),
    Row(malformed_chunk(90), "provider_error", errors.ProtocolError),
    Row(length(40), "truncated", errors.TruncatedError, closed=WHOLE[:1]),
    Row(length(0), "truncated", errors.TruncatedError, "truncated", 1),
    Row(no_finish(), "incomplete", errors.IncompleteError, requests=1, closed=WHOLE),
    Row(status(404, body="<html>Not here</html>"), "provider_error", errors.NotFoundError, "provider_error", 1),
    Row(duplicate_finish(), "complete", None, requests=1, closed=WHOLE),
    Row(unknown_events(), "complete", None, requests=1, closed=WHOLE),
    Row(text_after_json(), "invalid", errors.InvalidOutputError, closed=WHOLE),
    Row(no_tool_call(), "invalid", errors.InvalidOutputError, mode="tool"),
    Row(two_tool_calls(), "complete", None, requests=1, mode="tool", closed=WHOLE),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.fault)[:40])
@every_dialect
async def test_each_other_fault_ends_in_its_outcome_alone_and_in_its_end_with_the_policies(
    dialect: str, row: Row
) -> None:
    request = request_in(dialect, mode=row.mode)
    async with running(BARE, faults=[row.fault]) as (service, provider, _):
        outcome = await Reading(service, request).end()
        assert (outcome.kind.value, type(outcome.error)) == (row.kind, row.error or type(None))
        assert len(provider.requests) == 1
        if row.fault.name != "malformed_chunk":
            assert tuple(outcome.completed) == row.closed
        # Sent to its end, or left: nothing of it is under way any more.
        assert (await provider.wait_for_end(0, within=PROMPT)).ending in {"complete", "disconnected"}
    async with running(RESUMING, faults=[row.fault]) as (service, provider, _):
        outcome = await Reading(service, request).end()
        assert (outcome.kind.value, len(provider.requests)) == (row.ends, row.requests)
        assert outcome.result == (NOTE if row.ends == "complete" else None)


@pytest.mark.parametrize("fault", [refusal(), content_filter(40)], ids=lambda fault: fault.name)
@every_dialect
async def test_a_refusal_and_a_filter_are_final(dialect: str, fault: Fault) -> None:
    """Anthropic has one word for both, and so has Gemini."""
    async with running(RESUMING, faults=[fault]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect)).end()
        one_word = {"anthropic": "refused", "google": "filtered"}
        kind = "refused" if fault.name == "refusal" else "filtered"
        assert (outcome.kind.value, len(provider.requests)) == (one_word.get(dialect, kind), 1)
        assert isinstance(outcome.error, errors.RefusedError | errors.FilteredError)
        assert outcome.result is None
        assert tuple(outcome.completed) == (() if fault.name == "refusal" else WHOLE[:1])


@every_dialect
async def test_a_stall_before_the_first_byte_is_left_at_once_and_asked_again(dialect: str) -> None:
    for policies, kind, requests in ((BARE, "timeout", 1), (RESUMING, "complete", 2)):
        async with running(policies, faults=[stall_before_first_byte()]) as (service, provider, clock):
            reading = Reading(service, request_in(dialect))
            await provider.wait_for_stall()
            await reading.until(0)
            await clock.advance(120)
            outcome, ended_at = await reading.end(), time.monotonic()
            assert (outcome.kind.value, len(provider.requests)) == (kind, requests)
            assert (await assert_closed(provider, ended_at)).ending == "disconnected"


@pytest.mark.parametrize("fault", [empty_stream(), cut_at_byte(0), cut_at_byte(10), drop_at_byte(10)], ids=str)
@every_dialect
async def test_with_retries_off_a_stream_that_breaks_before_a_word_is_one_request(dialect: str, fault: Fault) -> None:
    async with running(RESUMING, faults=[fault]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect, max_retries=0)).end()
        assert (outcome.kind.value, len(provider.requests)) == ("incomplete", 1)


@every_dialect
async def test_what_lacks_no_more_than_its_finish_is_completed_whatever_the_provider_has_come_to(dialect: str) -> None:
    """Nothing is sent, so neither circuit nor pause nor limits nor a wait are in its way."""
    policies = Policies(
        breaker=BreakerPolicy(minimum_calls=1),
        limits=LimitsPolicy(requests_per_minute=1, max_wait=1),
        retry=RetryPolicy(first_wait=30, tokens=1),
    )
    async with running(policies, faults=[no_finish()]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("complete", NOTE, 1)


@every_dialect
async def test_it_is_completed_after_the_last_retry_as_well(dialect: str) -> None:
    at = await offset_of(dialect, PLACES[0])
    async with running(RESUMING, faults=[cut_at_byte(at), no_finish()]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect, max_retries=1)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("complete", NOTE, 2)


@every_dialect
async def test_what_proves_wrong_once_it_is_completed_is_asked_for_again_with_what_was_wrong(dialect: str) -> None:
    document = DOCUMENT.replace("22.25", '"much"')
    async with running(RESUMING, faults=[no_finish()], document=document) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect, fail_fast=False, max_retries=1)).end()
        assert (outcome.kind.value, len(provider.requests)) == ("invalid", 2)
        assert "the value there cannot be accepted" in json.dumps(provider.requests[1].body)


UNSTREAMED = (html_200(), plain_json_200('{"choices": []}'), status(400, body={"error": {"message": "No streaming."}}))


@pytest.mark.parametrize("fault", UNSTREAMED, ids=lambda fault: str(fault)[:40])
@every_dialect
async def test_where_streaming_is_not_to_be_had_the_answer_is_asked_for_in_one_piece(
    dialect: str, fault: Fault
) -> None:
    async with running(RESUMING, faults=[fault]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect, max_retries=0)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("complete", NOTE, 2)
        assert [attempt.streams for attempt in outcome.attempts] == [True, False]


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@every_dialect
async def test_a_whole_answer_where_a_stream_was_due_is_the_answer(dialect: str, mode: str) -> None:
    """A gateway that ignores ``stream``: what it sent is not asked for again."""
    async with running(RESUMING, faults=[whole_200()]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect, mode=mode)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("complete", NOTE, 1)
        assert [attempt.streams for attempt in outcome.attempts] == [False]
        assert outcome.usage is not None
        assert not outcome.usage.estimated


@every_dialect
async def test_a_rest_that_comes_as_a_whole_answer_is_put_behind_what_stands(dialect: str) -> None:
    at = await offset_of(dialect, PLACES[6])
    async with running(RESUMING, faults=[cut_at_byte(at), whole_200()]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("complete", NOTE, 2)


@every_dialect
async def test_a_whole_answer_that_breaks_off_is_none(dialect: str) -> None:
    """It announces its length, so it is known to lack something; then one whole answer is asked for."""
    async with running(BARE, faults=[replace(whole_200(), stop=cut_at_byte(60).stop)]) as (service, provider, _):
        outcome = await Reading(service, request_in(dialect)).end()
        assert (outcome.kind.value, outcome.result, len(provider.requests)) == ("provider_error", None, 1)


class Ends:
    """Hears of attempts that have ended, and of the circuit."""

    def __init__(self) -> None:
        self.retries = [0]  # how many were under way at each end
        self.budget: RetryBudget | None = None
        self.count = 0
        self.states: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if isinstance(fact, AttemptEnded):
            self.count += 1
            self._more.set()
            if self.budget is not None:
                self.retries.append(self.budget.retries)
        if isinstance(fact, BreakerChanged):
            self.states.append(fact.after)

    async def wait_for(self, count: int) -> None:
        while self.count < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 5)
        for _ in range(SEVERAL_TURNS):
            await asyncio.sleep(0)


@every_dialect
@pytest.mark.parametrize("code", [429, 503, 529])
async def test_a_wait_that_the_provider_asks_for_is_kept_to_the_moment(dialect: str, code: int) -> None:
    ends = Ends()
    fault = status(code, {"retry-after": "7"})
    async with running(RESUMING, observer=ends, faults=[fault]) as (service, provider, clock):
        reading = Reading(service, request_in(dialect))
        await ends.wait_for(1)
        await clock.advance(6.9)
        assert len(provider.requests) == 1
        await clock.advance(0.2)
        outcome = await reading.end()
        assert (outcome.kind, outcome.result, len(provider.requests)) == (OutcomeKind.COMPLETE, NOTE, 2)
        assert provider.requests[1].started_at - provider.requests[0].started_at >= 7


@every_dialect
async def test_the_total_deadline_bounds_the_wait_for_the_first_call_and_the_next_model_is_asked(dialect: str) -> None:
    faults = [status(429, {"retry-after": "40"})]
    request = request_in(dialect, timeouts=Timeouts(total=5))
    async with running(RESUMING, faults=faults) as (service, provider, clock):
        await Reading(service, request_in(dialect, max_retries=0)).end()
        alone = await Reading(service, request).end()
        assert (alone.kind.value, len(provider.requests)) == ("unavailable", 1)
        assert "40 s, and the call may wait 5 s" in str(alone.error)
        outcome = await Reading(service, replace(request, fallback_models=[f"{dialect}/other"])).end()
        assert (outcome.kind.value, outcome.result, clock.now()) == ("complete", NOTE, 1000.0)
    policies = Policies(concurrency=ConcurrencyPolicy(start=1))
    async with running(policies, faults=[stall_before_first_byte()]) as (service, provider, clock):
        first, second = Reading(service, request_in(dialect)), Reading(service, request)
        await provider.wait_for_stall()
        await clock.wait_for_sleepers(2)
        while not second.ended:
            await clock.advance(1)
        assert ((await second.end()).kind.value, len(provider.requests), clock.now()) == ("timeout", 1, 1005.0)
        await first.stream.aclose()


DEEP = '{"title": ' + "[" * 2_000_000
MANY = "{" + ",".join(f'"{number}":0' for number in range(200_000)) + "}"
LONG = '{"title": "a", "score": ' + "9" * 2_000_000 + "}"


@pytest.mark.parametrize(
    ("document", "bound"),
    [(DEEP, "max_depth"), (MANY, "max_keys"), (LONG, "max_number_length")],
    ids=["deep", "keys", "number"],
)
async def test_a_bomb_ends_the_request_at_its_bound(document: str, bound: str) -> None:
    """It is longer than what lies in buffers: a body that has come as a whole leaves its connection in good order."""
    script, limits = Script(delta_size=20_000), JSONLimits(max_keys=1000)
    async with running(BARE, limits=limits, document=document, script=script) as (service, provider, _):
        outcome = await Reading(service, request_in("openai_chat", fail_fast=False)).end()
        ended_at = time.monotonic()
        assert outcome.kind is OutcomeKind.INVALID
        assert bound in str(outcome.error)
        await assert_closed(provider, ended_at)


# A provider that is down


async def crowd(service: StructuredLLMService, clock: FakeClock, count: int) -> list[Outcome[Note]]:
    """Ask as often at once, let the time pass that they wait for, and return how they ended."""
    tasks = [asyncio.ensure_future(Reading(service, request_in("openai_chat")).end()) for _ in range(count)]
    while not all(task.done() for task in tasks):
        await asyncio.wait(tasks, timeout=0.01)  # the network's turn
        await clock.advance(0.05)
    return [task.result() for task in tasks]


async def test_an_outage_is_not_made_worse_and_after_it_traffic_comes_back_without_a_burst() -> None:
    ends, outcomes, sent = Ends(), [], []
    down = {number: status(503, body=BUSY) for number in range(10_000)}
    async with running(Policies(), observer=ends, faults=down) as (service, provider, clock):
        ends.budget = service._shared.budget
        for _ in range(6):
            before = len(provider.requests)
            outcomes += await crowd(service, clock, 10)
            sent.append(len(provider.requests) - before)
        assert {outcome.kind.value for outcome in outcomes} == {"provider_error", "unavailable"}
        assert 0 < max(ends.retries) <= 3  # the budget of so few
        assert ends.states[0] == "open"
        assert 10 <= sent[0] <= 10 + 3  # the circuit opens with the tenth that fails
        assert sum(sent[1:]) <= 3 * len([state for state in ends.states if state == "half_open"])  # the probes
        provider._faults.clear()  # it is well again
        while True:
            await clock.advance(1)
            before, states = len(provider.requests), len(ends.states)
            outcomes = await crowd(service, clock, 20)
            assert clock.now() < 1300
            if ends.states[-1] == "closed":
                break
        first = [record.started_at for record in provider.requests[before:]]
        assert "half_open" in ends.states[states - 1 :]
        assert first.count(first[0]) <= 3  # the probes go alone, and before all others
        assert {outcome.kind.value for outcome in await crowd(service, clock, 20)} == {"complete"}
        assert len(provider.requests) - before <= 40
