"""Words by field name and texts by format."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from collections.abc import Callable
from random import Random

import pytest

from structstream.testing.vocabulary import FORMATS, anything, keys, number_range, sentences, text_for_name

READERS: dict[str, Callable[[str], object]] = {
    "date": dt.date.fromisoformat,
    "date-time": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
    "uuid": uuid.UUID,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "ipv4network": ipaddress.IPv4Network,
    "ipv6interface": ipaddress.IPv6Interface,
}


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_format_reads_back(name: str) -> None:
    for seed in range(50):
        READERS[name](FORMATS[name](Random(seed)))


def test_every_format_makes_text() -> None:
    assert all(isinstance(make(Random(1)), str) and make(Random(1)) for make in FORMATS.values())


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("unit_price", (5, 400)), ("page", (1, 100)), ("customerAge", (18, 80)), ("x", (1, 100)), ("confidence", (0, 1))],
)
def test_number_ranges(name: str, bounds: tuple[float, float]) -> None:
    assert number_range(name) == bounds


def test_keys_differ_and_are_numbers_too() -> None:
    made = keys(Random(1), 40)
    assert len(set(made)) == len(made) == 37
    assert all(key.isdigit() for key in made)


def test_sentences_are_as_many_as_asked() -> None:
    assert sentences(Random(1), 5).count(". ") == 4


def test_a_name_that_says_nothing_gives_a_word() -> None:
    assert text_for_name("qux", Random(1)).isalpha()


def test_anything_is_json_of_several_kinds() -> None:
    assert len({type(anything(Random(seed))) for seed in range(50)}) == 5
