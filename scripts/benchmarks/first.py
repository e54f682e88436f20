"""The first typed partial: from the arrival of the first delta that holds a value to its partial."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, PositiveInt, StringConstraints

from structstream import StreamDecoder
from structstream.providers import route

from .documents import deltas
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from structstream import StreamingResponse

    from .options import Options

__all__ = ["run"]

TIMES = 300


class Card(BaseModel):
    """One choice."""

    kind: Literal["card"]
    number: Annotated[str, StringConstraints(min_length=12, max_length=19, pattern=r"^\d+$")]


class Transfer(BaseModel):
    """The other choice."""

    kind: Literal["transfer"]
    iban: Annotated[str, StringConstraints(min_length=15, max_length=34)]


class Person(BaseModel):
    """A nested object with bounds on every field."""

    name: Annotated[str, StringConstraints(min_length=3, max_length=80)]
    age: Annotated[PositiveInt, Field(lt=150)]


class Order(BaseModel):
    """All fields required."""

    customer: Person
    payment: Annotated[Card | Transfer, Field(discriminator="kind")]
    items: Annotated[list[str], Field(min_length=1)]


ORDER = {
    "customer": {"name": "Ada Lovelace", "age": 36},
    "payment": {"kind": "transfer", "iban": "GB33BUKB20201555555555"},
    "items": ["Notes on the Analytical Engine"],
}
# The delta with each of these as its last character is the first that holds something of the value.
PLACES = (
    ("nested, constrained string", '"name": "A'),
    ("constrained number", '"age": 36}'),
    ("discriminated", '"iban": "G'),
)


def run(options: Options) -> Section:
    """Measure each place many times, each with a fresh decoder."""
    text = json.dumps(ORDER)
    rows = []
    for name, place in PLACES:
        before, after = text.partition(place)[0] + place[:-1], place[-1]
        found = [timed(before, after) for _ in range(TIMES)]
        shown = sum(is_new for _, is_new in found) / len(found)
        times = sorted(seconds for seconds, _ in found)
        rows.append((name, shown * 100, median(times) * 1e3, times[int(len(times) * 0.99)] * 1e3))
    columns = ("value", "shown at once, %", "median, ms", "99 of 100 within, ms")
    bars = [
        Bar(
            "partial made with the delta that first holds its value", min(row[1] for row in rows), 100, "%", "at least"
        ),
        Bar("from its arrival to its partial", max(row[2] for row in rows), 1, "ms", portable=False),
    ]
    table = Table("All fields required, constrained, nested, discriminated; wall clock", columns, rows)
    return Section("first", "Time to the first typed partial", [table], bars)


def timed(before: str, after: str) -> tuple[float, bool]:
    """Return the seconds that the delta `after` takes to become a partial, and whether that shows its value."""
    decoder = StreamDecoder(Order, route("gpt-4o").provider.decoder())
    earlier: dict[str, Any] = {}  # Any: plain data
    for piece in deltas(before):
        for response in decoder.feed(frame(piece)):
            earlier = plain(response)
    data = frame(after)
    began = time.perf_counter()
    responses = decoder.feed(data)
    partial = responses[-1].partial_result if responses else None
    spent = time.perf_counter() - began
    return spent, partial is not None and plain(responses[-1]) != earlier


def plain(response: StreamingResponse[Order]) -> dict[str, Any]:  # Any: plain data
    """Return what a response shows as plain data."""
    partial: Any = response.partial_result  # Any: a snapshot
    return {} if partial is None else dict(partial.model_dump())


def frame(piece: str) -> bytes:
    """Return a delta as the provider sends it."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode() + b"\n\n"
