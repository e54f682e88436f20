"""Text for a pattern matches the pattern."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, strategies as st

from structstream.testing.patterns import text_for_pattern

PATTERNS = [
    r"^[A-Z]{2}-[0-9]{4}$",
    r"^\+?[1-9]\d{1,14}$",
    r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
    r"^#(?:[0-9a-fA-F]{3}){1,2}$",
    r"^(\d{3})-(\d{4})$",
    r"^(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])$",
    r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$",
    r"^v?\d+\.\d+\.\d+(-[\w.]+)?$",
    r"\bword\b",
    r"^(?=.*\d)(?=.*[a-z])[a-z0-9]{8,}$",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,3}|(?=[\d.]{1,6}0*$)\d{0,3}\.\d{0,2}0*$)",
    r"^\u00e9[\x41-\x43]\t$",
    r"^[\w.+-]+?[]}{]$",
    r"^a{,3}b{2,}$",
    r"^(?:yes|no|)$",
    r"",
]


@given(pattern=st.sampled_from(PATTERNS), seed=st.integers())
def test_the_pattern_is_found_in_it(pattern: str, seed: int) -> None:
    text = text_for_pattern(pattern, Random(seed))
    assert text is not None
    assert re.search(pattern, text)


@given(least=st.integers(0, 30), room=st.integers(0, 10), seed=st.integers())
def test_its_length_is_kept(least: int, room: int, seed: int) -> None:
    text = text_for_pattern(r"^[a-z]+$", Random(seed), least=least, most=max(1, least + room))
    assert text is not None
    assert least <= len(text) <= max(1, least + room)


@pytest.mark.parametrize(
    "pattern",
    [r"^(a)\1$", r"^\p{L}+$", r"^(?i:a)$", r"^(?=b)a$", r"(", r"^[^\x00-\x7f]$", "a^"],
)
def test_what_is_not_understood_or_contradicts_itself_gives_none(pattern: str) -> None:
    assert text_for_pattern(pattern, Random(1)) is None
