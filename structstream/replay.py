"""A kept answer read once more: judged as one that comes from a provider would be, and in the steps of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import DeadlinePassed, Interrupted, Watchdog
from .decoder import StreamDecoder
from .errors import BlockedError
from .events import Finished, StreamEnd, TextDelta
from .judging import Judging
from .parse import parse_stream
from .providers import wrap_key
from .response import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .clock import Clock
    from .jsonsink import JSONLimits
    from .ledger import Ledger
    from .providers import Route
    from .request import StreamingStructuredRequest
    from .response import StreamingResponse
    from .verdicts import Guardrail

__all__ = ["Replayer"]

_STEP = 64  # characters of a kept answer that make a step


class Replayer:
    """Reads the kept answers to the requests of one stream.

    Args:
        clock: measures and bounds.
        ledger: that of the stream; its total deadline bounds the guardrails.
        limits: the bounds of the JSON; None for the defaults.
        guardrails: what judges prompt and answer: they need not be those of the stream that left the answer.
    """

    def __init__(
        self, clock: Clock, ledger: Ledger[Any], *, limits: JSONLimits | None, guardrails: Sequence[Guardrail]
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._limits = limits
        self._guardrails = guardrails

    async def steps(
        self, request: StreamingStructuredRequest[Any], text: str, route: Route
    ) -> Sequence[StreamingResponse[Any]]:  # Any: of any response model
        """Return the steps of the stream that the answer was; none where a guardrail does not let it through.

        Args:
            request: what it answers.
            text: its JSON text.
            route: who would answer.
        """
        if self._guardrails:
            judged = await self._judged(request, text, route)
            if judged is None:
                return ()
            text = judged
        pieces = [text[at : at + _STEP] for at in range(0, len(text), _STEP)]
        model, key = request.response_model, wrap_key(request.response_model)
        read = parse_stream(
            pieces, model, wrap_key=key, limits=self._limits, context=request.context, fail_fast=request.fail_fast
        )
        return list(read)

    async def _judged(self, request: StreamingStructuredRequest[Any], text: str, route: Route) -> str | None:
        """Return what the guardrails make of the answer; None where they do not let it through."""
        ledger, watchdog = self._ledger, Watchdog(self._clock)
        judging = Judging(self._guardrails, ledger.tell, self._clock, watchdog)
        decoder: StreamDecoder[Any] = StreamDecoder(
            request.response_model,
            route.provider.decoder(),
            wrap_key=wrap_key(request.response_model),
            limits=self._limits,
            context=request.context,
            guardrails=self._guardrails,
            tell=ledger.tell,
        )
        try:
            with ledger.watching(watchdog):
                await judging.prompt(request)
                ledger.begin()
                decoder.feed_events([TextDelta(text), Finished("stop"), StreamEnd()])
                decoder.drain()
                while (ask := decoder.asks) is not None:
                    decoder.settle(await judging.verdict(ask, ledger.total_at))
        except (BlockedError, DeadlinePassed, Interrupted):
            return None
        finally:
            watchdog.close()
            outcome = decoder.finish().outcome  # on every way: what else waits for a verdict is given up
        return outcome.raw_text if outcome is not None and outcome.kind is OutcomeKind.COMPLETE else None
