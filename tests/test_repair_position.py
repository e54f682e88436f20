"""Places: offset, line and column in a text that comes in pieces, and the path in its document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, strategies as st

from structstream.repair.position import Nesting, Position

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text("a\n\r\u2028", max_size=12)


@given(pieces=st.lists(TEXT), last=TEXT, data=st.data())
def test_a_place_is_the_same_however_the_text_before_it_was_cut(
    pieces: list[str], last: str, data: st.DataObject
) -> None:
    position = Position()
    for piece in pieces:
        position.move(piece)
    i = data.draw(st.integers(0, len(last)))
    error = position.syntax_error(last, i, "x", "y", "z")
    before = "".join(pieces) + last[:i]
    lines = before.split("\n")
    assert (error.offset, error.line, error.column) == (len(before), len(lines), len(lines[-1]) + 1)
    assert (error.expected, error.found, error.path) == ("x", "y", "z")


def test_a_place_may_lie_in_the_piece_before() -> None:
    position = Position()
    position.move("a\nbcd")
    error = position.syntax_error("e\n", -2, "", "", "")
    assert (error.offset, error.line, error.column) == (3, 2, 2)


def test_the_path_follows_members_and_items() -> None:
    nesting = Nesting()
    paths = []
    actions: tuple[Callable[[], None], ...] = (
        lambda: nesting.open("{"),
        lambda: nesting.set_key("a"),
        lambda: nesting.open("["),
        nesting.next,
        lambda: nesting.open("{"),
        lambda: nesting.set_key("b\\n"),
        nesting.next,
        nesting.close,
        nesting.close,
        nesting.next,
    )
    for action in actions:
        action()
        paths.append(nesting.path())
    assert paths == ["", "a", "a[0]", "a[1]", "a[1]", 'a[1]["b\n"]', "a[1]", "a[1]", "a", ""]
    nesting.clear()
    assert (nesting.closers, nesting.path()) == ([], "")
