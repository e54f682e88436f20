"""Canaries in every place where text comes in, looked for in every channel in which something is told.

`PLACES` says where a canary is planted: each is one run of a service. `CHANNELS` says where it is looked for: each
gives the texts that a run has left there. Who adds a place or a channel adds a row.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel, field_validator, model_validator

from structstream.facts import Fact, StreamInfo
from structstream.guardrails import CallableGuardrail, Guardrail, PersonalData, Secrets
from structstream.instrumentation.logs import LogObserver
from structstream.instrumentation.prometheus import PrometheusObserver
from structstream.policies import CachePolicy, Policies, RetryPolicy
from structstream.progress import ProgressEvent
from structstream.request import StreamingStructuredRequest
from structstream.response import Outcome, StreamingResponse
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider
from structstream.testing.cassettes import Cassette, SecretFoundError
from structstream.testing.faults import Fault, in_band_error, length, refusal, reset_at_byte, status, two_tool_calls
from structstream.testing.script import Script
from structstream.transport import Transport
from structstream.verdicts import Verdict
from tests.rawserver import EVENT_STREAM, http_head, raw_server
from tests.taping import AUTH, rows
from tests.test_canary import found_in, outcomes, responses

pytest.importorskip("opentelemetry.sdk", reason="an extra")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from structstream.instrumentation.otel import OpenTelemetryObserver


class Person(BaseModel):
    """What is answered."""

    name: str
    notes: list[str]
    more: dict[str, Any]  # Any: JSON


class Strict(Person):
    """One whose validators quote what they refuse, as validators do."""

    @field_validator("notes")
    @classmethod
    def _no_notes(cls, value: list[str]) -> list[str]:
        raise ValueError(f"these notes are refused: {value}")


class Whole(Person):
    """One whose validator of the whole quotes it."""

    @model_validator(mode="after")
    def _nothing(self) -> Whole:
        raise ValueError(f"this person is refused: {self!r}")


class Numbers(BaseModel):
    """One in which text does not fit."""

    name: int
    notes: list[int]


class Mistaken(Guardrail):
    """One that fails and quotes what it was given."""

    name = "mistaken"
    unit = "delta"

    def check_text(self, piece: Any) -> Any:  # Any: it raises
        if not piece.ended:
            return Verdict.hold()
        raise ValueError(f"cannot judge {piece.text}")


class MistakenPrompt(Guardrail):
    """The same of prompts."""

    name = "mistaken"

    def check_prompt(self, text: str) -> Any:  # Any: it raises
        raise ValueError(f"cannot judge {text}")


class MistakenLater(Guardrail):
    """The same where it is awaited."""

    name = "mistaken"
    unit = "field"

    async def check_text(self, piece: Any) -> Any:  # Any: it raises
        raise ValueError(f"cannot judge {piece.text}")


def answer_of(planted: Sequence[str]) -> str:
    """A person with a canary in each kind of place, some behind escapes."""
    raw = json.dumps(
        {
            "name": f"{planted[0]} and {planted[1]}",
            "notes": [f"Is it {canary}, or not?" for canary in planted],
            "more": {f"key {canary}": {"at": [canary, 1, None]} for canary in planted},
        }
    )
    return raw.replace("@", "\\u0040", 2)


def short_of(planted: Sequence[str]) -> str:
    """The same with less around them, where each byte of it counts."""
    raw = json.dumps({"name": f"{planted[0]} {planted[1]}", "notes": planted[2:4], "more": {planted[4]: planted[5]}})
    return raw.replace("@", "\\u0040", 1)


PLAIN = '{"name": "Ada", "notes": ["one"], "more": {}}'
"""An answer with nothing in it."""


@dataclass
class Place:
    """Where canaries are planted: what is asked, what is answered, and what stands around it."""

    answer: Callable[[Sequence[str]], str] = answer_of
    asked: Callable[[Sequence[str]], dict[str, Any]] = lambda planted: {}
    fault: Callable[[Sequence[str]], Fault | None] = lambda planted: None
    script: Callable[[Sequence[str]], Script] = lambda planted: Script(delta_size=3)
    service: Callable[[Sequence[str]], dict[str, Any]] = lambda planted: {}
    head: Callable[[Sequence[str]], bytes] | None = None
    """A whole HTTP answer instead of the simulated provider's."""
    kind: str | dict[str, str] = "complete"
    """How it ends; by the dialect where that is not the same in all, ``*`` for the rest."""
    records: bool = True
    """Whether something is recorded: not where nothing is sent."""
    rails: tuple[Guardrail, ...] = (PersonalData(on_prompt="allow"), Secrets(on_prompt="allow"))

    def kind_in(self, dialect: str) -> str:
        """How it ends in a dialect."""
        return self.kind if isinstance(self.kind, str) else self.kind.get(dialect, self.kind["*"])


