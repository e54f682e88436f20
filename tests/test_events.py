"""The words between dialects and decoder: each is a value."""

from __future__ import annotations

from typing import get_args

from structstream import events
from structstream.decoder import HANDLERS
from structstream.events import ProviderEvent, ServerSentEvent, TextDelta


def test_each_event_has_a_handler() -> None:
    assert set(HANDLERS) == set(get_args(ProviderEvent))


def test_events_are_values() -> None:
    assert TextDelta("a") == TextDelta("a", choice=0)
    assert len({TextDelta("a"), TextDelta("a"), TextDelta("b")}) == 2


def test_an_event_without_a_name_is_a_message() -> None:
    assert (ServerSentEvent("x").event, ServerSentEvent("x").id, ServerSentEvent("x").retry) == ("message", "", None)


def test_the_union_is_all_of_them() -> None:
    named = {getattr(events, name) for name in events.__all__ if isinstance(getattr(events, name), type)}
    assert named == {*get_args(ProviderEvent), ServerSentEvent}
