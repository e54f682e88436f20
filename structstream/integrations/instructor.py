"""instructor's streaming calls on this library's engine, for code that has them today.

Change the import, keep the code::

    from structstream.integrations import instructor

    client = instructor.from_openai(AsyncOpenAI())
    async for profile in client.create_partial(response_model=Profile, messages=[...]):
        ...

Every name of instructor's is here. Its clients come back as clients of instructor whose `create_partial` and
`create_iterable` are this library's; all else of them is their own. Nothing is patched.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin, overload

from pydantic import BaseModel, Field, create_model

from structstream import (
    WRAP_KEY,
    ConfigurationError,
    MissingDependencyError,
    StreamingResponse,
    StreamingStructuredRequest,
    StructuredLLMService,
    parse_stream,
)

try:
    import instructor
    from instructor import AsyncInstructor as AsyncInstructor, Instructor as Instructor  # noqa: PLC0414  # shown again
    from instructor.dsl.partial import PartialBase
except ImportError as error:
    raise MissingDependencyError("instructor", extra="instructor") from error

from .strict import strictly

if TYPE_CHECKING:
    from instructor import (  # so that a type checker knows what these make
        from_litellm as from_litellm,  # noqa: PLC0414  # shown again
        from_openai as from_openai,  # noqa: PLC0414  # as above
        from_provider as from_provider,  # noqa: PLC0414  # as above
    )
    from instructor.core.hooks import Hooks

__all__ = ["AsyncClient", "Client", "create_iterable", "create_partial"]

T = TypeVar("T")

_Steps = Iterator[StreamingResponse[T]]
_AsyncSteps = AsyncIterator[StreamingResponse[T]]

_TASKS = "tasks"
_ITEM = re.compile(rf"{_TASKS}\[(\d+)\]").fullmatch
# Of a call's arguments: those that a request has a field for. All others are the provider's own.
_FIELDS = ("temperature", "max_tokens", "stop", "seed")
# What instructor does not do with a stream, or what is always so.
_OF_NO_STREAM = frozenset({"stream", "cache", "cache_namespace", "cache_ttl"})
_DEFAULT_RETRIES = 3

_services: weakref.WeakKeyDictionary[Instructor, StructuredLLMService] = weakref.WeakKeyDictionary()


class Client(Instructor):
    """A client of instructor whose `create_partial` and `create_iterable` are this library's.

    Args:
        client: the client that instructor made, sync or async. All but these two calls is its own.
    """

    def __new__(cls, client: Instructor) -> Client:  # noqa: PYI034  # of an async client another class
        """Take over all that `client` was made with; an async client becomes an `AsyncClient`."""
        made = object.__new__(AsyncClient if isinstance(client, AsyncInstructor) else Client)
        vars(made).update(vars(client))
        if "responses" in vars(made):  # it has the same calls, and makes them of its client
            made.responses = type(client.responses)(client=made)
        return made

    def __init__(self, client: Instructor) -> None:
        """Nothing is left to do: see `__new__`."""

    # Any in these signatures: the arguments and the results are as those of the functions below
    def create_partial(self, response_model: Any, messages: Any = (), *others: Any, **named: Any) -> Any:
        """See `create_partial`; a generator for a sync client, an async one for an async one."""
        return create_partial(self, response_model, messages, *others, **named)

    def create_iterable(self, messages: Any = (), response_model: Any = None, *others: Any, **named: Any) -> Any:
        """See `create_iterable`; a generator for a sync client, an async one for an async one."""
        return create_iterable(self, messages, response_model, *others, **named)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mode={self.mode.name})"


class AsyncClient(Client, AsyncInstructor):
    """`Client`, of an async client."""


@overload
def create_partial(
    client: AsyncInstructor,
    response_model: type[T],
    messages: str | Iterable[Any] = ...,
    max_retries: Any = ...,
    context: Mapping[str, Any] | None = ...,
    strict: bool = ...,
    hooks: Hooks | None = ...,
    **kwargs: Any,
) -> AsyncGenerator[T, None]: ...
@overload
def create_partial(
    client: Instructor,
    response_model: type[T],
    messages: str | Iterable[Any] = ...,
    max_retries: Any = ...,
    context: Mapping[str, Any] | None = ...,
    strict: bool = ...,
    hooks: Hooks | None = ...,
    **kwargs: Any,
) -> Generator[T, None, None]: ...
# Any in these signatures: the arguments are instructor's, which are the vendor's
def create_partial(
    client: Instructor,
    response_model: type[T],
    messages: str | Iterable[Any] = (),
    max_retries: Any = _DEFAULT_RETRIES,
    context: Mapping[str, Any] | None = None,
    strict: bool = True,
    hooks: Hooks | None = None,
    **kwargs: Any,
) -> Generator[T, None, None] | AsyncGenerator[T, None]:
    """Yield the answer while it is written; the last item is the validated object itself.

    What comes before is a `structstream.Partial` of the model: the same attributes, no half numbers, and nothing of
    what has not come. A provider whose dialect is spoken here is asked by this library, with all its policies; any
    other through instructor's own client, whose text is read here.

    Args:
        client: instructor's, sync or async.
        response_model: the type of the answer.
        messages: the conversation, as the vendor takes it; or the user's one message.
        max_retries: calls beyond the first, or a tenacity object, whose bound of attempts counts.
        context: Pydantic's validation context, and what templates in the messages are filled with; may be called
            `validation_context`, as it once was.
        strict: whether JSON is read strictly, as instructor does: no ``"36"`` for an `int`. JSON's strings still become
            dates, UUIDs, enums and the like.
        hooks: hears of this call beside the client's own.
        kwargs: as for the vendor's client: `model`, `temperature`, … What a client was made with is added.

    Raises:
        ConfigurationError: an argument cannot work; no model is named.
        StreamFailedError: the stream ended otherwise than complete; `outcome` holds what was saved.
    """
    asked = _Asked(client, _unwrapped(response_model), messages, max_retries, context, strict, hooks, kwargs)
    if isinstance(client, AsyncInstructor):
        return _partials_async(asked.steps_async())
    return _partials(asked.steps())


@overload
def create_iterable(
    client: AsyncInstructor,
    messages: str | Iterable[Any],
    response_model: type[T],
    max_retries: Any = ...,
    context: Mapping[str, Any] | None = ...,
    strict: bool = ...,
    hooks: Hooks | None = ...,
    **kwargs: Any,
) -> AsyncGenerator[T, None]: ...
@overload
def create_iterable(
    client: Instructor,
    messages: str | Iterable[Any],
    response_model: type[T],
    max_retries: Any = ...,
    context: Mapping[str, Any] | None = ...,
    strict: bool = ...,
    hooks: Hooks | None = ...,
    **kwargs: Any,
) -> Generator[T, None, None]: ...
# Any in these signatures: the arguments are instructor's, which are the vendor's
def create_iterable(
    client: Instructor,
    messages: str | Iterable[Any],
    response_model: type[T],
    max_retries: Any = _DEFAULT_RETRIES,
    context: Mapping[str, Any] | None = None,
    strict: bool = True,
    hooks: Hooks | None = None,
    **kwargs: Any,
) -> Generator[T, None, None] | AsyncGenerator[T, None]:
    """Yield each object of a list as soon as it has closed, validated, in order, once.

    Args:
        client, messages, max_retries, context, strict, hooks, kwargs: as for `create_partial`.
        response_model: the type of one object, or ``Iterable[…]`` or ``list[…]`` of it.

    Raises:
        ConfigurationError, StreamFailedError: as `create_partial`; the latter after the objects that had closed.
    """
    listed = _listed(get_args(response_model)[0] if get_origin(response_model) in _LISTS else response_model)
    asked = _Asked(client, listed, messages, max_retries, context, strict, hooks, kwargs)
    if isinstance(client, AsyncInstructor):
        return _items_async(asked.steps_async())
    return _items(asked.steps())


_LISTS = (list, Iterable)


def _listed(item: Any) -> Any:  # Any: a type
    """A model of a list of such items, under the key that instructor gives it, so that its recordings can be read."""
    kinds = get_args(item) if get_origin(item) in _UNIONS else (item,)
    name = "Or".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    described = Field(description=f"Correctly segmented list of `{name}` tasks")
    fields: dict[str, Any] = {_TASKS: (list[item], described)}  # Any: as create_model takes them
    return create_model(f"Iterable{name}", __doc__=f"Correct segmentation of `{name}` tasks", **fields)


_UNIONS = (Union, UnionType)


class _Asked:
    """One call, as it was asked for, and its steps."""

    def __init__(
        self,
        client: Instructor,
        response_model: Any,  # Any: a type, or what stands for one
        messages: str | Iterable[Any],
        max_retries: Any,
        context: Mapping[str, Any] | None,
        strict: bool,
        hooks: Hooks | None,
        kwargs: Mapping[str, Any],
    ) -> None:
        given = client.handle_kwargs({name: value for name, value in kwargs.items() if name not in _OF_NO_STREAM})
        context = given.pop("validation_context", None) if context is None else context
        said = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        self._client = client
        self._model = response_model
        self._read_as = strictly(response_model) if strict else response_model
        self._key = None if isinstance(response_model, type) and issubclass(response_model, BaseModel) else WRAP_KEY
        self._context = None if context is None else dict(context)
        self._retries = max_retries
        self._hooks = client.hooks if hooks is None else client.hooks + hooks
        self._images = bool(given.pop("autodetect_images", False))
        self._kwargs = {"messages": said, **given}

    def steps(self) -> _Steps[Any]:
        """The steps for a caller without an event loop, or with one that may wait, as in a notebook."""
        service = self._service()
        steps = self._read_sync() if service is None else self._stream_sync(service)
        return _beside(steps) if service is not None and _in_event_loop() else steps

    def steps_async(self) -> _AsyncSteps[Any]:
        """The steps on the caller's event loop."""
        service = self._service()
        return self._read() if service is None else self._stream(service)

    def _service(self) -> StructuredLLMService | None:
        """What asks; None where instructor's own client has to: it alone knows the dialect, or the model's name."""
        if self._kwargs.get("model") is None and (model := _default_model(self._client)) is not None:
            self._kwargs["model"] = model
        if self._kwargs.get("model") is None:
            return None
        own = self._hooks is self._client.hooks
        if own and self._client in _services:
            return _services[self._client]
        client = self._client if own else _with_hooks(self._client, self._hooks)
        try:
            service = StructuredLLMService(client)
        except ConfigurationError:
            return None
        if own:
            _services[self._client] = service
        return service

    # --- a provider whose dialect is spoken here ---

    def _request(self) -> StreamingStructuredRequest[Any]:
        from instructor.templating import handle_templating  # type: ignore[attr-defined]  # loaded when asked for

        filled = dict(
            handle_templating(
                self._kwargs, mode=self._client.mode, provider=self._client.provider, context=self._context
            )
        )
        name = str(filled.pop("model"))
        fields = {key: filled.pop(key) for key in _FIELDS if filled.get(key) is not None}
        return StreamingStructuredRequest(
            response_model=self._read_as,
            model=_named(self._client, name),
            messages=tuple(self._plain(filled.pop("messages"))),
            max_retries=_count(self._retries),
            context=self._context,
            extra={key: value for key, value in filled.items() if value is not None},
            **fields,
        )

    def _plain(self, messages: list[Any]) -> list[Any]:  # Any: the vendor's messages, or with parts of instructor's
        """The messages with instructor's images, sounds and documents as the vendor takes them."""
        contents = [message.get("content") if isinstance(message, Mapping) else message for message in messages]
        parts = [part for content in contents for part in (content if isinstance(content, list) else [content])]
        if not self._images and all(part is None or isinstance(part, str | Mapping) for part in parts):
            return messages
        from instructor.processing.multimodal import convert_messages  # loaded when asked for

        mode = instructor.Mode.TOOLS if self._client.mode.name.startswith("RESPONSES") else self._client.mode
        return convert_messages(messages, mode, autodetect_images=self._images)

    async def _stream(self, service: StructuredLLMService) -> AsyncGenerator[StreamingResponse[Any], None]:
        async with service.route_structured_streaming(self._request()) as stream:
            async for step in stream:
                yield step

    def _stream_sync(self, service: StructuredLLMService) -> Generator[StreamingResponse[Any], None, None]:
        with service.sync.route_structured_streaming(self._request()) as stream:
            yield from stream

    # --- any other: instructor asks, and its text is read here ---

    def _asks(self) -> dict[str, Any]:
        arguments = {"max_retries": self._retries, "context": self._context, "hooks": self._hooks, **self._kwargs}
        arguments["autodetect_images"] = self._images
        return {**arguments, "response_model": _text_model(self._model, self._key), "stream": True}

    async def _read(self) -> AsyncGenerator[StreamingResponse[Any], None]:
        created: Any = await cast("Awaitable[Any]", self._client.create_fn(**self._asks()))
        texts = cast("AsyncIterator[str]", await anext(aiter(created)))
        async for step in parse_stream(texts, self._read_as, lenient=True, wrap_key=self._key, context=self._context):
            yield step

    def _read_sync(self) -> Generator[StreamingResponse[Any], None, None]:
        texts = cast("Iterator[str]", next(iter(self._client.create_fn(**self._asks()))))
        yield from parse_stream(texts, self._read_as, lenient=True, wrap_key=self._key, context=self._context)


