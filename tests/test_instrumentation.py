"""Facts reach every observer in order, and one that fails breaks nothing."""

from __future__ import annotations

import logging

import pytest

from structstream.facts import CacheLooked, Fact, StreamInfo
from structstream.instrumentation import telling
from structstream.request import StreamingStructuredRequest

REQUEST = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="in confidence")
INFO = StreamInfo(1, REQUEST.model, "int", REQUEST)


def test_where_nobody_listens_nothing_is_told() -> None:
    assert telling(INFO, []) is None


def test_every_observer_hears_every_fact_in_order() -> None:
    heard: list[tuple[int, Fact]] = []
    tell = telling(INFO, [lambda _, fact: heard.append((1, fact)), lambda _, fact: heard.append((2, fact))])
    assert tell is not None
    tell(CacheLooked(True))
    tell(CacheLooked(False))
    assert heard == [(1, CacheLooked(True)), (2, CacheLooked(True)), (1, CacheLooked(False)), (2, CacheLooked(False))]


def test_an_observer_that_raises_is_named_once_and_the_others_hear_all(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Fact] = []

    def broken(_: StreamInfo, fact: Fact) -> None:
        raise RuntimeError("in confidence")

    tell = telling(INFO, [broken, lambda _, fact: heard.append(fact)])
    assert tell is not None
    with caplog.at_level(logging.WARNING, "structstream"):
        tell(CacheLooked(True))
        tell(CacheLooked(False))
    assert len(heard) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "observer function raised RuntimeError at CacheLooked; the stream goes on"
    ]
