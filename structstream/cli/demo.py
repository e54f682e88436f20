"""Watch an object fill while the model writes; offline and without a key unless a real model is named.

Without --model the answer comes from the simulated provider, a real HTTP server on loopback, through the same client,
parser and partial objects as any other.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from structstream import Outcome, StreamingStructuredRequest, StructuredLLMService

    from .render import Screen
    from .watcher import Watcher

    _Rows = Sequence[tuple[str, str]]

__all__ = ["configure", "run"]

_MODEL = "simulated/gpt-4o"
_PROMPT = "Plan a short trip for somebody who likes quiet places, good bread and trains."
_SPEED = 100.0  # tokens a second
_HEAVY = ("openai.resources.chat", "aiohttp")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--prompt", default=_PROMPT, help="what to ask for")
    add("--schema", metavar="MODULE:CLASS", help="the type of the answer (default: a trip)")
    add("--model", default=_MODEL, help="such as openai/gpt-4o, with its key in the environment (default: %(default)s)")
    add("--temperature", type=float, help="0 to 2")
    add("--seed", type=int, default=11, help="decides the simulated data (default: %(default)s)")
    add("--speed", type=float, default=_SPEED, help="simulated tokens a second; 0 for flat out (default: %(default)s)")
    add("--simulate-failures", action="store_true", help="show what each of several failures ends in")
    add("--monitor-performance", action="store_true", help="print rates, gaps, attempts, cost and CPU time")
    add("--metrics-port", type=int, metavar="N", help="monitor, and serve /metrics on this port of loopback meanwhile")
    add("--enable-guardrails", action="store_true", help="hold personal data and secrets back, and count the verdicts")


def run(arguments: argparse.Namespace) -> int:
    """Stream one answer, or one for each failure; return 0 if all ended as they should."""
    if arguments.simulate_failures:
        from .failures import show_failures

        return show_failures(arguments)
    from .embedded import embedded

    with embedded(arguments.model, seed=arguments.seed, speed=arguments.speed):
        return asyncio.run(_stream(arguments))


async def _stream(arguments: argparse.Namespace) -> int:
    from structstream import PersonalData, Secrets, StructuredLLMService

    from .monitor import monitoring
    from .schemas import make_request
    from .watcher import Watcher

    request = make_request(arguments)
    shape = getattr(request.response_model, "__name__", str(request.response_model))
    print(f"asking {request.model} for a {shape}: {request.prompt}\n", flush=True)
    loading = _load()
    monitored = arguments.monitor_performance or arguments.metrics_port is not None
    watcher = Watcher() if monitored or arguments.enable_guardrails else None
    watched: AbstractContextManager[dict[str, Any]] = (
        nullcontext({}) if watcher is None else monitoring(arguments.metrics_port, watcher)
    )
    guardrails = [PersonalData(), Secrets()] if arguments.enable_guardrails else []
    with watched as settings:
        async with StructuredLLMService(guardrails=guardrails, **settings) as service:
            return await _shown(service, request, loading, watcher)


def _load() -> float:
    """Load what the first call would, and return the seconds: they are none of the provider's."""
    began = time.perf_counter()
    for name in _HEAVY:
        importlib.import_module(name)
    return time.perf_counter() - began


def _screen_for(out: TextIO, rows: Callable[[], _Rows] | None = None) -> Screen:
    """The best screen that `out` can show; `rows` gives what stands below the object, where there is room for it."""
    from .render import LineScreen, TerminalScreen

    if not out.isatty():
        return LineScreen(out)
    try:
        from .live import LiveScreen
    except ImportError:  # rich is an extra
        return TerminalScreen(out)
    return LiveScreen(out, figures=rows)


async def _shown(
    service: StructuredLLMService, request: StreamingStructuredRequest[Any], loading: float, watcher: Watcher | None
) -> int:
    from .figures import Figures
    from .render import plain

    screen = _screen_for(sys.stdout, None if watcher is None else watcher.rows)
    figures = Figures()
    async with service.route_structured_streaming(request) as stream:
        with screen:
            figures.ask()
            async for response in stream:
                figures.got(response)
                screen.step(response)
                figures.ask()
    outcome: Outcome[Any] | None = stream.outcome
    if outcome is None:  # pragma: no cover — a stream that ends has one
        return 1
    if outcome.error is None:
        print(json.dumps(plain(outcome.result), ensure_ascii=False, indent=2))
    rows = [*figures.lines(outcome), ("loading the SDK before", f"{loading:.2f} s")]
    _print_rows([*rows, *([] if watcher is None else [*figures.performance(outcome.metrics), *watcher.happenings()])])
    return 0 if outcome.error is None else 1


def _print_rows(rows: _Rows) -> None:
    """Print names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(f"{name:{width}}  {value}")
