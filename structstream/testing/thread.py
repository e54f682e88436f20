"""The simulated provider for callers without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeVar

from structstream.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

    from .records import RecordedRequest
    from .script import Script
    from .simulator import SimulatedProvider

__all__ = ["ThreadedProvider"]

R = TypeVar("R")


class ThreadedProvider:
    """A `SimulatedProvider` that runs in a thread of its own while a ``with`` block runs; made by its `in_thread`.

    Example::

        with SimulatedProvider.in_thread(seed=1) as provider:
            client = OpenAI(base_url=provider.base_url, api_key="any")
    """

    def __init__(self, provider: SimulatedProvider) -> None:
        self._provider = provider
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        loop = self._loop = asyncio.new_event_loop()
        # A daemon, so that a program that ends by an exception elsewhere does not hang on its simulator.
        self._thread = threading.Thread(target=loop.run_forever, name="simulated-provider", daemon=True)
        self._thread.start()
        try:
            self._run(self._provider.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._run(self._provider.aclose())
        finally:
            self._stop()

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return self._provider.base_url

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._provider.port

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far."""
        return list(self._provider.requests)

    @property
    def active(self) -> int:
        """How many connections are open now."""
        return self._provider.active

    @property
    def disconnects(self) -> int:
        """How many answers the client left before their end."""
        return self._provider.disconnects

    @property
    def script(self) -> Script:
        """How answers go; may be replaced between requests."""
        return self._provider.script

    @script.setter
    def script(self, script: Script) -> None:
        self._provider.script = script

    def wait_until(self, condition: Callable[[SimulatedProvider], bool], within: float = 5.0) -> None:
        """Return as soon as `condition` holds, which is called in the provider's thread.

        Raises:
            WaitTimeoutError: `within` seconds passed before.
        """
        self._run(self._provider.wait_until(condition, within))

    def wait_for_end(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once its answer has ended.

        Raises:
            WaitTimeoutError: it did not end in time.
        """
        return self._run(self._provider.wait_for_end(number, within))

    def wait_for_disconnect(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once the connection that it came over is gone.

        Raises:
            WaitTimeoutError: it was not closed in time.
        """
        return self._run(self._provider.wait_for_disconnect(number, within))

    def release(self) -> None:
        """Let every stalled answer go on."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._provider.release)

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:  # Any: what asyncio's own signature says
        if self._loop is None:
            coroutine.close()
            raise ConfigurationError("the simulated provider is not running: enter its with block first")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