def raising(planted: Sequence[str]) -> Callable[..., float]:
    def raises(*_: object) -> float:
        raise ValueError(f"no {planted}")

    return raises


async def raising_async(event: ProgressEvent) -> None:
    raise ValueError(f"no {event}")


def events(planted: Sequence[str]) -> bytes:
    """A body in which other events and unknown fields hold canaries."""
    odd = b"".join(b": " + canary.encode() + b"\nevent: " + canary.encode() + b"\ndata: {}\n\n" for canary in planted)
    return odd + b"data: {" + planted[0].encode() + b"}\n\n"


def html(planted: Sequence[str], code: str = "200 OK", kind: str = "text/html") -> bytes:
    headers = {**EVENT_STREAM, "content-type": kind, "x-request-id": planted[4], "x-ratelimit-reset": planted[0]}
    return http_head(code, {**headers, "set-cookie": planted[5]}) + f"<html>{planted}</html>".encode()


PLACES: dict[str, Place] = {
    "the answer": Place(),
    "a prompt": Place(answer=lambda p: PLAIN, asked=lambda p: {"prompt": f"Who is {p}?"}),
    "a system prompt": Place(answer=lambda p: PLAIN, asked=lambda p: {"system": f"Serve {p}."}),
    "a conversation": Place(
        answer=lambda p: PLAIN,
        asked=lambda p: {"prompt": None, "messages": [{"role": "user", "content": [{"type": "text", "text": str(p)}]}]},
    ),
    "a prompt that is blocked": Place(
        asked=lambda p: {"prompt": f"Who is {p}?"}, rails=(PersonalData(), Secrets()), kind="blocked", records=False
    ),
    "headers, parameters, context": Place(
        answer=lambda p: PLAIN,
        asked=lambda p: {
            "headers": {"x-user": p[0], "authorization": p[5]},
            "extra": {"user": p[0], "metadata": {"card": p[1]}},
            "context": {"key": p[4]},
            "idempotency_key": p[4],
        },
        kind={"google": "provider_error", "*": "complete"},  # which knows no such parameters
    ),
    "tool arguments": Place(asked=lambda p: {"mode": "tool"}),
    "another tool call": Place(asked=lambda p: {"mode": "tool"}, fault=lambda p: two_tool_calls()),
    "prose around it": Place(
        asked=lambda p: {"mode": "prompted"},
        script=lambda p: Script(delta_size=3, before=f"Of {p}:", after=f"That was {p}"),
    ),
    "thinking": Place(script=lambda p: Script(thinking=f"I think of {p}", delta_size=3)),
    "thinking in the text": Place(
        asked=lambda p: {"mode": "prompted"}, script=lambda p: Script(thinking=f"I think of {p}", thinking_form="tag")
    ),
    "a refusal": Place(fault=lambda p: refusal(f"I must not tell {p}"), kind={"google": "filtered", "*": "refused"}),
    "an error body": Place(
        fault=lambda p: status(400, body={"error": {"message": f"no: {p}", "code": p[4], "param": p[0]}}),
        kind="provider_error",
    ),
    "an error body of a wrong key": Place(
        fault=lambda p: status(401, body={"error": {"message": f"Incorrect API key provided: {p[4]}"}}),
        kind="provider_error",
    ),
    "an error in the stream": Place(
        fault=lambda p: in_band_error(after=40, message=f"failed at {p}", code=p[4]), kind="provider_error"
    ),
    "an error in the stream, and another attempt": Place(
        fault=lambda p: in_band_error(after=40, message=f"failed at {p}", code="server_error"),
        service=lambda p: {"policies": Policies(retry=RetryPolicy(first_wait=0.001), midstream="restart")},
        asked=lambda p: {"max_retries": 2, "mode": "prompted"},
    ),
    "an answer that is cut off": Place(fault=lambda p: length(60), kind="truncated"),
    "an answer that breaks": Place(
        fault=lambda p: reset_at_byte(7000), asked=lambda p: {"mode": "prompted"}, kind="incomplete"
    ),
    "a whole answer": Place(asked=lambda p: {"enable_streaming": False}),
    "a page instead of a stream": Place(head=html, kind="provider_error"),
    "headers of a failure": Place(head=lambda p: html(p, "500 Oh no"), kind="provider_error"),
    "where it has moved to": Place(
        head=lambda p: http_head("302 Found", {"location": f"http://{p[4]}.example/?user={p[0]}"}),
        kind="provider_error",
    ),
    "events that nobody knows": Place(
        head=lambda p: http_head("200 OK", EVENT_STREAM) + events(p), kind="provider_error"
    ),
    "a value that does not fit": Place(asked=lambda p: {"response_model": Numbers}, kind="invalid"),
    "a value that does not fit, at the end": Place(
        asked=lambda p: {"response_model": Numbers, "fail_fast": False}, kind="invalid"
    ),
    "what a validator says": Place(asked=lambda p: {"response_model": Strict}, kind="invalid"),
    "what a validator of the whole says": Place(asked=lambda p: {"response_model": Whole}, kind="invalid"),
    "what is no JSON": Place(answer=lambda p: f"{answer_of(p)[:-1]}, {p[1]}: [", kind="invalid"),
    "what a guardrail raises": Place(rails=(Mistaken(),), kind="blocked"),
    "what a guardrail raises of a prompt": Place(
        asked=lambda p: {"prompt": f"Who is {p}?"}, rails=(MistakenPrompt(),), kind="blocked", records=False
    ),
    "what a guardrail raises when awaited": Place(rails=(MistakenLater(),), kind="blocked", records=False),
    "what a check raises": Place(
        rails=(CallableGuardrail(lambda piece: raising([piece])() > 0, name="check"),), kind="blocked"
    ),
    "what callbacks raise": Place(
        asked=lambda p: {"progress_callback": raising(p)},
        service=lambda p: {"quality": {"of mine": raising(p)}, "observers": [raising(p)]},
    ),
    "what an async callback raises": Place(asked=lambda p: {"progress_callback": raising_async}),
    "an answer from the cache": Place(service=lambda p: {"policies": Policies(cache=CachePolicy(path=":memory:"))}),
    "an attempt that is thrown away": Place(
        fault=lambda p: reset_at_byte(7000),
        service=lambda p: {"policies": Policies(retry=RetryPolicy(first_wait=0.001), midstream="restart")},
        asked=lambda p: {"max_retries": 2, "mode": "prompted"},
    ),
    "an attempt that is resumed": Place(
        fault=lambda p: reset_at_byte(7000),
        service=lambda p: {"policies": Policies(retry=RetryPolicy(first_wait=0.001), midstream="resume")},
        asked=lambda p: {"max_retries": 2, "mode": "prompted"},
    ),
}


