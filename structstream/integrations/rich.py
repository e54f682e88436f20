"""A bar of rich that follows a stream.

Example::

    from structstream.integrations.rich import RichProgress

    with RichProgress() as bar:
        request = StreamingStructuredRequest(..., progress_callback=bar)
        profile = await service.route_structured(request)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from structstream import MissingDependencyError

try:
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
except ImportError as error:
    raise MissingDependencyError("rich", extra="rich") from error

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from structstream import ProgressEvent

__all__ = ["RichProgress"]

_ENDS = frozenset({"complete", "error"})


class RichProgress:
    """A progress callback that draws one bar for each stream: percent, time, and what happened last.

    Streams that go on at the same time want one `RichProgress` each, on one `progress`. Used as a context manager it
    leaves the terminal tidy also where a stream was left before its end.

    Args:
        description: what stands before the bar.
        progress: the caller's own display, which the caller starts and stops; None makes one that shows from the first
            event to the end of the stream.
        console: where the display that is made here goes; None for standard output.

    >>> from rich.progress import Progress
    >>> from structstream import ProgressEvent
    >>> bar = RichProgress("trip", Progress(disable=True))
    >>> bar(ProgressEvent("progress", "40 % of the answer is there", 40.0))
    >>> bar.progress.tasks[0].completed
    40.0
    """

    def __init__(
        self, description: str = "answer", progress: Progress | None = None, *, console: Console | None = None
    ) -> None:
        self._description = escape(description)
        self._own = progress is None
        self.progress = _display(console) if progress is None else progress
        self._task: TaskID | None = None

    def __call__(self, event: ProgressEvent) -> None:
        if self._task is None:
            self._task = self._begin()
        # A display with fewer columns leaves `last` out; the message of an error may quote the answer, so its class.
        last = event.data.get("path") or event.data.get("error") or event.event_type
        self.progress.update(self._task, completed=event.progress_percent, last=escape(str(last)))
        if event.event_type in _ENDS:
            self.progress.stop_task(self._task)
            self.close()

    def close(self) -> None:
        """End the bar, and stop the display if it was made here; harmless where that has happened."""
        self._task = None
        if self._own:
            self.progress.stop()

    def _begin(self) -> TaskID:
        if self._own:
            self.progress.start()
        return self.progress.add_task(self._description, total=100.0, last="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _display(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[last]}"),
        console=console,
    )