class _Texts(PartialBase[Any]):
    """What instructor takes for a streaming model, and which hands out the text of the stream as one item.

    As one item, for instructor makes a list of what a stream of a blocking client gives.
    """

    @classmethod
    def from_streaming_response(
        cls, completion: Any, stream_extractor: Any = None, **_: Any
    ) -> Generator[Any, None, None]:
        yield stream_extractor(completion)

    @classmethod
    async def from_streaming_response_async(
        cls, completion: Any, stream_extractor: Any = None, **_: Any
    ) -> AsyncGenerator[Any, None]:
        yield stream_extractor(completion)


def _text_model(response_model: Any, key: str | None) -> type[BaseModel]:  # Any: a type, or what stands for one
    """A model with the schema of `response_model`, under `key` if there is one, whose stream is its text."""
    if key is None:
        return create_model(response_model.__name__, __base__=(response_model, _Texts), __doc__=response_model.__doc__)
    fields: dict[str, Any] = {key: (response_model, ...)}  # Any: as above
    return create_model("Answer", __base__=(BaseModel, _Texts), **fields)


def _partials(steps: _Steps[T]) -> Generator[T, None, None]:
    with closing(cast("Generator[StreamingResponse[T], None, None]", steps)):
        for step in steps:
            if step.is_complete:
                yield step.result
            elif step.partial_result is not None:
                yield step.partial_result


