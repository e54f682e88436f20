"""Fallback: the next model goes on where the one before it stopped, and at last the cache gives what it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    CircuitOpenError,
    ConnectionFailedError,
    ContextLengthError,
    FilteredError,
    IncompleteError,
    InvalidOutputError,
    QuotaExceededError,
    RefusedError,
    StreamCancelledError,
    StreamTimeoutError,
    StructStreamError,
    UnexpectedResponseError,
)
from structstream.facts import Replanned
from structstream.policies import FallbackPolicy, Midstream, RetryPolicy
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call, stack
from structstream.resilience.attempts import attempting
from structstream.resilience.fallback import Alternatives, cannot_stream, falling_back
from structstream.resilience.retry import RetryBudget
from structstream.resilience.tally import Tally
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage, kind_of
from tests.policy import (
    REQUEST,
    Answer,
    Facts,
    FakeProvider,
    Impatient,
    Said,
    broken,
    continuing,
    drained,
    endpoint_of,
    never,
    outcome_of,
    pausing,
)

pytestmark = pytest.mark.anyio

MANY = replace(REQUEST, fallback_models=["fake/small", "other/large"], max_retries=0)
DOWN = Answer(error=ConnectionFailedError("refused", provider="fake"))


class Around:
    def __init__(self, provider: FakeProvider, midstream: Midstream = "resume", **changes: Any) -> None:
        self.facts = Facts()
        self.tally = Tally()
        self.clock = Impatient()
        shared: dict[str, Any] = {"midstream": midstream, "tally": self.tally, "continuing": continuing}
        self.call: Call = stack(
            provider.call,
            falling_back(**{"policy": FallbackPolicy(), "tell": self.facts.tell, **shared, **changes}),
            attempting(
                policy=RetryPolicy(),
                budget=RetryBudget(),
                endpoint_of=endpoint_of,
                tell=self.facts.tell,
                pause=pausing(self.clock),
                now=self.clock.now,
                **shared,
            ),
        )


def models(provider: FakeProvider) -> list[str]:
    return [request.model for request in provider.requests]


async def test_each_model_is_asked_in_its_order_and_none_after_the_first_that_answers() -> None:
    provider = FakeProvider(DOWN, Answer(["[1]"]))
    around = Around(provider)
    steps = await drained(around.call, MANY)
    outcome = outcome_of(steps)
    assert models(provider) == ["fake/large", "fake/small"]
    assert [(attempt.number, attempt.model, attempt.kind.value) for attempt in outcome.attempts] == [
        (1, "large", "provider_error"),
        (2, "small", "complete"),
    ]
    assert [step.begins for step in steps] == [None] * len(steps)  # nothing had been shown
    assert [(fact.plan, fact.model) for fact in around.facts.of(Replanned)] == [("fallback", "fake/small")]


async def test_when_all_have_failed_the_last_error_stands_with_all_attempts() -> None:
    outcome = outcome_of(await drained(Around(FakeProvider(broken("[1"), DOWN, DOWN)).call, MANY))
    assert (outcome.kind, outcome.raw_text, len(outcome.attempts)) == (OutcomeKind.PROVIDER_ERROR, "[1", 3)


@pytest.mark.parametrize(
    ("midstream", "result", "wasted"), [("resume", "[1, 2]", 0), ("restart", ", 2]", 30), ("hold", ", 2]", 30)]
)
async def test_what_was_saved_goes_on_at_the_next_model(midstream: Midstream, result: str, wasted: int) -> None:
    provider = FakeProvider(broken("[1", usage=Usage(9, 30)), Answer([", 2]"], usage=Usage(9, 5)))
    steps = await drained(Around(provider, midstream).call, MANY)
    outcome = outcome_of(steps)
    assert (outcome.result, outcome.wasted_tokens, outcome.usage) == (result, wasted, Usage(18, 35))
    begins = [(step.attempt, step.begins.plan, step.begins.ended) for step in steps if step.begins]
    assert begins == [(2, "fallback", OutcomeKind.INCOMPLETE)]


async def test_a_model_that_took_over_can_itself_be_resumed() -> None:
    provider = FakeProvider(broken("[1"), broken(), broken(", 2"), broken(), Answer([", 3]"]))
    steps = await drained(Around(provider).call, replace(MANY, max_retries=1))
    assert outcome_of(steps).result == "[1, 2, 3]"
    assert [(sent.model, sent.extra.get("rest_of")) for sent in provider.requests] == [
        ("fake/large", None),
        ("fake/large", "[1"),
        ("fake/small", "[1"),
        ("fake/small", "[1, 2"),
        ("other/large", "[1, 2"),
    ]
    assert [(step.attempt, step.begins.plan) for step in steps if step.begins] == [(3, "fallback"), (5, "fallback")]


async def test_a_change_of_model_is_told_though_its_first_attempts_showed_nothing() -> None:
    provider = FakeProvider(broken("[1"), broken(), broken(), Answer(["[2]"]))
    steps = await drained(Around(provider, "restart").call, replace(MANY, max_retries=1))
    assert [step.begins.plan for step in steps if step.begins] == ["fallback"]
    assert models(provider) == ["fake/large"] * 2 + ["fake/small"] * 2


async def test_fail_asks_no_other_model_once_something_was_shown() -> None:
    provider = FakeProvider(broken("[1"), Answer(["[1]"]))
    assert outcome_of(await drained(Around(provider, "fail").call, MANY)).kind is OutcomeKind.INCOMPLETE
    provider = FakeProvider(DOWN, Answer(["[1]"]))
    assert outcome_of(await drained(Around(provider, "fail").call, MANY)).kind is OutcomeKind.COMPLETE


HELPS: list[tuple[StructStreamError, bool]] = [
    (AuthenticationError("no", provider="fake", status=401), True),
    (QuotaExceededError("no credit", provider="fake", status=429), True),
    (ContextLengthError("too long", provider="fake", status=400), True),
    (CircuitOpenError("fake", "large", retry_after=9), True),
    (IncompleteError("ended"), True),
    (InvalidOutputError("no number"), True),
    (StreamTimeoutError("first_token", configured=1, elapsed=1), True),
    (StreamTimeoutError("total", configured=1, elapsed=1), False),
    (RefusedError("no"), False),
    (FilteredError("no"), False),
    (BudgetExceededError("max_cost", configured=1, found=2), False),
    (StreamCancelledError("left"), False),
]


@pytest.mark.parametrize(("error", "helps"), HELPS, ids=lambda value: type(value).__name__)
def test_another_model_is_asked_where_it_may_do_better(error: StructStreamError, helps: bool) -> None:
    alternatives = Alternatives(
        MANY, policy=FallbackPolicy(whole=False), midstream="resume", tally=Tally(), continuing=never
    )
    assert (alternatives.after(Outcome(kind_of(error), error=error)) is not None) is helps


async def test_the_outcomes_that_are_followed_are_the_callers_choice() -> None:
    provider = FakeProvider(Answer(error=RefusedError("no")), Answer(["[1]"]))
    policy = FallbackPolicy(on=frozenset({OutcomeKind.REFUSED}))
    assert outcome_of(await drained(Around(provider, policy=policy).call, MANY)).kind is OutcomeKind.COMPLETE


PAGE = UnexpectedResponseError("expected JSON, found an HTML page", provider="fake", status=200)


async def test_a_stream_that_is_none_is_asked_for_in_one_piece() -> None:
    provider = FakeProvider(Answer(error=PAGE), Answer(["[1]"]))
    around = Around(provider)
    assert outcome_of(await drained(around.call, MANY)).kind is OutcomeKind.COMPLETE
    assert [(sent.model, sent.enable_streaming) for sent in provider.requests] == [
        ("fake/large", True),
        ("fake/large", False),
    ]
    assert [fact.plan for fact in around.facts.of(Replanned)] == ["whole"]


async def test_one_whole_answer_is_asked_for_once_a_model() -> None:
    provider = FakeProvider(Answer(error=PAGE))
    await drained(Around(provider).call, MANY)
    assert [(sent.model, sent.enable_streaming) for sent in provider.requests] == [
        (model, streams) for model in ("fake/large", "fake/small", "other/large") for streams in (True, False)
    ]
    provider = FakeProvider(Answer(error=PAGE))
    await drained(Around(provider, policy=FallbackPolicy(whole=False)).call, MANY)
    assert len(provider.requests) == 3


@pytest.mark.parametrize(
    ("error", "text", "cannot"),
    [
        (BadRequestError("Your organization must be verified to stream this model", provider="x"), "", True),
        (BadRequestError("no such parameter", provider="x"), "", False),
        (UnexpectedResponseError("expected an event stream, found JSON", provider="x", status=200), "", True),
        (IncompleteError("ended"), "", False),
        (IncompleteError("ended"), "[1", False),
        (ConnectionFailedError("refused", provider="x"), "", False),
    ],
)
def test_a_stream_that_is_none_is_known_by_its_error(error: StructStreamError, text: str, cannot: bool) -> None:
    assert cannot_stream(Outcome(kind_of(error), error=error, raw_text=text)) is cannot


async def test_a_stream_that_broke_before_a_word_is_no_stream_that_cannot_be_had() -> None:
    """Who turned retries off meant one request."""
    provider = FakeProvider(broken(), Answer(["[1]"]))
    outcome = outcome_of(await drained(Around(provider).call, replace(REQUEST, max_retries=0)))
    assert (outcome.kind, len(provider.requests)) == (OutcomeKind.INCOMPLETE, 1)


def test_a_redirect_leads_away_for_whole_answers_too() -> None:
    moved = UnexpectedResponseError("a redirect", provider="x", status=302)
    moved.retryable = False
    assert not cannot_stream(Outcome(OutcomeKind.PROVIDER_ERROR, error=moved))


async def test_another_body_goes_out_under_another_key() -> None:
    provider = FakeProvider(Answer(error=PAGE), DOWN, DOWN, DOWN)
    await drained(Around(provider).call, replace(MANY, idempotency_key="k"))
    keys = [sent.headers["Idempotency-Key"] for sent in provider.requests]
    assert keys == ["k", "k-model2", "k-model3", "k-model4"]


def kept_steps() -> Sequence[StreamingResponse[Any]]:
    attempt = Attempt(1, "cache", "large", "cache", OutcomeKind.COMPLETE, usage=Usage())
    outcome: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, result=[7], raw_text="[7]", attempts=(attempt,))
    return [StreamingResponse(Said("[7"), ["[7"]), StreamingResponse(Said("[7]"), ["]"], outcome=outcome)]


async def cached(request: StreamingStructuredRequest[Any]) -> Sequence[StreamingResponse[Any]] | None:
    return kept_steps() if request.model == "fake/large" else None


@pytest.mark.parametrize("shown", [False, True])
async def test_at_last_a_kept_answer_is_taken_and_marked(shown: bool) -> None:
    provider = FakeProvider(broken("[1", usage=Usage(5, 5)) if shown else DOWN, DOWN)
    steps = await drained(Around(provider, cached=cached).call, MANY)
    outcome = outcome_of(steps)
    assert (outcome.result, outcome.attempts[-1].provider, outcome.attempts[-1].number) == ([7], "cache", 4)
    assert outcome.wasted_tokens == (5 if shown else 0)
    assert [step.begins.plan for step in steps if step.begins] == (["cache"] if shown else [])
    assert [step.attempt for step in steps][-2:] == [4, 4]


@pytest.mark.parametrize(
    ("answer", "policy"),
    [(DOWN, FallbackPolicy(cached=False)), (Answer(error=FilteredError("no")), FallbackPolicy())],
)
async def test_a_kept_answer_is_not_taken_where_nobody_wants_it(answer: Answer, policy: FallbackPolicy) -> None:
    around = Around(FakeProvider(answer), policy=policy, cached=cached)
    assert outcome_of(await drained(around.call, REQUEST)).error is not None


async def test_without_a_kept_answer_the_failure_stands() -> None:
    async def nothing(request: StreamingStructuredRequest[Any]) -> None:
        return None

    outcome = outcome_of(await drained(Around(FakeProvider(DOWN), cached=nothing).call, MANY))
    assert outcome.kind is OutcomeKind.PROVIDER_ERROR
