"""A stream in which every fact is told, in an order in which it may be."""

from __future__ import annotations

from typing import Any

from structstream.errors import TruncatedError
from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    Fact,
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
from structstream.metrics import StreamingMetrics
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage

__all__ = ["ENDED", "EVERY_FACT"]

CALLED = Attempt(1, "openai", "gpt-4o", "native", OutcomeKind.TRUNCATED, usage=Usage(100, 20, 30, 5))
SCORED = StreamingMetrics(quality={"tags": 0.75})
ENDED: Outcome[Any] = Outcome(
    OutcomeKind.TRUNCATED,
    error=TruncatedError("cut"),
    attempts=[CALLED],
    usage=CALLED.usage,
    wasted_tokens=3,
    metrics=SCORED,
)
EVERY_FACT: list[Fact] = [
    StreamBegan(1.0),
    CacheLooked(hit=False),
    Waited("tokens", "openai", 0.5),
    Waited("pause", "openai", 9.0, refused=True),
    AttemptBegan(1, "openai", "gpt-4o", "native", 1.0),
    FirstToken(1, "openai", "gpt-4o", 0.3),
    Stepped(StreamingResponse(raw_chunks=["[1", ", 2"]), 2.0),
    Stepped(StreamingResponse(raw_chunks=["]"]), 2.5),
    Judged("secrets", "redact", "name"),
    StepsJoined(3),
    CallbackFailed("each", "KeyError"),
    AttemptEnded(CALLED, 2.0),
    BreakerChanged("openai", "gpt-4o", "closed", "open", 3.0),
    ConcurrencyChanged("openai", 7),
    Hedged("second"),
    Replanned("resume", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o"),
    Stepped(StreamingResponse(outcome=ENDED), 4.0),
    StreamEnded(ENDED, 4.0, 0.5),
]
