"""What was open where a JSON text broke off, and how much of the text can be kept."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from structstream.continuation import OpenLevel
from structstream.errors import JSONSyntaxError
from structstream.jsongrammar import end_of_characters
from structstream.jsonstream import JSONStream
from structstream.partial.builder import UNBOUNDED

__all__ = ["Container", "Opened", "read_open"]


class Container:
    """An open object or list.

    Attributes:
        is_object: an object; else a list.
        end: the offset behind the last entry that closed, or behind the bracket.
        spans: of an object: where the value of each key stands that closed.
        count: how many entries closed.
        key: of an object: the newest key.
    """

    __slots__ = ("count", "end", "is_object", "key", "spans")

    def __init__(self, at: int, *, is_object: bool) -> None:
        self.is_object = is_object
        self.end = at + 1
        self.spans: dict[str, tuple[int, int]] = {}
        self.count = 0
        self.key = ""

    @property
    def step(self) -> str | int:
        """The key or index of the entry that is open."""
        return self.key if self.is_object else self.count


@dataclass(slots=True, eq=False)
class Opened:
    """A JSON text that broke off.

    Args:
        text: all of it.
        containers: those that are open, the root first.
        string_at: where the string value began that is open; None where none is.
        done: the root has closed.
    """

    text: str
    containers: list[Container]
    string_at: int | None
    done: bool

    @property
    def prefix(self) -> str:
        """The text that is kept; it ends within a string if that is open."""
        if self.string_at is not None:
            return self.text[: end_of_characters(self.text, self.string_at + 1)]
        kept = self.text[: self.containers[-1].end] if self.containers else ""
        return f"{kept} " if kept[-1:].isdigit() else kept  # a number has closed when something follows it

    @property
    def so_far(self) -> str:
        """What of the open string is there; empty where none is."""
        if self.string_at is None:
            return ""
        raw = self.text[self.string_at + 1 : end_of_characters(self.text, self.string_at + 1)]
        return str(json.loads(f'"{raw}"'))

    @property
    def holds_something(self) -> bool:
        """Whether anything closed, or was there of a text."""
        return bool(self.so_far) or any(container.count for container in self.containers)

    def goes_on(self, depth: int) -> bool:
        """Whether the entry of a container that is open is kept."""
        return depth < len(self.containers) - 1 or self.string_at is not None

    def cut(self, depth: int) -> None:
        """Let go of what is open more than `depth` containers deep."""
        if depth < len(self.containers):
            del self.containers[depth:]
            self.string_at = None

    def levels(self, stem: str) -> list[OpenLevel]:
        """Return the open places, the innermost first, each named by `stem` and its number, from 1."""
        steps = [container.step for container in self.containers]
        found: list[OpenLevel] = []
        if self.string_at is not None:
            found.append(OpenLevel("text", tuple(steps), f"{stem}1", so_far=self.so_far))
        for depth in reversed(range(len(self.containers))):
            container = self.containers[depth]
            goes_on = self.goes_on(depth)
            keys = {*container.spans, *([container.key] if goes_on and container.is_object else [])}
            found.append(
                OpenLevel(
                    "members" if container.is_object else "items",
                    tuple(steps[:depth]),
                    f"{stem}{len(found) + 1}",
                    frozenset(keys),
                    container.count + goes_on,
                )
            )
        return found


def read_open(text: str) -> Opened:
    """Return what is open at the end of `text`, or before the first character that cannot stand there.

    >>> read_open('{"a": [1, "two", 3').prefix
    '{"a": [1, "two"'
    """
    sink = _Sink()
    stream = JSONStream(sink, limits=UNBOUNDED, allow_nan=True)
    with suppress(JSONSyntaxError):
        stream.feed(text)
    return Opened(text, sink.containers, sink.string_at, stream.done)


class _Sink:
    """Follows a document; what closed is no more than a span."""

    def __init__(self) -> None:
        self.containers: list[Container] = []
        self.string_at: int | None = None
        self._starts: list[int] = []

    def open_object(self, at: int) -> None:
        self._open(at, is_object=True)

    def open_array(self, at: int) -> None:
        self._open(at, is_object=False)

    def _open(self, at: int, *, is_object: bool) -> None:
        self.containers.append(Container(at, is_object=is_object))
        self._starts.append(at)

    def key(self, name: str) -> None:
        self.containers[-1].key = name

    def close(self, end: int) -> None:
        self.containers.pop()
        self._closed(self._starts.pop(), end)

    def scalar(self, raw: str, end: int) -> None:
        self._closed(end - len(raw), end)

    def open_string(self, at: int) -> bool:
        self.string_at = at
        return False

    def piece(self, text: str) -> None:
        raise AssertionError("no string's pieces are wanted")

    def close_string(self, end: int) -> None:
        at, self.string_at = self.string_at, None
        self._closed(at or 0, end)

    def string(self, text: str, at: int) -> None:
        self._closed(at, at + len(text) + 2)

    def container(self, raw: str, at: int) -> bool:
        self._closed(at, at + len(raw))
        return True

    def _closed(self, start: int, end: int) -> None:
        if not self.containers:
            return
        container = self.containers[-1]
        container.end = end
        container.count += 1
        if container.is_object:
            container.spans[container.key] = (start, end)
