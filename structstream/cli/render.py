"""The screens of the demo without rich: a bar drawn in place on a terminal, lines in a pipe."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TextIO

from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from structstream import StreamingResponse

__all__ = [
    "FRAME",
    "LineScreen",
    "Row",
    "Screen",
    "TerminalScreen",
    "bar",
    "outline",
    "plain",
    "value_at",
]

FRAME = 1 / 20  # seconds between two pictures
_BAR = 28  # characters
_VALUE = 72  # characters of a value on a line
_CLEAR = "\r\x1b[K"


class Screen(Protocol):
    """Where a stream is shown: a context manager around it, told of each step."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def step(self, response: StreamingResponse[Any]) -> None:  # Any, here and below: of any response model
        """Show a step."""


class LineScreen:
    """A line for each value that closes; nothing that a file or a pipe could not hold."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.out.flush()

    def step(self, response: StreamingResponse[Any]) -> None:
        """Write a line for each scalar that closed in this step."""
        for line in _lines(response):
            print(line, file=self.out, flush=True)


class TerminalScreen(LineScreen):
    """The same lines, and below them a bar that is drawn again in place."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self.drawn = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.out.write(_CLEAR)
        super().__exit__(kind, error, traceback)

    def step(self, response: StreamingResponse[Any]) -> None:
        """Write the lines above the bar, and the bar if the last one is old enough."""
        for line in _lines(response):
            self.out.write(f"{_CLEAR}{line}\n")
        now = time.monotonic()
        if now - self.drawn >= FRAME or response.is_complete:
            self.drawn = now
            line = f"{bar(response.progress_percent)} {response.progress_percent:3.0f} %"
            self.out.write(_CLEAR + line[: shutil.get_terminal_size().columns - 1])
            self.out.flush()


def bar(percent: float, width: int = _BAR) -> str:
    """Return a bar of `width` characters, full to `percent`.

    >>> bar(50, 8)
    '████░░░░'
    """
    full = round(width * percent / 100)
    return "█" * full + "░" * (width - full)


def _lines(response: StreamingResponse[Any]) -> Iterator[str]:
    snapshot = response.partial_result if response.outcome is None else response.outcome.last_partial
    for path in response.completed:
        value = plain(value_at(snapshot, path))
        if not isinstance(value, dict | list):  # what they hold has had its own lines
            yield f"{response.progress_percent:3.0f} %  {path or 'the answer'} = {_short(value)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def plain(value: Any) -> Any:  # Any: a snapshot or a result of any type goes in, JSON comes out
    """Return a snapshot or a result as plain JSON data."""
    return to_jsonable_python(value, fallback=_as_data)


def _as_data(value: Any) -> object:  # Any: what Pydantic does not know by itself, such as a view of an open list
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)


_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


def value_at(value: Any, path: str) -> Any:  # Any: as above
    """Return what stands at `path` in a snapshot, a result or plain data; None where nothing does.

    >>> value_at({"items": [{"price": 3}]}, "items[0].price")
    3
    """
    for match in _STEP.finditer(path):
        name, number, quoted = match.groups()
        key = json.loads(f'"{quoted}"') if quoted is not None else name
        try:
            value = value[int(number)] if number else value[key] if isinstance(value, Mapping) else getattr(value, key)
        except (KeyError, IndexError, TypeError, AttributeError):
            return None
    return value


class Row(NamedTuple):
    """A line of an outline: how deep it stands, the mark of the item it begins, key, text of a scalar, path."""

    depth: int
    mark: str
    key: str
    text: str
    path: str


def outline(data: Any, depth: int = 0, path: str = "", mark: str = "") -> Iterator[Row]:  # Any: JSON
    """Yield plain data as lines.

    >>> [tuple(row) for row in outline({"a": 1, "b": [{"c": None}]})]
    [(0, '', 'a', '1', 'a'), (0, '', 'b', '', 'b'), (1, '1', 'c', '', 'b[0].c')]
    """
    if isinstance(data, list):
        for number, item in enumerate(data):
            yield from outline(item, depth, f"{path}[{number}]", f"{mark} {number + 1}".strip())
    elif isinstance(data, dict):
        for key, value in data.items():
            here = f"{path}.{key}" if path else str(key)
            nested = isinstance(value, dict | list)
            yield Row(depth, mark, str(key), "" if nested or value is None else str(value), here)
            if nested:
                yield from outline(value, depth + 1, here)
            mark = ""
    else:
        yield Row(depth, mark, "", "" if data is None else str(data), path)
