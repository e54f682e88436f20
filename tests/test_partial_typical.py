"""What is learned of answers: bounded, without their text, and right about the next one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from structstream.partial.schema import shape_of
from structstream.partial.typical import EACH, Typical
from tests.models import Case, cases


class Row(BaseModel):
    """A row."""

    name: str
    size: int = 0


class Page(BaseModel):
    """Rows, and free keys."""

    rows: list[Row]
    prices: dict[str, float] = {}


def learned(*answers: Any, kind: Any = Page) -> Typical:  # Any: JSON, and types
    typical = Typical()
    for answer in answers:
        typical.learn(json.dumps(answer), shape_of(kind))
    return typical


def test_lengths_and_counts_are_kept_by_place() -> None:
    typical = learned({"rows": [{"name": "abcd"}, {"name": "ef"}], "prices": {"secret": 1.5}})
    rows = typical.parts["rows"]
    name = rows.parts[EACH].parts["name"]
    assert rows.counts == (2,)
    assert name.sizes == pytest.approx((6, 4), rel=0.2)
    assert set(typical.parts["prices"].parts) == {EACH}


def test_the_whole_is_as_long_as_its_text() -> None:
    answer = {"rows": [{"name": "abcd", "size": 4}] * 3, "prices": {"a": 1.0}}
    assert learned(answer).size == pytest.approx(len(json.dumps(answer)))


def test_what_was_missing_is_less_likely() -> None:
    full: dict[str, Any] = {"rows": [], "prices": {}}  # Any: JSON
    bare: dict[str, Any] = {"rows": []}  # Any: as above
    assert learned(full, full).parts["prices"].missed == 0
    assert 0.3 < learned(full, bare).parts["prices"].missed < 0.7
    assert 0.3 < learned(bare, full).parts["prices"].missed < 0.7
    assert learned(full, *[bare] * 9).parts["prices"].missed > 0.7


def test_memory_is_bounded_whatever_comes() -> None:
    wide = learned(*({f"key{n}{m}": [[m]] * 99 for m in range(999)} for n in range(9)), kind=dict[str, Any])
    assert sum(1 for _ in wide.walk()) < 10
    free = learned(*({f"key{n}{m}": 1 for m in range(99)} for n in range(99)), kind=Any)
    places = list(free.walk())
    assert len(places) <= 401
    assert max(len(place.sizes) for place in places) <= 12
    assert "secret" not in repr(learned({"rows": [{"name": "secret"}]}).as_json())


def test_the_work_is_bounded_too() -> None:
    deep: Any = []  # Any: JSON
    for _ in range(150):
        deep = [deep, 1]
    assert learned(deep, kind=Any).answers == 1


@given(cases(valid=True))
def test_what_is_learned_reads_back(case: Case) -> None:
    typical = Typical()
    typical.learn(case.text, shape_of(case.type))
    data = json.loads(json.dumps(typical.as_json()))
    assert json.loads(json.dumps(Typical.of_json(data).as_json())) == data
    assert typical.size == pytest.approx(len(case.text))
