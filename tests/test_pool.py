"""Transports that were built here: one a name and loop, closed once, with their loop at the latest."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from structstream.pool import TransportPool

if TYPE_CHECKING:
    from structstream.request import HTTPRequest
    from structstream.transport import HTTPAnswer, Transport

pytestmark = pytest.mark.anyio


class Counted:
    """A transport that counts how often it is closed, and on which loop."""

    def __init__(self) -> None:
        self.built_on = asyncio.get_running_loop()
        self.closed_on: list[asyncio.AbstractEventLoop] = []

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed_on.append(asyncio.get_running_loop())


async def test_a_name_has_one_transport() -> None:
    pool = TransportPool()
    first = await pool.get("a", Counted)
    assert await pool.get("a", Counted) is first
    assert await pool.get("b", Counted) is not first
    await pool.aclose()


async def test_many_that_ask_at_once_get_the_same() -> None:
    pool = TransportPool()
    assert len(set(await asyncio.gather(*(pool.get("a", Counted) for _ in range(10))))) == 1
    await pool.aclose()


async def test_all_are_closed_once_and_a_later_one_is_new() -> None:
    pool = TransportPool()
    first = await pool.get("a", Counted)
    await pool.aclose()
    await pool.aclose()
    assert isinstance(first, Counted)
    assert first.closed_on == [asyncio.get_running_loop()]
    assert await pool.get("a", Counted) is not first
    await pool.aclose()


async def test_one_that_fails_to_close_keeps_no_other_open() -> None:
    class Failing(Counted):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("the socket is gone")

    pool = TransportPool()
    made = [await pool.get(name, build) for name, build in (("a", Counted), ("b", Failing), ("c", Counted))]
    with pytest.raises(OSError, match="socket"):
        await pool.aclose()
    assert [len(transport.closed_on) for transport in made if isinstance(transport, Counted)] == [1, 1, 1]
    await pool.aclose()


async def test_one_that_is_asked_for_while_others_are_closed_is_kept() -> None:
    class Asks(Counted):
        async def aclose(self) -> None:
            await super().aclose()
            later.append(await pool.get("a", Counted))

    pool = TransportPool()
    later: list[Transport] = []
    await pool.get("a", Asks)
    await pool.aclose()
    assert await pool.get("a", Counted) is later[0]
    await pool.aclose()


def test_the_end_of_a_loop_closes_its_own() -> None:
    pool = TransportPool()
    first = asyncio.run(pool.get("a", Counted))
    second = asyncio.run(pool.get("a", Counted))
    assert first is not second
    for transport in (first, second):
        assert isinstance(transport, Counted)
        assert transport.closed_on == [transport.built_on]


async def test_those_of_another_thread_are_closed_on_their_own_loop() -> None:
    pool = TransportPool()
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    try:
        there = asyncio.run_coroutine_threadsafe(pool.get("a", Counted), other).result(5)
        here = await pool.get("a", Counted)
        assert there is not here
        await pool.aclose()
        assert isinstance(there, Counted)
        assert there.closed_on == [other]
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join(5)
        other.close()


async def test_a_loop_that_was_closed_in_disorder_is_forgotten() -> None:
    pool = TransportPool()

    def disorder() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(pool.get("a", Counted))
        loop.close()

    await asyncio.to_thread(disorder)
    await pool.get("b", Counted)
    assert [name for _, name in pool._kept] == ["b"]
    await pool.aclose()
