"""Cut a text or a byte string in every way that matters, for the law "same for any chunking"."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["cut_at", "every_cut"]

_RANDOM_CUTS = 8
_MEAN_SIZES = (2, 7, 64, 1024)


def every_cut(data: AnyStr, *, limit: int = 400, seed: int = 0) -> Iterator[list[AnyStr]]:
    """Yield ways to cut `data`; the pieces of each, joined, are `data`.

    First whole, then one by one, then one by one with an empty piece after each (a read may bring nothing). Then, for
    input of at most `limit` characters or bytes, in two at every place; for longer input at random places, of which
    some lie close together and some far apart. The same arguments give the same cuts.

    Args:
        data: what to cut; empty data is cut into no piece and into one empty piece.
        limit: the length up to which each place is cut; the work grows with its square.
        seed: another one gives other random cuts.

    >>> list(every_cut("abc"))
    [['abc'], ['a', 'b', 'c'], ['a', '', 'b', '', 'c', ''], ['a', 'bc'], ['ab', 'c']]
    """
    size = len(data)
    empty = data[:0]
    ones = cut_at(data, range(1, size))
    yield [data]
    if size > 1:
        yield ones
    yield [piece for one in ones for piece in (one, empty)] if size else []
    if size <= limit:
        for place in range(1, size):
            yield [data[:place], data[place:]]
        return
    rng = random.Random(f"{seed}:{size}")
    for number in range(_RANDOM_CUTS):
        mean = _MEAN_SIZES[number % len(_MEAN_SIZES)]
        yield cut_at(data, rng.sample(range(1, size), min(size - 1, size // mean)))


def cut_at(data: AnyStr, places: Iterable[int]) -> list[AnyStr]:
    """Return `data` cut before each of `places`, in any order.

    >>> cut_at("stream", [4, 2])
    ['st', 're', 'am']
    """
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
