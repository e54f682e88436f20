"""How much of an answer is there: its characters so far, and what is still to come of the open places.

What is to come is told by earlier answers of the kind where there were any, else by the schema, and in both cases by
what the answer itself was like so far. Nothing is computed before somebody looks; a look costs the open path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from .nodes import Node, OpenPath, TextNode
from .shapes import ArrayPart, MappingPart, RecordPart, Shape
from .sizes import entry_size, items_of, likely, size_of
from .typical import EACH, Typical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from structstream.text import TextBuffer

__all__ = ["Estimate", "Reckoning"]

_NEARLY = 99.0
_ENOUGH = 6  # answers
_CHARACTERS = 3.6  # of JSON text, in a token
_LATER = 0.25  # how likely a field still comes when one behind it in the schema has come
_PATIENCE = 2.0  # items after which an answer's own mean counts as much as what was known before
_OVERLONG = 0.5  # of what is longer than any before it, so much again is taken to come
_LOOK_BACK = 64  # characters
_OVER_HINT = 0.1  # of what is longer than its hint, at most so much again is taken to come
_KEPT = 256  # open containers of which it is remembered what is to come
_COMMA = 2.0  # with the blank behind it
_A_KEY = "a key"
_CLOSING = 1.0  # a bracket or a quote


class Estimate:
    """What is known of the length of one stream's answer; shared by its attempts, so that percent never falls.

    Args:
        expected_tokens: how long the caller takes the answer to be; None if he does not say.
        typical: what earlier answers of the same kind were like; None for nothing known.
    """

    def __init__(self, *, expected_tokens: int | None = None, typical: Typical | None = None) -> None:
        self.hint = None if expected_tokens is None else expected_tokens * _CHARACTERS
        self.typical = typical
        self.highest = 0.0

    def attempt(self, shape: Shape, buffer: TextBuffer) -> Reckoning:
        """Begin to reckon with the text of one attempt."""
        return Reckoning(self, shape, buffer)

    def learn(self, text: str, shape: Shape) -> None:
        """Take the text of an answer that ended well, where it is kept what answers are like.

        It costs a look at the text: once a few answers are known, only the streams whose percent is looked at pay it.
        """
        typical = self.typical
        if typical is not None and (self.highest > 0 or len(typical.sizes) < _ENOUGH):
            typical.learn(text, shape)


class Reckoning:
    """Turns the open place of one attempt into percent."""

    __slots__ = (
        "_buffer",
        "_done",
        "_estimate",
        "_inner",
        "_kept",
        "_known",
        "_outer",
        "_path",
        "_shape",
        "_typical",
    )

    def __init__(self, estimate: Estimate, shape: Shape, buffer: TextBuffer) -> None:
        self._estimate = estimate
        self._shape = shape
        self._buffer = buffer
        self._done = -1  # characters that were there at the latest look
        self._path: OpenPath | None = None  # at the latest look, and what was found of it:
        self._outer = 0.0
        self._inner: Typical | None = None
        self._known: tuple[float, Sequence[float]] = (0.0, ())
        self._kept: dict[Node, tuple[int, float]] = {}
        self._typical = estimate.typical if estimate.typical is not None and estimate.typical.sizes else None

    def percent(self, path: OpenPath, length: int, done: int, skipped: int) -> float:
        """Percent of the answer that is there, 0 to 99; never less than at an earlier look.

        Args:
            path: the open places.
            length: entries or characters of the innermost one.
            done: characters of the text.
            skipped: characters of the open value, where it is one that shows nothing yet; 0 if it is not, -1 if the
                root has closed.
        """
        rest = self._rest(path, length, done, skipped)
        found = min(_NEARLY, 100.0 * done / max(done + rest, 1.0))
        estimate = self._estimate
        if done < self._done:  # an earlier moment, looked at later
            return min(found, estimate.highest)
        self._done = done
        estimate.highest = max(found, estimate.highest)
        return estimate.highest

    def _rest(self, path: OpenPath, length: int, done: int, skipped: int) -> float:
        if skipped < 0 or (len(path) == 1 and length):
            return 0.0
        if len(path) == 1:
            size = self._typical.size if self._typical is not None else size_of(self._shape)
            rest = _more(size, () if self._typical is None else self._typical.sizes, max(done, skipped))
        else:
            rest = self._places(path, length, done, skipped)
        hint = self._estimate.hint
        if hint is None:
            return rest
        # What is left of the hint; once that is used up, the places know better.
        return max(hint - done, min(rest, _OVER_HINT * done))

    def _places(self, path: OpenPath, length: int, done: int, skipped: int) -> float:
        if path is not self._path:  # there is one list for each place, so another one is open now
            self._path = path
            self._around(path, done)
        node = path[-1]
        if isinstance(node, TextNode):
            return self._outer + _CLOSING + _more(*self._known, length)
        pending = skipped or self._since(node.start + 1, done)
        return self._outer + _CLOSING + max(self._entries(node, path, len(path) - 1, length, done) - pending, 0.0)

    def _around(self, path: OpenPath, done: int) -> None:
        """Note what is to come of all places but the innermost, and what is known of that one."""
        typical = self._typical
        self._outer = 0.0
        for depth in range(1, len(path) - 1):
            node, inner = cast("Node", path[depth]), path[depth + 1]
            self._inner = typical
            self._outer += _CLOSING + self._entries(node, path, depth, inner.pos, done)
            if typical is not None:
                typical = _part(typical, node, inner.pos)
        self._inner = typical
        leaf = path[-1]
        if isinstance(leaf, TextNode):
            self._known = _known_size(typical, leaf.shape, path, len(path) - 1)

    def _entries(self, node: Node, path: OpenPath, depth: int, closed: int, done: int) -> float:
        """What is to come in an open container behind the entries that are there; counted once for each of them."""
        inner = path[depth + 1] if depth + 1 < len(path) else None
        there = closed + (inner is not None)
        kept = self._kept.get(node)
        if kept is not None and kept[0] == there:
            return kept[1]
        end = inner.start if isinstance(inner, Node) else done
        rest = _Open(node, _name(path, depth), closed, there, end - node.start).rest(self._inner)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[node] = there, rest
        return rest

    def _since(self, start: int, done: int) -> int:
        """The characters since the last entry of an open container ended, as far as they can be told cheaply."""
        start = max(start, done - _LOOK_BACK)
        return len(self._buffer.slice(start, done).rpartition(",")[2].lstrip())


def _part(typical: Typical, node: Node, pos: int) -> Typical | None:
    name = str(node.name_of(pos)) if isinstance(node.part, RecordPart) else EACH
    found = typical.parts.get(name)
    return found if found is not None and found.sizes else None


def _known_size(typical: Typical | None, shape: Shape, path: OpenPath, depth: int) -> tuple[float, Sequence[float]]:
    if typical is not None:
        return typical.size, typical.sizes
    return size_of(shape, _name(path, depth)), ()


def _name(path: OpenPath, depth: int) -> str:
    """What the place is called, or the list that it stands in."""
    for above in range(depth, 0, -1):
        parent = path[above - 1]
        if isinstance(parent, Node) and parent.names is not None:
            return str(parent.name_of(path[above].pos))
    return ""


def _more(size: float, samples: Sequence[float], have: float) -> float:
    """How much more comes of a value that is taken to have `size`, and of which there is `have`."""
    more = [sample - have for sample in samples if sample >= have]
    if more:
        return sum(more) / len(more)
    return max(size - have, _OVERLONG * have)


class _Open(NamedTuple):
    """An open container: what it is called, how many entries closed, how many are there, what the closed ones took."""

    node: Node
    name: str
    closed: int
    there: int
    taken: int

    def rest(self, typical: Typical | None) -> float:
        """What is to come in it behind the entries that are there."""
        part = self.node.part
        if isinstance(part, RecordPart):
            return sum(self._missing(part, typical))
        if isinstance(part, ArrayPart) and part.item is None:
            return sum(size_of(shape) + _COMMA for shape in part.first[self.there :])
        samples = typical.counts if typical is not None else ()
        schema = self.node.shape.schema
        count = sum(samples) / len(samples) if samples else items_of(schema, self.node.shape.definitions)
        return _more(count, samples, self.there) * self._each(part, typical)

    def _missing(self, part: RecordPart, typical: Typical | None) -> Iterator[float]:
        came = [self.node.entry(name, self.there) is not None for name in part.names]
        latest = max((index for index, there in enumerate(came) if there), default=-1)
        for index, (name, there) in enumerate(zip(part.names, came, strict=True)):
            seen = typical.parts.get(name) if typical is not None else None
            if there or (seen is None and typical is not None and typical.counts):
                continue  # it is there, or never came
            if seen is not None and seen.sizes:
                size, chance = seen.size, 1.0 - seen.missed
            else:
                shape = part.by_name[name].shape
                size, chance = size_of(shape, name), likely(shape.schema)
            yield entry_size(name, size) * chance * (_LATER if index < latest else 1.0)

    def _each(self, part: ArrayPart | MappingPart, typical: Typical | None) -> float:
        """The characters of one further entry."""
        seen = typical.parts.get(EACH) if typical is not None else None
        shape = part.value if isinstance(part, MappingPart) else part.at(self.there)
        size = seen.size if seen is not None and seen.sizes else size_of(shape, self.name)
        size += entry_size(_A_KEY, 0.0) if isinstance(part, MappingPart) else _COMMA
        # The entries of this very answer say most.
        return (size * _PATIENCE + self.taken) / (_PATIENCE + self.closed) if self.closed else size
