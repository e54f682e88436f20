"""The demo's watcher says in words what facts say, and keeps a bounded number of them."""

from __future__ import annotations

import pytest

from structstream.cli.watcher import Watcher
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
    Stepped,
    StepsJoined,
    Waited,
)
from structstream.response import Attempt, OutcomeKind, StreamingResponse


def after(*facts: Fact) -> list[tuple[str, str]]:
    watcher = Watcher()
    for fact in facts:
        watcher(None, fact)
    return watcher.rows()


ENDED = Attempt(1, "openai", "gpt-4o-2024", "native", OutcomeKind.INCOMPLETE, reason="in confidence")

CASES: list[tuple[list[Fact], list[tuple[str, str]]]] = [
    ([], []),
    ([Stepped(StreamingResponse(), 1.0)], []),
    (
        [
            Stepped(StreamingResponse(raw_chunks=["before the first gap"]), 1.0),
            Stepped(StreamingResponse(raw_chunks=["12", "345"]), 1.5),
            Stepped(StreamingResponse(raw_chunks=["67890"]), 2.0),
        ],
        [("characters a second", "10"), ("gaps so far", "p50 500.0 ms, p95 500.0 ms, p99 500.0 ms")],
    ),
    (
        [
            AttemptBegan(1, "openai", "gpt-4o", "native", 0.0),
            FirstToken(1, "openai", "gpt-4o", 0.25),
            AttemptEnded(ENDED, 2.5),
            AttemptBegan(2, "openai", "gpt-4o", "native", 3.0, "resume"),
        ],
        [
            ("attempt 1", "openai/gpt-4o, native, first token after 250 ms, incomplete after 2.50 s"),
            ("attempt 2", "openai/gpt-4o, native, resume"),
        ],
    ),
    (
        [Waited("requests", "openai", 0.5), Waited("requests", "openai", 1.0), Waited("pause", "openai", 0.0, True)],
        [("held back by", "requests 2, pause (refused) 1; 1.50 s in all")],
    ),
    (
        [
            BreakerChanged("openai", "gpt-4o", "closed", "open", 1.0),
            BreakerChanged("openai", "gpt-4o", "open", "half_open", 2.0),
        ],
        [("circuit breaker", "openai/gpt-4o: open → half_open")],
    ),
    ([ConcurrencyChanged("openai", 8), ConcurrencyChanged("openai", 4)], [("concurrency", "openai: 4 at once")]),
    ([StepsJoined(2), StepsJoined(3)], [("cadence", "5 steps shown within later ones")]),
    ([CacheLooked(hit=True)], [("cache", "hit")]),
    ([CacheLooked(hit=False)], [("cache", "miss")]),
    ([Hedged("second")], [("hedge", "a second request was sent; won by second")]),
    ([CallbackFailed("quality length", "ValueError")], [("callback", "quality length raised ValueError")]),
    (
        [
            Judged("secrets", "allow"),
            Judged("secrets", "redact", "note"),
            Judged("secrets", "allow"),
            Judged("pii", "stop"),
        ],
        [("guardrails", "secrets: 2 allow, 1 redact; pii: 1 stop")],
    ),
]


@pytest.mark.parametrize(("facts", "rows"), CASES)
def test_facts_become_rows(facts: list[Fact], rows: list[tuple[str, str]]) -> None:
    assert after(*facts) == rows


def test_of_many_attempts_the_newest_are_shown() -> None:
    rows = after(*(AttemptBegan(number, "openai", "gpt-4o", "native", 0.0) for number in range(1, 30)))
    assert [name for name, _ in rows] == [f"attempt {number}" for number in range(25, 30)]
