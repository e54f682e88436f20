"""What instructor's documentation shows of `create_partial` and `create_iterable`, with its import and with ours.

Each example is a function that takes the module; all else of it is as a user has it today. The provider answers both
with the same text. What differs is what the table of ``docs/moving/from-instructor.md`` says.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Union

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from structstream import IncompleteError, InvalidOutputError, Partial, TruncatedError
from structstream.testing import SimulatedProvider
from structstream.testing.faults import cut_at_byte, length, reset_at_byte, stall_at_byte, status

real = pytest.importorskip("instructor", reason="the environment without instructor")

from instructor.dsl.partial import PartialLiteralMixin  # noqa: E402  # needs what was looked for above

from structstream.integrations import instructor as ours  # noqa: E402  # as above

if TYPE_CHECKING:
    from structstream.testing.thread import ThreadedProvider

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # what instructor leaves open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of its own old names
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What the peers leave open is collected here, and not in the middle of another test."""
    yield
    gc.collect()


BOTH = pytest.mark.parametrize("lib", [real, ours], ids=["instructor", "structstream"])
MODES = ["TOOLS", "TOOLS_STRICT", "JSON", "MD_JSON", "JSON_SCHEMA", "RESPONSES_TOOLS"]


class Guest(BaseModel):
    name: str
    mail: str
    handle: str


class Meeting(BaseModel):
    guests: list[Guest]
    date: str
    place: str
    budget: int
    closes: str


with warnings.catch_warnings(action="ignore"):  # it is deprecated, and code has it

    class Member(BaseModel, PartialLiteralMixin):
        name: str
        age: int
        role: Literal["owner", "editor", "reader"]


class Person(BaseModel):
    name: str
    age: int


class Forecast(BaseModel):
    town: str
    units: Literal["imperial", "metric"]


class Question(BaseModel):
    words: str


MEETING = """{"guests": [{"name": "Mo Salah", "mail": "mo@example.org", "handle": "@mo"},
 {"name": "Ana Ruiz", "mail": "ana@example.org", "handle": "@ana_r"}],
 "date": "the 4th of May", "place": "Hall 7", "budget": 48500, "closes": "in April"}"""
MEMBER = '{"name": "Ines", "age": 41, "role": "editor"}'
PEOPLE = '{"tasks": [{"name": "Ivo", "age": 31}, {"name": "Lea", "age": 29}, {"name": "Kim", "age": 108}]}'
MIXED = '{"tasks": [{"town": "Oslo", "units": "metric"}, {"town": "Reno", "units": "imperial"}, {"words": "who won"}]}'
SAID: list[Any] = [{"role": "system", "content": "Always use tools"}, {"role": "user", "content": "Who is there?"}]


@contextmanager
def provider(document: Any, **options: Any) -> Iterator[ThreadedProvider]:
    with SimulatedProvider.in_thread(document=document, **options) as found:
        yield found


def client_of(lib: Any, at: ThreadedProvider, **options: Any) -> Any:
    return lib.from_provider("openai/gpt-4.1-mini", base_url=at.base_url, api_key="k", max_retries=0, **options)


def whole_objects() -> Iterator[tuple[str, Callable[[Any], list[Any]]]]:
    """The examples of a blocking client: a document, and what is made of it with a client."""

    def meeting(client: Any) -> list[Any]:
        stream = client.create_partial(response_model=Meeting, messages=SAID, stream=True)
        for item in stream:
            item.model_dump()
        return [item.model_dump_json(indent=2)]

    def member(client: Any) -> list[Any]:
        return list(client.chat.completions.create_partial(model="gpt-4o", response_model=Member, messages=SAID))[-1:]

    def people(client: Any) -> list[Any]:
        return list(client.create_iterable(messages=SAID, response_model=Person))

    def by_place(client: Any) -> list[Any]:
        return list(client.create_iterable(SAID, Person, 2, {"unused": 1}, True))

    def mixed(client: Any) -> list[Any]:
        return list(client.create_iterable(messages=SAID, response_model=Union[Forecast, Question]))  # noqa: UP007

    def piped(client: Any) -> list[Any]:
        return list(client.create_iterable(messages=SAID, response_model=Forecast | Question))

    yield MEETING, meeting
    yield MEMBER, member
    yield PEOPLE, people
    yield PEOPLE, by_place
    yield MIXED, mixed
    yield MIXED, piped


