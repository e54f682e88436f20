"""Each fact is a number under its own name; labels are bounded, and no number is content."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from structstream.errors import ConfigurationError, TruncatedError
from structstream.facts import (
    AttemptEnded,
    BreakerChanged,
    BreakerState,
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
from structstream.instrumentation import prometheus
from structstream.instrumentation.prometheus import BulkHistogram, PrometheusObserver
from structstream.metrics import StreamingMetrics
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage
from tests.edge import request_for, serving, steps_of
from tests.policy import REQUEST

P = "structured_llm_streaming_"
INFO = StreamInfo(1, "openai/gpt-4o", "list", REQUEST)
CALLED = Attempt(1, "openai", "gpt-4o", "native", OutcomeKind.COMPLETE, usage=Usage(100, 20, 30, 5))
ENDED: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, attempts=[CALLED], usage=CALLED.usage, wasted_tokens=3)
MODEL, CALL = {"model": "openai/gpt-4o"}, {"provider": "openai", "model": "gpt-4o"}
STREAM: list[Fact] = [
    StreamBegan(10.0),
    FirstToken(1, "openai", "gpt-4o", 0.3),
    Stepped(StreamingResponse(raw_chunks=["[1", ", 2"]), 12.0),
    Stepped(StreamingResponse(raw_chunks=["]"]), 12.005),
    AttemptEnded(CALLED, 2.0),
    Stepped(StreamingResponse(outcome=ENDED), 13.005),
    StreamEnded(replace(ENDED, metrics=StreamingMetrics(quality={"tags": 0.75})), 4.0, 1.5),
]


def told(*facts: Fact, **options: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, **options)
    for fact in facts:
        observer(INFO, fact)
    return registry


FOUND: list[tuple[str, dict[str, str], float]] = [
    ("requests_total", {**MODEL, "outcome": "complete"}, 1),
    ("chunks_total", MODEL, 3),
    ("latency_seconds_sum", MODEL, 4),
    ("progress_percent_sum", MODEL, 100),
    ("partials_per_second_sum", MODEL, 0.75),
    ("active_streams", {}, 0),
    ("wasted_tokens_total", MODEL, 3),
    ("wait_seconds_total", {**MODEL, "for": "consumer"}, 1.5),
    ("wait_seconds_total", {**MODEL, "for": "provider"}, 2.5),
    ("quality_score_sum", {**MODEL, "score": "tags"}, 0.75),
    ("token_gap_seconds_count", MODEL, 2),
    ("token_gap_seconds_sum", MODEL, 1.005),
    ("token_gap_seconds_bucket", {**MODEL, "le": "0.0025"}, 0),
    ("token_gap_seconds_bucket", {**MODEL, "le": "0.01"}, 1),
    ("token_gap_seconds_bucket", {**MODEL, "le": "+Inf"}, 2),
    ("time_to_first_token_seconds_sum", CALL, 0.3),
    ("attempts_total", {**CALL, "outcome": "complete"}, 1),
    ("tokens_total", {**CALL, "kind": "input"}, 100),
    ("tokens_total", {**CALL, "kind": "output"}, 20),
    ("tokens_total", {**CALL, "kind": "cached_input"}, 30),
    ("tokens_total", {**CALL, "kind": "reasoning"}, 5),
    ("cost_total", CALL, 120),
]


@pytest.mark.parametrize(("name", "labels", "value"), FOUND, ids=[f"{row[0]}-{at}" for at, row in enumerate(FOUND)])
def test_a_stream_is_counted(name: str, labels: dict[str, str], value: float) -> None:
    registry = told(*STREAM, prices=lambda provider, model, usage: usage.total_tokens)
    assert registry.get_sample_value(P + name, labels) == pytest.approx(value)


FAILED: Outcome[Any] = replace(ENDED, kind=OutcomeKind.TRUNCATED, error=TruncatedError("cut"), wasted_tokens=0)
SINGLE: list[tuple[Fact, str, dict[str, str], float]] = [
    (StreamBegan(1.0), "active_streams", {}, 1),
    (BreakerChanged("openai", "gpt-4o", "closed", "open", 1.0), "breaker_state", CALL, 2),
    (ConcurrencyChanged("openai", 7), "concurrency_limit", {"provider": "openai"}, 7),
    (Waited("tokens", "openai", 0.5), "limit_wait_seconds_sum", {"limit": "tokens", "provider": "openai"}, 0.5),
    (Waited("pause", "openai", 9, refused=True), "limit_refusals_total", {"limit": "pause", "provider": "openai"}, 1),
    (Judged("secrets", "stop", "name"), "guardrail_verdicts_total", {"guardrail": "secrets", "action": "stop"}, 1),
    (CacheLooked(hit=True), "cache_lookups_total", {"hit": "true"}, 1),
    (Hedged("second"), "hedges_total", {"won": "second"}, 1),
    (StepsJoined(3), "joined_steps_total", {"model": "openai/gpt-4o"}, 3),
    (CallbackFailed("each", "KeyError"), "callback_failures_total", {"error": "KeyError"}, 1),
    (
        Replanned("resume", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o"),
        "replans_total",
        {"plan": "resume", "error": "StreamTimeoutError"},
        1,
    ),
]


@pytest.mark.parametrize(("fact", "name", "labels", "value"), SINGLE, ids=[row[1] for row in SINGLE])
def test_a_fact_is_counted(fact: Fact, name: str, labels: dict[str, str], value: float) -> None:
    assert told(fact).get_sample_value(P + name, labels) == value


@pytest.mark.parametrize(("state", "value"), [("closed", 0), ("half_open", 1), ("open", 2)])
def test_a_breaker_has_a_number_for_each_state(state: BreakerState, value: int) -> None:
    registry = told(BreakerChanged("openai", "gpt-4o", "closed", state, 1.0))
    assert registry.get_sample_value(P + "breaker_state", CALL) == value


def test_a_stream_that_failed_is_counted_by_its_error() -> None:
    registry = told(StreamBegan(1.0), Stepped(StreamingResponse(outcome=FAILED), 2.0), StreamEnded(FAILED, 0.0))
    assert registry.get_sample_value(P + "errors_total", {**MODEL, "error": "TruncatedError"}) == 1
    assert registry.get_sample_value(P + "requests_total", {**MODEL, "outcome": "truncated"}) == 1
    assert registry.get_sample_value(P + "wasted_tokens_total", MODEL) is None


def test_of_a_long_stream_little_is_kept_and_every_gap_is_counted() -> None:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    observer(INFO, StreamBegan(0.0))
    for at in range(5_000):
        observer(INFO, Stepped(StreamingResponse(raw_chunks=["x"]), at / 10))
        assert len(observer._open[INFO.id].times) < 300
    assert (registry.get_sample_value(P + "chunks_total", MODEL) or 0) > 4_000  # it shows before the end
    observer(INFO, StreamEnded(ENDED, 500.0))
    assert registry.get_sample_value(P + "chunks_total", MODEL) == 5_000
    assert registry.get_sample_value(P + "token_gap_seconds_count", MODEL) == 4_999
    assert registry.get_sample_value(P + "token_gap_seconds_sum", MODEL) == pytest.approx(499.9)
    assert registry.get_sample_value(P + "partials_per_second_sum", MODEL) == 10
    assert observer._open == {}


def test_what_is_heard_of_a_stream_whose_begin_was_not_is_left_out() -> None:
    registry = told(STREAM[3], STREAM[-1])
    assert registry.get_sample_value(P + "active_streams") == 0
    assert registry.get_sample_value(P + "requests_total", {**MODEL, "outcome": "complete"}) is None


def test_labels_are_bounded() -> None:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, max_names=2)
    for number in range(50):
        info = StreamInfo(number, f"openai/{number}", "list", REQUEST)
        for fact in (StreamBegan(0.0), StreamEnded(ENDED, 1.0)):
            observer(info, fact)
        observer(info, AttemptEnded(replace(CALLED, provider=f"p{number}", model=f"m{number}"), 1.0))
        observer(info, Judged(f"g{number}", "allow"))
        observer(info, CallbackFailed("each", f"Error{number}"))
    values: dict[tuple[str, str], set[str]] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            for label, value in sample.labels.items():
                values.setdefault((metric.name, label), set()).add(value)
    wide = {key: len(found) for key, found in values.items() if len(found) > 3 and key[1] not in {"le", "kind"}}
    assert wide == {}
    assert values[P + "requests", "model"] == {"openai/0", "openai/1", "other"}
    assert registry.get_sample_value(P + "requests_total", {"model": "other", "outcome": "complete"}) == 48


def test_a_bound_that_leaves_no_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_names must be at least 1"):
        PrometheusObserver(CollectorRegistry(), max_names=0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("REQUESTS", Counter), ("CHUNKS", Counter), ("LATENCY", Histogram), ("PROGRESS", Histogram), ("ERRORS", Counter)],
)
def test_the_five_names_stand_on_the_global_registry(name: str, kind: type) -> None:
    metric = getattr(prometheus, f"STRUCTURED_LLM_STREAMING_{name}")
    assert isinstance(metric, kind)
    exposed = prometheus_client.generate_latest().decode()
    whole = {"LATENCY": "latency_seconds", "PROGRESS": "progress_percent"}.get(name, f"{name.lower()}_total")
    assert f"# TYPE {P}{whole} {kind.__name__.lower()}" in exposed


def test_by_default_the_global_metrics_are_filled() -> None:
    observer = PrometheusObserver()
    labels = {"model": "global/only-here", "outcome": "complete"}
    before = prometheus_client.REGISTRY.get_sample_value(P + "requests_total", labels) or 0
    for fact in STREAM:
        observer(StreamInfo(9, "global/only-here", "list", REQUEST), fact)
    assert prometheus_client.REGISTRY.get_sample_value(P + "requests_total", labels) == before + 1


def test_a_bulk_histogram_adds_up() -> None:
    registry = CollectorRegistry()
    histogram = BulkHistogram("gap_seconds", "Gaps", "model", (1.0, 2.0), registry)
    histogram.add("a", [1, 2, 3], 10.0)
    histogram.add("a", [1, 0, 0], 0.5)
    found = [registry.get_sample_value("gap_seconds_bucket", {"model": "a", "le": le}) for le in ("1.0", "2.0", "+Inf")]
    assert found == [2, 4, 7]
    assert registry.get_sample_value("gap_seconds_sum", {"model": "a"}) == 10.5


@pytest.mark.anyio
async def test_real_streams_are_counted_and_nothing_of_them_is_shown() -> None:
    registry = CollectorRegistry()
    async with serving(settings={"observers": [PrometheusObserver(registry)]}) as (service, _):
        steps = await steps_of(service, request_for())
    labels = {"model": "simulated/gpt-4o"}
    deltas = sum(len(step.raw_chunks) for step in steps)
    assert registry.get_sample_value(P + "chunks_total", labels) == deltas > 0
    assert registry.get_sample_value(P + "token_gap_seconds_count", labels) == len(steps) - 1
    exposed = prometheus_client.generate_latest(registry).decode()
    assert "confidence" not in exposed  # of the prompt
    assert "Ada" not in exposed


def test_the_import_of_the_library_loads_no_backend() -> None:
    code = (
        "import structstream, sys; structstream.StructuredLLMService; "
        "sys.exit(any(name in sys.modules for name in ('prometheus_client', 'opentelemetry', 'genai_prices')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
