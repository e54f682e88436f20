"""The vendor's own client, and instructor, pointed at the simulated provider, work."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from structstream.testing import (
    Script,
    SimulatedProvider,
    content_filter,
    in_band_error,
    length,
    refusal,
    reset_at_byte,
    stall_at_byte,
    status,
)

pytestmark = pytest.mark.anyio

needs_instructor = pytest.mark.skipif(
    importlib.util.find_spec("instructor") is None,
    reason="instructor is not installed: pip install 'structstream[instructor]'",
)


class Item(BaseModel):
    sku: str
    price: float
    kind: Literal["book", "game"]


class Order(BaseModel):
    customer: str
    day: dt.date
    items: list[Item] = Field(min_length=2)
    note: str | None


class Basket(BaseModel):
    """Without a date: instructor's partials take none."""

    owner: str
    items: list[Item] = Field(min_length=2)


ASK: Any = [{"role": "user", "content": "An order"}]


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider(seed=1) as running:
        yield running


@pytest.fixture
async def client(provider: SimulatedProvider) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=provider.base_url, api_key="test", max_retries=0) as made:
        yield made


async def test_models(client: AsyncOpenAI) -> None:
    assert "gpt-4o" in [model.id async for model in client.models.list()]


async def test_whole_and_streamed_text(client: AsyncOpenAI, provider: SimulatedProvider) -> None:
    whole = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert whole.choices[0].message.content == provider.requests[0].documents[0]
    assert whole.usage is not None
    assert whole.usage.total_tokens > 0
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == provider.requests[1].documents[0]
    assert chunks[-1].usage is not None
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]


async def test_parse(client: AsyncOpenAI) -> None:
    made = await client.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=Order)
    assert isinstance(made.choices[0].message.parsed, Order)


async def test_the_clients_own_stream_helper(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="gpt-4o", messages=ASK, response_format=Order) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Order)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Order"}}])
async def test_tools(client: AsyncOpenAI, choice: Any) -> None:
    tools: Any = [openai.pydantic_function_tool(Order)]
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ASK, tools=tools, tool_choice=choice, stream=True
    )
    calls = [call async for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].id
    assert calls[0].function is not None
    assert calls[0].function.name == "Order"
    Order.model_validate_json("".join(call.function.arguments or "" for call in calls if call.function))


async def test_parsed_tools(client: AsyncOpenAI) -> None:
    made = await client.chat.completions.parse(
        model="gpt-4o", messages=ASK, tools=[openai.pydantic_function_tool(Order)]
    )
    assert made.choices[0].finish_reason == "tool_calls"
    calls = made.choices[0].message.tool_calls
    assert calls is not None
    assert isinstance(calls[0].function.parsed_arguments, Order)


async def test_the_raw_body(client: AsyncOpenAI, provider: SimulatedProvider) -> None:
    create = client.chat.completions.with_streaming_response.create
    async with create(model="gpt-4o", messages=ASK, stream=True) as response:
        body = b"".join([piece async for piece in response.iter_bytes()])
    assert body.endswith(b"data: [DONE]\n\n")
    record = await provider.wait_for_end()
    assert record.bytes_sent == len(body)
    assert record.headers["authorization"] == "[redacted]"
    assert response.headers["x-request-id"] == "req_simulated_0"


async def test_several_choices(client: AsyncOpenAI) -> None:
    made = await client.chat.completions.create(model="gpt-4o", messages=ASK, n=3)
    assert len({choice.message.content for choice in made.choices}) == 3


async def test_a_refusal_is_one(client: AsyncOpenAI) -> None:
    headers = {"x-simulate": str(refusal("No, sorry."))}
    made = await client.chat.completions.parse(
        model="gpt-4o", messages=ASK, response_format=Order, extra_headers=headers
    )
    assert made.choices[0].message.refusal == "No, sorry."
    assert made.choices[0].message.parsed is None


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (length(10), openai.LengthFinishReasonError),
        (content_filter(2), openai.ContentFilterFinishReasonError),
        (in_band_error(2, "boom"), openai.APIError),
        (status(401), openai.AuthenticationError),
        (status(429, {"retry-after": "1"}), openai.RateLimitError),
        (status(503), openai.InternalServerError),
    ],
    ids=str,
)
async def test_the_client_knows_a_fault_when_it_sees_one(
    client: AsyncOpenAI, fault: Any, raised: type[Exception]
) -> None:
    headers = {"x-simulate": str(fault)}
    with pytest.raises(raised):
        async with client.chat.completions.stream(
            model="gpt-4o", messages=ASK, response_format=Order, extra_headers=headers
        ) as stream:
            await stream.get_final_completion()


async def test_a_reset_breaks_the_client(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ASK, stream=True, extra_headers={"x-simulate": str(reset_at_byte(700))}
    )
    with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
        _ = [chunk async for chunk in stream]


async def test_a_client_that_leaves_is_seen(client: AsyncOpenAI, provider: SimulatedProvider) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ASK, stream=True, extra_headers={"x-simulate": str(stall_at_byte(700))}
    )
    async for _ in stream:
        break
    await stream.close()
    assert (await provider.wait_for_disconnect()).ending == "disconnected"
    assert provider.active == 0


@needs_instructor
@pytest.mark.parametrize("mode", ["TOOLS", "JSON", "MD_JSON", "JSON_SCHEMA"])
async def test_instructor(client: AsyncOpenAI, provider: SimulatedProvider, mode: str) -> None:
    import instructor

    if mode == "MD_JSON":
        provider.script = Script(fence=True, before="Of course!\n")
    patched = instructor.from_openai(client, mode=instructor.Mode[mode])
    assert isinstance(await patched.create(model="gpt-4o", messages=ASK, response_model=Basket, max_retries=0), Basket)
    partials = [
        partial
        async for partial in patched.create_partial(model="gpt-4o", messages=ASK, response_model=Basket, max_retries=0)
    ]
    assert len(partials) > 10
    assert Basket.model_validate(partials[-1].model_dump()).items


@needs_instructor
async def test_instructor_iterates(client: AsyncOpenAI) -> None:
    import instructor

    patched = instructor.from_openai(client)
    found = [item async for item in patched.create_iterable(model="gpt-4o", messages=ASK, response_model=Item)]
    assert found
    assert all(isinstance(item, Item) for item in found)


def test_the_blocking_client_against_the_thread() -> None:
    with (
        SimulatedProvider.in_thread(seed=2) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="test") as client,
    ):
        made = client.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=Order)
        assert isinstance(made.choices[0].message.parsed, Order)