@pytest.mark.parametrize("mode", MODES)
def test_each_example_of_a_blocking_client_gives_the_same_objects(mode: str) -> None:
    for document, example in whole_objects():
        with provider(document) as at:
            meant, found = (example(client_of(lib, at, mode=real.Mode[mode])) for lib in (real, ours))
        assert found == meant, example.__name__
        assert found


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
async def test_each_example_of_an_async_client_gives_the_same_objects(mode: str) -> None:
    async def partial(client: Any) -> list[Any]:
        stream = client.create_partial(response_model=Member, max_retries=2, stream=True, messages=SAID)
        return [item async for item in stream][-1:]

    async def mixed(client: Any) -> list[Any]:
        async def items() -> AsyncIterator[Any]:
            async for item in client.create_iterable(messages=SAID, response_model=Forecast | Question):
                yield item

        return [item async for item in items()]

    for document, example in ((MEMBER, partial), (MIXED, mixed)):
        async with SimulatedProvider(document=document) as at:
            results = []
            for lib in (real, ours):
                options = {"base_url": at.base_url, "api_key": "k", "async_client": True, "mode": real.Mode[mode]}
                client = lib.from_provider("openai/gpt-4.1-mini", **options)
                results.append(await example(client))
                await client.client.close()
        assert results[0] == results[1]
        assert results[1]


@BOTH
def test_the_calls_of_the_responses_api(lib: Any) -> None:
    with provider(MEMBER) as at:
        client = client_of(lib, at, mode=real.Mode.RESPONSES_TOOLS)
        seen = list(client.responses.create_partial(input="Who?", response_model=Member))
    assert seen[-1] == Member.model_validate_json(MEMBER)
    assert isinstance(seen[0], Partial) is (lib is ours)
    with provider(PEOPLE) as at:
        client = client_of(lib, at, mode=real.Mode.RESPONSES_TOOLS)
        items = client.responses.create_iterable(input="Who?", response_model=Person)
        assert [item.age for item in items] == [31, 29, 108]


def test_a_model_that_was_wrapped_in_partial_is_read_as_itself() -> None:
    with provider(MEMBER) as at:
        *_, last = client_of(ours, at).create_partial(real.Partial[Member], SAID)
    assert type(last) is Member


@pytest.mark.anyio
async def test_the_calls_of_the_responses_api_of_an_async_client() -> None:
    async with SimulatedProvider(document=PEOPLE) as at:
        options = {"base_url": at.base_url, "api_key": "k", "async_client": True, "mode": real.Mode.RESPONSES_TOOLS}
        client = ours.from_provider("openai/gpt-4.1-mini", **options)
        items = await client.responses.create_iterable(input="Who?", response_model=Person)
        assert [item.name async for item in items] == ["Ivo", "Lea", "Kim"]
        await client.client.close()


# --- better partials, and the rows of the table ---


def numbers(seen: Iterable[Any]) -> set[Any]:
    return {item.budget for item in seen}


def test_instructor_shows_half_a_number_and_we_do_not() -> None:
    with provider(MEETING) as at:
        shown = {
            lib: numbers(client_of(lib, at, mode=real.Mode.MD_JSON).create_partial(Meeting, SAID))
            for lib in (real, ours)
        }
    assert len(shown[real]) > 2
    assert shown[ours] == {None, 48500}


def test_a_partial_is_made_of_your_model_and_the_last_item_is_your_model() -> None:
    with provider(MEETING) as at:
        *before, last = client_of(ours, at).create_partial(Meeting, SAID)
        *theirs, _ = client_of(real, at).create_partial(Meeting, SAID)
    assert type(last) is Meeting
    assert all(isinstance(item, Partial) and not isinstance(item, Meeting) for item in before)
    assert all(isinstance(item, Meeting) for item in theirs)
    assert before[-2].model_dump().keys() == last.model_dump().keys()
    names = [item.place or "" for item in before]
    assert all(later.startswith(sooner) for sooner, later in pairwise(names))


def test_an_answer_that_is_cut_off() -> None:
    """A row of the table: instructor's loop ends without an error, ours with one that holds what had closed."""
    with provider(PEOPLE, faults={n: length(45) for n in range(9)}) as at:
        whole = list(client_of(real, at).create_iterable(SAID, Person))
        stream = client_of(ours, at).create_iterable(SAID, Person, max_retries=0)
        seen = [next(stream)]
        with pytest.raises(TruncatedError) as failed:
            next(stream)
    assert seen == whole == [Person(name="Ivo", age=31)]
    assert failed.value.outcome is not None
    assert "Ivo" in failed.value.outcome.raw_text


