"""Spans and metrics are named as the conventions name them, and hold no content unless it is asked for."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from structstream.errors import MissingDependencyError

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry is an extra")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    Fact,
    FirstToken,
    Hedged,
    Judged,
    Replanned,
    Stepped,
    StepsJoined,
    StreamBegan,
    StreamEnded,
    StreamInfo,
    Waited,
)
from structstream.instrumentation.otel import DURATION_BOUNDS, TOKEN_BOUNDS, OpenTelemetryObserver
from structstream.metrics import StreamingMetrics
from structstream.policies import Policies, RetryPolicy
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage
from structstream.testing import status
from tests.edge import request_for, serving, steps_of
from tests.policy import REQUEST

INFO = StreamInfo(1, "openai/gpt-4o", "list", REQUEST)


class Exported:
    """An observer, and what it exports."""

    def __init__(self, **options: Any) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.observer = OpenTelemetryObserver(self.tracers, meters, **options)

    def span(self, name: str) -> ReadableSpan:
        return next(span for span in self.spans.get_finished_spans() if span.name == name)

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.anyio
async def test_a_stream_is_a_span_and_each_attempt_one_below_it() -> None:
    exported = Exported()
    settings = {"observers": [exported.observer]}
    policies = Policies(retry=RetryPolicy(first_wait=0.001, longest_wait=0.001))
    async with serving(settings=settings, policies=policies, faults=[status(503)]) as (service, _):
        with exported.tracers.get_tracer("test").start_as_current_span("caller") as caller:
            await steps_of(service, request_for(temperature=0.5, max_tokens=900, stop="\n\n"))
    chat = exported.span("chat simulated/gpt-4o")
    assert chat.kind is SpanKind.CLIENT
    assert chat.parent == caller.get_span_context()
    assert chat.status.status_code is StatusCode.UNSET
    found = attributes(chat)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "simulated",
        "gen_ai.request.model": "simulated/gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 900,
        "gen_ai.request.stop_sequences": ("\n\n",),
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": ("stop",),
        "structstream.outcome": "complete",
        "structstream.attempts": 2,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["gen_ai.usage.output_tokens"] > 0
    happened = [event.name for event in chat.events]
    assert [name for name in happened if name != "structstream.concurrency"] == ["structstream.retry"]
    assert "structstream.concurrency" in happened  # it follows the provider, who was overloaded
    for number, code in ((1, StatusCode.ERROR), (2, StatusCode.UNSET)):
        attempt = exported.span(f"attempt {number}")
        assert attempt.parent == chat.context
        assert attempt.status.status_code is code
    assert "gen_ai.response.time_to_first_chunk" in attributes(exported.span("attempt 2"))


@pytest.mark.anyio
async def test_the_four_client_metrics_have_the_buckets_of_the_conventions() -> None:
    exported = Exported()
    async with serving(settings={"observers": [exported.observer]}) as (service, _):
        steps = await steps_of(service, request_for())
    points = exported.points()
    bounds = {name: tuple(found[0].explicit_bounds) for name, found in points.items()}
    assert bounds == {
        "gen_ai.client.operation.duration": DURATION_BOUNDS,
        "gen_ai.client.operation.time_to_first_chunk": DURATION_BOUNDS,
        "gen_ai.client.operation.time_per_output_chunk": DURATION_BOUNDS,
        "gen_ai.client.token.usage": TOKEN_BOUNDS,
    }
    assert (DURATION_BOUNDS[-1], TOKEN_BOUNDS[-1]) == (pytest.approx(81.92), 67_108_864)
    assert points["gen_ai.client.operation.time_per_output_chunk"][0].count == len(steps) - 1
    usage = steps[-1].outcome.usage if steps[-1].outcome is not None else None
    assert usage is not None
    sums = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert sums == {"input": usage.input_tokens, "output": usage.output_tokens}


@pytest.mark.anyio
@pytest.mark.parametrize("shown", [False, True])
async def test_content_is_captured_only_where_it_is_asked_for(shown: bool) -> None:
    exported = Exported(capture_content=shown)
    async with serving(settings={"observers": [exported.observer]}) as (service, _):
        await steps_of(service, request_for())
        await steps_of(service, request_for(response_model=int))  # fails, and its error may quote the answer
    written = repr([span.to_json() for span in exported.spans.get_finished_spans()]) + repr(exported.points())
    assert ("in confidence" in written) is shown
    assert ("Ada" in written) is shown
    if shown:
        found = attributes(exported.span("chat simulated/gpt-4o"))
        said = json.loads(found["gen_ai.output.messages"])[0]
        assert said["role"] == "assistant"
        assert "Ada" in said["parts"][0]["content"]
        assert json.loads(found["gen_ai.input.messages"])[-1]["role"] == "user"


@pytest.mark.anyio
async def test_a_stream_that_failed_says_the_class_of_its_error_and_no_more() -> None:
    exported = Exported()
    async with serving(settings={"observers": [exported.observer]}, faults=[status(400)]) as (service, _):
        await steps_of(service, request_for())
    chat = exported.span("chat simulated/gpt-4o")
    assert (chat.status.status_code, chat.status.description) == (StatusCode.ERROR, "BadRequestError")
    assert attributes(chat)["error.type"] == "BadRequestError"
    assert chat.events == ()
    duration = exported.points()["gen_ai.client.operation.duration"][0]
    assert duration.attributes["error.type"] == "BadRequestError"


EVENTS: list[tuple[Fact, str | None]] = [
    (Replanned("resume", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o"), "structstream.resume"),
    (Waited("tokens", "openai", 0.5), "structstream.wait"),
    (BreakerChanged("openai", "gpt-4o", "closed", "open", 1.0), "structstream.breaker"),
    (ConcurrencyChanged("openai", 7), "structstream.concurrency"),
    (CallbackFailed("each", "KeyError"), "structstream.callback_failed"),
    (StepsJoined(3), None),
    (CacheLooked(hit=True), "structstream.cache_lookup"),
    (Hedged("second"), "structstream.hedge"),
    (Judged("secrets", "stop"), "structstream.guardrail"),
    (Judged("secrets", "allow"), None),
]


@pytest.mark.parametrize(("fact", "name"), EVENTS)
def test_what_policies_do_is_an_event_of_the_span(fact: Fact, name: str | None) -> None:
    exported = Exported()
    for told in (StreamBegan(1.0), fact, StreamEnded(Outcome(OutcomeKind.COMPLETE), 1.0)):
        exported.observer(INFO, told)
    assert [event.name for event in exported.span("chat openai/gpt-4o").events] == ([] if name is None else [name])


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai-responses", "openai"),
        ("google", "gcp.gemini"),
        ("azure", "azure.ai.openai"),
        ("anthropic", "anthropic"),
    ],
)
def test_a_provider_is_called_as_the_conventions_call_it(provider: str, name: str) -> None:
    exported = Exported()
    attempt = Attempt(1, provider, "m", "native", OutcomeKind.COMPLETE, usage=Usage(3, 4))
    ended: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, attempts=[attempt], usage=Usage(3, 4, estimated=True))
    for told in (
        StreamBegan(1.0),
        AttemptBegan(1, provider, "m", "native", 1.0),
        FirstToken(1, provider, "m", 0.5),
        Stepped(StreamingResponse(), 2.0),
        AttemptBegan(2, provider, "m", "native", 1.0),
        AttemptEnded(attempt, 1.0),
        StreamEnded(ended, 1.0),
    ):
        exported.observer(INFO, told)
    chat = exported.span("chat openai/gpt-4o")
    assert attributes(chat)["gen_ai.provider.name"] == name
    assert attributes(exported.span("attempt 2"))["gen_ai.provider.name"] == name  # ended with the stream
    assert "gen_ai.client.token.usage" not in exported.points()  # an estimate is no billable token
    assert "gen_ai.usage.input_tokens" not in attributes(chat)


def test_what_is_heard_of_a_stream_whose_begin_was_not_is_left_out() -> None:
    exported = Exported()
    exported.observer(INFO, StreamEnded(Outcome(OutcomeKind.COMPLETE), 1.0))
    assert exported.spans.get_finished_spans() == ()


def test_without_an_sdk_nothing_is_recorded_and_nothing_breaks() -> None:
    observer = OpenTelemetryObserver()
    for told in (StreamBegan(1.0), Stepped(StreamingResponse(), 1.0), StreamEnded(Outcome(OutcomeKind.COMPLETE), 1.0)):
        observer(INFO, told)
    assert not trace.get_current_span().is_recording()


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "structstream.instrumentation.otel")
    with pytest.raises(MissingDependencyError, match=r"structstream\[otel\]"):
        import structstream.instrumentation.otel  # noqa: F401  # only to be refused


def test_scores_cost_and_a_slow_consumer_are_told_at_the_end() -> None:
    exported = Exported()
    figures = StreamingMetrics(cost=0.25, quality={"tags": 0.75, "tone": 1.0})
    outcome: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, metrics=figures)
    for told in (StreamBegan(1.0), StepsJoined(3), StepsJoined(2), StreamEnded(outcome, 4.0, 1.5)):
        exported.observer(INFO, told)
    chat = exported.span("chat openai/gpt-4o")
    found = attributes(chat)
    assert (found["structstream.joined_steps"], found["structstream.consumer_wait"]) == (5, 1.5)
    assert found["structstream.cost"] == 0.25
    assert [(event.name, dict(event.attributes or {})) for event in chat.events] == [
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score})
        for name, score in figures.quality.items()
    ]
