"""The answer that holds the rest, turned into the text that goes on where the other one stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from structstream.errors import InvalidOutputError
from structstream.jsonstream import JSONStream
from structstream.partial.builder import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structstream.continuation import Rest

__all__ = ["Splice", "rest_of"]

_CLOSERS = {"text": '"', "object": "}", "array": "]"}
_ROOT, _NAMED, _WITHIN = 0, 1, 2  # depths of the answer: before it, its properties, the entries of one


class Splice:
    """Turns the text of an answer into what goes on behind a prefix, however both are cut.

    The places may come in any order: one that comes early is held until its turn. Keys that stand already are left out.
    A model that writes the whole document again, instead of its rest, is understood at the end of the answer.

    Args:
        places: where what is missing goes, the innermost first.

    >>> from structstream.residual import rests, salvage
    >>> schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    >>> found = rests(salvage('{"a": "On', grows=True), schema)
    >>> splice = Splice(found.places)
    >>> splice.feed('{"rest_1": "e", "rest_2": {"b": 2}}')
    'e","b":2}'
    """

    def __init__(self, places: Sequence[Rest]) -> None:
        self._places = places
        self._by_name = {place.name: number for number, place in enumerate(places) if place.name is not None}
        self._written: list[list[str]] = [[] for _ in places]
        self._full = [place.name is None for place in places]
        self._bare = [place.is_empty for place in places]  # no comma goes before what comes next
        self._turn = 0
        self._ready: list[str] = []
        self._reader = JSONStream(self, limits=UNBOUNDED, allow_nan=True)
        self._depth = _ROOT
        self._at: int | None = None  # which place is being read; None for one that was not asked for
        self._key = ""
        self._from: int | None = None  # the offset from which text is handed on
        self._first = True
        self._again = False  # the whole document comes instead of its rest

    def feed(self, text: str) -> str:
        """Read more of the answer and return what goes on with the document.

        Raises:
            JSONSyntaxError, JSONLimitError: the answer is not JSON.
            InvalidOutputError: it is no rest of the document.
        """
        self._reader.feed(text)
        if self._from is not None:
            self._hand_on(self._reader.buffer.length)
        return self._take()

    def finish(self) -> str:
        """End the answer and return what is left to say; nothing where it is not whole, so that the document is not."""
        return self._take()

    def _take(self) -> str:
        while self._turn < len(self._places):
            self._ready += self._written[self._turn]
            self._written[self._turn] = []
            if not self._full[self._turn]:
                break
            self._ready.append(_CLOSERS[self._places[self._turn].kind])
            self._turn += 1
        ready, self._ready = self._ready, []
        return "".join(ready)

    # --- what the reader tells ---

    def open_object(self, at: int) -> None:
        self._open(at, "object")

    def open_array(self, at: int) -> None:
        self._open(at, "array")

    def _open(self, at: int, kind: str) -> None:
        if self._depth == _ROOT and kind != "object":
            raise InvalidOutputError("the model gave no rest of its answer, but a list")
        if self._depth == _NAMED:
            self._check_kind(kind)
        elif self._depth == _WITHIN:
            self._begin_entry(at)
        self._depth += 1

    def close(self, end: int) -> None:
        self._depth -= 1
        if self._depth == _WITHIN:
            self._end_entry(end)
        elif self._depth == _NAMED:
            self._end_place()
        elif self._depth == _ROOT:
            self._end_answer()

    def key(self, name: str) -> None:
        self._key = name
        if self._depth == _NAMED:
            self._at = self._by_name.get(name)
            self._again = self._at is None if self._first else self._again
            self._first = False

    def scalar(self, raw: str, end: int) -> None:
        if self._depth == _NAMED:
            self._check_kind("null" if raw == "null" else "a number or a literal")
            self._end_place()
        elif self._depth == _WITHIN:
            self._entry(raw)

    def string(self, text: str, at: int) -> None:
        if self._depth == _NAMED:
            self._check_kind("text")
            self._write(text)
            self._end_place()
        elif self._depth == _WITHIN:
            self._entry(f'"{text}"')

    def open_string(self, at: int) -> bool:
        if self._depth == _NAMED:
            self._check_kind("text")
            self._from = at + 1
        elif self._depth == _WITHIN:
            self._begin_entry(at)
        return False

    def piece(self, text: str) -> None:
        """Not asked for: the text goes on as it is written."""

    def close_string(self, end: int) -> None:
        if self._depth == _NAMED:
            self._hand_on(end - 1)
            self._from = None
            self._end_place()
        elif self._depth == _WITHIN:
            self._end_entry(end)

    def container(self, raw: str, at: int) -> bool:
        if self._depth < _WITHIN:
            return False
        if self._depth == _WITHIN:
            self._entry(raw)
        return True

    # --- entries of a place ---

    def _check_kind(self, kind: str) -> None:
        if self._at is not None and not self._again and kind not in ("null", self._places[self._at].kind):
            place = self._places[self._at]
            raise InvalidOutputError(f"{place.name} must be the rest of a {place.kind}, and is {kind}")

    def _begin_entry(self, at: int) -> None:
        if self._lead():
            self._from = at

    def _end_entry(self, end: int) -> None:
        if self._from is not None:
            self._hand_on(end)
            self._from = None

    def _entry(self, raw: str) -> None:
        if self._lead():
            self._write(raw)

    def _lead(self) -> bool:
        """Write what stands before an entry; return whether it is wanted."""
        number = self._at
        if number is None or self._again:
            return False
        place = self._places[number]
        if place.kind == "object" and self._key in place.taken:
            return False
        if not self._bare[number]:
            self._write(",")
        self._bare[number] = False
        if place.kind == "object":
            self._write(f"{json.dumps(self._key, ensure_ascii=False)}:")
        return True

    def _hand_on(self, end: int) -> None:
        start = self._from
        if start is not None and end > start:
            self._write(self._reader.buffer.slice(start, end))
            self._from = end

    def _write(self, text: str) -> None:
        if self._at is not None and not self._again:
            self._written[self._at].append(text)

    def _end_place(self) -> None:
        if self._at is not None and not self._again:
            self._full[self._at] = True

    def _end_answer(self) -> None:
        if self._again:
            self._read_again()
        self._full = [True] * len(self._places)

    def _read_again(self) -> None:
        """The model wrote something else than was asked for: take the rest out of it, if it is the whole document."""
        document: Any = json.loads(self._reader.buffer.text())  # Any: JSON
        for number, place in enumerate(self._places):
            if place.name is not None:
                written = json.dumps(rest_of(document, place), ensure_ascii=False)[1:-1]
                is_first = place.kind == "text" or place.is_empty or not written
                self._written[number].append(written if is_first else f",{written}")


def rest_of(document: Any, place: Rest) -> Any:  # Any: JSON
    """Return what `document`, whole, has for a place of which some stands already.

    Raises:
        InvalidOutputError: it is not a document of which that is a part.

    >>> from structstream.continuation import Rest
    >>> rest_of({"tags": ["a", "b", "c"]}, Rest("array", "rest_1", ("tags",), count=2))
    ['c']
    """
    try:
        for step in place.steps:
            document = document[step]
        if place.kind == "text" and document.startswith(place.text):
            return document[len(place.text) :]
        if place.kind == "array" and isinstance(document, list) and len(document) >= place.count:
            return document[place.count :]
        if place.kind == "object" and isinstance(document, dict):
            return {key: value for key, value in document.items() if key not in place.taken}
    except (AttributeError, IndexError, KeyError, TypeError):
        pass
    raise InvalidOutputError("the model gave neither the rest of its answer nor the whole of it")
