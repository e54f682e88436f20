"""Growth: how the whole stream's CPU time grows when the document doubles, for every shape that could be quadratic."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from structstream.partial import PartialParser

from .documents import Records, deltas, records
from .measure import Times, doublings, growth, interleaved
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from .options import Options

__all__ = ["run"]

QUICK = (256 << 10, 512 << 10, 1024 << 10)
FULL = (*QUICK, 2048 << 10, 4096 << 10)
LIMIT = 2.1
ROUNDS = 2  # one takes long enough to be steady
DEPTH = 100

Look = Callable[[Any], object]  # Any: a snapshot of whatever the shape is


@dataclass(frozen=True)
class Shape:
    """A kind of document, its type, and how its newest value is reached.

    Args:
        name: what the table calls it.
        type: the response model.
        text: makes a document of about so many characters.
        look: reads the newest value of a snapshot.
        looks: how often in the whole stream; None for at every delta.
    """

    name: str
    type: Any  # Any: all that TypeAdapter takes
    text: Callable[[int], str]
    look: Look
    looks: int | None = None


def small_items(size: int) -> str:
    """Return a list of small numbers."""
    return f"[{','.join(str(number % 1000) for number in range(size * 10 // 39))}]"


def mapping(size: int) -> str:
    """Return an object of as many keys as fit."""
    return "{" + ",".join(f'"key-{number:08}":"value {number:08}"' for number in range(size // 33)) + "}"


def long_mapping(size: int) -> str:
    """Return an object of 10,000 keys whose values take the rest."""
    filler = "x" * max(1, size // 10_000 - 20)
    return "{" + ",".join(f'"key-{number:08}":"{filler}"' for number in range(10_000)) + "}"


class Story(BaseModel):
    """One string, and a place to look at it."""

    text: str


def story(size: int) -> str:
    """Return one string, with an escape here and there."""
    words = "The engine weaves algebraic patterns just as the loom weaves flowers and leaves.\n"
    return json.dumps({"text": words * (size // len(words))})


def deep(size: int) -> str:
    """Return lists within lists, and at the bottom of them small numbers."""
    return "[" * DEPTH + small_items(size)[1:-1] + "]" * DEPTH


def nested(depth: int) -> Any:  # Any: a type made at run time
    """Return the type of numbers within `depth` lists."""
    found: Any = list[int]
    for _ in range(depth - 1):
        found = list[found]
    return found


def bottom(snapshot: Any) -> object:
    """Go down the newest items to the one that is no list."""
    while snapshot is not None and not isinstance(snapshot, int) and len(snapshot):
        snapshot = snapshot[-1]
    return snapshot


def newest_key(snapshot: Any) -> object:
    """Look the newest key up."""
    return snapshot.get(f"key-{len(snapshot) - 1:08}")


SHAPES = (
    Shape("list of records", Records, records, lambda seen: seen.records and getattr(seen.records[-1], "note", None)),
    Shape("list of small items", list[int], small_items, lambda seen: len(seen) and seen[-1]),
    Shape("mapping, more and more keys", dict[str, str], mapping, newest_key),
    Shape("mapping of 10,000 keys", dict[str, str], long_mapping, newest_key),
    Shape("one string, read 100 times", Story, story, lambda seen: seen.text, looks=100),
    Shape("a hundred levels deep, bottom read 1,000 times", nested(DEPTH), deep, bottom, looks=1000),
)


def run(options: Options) -> Section:
    """Measure each shape at each size."""
    sizes = FULL if options.full else QUICK
    rounds = min(options.rounds, ROUNDS)
    rows: list[Sequence[Cell]] = []
    bars: list[Bar] = []
    for shape in SHAPES:
        texts = {str(size): shape.text(size) for size in sizes}
        times = interleaved({size: reader(shape, text) for size, text in texts.items()}, rounds)
        medians = [median(times[str(size)]) for size in sizes]
        lengths = [len(text) for text in texts.values()]
        steps = doublings(medians, lengths)
        whole = typical(times, lengths)
        rows.append(
            [
                shape.name,
                lengths[-1] / (1 << 20),
                medians[-1] * 1e3,
                medians[-1] / lengths[-1] * 4e6,
                ", ".join(f"{step:.2f}" for step in steps),
                f"x{whole:.2f}",
            ]
        )
        bars.append(Bar(f"growth per doubling, {shape.name}", whole, LIMIT, "x"))
    columns = ("shape", "largest, MB", "CPU ms", "µs per delta", "each doubling", "per doubling")
    table = Table(f"Whole stream, 4-character deltas, up to {sizes[-1] >> 20} MB", columns, rows)
    notes = ["A snapshot is taken at every delta, and its newest value looked at, but where the shape says how often."]
    return Section("growth", "Growth per doubling of the document", [table], bars, notes)


def typical(times: Times, lengths: list[int]) -> float:
    """Return the growth per doubling from the smallest to the largest: the median over the rounds."""
    rounds = zip(*times.values(), strict=False)
    return median(growth(one, lengths) for one in rounds)


def reader(shape: Shape, text: str) -> Callable[[], None]:
    """Return what is measured: a stream that is read to its end."""
    pieces = deltas(text)
    every = 1 if shape.looks is None else max(1, len(pieces) // shape.looks)
    look = shape.look

    def read() -> None:
        parser: PartialParser[Any] = PartialParser(shape.type)
        for number, piece in zip(count(), pieces, strict=False):
            seen = parser.step(piece).snapshot
            if number % every == 0 and seen is not None:
                look(seen)
        parser.finish()

    return read
