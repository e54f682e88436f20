"""What an open record is dumped as: what is there, what is not there yet, and the names that were chosen."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from structstream.partial import PartialParser
from structstream.partial.dumping import dump_fields


class Address(BaseModel):
    city: str
    street: str = "none"


class Person(BaseModel):
    name: str = Field(alias="fullName")
    tags: list[str] = []
    address: Address | None = None
    secret: str = Field("", exclude=True)


def snapshot(text: str) -> Any:
    parser = PartialParser(Person)
    parser.feed(text)
    return parser.moment().snapshot


TEXT = '{"fullName": "Ada", "secret": "x", "tags": ["a"], "address": {"city": "Lon'


@pytest.mark.parametrize(
    ("options", "chosen", "dumped"),
    [
        ({}, {}, {"name": "Ada", "tags": ["a"], "address": {"city": "Lon", "street": None}}),
        ({"by_alias": True}, {"include": {"name"}}, {"fullName": "Ada"}),
        ({}, {"exclude": {"tags", "address"}}, {"name": "Ada"}),
        ({}, {"exclude": {"tags": True, "address": ...}}, {"name": "Ada"}),
        ({"exclude_unset": True}, {"exclude": {"tags"}}, {"name": "Ada", "address": {"city": "Lon"}}),
    ],
)
def test_a_record_is_dumped_under_the_keys_of_its_model(
    options: dict[str, Any], chosen: dict[str, Any], dumped: dict[str, Any]
) -> None:
    assert (
        dump_fields(snapshot(TEXT), ("name", "tags", "address", "secret"), {"mode": "python", **options}, **chosen)
        == dumped
    )


def test_what_is_not_there_reads_as_empty() -> None:
    view = snapshot('{"fullName": "A')
    assert dump_fields(view, ("name", "tags", "address"), {"mode": "json"}) == {
        "name": "A",
        "tags": [],
        "address": None,
    }
    assert dump_fields(view, ("name", "tags"), {"mode": "json", "exclude_none": True}) == {"name": "A", "tags": []}
