"""The simulated provider over real sockets: what goes over the wire, at what pace, and what it sees of its clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from structstream.errors import ConfigurationError
from structstream.testing import (
    FakeClock,
    Fault,
    Script,
    SimulatedProvider,
    WaitTimeoutError,
    cut_at_byte,
    drop_at_byte,
    html_200,
    malformed_framing,
    no_finish,
    plain_json_200,
    reset_at_byte,
    stall_at_byte,
    stall_before_first_byte,
    status,
)

pytestmark = pytest.mark.anyio


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


SCHEMA = TypeAdapter(Person).json_schema()
QUESTION: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Who?"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "Person", "schema": SCHEMA}},
    "stream": True,
}


class Client:
    """As little HTTP as it takes, so that every byte is seen."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(
        self, body: Any = QUESTION, path: str = "/v1/chat/completions", headers: str = "", method: str = "POST"
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, _, value in pairs}

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def chunks(self) -> list[bytes]:
        found = []
        while chunk := await self.chunk():
            found.append(chunk)
        return found

    async def answer(self, body: Any = QUESTION, **how: str) -> tuple[int, dict[str, str], bytes]:
        self.ask(body, **how)
        code, headers = await self.head()
        if "content-length" in headers:
            return code, headers, await self.reader.readexactly(int(headers["content-length"]))
        return code, headers, b"".join(await self.chunks())

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def connected(provider: SimulatedProvider) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def events(body: bytes) -> list[Any]:
    return [json.loads(each.removeprefix(b"data: ")) for each in body.split(b"\n\n") if each and b"[DONE]" not in each]


def text(body: bytes) -> str:
    choices = [choice for event in events(body) for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def body_of(*, seed: int = 0) -> bytes:
    async with SimulatedProvider(seed=seed) as provider, connected(provider) as client:
        return (await client.answer())[2]


# what goes over the wire


async def test_a_stream_is_one_chunk_an_event_and_ends_as_the_dialect_says() -> None:
    async with SimulatedProvider(seed=1) as provider, connected(provider) as client:
        client.ask()
        code, headers = await client.head()
        assert code == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["transfer-encoding"] == "chunked"
        chunks = await client.chunks()
        assert all(chunk.startswith(b"data: ") and chunk.count(b"\n\n") == 1 for chunk in chunks)
        assert chunks[-1] == b"data: [DONE]\n\n"
        assert events(chunks[-2])[0]["choices"][0]["finish_reason"] == "stop"
        record = await provider.wait_for_end()
        assert record.events_sent == len(chunks)
        assert record.bytes_sent == sum(map(len, chunks))
        assert text(b"".join(chunks)) == record.documents[0]
        Person.model_validate_json(record.documents[0])


async def test_the_same_seed_gives_the_same_bytes() -> None:
    assert await body_of(seed=3) == await body_of(seed=3) != await body_of(seed=4)


async def test_a_callers_seed_asks_for_the_same_answer_again() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        for question in (QUESTION, QUESTION, QUESTION | {"seed": 5}, QUESTION | {"seed": 5}):
            await client.answer(question)
        first, second, third, fourth = (record.documents[0] for record in provider.requests)
        assert first != second
        assert third == fourth


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


async def test_events_may_be_written_together() -> None:
    one_by_one = await body_of()
    async with SimulatedProvider(script=Script(events_per_write=5)) as provider, connected(provider) as client:
        client.ask()
        await client.head()
        chunks = await client.chunks()
        assert b"".join(chunks) == one_by_one
        assert all(chunk.count(b"\n\n") == 5 for chunk in chunks[:-1])


async def test_a_document_is_said_as_it_is() -> None:
    async with SimulatedProvider(document='{"näme": "\\u00e9"}') as provider, connected(provider) as client:
        assert text((await client.answer())[2]) == '{"näme": "\\u00e9"}'


async def test_a_document_may_depend_on_the_question() -> None:
    async with (
        SimulatedProvider(document=lambda question: question.model * 2) as provider,
        connected(provider) as client,
    ):
        assert text((await client.answer())[2]) == "gpt-4ogpt-4o"


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


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ({"path": "/v1/elsewhere"}, 404, "Invalid URL"),
        ({"method": "GET"}, 405, "Not allowed"),
        ({"method": "GET", "path": "/v1/models/none"}, 404, "does not exist"),
        ({"body": b"{"}, 400, "could not parse"),
        ({"body": {"messages": [{}]}}, 400, "model"),
        ({"body": {"model": "m", "messages": []}}, 400, "messages"),
        ({"headers": "x-simulate: cut\r\n"}, 400, "there is no fault"),
    ],
)
async def test_what_a_provider_refuses_is_refused(how: dict[str, Any], code: int, says: str) -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        answered, headers, body = await client.answer(**how)
        assert answered == code
        assert headers["content-type"] == "application/json"
        assert says in json.loads(body)["error"]["message"]
        assert (await client.answer())[0] == 200  # and the connection lives on


