"""What closed in an answer, given out by pattern: each value once, validated, in the order of the text."""

from __future__ import annotations

import inspect
from collections import deque
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .partial import ABSENT, View, children, look
from .patterns import PathPattern
from .text import parse_path, render_path

if TYPE_CHECKING:
    from .response import StreamingResponse

__all__ = ["Completions", "check_callback"]

_Path = tuple[Any, ...]  # Any: names, indices, and keys of mappings


class Completions:
    """The values at the paths that fit a pattern, as the steps of a stream bring them.

    A path that was given out is not given out again, though a later attempt may write it anew.

    Args:
        pattern: such as ``orders[*].lines[*]``.

    Raises:
        ConfigurationError: `pattern` is no pattern.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = PathPattern(pattern)
        self._given: set[str] = set()
        self._follows = False
        self.found: deque[tuple[str, Any]] = deque()  # Any: values of any type
        """Paths and values that nobody has taken yet."""

    def follow(self, response: StreamingResponse[Any]) -> None:  # Any: of any response model
        """Take what closed in a step; in the first one that is seen, all that has closed before as well."""
        if self._pattern.depth:  # the root is given at the end
            if not self._follows:
                self._take((), _shown(response))
            else:
                self._closed(response)
        self._follows = True
        if response.outcome is not None and response.outcome.error is None:
            # What only the end shows: the root, and what stands in a root that is hidden while it is open.
            self._take((), response.outcome.result)

    def _closed(self, response: StreamingResponse[Any]) -> None:  # Any: as above
        shown: Any = ABSENT  # Any: a snapshot of any type
        for path in response.completed:
            items = tuple(parse_path(path))
            if items and self._pattern.begins(items):
                if shown is ABSENT:
                    shown = _shown(response)
                self._take(items, look(shown, items))

    def _take(self, path: _Path, value: Any) -> None:  # Any: as above
        """Note a closed value, or what is meant within it."""
        if len(path) < self._pattern.depth:
            for name, inner in children(value):
                if self._pattern.begins((*path, name)):
                    self._take((*path, name), inner)
        elif value is not ABSENT and not isinstance(value, View) and (name := render_path(path)) not in self._given:
            self._given.add(name)
            self.found.append((name, value))


def _shown(response: StreamingResponse[Any]) -> Any:  # Any: a snapshot, or the final value
    outcome = response.outcome
    if outcome is None:
        return response.partial_result
    return outcome.result if outcome.error is None else outcome.last_partial


def check_callback(callback: object) -> None:
    """Say at once what would else be logged at the first completion.

    Raises:
        ConfigurationError: `callback` cannot be called with a path and a value.
    """
    if not callable(callback):
        raise ConfigurationError(f"callback must be callable, not {type(callback).__name__}")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return  # one written in C, which does not say
    try:
        signature.bind("", None)
    except TypeError:
        raise ConfigurationError(f"callback must take a path and a value; this one takes {signature}") from None
