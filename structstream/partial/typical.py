"""What answers of one kind were like: how long each part of them was, and how many entries it had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import jiter

from .shapes import ArrayPart, MappingPart, RecordPart, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["EACH", "Typical"]

EACH = "*"
"""Stands for every item of a list and every key of a mapping."""

_SAMPLES = 12  # of the newest answers
_ITEMS = 32  # entries of a list or mapping that are looked at
_VALUES = 600  # values of one answer that are looked at
_DEPTH = 12
_PARTS = 400  # places that are kept
_AROUND = 6  # the quotes of a key, colon, comma and the usual blanks


class Typical:
    """One place of the answers that were seen: bounded in memory, whatever they were.

    Args:
        sizes: the characters of its value, with its key, in the newest answers in which it was.
        counts: the entries of its value there.
        missed: in how many of the newest answers its parent was there and it was not.
        parts: what is within it, by the name in a path.
    """

    __slots__ = ("answers", "counts", "missed", "parts", "size", "sizes")

    def __init__(self, sizes: Sequence[float] = (), counts: Sequence[float] = (), missed: float = 0.0) -> None:
        self.sizes = tuple(sizes)
        self.counts = tuple(counts)
        self.missed = missed
        self.parts: dict[str, Typical] = {}
        self.answers = 0
        """How many answers were learned from, where this is the root, since it was made or read."""
        # The tuples are replaced and never changed: several threads may read while one learns.
        self.size = sum(self.sizes) / len(self.sizes) if self.sizes else 0.0

    @property
    def likely(self) -> float:
        """How often it was there when its parent was."""
        return 1.0 - self.missed

    def learn(self, text: str, shape: Shape) -> None:
        """Take the JSON of one more answer, whose root this is.

        The work is that of one reading in C and of a bounded number of values.
        """
        learner = _Learner(self)
        size = learner.measure(jiter.from_json(text.encode()), shape, self, _DEPTH)
        learner.keep(len(text) / size)
        self.answers += 1

    def note(self, sizes: Sequence[float], counts: Sequence[float], scale: float) -> None:
        """Take what one answer had here: a few of the values, where it had many."""
        self.sizes = (*self.sizes, *(size * scale for size in _few(sizes)))[-_SAMPLES:]
        self.counts = (*self.counts, *_few(counts))[-_SAMPLES:]
        self.size = sum(self.sizes) / len(self.sizes)

    def note_missed(self, share: float, weight: float) -> None:
        """Take how often it was missing in one answer, 0 to 1."""
        self.missed += (share - self.missed) * weight

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it as plain data."""
        return {
            "sizes": self.sizes,
            "counts": self.counts,
            "missed": self.missed,
            "parts": {name: part.as_json() for name, part in list(self.parts.items())},
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Self:  # Any: JSON
        """Return what `as_json` made plain."""
        made = cls(data["sizes"], data["counts"], data["missed"])
        made.parts = {name: cls.of_json(part) for name, part in data["parts"].items()}
        return made

    def walk(self) -> Iterator[Typical]:
        """This place and all within it."""
        yield self
        for part in list(self.parts.values()):
            yield from part.walk()


def _few(values: Sequence[float]) -> Sequence[float]:
    """At most a third of what is kept, from all over."""
    return values[:: -(-len(values) * 3 // _SAMPLES)] if values else ()


class _Learner:
    """Measures one answer, then adds what it found to what is known."""

    def __init__(self, root: Typical) -> None:
        self._found: dict[Typical, tuple[list[float], list[float]]] = {}
        self._left = _VALUES
        self._parts = _PARTS - sum(1 for _ in root.walk())

    def measure(self, value: Any, shape: Shape | None, place: Typical, depth: int) -> float:  # Any: JSON
        """The characters of `value`, which stands at `place`."""
        self._left -= 1
        size, count = 0.0, None
        if isinstance(value, str):
            size = len(value) + 2.0
        elif not isinstance(value, dict | list) or self._left <= 0 or depth == 0:
            size = float(len(str(value)))
        else:
            count = float(len(value))
            size = 2.0 + self._within(value, shape, place, depth)
        sizes, counts = self._found.setdefault(place, ([], []))
        sizes.append(size)
        if count is not None:
            counts.append(count)
        return size

    def _within(self, value: dict[str, Any] | list[Any], shape: Shape | None, place: Typical, depth: int) -> float:
        if isinstance(value, list):
            return self._items(value, shape, place, depth)
        part = shape.record if shape is not None else None
        if isinstance(part, MappingPart):
            return self._entries(value, part, place, depth)
        total = 0.0
        for key, item in value.items():
            field = part.lookup.get(key) if isinstance(part, RecordPart) else None
            name = key if field is None else field.name
            inner = self._part(place, name)
            size = len(key) + _AROUND
            total += size + self.measure(item, None if field is None else field.shape, inner, depth - 1)
        return total

    def _items(self, value: list[Any], shape: Shape | None, place: Typical, depth: int) -> float:
        part = shape.array if shape is not None else None
        total = 0.0
        for index, item in enumerate(value[:_ITEMS]):
            inner = part.at(index) if isinstance(part, ArrayPart) else None
            total += 2.0 + self.measure(item, inner, self._part(place, EACH), depth - 1)
        return total * len(value) / max(1, min(len(value), _ITEMS))

    def _entries(self, value: dict[str, Any], part: MappingPart, place: Typical, depth: int) -> float:
        total, seen = 0.0, 0
        for key, item in value.items():
            if seen == _ITEMS:
                break
            seen += 1
            total += len(key) + _AROUND + self.measure(item, part.value, self._part(place, EACH), depth - 1)
        return total * len(value) / max(1, seen)

    def _part(self, place: Typical, name: str) -> Typical:
        found = place.parts.get(name)
        if found is None:
            found = Typical(missed=1.0 if place.counts else 0.0)
            if self._parts > 0:
                self._parts -= 1
                place.parts[name] = found
        return found

    def keep(self, scale: float) -> None:
        """Add what was found; `scale` is how much longer the text is than what was measured, blanks and all."""
        for place, (_, counts) in self._found.items():
            weight = 1.0 / max(1, min(len(place.counts) + 1, _SAMPLES))
            for name, part in place.parts.items():
                if counts and name != EACH:
                    came = len(self._found[part][0]) if part in self._found else 0
                    part.note_missed(1.0 - min(1.0, came / len(counts)), weight if place.counts else 1.0)
        for place, (sizes, counts) in self._found.items():
            place.note(sizes, counts, scale)