async def _partials_async(steps: _AsyncSteps[T]) -> AsyncGenerator[T, None]:
    async with aclosing(cast("AsyncGenerator[StreamingResponse[T], None]", steps)):
        async for step in steps:
            if step.is_complete:
                yield step.result
            elif step.partial_result is not None:
                yield step.partial_result


class _Counted:
    """Takes each item of a list out of the steps once: a new attempt tells again of those that it has from the old."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, step: StreamingResponse[Any]) -> list[Any]:
        found = []
        for path in step.completed:
            item = _ITEM(path)
            if item and int(item[1]) == self._next and step.partial_result is not None:
                found.append(getattr(step.partial_result, _TASKS)[self._next])
                self._next += 1
        return found


def _items(steps: _Steps[Any]) -> Generator[Any, None, None]:
    counted = _Counted()
    with closing(cast("Generator[StreamingResponse[Any], None, None]", steps)):
        for step in steps:
            yield from counted.take(step)
            if step.is_complete:
                step.result  # noqa: B018  # raises what went wrong


async def _items_async(steps: _AsyncSteps[Any]) -> AsyncGenerator[Any, None]:
    counted = _Counted()
    async with aclosing(cast("AsyncGenerator[StreamingResponse[Any], None]", steps)):
        async for step in steps:
            for item in counted.take(step):
                yield item
            if step.is_complete:
                step.result  # noqa: B018  # raises what went wrong


def _with_hooks(client: Instructor, hooks: Hooks) -> Instructor:
    made = Client(client)
    made.hooks = hooks
    return made


def _default_model(client: Instructor) -> str | None:
    """The model that a client was made for, as ``from_provider("openai/…")`` does; None where there is none.

    instructor keeps it in its own function alone.
    """
    kept = inspect.getclosurevars(client.create_fn).nonlocals if inspect.isfunction(client.create_fn) else {}
    return kept.get("default_model")


def _beside(steps: Iterator[T]) -> Generator[T, None, None]:
    """The same items, made in a thread of their own: in this one an event loop runs, which waits as for any call."""
    with ThreadPoolExecutor(1) as thread:
        try:
            while True:
                step = thread.submit(next, steps, None).result()
                if step is None:
                    return
                yield step
        finally:
            thread.submit(cast("Generator[T, None, None]", steps).close).result()


def _unwrapped(response_model: type[T]) -> type[T]:
    """The model that ``instructor.Partial[…]`` was made of; any other as it is."""
    return cast("type[T]", getattr(response_model, "_original_model", response_model))


def _named(client: Instructor, name: str) -> str:
    """The model's name with what routes it, where the client's mode or vendor says more than its address."""
    if client.mode.name.startswith("RESPONSES"):
        return f"openai-responses/{name}"
    return f"anthropic/{name}" if client.provider is instructor.Provider.ANTHROPIC else name


def _count(retries: Any) -> int:  # Any: a number, or one of tenacity's objects
    """How many calls beyond the first `max_retries` allows."""
    if isinstance(retries, int):
        return max(retries, 0)
    return max(int(getattr(retries.stop, "max_attempt_number", _DEFAULT_RETRIES + 1)) - 1, 0)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _wrapping(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Any:
        client = make(*args, **kwargs)
        return Client(client) if isinstance(client, Instructor) else client

    return made


def __getattr__(name: str) -> Any:
    found = getattr(instructor, name)
    return _wrapping(found) if name.startswith("from_") else found