def test_a_connection_that_ends_early_or_breaks() -> None:
    """A row of the table: instructor ends or raises its HTTP library's error; ours asks for the rest."""
    for fault, theirs in ((cut_at_byte(5200), None), (reset_at_byte(5200), httpx2.ReadError)):
        with provider(PEOPLE, faults=[fault, fault]) as at:
            if theirs is None:
                assert len(list(client_of(real, at).create_iterable(SAID, Person))) < 3
            else:
                with pytest.raises(theirs):
                    list(client_of(real, at).create_iterable(SAID, Person))
            seen = list(client_of(ours, at).create_iterable(SAID, Person))
            assert [item.name for item in seen] == ["Ivo", "Lea", "Kim"]
            assert len(at.requests) == 3
    with provider(PEOPLE, faults=[cut_at_byte(5200)]) as at, pytest.raises(IncompleteError):
        list(client_of(ours, at).create_iterable(SAID, Person, max_retries=0))


def test_leaving_the_loop_closes_the_connection() -> None:
    with provider(MEETING, faults=[stall_at_byte(1800)]) as at:
        for _ in client_of(ours, at).create_partial(Meeting, SAID):
            break
        at.wait_for_disconnect(0)


@pytest.mark.parametrize("kind", ["asked", "foreign"])
def test_a_blocking_client_streams(kind: str) -> None:
    """The provider holds the rest back until an item is out. instructor's own waits for all of it."""
    with provider(PEOPLE, faults=[stall_at_byte(5200)]) as at:
        client = client_of(ours, at)
        if kind == "foreign":
            client.client = object()  # of no vendor that is spoken here: instructor asks
        stream = client.create_iterable(SAID, Person)
        assert next(stream) == Person(name="Ivo", age=31)
        assert at.requests[0].ending is None
        at.release()
        assert len(list(stream)) == 2


# --- validation: strict, context, what is asked again ---


@BOTH
@pytest.mark.parametrize("strict", [True, False])
def test_strict_holds_as_in_instructor(lib: Any, strict: bool) -> None:
    with provider('{"name": "Ivo", "age": "31"}') as at:
        client = client_of(lib, at)
        if strict:
            with pytest.raises((InvalidOutputError, real.core.exceptions.InstructorRetryException)):
                list(client.create_partial(Person, SAID, max_retries=0))
        else:
            *_, last = client.create_partial(Person, SAID, max_retries=0, strict=False)
            assert last == Person(name="Ivo", age=31)


@BOTH
@pytest.mark.parametrize("strict", [True, False])
def test_strict_holds_for_the_items_of_a_union(lib: Any, strict: bool) -> None:
    with provider('{"tasks": [{"words": "who"}, {"name": "Ivo", "age": "31"}]}') as at:
        stream = client_of(lib, at).create_iterable(SAID, Question | Person, max_retries=0, strict=strict)
        if strict:
            with pytest.raises((InvalidOutputError, ValueError)):
                list(stream)
        else:
            assert list(stream) == [Question(words="who"), Person(name="Ivo", age=31)]


