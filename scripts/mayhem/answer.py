"""What every stream of the run asks for."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["DOCUMENT", "WANTED", "Order"]


class Line(BaseModel):
    """One thing that was ordered."""

    item: str
    price: float = Field(ge=0)
    tags: list[str]


class Order(BaseModel):
    """An answer with texts, numbers, lists and objects at several depths."""

    customer: str
    note: str
    lines: list[Line]
    by_month: dict[str, int]


WANTED = Order(
    customer='Ada "Countess" Lovelace',
    note="Zoë wrote: leave it at the door, ring twice; the dog is kind \N{DOG FACE}.\nThank you.",
    lines=[
        Line(item=f"thing {number}", price=number * 2.25, tags=["blue", "small"][: number % 3]) for number in range(12)
    ],
    by_month={f"2026-{month:02}": month * 11 for month in range(1, 7)},
)
DOCUMENT = WANTED.model_dump_json()
