"""What is held back is shown once it has passed what was shown before, and then nothing of it is missing."""

from __future__ import annotations

from structstream.resilience.holding import Holding, past
from structstream.resilience.tally import Mark
from structstream.response import Outcome, OutcomeKind, StreamingResponse
from tests.policy import Said


def a_step(text: str, *closed: str, percent: float = 0) -> StreamingResponse[object]:
    return StreamingResponse(Said(text, closed, closed, percent), [text], attempt=2)


def test_both_the_paths_and_the_length_must_be_passed() -> None:
    holding = Holding(Mark(frozenset({"a", "b"}), 6))
    assert holding.feed(a_step("xxx", "a")) is None
    assert holding.feed(a_step("xxx")) is None  # long enough, but b is open
    shown = holding.feed(a_step("x", "b", percent=40))
    assert shown is not None
    assert (shown.raw_chunks, shown.changed, shown.completed) == (["xxx", "xxx", "x"], ("a", "b"), ("a", "b"))
    assert (shown.partial_result, shown.progress_percent, shown.attempt) == ("x", 40, 2)


def test_paths_that_close_early_wait_for_the_length() -> None:
    holding = Holding(Mark(frozenset({"a"}), 4))
    assert holding.feed(a_step("xxx", "a")) is None
    assert holding.feed(a_step("x")) is not None


def test_the_last_step_is_given_with_all_that_was_kept_back() -> None:
    holding = Holding(Mark(frozenset({"never"}), 100))
    assert holding.feed(a_step("[1", "[0]")) is None
    last: StreamingResponse[object] = StreamingResponse(
        Said(None, (), ("",)), ["]"], outcome=Outcome(OutcomeKind.COMPLETE, result=[1])
    )
    shown = holding.feed(last)
    assert shown is not None
    assert (shown.partial_result, shown.completed, shown.raw_chunks) == ([1], ("[0]", ""), ["[1", "]"])
    assert shown.progress_percent == 100


def test_of_an_answer_that_is_there_as_a_whole_what_has_passed_is_shown() -> None:
    steps = [a_step("[1", "[0]"), a_step(", 2"), a_step("]")]
    found = past(Mark(frozenset({"[0]"}), 4), steps)
    assert [step.raw_chunks for step in found] == [["[1", ", 2"], ["]"]]
    assert past(Mark(frozenset({"b"}), 1), steps) == ()


def a_look(snapshot: object, path: str) -> int:
    """The length of the only text of a snapshot; that of another path is none."""
    return len(str(snapshot)) if path == "note" else 0


def test_what_was_open_must_be_there_again_a_text_at_least_as_long() -> None:
    mark = Mark(frozenset({"a"}), 3, "note", 4)
    holding = Holding(mark, a_look)
    assert holding.feed(a_step("long enough", "a")) is None  # other members came first
    opened: StreamingResponse[object] = StreamingResponse(Said("abc", ("note",), ()), ["x"])
    assert holding.feed(opened) is None
    grown: StreamingResponse[object] = StreamingResponse(Said("abcd", ("note",), ()), ["x"])
    assert holding.feed(grown) is not None


def test_a_text_that_closed_has_passed_however_short_it_is() -> None:
    holding = Holding(Mark(frozenset(), 1, "note", 40), a_look)
    assert holding.feed(a_step("ab", "note")) is not None


def test_an_open_container_is_passed_once_there_is_one() -> None:
    holding = Holding(Mark(frozenset(), 1, "items[2]"))
    assert holding.feed(a_step("abc", "items[1]")) is None
    opened: StreamingResponse[object] = StreamingResponse(Said("abc", ("items[2]",), ()), ["x"])
    assert holding.feed(opened) is not None
