"""The members of an object are handed over verbatim, the same for any cut."""

from __future__ import annotations

import pytest

from structstream.errors import InvalidOutputError, JSONSyntaxError
from structstream.jsonsink import JSONLimits
from structstream.residual.members import MemberReader
from tests.chunking import every_cut


class Taker:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.open = ""
        self.closed = False

    def begin(self, key: str, head: str) -> None:
        self.open = head
        self.got.append((key, ""))

    def piece(self, raw: str) -> None:
        self.open += raw

    def end(self) -> None:
        self.got[-1] = (self.got[-1][0], self.open)
        self.open = ""

    def ended(self) -> None:
        self.closed = True


def read(pieces: list[str], *, lists: bool = False) -> Taker:
    taker = Taker()
    reader = MemberReader(taker, "the answer", JSONLimits(), lists=lists)
    for piece in pieces:
        reader.feed(piece)
    assert reader.done is taker.closed
    return taker


WHOLE = ' {"a" : 1 , "b\\n":[1, {"a": "]}"}], "c":"x\\u00e9 \\"y", "d": {}, "e":null,"f" :-1.50e3}'
MEMBERS = [
    ("a", '"a" : 1'),
    ("b\n", '"b\\n":[1, {"a": "]}"}]'),
    ("c", '"c":"x\\u00e9 \\"y"'),
    ("d", '"d": {}'),
    ("e", '"e":null'),
    ("f", '"f" :-1.50e3'),
]


def test_members_are_as_they_were_written_however_they_were_cut() -> None:
    for pieces in every_cut(WHOLE):
        assert read(pieces).got == MEMBERS


def test_items_of_a_list_are_handed_over_where_a_list_is_taken() -> None:
    for pieces in every_cut('[1, "a", [2, 3] ]'):
        assert read(pieces, lists=True).got == [("", "1"), ("", '"a"'), ("", "[2, 3]")]


def test_of_a_value_that_is_open_all_that_came_is_there() -> None:
    for end in range(WHOLE.index('"x') + 1, WHOLE.index(', "d"')):
        assert read([WHOLE[:end]]).open.endswith(WHOLE[WHOLE.index('"c"') : end])


@pytest.mark.parametrize("text", ["[1]", '"a"', "1 ", "null"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidOutputError, match="the answer is to be an object"):
        read([text])


def test_before_a_fault_all_is_handed_over_wherever_it_was_cut() -> None:
    broken = '{"a": [1, 2, "x" oops'
    for pieces in every_cut(broken):
        taker = Taker()
        reader = MemberReader(taker, "the answer", JSONLimits())
        with pytest.raises(JSONSyntaxError):
            list(map(reader.feed, pieces))
        assert taker.open == '"a": [1, 2, "x" '
