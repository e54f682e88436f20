"""The screens: lines in a pipe, a bar in place on a terminal, a live picture where rich is installed."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import pytest
from pydantic import BaseModel

from structstream import Outcome, OutcomeKind, StreamingResponse, parse_stream
from structstream.cli.render import LineScreen, TerminalScreen, outline, plain, value_at


class Item(BaseModel):
    name: str
    price: float


class Order(BaseModel):
    customer: str
    items: list[Item]
    labels: dict[str, str]


TEXT = (
    '{"customer": "Ada", "items": [{"name": "tea", "price": 3.5}, {"name": "jam", "price": 4}], "labels": {"a b": "c"}}'
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Step:
    """What a parser saw that closed ``a``."""

    snapshot = None
    changed = ("a",)
    completed = ("a",)
    percent = 10.0


def responses() -> list[StreamingResponse[Any]]:
    return list(parse_stream((TEXT[at : at + 2] for at in range(0, len(TEXT), 2)), Order))


def test_a_line_for_each_scalar_that_closes_and_no_control_codes() -> None:
    out = io.StringIO()
    with LineScreen(out) as screen:
        for response in responses():
            screen.step(response)
    lines = [line.partition("%  ")[2] for line in out.getvalue().splitlines()]
    assert lines == [
        'customer = "Ada"',
        'items[0].name = "tea"',
        "items[0].price = 3.5",
        'items[1].name = "jam"',
        "items[1].price = 4.0",
        'labels["a b"] = "c"',
    ]


def test_a_failed_stream_shows_what_closed_last() -> None:
    outcome: Outcome[Any] = Outcome(OutcomeKind.INCOMPLETE, last_partial={"a": 1})

    out = io.StringIO()
    LineScreen(out).step(StreamingResponse(Step(), outcome=outcome))
    assert out.getvalue() == " 10 %  a = 1\n"


def test_the_bar_is_drawn_in_place_and_wiped_at_the_end() -> None:
    out = Terminal()
    with TerminalScreen(out) as screen:
        for response in responses():
            screen.step(response)
    drawn = out.getvalue()
    assert "█" in drawn
    assert drawn.endswith("\r\x1b[K")
    kept = "".join(line.rpartition("\x1b[K")[2] + "\n" for line in drawn.split("\n")[:-1])
    assert kept.count("%  ") == 6
    assert "█" not in kept


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Item(name="tea", price=1), {"name": "tea", "price": 1.0}),
        ([Item(name="tea", price=1)], [{"name": "tea", "price": 1.0}]),
        (deque([1]), [1]),
        ({3}, [3]),
        (None, None),
    ],
)
def test_anything_becomes_plain_data(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_every_snapshot_becomes_plain_data() -> None:
    seen = [plain(response.partial_result) for response in responses()]
    assert seen[-1] == Order.model_validate_json(TEXT).model_dump()
    assert {"customer": "Ad", "items": [], "labels": {}} in seen


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("items[1].name", "jam"),
        ('labels["a b"]', "c"),
        ("items[9]", None),
        ("nobody.there", None),
        ("customer[0]", "A"),
    ],
)
def test_a_value_is_found_by_its_path(path: str, expected: object) -> None:
    assert value_at(Order.model_validate_json(TEXT), path) == expected


def test_an_outline_of_nested_lists() -> None:
    rows = [(row.depth, row.mark, row.key, row.text, row.path) for row in outline({"a": [[1, 2], [{"b": 3, "c": 4}]]})]
    assert rows == [
        (0, "", "a", "", "a"),
        (1, "1 1", "", "1", "a[0][0]"),
        (1, "1 2", "", "2", "a[0][1]"),
        (1, "2 1", "b", "3", "a[1][0].b"),
        (1, "", "c", "4", "a[1][0].c"),
    ]
