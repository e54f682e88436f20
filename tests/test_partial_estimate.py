"""How much is there: percent from the type, from a hint, from earlier answers; lazy, and never falling."""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from structstream.partial import Estimate, Moment, PartialParser, Typical
from structstream.partial.estimate import Reckoning
from structstream.partial.schema import shape_of
from structstream.text import TextBuffer
from tests.models import Case, cases


class Note(BaseModel):
    """A short text and a long list."""

    title: str
    tags: list[str]


ANSWER = json.dumps({"title": "On the analytical engine", "tags": [f"tag {n}" for n in range(40)]})


def percents(text: str, kind: Any = Note, **known: Any) -> list[float]:  # Any: types, and what an Estimate takes
    parser: PartialParser[Any] = PartialParser(kind, estimate=Estimate(**known), fail_fast=False)  # Any: as above
    return [parser.step(char).percent for char in text]


def error(found: list[float]) -> float:
    return fmean(abs(percent - 100 * (at + 1) / len(found)) for at, percent in enumerate(found))


def test_what_was_learned_beats_the_type_alone() -> None:
    typical = Typical()
    alone = error(percents(ANSWER, typical=typical))
    for _ in range(5):
        parser = PartialParser(Note, estimate=Estimate(typical=typical))
        parser.feed(ANSWER)
        parser.finish()
    assert error(percents(ANSWER, typical=typical)) < 2 < 10 < alone


def test_a_good_hint_is_as_good() -> None:
    assert error(percents(ANSWER, expected_tokens=round(len(ANSWER) / 3.6))) < 2


@pytest.mark.parametrize("tokens", [1, 10_000])
def test_a_bad_hint_does_no_more_harm_than_it_must(tokens: int) -> None:
    found = percents(ANSWER, expected_tokens=tokens)
    assert found == sorted(found)
    assert found[-1] == 99.0


@given(cases(), st.integers(1, 50) | st.none(), st.booleans())
def test_percent_never_falls_nor_passes_99_whatever_is_known(case: Case, tokens: int | None, knows: bool) -> None:
    typical = Typical() if knows else None
    if typical is not None:
        typical.learn("[{}, {}]", shape_of(case.type))
    parser: PartialParser[Any] = PartialParser(  # Any: as above
        case.type, fail_fast=False, estimate=Estimate(expected_tokens=tokens, typical=typical)
    )
    last = 0.0
    for char in case.text:
        percent = parser.step(char).percent
        assert last <= percent <= 99.0
        last = percent


def test_it_never_falls_across_attempts() -> None:
    estimate = Estimate()
    first, second = PartialParser(Note, estimate=estimate), PartialParser(Note, estimate=estimate)
    reached = first.step(ANSWER[:300]).percent
    assert reached > 50
    assert second.step(ANSWER[:20]).percent == reached


def test_an_earlier_moment_that_is_looked_at_later_says_what_was_there_then() -> None:
    parser = PartialParser(Note)
    early, late = parser.step(ANSWER[:30]), parser.step(ANSWER[30:300])
    assert early.percent < late.percent
    late_first = PartialParser(Note)
    early, late = late_first.step(ANSWER[:30]), late_first.step(ANSWER[30:300])
    assert late.percent > early.percent
    assert early.percent == early.percent


def test_nothing_is_reckoned_before_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    reckon = Reckoning.percent

    def counted(self: Reckoning, *args: Any) -> float:  # Any: as the method's own
        looks.append(1)
        return reckon(self, *args)

    monkeypatch.setattr(Reckoning, "percent", counted)
    parser = PartialParser(Note)
    moments = [parser.step(char) for char in ANSWER]
    assert looks == []
    assert moments[50].percent == moments[50].percent
    assert looks == [1]


def test_a_look_costs_the_open_path_and_not_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    sliced: list[int] = []
    slice_of = TextBuffer.slice

    def counted(self: TextBuffer, start: int, end: int) -> str:
        sliced.append(end - start)
        return slice_of(self, start, end)

    parser = PartialParser(list[list[int]])
    last: Moment | Any = parser.step("[" + "[1, 2, 3], " * 5000 + "[4, ")
    monkeypatch.setattr(TextBuffer, "slice", counted)
    assert last.percent > 50
    assert sum(sliced) <= 2 * 64


def test_only_those_who_look_pay_for_learning_once_enough_is_known() -> None:
    typical = Typical()
    for looked in [False] * 9 + [True]:
        parser = PartialParser(Note, estimate=Estimate(typical=typical))
        moment = parser.step(ANSWER)
        if looked:
            assert moment.percent > 0
        parser.finish()
    assert typical.answers == 7


def test_a_closed_root_is_nearly_all_and_an_opaque_one_grows() -> None:
    assert percents("[1]", list[int])[-1] == 99.0
    opaque = percents('{"a": 1, "b": [1, 2, 3]}', set[int] | dict[str, Any])
    assert opaque == sorted(opaque)
    assert 0 < opaque[3] < opaque[12]
