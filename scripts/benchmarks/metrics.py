"""What observing and guarding cost: CPU microseconds for each streamed event, with observers and guardrails off and on.

What they add is measured in this process, where an answer comes from memory, one event a read, and no network blurs it;
off and on take turns. What an event costs end to end, off and on, is measured over HTTP as in the section of that name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from structstream import StreamingStructuredRequest, StructuredLLMService

from .children import served
from .documents import Records, deltas, records
from .e2e import MESSAGES, SIZE, SPEED, Client, measured, ours
from .measure import interleaved
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from structstream import HTTPRequest

    from .e2e import Cost
    from .options import Options

__all__ = ["run"]

MORE_ROUNDS = 5  # in memory a round is short; a few per cent are to be told apart
LENGTH = 16 << 10
OFF, PROMETHEUS, FIGURES, LOGS, OTEL = "off", "Prometheus", "Outcome.metrics", "logs (INFO)", "OpenTelemetry, no SDK"
GUARDED = "Prometheus, and guardrails for personal data and secrets"

Settings = Callable[[], dict[str, Any]]  # Any: the arguments of a service


def watchers() -> dict[str, Settings]:
    """Return, by name, what makes the settings of each way to observe."""
    from prometheus_client import CollectorRegistry

    from structstream import PersonalData, Secrets
    from structstream.instrumentation.logs import LogObserver
    from structstream.instrumentation.prometheus import PrometheusObserver

    quiet = logging.getLogger("structstream.benchmarks")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    quiet.setLevel(logging.INFO)
    found: dict[str, Settings] = {
        OFF: dict,
        PROMETHEUS: lambda: {"observers": [PrometheusObserver(CollectorRegistry())]},
        GUARDED: lambda: {
            "observers": [PrometheusObserver(CollectorRegistry())],
            "guardrails": [PersonalData(), Secrets()],
        },
        FIGURES: lambda: {"metrics": True},
        LOGS: lambda: {"observers": [LogObserver(logger=quiet)]},
    }
    try:
        from structstream.instrumentation.otel import OpenTelemetryObserver
    except ImportError:
        return found
    return {**found, OTEL: lambda: {"observers": [OpenTelemetryObserver()]}}


class Memory:
    """A transport and its answer in one: the same events at every call, one a read."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, document: str) -> None:
        chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in deltas(document)]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> Memory:
        """Answer, whatever is asked."""
        return self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self.events:
            yield event

    async def aclose(self) -> None:
        """Nothing is open."""


def reader(memory: Memory, settings: dict[str, Any]) -> Callable[[], None]:
    """Return what reads one answer from memory to its end, looking at every partial object."""
    service = StructuredLLMService(memory, **settings)
    request = StreamingStructuredRequest(response_model=Records, model="openai/gpt-4o", messages=MESSAGES)

    return lambda: asyncio.run(drained(service, request))


async def drained(service: StructuredLLMService, request: StreamingStructuredRequest[Any]) -> None:
    """Read one answer to its end, looking at every partial object."""
    async with service.route_structured_streaming(request) as stream:
        async for response in stream:
            response.partial_result  # noqa: B018  # made when looked at
    if response.error:
        raise RuntimeError(f"the stream failed: {response.error}")


def run(options: Options) -> Section:
    """Measure what each way to observe adds, and hold Prometheus to its bar."""
    memory = Memory(records(LENGTH))
    ways = watchers()
    times = interleaved({name: reader(memory, make()) for name, make in ways.items()}, MORE_ROUNDS * options.rounds)
    event = 1e6 / len(memory.events)
    least = {name: min(found) * event for name, found in times.items()}  # what others' work did not lengthen
    added = {name: found - least[OFF] for name, found in least.items()}
    whole = end_to_end(options, {name: ways[name] for name in (OFF, PROMETHEUS, GUARDED)})
    rows = [(name, least[name], added[name], 100 * added[name] / whole[OFF], whole.get(name)) for name in ways]
    columns = (
        "observers",
        "from memory, us/event",
        "added, us/event",
        "% of an event end to end",
        "end to end, us/event",
    )
    table = Table(f"Events of {LENGTH >> 10} KB from memory; of {SIZE >> 10} KB over HTTP", columns, rows)
    bars = [
        Bar(f"{name}: CPU added to an event end to end", 100 * added[name] / whole[OFF], most, "%")
        for name, most in ((PROMETHEUS, 5), (GUARDED, 25))
    ]
    return Section("metrics", "What observing and guarding costs", [table], bars)


def end_to_end(options: Options, ways: Mapping[str, Settings]) -> dict[str, float]:
    """Return the CPU microseconds of an event over HTTP by way to observe, brought to one pace of the machine."""
    document = records(SIZE)
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    with served("provider", document=document, speed=SPEED) as url:
        for _ in range(options.rounds):
            for name, make in ways.items():
                prepare: Callable[[str], tuple[Any, Callable[[], Awaitable[object]]]] = partial(ours, **make())
                costs[name].append(asyncio.run(measured(Client(name, prepare), url, len(document))))
    typical = median(cost.pace for found in costs.values() for cost in found)
    return {name: median(cost.seconds * typical / cost.pace for cost in found) * 1e6 for name, found in costs.items()}
