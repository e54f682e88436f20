"""The live picture of the demo: the object as it fills, a bar, the figures so far and what the facts say."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from .render import FRAME, Row, bar, outline, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from structstream import StreamingResponse

__all__ = ["LiveScreen", "picture", "table"]

_FRAME_LINES = 4  # of the panel and what stands below it
_LEAST = 6  # lines, on however small a terminal


class LiveScreen:
    """A picture that is drawn again, at most twenty times a second, and stays when the stream has ended.

    Args:
        out: the terminal.
        console: rich's own idea of it; None for one of `out`.
        figures: gives names and values for a second panel, at each picture; None for none.
    """

    def __init__(
        self,
        out: TextIO,
        console: Console | None = None,
        figures: Callable[[], Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        self.figures = figures
        self.console = console if console is not None else Console(file=out, highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, vertical_overflow="crop")
        self.began = time.monotonic()
        self.drawn = 0.0
        self.deltas = 0

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.live.stop()

    def step(self, response: StreamingResponse[Any]) -> None:  # Any: of any response model
        """Draw a step, if the last picture is old enough or the stream has ended."""
        self.deltas += len(response.raw_chunks)
        now = time.monotonic()
        if now - self.drawn < FRAME and not response.is_complete:
            return
        self.drawn = now
        snapshot = response.partial_result if response.outcome is None else response.outcome.last_partial
        growing = response.changed[-1] if response.changed and not response.is_complete else None
        width, room = self.console.size.width - 4, self.console.size.height - _FRAME_LINES
        below = table([] if self.figures is None else self.figures(), width)
        height = max(_LEAST, room - (len(below) + 2 if below else 0))
        lines = picture(list(outline(plain(snapshot))), growing, width, height)
        status = Text.assemble(
            (bar(response.progress_percent), "green" if response.error is None else "red"),
            f" {response.progress_percent:3.0f} %  ",
            (f"{self.deltas} deltas  {now - self.began:.1f} s", "dim"),
        )
        panels = [Panel(Group(*part), border_style="dim") for part in (lines, below) if part or part is lines]
        self.live.update(Group(*panels, status), refresh=True)


def table(rows: Sequence[tuple[str, str]], width: int) -> list[Text]:
    """Return names and values as lines of at most `width` characters, the values below one another."""
    names = max((len(name) for name, _ in rows), default=0)
    lines = [
        Text.assemble((f"{name:{names}}  ", "cyan"), value, no_wrap=True, overflow="ellipsis") for name, value in rows
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def picture(rows: list[Row], growing: str | None, width: int, height: int) -> list[Text]:
    """Return rows as lines of at most `width` characters; of more than `height` lines the last ones.

    Args:
        rows: the outline.
        growing: the path at which a cursor stands; None for nowhere.
        width: characters of a line.
        height: lines.
    """
    lines: list[Text] = []
    for row in rows:
        start = "   " * (row.depth - 1) + f"{row.mark:>2} " * bool(row.depth) + (f"{row.key}  " if row.key else "")
        room = max(10, width - len(start) - 1)
        wrapped = textwrap.wrap(row.text, room, drop_whitespace=False) or [""]
        for number, text in enumerate(wrapped):
            head = start if number == 0 else " " * len(start)
            lines.append(Text.assemble((head, "cyan"), text, no_wrap=True))
        if row.path == growing:
            lines[-1].append("▌", "bold green")
    if len(lines) > height:
        lines = [Text("⋮", "dim"), *lines[len(lines) - height + 1 :]]
    return lines
