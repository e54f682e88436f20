from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from structstream.errors import ConfigurationError, ProtocolError, SSEError
from structstream.jsonarray import JSONArrayDecoder
from tests.chunking import every_cut

JSON = Any  # Any: JSON

scalars = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"', "\\", "]}", "é😀", ","])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def elements(pieces: list[bytes]) -> list[JSON]:
    decoder = JSONArrayDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [json.loads(event.data) for event in (*events, *decoder.close(dispatch_unterminated=True))]


@settings(max_examples=60)
@given(st.lists(values, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_the_elements_are_those_of_the_array_in_every_cut(
    array: list[JSON], indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(array, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    for pieces in every_cut(body, limit=120):
        assert elements(pieces) == array


def test_an_element_is_handed_over_with_its_last_byte() -> None:
    decoder = JSONArrayDecoder()
    assert decoder.feed(b'[{"a":1') == []
    assert decoder.mid_line
    assert [event.data for event in decoder.feed(b"}")] == ['{"a":1}']
    assert not decoder.mid_line
    assert decoder.feed(b",\r\n") == []
    assert [event.data for event in decoder.feed(b"1,2]")] == ["1", "2"]


def test_one_object_instead_of_an_array_is_its_own_element() -> None:
    for pieces in every_cut(b' {"error": {"code": 429}}\n'):
        assert elements(pieces) == [{"error": {"code": 429}}]


@pytest.mark.parametrize(
    "body", [b"<html>", b"1", b'"a"', b"[1]]", b"[1] 2", b"[,1]", b"[1,,2]", b'[{"a":1} {"b":2}]', b"{}{}", b"[}"]
)
def test_what_is_no_array_is_refused_in_every_cut(body: bytes) -> None:
    for pieces in every_cut(body):
        with pytest.raises(ProtocolError, match="no JSON array"):
            elements(pieces)


def test_what_came_before_a_fault_is_handed_over_first() -> None:
    decoder = JSONArrayDecoder()
    assert [event.data for event in decoder.feed(b"[{}]!")] == ["{}"]
    for _ in range(2):
        with pytest.raises(ProtocolError):
            decoder.feed(b"")
    with pytest.raises(ProtocolError):
        decoder.close()


def test_a_cut_leaves_no_half_element() -> None:
    decoder = JSONArrayDecoder()
    assert len(decoder.feed(b'[{"a":1},{"b":')) == 1
    assert decoder.mid_line
    assert decoder.close(dispatch_unterminated=True) == []


def test_an_element_is_bounded() -> None:
    decoder = JSONArrayDecoder(max_event_bytes=10)
    assert len(decoder.feed(b'["12345678",')) == 1
    assert decoder.feed(b'"123456789') == []
    with pytest.raises(SSEError, match="max_event_bytes=10"):
        decoder.feed(b"x")
    with pytest.raises(ConfigurationError):
        JSONArrayDecoder(max_event_bytes=0)
