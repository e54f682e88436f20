"""The eight laws of partials, over generated types, documents and cuts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

from hypothesis import given, strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError, StructStreamError
from structstream.partial import ListView, MappingView, Partial, PartialParser
from tests.models import Branch, Case, Cat, Checked, Dog, Movie, Point, cases, cuts
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


_ANIMAL = Annotated[Cat | Dog, Field(discriminator="kind")]
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
    looks = data.draw(st.sampled_from([1, 2, 5]))
    parser: PartialParser[Any] = PartialParser(case.type, fail_fast=False)  # Any: as above
    taken: list[tuple[Any, object]] = []  # Any: snapshots
    with suppress(*_CLOSED_LIST):
        for end, char in enumerate(case.text, 1):
            fresh: PartialParser[Any] = PartialParser(case.type, fail_fast=False)  # Any: as above
            shown = parser.step(char).snapshot
            if end % 3 == 0 and end % looks == 0:
                plain(shown)  # some are looked at when they come, others at the end only
            if end % 3 == 0:
                taken.append((shown, plain(fresh.step(case.text[:end]).snapshot)))
        parser.finish()
    for snapshot, was in taken:
        assert plain(snapshot) == was


@given(st.data(), cases(depth=1))
def test_7_what_is_dumped_is_what_is_shown(data: st.DataObject, case: Case) -> None:
    for snapshot in run(case.type, data.draw(cuts(case.text))).snapshots.values():
        if not isinstance(snapshot, Partial | ListView | MappingView):
            continue
        dumped = snapshot.model_dump()
        assert not any(is_open(value) for _, value in walk(dumped))
        assert TypeAdapter(Any).dump_python(dumped) == dumped
        if isinstance(snapshot, Partial):
            with suppress(ValueError):  # bytes that are no text, infinite numbers
                assert json.loads(snapshot.model_dump_json()) == snapshot.model_dump(mode="json")


_TAGGED = st.sampled_from(["cat", "dog", "wolf"])


@given(_TAGGED, st.integers(0, 2), st.booleans())
def test_6_a_tagged_union_is_decided_at_its_tag(tag: str, place: int, spaced: bool) -> None:
    members = ['"name":"a"', '"tricks":["b"]']
    members.insert(place, f'"kind":"{tag}"')
    text = "[{" + (" , " if spaced else ",").join(members)
    at = text.index(f'"{tag}"') + len(tag) + 2
    parser: PartialParser[Any] = PartialParser(list[_ANIMAL])  # Any: as above
    for end, char in enumerate(text, 1):
        with suppress(InvalidOutputError):  # a dog may have no name, a cat no tricks: what counts is before
            shown: Any = parser.step(char).snapshot  # Any: a list's view
            assert len(shown) == (end >= at) if end > 1 else True
        if end == at:
            return


@given(st.lists(st.integers(0, 99) | st.text(max_size=3) | st.none() | st.lists(st.integers(0, 9), max_size=2)))
def test_6_a_union_is_decided_by_the_kind_of_its_json(values: list[Any]) -> None:
    text = json.dumps(values)
    parser: PartialParser[Any] = PartialParser(list[int | str | list[int] | None])  # Any: as above
    begun = 0
    for end, char in enumerate(text, 1):
        shown: Any = parser.step(char).snapshot  # Any: a list's view
        if char in '"[' and end > 1:
            begun = max(begun, len(shown))
        assert len(shown) >= begun
    assert parser.finish() == values


_MODELS = st.sampled_from([Branch, Movie, Point, Any, list[int], dict[int, Branch], list[_ANIMAL], Checked, int | str])


@given(_MODELS, st.data())
def test_the_errors_are_a_closed_list(kind: Any, data: st.DataObject) -> None:
    text = data.draw(cases(depth=1)).text
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.text(max_size=2)) + text[at + data.draw(st.integers(0, 2)) :]
    for lenient in (False, True):
        told = run(kind, data.draw(cuts(text)), lenient=lenient)
        assert told.told is None or told.told[0] in _CLOSED_LIST
