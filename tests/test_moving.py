"""What the moving pages say of the openai SDK, pydantic-ai and LangChain, held to the versions that are installed.

What they say of instructor is held in ``tests/test_from_instructor.py``.
"""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

from structstream import StreamingStructuredRequest, StructuredLLMService
from structstream.testing import Fault, Script, SimulatedProvider, cut_at_byte, length, reset_at_byte

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore"),  # whatever the peers do
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What the peers leave open is collected here, and not in the middle of another test."""
    yield
    gc.collect()


class Profile(BaseModel):
    name: str
    age: int


WHOLE = '{"name":"Ada","age":2225}'
WRONG = '{"name":"Ada","age":"x"}'


@asynccontextmanager
async def provider(fault: Fault | None = None, document: str = WHOLE) -> AsyncIterator[SimulatedProvider]:
    faults = {} if fault is None else dict.fromkeys(range(9), fault)
    async with SimulatedProvider(document=document, script=Script(delta_size=1), faults=faults) as at:
        yield at


async def ours(at: SimulatedProvider) -> tuple[set[int | None], str]:
    """Which ages are shown, and the outcome, without another attempt."""
    request = StreamingStructuredRequest(
        response_model=Profile, model="gpt-4o", prompt="Who?", mode="native", max_retries=0, cadence="delta"
    )
    async with AsyncOpenAI(base_url=at.base_url, api_key="k") as client:
        async with StructuredLLMService(client).route_structured_streaming(request) as stream:
            ages = {step.partial_result.age async for step in stream if step.partial_result is not None}
        assert stream.outcome is not None
        return ages, stream.outcome.kind.value


BROKEN = {"length": length(20), "early": cut_at_byte(4200), "reset": reset_at_byte(4200)}


@pytest.mark.parametrize(
    ("document", "fault", "kind"),
    [(WHOLE, None, "complete"), (WRONG, None, "invalid")]
    + [
        (WHOLE, BROKEN[name], kind)
        for name, kind in (("length", "truncated"), ("early", "incomplete"), ("reset", "incomplete"))
    ],
)
async def test_no_half_number_here_and_one_outcome(document: str, fault: Fault | None, kind: str) -> None:
    async with provider(fault, document) as at:
        ages, found = await ours(at)
    assert found == kind
    assert ages <= {None, 2225}


async def of_the_sdk(at: SimulatedProvider, seen: list[Any]) -> Any:
    async with (
        AsyncOpenAI(base_url=at.base_url, api_key="k", max_retries=0) as client,
        client.chat.completions.stream(
            model="gpt-4o", messages=[{"role": "user", "content": "Who?"}], response_format=Profile
        ) as stream,
    ):
        async for event in stream:
            if event.type == "content.delta":
                seen.append(event.parsed)  # noqa: PERF401  # what came before an error counts
        return (await stream.get_final_completion()).choices[0].message.parsed


async def test_the_openai_sdk_shows_dictionaries_with_half_numbers() -> None:
    seen: list[Any] = []
    async with provider() as at:
        assert await of_the_sdk(at, seen) == Profile(name="Ada", age=2225)
    assert {"name": "Ada", "age": 222} in seen


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("length", openai.LengthFinishReasonError),
        ("early", ValidationError),
        ("reset", (httpx2.ReadError, openai.APIConnectionError)),
    ],
)
async def test_the_openai_sdk_raises_where_an_answer_breaks(name: str, error: Any) -> None:
    async with provider(BROKEN[name]) as at:
        with pytest.raises(error):
            await of_the_sdk(at, [])


async def of_pydantic_ai(at: SimulatedProvider) -> list[Any]:
    pydantic_ai = pytest.importorskip("pydantic_ai", reason="only in the environment of the newest of everything")
    models = pytest.importorskip("pydantic_ai.models.openai")
    providers = pytest.importorskip("pydantic_ai.providers.openai")
    async with AsyncOpenAI(base_url=at.base_url, api_key="k") as client:
        model = models.OpenAIChatModel("gpt-4o", provider=providers.OpenAIProvider(openai_client=client))
        async with pydantic_ai.Agent(model, output_type=Profile).run_stream("Who?") as run:
            return [item async for item in run.stream_output(debounce_by=None)]


async def test_pydantic_ai_shows_your_model_once_all_is_there_and_half_numbers() -> None:
    async with provider() as at:
        seen = await of_pydantic_ai(at)
    assert seen[0] == Profile(name="Ada", age=2)
    assert seen[-1] == Profile(name="Ada", age=2225)


@pytest.mark.parametrize("name", ["length", "early", "reset", "wrong"])
async def test_pydantic_ai_raises_where_an_answer_breaks_and_asks_once(name: str) -> None:
    async with provider(BROKEN.get(name), WRONG if name == "wrong" else WHOLE) as at:
        with pytest.raises(Exception, match=r"retries are not supported|Connection error"):
            await of_pydantic_ai(at)
        assert len(at.requests) == 1


async def of_langchain(at: SimulatedProvider, seen: list[Any], asked: Any) -> None:
    langchain = pytest.importorskip("langchain_openai", reason="only in the environment of the newest of everything")
    model = langchain.ChatOpenAI(model="gpt-4o", base_url=at.base_url, api_key="k", max_retries=0)
    try:
        async for item in model.with_structured_output(asked, method="json_schema").astream("Who?"):
            seen.append(item)  # noqa: PERF401  # what came before an error counts
    finally:
        await model.root_async_client.close()
        model.root_client.close()


async def test_langchain_shows_dictionaries_with_half_numbers_and_of_a_class_only_the_end() -> None:
    seen: list[Any] = []
    async with provider() as at:
        await of_langchain(at, seen, Profile.model_json_schema())
    assert {"name": "Ada", "age": 222} in seen
    seen = []
    async with provider() as at:  # LangChain keeps one HTTP client for an address
        await of_langchain(at, seen, Profile)
    assert seen == [Profile(name="Ada", age=2225)]


async def test_langchain_takes_what_ends_early_or_is_wrong_for_an_answer() -> None:
    for fault, document, last in (
        (BROKEN["early"], WHOLE, {"name": "Ada"}),
        (None, WRONG, {"name": "Ada", "age": "x"}),
    ):
        seen: list[Any] = []
        async with provider(fault, document) as at:
            await of_langchain(at, seen, Profile.model_json_schema())
        assert seen[-1] == last


@pytest.mark.parametrize("name", ["length", "reset"])
async def test_langchain_raises_at_the_output_limit_and_where_the_connection_breaks(name: str) -> None:
    async with provider(BROKEN[name]) as at:
        with pytest.raises(Exception, match=r"length limit|Connection error"):
            await of_langchain(at, [], Profile.model_json_schema())
