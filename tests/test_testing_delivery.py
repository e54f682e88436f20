"""How an answer goes over the wire: its pace, and the place where it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from structstream.testing import (
    FakeClock,
    Fault,
    Script,
    SimulatedProvider,
    cut_at_byte,
    drop_at_byte,
    malformed_framing,
    reset_at_byte,
    stall_at_byte,
    stall_before_first_byte,
)
from structstream.testing.delivery import Delivery
from structstream.testing.dialects.base import Reply
from structstream.testing.records import RecordedRequest
from tests.simulated import QUESTION, Client, body_of, connected

pytestmark = pytest.mark.anyio


async def test_events_may_be_written_together() -> None:
    one_by_one = await body_of()
    async with SimulatedProvider(script=Script(events_per_write=5)) as provider, connected(provider) as client:
        client.ask()
        await client.head()
        chunks = await client.chunks()
        assert b"".join(chunks) == one_by_one
        assert all(chunk.count(b"\n\n") == 5 for chunk in chunks[:-1])


@pytest.mark.parametrize("n", [0, 1, 200, 500, 10**6])
async def test_a_cut_body_ends_in_good_order_and_the_connection_lives_on(n: int) -> None:
    whole = await body_of()
    async with SimulatedProvider(faults=[cut_at_byte(n)]) as provider, connected(provider) as client:
        assert (await client.answer())[2] == whole[:n]
        record = await provider.wait_for_end()
        assert record.ending == ("cut" if n < len(whole) else "complete")
        assert (await client.answer())[0] == 200
        assert provider.connections == 1


@pytest.mark.parametrize("n", [0, 1, 200, 500])
@pytest.mark.parametrize(
    ("fault", "ending", "end"),
    [
        (drop_at_byte, "dropped", b""),
        (malformed_framing, "garbled", b"this is no chunk\r\n"),
        (reset_at_byte, "reset", ConnectionResetError),
    ],
)
async def test_a_broken_body_brings_so_many_bytes(n: int, fault: Any, ending: str, end: Any) -> None:
    whole = await body_of()
    async with SimulatedProvider(faults=[fault(n)]) as provider, connected(provider) as client:
        client.ask()
        await client.head()
        got = b""
        while len(got) < n:
            got += await client.chunk()
        assert got == whole[:n]
        if isinstance(end, bytes):
            assert await client.reader.read() == end
        else:
            with pytest.raises(end):
                await client.reader.read()
        record = await provider.wait_for_disconnect()
        assert record.ending == ending
        assert record.bytes_sent == n
        assert provider.active == 0
        assert provider.disconnects == 0


async def test_a_stalled_body_goes_on_when_released() -> None:
    whole = await body_of()
    async with SimulatedProvider(faults=[stall_at_byte(300)]) as provider, connected(provider) as client:
        client.ask()
        record = await provider.wait_for_stall()
        assert record.bytes_sent == 300
        provider.release()
        await client.head()
        assert b"".join(await client.chunks()) == whole
        assert (await provider.wait_for_end()).ending == "complete"


async def test_a_stall_before_the_first_byte_sends_not_even_a_status() -> None:
    async with SimulatedProvider(faults=[stall_before_first_byte()]) as provider, connected(provider) as client:
        client.ask()
        assert (await provider.wait_for_stall()).status is None
        provider.release()
        assert (await client.head())[0] == 200


@pytest.mark.parametrize("fault", [cut_at_byte(20), drop_at_byte(20), malformed_framing(20)], ids=str)
async def test_a_whole_answer_breaks_by_a_close(fault: Fault) -> None:
    async with SimulatedProvider(faults=[fault]) as provider, connected(provider) as client:
        client.ask(QUESTION | {"stream": False})
        _, headers = await client.head()
        assert int(headers["content-length"]) > 20
        assert len(await client.reader.read()) == 20
        assert (await provider.wait_for_end()).ending in ("cut", "dropped")


async def test_a_slow_reader_holds_the_answer_back() -> None:
    async with SimulatedProvider(document="x" * 4_000_000, script=Script(delta_size=4000)) as provider:
        reader, writer = await asyncio.open_connection("127.0.0.1", provider.port, limit=1000)
        client = Client(reader, writer)
        client.ask(QUESTION | {"response_format": {"type": "text"}})
        sent = -1
        while provider.requests == [] or provider.requests[0].bytes_sent > sent:
            sent = provider.requests[0].bytes_sent if provider.requests else -1
            for _ in range(50):
                await asyncio.sleep(0)
        assert 0 < provider.requests[0].events_sent < 1000
        await client.leave()
        assert (await provider.wait_for_disconnect()).ending == "disconnected"


async def test_pace_follows_the_clock() -> None:
    clock = FakeClock(start=0.0)
    script = Script(first_token_delay=2.0, tokens_per_second=10)
    async with SimulatedProvider(script=script, clock=clock) as provider, connected(provider) as client:
        client.ask()
        await client.head()
        for number in range(5):
            await clock.wait_for_sleepers()
            assert provider.requests[0].events_sent == number
            await clock.advance(2.0 if number == 0 else 0.1)
            assert await client.chunk()
        assert clock.now() == pytest.approx(2.4)


async def test_a_whole_answer_takes_as_long_as_its_tokens() -> None:
    clock = FakeClock(start=0.0)
    script = Script(first_token_delay=2.0, tokens_per_second=10)
    async with (
        SimulatedProvider(script=script, clock=clock, document="x" * 40) as provider,
        connected(provider) as client,
    ):
        client.ask(QUESTION | {"stream": False})
        await clock.wait_for_sleepers()
        await clock.advance(2.9)
        assert provider.requests[0].status is None
        await clock.advance(0.1)
        assert (await client.head())[0] == 200


async def test_flat_out_sets_no_timer() -> None:
    clock = FakeClock()
    async with SimulatedProvider(clock=clock) as provider, connected(provider) as client:
        await client.answer()
        assert clock.sleepers == 0


@pytest.mark.parametrize("script", [Script(), Script(first_token_delay=1)], ids=["flat out", "paced"])
async def test_who_has_left_is_written_to_no_more(script: Script) -> None:
    """The connection is told of it at the loop's next turn, and then the answer is cancelled."""

    class Left:
        full, lost, written = False, True, 0

        def head(self, *anything: object) -> None: ...

        def body(self, data: bytes) -> None:
            self.written += 1

    clock, left = FakeClock(), Left()
    record = RecordedRequest(0, "POST", "/", {}, None, 0, 0.0)
    delivery = Delivery(left, record, script, clock, lambda: None)  # type: ignore[arg-type]  # as much as it takes
    answer = asyncio.create_task(delivery.send(Reply(200, (), [b"x"] * 100, streamed=True), None))
    await asyncio.sleep(0)
    await clock.advance(1)
    answer.cancel()
    await asyncio.wait([answer])
    assert 1 <= left.written < 10
