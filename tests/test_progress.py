"""Progress events: what a callback may rely on."""

from __future__ import annotations

import dataclasses

import pytest

from structstream.progress import ProgressEvent


def test_a_progress_event_is_a_value() -> None:
    event = ProgressEvent("field", "name closed", 12.5, {"path": "name"}, 3.0)
    assert (event.event_type, event.progress_percent, event.data["path"]) == ("field", 12.5, "name")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.message = "other"  # type: ignore[misc]  # wrong on purpose


def test_facts_and_time_may_be_left_out() -> None:
    event = ProgressEvent("start", "asking", 0.0)
    assert (dict(event.data), event.timestamp) == ({}, 0.0)
