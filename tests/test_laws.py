"""The eight laws of partials, over generated types, documents and cuts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError, StructStreamError
from structstream.partial import ListView, Partial, PartialParser
from tests.models import Case, cases, cuts
from tests.walk import Path, entries, is_open, same, walk


@dataclasses.dataclass
class Run:
    """What a parser told of a text that came in pieces."""

    snapshots: dict[int, Any]  # Any: snapshots of any type, by the offset behind their piece
    completed: dict[int, list[str]]
    changed: dict[int, set[str]]
    told: tuple[object, ...] | None = None  # of the error
    result: Any = None  # Any: the validated value
    closed: Sequence[str] = ()
    text: str = ""


_FACTS = ("path", "offset", "line", "column", "expected", "found", "bound", "value", "errors")
_CLOSED_LIST = (JSONSyntaxError, JSONLimitError, InvalidOutputError)


def _told(error: StructStreamError) -> tuple[object, ...]:
    return (
        type(error),
        str(error),
        *(repr(getattr(error, name, None)) for name in ("path", "offset", "value", "errors")),
    )


def run(kind: Any, pieces: Sequence[str], **options: Any) -> Run:  # Any: types, and the parser's own options
    """Feed the pieces and look after each."""
    parser: PartialParser[Any] = PartialParser(kind, **options)  # Any: as above
    told = Run({}, {}, {})
    completed: list[str] = []
    changed: set[str] = set()
    at = 0
    try:
        for piece in pieces:
            moment = parser.step(piece)
            at += len(piece)
            told.snapshots[at] = moment.snapshot
            completed += moment.completed
            changed |= set(moment.changed)
            told.completed[at] = list(completed)
            told.changed[at] = set(changed)
        told.result = parser.finish()
    except _CLOSED_LIST as error:
        told.told = _told(error)
    told.closed = list(parser.completed())
    told.text = parser.text
    return told


def plain(snapshot: Any) -> object:  # Any: as above
    """All that a snapshot shows, as data that compares."""
    return [
        (path, type(value).__name__, repr(value), getattr(value, "model_fields_set", None))
        for path, value in walk(snapshot)
    ]


def one_shot(case: Case) -> tuple[bool, Any]:  # Any: as above
    """Whether the text is of the type, and the value."""
    try:
        return True, TypeAdapter(case.type).validate_json(case.text)
    except ValidationError:
        return False, None


def with_those_above(paths: set[str]) -> set[str]:
    """The paths and those of the containers around them."""
    found = {""} if paths else set()
    for path in paths:
        found |= {path[:end] for end, char in enumerate(path) if char in ".["} | {path}
    return found


@given(st.data(), cases())
def test_1_the_bytes_decide_and_not_how_they_were_cut(data: st.DataObject, case: Case) -> None:
    pieces = data.draw(cuts(case.text))
    fail_fast = data.draw(st.booleans())
    ones, cut = run(case.type, list(case.text), fail_fast=fail_fast), run(case.type, pieces, fail_fast=fail_fast)

    assert cut.told == ones.told
    assert same(cut.result, ones.result)
    assert cut.closed == ones.closed
    for at, snapshot in cut.snapshots.items():
        assert plain(snapshot) == plain(ones.snapshots[at])
        assert cut.completed[at] == ones.completed[at]
        assert with_those_above(cut.changed[at]) == with_those_above(ones.changed[at])
    if ones.told is None:
        assert cut.text == ones.text == case.text


@given(cases())
def test_2_the_end_equals_the_one_shot_parse(case: Case) -> None:
    is_valid, value = one_shot(case)
    patient = run(case.type, [case.text], fail_fast=False)
    assert (patient.told is None) == is_valid
    assert same(patient.result, value)
    if not case.repeats:
        eager = run(case.type, list(case.text))
        assert (eager.told is None) == is_valid
        assert same(eager.result, value)


@given(cases())
def test_3_a_shown_value_is_of_its_type_or_begins_the_final_string(case: Case) -> None:
    is_valid, value = one_shot(case)
    if not is_valid or case.repeats:
        return
    final = dict(walk(value))
    for snapshot in run(case.type, list(case.text)).snapshots.values():
        for path, shown in walk(snapshot):
            if is_open(shown) or (path == () and shown is None):
                continue
            if isinstance(shown, str) and type(shown) is type(final[path]):
                assert final[path].startswith(shown)
            else:
                assert same(shown, final[path])


@given(cases(valid=True))
def test_4_a_closed_value_is_real_and_the_same_object_while_its_parent_is_open(case: Case) -> None:
    seen: dict[object, object] = {}
    if case.repeats:
        return
    for snapshot in run(case.type, list(case.text)).snapshots.values():
        for path, view in walk(snapshot):
            if is_open(view):
                for name, inner in entries(view):
                    place = (*path, name)
                    if not is_open(inner) and not isinstance(inner, str):
                        assert seen.setdefault(place, inner) is inner


@given(cases())
def test_5_nothing_shown_goes_away_or_changes(case: Case) -> None:
    if case.repeats or (case.has_alternatives and not one_shot(case)[0]):
        return  # what another name of the field may replace is no error yet
    before: dict[Path, Any] = {}
    for snapshot in run(case.type, list(case.text)).snapshots.values():
        now = dict(walk(snapshot))
        for path, was in before.items():
            if path == () and was is None:
                continue
            assert path in now
            if is_open(was):
                if isinstance(was, ListView):
                    assert len(now[path]) >= len(was)
            elif isinstance(was, str) and isinstance(now[path], str):
                assert now[path].startswith(was)
            else:
                assert same(was, now[path])
        before = now


@given(st.data(), cases())
def test_7_a_snapshot_is_never_changed(data: st.DataObject, case: Case) -> None:
    looked: list[tuple[Any, object]] = []
    unlooked: list[tuple[Any, int]] = []
    told = run(case.type, list(case.text))
    for at, snapshot in run(case.type, list(case.text)).snapshots.items():
        if data.draw(st.booleans()) if at < 4 else at % 2:
            looked.append((snapshot, plain(snapshot)))
        else:
            unlooked.append((snapshot, at))
    for snapshot, was in looked:
        assert plain(snapshot) == was
    for snapshot, at in unlooked:
        assert plain(snapshot) == plain(told.snapshots[at])
        if isinstance(snapshot, Partial):
            assert snapshot == told.snapshots[at]
