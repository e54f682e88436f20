"""The live picture of the demo: the object as it fills, a bar, the figures so far."""

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
    from types import TracebackType

    from structstream import StreamingResponse

__all__ = ["LiveScreen", "picture"]

_FRAME_LINES = 4  # of the panel and what stands below it
_LEAST = 6  # lines, on however small a terminal


class LiveScreen:
    """A picture that is drawn again, at most twenty times a second, and stays when the stream has ended."""

    def __init__(self, out: TextIO, console: Console | None = None) -> None:
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
        height = max(_LEAST, self.console.size.height - _FRAME_LINES)
        lines = picture(list(outline(plain(snapshot))), growing, self.console.size.width - 4, height)
        status = Text.assemble(
            (bar(response.progress_percent), "green" if response.error is None else "red"),
            f" {response.progress_percent:3.0f} %  ",
            (f"{self.deltas} deltas  {now - self.began:.1f} s", "dim"),
        )
        self.live.update(Group(Panel(Group(*lines), border_style="dim"), status), refresh=True)


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
