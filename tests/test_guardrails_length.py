"""A text of an answer may not grow longer than its bound."""

from __future__ import annotations

import pytest

from structstream.errors import BlockedError, ConfigurationError
from structstream.guardrails import MaxLength
from tests.chunking import every_cut
from tests.guarding import gated


def test_a_text_that_is_too_long_stops_the_stream() -> None:
    for pieces in every_cut('{"a": "12345", "b": "123456"}'):
        with pytest.raises(BlockedError, match="at b: the text is longer than the 5 characters allowed"):
            gated([MaxLength(5)], pieces)


def test_or_is_cut() -> None:
    for pieces in every_cut('["123 456", "1 2 3 4 5 6 7"]'):
        assert gated([MaxLength(4, on_find="redact")], pieces) == '["123 ", "1 2 "]'


def test_numbers_have_no_length_and_fields_may_be_named() -> None:
    assert gated([MaxLength(2)], ["[123456]"]) == "[123456]"
    assert gated([MaxLength(2, paths=["a"])], ['{"b": "123456"}']) == '{"b": "123456"}'


def test_the_bound_must_be_one() -> None:
    with pytest.raises(ConfigurationError, match="positive integer, not 0"):
        MaxLength(0)
