"""The simulated provider: what it answers, which faults strike when, and what it sees of its clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from structstream.errors import ConfigurationError
from structstream.testing import (
    Fault,
    SimulatedProvider,
    WaitTimeoutError,
    html_200,
    no_finish,
    plain_json_200,
    stall_at_byte,
    status,
)
from structstream.testing.dialects.base import Question
from tests.simulated import QUESTION, Client, Person, body_of, connected, events, text

pytestmark = pytest.mark.anyio


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


async def test_a_document_is_said_as_it_is() -> None:
    async with SimulatedProvider(document='{"näme": "\\u00e9"}') as provider, connected(provider) as client:
        assert text((await client.answer())[2]) == '{"näme": "\\u00e9"}'


async def test_a_document_may_depend_on_the_question() -> None:
    async with (
        SimulatedProvider(document=lambda question: question.model * 2) as provider,
        connected(provider) as client,
    ):
        assert text((await client.answer())[2]) == "gpt-4ogpt-4o"


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


async def test_a_document_function_that_raises_is_told_and_the_client_does_not_wait() -> None:
    def broken(question: Question) -> str:
        raise LookupError("no such document")

    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    usual = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: told.append(context))
    try:
        async with SimulatedProvider(document=broken) as provider, connected(provider) as client:
            client.ask()
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.head()
            assert (await provider.wait_for_disconnect()).ending == "failed"
            assert provider.disconnects == 0
    finally:
        loop.set_exception_handler(usual)
    assert [str(context["exception"]) for context in told] == ["no such document"]


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


async def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="port must be"):
        async with SimulatedProvider(port=99_999):
            pass


async def test_a_port_that_is_taken_is_refused() -> None:
    async with SimulatedProvider() as provider:
        with pytest.raises(ConfigurationError, match="cannot listen on"):
            await SimulatedProvider(port=provider.port).__aenter__()


async def test_waiting_in_vain_says_how_things_stand() -> None:
    async with SimulatedProvider() as provider:
        with pytest.raises(WaitTimeoutError, match="0 connections are open; last: no request"):
            await provider.wait_for_end(within=0.01)


async def test_a_condition_that_raises_is_the_waiters_business() -> None:
    async with SimulatedProvider() as provider, connected(provider) as client:
        waiting = asyncio.create_task(
            provider.wait_until(lambda each: each.connections > 0 and each.requests[1] is None)
        )
        client.ask()
        with pytest.raises(IndexError):
            await waiting
        assert (await client.head())[0] == 200


# pace


@pytest.mark.anyio
async def test_faults_that_repeat_begin_again_after_the_last_also_where_that_is_none() -> None:
    async with SimulatedProvider(faults=[status(503), None], repeat_faults=True) as provider:
        codes = []
        for _ in range(4):
            async with connected(provider) as client:
                codes.append((await client.answer())[0])
    assert codes == [503, 200, 503, 200]