@dataclass
class Left:
    """What one run has left everywhere."""

    steps: list[StreamingResponse[Any]] = field(default_factory=list)
    outcome: Outcome[Any] | None = None
    events: list[ProgressEvent] = field(default_factory=list)
    facts: list[tuple[StreamInfo, Fact]] = field(default_factory=list)
    given: list[object] = field(default_factory=list)
    """What `each` and `on_complete` have given."""
    objects: list[object] = field(default_factory=list)
    """Those that a caller may print: service, request, stream, policies, transports."""
    raised: list[BaseException] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    metrics: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    log: list[logging.LogRecord] = field(default_factory=list)
    cassette: Path | None = None

    def ended(self) -> Outcome[Any]:
        assert self.outcome is not None
        return self.outcome


def chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An error, its causes and contexts, also those that a traceback leaves out."""
    if error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from chain(error.__cause__, seen)
        yield from chain(error.__context__, seen)


def of_errors(*errors: BaseException | None) -> Iterator[str]:
    for error in (each for given in errors for each in chain(given, set())):
        yield from (str(error), repr(error), repr(error.args), repr(getattr(error, "__notes__", "")))
        yield "".join(traceback.format_exception(error))
        yield repr({name: value for name, value in vars(error).items() if name != "outcome"})


def of_log(records: Sequence[logging.LogRecord]) -> Iterator[str]:
    formatter = logging.Formatter("%(message)s")
    for record in records:
        yield formatter.format(record)
        yield repr(vars(record))


def of_spans(left: Left) -> Iterator[str]:
    for span in left.spans.get_finished_spans():
        yield span.to_json()
        yield f"{span.status.description} {[(event.name, dict(event.attributes or {})) for event in span.events]}"


def of_metrics(left: Left) -> Iterator[str]:
    data = left.metrics.get_metrics_data()
    yield "" if data is None else data.to_json()


def of_file(path: Path | None) -> Iterator[str]:
    if path is not None and path.exists():
        yield path.read_text("utf-8")


CHANNELS: dict[str, Callable[[Left], Iterator[str]]] = {
    "partials, deltas, paths": lambda left: responses(left.steps),
    "the repr of a step": lambda left: (f"{step!r} {step}" for step in left.steps),
    "the sentence of a step": lambda left: (step.error or "" for step in left.steps),
    "the outcome": lambda left: outcomes(left.ended()),
    "the last partial": lambda left: iter((repr(left.ended().last_partial),)),
    "attempts": lambda left: (repr(attempt) for attempt in left.ended().attempts),
    "why another attempt begins": lambda left: (repr(step.begins) for step in left.steps),
    "figures": lambda left: iter((repr(left.ended().metrics),)),
    "errors and what they were made of": lambda left: of_errors(left.ended().error, *left.raised),
    "objects, printed": lambda left: (f"{one!r} {one}" for one in left.objects),
    "each and on_complete": lambda left: map(repr, left.given),
    "progress events": lambda left: map(repr, left.events),
    "facts": lambda left: (f"{info!r} {fact!r}" for info, fact in left.facts),
    "the log": lambda left: of_log(left.log),
    "Prometheus": lambda left: iter((generate_latest(left.registry).decode(),)),
    "spans": of_spans,
    "OpenTelemetry metrics": of_metrics,
    "the cassette": lambda left: of_file(left.cassette),
}


@dataclass(frozen=True)
class How:
    """How a place is run.

    Args:
        dialect: what is spoken.
        transport: takes the place of HTTP; None for a server on loopback.
        wrap: stands around the transport, below the cassette.
        guarded: False switches the guardrails off and content on, and names what a caller names after a canary: then
            every channel tells one, or it could tell none.
    """

    dialect: str = "openai_chat"
    transport: Transport | None = None
    wrap: Callable[[Transport], Transport] = lambda transport: transport
    guarded: bool = True


async def spoken_with(stack: AsyncExitStack, place: Place, planted: Sequence[str], how: How) -> dict[str, Any]:
    """Somebody to speak with, as what a service is told of him."""
    if how.transport is not None:
        return {"client": how.transport, "providers": rows("http://nowhere.invalid/v1")}
    if place.head is None:
        simulated = SimulatedProvider(
            document=place.answer(planted), script=place.script(planted), faults=[place.fault(planted)]
        )
        base_url = (await stack.enter_async_context(simulated)).base_url
    else:
        base_url = (await stack.enter_async_context(raw_server(partial(answered, place.head(planted))))).base_url
    if how.dialect == "openai_chat":
        return {"client": await stack.enter_async_context(AsyncOpenAI(api_key=planted[4], base_url=base_url))}
    return {"providers": rows(base_url), "api_keys": dict.fromkeys(AUTH, planted[4])}


async def answered(whole: bytes, writer: Any) -> None:  # Any: a StreamWriter
    """Write an answer, and end."""
    writer.write(whole)
    await writer.drain()
    writer.close()


async def run(place: Place, planted: Sequence[str], path: Path, how: How = How()) -> Left:
    """Send one request, with all that listens switched on."""
    left = Left(cassette=path if place.records else None)
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(left.spans))
    meters = MeterProvider([left.metrics], shutdown_on_exit=False)
    settings = place.service(planted)
    observers = [
        *settings.pop("observers", []),
        LogObserver(content=not how.guarded),
        PrometheusObserver(left.registry),
        OpenTelemetryObserver(tracers, meters, capture_content=not how.guarded),
        lambda info, fact: left.facts.append((info, fact)),
    ]
    policies = settings.pop("policies", Policies(retry=None))
    cassette = Cassette(path, record_mode="all")
    named = {} if how.guarded else {"quality": {planted[0]: lambda outcome: 1.0}}
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            StructuredLLMService(
                **await spoken_with(stack, place, planted, how),
                observers=observers,
                policies=policies,
                guardrails=place.rails if how.guarded else (),
                wrap_transport=lambda transport: cassette.wrap(how.wrap(transport)),
                metrics=True,
                **{**settings, **named},
            )
        )
        name = "simulated" if how.dialect == "openai_chat" and how.transport is None else how.dialect
        request = StreamingStructuredRequest(
            **{
                "response_model": Person,
                "model": f"{name}/{'gpt-4o' if how.guarded else planted[0]}",
                "prompt": "An engineer",
                "cadence": "delta",
                "progress_callback": left.events.append,
                **place.asked(planted),
            }
        )
        for _again in range(1 + ("cache" in repr(place.service(planted)))):
            stream = service.route_structured_streaming(request)
            stream.on_complete("*", lambda path, value: left.given.append((path, value)))
            left.steps += [step async for step in stream]
            left.outcome = stream.outcome
            left.objects.append(stream)
        left.objects += [service, service.sync, request, policies, cassette, *place.rails]
        left.objects += [service._given] if how.transport is None else []
        try:
            left.ended().unwrap()
        except Exception as error:  # noqa: BLE001  # it is looked at
            left.raised.append(error)
    if place.records:
        with suppress(*(() if how.guarded else (SecretFoundError,))):  # it guards itself
            cassette.save()
    return left


def leaks(left: Left, planted: Sequence[str]) -> dict[str, list[str]]:
    """The channels in which canaries were found, and which."""
    # Times, and numbers of threads and spans, may hold the first few digits of a card: of it more is looked for.
    words = [planted[0], *planted[2:]]
    told = {name: list(tell(left)) for name, tell in CHANNELS.items()}
    found = {
        name: found_in(seen, words) + ([planted[1]] if planted[1][:9] in "\n".join(seen) else [])
        for name, seen in told.items()
    }
    return {name: seen for name, seen in found.items() if seen}
