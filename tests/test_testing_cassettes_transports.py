"""The two transports: what they pass on, what they note, and how a replayed answer ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from structstream.errors import ConnectionFailedError
from structstream.request import HTTPRequest
from structstream.testing import FakeClock
from structstream.testing.cassettes import (
    Cassette,
    CassetteError,
    Chunk,
    NotRecordedError,
    Recording,
    read_interactions,
)
from structstream.testing.cassettes.transports import PlayedAnswer, Player, RecordingTransport, ReplayingTransport, Take

pytestmark = pytest.mark.anyio

ASKED = HTTPRequest("POST", "/chat/completions", {"accept": "text/event-stream"}, {"model": "m"})
HEADERS = {"content-type": "text/event-stream"}


class Sent:
    url = "https://user:pass@api.openai.com/v1/chat/completions?key=k-planted-1&alt=sse"
    headers: Mapping[str, str] = {"authorization": "Bearer odd-planted-key"}


class Answer:
    """An answer that says what it is told, and then breaks if told so; it tells where it was sent."""

    status = 200
    headers: Mapping[str, str] = HEADERS

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.sent = Sent()
        self.closed = 0
        self._pieces = pieces
        self._error = error
        self._body = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def _read(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        self.closed += 1


class Wire:
    """A transport with one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.closed = 0
        self.timeouts: list[float | None] = []

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> Any:
        self.timeouts.append(connect_timeout)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aclose(self) -> None:
        self.closed += 1


async def test_it_passes_everything_on_and_keeps_it(tmp_path: Path) -> None:
    wire = Wire(Answer([b"data: 1\n\n", b"data: [DONE]\n\n"]))
    with Cassette(tmp_path / "a.yaml") as tape:
        transport = tape.wrap(wire)
        assert isinstance(transport, RecordingTransport)
        answer = await transport.stream(ASKED, connect_timeout=3)
        assert (answer.status, answer.headers) == (200, HEADERS)
        assert [data async for data in answer] == [b"data: 1\n\n", b"data: [DONE]\n\n"]
        await answer.aclose()
        await transport.aclose()
    assert (wire.timeouts, wire.closed, wire.answer.closed) == ([3], 1, 1)
    (kept,) = read_interactions(tmp_path / "a.yaml")
    assert (kept.method, kept.url) == ("POST", "https://api.openai.com/v1/chat/completions?alt=sse")
    assert kept.body == ASKED.content()
    assert kept.recording.ending == "end"
    assert "planted" not in (tmp_path / "a.yaml").read_text()


async def test_a_broken_answer_is_kept_as_it_broke(tmp_path: Path) -> None:
    error = ConnectionFailedError("the connection broke: odd-planted-key, token=abcdef", provider="openai")
    with Cassette(tmp_path / "a.yaml") as tape:
        answer = await tape.wrap(Wire(Answer([b"data: 1\n\n"], error))).stream(ASKED)
        with pytest.raises(ConnectionFailedError):
            _ = [data async for data in answer]
        await answer.aclose()
    (kept,) = read_interactions(tmp_path / "a.yaml")
    assert kept.recording.ending == "reset"
    assert (kept.recording.error, kept.recording.provider) == ("the connection broke: [redacted], [redacted]", "openai")


@pytest.mark.parametrize("reads", [0, 1])
async def test_an_answer_that_is_left_is_kept_as_left(tmp_path: Path, reads: int) -> None:
    with Cassette(tmp_path / "a.yaml") as tape:
        answer = await tape.wrap(Wire(Answer([b"data: 1\n\n", b"data: 2\n\n"]))).stream(ASKED)
        body = aiter(answer)
        for _ in range(reads):
            await anext(body)
        await answer.aclose()
    (kept,) = read_interactions(tmp_path / "a.yaml")
    assert kept.recording.ending == "cancelled"
    assert len(kept.recording.chunks) == reads


async def test_an_answer_that_is_still_open_when_the_cassette_is_written_is_kept_as_left(tmp_path: Path) -> None:
    with Cassette(tmp_path / "a.yaml") as tape:
        answer = await tape.wrap(Wire(Answer([b"data: 1\n\n", b"data: 2\n\n"]))).stream(ASKED)
        await anext(aiter(answer))
    assert read_interactions(tmp_path / "a.yaml")[0].recording.ending == "cancelled"
    await answer.aclose()


