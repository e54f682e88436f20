"""instructor's streaming calls, with the import changed: the same final objects, and better partials on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from structstream import InvalidOutputError, Partial
from structstream.testing import SimulatedProvider
from structstream.testing.faults import stall_at_byte
from tests.edge import PROFILE, Profile

real = pytest.importorskip("instructor", reason="the environment without instructor")

from structstream.integrations import instructor  # noqa: E402  # needs what was looked for above

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)
PEOPLE = f'{{"tasks": [{PROFILE}, {PROFILE.replace("Ada", "Eva")}]}}'
ASKED: list[dict[str, str]] = [{"role": "user", "content": "An engineer"}]
MODES = ["TOOLS", "JSON", "MD_JSON", "JSON_SCHEMA", "RESPONSES_TOOLS"]


@asynccontextmanager
async def async_client(
    mode: str = "TOOLS", *, model: str | None = None, **provider: Any
) -> AsyncIterator[tuple[Any, SimulatedProvider]]:
    provider.setdefault("document", PROFILE)
    async with (
        SimulatedProvider(**provider) as simulated,
        AsyncOpenAI(base_url=simulated.base_url, api_key="k") as client,
    ):
        yield instructor.from_openai(client, mode=real.Mode[mode], model=model), simulated


@contextmanager
def sync_client(mode: str = "TOOLS", *, model: str | None = None, document: str = PROFILE) -> Iterator[Any]:
    with (
        SimulatedProvider.in_thread(document=document) as simulated,
        OpenAI(base_url=simulated.base_url, api_key="k") as client,
    ):
        yield instructor.from_openai(client, mode=real.Mode[mode], model=model)


@pytest.mark.parametrize("mode", MODES)
async def test_partials_grow_into_the_object(mode: str) -> None:
    async with async_client(mode) as (client, _):
        seen = [item async for item in client.create_partial(Profile, ASKED, model="gpt-4o")]
    assert seen[-1] == ADA
    assert len(seen) > 10
    assert all(isinstance(item, Partial) for item in seen[:-1])
    assert {item.age for item in seen} <= {None, 36}


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_alone_knows_its_model_asks_itself_and_the_text_is_read_here(mode: str) -> None:
    async with async_client(mode, model="gpt-4o") as (client, _):
        seen = [item async for item in client.create_partial(Profile, ASKED)]
    assert seen[-1] == ADA
    assert isinstance(seen[0], Partial)
    assert {item.age for item in seen} <= {None, 36}


@pytest.mark.parametrize("model", [None, "gpt-4o"])
async def test_objects_of_a_list_come_once_each(model: str | None) -> None:
    others = {} if model else {"model": "gpt-4o"}
    async with async_client(model=model, document=PEOPLE) as (client, _):
        for kind in (Profile, list[Profile], Iterable[Profile]):
            seen = [item async for item in client.chat.completions.create_iterable(ASKED, kind, **others)]
            assert [item.name for item in seen] == ["Ada Lovelace", "Eva Lovelace"]
            assert all(type(item) is Profile for item in seen)


@pytest.mark.parametrize("model", [None, "gpt-4o"])
def test_a_blocking_client_has_the_same_calls(model: str | None) -> None:
    others = {} if model else {"model": "gpt-4o"}
    with sync_client(model=model) as client:
        seen = list(client.create_partial(Profile, "An engineer", **others))
    assert seen[-1] == ADA
    assert isinstance(seen[0], Partial)
    with sync_client(model=model, document=PEOPLE) as client:
        assert len(list(client.create_iterable(ASKED, Profile, **others))) == 2


@pytest.mark.parametrize("model", [None, "gpt-4o"])
async def test_a_partial_comes_while_the_provider_still_holds_the_rest_back(model: str | None) -> None:
    others = {} if model else {"model": "gpt-4o"}
    async with async_client(model=model, faults=[stall_at_byte(1500)]) as (client, provider):
        stream = client.create_partial(Profile, ASKED, **others)
        first = await anext(stream)
        assert isinstance(first, Partial)
        provider.release()
        async for last in stream:
            first = last
        assert first == ADA


def test_a_blocking_client_gets_a_partial_while_the_provider_still_holds_the_rest_back() -> None:
    stalls = [stall_at_byte(1500), stall_at_byte(1500)]
    with (
        SimulatedProvider.in_thread(document=PROFILE, faults=stalls) as provider,
        OpenAI(base_url=provider.base_url, api_key="k") as client,
    ):
        for model in (None, "gpt-4o"):
            asking: Any = instructor.from_openai(client, model=model)
            stream = asking.create_partial(Profile, ASKED, **({} if model else {"model": "gpt-4o"}))
            assert isinstance(next(stream), Partial)
            provider.release()
            assert list(stream)[-1] == ADA


async def test_a_blocking_client_works_where_an_event_loop_runs_as_in_a_notebook() -> None:
    with sync_client() as client:
        seen = await asyncio.to_thread(list, client.create_partial(Profile, ASKED, model="gpt-4o"))
        assert seen[-1] == ADA


async def test_hooks_hear_of_the_call_the_client_s_own_and_those_of_the_call() -> None:
    heard: list[str] = []
    async with async_client() as (client, _):
        client.on("completion:kwargs", lambda **kwargs: heard.append(f"asks {kwargs['model']}"))
        client.on("completion:response", lambda _: heard.append("answered"))
        more = real.core.hooks.Hooks()
        more.on("completion:response", lambda _: heard.append("answered, told to the call's own"))
        async for _ in client.create_partial(Profile, ASKED, model="gpt-4o"):
            pass
        assert heard == ["asks gpt-4o", "answered"]
        async for _ in client.create_partial(Profile, ASKED, model="gpt-4o", hooks=more):
            pass
    assert heard[2:] == ["asks gpt-4o", "answered", "answered, told to the call's own"]


async def test_hooks_hear_of_an_answer_that_does_not_validate() -> None:
    heard: list[BaseException] = []
    async with async_client(document='{"name": "Ada", "age": "old"}') as (client, _):
        client.on("parse:error", lambda error, **_: heard.append(error))
        with pytest.raises(InvalidOutputError, match="age"):
            async for _ in client.create_partial(Profile, ASKED, model="gpt-4o", max_retries=0):
                pass
    assert [type(error) for error in heard] == [InvalidOutputError]


async def test_templates_in_the_messages_are_filled_from_the_context() -> None:
    async with async_client() as (client, provider):
        said = [{"role": "user", "content": "About {{ name }}"}]
        async for _ in client.create_partial(Profile, said, model="gpt-4o", context={"name": "Ada"}):
            pass
        assert provider.requests[0].body["messages"][-1]["content"] == "About Ada"


async def test_arguments_of_the_call_and_of_the_client_reach_the_provider() -> None:
    async with async_client() as (client, provider):
        client.kwargs["top_p"] = 0.5
        async for _ in client.create_partial(Profile, ASKED, model="gpt-4o", temperature=0.25, user="u"):
            pass
        body = provider.requests[0].body
        assert (body["temperature"], body["top_p"], body["user"]) == (0.25, 0.5, "u")


async def test_all_else_of_a_client_is_its_own() -> None:
    async with async_client() as (client, _):
        assert client.mode is real.Mode.TOOLS
        whole = await client.create(response_model=Profile, messages=ASKED, model="gpt-4o")
        assert whole.model_dump() == ADA.model_dump()
        assert "TOOLS" in repr(client)
    assert instructor.Mode is real.Mode
    with pytest.raises(AttributeError):
        instructor.nothing_of_the_kind  # noqa: B018  # the look-up is the test
