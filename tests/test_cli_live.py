"""The live picture of the demo, where rich is installed."""

from __future__ import annotations

import pytest

from structstream.cli.render import outline
from tests.test_cli_render import Terminal, responses

pytest.importorskip("rich", reason="rich is not installed: pip install 'structstream[rich]'")


def test_the_live_picture_shows_the_object_as_it_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from structstream.cli import live

    monkeypatch.setattr(live, "FRAME", 0.0)
    out = Terminal()
    console = Console(file=out, force_terminal=True, width=60, height=20, color_system=None)
    with live.LiveScreen(out, console) as screen:
        for response in responses():
            screen.step(response)
    shown = out.getvalue()
    assert "customer  Ad▌" in shown
    assert " 2 name  jam" in shown
    assert shown.rstrip().rpartition("╰")[2].count("100 %") == 1


def test_a_picture_is_cut_to_its_last_lines_and_wrapped_to_its_width() -> None:
    from structstream.cli.live import picture

    data = {"story": "one two three four five six seven", "more": {str(number): number for number in range(20)}}
    rows = list(outline(data))
    lines = picture(rows, "more.19", 24, 8)
    assert len(lines) == 8
    assert lines[0].plain == "⋮"
    assert lines[-1].plain.endswith("19  19▌")
    whole = picture(rows, None, 24, 100)
    assert all(len(line.plain) <= 24 for line in whole)
    assert sum("story" in line.plain for line in whole) == 1


def test_the_second_panel_has_a_line_for_each_figure_and_leaves_room_for_the_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rich.console import Console

    from structstream.cli import live

    monkeypatch.setattr(live, "FRAME", 0.0)
    out = Terminal()
    console = Console(file=out, force_terminal=True, width=60, height=20, color_system=None)
    figures = [("rate", "9 characters a second"), ("guardrails", "secrets: 1 redact " + "x" * 60)]
    with live.LiveScreen(out, console, lambda: figures) as screen:
        for response in responses():
            screen.step(response)
    last = out.getvalue().rpartition("customer")[2]
    assert "│ rate        9 characters a second" in last
    assert "│ guardrails  secrets: 1 redact xxx" in last
    assert "…" in last
    assert last.count("╭") == 1  # the second panel's
    assert last.count("\n") < 20


def test_without_figures_there_is_no_second_panel() -> None:
    from structstream.cli.live import table

    assert table([], 40) == []
