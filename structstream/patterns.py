"""Patterns of paths: ``orders[*].lines[*]``, ``name``, ``prices.*``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PathPattern"]

_ITEM = re.compile(r'\.?(\*|[^\W\d]\w*)|\[(\*|\d+)\]|\["((?:[^"\\]|\\.)*)"\]')
_EXPECTED = 'expected a name, [index], [*], .* or ["key"]'


class PathPattern:
    """Which paths are meant: a path in which ``*`` stands for any one name, index or key.

    ``items[*]`` are the items of a list or the values of a mapping, ``items.*`` just the same; ``*`` are all fields of
    the root, ``[*]`` the items of a list at the root; the empty pattern is the root itself.

    Raises:
        ConfigurationError: `text` is no pattern; the sentence says where and what was expected.

    >>> PathPattern("orders[*].lines[*]").matches(["orders", 3, "lines", 0])
    True
    >>> PathPattern("orders[*]").matches(["orders", 3, "lines", 0])
    False
    """

    __slots__ = ("_items", "text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ConfigurationError(f"a path pattern must be text such as 'items[*]', not {type(text).__name__}")
        self.text = text
        self._items = _parse(text)

    def matches(self, path: Sequence[object]) -> bool:
        """Whether a path, given as its items, is meant. Keys that are no text are compared by their text."""
        return len(path) == len(self._items) and self._fits(path)

    @property
    def depth(self) -> int:
        """How many items a path has that fits."""
        return len(self._items)

    def begins(self, path: Sequence[object]) -> bool:
        """Whether something at `path` or within it may be meant."""
        return len(path) <= len(self._items) and self._fits(path)

    def covers(self, path: Sequence[object]) -> bool:
        """Whether `path` is what is meant, or within it."""
        return len(path) >= len(self._items) and self._fits(path)

    def _fits(self, path: Sequence[object]) -> bool:
        return all(
            want is None or want == have or (not isinstance(have, str | int) and want == str(have))
            for want, have in zip(self._items, path, strict=False)
        )

    def __repr__(self) -> str:
        return f"PathPattern({self.text!r})"


def _parse(text: str) -> tuple[str | int | None, ...]:
    """The items of a pattern; None stands for any."""
    items: list[str | int | None] = []
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None or (text[at] == ".") != (match[1] is not None and at > 0):
            raise ConfigurationError(f"{text!r} is no path pattern: {_EXPECTED} at offset {at}")
        name, index, key = match.groups()
        if "*" in (name, index):
            items.append(None)
        elif index is not None:
            items.append(int(index))
        else:
            items.append(name if name is not None else re.sub(r"\\(.)", r"\1", key))
        at = match.end()
    return tuple(items)
