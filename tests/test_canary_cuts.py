"""No canary in any channel wherever the bytes of an answer are cut, or end: in each dialect, at every byte.

What a simulated provider writes is kept once and played anew for each cut, without a socket. The short form takes a few
places of each answer; `HYPOTHESIS_PROFILE=long` takes every byte, and prints how many that were.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from structstream.errors import ConnectionFailedError
from structstream.request import HTTPRequest
from structstream.transport import HTTPAnswer, Transport
from tests.canaries import PLACES, How, Left, answer_of, leaks, run, short_of
from tests.taping import AUTH
from tests.test_canary import LONG, canaries

pytestmark = pytest.mark.anyio

CUT = (
    *("the answer", "tool arguments", "another tool call", "prose around it", "thinking", "thinking in the text"),
    *("a refusal", "an error body", "an error in the stream", "a whole answer", "a page instead of a stream"),
    *("headers of a failure", "events that nobody knows", "a value that does not fit", "what a validator says"),
)
"""The places whose answers differ in what comes over the wire, or in what is made of it."""

FEW = 5  # cuts of an answer in the short form


@dataclass
class Wire:
    """An answer as it came."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Keeping:
    """A transport that keeps what comes through it."""

    def __init__(self, transport: Transport, wire: Wire) -> None:
        self._transport = transport
        self._wire = wire

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        answer = await self._transport.stream(request, connect_timeout=connect_timeout)
        self._wire.status, self._wire.headers = answer.status, answer.headers
        return _Kept(answer, self._wire)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Kept:
    def __init__(self, answer: HTTPAnswer, wire: Wire) -> None:
        self._answer = answer
        self._wire = wire
        self.status, self.headers = answer.status, answer.headers
        self.aclose = answer.aclose

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._answer:
            self._wire.body += data
            yield data


class Cutting:
    """A transport that plays an answer, cut in two; `breaks` ends it there."""

    def __init__(self, wire: Wire, at: int, breaks: bool) -> None:
        self._wire, self._at, self._breaks = wire, at, breaks

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        return _Cut(self._wire, self._at, self._breaks)

    async def aclose(self) -> None:
        pass


class _Cut:
    def __init__(self, wire: Wire, at: int, breaks: bool) -> None:
        self.status, self.headers = wire.status, wire.headers
        self._wire, self._at, self._breaks = wire, at, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._wire.body[: self._at]
        if self._breaks:
            raise ConnectionFailedError("the connection broke", provider="simulated")
        yield self._wire.body[self._at :]

    async def aclose(self) -> None:
        pass


async def wire_of(name: str, dialect: str, planted: Sequence[str], path: Path) -> Wire:
    """What comes over the wire at a place."""
    wire, place = Wire(), PLACES[name]
    answer = short_of if place.answer is answer_of else place.answer
    script = replace(place.script(planted), delta_size=48)
    how = How(dialect, wrap=lambda transport: Keeping(transport, wire))
    await run(replace(place, answer=answer, script=lambda found: script), planted, path, how)
    assert wire.body
    return wire


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("dialect", AUTH)
async def test_no_channel_tells_what_was_planted_wherever_the_bytes_are_cut(
    dialect: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted, place = canaries(len(name) + len(dialect)), PLACES[name]
    wire = await wire_of(name, dialect, planted, tmp_path / "whole.yaml")
    caplog.set_level(logging.DEBUG, "structstream")
    size = len(wire.body)
    cuts = range(1, size) if LONG else [1 + (size - 2) * at // FEW for at in range(FEW)]
    for number, at in enumerate(cuts):
        caplog.clear()
        breaks = bool(number % 2)
        # To write a file takes as long as all else: each tenth run is recorded.
        recorded = replace(place, records=place.records and number % 10 == 0)
        how = How(dialect, transport=Cutting(wire, at, breaks))
        left = await run(recorded, planted, tmp_path / f"{at}.yaml", how)
        left.log = [record for record in caplog.records if re.match("structstream|asyncio", record.name)]
        # What was kept of an answer that is given up early may end before what it is given up for.
        assert breaks or left.ended().kind in (place.kind_in(dialect), "incomplete")
        assert (at, leaks(left, planted)) == (at, {})
    sys.stdout.write(f"{dialect}, {name}: {len(cuts)} cuts of {size} bytes\n")


async def test_a_cut_answer_is_the_answer(tmp_path: Path) -> None:
    planted = canaries(3)
    wire = await wire_of("the answer", "openai_chat", planted, tmp_path / "whole.yaml")
    found: list[Left] = []
    for at in (1, len(wire.body) // 2):
        how = How("openai_chat", transport=Cutting(wire, at, breaks=False), guarded=False)
        found.append(await run(replace(PLACES["the answer"], records=False), planted, tmp_path / "it", how))
    assert all("the outcome" in leaks(left, planted) for left in found)
