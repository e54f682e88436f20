"""Hedging: a second, equal request is sent when the first token is late; the first to speak wins.

The other is closed at once, and what it had cost is counted as wasted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from structstream.errors import StructStreamError
from structstream.facts import Hedged

from . import Rest, arrives, flowing

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import HedgePolicy
    from structstream.request import StreamingStructuredRequest
    from structstream.response import Outcome, StreamingResponse

    from . import Call, Layer, Parts, Pause, Steps
    from .tally import Tally

__all__ = ["Lost", "apart", "hedging"]

Lost = Callable[[], "Outcome[Any] | None"]  # Any: of any response model
"""Gives what the call that was closed last left behind; None where it had not begun."""

_KEY = "Idempotency-Key"


def apart(request: StreamingStructuredRequest[Any]) -> StreamingStructuredRequest[Any]:
    """Return `request` as the second of two that are under way at once: not to be taken for the same.

    >>> from structstream.request import StreamingStructuredRequest
    >>> request = StreamingStructuredRequest(response_model=int, model="openai/o3", prompt="?", headers={_KEY: "abc"})
    >>> apart(request).headers
    {'Idempotency-Key': 'abc-hedge'}
    """
    keys = {name: f"{value}-hedge" for name, value in request.headers.items() if name.lower() == _KEY.lower()}
    return replace(request, headers={**request.headers, **keys}) if keys else request


def hedging(*, policy: HedgePolicy, tally: Tally, tell: Tell, pause: Pause, lost: Lost) -> Layer:
    """Return the layer that sends a second request where the first is late.

    Args:
        policy: the settings.
        tally: the books of the stream.
        tell: hears which one won.
        pause: waits.
        lost: gives what the call that was closed last left behind.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            race = _Race(call, request, tally, lost)
            try:
                step = await race.first(pause, policy.after)
                if race.second is not None:
                    await race.leave_loser()
                    tell(Hedged(race.won))
                yield step
                if step.outcome is None and race.winner is not None:
                    yield (yield Rest(race.winner.steps))
            finally:
                await race.close()

        return run

    return layer


class _Runner:
    """One of the two, and its first step once it has come."""

    def __init__(self, call: Call, request: StreamingStructuredRequest[Any]) -> None:
        self.request = request
        self.steps: Steps = call(request)
        self.speaking = asyncio.ensure_future(_next(self.steps))

    @property
    def failed(self) -> bool:
        """Whether it ended without having said anything."""
        if not self.speaking.done():
            return False
        outcome = self.speaking.result().outcome
        return outcome is not None and outcome.error is not None

    async def close(self) -> None:
        if not self.speaking.done():
            self.speaking.cancel()
        await asyncio.wait({self.speaking})
        if not self.speaking.cancelled():
            self.speaking.exception()  # looked at
        await self.steps.aclose()


async def _next(steps: Steps) -> StreamingResponse[Any]:
    return await anext(steps)


class _Race:
    def __init__(self, call: Call, request: StreamingStructuredRequest[Any], tally: Tally, lost: Lost) -> None:
        self._call = call
        self._tally = tally
        self._lost = lost
        self._one = _Runner(call, request)
        self.second: _Runner | None = None
        self.winner: _Runner | None = None

    @property
    def won(self) -> Literal["first", "second", "none"]:
        if self.winner is None or self.winner.failed:
            return "none"
        return "first" if self.winner is self._one else "second"

    async def first(self, pause: Pause, after: float) -> StreamingResponse[Any]:
        """Return the first step of whoever speaks first; of two that fail, that of the first request."""
        one = self._one
        try:
            came = await arrives(one.speaking, pause, after)
        except StructStreamError:
            came = True  # no time for a second one, or nobody who waits; the call itself knows which
            await asyncio.wait({one.speaking})
        if came:
            self.winner = one
            return one.speaking.result()
        two = self.second = _Runner(self._call, apart(one.request))
        await asyncio.wait({one.speaking, two.speaking}, return_when=asyncio.FIRST_COMPLETED)
        if one.failed or two.failed:  # silence is no victory: the other may still speak
            await asyncio.wait({one.speaking, two.speaking})
        self.winner = two if two.speaking.done() and (one.failed or not one.speaking.done()) else one
        if self.winner.failed:
            self.winner = one
        return self.winner.speaking.result()

    async def leave_loser(self) -> None:
        """Close the one that lost, and write down what it had cost."""
        loser = self.second if self.winner is self._one else self._one
        if loser is None:
            return
        ended = loser.speaking.result().outcome if loser.speaking.done() else None
        await loser.close()
        left = ended or self._lost()
        if left is not None and left.attempts:
            known = {attempt.number for attempt in self._tally.attempts}
            for attempt in left.attempts:
                if attempt.number not in known:
                    self._tally.lose(attempt, loser.request, left)

    async def close(self) -> None:
        for runner in (self._one, self.second):
            if runner is not None:
                await runner.close()
