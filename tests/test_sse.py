from __future__ import annotations

import base64
import json
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ConfigurationError, SSEError
from structstream.events import ServerSentEvent
from structstream.sse import SSEDecoder
from tests.chunking import every_cut
from tests.corpus import CORPUS, needs_corpus

Case = dict[str, Any]  # Any: JSON


def reference(body: bytes, *, dispatch_unterminated: bool = False) -> list[ServerSentEvent]:
    """WHATWG HTML 9.2.6, word by word, on the whole body."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)
    unfinished = lines.pop()
    if dispatch_unterminated:
        lines += [unfinished, ""]
    events, data, event, last_id, retry = [], "", "", "", None
    for line in lines:
        if not line:
            if data:
                events.append(ServerSentEvent(data.removesuffix("\n"), event or "message", last_id, retry))
            data = event = ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\0" not in value:
                last_id = value
            elif field == "retry" and re.fullmatch("[0-9]{1,15}", value):
                retry = int(value)
    return events


def decode(pieces: list[bytes], *, dispatch_unterminated: bool = False) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close(dispatch_unterminated=dispatch_unterminated)


def decode_to_the_error(pieces: list[bytes], **bounds: int) -> tuple[list[ServerSentEvent], str | None]:
    decoder = SSEDecoder(**bounds)
    events: list[ServerSentEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.close()
    except SSEError as error:
        return events, error.bound
    return events, None


EXAMPLES = {
    "bom, then a bom that is none": b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n",
    "half a bom": b"\xef\xbb",
    "no bom, but its start": b"\xef\xbbdata: 1\n\ndata: 2\n\n",
    "all line ends": b"data: 1\r\ndata: 2\rdata: 3\n\r\ndata: 4\r\r\n\ndata: 5\n\n",
    "cr then lf is one end": b"data: 1\r\n\r\ndata: 2\r\n\r\n",
    "no data, no event; the name is reset": b"event: ping\n\ndata: 1\n\nevent: e\nid: 7\n\ndata: 2\n\n",
    "id persists, nul is refused, empty resets": b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\nid\ndata: c\n\n",
    "retry": b"retry: 10\ndata: a\n\nretry: 1x\ndata: b\n\nretry\ndata: c\n\nretry: \xd9\xa1\ndata: d\n\n",
    "retry of 5,000 digits": b"retry: " + b"9" * 5000 + b"\ndata: a\n\n",
    "one space only": b"data:a\ndata: b\ndata:  c\ndata:\td\ndata\ndata:\n\n",
    "comments and unknown fields": b": hi\nfoo: 1\ndata: a\n data: b\nDATA: c\n:data: d\n\n",
    "bad utf-8": b"data: \xff\xe2\x82\n\ndata: \xe2\x82\xac\xf0\x9f\n\nevent: \xff\ndata: \xc0\x80\n\n",
    "line ends of other standards": "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n".encode(),
    "unterminated line": b"data: 1\n\ndata: 2",
    "unterminated event": b"data: 1\n\ndata: 2\n",
    "nothing but ends": b"\r\n\n\r\r\n",
    "empty": b"",
}


def test_what_is_no_field_makes_no_event_but_is_kept() -> None:
    body = b'data: a\n\n: ping\nfoo\n{\n  "error": {"code": 1}\n}\n\nerror: {"b": 2}\n\nid: 1\n'
    for pieces in every_cut(body):
        decoder = SSEDecoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        assert [event.data for event in events] == ["a"]
        assert decoder.stray == 'foo\n{\n  "error": {"code": 1}\n}\n{"b": 2}'
    decoder = SSEDecoder()
    for _ in range(100):
        decoder.feed(b"x" * 2**14 + b"\n")
    assert len(decoder.stray) <= 2**16 + 4


@pytest.mark.parametrize("body", EXAMPLES.values(), ids=EXAMPLES.keys())
@pytest.mark.parametrize("unterminated", [False, True])
def test_every_cut_gives_what_the_specification_says(body: bytes, unterminated: bool) -> None:
    expected = reference(body, dispatch_unterminated=unterminated)
    for pieces in every_cut(body):
        assert decode(pieces, dispatch_unterminated=unterminated) == expected, pieces


def cases() -> list[Case]:
    if CORPUS is None:
        return []
    files = sorted((CORPUS / "sse_cases").glob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [case for case in found if case["expected_events"] is not None]


@needs_corpus
def test_the_conformance_cases_hold_at_every_cut() -> None:
    counts = {"held": 0, "the source deviates": 0}
    for case in cases():
        pieces = [base64.b64decode(chunk) for chunk in case["chunks"]]
        events = decode(pieces)
        expected = case["expected_events"]
        if case.get("deviates_from_whatwg"):
            assert events == reference(b"".join(pieces)) != expected
            counts["the source deviates"] += 1
            continue
        assert len(events) == len(expected), case["name"]
        for event, known in zip(events, expected, strict=True):
            assert event.event == known["event"], case["name"]
            assert known["data"] in (None, event.data), case["name"]
            assert known["id"] in (None, event.id), case["name"]
            if "data_json" in known:
                assert json.loads(event.data) == known["data_json"]
        assert all(retry == events[-1].retry for retry in case.get("expected_retry", ())), case["name"]
        body = b"".join(pieces)
        assert all(decode(cut) == events for cut in every_cut(body, limit=200)), case["name"]
        counts["held"] += 1
    assert counts == {"held": 89, "the source deviates": 5}


LINES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: x",
        b"event:",
        b"id: 1",
        b"id: \0",
        b"retry: 5",
        b": c",
        b"x: y",
        b"{}",
        b" ",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"])
BODIES = st.lists(LINES | ENDS | st.binary(max_size=6) | st.just(b"\xef\xbb\xbf") | st.just("€😀".encode())).map(
    b"".join
)


@given(BODIES, st.data(), st.booleans())
def test_any_body_and_any_cut_give_what_the_specification_says(
    body: bytes, data: st.DataObject, unterminated: bool
) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert decode(pieces, dispatch_unterminated=unterminated) == reference(body, dispatch_unterminated=unterminated)


@given(BODIES, st.data(), st.integers(3, 40), st.integers(1, 40))
def test_a_bound_is_passed_at_the_same_place_in_any_cut(
    body: bytes, data: st.DataObject, max_line_bytes: int, max_event_bytes: int
) -> None:
    bounds = {"max_line_bytes": max_line_bytes, "max_event_bytes": max_event_bytes}
    places = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert decode_to_the_error(pieces, **bounds) == decode_to_the_error([body], **bounds)


@pytest.mark.parametrize(
    ("body", "bound", "before"),
    [
        (b"data: 1\n\ndata: " + b"x" * 15, "max_line_bytes", ["1"]),
        (b"data: 1\n\n:" + b"x" * 20 + b"\n\ndata: 2\n\n", "max_line_bytes", ["1"]),
        (b"data: 1\n\n" + b"data: 12345\n" * 3, "max_event_bytes", ["1"]),
        (b"data: 1\n\n" + b"data\n" * 20, "max_event_bytes", ["1"]),
        (b"data: 12345\ndata: 123456\n\n" + b"data: 1\n" * 6 + b"\n", None, ["12345\n123456", "1\n1\n1\n1\n1\n1"]),
    ],
)
def test_bounds(body: bytes, bound: str | None, before: list[str]) -> None:
    for pieces in every_cut(body):
        events, passed = decode_to_the_error(pieces, max_line_bytes=20, max_event_bytes=12)
        assert passed == bound, pieces
        assert [event.data for event in events] == before


def test_a_passed_bound_is_named_and_stays_passed() -> None:
    decoder = SSEDecoder(max_line_bytes=8)
    assert decoder.feed(b"data: 1\n\ndata: 12345") == [ServerSentEvent("1")]
    for piece in (b"\n\n", b"data: 1\n\n"):
        with pytest.raises(SSEError, match=r"max_line_bytes=8 bytes") as caught:
            decoder.feed(piece)
        assert (caught.value.bound, caught.value.limit) == ("max_line_bytes", 8)
    with pytest.raises(SSEError, match=r"max_line_bytes=8 bytes"):
        decoder.close()


def test_the_end_can_pass_the_bound_too() -> None:
    decoder = SSEDecoder(max_event_bytes=8)
    assert decoder.feed(b"data: 1234\ndata: 12345") == []
    with pytest.raises(SSEError, match="max_event_bytes"):
        decoder.close(dispatch_unterminated=True)


@pytest.mark.parametrize("name", ["max_line_bytes", "max_event_bytes"])
def test_a_bound_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        SSEDecoder(**{name: 0})


@pytest.mark.parametrize("flood", [b"data: x", b"x" * 64, b"data\n", b":\n", b"\n", b"id: x\nevent: y\n", b"\r"])
def test_memory_stays_within_the_bounds_whatever_comes(flood: bytes) -> None:
    decoder = SSEDecoder(max_line_bytes=50_000, max_event_bytes=50_000)
    piece = flood * (4096 // len(flood))
    decoder.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(150):
            decoder.feed(piece)
    except SSEError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 600_000, peak


class CountingBytes(bytes):
    """Counts the bytes that are split into lines."""

    looked_at = 0

    def splitlines(self, keepends: bool = False) -> list[bytes]:
        CountingBytes.looked_at += len(self)
        return super().splitlines(keepends)


def test_the_work_is_linear_when_one_event_comes_in_small_pieces() -> None:
    body = b"data: " + b"x" * 400_000 + b"\n\n"
    decoder = SSEDecoder()
    CountingBytes.looked_at = 0
    decoder.feed(b"data: begin\n\n")
    events = [event for at in range(0, len(body), 4) for event in decoder.feed(CountingBytes(body[at : at + 4]))]
    assert [len(event.data) for event in events] == [400_000]
    assert CountingBytes.looked_at == len(body)  # each byte is looked at once


def test_the_last_event_id_is_kept_for_a_reconnection() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 42\ndata: x\n\n")
    assert decoder.last_event_id == "42"


@pytest.mark.parametrize(
    ("body", "mid_line"),
    [
        (b"", False),
        (b"\xef", True),
        (b"\xef\xbb\xbf", False),
        (b"data: x", True),
        (b"data: x\n", False),
        (b"data: x\r", False),
    ],
)
def test_whether_the_body_ends_inside_a_line_is_known(body: bytes, mid_line: bool) -> None:
    for pieces in every_cut(body):
        decoder = SSEDecoder()
        for piece in pieces:
            decoder.feed(piece)
        assert decoder.mid_line == mid_line
