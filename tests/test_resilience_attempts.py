"""Attempts: what follows each end, what the caller sees of it, and that nothing that was won is lost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import (
    BadRequestError,
    CircuitOpenError,
    ConfigurationError,
    ConnectionFailedError,
    ContextLengthError,
    FilteredError,
    InvalidOutputError,
    RateLimitedError,
    ServerError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    TruncatedError,
)
from structstream.facts import Replanned, Waited
from structstream.policies import Midstream, RetryPolicy
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call
from structstream.resilience.attempts import attempting
from structstream.resilience.retry import RetryBudget
from structstream.resilience.tally import Tally
from structstream.response import OutcomeKind, StreamingResponse, Usage
from tests.policy import (
    REQUEST,
    Answer,
    Facts,
    FakeProvider,
    Impatient,
    broken,
    continuing,
    drained,
    endpoint_of,
    never,
    outcome_of,
    pausing,
)

pytestmark = pytest.mark.anyio

DOWN = Answer(error=ConnectionFailedError("refused", provider="fake"))
BUSY = Answer(error=RateLimitedError("slow down", provider="fake", status=429, retry_after=7))


class Around:
    """The surroundings of one stream."""

    def __init__(self, provider: FakeProvider, midstream: Midstream = "resume", **changes: Any) -> None:
        self.facts = Facts()
        self.slept: list[float] = []
        self.clock = Impatient()
        self.budget = RetryBudget()
        self.tally = Tally()
        self.layer = attempting(
            **{
                "policy": RetryPolicy(),
                "midstream": midstream,
                "tally": self.tally,
                "budget": self.budget,
                "continuing": continuing,
                "endpoint_of": endpoint_of,
                "tell": self.facts.tell,
                "pause": pausing(self.clock, self.slept),
                "now": self.clock.now,
                "chance": lambda: 0.5,
                **changes,
            }
        )
        self.call: Call = self.layer(provider.call)


def begun(steps: list[StreamingResponse[Any]]) -> list[tuple[int, str, str]]:
    """Where another attempt began: its number, its plan, and how the one before had ended."""
    return [(step.attempt, step.begins.plan, step.begins.ended.value) for step in steps if step.begins is not None]


async def test_a_good_answer_is_one_attempt() -> None:
    provider = FakeProvider(Answer(["[1", ", 2]"], usage=Usage(5, 4)))
    around = Around(provider)
    steps = await drained(around.call)
    outcome = outcome_of(steps)
    assert (outcome.result, len(outcome.attempts), outcome.usage, outcome.wasted_tokens) == (
        "[1, 2]",
        1,
        Usage(5, 4),
        0,
    )
    assert (begun(steps), around.facts, around.slept) == ([], [], [])


async def test_before_anything_was_shown_a_retry_is_invisible() -> None:
    provider = FakeProvider(DOWN, BUSY, Answer(["[1]"]))
    around = Around(provider)
    steps = await drained(around.call)
    assert begun(steps) == []
    assert [attempt.kind.value for attempt in outcome_of(steps).attempts] == ["provider_error"] * 2 + ["complete"]
    assert around.slept == [0.25, 7.25]
    assert [(fact.plan, fact.wait) for fact in around.facts.of(Replanned)] == [("retry", 0.25), ("retry", 7.25)]


@pytest.mark.parametrize(
    ("midstream", "plan", "text", "wasted"),
    [("resume", "resume", "[1, 2, 3]", 0), ("restart", "restart", ", 3]", 2), ("hold", "hold", ", 3]", 2)],
)
async def test_after_something_was_shown_another_attempt_says_so(
    midstream: Midstream, plan: str, text: str, wasted: int
) -> None:
    provider = FakeProvider(broken("[1", ", 2"), Answer([", 3]"], usage=Usage(10, 3)))
    steps = await drained(Around(provider, midstream).call)
    outcome = outcome_of(steps)
    assert begun(steps) == [(2, plan, "incomplete")]
    assert (outcome.result, outcome.wasted_tokens) == (text, wasted)
    # the first reported nothing: 6 characters are 2 tokens, the prompt's 23 are 6
    assert outcome.usage == Usage(16, 5, estimated=True)


async def test_fail_ends_once_something_was_shown_and_only_then() -> None:
    provider = FakeProvider(DOWN, broken("[1"), Answer(["[1]"]))
    steps = await drained(Around(provider, "fail").call)
    outcome = outcome_of(steps)
    assert (outcome.kind, outcome.raw_text, len(provider.requests)) == (OutcomeKind.INCOMPLETE, "[1", 2)


async def test_a_resume_that_cannot_be_starts_over() -> None:
    provider = FakeProvider(broken("[1"), Answer(["[1]"]))
    steps = await drained(Around(provider, continuing=never).call)
    assert begun(steps) == [(2, "restart", "incomplete")]
    assert outcome_of(steps).result == "[1]"


async def test_the_place_from_which_it_goes_on_is_told() -> None:
    provider = FakeProvider(broken("[1"), Answer([", 2]"]))
    steps = await drained(Around(provider, path_of=lambda request: "[1]").call)
    (begins,) = [step.begins for step in steps if step.begins]
    assert (begins.path, begins.reason) == ("[1]", "the connection ended without a finish")


async def test_the_answer_is_not_lost_when_the_last_attempt_never_began() -> None:
    provider = FakeProvider(broken("[1", ", 2", closes={1: ["[0]"]}), DOWN)
    outcome = outcome_of(await drained(Around(provider).call))
    assert outcome.kind is OutcomeKind.PROVIDER_ERROR
    assert (outcome.raw_text, outcome.completed, outcome.last_partial) == ("[1, 2", ("[0]",), "[1, 2")
    assert len(outcome.attempts) == 3
    assert outcome.error is not None
    assert outcome.error.outcome is outcome
    assert outcome.wasted_tokens == 0


async def test_the_best_of_several_starts_is_what_is_saved_and_the_others_are_waste() -> None:
    answers = [broken("[1, 2, 3", usage=Usage(5, 30)), broken("[1", usage=Usage(5, 10)), broken("", usage=Usage(5, 1))]
    outcome = outcome_of(await drained(Around(FakeProvider(*answers), "restart").call))
    assert (outcome.raw_text, outcome.wasted_tokens, outcome.usage) == ("[1, 2, 3", 11, Usage(15, 41))


async def test_a_text_cut_for_its_length_is_continued_beyond_the_retries() -> None:
    cut = TruncatedError("the output limit is reached")
    provider = FakeProvider(*(Answer([f"{n},"], cut) for n in range(5)), Answer(["5]"]))
    around = Around(provider)
    steps = await drained(around.call, replace(REQUEST, max_retries=1))
    assert outcome_of(steps).result == "0,1,2,3,4,5]"
    assert begun(steps) == [(n, "resume", "truncated") for n in range(2, 7)]
    assert around.slept == [0.0] * 5


@pytest.mark.parametrize(
    ("midstream", "retries", "policy"),
    [("restart", 2, RetryPolicy()), ("resume", 0, RetryPolicy()), ("resume", 2, RetryPolicy(continuations=0))],
)
async def test_a_text_cut_for_its_length_is_left_where_nobody_wants_the_rest(
    midstream: Midstream, retries: int, policy: RetryPolicy
) -> None:
    provider = FakeProvider(Answer(["[1"], TruncatedError("cut")))
    steps = await drained(Around(provider, midstream, policy=policy).call, replace(REQUEST, max_retries=retries))
    assert (outcome_of(steps).kind, len(provider.requests)) == (OutcomeKind.TRUNCATED, 1)


async def test_a_lost_answer_whose_rest_is_cut_with_nothing_new_starts_over_as_long_as_there_are_retries() -> None:
    nothing = Answer([], TruncatedError("cut"))
    for retries, kind, requests in ((2, "complete", 4), (1, "truncated", 3), (0, "incomplete", 1)):
        provider = FakeProvider(broken("[1"), nothing, nothing, Answer(["[1]"]))
        steps = await drained(Around(provider).call, replace(REQUEST, max_retries=retries))
        assert (outcome_of(steps).kind.value, len(provider.requests)) == (kind, requests)
        if kind == "complete":
            assert [step.begins.plan for step in steps if step.begins] == ["restart"]


async def test_a_resume_that_brings_nothing_has_a_budget_of_its_own() -> None:
    nothing = Answer([], TruncatedError("cut"))
    provider = FakeProvider(Answer(["[1"], TruncatedError("cut")), nothing)
    outcome = outcome_of(await drained(Around(provider).call, replace(REQUEST, max_retries=9)))
    assert (outcome.kind, outcome.raw_text, len(provider.requests)) == (OutcomeKind.TRUNCATED, "[1", 3)


async def test_lost_streams_that_bring_nothing_start_over_in_the_end() -> None:
    provider = FakeProvider(broken("[1"), broken(), broken(), Answer(["[4]"]))
    steps = await drained(Around(provider).call, replace(REQUEST, max_retries=9))
    assert outcome_of(steps).result == "[4]"
    assert [request.extra.get("rest_of") for request in provider.requests] == [None, "[1", "[1", None]
    assert begun(steps) == [(4, "restart", "incomplete")]


@pytest.mark.parametrize(
    ("retries", "rests"), [(1, [None, "[1"]), (2, [None, "[1", None]), (3, [None, "[1", "[1", None])]
)
async def test_the_last_retry_is_not_spent_on_a_resume_after_one_that_brought_nothing(
    retries: int, rests: list[str | None]
) -> None:
    provider = FakeProvider(broken("[1"), broken(), broken(), broken())
    outcome = outcome_of(await drained(Around(provider).call, replace(REQUEST, max_retries=retries)))
    assert [request.extra.get("rest_of") for request in provider.requests] == rests
    assert (outcome.kind, outcome.raw_text) == (OutcomeKind.INCOMPLETE, "[1")  # and nothing is lost by it


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("no such schema", provider="fake", status=400),
        ContextLengthError("too long", provider="fake", status=400),
        ConfigurationError("this dialect cannot say it"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_rest_that_cannot_be_asked_for_is_asked_for_as_a_whole(error: StructStreamError) -> None:
    provider = FakeProvider(broken("[1"), Answer(error=error), broken("[2"), Answer(["[3]"]))
    around = Around(provider)
    steps = await drained(around.call, replace(REQUEST, max_retries=9))
    assert outcome_of(steps).result == "[3]"
    assert [request.extra.get("rest_of") for request in provider.requests] == [None, "[1", None, None]
    assert [plan for _, plan, _ in begun(steps)] == ["restart", "restart"]


async def test_a_provider_that_is_down_does_not_make_a_resume_tired() -> None:
    provider = FakeProvider(broken("[1"), DOWN, DOWN, DOWN, Answer([", 2]"]))
    outcome = outcome_of(await drained(Around(provider).call, replace(REQUEST, max_retries=9)))
    assert (outcome.result, outcome.wasted_tokens) == ("[1, 2]", 0)


INVALID = InvalidOutputError("must be a number", path="[1]", value='"two"')


async def test_an_invalid_answer_is_asked_for_again_with_what_was_valid() -> None:
    provider = FakeProvider(Answer(["[1, "], INVALID), Answer(["2]"]))
    around = Around(provider, path_of=lambda request: "[1]")
    steps = await drained(around.call)
    assert begun(steps) == [(2, "reask", "invalid")]
    assert (outcome_of(steps).result, outcome_of(steps).wasted_tokens, around.slept) == ("[1, 2]", 0, [0.0])


async def test_an_invalid_answer_that_cannot_go_on_is_told_its_error() -> None:
    provider = FakeProvider(Answer(['[1, "two"'], INVALID), Answer(["[1, 2]"]))
    steps = await drained(Around(provider, continuing=never).call)
    assert begun(steps) == [(2, "reask", "invalid")]
    asked = provider.requests[1].conversation
    assert [turn["role"] for turn in asked] == ["user", "assistant", "user"]
    assert asked[0]["content"] == REQUEST.prompt
    assert all(part in asked[2]["content"] for part in ("[1]", "must be a number", '"two"'))


@pytest.mark.parametrize(
    ("error", "retries", "requests"),
    [
        (BadRequestError("no", provider="fake", status=400), 5, 1),
        (FilteredError("cut"), 5, 1),
        (CircuitOpenError("fake", "large", retry_after=30), 5, 1),
        (CircuitOpenError("fake", "large", retry_after=0.5), 5, 6),
        (StreamTimeoutError("total", configured=1, elapsed=1), 5, 1),
        (StreamTimeoutError("first_token", configured=1, elapsed=1), 5, 6),
        (RateLimitedError("wait", provider="fake", retry_after=3600), 5, 1),
        (ServerError("oops", provider="fake", status=500), 0, 1),
    ],
)
async def test_what_cannot_help_is_not_tried(error: StructStreamError, retries: int, requests: int) -> None:
    provider = FakeProvider(Answer(error=error))
    around = Around(provider)
    outcome = outcome_of(await drained(around.call, replace(REQUEST, max_retries=retries)))
    assert (outcome.error, len(provider.requests), around.budget.retries, around.budget.calls) == (
        error,
        requests,
        0,
        0,
    )


async def test_budgets_of_seconds_and_tokens_end_the_attempts() -> None:
    provider = FakeProvider(BUSY)
    await drained(Around(provider, policy=RetryPolicy(seconds=20)).call, replace(REQUEST, max_retries=9))
    assert len(provider.requests) == 3  # at 0, 7.25 and 14.5 seconds
    provider = FakeProvider(broken("[1", usage=Usage(40, 10)))
    await drained(Around(provider, "restart", policy=RetryPolicy(tokens=99)).call, replace(REQUEST, max_retries=9))
    assert len(provider.requests) == 2


async def test_no_policy_is_one_attempt() -> None:
    provider = FakeProvider(DOWN)
    assert outcome_of(await drained(Around(provider, policy=None).call)).kind is OutcomeKind.PROVIDER_ERROR
    assert len(provider.requests) == 1


async def test_a_deadline_that_leaves_no_time_leaves_the_failure_as_it_was() -> None:
    async def late(seconds: float) -> None:
        raise StreamTimeoutError("total", configured=5, elapsed=5)

    outcome = outcome_of(await drained(Around(FakeProvider(broken("[1")), pause=late).call))
    assert (outcome.kind, outcome.raw_text) == (OutcomeKind.INCOMPLETE, "[1")


async def test_a_caller_who_leaves_during_a_wait_gets_what_was_saved() -> None:
    async def left(seconds: float) -> None:
        raise StreamCancelledError("the caller left")

    outcome = outcome_of(await drained(Around(FakeProvider(broken("[1")), pause=left).call))
    assert (outcome.kind, outcome.raw_text, len(outcome.attempts)) == (OutcomeKind.CANCELLED, "[1", 1)


async def test_the_service_has_a_budget_of_retries_and_gives_back_every_place() -> None:
    clock, budget = Impatient(), RetryBudget()
    going = asyncio.Event()
    seen: list[tuple[int, int]] = []

    async def down(request: StreamingStructuredRequest[Any]) -> Any:
        seen.append((budget.calls, budget.retries))
        if not budget.retries:
            await going.wait()
        async for step in FakeProvider(DOWN).call(request):
            yield step

    streams = [Around(FakeProvider(), budget=budget, pause=pausing(clock)) for _ in range(50)]
    tasks = [asyncio.create_task(drained(each.layer(down))) for each in streams]
    await asyncio.sleep(0)  # each runs as far as its first call
    assert len(seen) == 50
    going.set()
    await asyncio.gather(*tasks)
    assert max(retries for _, retries in seen) == 10  # a fifth of the fifty
    assert len(seen) < 70
    assert (budget.calls, budget.retries) == (0, 0)
    refused = [fact for each in streams for fact in each.facts.of(Waited)]
    assert refused
    assert {(fact.limit, fact.refused) for fact in refused} == {("retries", True)}


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_leaving_at_any_step_closes_the_call_and_gives_the_place_back(at: int) -> None:
    provider = FakeProvider(broken("[1"), Answer(["2", "3]"]))
    around = Around(provider)
    async with aclosing(around.call(REQUEST)) as steps:
        for _ in range(at + 1):
            await anext(steps)
    assert (provider.open, around.budget.calls, around.budget.retries) == (0, 0, 0)


async def test_a_cancelled_task_stays_cancelled() -> None:
    clock = Impatient()
    provider = FakeProvider(Answer(["[1"], before=5), clock=clock)

    async def stuck(seconds: float) -> None:
        await asyncio.Event().wait()

    clock.sleep = stuck  # type: ignore[method-assign]  # nobody wakes it
    around = Around(provider)
    task = asyncio.create_task(drained(around.call))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (provider.open, around.budget.calls) == (0, 0)


async def test_the_idempotency_key_is_that_of_the_body() -> None:
    provider = FakeProvider(DOWN, broken("[1"), DOWN, broken("2"), Answer(["3]"]))
    request = replace(REQUEST, idempotency_key="abc", max_retries=9)
    await drained(Around(provider).call, request)
    keys = [sent.headers["Idempotency-Key"] for sent in provider.requests]
    assert keys == ["abc", "abc", "abc-2", "abc-2", "abc-3"]


async def test_a_key_of_our_own_is_sent_where_the_provider_takes_one() -> None:
    provider = FakeProvider(DOWN, Answer(["[1]"]))
    await drained(Around(provider, takes_key=lambda request: True).call)
    first, second = (sent.headers["Idempotency-Key"] for sent in provider.requests)
    assert first == second
    assert len(first) > 30
    await drained(Around(provider).call)
    assert "Idempotency-Key" not in provider.requests[-1].headers


@pytest.mark.parametrize("header", ["Idempotency-Key", "idempotency-key"])
async def test_a_key_that_the_caller_put_into_the_headers_stands(header: str) -> None:
    provider = FakeProvider(DOWN, Answer(["[1]"]))
    request = replace(REQUEST, headers={header: "mine"})
    await drained(Around(provider, takes_key=lambda request: True).call, request)
    assert [sent.headers for sent in provider.requests] == [{header: "mine"}] * 2
    await drained(Around(provider).call, replace(request, idempotency_key="given"))
    assert provider.requests[-1].headers == {"Idempotency-Key": "given"}


PIECES = st.lists(
    st.tuples(st.text("ab", min_size=1, max_size=4), st.lists(st.sampled_from("xyz"), max_size=2, unique=True)),
    max_size=6,
)


@given(st.lists(PIECES, min_size=1, max_size=4), st.booleans())
def test_hold_never_shows_less_than_was_shown(attempts: list[list[tuple[str, list[str]]]], good: bool) -> None:
    answers = [
        broken(*(text for text, _ in pieces), closes={at: paths for at, (_, paths) in enumerate(pieces)})
        for pieces in attempts
    ]
    if good:
        answers[-1] = replace(answers[-1], error=None)
    around = Around(FakeProvider(*answers), "hold")
    steps = asyncio.run(drained(around.call, replace(REQUEST, max_retries=len(answers) - 1)))
    closed: set[str] = set()
    most: set[str] = set()
    length = longest = 0
    for step in steps:
        if step.begins is not None:
            closed, length = set(), 0
        if step.outcome is None or step.outcome.error is None:
            closed |= set(step.completed)
            length += sum(map(len, step.raw_chunks))
        if step.outcome is None:
            assert closed >= most
            assert length >= longest
            most, longest = most | closed, length
    outcome = outcome_of(steps)
    if good:  # no completion is lost on the way
        said = {path for _, paths in attempts[-1] for path in paths}
        assert closed == said
        assert outcome.result == "".join(text for text, _ in attempts[-1])
