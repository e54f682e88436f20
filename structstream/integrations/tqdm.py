"""A bar of tqdm that follows a stream.

Example::

    from structstream.integrations.tqdm import TqdmProgress

    with TqdmProgress() as bar:
        request = StreamingStructuredRequest(..., progress_callback=bar)
        profile = await service.route_structured(request)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TextIO

from structstream import MissingDependencyError

try:
    from tqdm import tqdm
except ImportError as error:
    raise MissingDependencyError("tqdm", extra="tqdm") from error

if TYPE_CHECKING:
    from types import TracebackType

    from structstream import ProgressEvent

__all__ = ["TqdmProgress"]

_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
_ENDS = frozenset({"complete", "error"})


class TqdmProgress:
    """A progress callback that draws one bar for each stream: percent, time, and what happened last.

    Streams that go on at the same time want one `TqdmProgress` each. Used as a context manager it closes the bar also
    where a stream was left before its end.

    Args:
        description: what stands before the bar that is made here.
        bar: the caller's own, with a total of 100, such as ``tqdm.notebook.tqdm(total=100)``, for one stream; the
            caller closes it. None makes one for each stream.
        file: where a bar that is made here goes; None for standard error.

    >>> import io
    >>> from structstream import ProgressEvent
    >>> screen = io.StringIO()
    >>> with TqdmProgress("trip", file=screen) as bar:
    ...     bar(ProgressEvent("progress", "40 % of the answer is there", 40.0))
    >>> "trip:  40%" in screen.getvalue()
    True
    """

    def __init__(
        self, description: str = "answer", bar: tqdm[Any] | None = None, *, file: TextIO | None = None
    ) -> None:
        self._description = description
        self._given = bar
        self._file = file
        self._bar: tqdm[Any] | None = None  # Any: a bar over nothing

    def __call__(self, event: ProgressEvent) -> None:
        bar = self._bar
        if bar is None:
            bar = self._bar = self._begin() if self._given is None else self._given
        # The message of an error may quote the answer, so its class.
        last = event.data.get("path") or event.data.get("error") or event.event_type
        bar.set_postfix_str(str(last), refresh=False)
        bar.update(event.progress_percent - bar.n)
        if event.event_type in _ENDS:
            bar.refresh()  # which `update` leaves out where the last drawing is young
            self.close()

    def close(self) -> None:
        """Close the bar if it was made here; harmless where that has happened."""
        bar, self._bar = self._bar, None
        if bar is not None and self._given is None:
            bar.close()

    def _begin(self) -> tqdm[Any]:
        return tqdm(desc=self._description, total=100.0, bar_format=_FORMAT, file=self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
