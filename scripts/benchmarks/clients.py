"""Everybody who makes something to look at from every delta of a JSON document; each is given the same deltas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .documents import Records, deltas

__all__ = ["CLIENTS", "OURS", "Client"]

Run = Callable[[], object]


@dataclass(frozen=True)
class Client:
    """One way to read a document while it is written.

    Args:
        name: what the table calls it.
        prepare: makes, from the text, what is measured; raises ImportError where a package is missing.
        needs: the package that it is; empty for what every environment has.
        default: whether it is measured without ``--peers``.
        largest: the largest document in characters that it is given without ``--full``; None for any.
    """

    name: str
    prepare: Callable[[str], Run]
    needs: str = ""
    default: bool = True
    largest: int | None = None


def ours(text: str) -> Run:
    """A step and a response for every delta, and its typed snapshot."""
    from structstream.partial import PartialParser
    from structstream.response import StreamingResponse

    pieces = deltas(text)

    def run() -> None:
        parser = PartialParser(Records)
        for piece in pieces:
            StreamingResponse(parser.step(piece), [piece]).partial_result  # noqa: B018  # made when looked at
        parser.finish()

    return run


def ours_unseen(text: str) -> Run:
    """The same for a caller who looks at no snapshot but the last: they are made when somebody looks."""
    from structstream.partial import PartialParser
    from structstream.response import StreamingResponse

    pieces = deltas(text)

    def run() -> None:
        parser = PartialParser(Records)
        for piece in pieces:
            StreamingResponse(parser.step(piece), [piece])
        parser.finish()

    return run


def ours_read(text: str) -> Run:
    """The same for a caller who reads the newest value, three levels down, at every delta."""
    from structstream.partial import PartialParser
    from structstream.response import StreamingResponse

    pieces = deltas(text)

    def run() -> None:
        parser = PartialParser(Records)
        for piece in pieces:
            response: StreamingResponse[Records] = StreamingResponse(parser.step(piece), [piece])
            shown: Any = response.partial_result  # Any: a snapshot
            if shown is not None and (people := shown.records):
                people[-1].note  # noqa: B018  # made when looked at
        parser.finish()

    return run


def jiter_again(text: str) -> Run:
    """The whole buffer again at every delta: untyped."""
    from jiter import from_json

    pieces = [piece.encode() for piece in deltas(text)]

    def run() -> None:
        buffer = bytearray()
        for piece in pieces:
            buffer += piece
            from_json(bytes(buffer), partial_mode="trailing-strings")

    return run


def pydantic_again(text: str) -> Run:
    """The whole buffer again at every delta: typed as far as lists and dicts go, a model only where it is whole."""
    from pydantic import TypeAdapter, ValidationError

    pieces = deltas(text)
    adapter = TypeAdapter(Records)

    def run() -> None:
        buffer = ""
        for piece in pieces:
            buffer += piece
            try:
                adapter.validate_json(buffer, experimental_allow_partial="trailing-strings")
            except ValidationError:
                continue  # a model whose fields are not there yet is refused

    return run


def once(text: str) -> Run:
    """The finished text at once: the physical limit."""
    return lambda: Records.model_validate_json(text)


def openai_state(text: str) -> Run:
    """The accumulator of the SDK's ``stream()``; its chunk objects are made outside the measurement."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    def chunk(piece: str) -> ChatCompletionChunk:
        choice = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}
        frame = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        return ChatCompletionChunk.model_validate(frame)

    chunks = [chunk(piece) for piece in deltas(text)]

    def run() -> None:
        state = ChatCompletionStreamState(response_format=Records)
        for one in chunks:
            for _ in state.handle_chunk(one):
                pass

    return run


def instructor_partial(text: str) -> Run:
    """What ``create_partial`` does with the deltas."""
    partial: Any = import_module("instructor").Partial[Records]  # Any: made by the library at run time
    pieces = deltas(text)

    def run() -> None:
        for _ in partial.model_from_chunks(pieces):
            pass

    return run


def langchain_parser(text: str) -> Run:
    """What a chain with a JsonOutputParser does with the deltas: untyped."""
    parser: Any = import_module("langchain_core.output_parsers").JsonOutputParser()  # Any: may be missing
    pieces = deltas(text)
    return lambda: list(parser.transform(iter(pieces)))


def jsonriver(text: str) -> Run:
    """An incremental parser: untyped, its one value changes under the caller's hands."""
    parse: Any = import_module("jsonriver").parse  # Any: may be missing
    pieces = deltas(text)

    async def read() -> None:
        async def source() -> Any:  # Any: an async iterator of str
            for piece in pieces:
                yield piece

        async for _ in parse(source()):
            pass

    return lambda: asyncio.run(read())


OURS = "structstream"

CLIENTS = (
    Client(OURS, ours),
    Client("structstream, nobody looks", ours_unseen),
    Client("structstream, newest value read", ours_read),
    Client("jiter, whole buffer again (untyped)", jiter_again, "jiter"),
    Client("pydantic, experimental_allow_partial", pydantic_again, "pydantic", default=False),
    Client("openai ChatCompletionStreamState", openai_state, "openai"),
    Client("instructor Partial.model_from_chunks", instructor_partial, "instructor"),
    Client("langchain JsonOutputParser (untyped)", langchain_parser, "langchain_core", default=False, largest=16 << 10),
    Client("jsonriver (untyped, no snapshots)", jsonriver, "jsonriver", default=False),
    Client("one-shot model_validate_json", once),
)
