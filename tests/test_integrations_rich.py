"""rich's bar follows a stream, ends with it, and leaves the terminal tidy."""

from __future__ import annotations

import importlib
import io
import sys

import pytest

from structstream import MissingDependencyError, ProgressEvent
from structstream.testing.faults import length
from tests.edge import PROFILE, request_for, serving

pytest.importorskip("rich", reason="rich is not installed: pip install 'structstream[rich]'")

from rich.console import Console  # needs what was looked for above
from rich.progress import Progress

from structstream.integrations.rich import RichProgress

pytestmark = pytest.mark.anyio


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_bar_ends_full_and_the_cursor_is_given_back() -> None:
    console = screen()
    bar = RichProgress("a [profile]", console=console)
    async with serving() as (service, _):
        await service.route_structured(request_for(progress_callback=bar))
    (task,) = bar.progress.tasks
    assert task.finished
    assert "a [profile]" in shown(console)
    assert "100%" in shown(console)
    assert shown(console).rindex("\x1b[?25h") > shown(console).rindex("\x1b[?25l")


async def test_a_failure_stops_the_bar_where_it_was_and_names_the_error_alone() -> None:
    console = screen()
    bar = RichProgress(console=console)
    async with serving(faults=[length(40)]) as (service, _):
        async for _ in service.route_structured_streaming(request_for(progress_callback=bar)):
            pass
    (task,) = bar.progress.tasks
    assert 0 < task.completed < 100
    assert task.stop_time is not None
    assert "TruncatedError" in shown(console)
    assert PROFILE[:20] not in shown(console)


async def test_left_early_the_display_stops_with_the_block() -> None:
    console = screen()
    with RichProgress(console=console) as bar:
        async with (
            serving() as (service, _),
            service.route_structured_streaming(request_for(progress_callback=bar)) as stream,
        ):
            await anext(stream)
        assert bar.progress.live.is_started
    assert not bar.progress.live.is_started


def test_streams_share_a_display_that_stays_the_callers() -> None:
    with Progress(console=screen(), auto_refresh=False) as progress:
        bars = [RichProgress(name, progress) for name in ("one", "two")]
        for percent, bar in enumerate(bars, 1):
            bar(ProgressEvent("field", "name is there", float(percent), {"path": "name"}))
        bars[0](ProgressEvent("complete", "the answer is there", 100.0))
        assert [(task.description, task.completed) for task in progress.tasks] == [("one", 100.0), ("two", 2.0)]
        assert progress.tasks[1].fields["last"] == "name"
        assert progress.live.is_started


def test_the_next_stream_has_a_bar_of_its_own() -> None:
    bar = RichProgress(console=screen())
    for _ in range(2):
        bar(ProgressEvent("start", "the call begins", 0.0))
        bar(ProgressEvent("complete", "the answer is there", 100.0))
    assert [task.completed for task in bar.progress.tasks] == [100.0, 100.0]


def test_without_rich_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.markup", None)
    monkeypatch.delitem(sys.modules, "structstream.integrations.rich")
    with pytest.raises(MissingDependencyError, match=r"structstream\[rich\]"):
        importlib.import_module("structstream.integrations.rich")
