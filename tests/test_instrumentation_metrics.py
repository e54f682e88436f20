"""The figures of a stream stand on its outcome where the service is told to take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from structstream.errors import ConfigurationError
from structstream.facts import AttemptBegan, CallbackFailed, Fact, FirstToken, Stepped, StreamBegan, StreamInfo
from structstream.instrumentation.metrics import Meter, total_cost
from structstream.policies import OutputBounds, Policies
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage
from structstream.service import StructuredLLMService
from structstream.testing import drop_at_byte
from tests.edge import request_for, serving, steps_of
from tests.policy import REQUEST

INFO = StreamInfo(1, REQUEST.model, "list", REQUEST)
CALLED = Attempt(1, "openai", "gpt-4o", "native", OutcomeKind.COMPLETE, usage=Usage(100, 20, 30, 5))
ENDED: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, attempts=[CALLED], usage=CALLED.usage, wasted_tokens=3)


def heard(meter: Meter) -> Meter:
    facts: list[Fact] = [
        StreamBegan(10.0),
        AttemptBegan(1, "openai", "gpt-4o", "native", 11.0),
        FirstToken(1, "openai", "gpt-4o", 0.5),
        Stepped(StreamingResponse(raw_chunks=["[1", ", 2"]), 12.0),
        Stepped(StreamingResponse(raw_chunks=["]"]), 12.25),
        Stepped(StreamingResponse(outcome=ENDED), 13.5),
    ]
    for fact in facts:
        meter(INFO, fact)
    return meter


def test_a_stream_is_measured_from_its_facts() -> None:
    found = heard(Meter()).measured(ENDED, 13.5)
    assert (found.duration, found.time_to_first_token) == (3.5, 1.5)
    assert (found.steps, found.deltas, found.characters) == (3, 3, 6)
    assert (found.tokens_per_second, found.characters_per_second) == (10.0, 3.0)
    assert found.gap_p50 == pytest.approx(0.25, rel=0.1)
    assert found.gap_max == 1.25
    assert (found.attempts, found.wasted_tokens, found.usage) == (1, 3, CALLED.usage)
    assert found.cost is None


def test_what_the_consumer_held_on_to_is_not_the_providers() -> None:
    found = heard(Meter()).measured(ENDED, 13.5, held=0.5)
    assert (found.consumer_wait, found.provider_wait) == (0.5, 3.0)


def test_a_stream_that_said_nothing_has_no_rates() -> None:
    found = Meter().measured(replace(ENDED, usage=None), 5.0)
    assert (found.duration, found.steps) == (0.0, 0)
    assert found.tokens_per_second is found.characters_per_second is found.gap_p50 is found.time_to_first_token is None


def test_scores_of_the_caller_are_kept_and_one_that_raises_is_told() -> None:
    def bad(outcome: Outcome[Any]) -> float:
        raise ZeroDivisionError

    told: list[Fact] = []
    meter = Meter(quality={"attempts": lambda outcome: len(outcome.attempts), "bad": bad})
    assert meter.measured(ENDED, 1.0, told.append).quality == {"attempts": 1.0}
    assert told == [CallbackFailed("quality bad", "ZeroDivisionError")]
    assert meter.measured(ENDED, 1.0).quality == {"attempts": 1.0}


FREE = replace(CALLED, number=2, usage=None)
UNKNOWN = replace(CALLED, number=3, model="nobody-knows")


@pytest.mark.parametrize(
    ("attempts", "cost"),
    [([CALLED], 120.0), ([CALLED, CALLED], 240.0), ([CALLED, FREE], 120.0), ([FREE], None), ([CALLED, UNKNOWN], None)],
)
def test_cost_is_that_of_all_attempts_or_unknown(attempts: list[Attempt], cost: float | None) -> None:
    def prices(provider: str, model: str, usage: Usage) -> float | None:
        return float(usage.total_tokens) if (provider, model) == ("openai", "gpt-4o") else None

    assert total_cost(replace(ENDED, attempts=attempts), prices) == cost


def by_token(provider: str, model: str, usage: Usage) -> float | None:
    return float(usage.total_tokens)


SETTINGS: dict[str, Any] = {"metrics": True, "prices": by_token, "quality": {"characters": lambda o: len(o.raw_text)}}


@pytest.mark.anyio
async def test_the_outcome_of_a_stream_holds_its_figures() -> None:
    async with serving(settings=SETTINGS) as (service, _):
        outcome = (await steps_of(service, request_for()))[-1].outcome
    assert outcome is not None
    assert outcome.metrics is not None
    assert outcome.usage is not None
    metrics = outcome.metrics
    assert metrics.characters == len(outcome.raw_text) == metrics.quality["characters"]
    assert (metrics.usage, metrics.cost, metrics.attempts) == (outcome.usage, outcome.usage.total_tokens, 1)
    assert metrics.time_to_first_token is not None
    assert metrics.duration > metrics.time_to_first_token > 0


@pytest.mark.anyio
async def test_a_stream_that_fails_and_one_that_is_left_hold_theirs_too() -> None:
    async with serving(settings=SETTINGS, faults=[drop_at_byte(600)]) as (service, _):
        failed = (await steps_of(service, request_for()))[-1].outcome
        assert failed is not None
        assert failed.metrics is not None
        assert failed.error is not None
        assert failed.error.outcome is failed
        async with service.route_structured_streaming(request_for()) as stream:
            await anext(stream)
        assert stream.outcome is not None
        assert stream.outcome.metrics is not None
        assert stream.outcome.metrics.steps == 1


@pytest.mark.anyio
async def test_no_figures_are_taken_where_nobody_asks() -> None:
    async with serving() as (service, _):
        outcome = (await steps_of(service, request_for()))[-1].outcome
    assert outcome is not None
    assert outcome.metrics is None


@pytest.mark.anyio
@pytest.mark.parametrize(("most", "kind"), [(1e9, "complete"), (0.001, "blocked")])
async def test_the_bound_of_cost_knows_the_prices_of_the_service(most: float, kind: str) -> None:
    policies = Policies(bounds=OutputBounds(max_cost=most))
    async with serving(settings=SETTINGS, policies=policies) as (service, _):
        outcome = (await steps_of(service, request_for()))[-1].outcome
    assert outcome is not None
    assert outcome.kind == kind


@pytest.mark.parametrize("name", ["metrics", "prices", "quality"])
@pytest.mark.parametrize("value", [5, "yes", {"a": 5}])
def test_what_cannot_be_measured_with_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        StructuredLLMService(**{name: value})  # type: ignore[arg-type]  # wrong on purpose
