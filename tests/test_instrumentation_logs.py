"""One line a stream, the flow where DEBUG is on, and never content unless it is asked for."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest

from structstream.errors import InvalidOutputError, StreamCancelledError, StructStreamError
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
    StreamInfo,
    Waited,
)
from structstream.instrumentation.logs import LogObserver
from structstream.metrics import StreamingMetrics
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage, kind_of
from tests.edge import request_for, serving, steps_of
from tests.policy import REQUEST

INFO = StreamInfo(7, "openai/gpt-4o", "list", REQUEST)
CALLED = Attempt(1, "openai", "gpt-4o", "native", OutcomeKind.COMPLETE, usage=Usage(100, 20))
METRICS = StreamingMetrics(time_to_first_token=0.2, tokens_per_second=50.0, gap_p99=0.1, cost=0.01)
ENDED: Outcome[Any] = Outcome(OutcomeKind.COMPLETE, attempts=[CALLED], usage=CALLED.usage, metrics=METRICS)
LEFT = StreamCancelledError("left")
INVALID = InvalidOutputError("not a number: 'secret'")


def end(error: StructStreamError) -> StreamEnded:
    return StreamEnded(Outcome(kind_of(error), error=error), 1.0)


@pytest.mark.parametrize(
    ("fact", "level", "line"),
    [
        (StreamEnded(ENDED, 1.5), "INFO", "stream 7: complete after 1.500 s"),
        (end(LEFT), "INFO", "stream 7: cancelled after 1.000 s, StreamCancelledError"),
        (end(INVALID), "WARNING", "stream 7: invalid after 1.000 s, InvalidOutputError"),
    ],
)
def test_a_stream_ends_in_one_line(caplog: pytest.LogCaptureFixture, fact: Fact, level: str, line: str) -> None:
    with caplog.at_level(logging.INFO, "structstream"):
        LogObserver()(INFO, fact)
        LogObserver()(INFO, StreamBegan(1.0))
    assert [(record.levelname, record.message) for record in caplog.records] == [(level, line)]


def test_the_line_carries_the_figures(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "structstream"):
        LogObserver()(INFO, StreamEnded(ENDED, 1.5))
    expected = {
        "stream": 7,
        "model": "openai/gpt-4o",
        "response_model": "list",
        "outcome": "complete",
        "error": None,
        "seconds": 1.5,
        "attempts": 1,
        "input_tokens": 100,
        "output_tokens": 20,
        "wasted_tokens": 0,
        "time_to_first_token": 0.2,
        "tokens_per_second": 50.0,
        "gap_p99": 0.1,
        "cost": 0.01,
    }
    found = vars(caplog.records[0])
    assert {name: found[name] for name in expected} == expected


def test_a_line_that_nobody_reads_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "structstream"):
        LogObserver()(INFO, end(INVALID))
    assert caplog.records == []


FLOW: list[tuple[Fact, str]] = [
    (StreamBegan(1.0), "begins"),
    (AttemptBegan(1, "openai", "gpt-4o", "native", 1.0), "attempt 1 asks openai/gpt-4o, mode native"),
    (FirstToken(1, "openai", "gpt-4o", 0.25), "attempt 1: first bytes after 0.250 s"),
    (Stepped(StreamingResponse(raw_chunks=["secret"]), 2.0), "6 characters, 0 %"),
    (AttemptEnded(CALLED, 2.0), "attempt 1: complete after 2.000 s"),
    (
        Replanned("retry", OutcomeKind.TIMEOUT, "StreamTimeoutError", 1.5, "openai/gpt-4o"),
        "retry with openai/gpt-4o in 1.500 s, after StreamTimeoutError",
    ),
    (BreakerChanged("openai", "gpt-4o", "closed", "open", 1.0), "breaker of openai/gpt-4o: closed to open"),
    (Waited("tokens", "openai", 0.5), "waited for tokens, 0.500 s"),
    (Waited("pause", "openai", 9.0, refused=True), "refused by pause, 9.000 s"),
    (ConcurrencyChanged("openai", 7), "openai takes 7 calls at once"),
    (CacheLooked(hit=True), "cache hit"),
    (CacheLooked(hit=False), "cache miss"),
    (Hedged("second"), "hedged; second spoke first"),
    (Judged("two\nlines", "stop", "name"), "guardrail two lines: stop"),
    (StepsJoined(3), "3 steps are shown within a later one: the caller is slow, or wanted fewer"),
    (CallbackFailed("each", "KeyError"), "callback each raised KeyError"),
]


@pytest.mark.parametrize(("fact", "line"), FLOW, ids=[line for _, line in FLOW])
def test_debug_shows_the_flow(caplog: pytest.LogCaptureFixture, fact: Fact, line: str) -> None:
    with caplog.at_level(logging.DEBUG, "structstream"):
        LogObserver()(INFO, fact)
    assert [(record.levelname, record.message) for record in caplog.records] == [("DEBUG", f"stream 7: {line}")]


def test_the_table_of_the_flow_names_every_fact() -> None:
    assert {type(fact) for fact, _ in FLOW} | {StreamEnded} == set(get_args(Fact))


def test_content_is_shown_where_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    observer = LogObserver(content=True, logger=logging.getLogger("structstream.mine"))
    with caplog.at_level(logging.DEBUG, "structstream"):
        observer(INFO, Stepped(StreamingResponse(raw_chunks=["one", "two"]), 2.0))
        observer(INFO, end(INVALID))
    assert caplog.messages[0] == "stream 7: 6 characters, 0 %: 'onetwo'"
    assert caplog.messages[1].endswith("InvalidOutputError: invalid output: not a number: 'secret'")
    assert {record.name for record in caplog.records} == {"structstream.mine"}


@pytest.mark.anyio
async def test_no_prompt_and_no_answer_stands_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "structstream"):
        async with serving(settings={"observers": [LogObserver()], "metrics": True}) as (service, _):
            await steps_of(service, request_for())
    mine = [record for record in caplog.records if record.name == "structstream"]
    assert mine[-1].message.startswith("stream ")
    shown = repr([vars(record) for record in mine])
    assert "confidence" not in shown
    assert "Ada" not in shown
