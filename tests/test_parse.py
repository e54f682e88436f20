"""Text from anywhere becomes typed steps and one outcome; nothing but the caller's own iterable raises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ForwardRef

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from structstream import parse_stream
from structstream.errors import ConfigurationError, IncompleteError, InvalidOutputError
from structstream.jsonsink import JSONLimits
from structstream.response import OutcomeKind, StreamingResponse
from tests.chunking import every_cut
from tests.models import Case, cases, cuts
from tests.walk import same


class Pet(BaseModel):
    name: str
    legs: int


TEXT = '{"name": "Félix😀", "legs": 4}'
RESULT = Pet(name="Félix😀", legs=4)


def last(chunks: list[str] | list[bytes], kind: Any = Pet, **options: Any) -> StreamingResponse[Any]:  # Any: types
    steps = list(parse_stream(chunks, kind, **options))
    assert [step.is_complete for step in steps] == [False] * (len(steps) - 1) + [True]
    return steps[-1]


def test_text_and_bytes_cut_anywhere_give_the_object() -> None:
    for pieces in every_cut(TEXT):
        assert last(pieces).result == RESULT
    for cut in every_cut(TEXT.encode()):
        assert last(cut).result == RESULT


def test_one_text_is_one_chunk() -> None:
    assert [step.partial_result for step in parse_stream(TEXT, Pet)][-1] == RESULT
    assert [step.partial_result for step in parse_stream(TEXT.encode(), Pet)][-1] == RESULT


@pytest.mark.anyio
async def test_an_async_iterable_gives_an_async_iterator() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in TEXT.encode():
            yield bytes([number])

    steps = [step async for step in parse_stream(chunks(), Pet)]
    assert steps[-1].result == RESULT
    assert repr(steps[10].partial_result) == "Partial[Pet](name='F')"


@pytest.mark.parametrize(
    ("chunks", "kind", "error", "partial"),
    [
        ([], OutcomeKind.INCOMPLETE, IncompleteError, "None"),
        ([TEXT[:12]], OutcomeKind.INCOMPLETE, IncompleteError, "Partial[Pet](name='Fé')"),
        ([TEXT, "}"], OutcomeKind.INVALID, InvalidOutputError, "Partial[Pet](name='Félix😀', legs=4)"),
        (['{"name": 1', "}"], OutcomeKind.INVALID, InvalidOutputError, "Partial[Pet]()"),
        ([b'{"name": "\xff"}'], OutcomeKind.INVALID, InvalidOutputError, "None"),
        ([b'{"name": "\xc3'], OutcomeKind.INVALID, InvalidOutputError, "Partial[Pet](name='')"),
    ],
)
def test_what_goes_wrong_is_told_in_the_last_step(
    chunks: list[Any], kind: OutcomeKind, error: type[Exception], partial: str
) -> None:
    step = last(chunks)
    assert step.outcome is not None
    assert (step.outcome.kind, step.partial_result) == (kind, None)
    assert isinstance(step.outcome.error, error)
    assert repr(step.outcome.last_partial) == partial
    with pytest.raises(error):
        _ = step.result


def test_after_a_failure_no_more_is_taken() -> None:
    taken: list[str] = []

    def chunks() -> Iterator[str]:
        for piece in ['{"name": 1,', "more", "and more"]:
            taken.append(piece)
            yield piece

    list(parse_stream(chunks(), Pet))
    assert len(taken) == 1


def test_what_the_callers_own_iterable_raises_comes_through() -> None:
    def chunks() -> Iterator[str]:
        yield "{"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(parse_stream(chunks(), Pet))


def test_options_reach_the_parser() -> None:
    assert last(["Sure: {name: 'a', legs: 2,}"], lenient=True).result == Pet(name="a", legs=2)
    assert last(["[[[1]]]"], list[Any], limits=JSONLimits(max_depth=2)).outcome is not None
    assert "max_depth=2" in str(last(["[[[1]]]"], list[Any], limits=JSONLimits(max_depth=2)).error)
    patient = list(parse_stream(["[1,", '"x",', "2]"], list[int], fail_fast=False))
    assert [list(step.partial_result or []) for step in patient[:-1]] == [[1], [1, None], [1, None, 2]]


def test_a_type_that_pydantic_cannot_read_is_told_before_the_first_chunk() -> None:
    class Strange:
        pass

    with pytest.raises(ConfigurationError, match="Strange"):
        parse_stream([], Strange)


@given(st.data(), cases(depth=1))
def test_the_outcome_is_that_of_the_one_shot_parse(data: st.DataObject, case: Case) -> None:
    step = last(data.draw(cuts(case.text)), case.type, fail_fast=False)
    assert step.outcome is not None
    try:
        expected = TypeAdapter(case.type).validate_json(case.text)
    except ValidationError:
        assert step.outcome.kind is OutcomeKind.INVALID
    else:
        assert step.outcome.kind is OutcomeKind.COMPLETE
        assert same(step.outcome.result, expected)


_NOISE = st.text(st.sampled_from('{}[]",:\\u0129.e-+tfnalsrueNI \n\x00é😀\ud800'), max_size=30)


@given(
    _NOISE | st.binary(max_size=30), st.sampled_from([Pet, list[int], dict[int, Pet], Any, int | str]), st.booleans()
)
def test_any_text_gives_an_object_or_an_outcome(noise: str | bytes, kind: Any, lenient: bool) -> None:
    text = json.dumps({"name": "a", "legs": 1})[:-4]
    mixed = [text, noise] if isinstance(noise, str) else [text.encode(), noise]
    for chunks in ([noise], mixed):
        step = last(chunks, kind, lenient=lenient)  # type: ignore[arg-type]  # each is of one kind
        assert step.outcome is not None
        assert step.outcome.kind in (OutcomeKind.COMPLETE, OutcomeKind.INCOMPLETE, OutcomeKind.INVALID)


@pytest.mark.parametrize(
    ("text", "kind"), [("1.5", int), ("3", str), ("2", bool), ("0", type(None)), ("1.5", int | str)]
)
def test_a_root_of_the_wrong_type_is_invalid(text: str, kind: Any) -> None:  # Any: types
    outcome = list(parse_stream([text], kind))[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.INVALID


@pytest.mark.parametrize("kind", ["Forward", ForwardRef("list[Nowhere]"), {"type": "object"}])
def test_what_is_no_type_is_refused_with_a_sentence(kind: Any) -> None:  # Any: no types
    with pytest.raises(ConfigurationError, match="is no type that Pydantic can read"):
        list(parse_stream(["1"], kind))


def test_whatever_holds_bytes_is_read_and_nothing_else() -> None:
    pieces: Any = [bytearray(b"1"), memoryview(b"5")]  # Any: wrong kinds, here and below
    assert list(parse_stream(pieces, int))[-1].result == 15
    numbers: Any = [5]
    with pytest.raises(ConfigurationError, match="chunks must be str or bytes, not int"):
        list(parse_stream(numbers, int))
