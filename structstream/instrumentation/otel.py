"""OpenTelemetry: spans and metrics by the semantic conventions for generative AI.

Those are marked as in development: names that change there change here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from structstream.errors import MissingDependencyError
from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    FirstToken,
    Hedged,
    Judged,
    Replanned,
    Stepped,
    StepsJoined,
    StreamBegan,
    StreamEnded,
    Waited,
)
from structstream.response import OutcomeKind

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError as error:
    raise MissingDependencyError("OpenTelemetryObserver", extra="otel") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from structstream.facts import Fact, StreamInfo
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome

__all__ = ["DURATION_BOUNDS", "TOKEN_BOUNDS", "OpenTelemetryObserver"]

DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))
"""Seconds: the buckets that the conventions ask for of every duration."""

TOKEN_BOUNDS = tuple(4**power for power in range(14))
"""Tokens: the buckets that the conventions ask for."""

# What the conventions call a provider, where that is not its name in the routing table.
_PROVIDERS = {"azure": "azure.ai.openai", "google": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
_FINE = frozenset({OutcomeKind.COMPLETE, OutcomeKind.CANCELLED})


class _Open:
    """A stream that is under way."""

    __slots__ = ("attempts", "chunks", "joined", "last", "span")

    def __init__(self, span: Span, chunks: dict[str, AttributeValue]) -> None:
        self.span = span
        self.chunks = chunks
        """The attributes of its metrics, so far as they are known."""
        self.attempts: dict[int, Span] = {}
        self.last: float | None = None
        self.joined = 0


class OpenTelemetryObserver:
    """Makes a span of each stream, one below it of each attempt, and the four client metrics.

    The span ``chat {model}`` is a child of what is current where the first step is asked for. Retries, resumed answers,
    waits, verdicts of guardrails, turns of the breaker, changes of the concurrency and callbacks that failed are its
    events, and so is each score of the caller's own, as ``gen_ai.evaluation.result``. The time per output chunk is
    recorded at each step, which is what it costs. Neither span nor metric holds content unless it is asked for.

    Args:
        tracer_provider: makes the spans; None for the global one.
        meter_provider: makes the metrics; None for the global one.
        capture_content: whether the span holds the conversation and the answer. What is traced is stored.

    Raises:
        MissingDependencyError: at the import of this module: opentelemetry-api is not installed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        capture_content: bool = False,
    ) -> None:
        self._tracer = trace.get_tracer("structstream", tracer_provider=tracer_provider)
        meter = metrics.get_meter("structstream", meter_provider=meter_provider)

        def histogram(name: str, unit: str, text: str, bounds: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(
                f"gen_ai.client.{name}", unit, text, explicit_bucket_boundaries_advisory=list(bounds)
            )

        self._duration = histogram("operation.duration", "s", "GenAI operation duration.", DURATION_BOUNDS)
        self._first = histogram("operation.time_to_first_chunk", "s", "Time to the first chunk.", DURATION_BOUNDS)
        self._gap = histogram("operation.time_per_output_chunk", "s", "Time between two chunks.", DURATION_BOUNDS)
        self._tokens = histogram("token.usage", "{token}", "Input and output tokens used.", TOKEN_BOUNDS)
        self._content = capture_content
        self._open: dict[int, _Open] = {}
        self._hears: dict[type[Any], Callable[[_Open, StreamInfo, Any], None]] = {  # Any: each its own fact
            AttemptBegan: self._attempt,
            FirstToken: self._first_token,
            AttemptEnded: self._attempt_ended,
            StepsJoined: self._steps_joined,
            StreamEnded: self._end,
        }

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if type(fact) is StreamBegan:
            self._open[info.id] = self._begun(info)
            return
        seen = self._open.get(info.id)
        if seen is None:
            return
        if type(fact) is Stepped:
            if seen.last is not None:
                self._gap.record(fact.at - seen.last, seen.chunks)
            seen.last = fact.at
        elif (hears := self._hears.get(type(fact))) is not None:
            hears(seen, info, fact)
        elif (event := _event(fact)) is not None:
            seen.span.add_event(event[0], event[1])

    def _begun(self, info: StreamInfo) -> _Open:
        known: dict[str, AttributeValue] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": info.model}
        span = self._tracer.start_span(
            f"chat {info.model}", kind=SpanKind.CLIENT, attributes={**known, **_asked(info.request)}
        )
        if self._content and span.is_recording():
            span.set_attribute("gen_ai.input.messages", json.dumps(_messages(info.request), ensure_ascii=False))
        return _Open(span, known)

    def _attempt(self, seen: _Open, info: StreamInfo, fact: AttemptBegan) -> None:
        provider = fact.provider.removesuffix("-responses")
        provider = _PROVIDERS.get(provider, provider)
        seen.chunks = {**seen.chunks, "gen_ai.provider.name": provider, "gen_ai.request.model": fact.model}
        attributes: dict[str, AttributeValue] = {
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": fact.model,
            "structstream.attempt.number": fact.number,
            "structstream.mode": fact.mode,
        }
        context = trace.set_span_in_context(seen.span)
        seen.attempts[fact.number] = self._tracer.start_span(f"attempt {fact.number}", context, attributes=attributes)

    def _first_token(self, seen: _Open, info: StreamInfo, fact: FirstToken) -> None:
        self._first.record(fact.seconds, seen.chunks)
        if (span := seen.attempts.get(fact.number)) is not None:
            span.set_attribute("gen_ai.response.time_to_first_chunk", fact.seconds)

    def _attempt_ended(self, seen: _Open, info: StreamInfo, fact: AttemptEnded) -> None:
        span = seen.attempts.pop(fact.attempt.number, None)
        if span is None:
            return
        span.set_attribute("structstream.outcome", fact.attempt.kind.value)
        if fact.attempt.usage is not None:
            span.set_attribute("gen_ai.usage.input_tokens", fact.attempt.usage.input_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", fact.attempt.usage.output_tokens)
        if fact.attempt.kind not in _FINE:
            span.set_status(Status(StatusCode.ERROR, fact.attempt.kind.value))  # its sentence may quote the answer
        span.end()

    def _steps_joined(self, seen: _Open, info: StreamInfo, fact: StepsJoined) -> None:
        seen.joined += fact.steps  # told at each read where the caller is slow: too many for events

    def _end(self, seen: _Open, info: StreamInfo, fact: StreamEnded) -> None:
        del self._open[info.id]
        for attempt in seen.attempts.values():  # of those that nobody waited for
            attempt.end()
        outcome, span = fact.outcome, seen.span
        found = _ended(outcome)
        provider = {name: seen.chunks[name] for name in ("gen_ai.provider.name",) if name in seen.chunks}
        waits = {"structstream.joined_steps": seen.joined, "structstream.consumer_wait": fact.consumer}
        span.set_attributes({**provider, **found, **waits})
        for name, score in (outcome.metrics.quality if outcome.metrics is not None else {}).items():
            scored: dict[str, AttributeValue] = {
                "gen_ai.evaluation.name": name,
                "gen_ai.evaluation.score.value": score,
            }
            span.add_event("gen_ai.evaluation.result", scored)
        if self._content and span.is_recording():
            span.set_attribute("gen_ai.output.messages", json.dumps(_answer(outcome), ensure_ascii=False))
        if outcome.kind not in _FINE and outcome.error is not None:
            span.set_status(Status(StatusCode.ERROR, type(outcome.error).__name__))
        span.end()
        shared = ("error.type", "gen_ai.response.model")
        labels = {**seen.chunks, **{name: found[name] for name in shared if name in found}}
        self._duration.record(fact.seconds, labels)
        usage = outcome.usage
        if usage is not None and not usage.estimated:
            labels.pop("error.type", None)
            self._tokens.record(usage.input_tokens, {**labels, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens, {**labels, "gen_ai.token.type": "output"})


def _asked(request: StreamingStructuredRequest[Any]) -> dict[str, AttributeValue]:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    found: dict[str, AttributeValue | None] = {
        "gen_ai.output.type": "json",
        "gen_ai.request.stream": request.enable_streaming,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.stop_sequences": None if stop is None else tuple(stop),
    }
    return {name: value for name, value in found.items() if value is not None}


def _ended(outcome: Outcome[Any]) -> dict[str, AttributeValue]:
    usage = outcome.usage
    found: dict[str, AttributeValue | None] = {
        "structstream.outcome": outcome.kind.value,
        "structstream.attempts": len(outcome.attempts),
        "structstream.wasted_tokens": outcome.wasted_tokens,
        "structstream.cost": None if outcome.metrics is None else outcome.metrics.cost,
        "gen_ai.response.id": outcome.response_id or None,
        "gen_ai.response.model": outcome.model or None,
        "gen_ai.response.finish_reasons": None if outcome.finish_reason is None else (outcome.finish_reason,),
        "error.type": None if outcome.error is None else type(outcome.error).__name__,
    }
    if usage is not None and not usage.estimated:
        found |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    return {name: value for name, value in found.items() if value is not None}


def _event(fact: Fact) -> tuple[str, dict[str, AttributeValue]] | None:
    """Return the name and the attributes of an event; None for what is none."""
    if isinstance(fact, Replanned):
        return f"structstream.{fact.plan}", {"error.type": fact.error, "wait": fact.wait, "model": fact.model}
    if isinstance(fact, Waited):
        return "structstream.wait", {"limit": fact.limit, "seconds": fact.seconds, "refused": fact.refused}
    if isinstance(fact, BreakerChanged):
        return "structstream.breaker", {"model": fact.model, "before": fact.before, "after": fact.after}
    if isinstance(fact, ConcurrencyChanged):
        return "structstream.concurrency", {"provider": fact.provider, "limit": fact.limit}
    if isinstance(fact, CallbackFailed):
        return "structstream.callback_failed", {"callback": fact.callback, "error.type": fact.error}
    if isinstance(fact, CacheLooked):
        return "structstream.cache_lookup", {"hit": fact.hit}
    if isinstance(fact, Hedged):
        return "structstream.hedge", {"won": fact.won}
    if isinstance(fact, Judged) and fact.action != "allow":
        return "structstream.guardrail", {"guardrail": fact.guardrail, "action": fact.action}
    return None


def _messages(request: StreamingStructuredRequest[Any]) -> list[dict[str, Any]]:  # Any: JSON
    return [{"role": message.get("role"), "parts": _parts(message.get("content"))} for message in request.conversation]


def _parts(content: object) -> list[dict[str, Any]]:
    """Text alone: what an image or a file holds is not written out."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    parts = content if isinstance(content, list | tuple) else ()
    return [{"type": "text", "content": part["text"]} for part in parts if isinstance(part, Mapping) and "text" in part]


def _answer(outcome: Outcome[Any]) -> list[dict[str, Any]]:
    reason = outcome.finish_reason or outcome.kind.value
    return [{"role": "assistant", "parts": _parts(outcome.raw_text), "finish_reason": reason}]
