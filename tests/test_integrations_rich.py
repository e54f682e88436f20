"""A bar of rich follows a stream, and shows what it is told as it is."""

from __future__ import annotations

import io
import sys

import pytest

from structstream import MissingDependencyError, ProgressEvent
from structstream.testing import drop_at_byte
from tests.edge import request_for, serving, steps_of

pytest.importorskip("rich", reason="rich is an extra")

from rich.console import Console
from rich.progress import Progress

from structstream.integrations.rich import RichProgress


def display() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(console=Console(file=out, force_terminal=True, width=200), auto_refresh=False), out


def test_a_bar_follows_the_percent_and_shows_paths_as_they_are() -> None:
    progress, out = display()
    bar = RichProgress(progress, "a [trip]")
    with progress:
        bar(ProgressEvent("start", "the call begins", 0.0))
        bar(ProgressEvent("field", "items[2].name closed", 40.0))
        assert progress.tasks[0].completed == 40
        progress.refresh()
        bar(ProgressEvent("complete", "complete", 100.0))
        assert progress.tasks[0].finished
    assert len(progress.tasks) == 1
    assert "a [trip]: items[2].name closed" in out.getvalue()


def test_a_display_of_its_own_is_started_and_stopped() -> None:
    with RichProgress() as bar:
        assert bar.progress.live.is_started
        bar(ProgressEvent("error", "the connection broke", 40.0))
        assert "red" in bar.progress.tasks[0].description
    assert not bar.progress.live.is_started


def test_the_callers_own_display_is_left_alone() -> None:
    progress, _ = display()
    with RichProgress(progress) as bar:
        bar(ProgressEvent("start", "the call begins", 0.0))
        assert not progress.live.is_started


@pytest.mark.anyio
@pytest.mark.parametrize("broken", [False, True])
async def test_it_is_a_callback_of_a_request(broken: bool) -> None:
    progress, _ = display()
    async with serving(faults=[drop_at_byte(2000)] if broken else []) as (service, _):
        await steps_of(service, request_for(progress_callback=RichProgress(progress)))
    assert progress.tasks[0].finished is not broken


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.markup", None)
    monkeypatch.delitem(sys.modules, "structstream.integrations.rich")
    with pytest.raises(MissingDependencyError, match=r"structstream\[rich\]"):
        import structstream.integrations.rich  # noqa: F401  # only to be refused
