"""Verdicts that have to be awaited: at the edge, within the time that a guardrail may take."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from .clock import DeadlinePassed, Interrupted
from .errors import BlockedError
from .gate import Ask, Rail, awaits
from .request import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .clock import Clock, Watchdog
    from .facts import Tell
    from .request import StreamingStructuredRequest
    from .verdicts import Guardrail, Verdict

__all__ = ["Judging"]


class Judging:
    """Awaits the guardrails of one attempt.

    Args:
        guardrails: those of the attempt.
        tell: hears of their verdicts; None for nobody.
        clock: measures.
        watchdog: bounds each await, and is interrupted where the caller leaves.

    Raises:
        ConfigurationError: one of `guardrails` is none.
    """

    def __init__(self, guardrails: Sequence[Guardrail], tell: Tell | None, clock: Clock, watchdog: Watchdog) -> None:
        self._rails = [Rail(guardrail, tell) for guardrail in guardrails]
        self._clock = clock
        self._watchdog = watchdog

    async def prompt(self, request: StreamingStructuredRequest[Any]) -> None:  # Any: of any response model
        """Ask about the conversation, before anything is sent: that of the caller, not what an answer has added to it.

        Raises:
            BlockedError: a guardrail says anything but allow, or failed.
            Interrupted: the caller left.
        """
        asked = request if request.continuation is None else replace(request, continuation=None)
        text = text_of(asked.conversation) if self._rails else ""
        for rail in self._rails:
            judgement = rail.check_prompt(text)
            if awaits(judgement):
                judgement = await self.verdict(Ask(rail, judgement, ""))
            verdict = rail.settled(judgement, "")
            if verdict.action != "allow":
                rail.tell("stop", "")
                raise BlockedError(rail.name, verdict.reason or "the prompt holds what is not to be sent")
            rail.tell("allow", "")

    async def verdict(self, ask: Ask, deadline: float = inf) -> Verdict:
        """Await a judgement, no longer than its guardrail may take.

        Args:
            ask: what to await.
            deadline: when the stream itself has to end, on the clock.

        Raises:
            BlockedError: the guardrail failed, and that closes the gate.
            DeadlinePassed: the stream's own deadline passed.
            Interrupted: the caller left.
        """
        timeout = ask.rail.guardrail.timeout
        when = inf if timeout is None else self._clock.now() + timeout
        why = "it took too long"
        try:
            with self._watchdog.until(min(when, deadline)):
                judgement: object = await ask.judgement if awaits(ask.judgement) else ask.judgement
                return ask.rail.settled(judgement, ask.path)
        except DeadlinePassed:
            if when > deadline:
                raise
        except (Interrupted, BlockedError):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            why = type(error).__name__  # nobody cancelled this stream: what it awaited was cancelled
        except Exception as error:  # noqa: BLE001  # the guardrail is the caller's: whatever it raises closes the gate
            why = type(error).__name__
        return ask.rail.failed(why, ask.path)
