"""The rest of a whole document, as a residual request asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING

from structstream.errors import DecodeError, StreamFailedError
from structstream.partial.builder import UNBOUNDED

from .members import MemberReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from structstream.continuation import OpenLevel

__all__ = ["Locate", "rest_of", "written"]

_encode = json.JSONEncoder(ensure_ascii=False).encode


Locate = Callable[["OpenLevel", str], "int | None"]
"""Tells how much of a text, as it was written, is what a level has so far; None where it begins otherwise."""


def _as_it_is(level: OpenLevel, value: str) -> int | None:
    return len(level.so_far) if value.startswith(level.so_far) else None


def rest_of(document: str, levels: Sequence[OpenLevel], locate: Locate = _as_it_is) -> dict[str, str]:
    """Return what is missing at each level that has a name, as it is written in `document`, by the level's name.

    Args:
        document: a whole JSON document that begins as the one did that broke off.
        levels: the open places, the innermost first.
        locate: finds where the open text goes on, where what was kept of it may have been changed.

    Raises:
        ValueError: the document is another one: a place is not there, or a text begins otherwise.

    >>> from structstream.continuation import OpenLevel
    >>> levels = [OpenLevel("items", ("a",), "rest_1", count=1), OpenLevel("members", (), "")]
    >>> rest_of('{"a": [1, 2, 3], "b": 4}', levels)
    {'rest_1': '[2, 3]'}
    """
    found: dict[str, str] = {}
    raw = document
    for level, inner in zip_longest(reversed(levels), tuple(reversed(levels))[1:]):
        if level.kind == "text":
            found[level.name] = _rest_of_text(raw, level, locate)
            continue
        entries = _entries(raw, level)
        if level.kind == "items":
            found[level.name] = f"[{', '.join(value for _, _, value in entries[level.count :])}]"
        else:
            missing = (head + value for key, head, value in entries if key not in level.keys)
            found[level.name] = f"{{{', '.join(missing)}}}"
        if inner is not None:
            raw = _value_at(entries, inner.path[-1])
    return {level.name: found[level.name] for level in levels if level.name}


def written(rest: Mapping[str, str]) -> str:
    """Return the answer that holds a rest.

    >>> written({"rest_1": "[2, 3]"})
    '{"rest_1": [2, 3]}'
    """
    return f"{{{', '.join(f'{_encode(name)}: {raw}' for name, raw in rest.items())}}}"


_Entry = tuple[str, str, str]  # key, or empty in a list; what stands before the value; the value


def _rest_of_text(raw: str, level: OpenLevel, locate: Locate) -> str:
    value = json.loads(raw) if raw.startswith('"') else None
    if not isinstance(value, str) or (at := locate(level, value)) is None:
        raise ValueError("the text begins otherwise")
    return _encode(value[at:])


def _entries(raw: str, level: OpenLevel) -> list[_Entry]:
    taker = _Entries()
    reader = MemberReader(taker, "the document", UNBOUNDED, lists=True)
    try:
        reader.feed(raw)
    except (DecodeError, StreamFailedError) as error:
        raise ValueError(f"not a document: {error}") from error
    if not reader.done or reader.is_list != (level.kind == "items"):
        raise ValueError("the place holds something else")
    return taker.entries


class _Entries:
    """Keeps the entries of one object or list."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self._begun = ("", "")
        self._pieces: list[str] = []

    def begin(self, key: str, head: str) -> None:
        self._begun = (key, head)

    def piece(self, raw: str) -> None:
        self._pieces.append(raw)

    def end(self) -> None:
        self.entries.append((*self._begun, "".join(self._pieces)))
        self._pieces = []

    def ended(self) -> None:
        pass


def _value_at(entries: Sequence[_Entry], step: str | int) -> str:
    if isinstance(step, int):
        values = [value for _, _, value in entries[step : step + 1]]
    else:
        values = [value for key, _, value in entries if key == step][-1:]
    if not values:
        raise ValueError("the place is not there")
    return values[0]
