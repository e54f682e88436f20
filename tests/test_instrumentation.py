"""Facts reach all who listen, in order, and a listener that raises breaks nothing."""

from __future__ import annotations

import logging

import pytest

from structstream.facts import CacheLooked, Fact, StreamInfo
from structstream.instrumentation import telling
from tests.policy import REQUEST

INFO = StreamInfo(1, REQUEST.model, "list", REQUEST)


def test_all_hear_in_their_order() -> None:
    heard: list[tuple[str, Fact]] = []
    tell = telling(INFO, [lambda info, fact: heard.append(("a", fact)), lambda info, fact: heard.append(("b", fact))])
    assert tell is not None
    tell(CacheLooked(hit=True))
    assert heard == [("a", CacheLooked(hit=True)), ("b", CacheLooked(hit=True))]


def test_an_observer_that_raises_is_named_once_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    def broken(info: StreamInfo, fact: Fact) -> None:
        raise ValueError("a secret")

    heard: list[Fact] = []
    tell = telling(INFO, [broken, lambda info, fact: heard.append(fact)])
    assert tell is not None
    with caplog.at_level(logging.WARNING, "structstream"):
        tell(CacheLooked(hit=True))
        tell(CacheLooked(hit=False))
    assert len(heard) == 2
    assert caplog.messages == ["observer function raised ValueError at CacheLooked; the stream goes on"]