async def test_a_request_without_an_answer_leaves_nothing(tmp_path: Path) -> None:
    with Cassette(tmp_path / "a.yaml") as tape, pytest.raises(ConnectionFailedError):
        await tape.wrap(Wire(ConnectionFailedError("no answer", provider="openai"))).stream(ASKED)
    assert not (tmp_path / "a.yaml").exists()


async def test_a_transport_that_does_not_tell_where_it_sends_is_recorded_all_the_same(tmp_path: Path) -> None:
    answer = Answer([b"data: 1\n\n"])
    del answer.sent
    path = tmp_path / "a.yaml"
    with Cassette(path) as tape:
        assert [data async for data in await tape.wrap(Wire(answer)).stream(ASKED)] == [b"data: 1\n\n"]
    assert read_interactions(path)[0].url == "http://unknown.invalid/chat/completions"
    with Cassette(path, record_mode="none") as tape:
        assert isinstance(tape.client, ReplayingTransport)
        assert [data async for data in await tape.client.stream(ASKED)] == [b"data: 1\n\n"]
        with pytest.raises(NotRecordedError):
            await tape.client.stream(ASKED)
        await tape.client.aclose()


async def test_a_replay_has_no_network_to_leave_a_request_to(tmp_path: Path) -> None:
    import vcr  # type: ignore[import-untyped]

    path = tmp_path / "a.yaml"
    with Cassette(path) as tape:
        _ = [data async for data in await tape.wrap(Wire(Answer([b"data: 1\n\n"]))).stream(ASKED)]
    tape = Cassette(path, record_mode="none", vcr=vcr.VCR(before_record_request=lambda request: None))
    assert tape.client is not None
    with pytest.raises(CassetteError, match="leaves this request to the network"):
        await tape.client.stream(ASKED)


async def played(recording: Recording, clock: FakeClock) -> list[tuple[float, object]]:
    """What is read, and when; an error in the place of what it ended."""
    found: list[tuple[float, object]] = []
    try:
        async for data in Player(clock).play(recording, clock.now()):
            found.append((clock.now(), data))  # noqa: PERF401  # what came before an error counts
    except ConnectionFailedError as error:
        found.append((clock.now(), error.message))
    return found


async def turned(recording: Recording, seconds: int) -> list[tuple[float, object]] | None:
    """The same after so many seconds; None where it had not ended then."""
    clock = FakeClock(0)
    task = asyncio.create_task(played(recording, clock))
    for _ in range(seconds):
        await asyncio.sleep(0)
        await clock.advance(1)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait([task])
    return None


CHUNKS = (Chunk(1, b"a"), Chunk(3, b"b"))


@pytest.mark.parametrize(
    ("ending", "end"),
    [("end", []), ("reset", [(4.0, "it broke")]), ("cancelled", [(6.0, None)])],
)
async def test_a_recording_comes_when_it_came_and_ends_as_it_ended(ending: Any, end: list[tuple[float, Any]]) -> None:
    recording = Recording(chunks=CHUNKS, ending=ending, ended_at=4, error="it broke")
    found = await turned(recording, 8)
    assert found is not None
    assert found[:2] == [(1.0, b"a"), (3.0, b"b")]
    assert [at for at, _ in found[2:]] == [at for at, _ in end]
    if ending == "cancelled":
        assert "its caller left" in str(found[2][1])


async def test_a_stall_never_ends_but_can_be_left() -> None:
    assert await turned(Recording(chunks=CHUNKS, ending="stall", ended_at=4), 100) is None


async def test_a_played_answer_waits_for_its_head() -> None:
    clock = FakeClock(0)
    answer = PlayedAnswer(200, HEADERS, Recording(chunks=CHUNKS, head_at=0.5), clock)
    head = asyncio.create_task(answer.head())
    await clock.wait_for_sleepers()
    await clock.advance(0.4)
    assert not head.done()
    await clock.advance(0.1)
    await head
    await answer.aclose()


def test_a_take_without_an_answer_is_none() -> None:
    take = Take(ASKED, FakeClock())
    assert not take.answered
    assert take.recording().ending == "cancelled"
