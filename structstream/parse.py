"""JSON text from anywhere, as typed steps: the core without a provider."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .answer import AnswerReader
from .errors import ConfigurationError, InvalidOutputError, StructStreamError

if TYPE_CHECKING:
    from .jsonsink import JSONLimits
    from .response import StreamingResponse

__all__ = ["parse_stream"]

T = TypeVar("T")


@overload
def parse_stream(
    chunks: AsyncIterable[str] | AsyncIterable[bytes],
    response_model: type[T],
    *,
    lenient: bool = ...,
    wrap_key: str | None = ...,
    limits: JSONLimits | None = ...,
    context: Any = ...,
    fail_fast: bool = ...,
) -> AsyncIterator[StreamingResponse[T]]: ...
@overload
def parse_stream(
    chunks: Iterable[str] | Iterable[bytes] | str | bytes,
    response_model: type[T],
    *,
    lenient: bool = ...,
    wrap_key: str | None = ...,
    limits: JSONLimits | None = ...,
    context: Any = ...,
    fail_fast: bool = ...,
) -> Iterator[StreamingResponse[T]]: ...
def parse_stream(
    chunks: AsyncIterable[str] | AsyncIterable[bytes] | Iterable[str] | Iterable[bytes] | str | bytes,
    response_model: type[T],
    *,
    lenient: bool = False,
    wrap_key: str | None = None,
    limits: JSONLimits | None = None,
    context: Any = None,  # Any: Pydantic's own type for it
    fail_fast: bool = True,
) -> Iterator[StreamingResponse[T]] | AsyncIterator[StreamingResponse[T]]:
    """Read JSON text as it comes and yield a step for each chunk in which a value is there.

    The last step carries the outcome: ``complete`` with the validated object, ``incomplete`` where the text ends
    within the value, ``invalid`` where it is not JSON or does not validate. Nothing but the caller's own iterable
    raises; `StreamingResponse.result` raises what went wrong.

    Args:
        chunks: an iterable or async iterable of `str`, or of UTF-8 `bytes`, cut anywhere; with an async one the
            answer is an async iterator. A single `str` or `bytes` is one chunk.
        response_model: the type: all that `pydantic.TypeAdapter` takes.
        lenient: repair what models do to JSON: prose around it, code fences, trailing commas, comments, single
            quotes, …; the structure only, never the content of a string.
        wrap_key: the key of an object around the value, where a provider takes objects only; None for no such object.
        limits: the bounds of the document; None for the defaults.
        context: Pydantic's validation context.
        fail_fast: end when a value closes invalid. False waits for the end, where Pydantic judges the whole.

    Raises:
        ConfigurationError: `response_model` is no type that Pydantic can read, `chunks` or one of them is neither `str`
            nor `bytes`, or another argument is not what it has to be.

    >>> for step in parse_stream(['{"name": "A', 'da", "born": 18', '15}'], dict[str, str | int]):
    ...     print(step.partial_result, step.completed)
    {'name': 'A'} []
    {'name': 'Ada'} ['name']
    {'name': 'Ada', 'born': 1815} ['born', '']
    {'name': 'Ada', 'born': 1815} []
    """
    reader = _TextReader(
        AnswerReader(
            response_model,
            lenient=lenient,
            wrap_key=wrap_key,
            limits=limits,
            context=context,
            fail_fast=fail_fast,
            attempt=1,
        )
    )
    if isinstance(chunks, AsyncIterable):
        return _read_async(reader, chunks)
    if not isinstance(chunks, Iterable):
        raise ConfigurationError(
            f"chunks must be str, bytes or an iterable or async iterable of these, not {type(chunks).__name__}"
        )
    if isinstance(chunks, str):
        return _read(reader, [chunks])
    return _read(reader, [bytes(chunks)] if isinstance(chunks, bytes | bytearray | memoryview) else chunks)


def _read(reader: _TextReader[T], chunks: Iterable[str] | Iterable[bytes]) -> Iterator[StreamingResponse[T]]:
    for chunk in chunks:
        if (step := reader.feed(chunk)) is not None:
            yield step
        if reader.failed:
            break
    yield reader.finish()


async def _read_async(
    reader: _TextReader[T], chunks: AsyncIterable[str] | AsyncIterable[bytes]
) -> AsyncIterator[StreamingResponse[T]]:
    async for chunk in chunks:
        if (step := reader.feed(chunk)) is not None:
            yield step
        if reader.failed:
            break
    yield reader.finish()


class _TextReader(Generic[T]):
    """Feeds text or UTF-8 bytes to one answer."""

    def __init__(self, answer: AnswerReader[T]) -> None:
        self._answer = answer
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self.failed = False

    def feed(self, chunk: str | bytes) -> StreamingResponse[T] | None:
        """Read one chunk and return its step, if it makes one."""
        try:
            self._answer.add(chunk if isinstance(chunk, str) else self._utf8.decode(_bytes(chunk)))
            return self._answer.step() if self._answer.waiting else None
        except UnicodeDecodeError as error:
            return self._fail(_not_utf8(error))
        except ConfigurationError:
            raise  # the caller's iterable gives what is no text
        except StructStreamError as error:
            return self._fail(error)

    def finish(self) -> StreamingResponse[T]:
        """End the text and return the last step."""
        if not self.failed:
            try:
                self._answer.add(self._utf8.decode(b"", final=True))
            except UnicodeDecodeError as error:
                self._fail(_not_utf8(error))
        self._answer.note_end_of_text()
        return self._answer.finish(None)

    def _fail(self, error: StructStreamError) -> StreamingResponse[T] | None:
        self.failed = True
        return self._answer.fail(error)


def _bytes(chunk: object) -> bytes:
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise ConfigurationError(f"chunks must be str or bytes, not {type(chunk).__name__}")


def _not_utf8(error: UnicodeDecodeError) -> InvalidOutputError:
    invalid = InvalidOutputError(f"the bytes are not UTF-8: {error.reason}")
    invalid.__cause__ = error
    return invalid
