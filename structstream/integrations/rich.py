"""A bar of rich that follows a stream.

Example::

    with RichProgress() as bar:
        request = StreamingStructuredRequest(..., progress_callback=bar)
        result = await service.route_structured(request)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from structstream import MissingDependencyError, ProgressEvent

try:
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
except ImportError as error:
    raise MissingDependencyError("RichProgress", extra="rich") from error

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RichProgress"]


class RichProgress:
    """A progress callback that draws a bar: pass it as `progress_callback` of a request, one for each stream.

    Args:
        progress: the caller's own display, which may hold other bars and is neither started nor stopped here; None
            makes one, which ``with`` starts and stops.
        description: what stands before the bar.

    Raises:
        MissingDependencyError: at the import of this module: rich is not installed.
    """

    def __init__(self, progress: Progress | None = None, description: str = "streaming") -> None:
        self.progress = progress if progress is not None else _display()
        self._owned = progress is None
        self._description = description
        self._task: TaskID | None = None

    def __call__(self, event: ProgressEvent) -> None:
        # A path such as items[2] would be read as markup.
        said = f"{escape(self._description)}: {escape(event.message)}"
        if self._task is None:
            self._task = self.progress.add_task(said, total=100)
        if event.event_type == "error":
            said = f"[red]{said}[/red]"
            self.progress.stop_task(self._task)
        self.progress.update(self._task, completed=event.progress_percent, description=said)

    def __enter__(self) -> Self:
        if self._owned:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owned:
            self.progress.stop()


def _display() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
