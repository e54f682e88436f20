"""The first byte of a body that says something is found behind all that says nothing, however it is cut."""

from __future__ import annotations

import itertools

import pytest

from structstream.head import Head

HEADS = [
    (b"data: {}\n\n", b"d"),
    (b": a comment\n\r\n:another { one\revent: x\n", b"e"),
    (b"\xef\xbb\xbf\n<html>", b"<"),
    (b"  \r\n {}", b"{"),
    (b"[{}]", b"["),
    (b": only comments\n\n", b""),
    (b": an open comment {", b""),
    (b"", b""),
]


@pytest.mark.parametrize(("data", "sign"), HEADS)
def test_the_head_finds_the_first_byte_that_says_something_under_every_cut(data: bytes, sign: bytes) -> None:
    for first, second in itertools.combinations_with_replacement(range(len(data) + 1), 2):
        head = Head()
        found = [head.feed(part) for part in (data[:first], data[first:second], data[second:])]
        assert next((each for each in found if each), b"") == sign
