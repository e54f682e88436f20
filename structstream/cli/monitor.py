"""What a service is given so that the demo can say how it went, and show it to a Prometheus."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from structstream import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry

    from structstream import Usage
    from structstream.facts import Observer

__all__ = ["monitoring", "price"]


def price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what tokens cost in US dollars, those of a simulated model as OpenAI would charge; None for unknown.

    Without genai-prices, which is an extra, every price is unknown.
    """
    try:
        from structstream.instrumentation.cost import cost_of
    except ImportError:
        return None
    return cost_of("openai" if provider.startswith("simulated") else provider, model, usage)


@contextmanager
def monitoring(port: int | None, watcher: Observer) -> Iterator[dict[str, Any]]:  # Any: the arguments of a service
    """Give the arguments of a service that is watched, and serve its metrics meanwhile.

    Where a person sits at the terminal, the end of the block waits for Enter, so that there is time to look.

    Args:
        port: of loopback, for ``/metrics``; None serves nothing, 0 takes a free one.
        watcher: hears what happens as well.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    from prometheus_client import CollectorRegistry

    from structstream.instrumentation.prometheus import PrometheusObserver

    registry = CollectorRegistry()
    settings = {"metrics": True, "prices": price, "observers": [PrometheusObserver(registry, prices=price), watcher]}
    if port is None:
        yield settings
        return
    server = _served(port, registry)
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    print(f"serving {url} meanwhile\n", flush=True)
    try:
        yield settings
        if sys.stdin.isatty():
            input(f"\n{url} is there until Enter ")
    finally:
        server.shutdown()
        server.server_close()


def _served(port: int, registry: CollectorRegistry) -> WSGIServer:
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"--metrics-port {port} cannot be had ({error}): take another one") from error
    return server
