"""What is parsed: a list of records as a model would write it, and how it is cut."""

from __future__ import annotations

import json
from itertools import count

from pydantic import BaseModel

__all__ = ["DELTA", "Address", "Record", "Records", "deltas", "records"]

DELTA = 4  # characters in a delta, about a token


class Address(BaseModel):
    """A nested object."""

    street: str
    city: str
    country: str


class Record(BaseModel):
    """About 380 characters of every common kind of value."""

    id: int
    name: str
    email: str
    active: bool
    score: float
    address: Address
    tags: list[str]
    note: str


class Records(BaseModel):
    """The document."""

    title: str
    records: list[Record]


def record(number: int) -> Record:
    """Return one record; the number makes it differ from others."""
    return Record(
        id=number,
        name=f"Ada Lovelace the {number}th",
        email=f"ada{number}@example.org",
        active=number % 3 > 0,
        score=number / 7,
        address=Address(street=f"{number} Analytical Engine Road", city="London", country="United Kingdom"),
        tags=["mathematics", "engines", "notes", f"group-{number % 10}"],
        note="The engine weaves algebraic patterns just as the loom weaves flowers and leaves, and it does so again.",
    )


def records(size: int) -> str:
    """Return a document of about `size` characters, never fewer."""
    parts = ['{"title":"A list of people","records":[']
    length = len(parts[0])
    for number in count():
        part = json.dumps(record(number).model_dump(), separators=(",", ":"))
        parts.append(part if number == 0 else f",{part}")
        length += len(parts[-1])
        if length >= size - 2:
            return "".join([*parts, "]}"])
    raise AssertionError("count() does not end")


def deltas(text: str, size: int = DELTA) -> list[str]:
    """Return `text` cut into pieces of `size` characters.

    >>> deltas("streams")
    ['stre', 'ams']
    """
    return [text[at : at + size] for at in range(0, len(text), size)]