class Known(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def is_known(cls, value: str, info: ValidationInfo) -> str:
        if value not in (info.context or {}).get("known", ()):
            raise ValueError("nobody of that name")
        return value.upper()


@BOTH
@pytest.mark.parametrize("strict", [True, False])
def test_the_context_reaches_validators_and_templates(lib: Any, strict: bool) -> None:
    said: list[Any] = [{"role": "user", "content": "One of {% for one in known %}{{ one }} {% endfor %}?"}]
    with provider('{"name": "Ivo"}') as at:
        context = {"known": ["Ivo", "Lea"]}
        seen = list(client_of(lib, at).create_partial(Known, said, context=context, strict=strict))
        assert seen[-1].name == "IVO"
        assert at.requests[0].body["messages"][-1]["content"].rstrip() == "One of Ivo Lea ?"
    assert said[0]["content"].startswith("One of {%")


def test_the_context_under_its_old_name() -> None:
    with provider('{"name": "Ivo"}') as at:
        *_, last = client_of(ours, at).create_partial(Known, SAID, validation_context={"known": ["Ivo"]})
        assert last.name == "IVO"
        assert "validation_context" not in at.requests[0].body


class Sum(BaseModel):
    parts: list[int]
    total: int = Field(ge=0)

    @model_validator(mode="after")
    def adds_up(self) -> Sum:
        if sum(self.parts) != self.total:
            raise ValueError("the parts do not add up to the total")
        return self


def test_what_does_not_validate_is_asked_for_again_with_what_was_wrong() -> None:
    texts = iter(['{"parts": [1, 2], "total": 4}', '{"parts": [1, 2], "total": 3}'])
    with provider(lambda _: next(texts)) as at:
        *_, last = client_of(ours, at).create_partial(Sum, SAID, max_retries=1)
        assert last.total == 3
        assert "do not add up" in str(at.requests[1].body["messages"])


@pytest.mark.parametrize("retries", [0, 2])
def test_max_retries_counts_as_in_instructor(retries: int) -> None:
    asked = []
    for lib in (real, ours):
        with provider('{"name": "Ivo", "age": "old"}') as at:
            with pytest.raises((InvalidOutputError, real.core.exceptions.InstructorRetryException)):
                list(client_of(lib, at).create_partial(Person, SAID, max_retries=retries))
            asked.append(len(at.requests))
    assert asked == [retries + 1, retries + 1]


def test_a_tenacity_object_bounds_the_attempts() -> None:
    tenacity = pytest.importorskip("tenacity")
    with provider('{"name": "Ivo", "age": "old"}') as at:
        retrying = tenacity.Retrying(stop=tenacity.stop_after_attempt(2))
        with pytest.raises(InvalidOutputError):
            list(client_of(ours, at).create_partial(Person, SAID, max_retries=retrying))
        assert len(at.requests) == 2


# --- hooks ---


class Heard:
    """Handlers of each kind that the documentation shows."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def kwargs(self, *args: Any, **kwargs: Any) -> None:
        roles = [message["role"] for message in kwargs["messages"]]
        self.lines.append(f"kwargs {kwargs['model']} {roles} {kwargs['temperature']}")

    def response(self, _: Any) -> None:
        self.lines.append("response")

    def usage(self, usage: Any, *, attempt_number: int) -> None:
        self.lines.append(f"usage {attempt_number} {usage.total_tokens > 0}")

    def error(self, error: Exception, *, attempt_number: int, max_attempts: int | None, is_last_attempt: bool) -> None:
        self.lines.append(f"{type(error).__name__} {attempt_number}/{max_attempts} {is_last_attempt}")

    def old_error(self, error: Exception) -> None:
        self.lines.append(f"old {error}")


def heard_by(client: Any) -> Heard:
    heard = Heard()
    client.on("completion:kwargs", heard.kwargs)
    client.on(real.core.hooks.HookName.COMPLETION_RESPONSE, heard.response)
    client.on("completion:usage", heard.usage)
    for name in ("completion:error", "parse:error", "completion:last_attempt"):
        client.on(name, heard.error)
    return heard


def test_hooks_hear_of_each_attempt_with_its_number() -> None:
    texts = iter(['{"name": "Ivo", "age": "old"}', '{"name": "Ivo", "age": 31}'])
    with provider(lambda _: next(texts)) as at:
        client = client_of(ours, at)
        heard = heard_by(client)
        client.on("parse:error", heard.old_error)
        list(client.create_partial(Person, SAID, max_retries=2, temperature=0.5))
    first, failed, old, again, *rest = heard.lines
    assert first == "kwargs gpt-4.1-mini ['system', 'user'] 0.5"
    assert failed == "InvalidOutputError 1/3 False"
    assert old == "old invalid output at age: Input should be a valid integer"
    assert again.startswith("kwargs gpt-4.1-mini ['system', 'user'")
    assert rest == ["usage 2 True", "response"]


def test_hooks_hear_of_the_last_attempt() -> None:
    with provider(MEMBER, faults=[status(400)]) as at:
        client = client_of(ours, at)
        heard = heard_by(client)
        with pytest.raises(Exception, match="400"):
            list(client.create_partial(Member, SAID, max_retries=2, temperature=0.5))
    assert heard.lines == [
        "kwargs gpt-4.1-mini ['system', 'user'] 0.5",
        "BadRequestError 1/3 True",
        "BadRequestError 1/3 True",
    ]


def test_hooks_of_a_client_and_of_a_call_and_hooks_that_are_taken_off() -> None:
    heard: list[str] = []
    first, second = real.core.hooks.Hooks(), real.core.hooks.Hooks()
    first.on("completion:response", lambda _: heard.append("client"))
    second.on("completion:response", lambda _: heard.append("call"))

    def log(**_: Any) -> None:
        heard.append("kwargs")

    with provider(PEOPLE) as at:
        client = client_of(ours, at, hooks=first)
        client.on("completion:kwargs", log)
        list(client.create_iterable(SAID, Person, hooks=second))
        client.off("completion:kwargs", log)
        list(client.create_iterable(SAID, Person))
        client.clear()
        list(client.create_iterable(SAID, Person))
    assert heard == ["kwargs", "client", "call", "client"]


# --- providers that instructor alone speaks ---


@pytest.mark.parametrize("mode", ["TOOLS", "JSON", "MD_JSON", "JSON_SCHEMA"])
def test_a_client_of_another_vendor_asks_itself_and_its_text_is_read_here(mode: str) -> None:
    """LiteLLM stands for all others: to us it is a function, of whose provider nothing is known."""

    def completion(**asked: Any) -> Any:
        return OpenAI(base_url=at.base_url, api_key="k", max_retries=0).chat.completions.create(**asked)

    client: Any = ours.from_litellm(completion, mode=real.Mode[mode])
    with provider(MEETING) as at:
        *before, last = client.create_partial(Meeting, SAID, model="gpt-4o")
    assert last == Meeting.model_validate_json(MEETING)
    assert {item.budget for item in before} <= {None, 48500}
    with provider(MIXED) as at:
        items = list(client.create_iterable(SAID, Forecast | Question, model="gpt-4o"))
    assert [type(item) for item in items] == [Forecast, Forecast, Question]
    with provider('{"name": "Ivo", "age": "31"}') as at, pytest.raises(InvalidOutputError, match="age"):
        list(client.create_partial(Person, SAID, model="gpt-4o"))


@pytest.mark.anyio
async def test_an_async_client_of_another_vendor() -> None:
    async with (
        SimulatedProvider(document=MIXED, faults=[stall_at_byte(5200)]) as at,
        AsyncOpenAI(base_url=at.base_url, api_key="k", max_retries=0) as vendor,
    ):

        async def completion(**asked: Any) -> Any:
            return await vendor.chat.completions.create(**asked)

        client: Any = ours.from_litellm(completion, async_client=True)
        stream = client.create_iterable(SAID, Forecast | Question, model="gpt-4o")
        assert await anext(stream) == Forecast(town="Oslo", units="metric")
        at.release()
        assert len([item async for item in stream]) == 2


# --- the client itself ---


def test_our_client_is_one_of_instructor_s() -> None:
    with provider(MEMBER) as at:
        client = client_of(ours, at)
        assert isinstance(client, ours.Instructor)
        assert not isinstance(client, ours.AsyncInstructor)
        assert client.create(response_model=Member, messages=SAID).role == "editor"
        made = client_of(ours, at, async_client=True)
        assert isinstance(made, ours.AsyncInstructor)
        assert repr(made) == "AsyncClient(mode=TOOLS)"


def test_a_blocking_client_retries_in_a_notebook_too() -> None:
    async def cell() -> list[Any]:
        return list(client.create_iterable(SAID, Person))

    with provider(PEOPLE, faults=[cut_at_byte(5200)]) as at:
        client = client_of(ours, at)
        assert len(asyncio.run(cell())) == 3
        assert len(at.requests) == 2


def test_leaving_the_loop_in_a_notebook_closes_the_connection() -> None:
    async def cell() -> None:
        for _ in client.create_partial(Meeting, SAID):
            break

    with provider(MEETING, faults=[stall_at_byte(1800)]) as at:
        client = client_of(ours, at)
        asyncio.run(cell())
        at.wait_for_disconnect(0)


@pytest.mark.parametrize("asked", [{"cache_ttl": 5}, {"stream": True}, {"cache": None}])
def test_arguments_that_are_instructor_s_own_do_not_reach_the_provider(asked: dict[str, Any]) -> None:
    with provider(MEMBER) as at:
        assert list(client_of(ours, at).create_partial(Member, SAID, **asked))[-1].age == 41
        assert not {"cache", "cache_ttl", "autodetect_images"} & set(at.requests[0].body)


@BOTH
def test_an_image_of_instructor_s_is_sent_as_the_vendor_takes_it(lib: Any) -> None:
    picture = real.Image.from_url("https://example.org/a.png")
    said: list[Any] = [{"role": "user", "content": ["Who is it?", picture]}]
    with provider(MEMBER) as at:
        assert list(client_of(lib, at).create_partial(Member, said))[-1].age == 41
        parts = at.requests[0].body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert parts[1]["image_url"]["url"] == "https://example.org/a.png"


def test_an_invalid_item_ends_a_list_in_both() -> None:
    with provider('{"tasks": [{"name": "Ivo", "age": 31}, {"name": "Lea", "age": "old"}]}') as at:
        for lib, error in ((real, ValidationError), (ours, InvalidOutputError)):
            with pytest.raises(error, match="age"):
                list(client_of(lib, at).create_iterable(SAID, Person, max_retries=0))
