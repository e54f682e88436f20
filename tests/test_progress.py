"""Progress events: what a callback may rely on, and which it hears."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from structstream.errors import ConfigurationError
from structstream.progress import ProgressEvent, ProgressFilter


def test_a_progress_event_is_a_value() -> None:
    event = ProgressEvent("field", "name closed", 12.5, {"path": "name"}, 3.0)
    assert (event.event_type, event.progress_percent, event.data["path"]) == ("field", 12.5, "name")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.message = "other"  # type: ignore[misc]  # wrong on purpose


def test_facts_and_time_may_be_left_out() -> None:
    event = ProgressEvent("start", "asking", 0.0)
    assert (dict(event.data), event.timestamp) == ({}, 0.0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"types": ["field", "done"]}, "types must be a list of some of start, progress"),
        ({"types": "field"}, "types must be a list of some of"),
        ({"paths": "items[*]"}, r"paths must be a list of patterns, such as \['items\[\*\]'\]"),
        ({"paths": ["items["]}, "is no path pattern"),
        ({"types": 5}, "types must be a list of some of"),
        ({"types": [["field"]]}, "types must be a list of some of"),
        ({"paths": 5}, "paths must be a list of patterns or None, not 5"),
        ({"least_step": -1}, "least_step must be a number, 0 or more"),
        ({"least_interval": True}, "least_interval must be a number"),
        ({"least_interval": float("nan")}, "least_interval must be a number"),
    ],
)
def test_a_filter_that_cannot_work_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        ProgressFilter(**wrong)
