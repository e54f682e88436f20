"""Facts are frozen, and say nothing of a prompt or an answer by themselves."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, get_args

import pytest

from structstream.cli.watcher import Watcher
from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    Fact,
    Hedged,
    Judged,
    Replanned,
    Stepped,
    StreamBegan,
    StreamEnded,
    StreamInfo,
    Waited,
)
from structstream.instrumentation.logs import LogObserver
from structstream.instrumentation.metrics import Meter
from structstream.request import StreamingStructuredRequest
from structstream.response import OutcomeKind, StreamingResponse
from tests.everyfact import ENDED, EVERY_FACT
from tests.policy import REQUEST

FACTS = get_args(Fact)


@pytest.mark.parametrize("fact", [fact for fact in FACTS if fact is not Stepped], ids=lambda fact: fact.__name__)
def test_a_fact_is_a_frozen_dataclass_with_slots(fact: type) -> None:
    assert dataclasses.is_dataclass(fact)
    assert fact.__dataclass_params__.frozen  # type: ignore[attr-defined]  # as dataclasses set it
    assert not hasattr(fact, "__dict__") or "__dict__" not in fact.__slots__  # type: ignore[attr-defined]


def test_a_fact_cannot_be_changed() -> None:
    fact = Replanned("retry", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o")
    with pytest.raises(dataclasses.FrozenInstanceError):
        fact.wait = 2.0  # type: ignore[misc]  # that is the point
    step = Stepped(StreamingResponse(), 1.0)
    with pytest.raises(AttributeError):
        step.at = 2.0  # type: ignore[misc]  # the same


def test_what_a_stream_is_known_by_shows_no_prompt() -> None:
    request = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="in confidence")
    info = StreamInfo(1, request.model, "int", request)
    assert "in confidence" not in repr(info)
    assert info != StreamInfo(1, request.model, "int", request)


INFO = StreamInfo(1, REQUEST.model, "list", REQUEST)


def by_prometheus(facts: Sequence[Fact]) -> object:
    pytest.importorskip("prometheus_client", reason="an extra")
    from prometheus_client import CollectorRegistry

    from structstream.instrumentation.prometheus import PrometheusObserver

    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, prices=lambda provider, model, usage: 1.0)
    for fact in facts:
        observer(INFO, fact)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return [sample[:3] for sample in samples if not sample.name.endswith("_created")]  # without its time


def by_otel(facts: Sequence[Fact]) -> object:
    pytest.importorskip("opentelemetry.sdk", reason="an extra")
    from tests.test_instrumentation_otel import Exported

    exported = Exported()
    for fact in facts:
        exported.observer(INFO, fact)
    spans = exported.spans.get_finished_spans()
    points = [(name, [(point.count, point.sum) for point in found]) for name, found in exported.points().items()]
    told = [(span.name, dict(span.attributes or {}), span.status.status_code) for span in spans]
    return told, [(event.name, dict(event.attributes or {})) for span in spans for event in span.events], points


def by_logs(facts: Sequence[Fact]) -> object:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # as short as can be
    logger = logging.getLogger("structstream.facts")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    observer = LogObserver(logger=logger)
    for fact in facts:
        observer(INFO, fact)
    logger.removeHandler(handler)
    return lines


def by_metrics(facts: Sequence[Fact]) -> object:
    meter = Meter()
    for fact in facts:
        meter(INFO, fact)
    return meter.measured(ENDED, 4.0)


def by_watcher(facts: Sequence[Fact]) -> object:
    watcher = Watcher()
    for fact in facts:
        watcher(INFO, fact)
    return watcher.rows()


OBSERVERS: dict[str, tuple[Callable[[Sequence[Fact]], object], dict[Any, str]]] = {  # Any: a type of fact
    "Prometheus": (by_prometheus, {AttemptBegan: "a call is counted when it has ended"}),
    "OpenTelemetry": (by_otel, {}),
    "the log": (by_logs, {}),
    "the figures of a stream": (
        by_metrics,
        {
            **dict.fromkeys((AttemptEnded, StreamEnded, Replanned), "its outcome, with all attempts, is given to it"),
            **dict.fromkeys((Waited, BreakerChanged, ConcurrencyChanged, CacheLooked, Hedged), "of the service"),
            **dict.fromkeys((Judged, CallbackFailed), "no figure of a stream"),
        },
    ),
    "the demo's picture": (
        by_watcher,
        {
            **dict.fromkeys((StreamBegan, StreamEnded), "the picture has a part of its own for it"),
            Replanned: "the attempt that follows says it",
        },
    ),
}
"""What makes something of the facts, and what each deliberately leaves out."""


def test_the_table_of_facts_has_each() -> None:
    assert {type(fact) for fact in EVERY_FACT} == set(FACTS)


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", OBSERVERS)
def test_every_observer_makes_something_of_every_fact_or_says_why_not(name: str, kind: type) -> None:
    made, left_out = OBSERVERS[name]
    without = [fact for fact in EVERY_FACT if type(fact) is not kind]
    assert (made(EVERY_FACT) != made(without)) is (kind not in left_out)
