"""Where the JSON may begin: prose, thinking and fences, under every cut."""

from __future__ import annotations

import pytest

from structstream.repair.preamble import Preamble
from tests.chunking import every_cut


def places(pieces: list[str], *, starts: str = "{[", scalars: bool = False) -> list[int]:
    """All places that the finder points at, when each but the last turns out to be none."""
    finder = Preamble(starts=starts, scalars=scalars)
    found: list[int] = []
    base = 0
    for piece in pieces:
        i = finder.find(piece, 0)
        while i < len(piece):
            found.append(base + i)
            # The character there is passed by the caller, which has seen that it begins no value.
            i = finder.find(piece, i + 1)
        base += len(piece)
    return found


# Each place is marked by the bracket or character in «»; the marks are taken out before the text is read.
PROSE = [
    "no bracket here",
    "«[»a] «{»b} `«[»c]` <i>«{»</i> < «[»",
    "<think>{[ </think> «{»",
    "<think>{ <think> [ </thinking> «{» </think> «[»",
    "< think>«{» <thinks>«[» <think «{» <//think>«[»",
    "<think>{ </reason> </reasoning> «[»",
    "<reasoning>{[`\n```json\n{",
    "```\n«{»\n``` «[» ```json «{» ```",
    "```python\nx = {[\n``` «[»",
    "```python\n«{»: [{\n```\n«[»",
    "```sh\n$ `{` ``[``\n~~~~\n````json\n«[»",
    "```c++\nint a[] = {`};\n```\t«{»",
    "`«{»` ``«[»`` ```«{»``` ```",
    "```objective-c-and-more-than-sixteen-letters\n@[ { ]\n```\n«[»",
    "~~~json\n«{»\n~~~",
]


@pytest.mark.parametrize("marked", PROSE)
def test_a_bracket_is_a_place_unless_thinking_or_a_program_hides_it(marked: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    expected = [place - 2 * number - 1 for number, place in enumerate(where(marked))]
    for pieces in every_cut(text):
        assert places(pieces) == expected


def where(marked: str) -> list[int]:
    return [place + 1 for place, char in enumerate(marked) if char == "«"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("42", 0),
        ("\ufeff \n-1", 3),
        ("“a”", 0),
        ("a 42", 0),
        ("<think>1</think> 'a'", 17),
        ("! 42", -1),
        ("- [x]", 0),
        ("# 42\n```json\ntrue", 13),
        ("# 42\n```json true", 13),
        ("# 42\n```7", 8),
        ("# 42\n```py 7", 11),
    ],
)
def test_a_scalar_is_looked_for_only_where_it_is_the_first_thing(text: str, place: int) -> None:
    for pieces in every_cut(text):
        assert places(pieces, starts="", scalars=True)[:1] == ([] if place < 0 else [place])
        assert places(pieces, starts="") == []


def test_thinking_tells_whether_a_block_is_open() -> None:
    finder = Preamble(starts="{")
    states = []
    for piece in ("<thi", "nk>", " { </", "think> ", "</think>"):
        finder.find(piece, 0)
        states.append(finder.thinking)
    assert states == [False, True, True, False, False]
