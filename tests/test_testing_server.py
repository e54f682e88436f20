"""One connection of the simulated provider: HTTP/1.1 as clients speak it."""

from __future__ import annotations

import asyncio
import json

import pytest

from structstream.testing import (
    SimulatedProvider,
)
from tests.simulated import QUESTION, connected, events, text

pytestmark = pytest.mark.anyio


async def test_a_connection_is_kept_and_requests_behind_one_another_are_answered_in_order() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        client.ask(QUESTION | {"model": "first"})
        client.ask(QUESTION | {"model": "second"})
        for model in ("first", "second"):
            await client.head()
            assert {event["model"] for event in events(b"".join(await client.chunks()))} == {model}
        assert provider.connections == 1


async def test_many_at_once() -> None:
    async with SimulatedProvider() as provider:

        async def one() -> str:
            async with connected(provider) as client:
                return text((await client.answer())[2])

        made = await asyncio.gather(*(one() for _ in range(100)))
        assert sorted(made) == sorted(record.documents[0] for record in provider.requests)
        assert provider.connections == 100


async def test_http_1_0_gets_a_body_that_the_close_ends() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        data = json.dumps(QUESTION).encode()
        client.writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        await client.head()
        assert (await client.reader.read()).endswith(b"data: [DONE]\n\n")


async def test_a_client_that_waits_for_leave_to_send_gets_it() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        data = json.dumps(QUESTION).encode()
        client.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
            % len(data)
        )
        assert await client.head() == (100, {})
        client.writer.write(data)
        assert (await client.head())[0] == 200


async def test_what_is_no_http_is_refused() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        client.writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await client.head())[0] == 400
        assert await client.reader.read() == b""
