"""The bounds of a document have defaults that suit a model's answer."""

from __future__ import annotations

from pydantic import TypeAdapter

from structstream.jsonsink import JSONLimits, JSONSink
from tests.jsonevents import EventLog


def test_the_depth_is_that_of_pydantic() -> None:
    deepest = JSONLimits().max_depth
    TypeAdapter(object).validate_json("[" * (deepest - 1) + "]" * (deepest - 1))
    assert deepest == 201


def test_a_log_of_events_is_a_sink() -> None:
    sink: JSONSink = EventLog()
    assert sink.container("[]", 0) is False