async def test_models_are_listed() -> None:
    async with SimulatedProvider(models=["a", "b"]) as provider, connected(provider) as client:
        _, _, body = await client.answer(method="GET", path="/v1/models")
        assert [row["id"] for row in json.loads(body)["data"]] == ["a", "b"]
        _, _, body = await client.answer(method="GET", path="/models/b")
        assert json.loads(body)["id"] == "b"


async def test_only_its_key_opens_it() -> None:
    async with SimulatedProvider(api_key="right") as provider, connected(provider) as client:
        assert (await client.answer(headers="authorization: Bearer wrong\r\n"))[0] == 401
        assert (await client.answer(headers="authorization: Bearer right\r\n"))[0] == 200
        assert "right" not in repr(provider.requests)


# faults


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


@pytest.mark.parametrize(
    ("fault", "code", "kind", "starts"),
    [
        (status(503, {"retry-after": "7"}), 503, "application/json", b'{"error"'),
        (status(502, {"content-type": "text/html"}, "<html>"), 502, "text/html", b"<html>"),
        (html_200(), 200, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        (plain_json_200(), 200, "application/json", b'{"message"'),
    ],
    ids=str,
)
async def test_another_answer_altogether(fault: Fault, code: int, kind: str, starts: bytes) -> None:
    async with SimulatedProvider(faults=[fault]) as provider, connected(provider) as client:
        answered, headers, body = await client.answer()
        assert (answered, headers["content-type"]) == (code, kind)
        assert body.startswith(starts)
        assert headers.get("retry-after") == ("7" if code == 503 else None)
        assert headers["x-request-id"] == "req_simulated_0"


async def test_faults_strike_by_request_number() -> None:
    async with SimulatedProvider(faults=[None, status(500)]) as provider, connected(provider) as client:
        await client.answer(method="GET", path="/v1/models")  # no question: does not count
        assert [(await client.answer())[0] for _ in range(4)] == [200, 500, 200, 200]
    async with (
        SimulatedProvider(faults=[None, status(500)], repeat_faults=True) as provider,
        connected(provider) as client,
    ):
        assert [(await client.answer())[0] for _ in range(4)] == [200, 500, 200, 500]
    async with SimulatedProvider(faults={2: status(500)}) as provider, connected(provider) as client:
        assert [(await client.answer())[0] for _ in range(4)] == [200, 200, 500, 200]


async def test_a_request_may_bring_its_own_fault() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        assert (await client.answer(headers='x-simulate: status(429, {"retry-after": "1"})\r\n'))[0] == 429
        assert provider.requests[0].fault == status(429, {"retry-after": "1"})


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        (no_finish(), "must be a list"),
        ("no_finish", "must be a list"),
        ([no_finish], "which is no Fault"),
        (["no_finish"], "which is no Fault"),
        ({"first": no_finish()}, "integer from 0 on"),
        ({-1: no_finish()}, "integer from 0 on"),
    ],
)
def test_a_bad_script_of_faults_is_refused(faults: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        SimulatedProvider(faults=faults)


# what it sees of its clients


async def test_it_sees_a_client_leave_in_the_middle() -> None:
    async with SimulatedProvider(faults=[stall_at_byte(300)]) as provider, connected(provider) as client:
        client.ask()
        await provider.wait_for_stall()
        assert provider.answering == 1
        await client.leave()
        record = await provider.wait_for_disconnect()
        assert record.ending == "disconnected"
        assert record.disconnected_at is not None
        assert (provider.active, provider.answering, provider.disconnects) == (0, 0, 1)


async def test_a_client_that_leaves_after_the_end_is_no_disconnect() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        await client.answer()
        await client.leave()
        assert (await provider.wait_for_disconnect()).ending == "complete"
        assert provider.disconnects == 0


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


async def test_leaving_the_block_closes_what_is_open() -> None:
    async with SimulatedProvider(faults=[stall_at_byte(300)]) as provider:
        reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
        Client(reader, writer).ask()
        await provider.wait_for_stall()
    assert provider.requests[0].ending == "closed"
    assert provider.active == 0
    writer.transport.abort()
    with pytest.raises(ConfigurationError, match="not running"):
        provider.base_url  # noqa: B018


async def test_a_port_that_is_taken_is_refused() -> None:
    async with SimulatedProvider() as provider:
        with pytest.raises(ConfigurationError, match="cannot listen on"):
            await SimulatedProvider(port=provider.port).__aenter__()


async def test_waiting_in_vain_says_how_things_stand() -> None:
    async with SimulatedProvider() as provider:
        with pytest.raises(WaitTimeoutError, match="0 connections are open; last: no request"):
            await provider.wait_for_end(within=0.01)


# pace


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
