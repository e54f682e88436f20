"""A bar of tqdm that follows a stream.

>>> from structstream import ProgressEvent
>>> bar = TqdmProgress(tqdm(total=100, disable=True))
>>> bar(ProgressEvent("progress", "12 of 40 fields", 30.0))  # as `progress_callback=bar` does
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structstream import MissingDependencyError, ProgressEvent

try:
    from tqdm import tqdm
except ImportError as error:
    raise MissingDependencyError("TqdmProgress", extra="tqdm") from error

if TYPE_CHECKING:
    _Bar = tqdm[Any]  # generic in its stubs alone; Any: it iterates over nothing here

__all__ = ["TqdmProgress"]


class TqdmProgress:
    """A progress callback that moves a bar to 100: pass it as `progress_callback` of a request, one for each stream.

    Args:
        bar: the caller's own, with ``total=100``; None makes one at the first event. It is closed when the stream ends.
        description: what stands before a bar that is made here.

    Raises:
        MissingDependencyError: at the import of this module: tqdm is not installed.
    """

    def __init__(self, bar: _Bar | None = None, description: str = "streaming") -> None:
        self.bar = bar
        self._description = description

    def __call__(self, event: ProgressEvent) -> None:
        if self.bar is None:
            self.bar = tqdm(total=100, desc=self._description, bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}")
        bar = self.bar
        bar.set_postfix_str(event.message, refresh=False)
        bar.update(event.progress_percent - bar.n)
        if event.event_type in {"complete", "error"}:
            bar.refresh()
            bar.close()
