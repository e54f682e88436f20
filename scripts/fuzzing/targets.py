"""What is fed: each target reads an input in pieces and says how that ended, in one word of a closed list."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from structstream import OutcomeKind, SSEError, StreamDecoder
from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError
from structstream.partial import PartialParser
from structstream.providers import route
from structstream.sse import SSEDecoder

from .mutate import mutated

__all__ = ["TARGETS", "Disagreement", "Ending", "Target"]

_JSON_ERRORS = (JSONSyntaxError, JSONLimitError, InvalidOutputError)


class Disagreement(AssertionError):
    """An input that ends differently when it is cut differently, or than Pydantic says."""


@dataclass(frozen=True)
class Ending:
    """How an input ended.

    Args:
        word: ``value``, the name of an error of the closed list, or an outcome.
        result: all that came out, written, for comparison: NaN equals nothing, not even itself.
    """

    word: str
    result: str = ""


@dataclass(frozen=True)
class Target:
    """Something that reads input.

    Args:
        name: what the table calls it.
        make: makes one broken input.
        read: reads the pieces of an input; the number, 0 to 59, chooses a variant.
        check: compares the ending with what another reader makes of the whole input; raises `Disagreement`.
        words: the closed list.
    """

    name: str
    make: Callable[[Random], bytes]
    read: Callable[[Sequence[bytes], int], Ending]
    words: frozenset[str]
    check: Callable[[bytes, int, Ending], None] = lambda data, variant, ending: None


# --- what is read ---


class Colour(StrEnum):
    """A closed set of words."""

    RED = "red"
    BLUE = "blue"


class Circle(BaseModel):
    """One choice of a union."""

    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0)]


class Square(BaseModel):
    """The other choice."""

    kind: Literal["square"]
    side: int


class Drawing(BaseModel):
    """Something of everything."""

    name: Annotated[str, Field(max_length=60)]
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]]
    colour: Colour | None = None
    weights: dict[str, float] = {}
    parent: Drawing | None = None
    extra: Any = None  # Any: what a model may leave open
    either: int | str | list[bool] = 0


TYPES: Sequence[Any] = (Drawing, list[int | str | None], dict[str, Any], str, int, Any)  # Any: types of all kinds

_DRAWING = {
    "name": 'Ada "the first"\n\u00e9\U0001f600',
    "shapes": [{"kind": "circle", "radius": 2.5e1}, {"kind": "square", "side": -3}, {"radius": 1, "kind": "circle"}],
    "colour": "blue",
    "weights": {"a": 1, "b": 0.25},
    "parent": {"name": "", "shapes": [], "colour": None},
    "extra": {"deep": [[[{"x": None}]]], "t": True, "big": 12345678901234567890},
    "either": [True, False],
}
_VALUES = (_DRAWING, [1, "two", None, -4], {"k": {"n": [1.5, "x", {}]}}, "a text with \\ and \u2603", 42, [_DRAWING])


@cache
def json_seeds() -> Sequence[bytes]:
    """Valid documents, written in several ways."""
    return [json.dumps(value, **form).encode() for value in _VALUES for form in _FORMS]


_FORMS: Sequence[dict[str, Any]] = ({}, {"indent": 2}, {"ensure_ascii": False, "separators": (",", ":")})


@cache
def lenient_seeds() -> Sequence[bytes]:
    """What models make of them."""
    dressed = [
        b"Sure! Here it is:\n```json\n%s\n```\nAnything else?",
        b"<think>Hm, {a} or [b]?</think>\n%s",
        b"// a comment\n%s // and one more",
    ]
    loose = [seed.replace(b'"', b"'") for seed in json_seeds()]
    loose += [seed.replace(b"}", b",}").replace(b"null", b"None").replace(b"true", b"True") for seed in json_seeds()]
    return [*json_seeds(), *loose, *(form % seed for form in dressed for seed in json_seeds())]


@cache
def sse_seeds() -> Sequence[bytes]:
    """Event streams with all kinds of fields and line ends."""
    plain = (
        b'\xef\xbb\xbf: hello\n\ndata: {"a": 1}\n\nevent: x\ndata: one\ndata: two\nid: 7\nretry: 100\n\ndata\n\n:\n\n'
    )
    return [plain, plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b"\r"), *stream_seeds()]


@cache
def stream_seeds() -> Sequence[bytes]:
    """Answers of the chat dialect: as text and as a tool call, with all that can stand beside them."""
    made = [_stream(json.dumps(value), tool=tool) for value in _VALUES[:4] for tool in (False, True)]
    refused = _frame({"refusal": "No."}) + _frame({}, "stop") + b"data: [DONE]\n\n"
    failed = b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'
    return [*made, refused, failed, *corpus_bodies()]


def _stream(text: str, *, tool: bool) -> bytes:
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    deltas = [_tool_delta(piece, first=not at) if tool else {"content": piece} for at, piece in enumerate(pieces)]
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}
    frames = [_frame({"role": "assistant", "content": None}), *map(_frame, deltas), _frame({}, "stop")]
    return b"".join([*frames, b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"])


def _tool_delta(piece: str, *, first: bool) -> dict[str, Any]:  # Any: JSON
    call: dict[str, Any] = {"index": 0, "function": {"arguments": piece}}
    if first:
        call |= {"id": "call_1", "type": "function", "function": {"name": "answer", "arguments": piece}}
    return {"tool_calls": [call]}


def _frame(delta: dict[str, Any], finish: str | None = None) -> bytes:  # Any: JSON
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def corpus_bodies() -> Iterator[bytes]:
    """Yield the short recorded bodies of this dialect; none on a machine without the corpus."""
    named = os.environ.get("STRUCTSTREAM_CORPUS")
    corpus = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "corpus"
    for name in ("openai-chat", "other-openai-compatible"):
        for path in sorted((corpus / "sse" / name).glob("*.sse")):
            if path.stat().st_size < 8192:
                yield path.read_bytes()


def broken_sse(random: Random) -> bytes:
    """Return an event stream with changes anywhere."""
    return mutated(random, sse_seeds())


def broken_json(random: Random) -> bytes:
    """Return a document with changes anywhere."""
    return mutated(random, json_seeds())


def broken_lenient(random: Random) -> bytes:
    """Return a document as models write it, with changes anywhere."""
    return mutated(random, lenient_seeds())


def broken_stream(random: Random) -> bytes:
    """Return an answer with changes anywhere, or one in good order whose document is broken."""
    if random.random() < 0.5:
        return mutated(random, stream_seeds())
    return _stream(broken_lenient(random).decode("utf-8", "replace"), tool=random.random() < 0.5)


# --- how it is read ---


def read_sse(pieces: Sequence[bytes], variant: int) -> Ending:
    """Feed an event-stream decoder, with small bounds in half of the variants."""
    bound = (16 << 20, 90)[variant % 2]
    decoder = SSEDecoder(max_line_bytes=bound, max_event_bytes=bound)
    events = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.close(dispatch_unterminated=variant % 3 == 0)
    except SSEError:
        return Ending("SSEError", repr(events))
    return Ending("value", repr(events))


def read_json(pieces: Sequence[bytes], variant: int, *, lenient: bool = False) -> Ending:
    """Feed a parser of one of `TYPES` and look at every snapshot."""
    parser: PartialParser[Any] = PartialParser(TYPES[variant % len(TYPES)], lenient=lenient)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        for number, piece in enumerate(pieces, 1):
            look(parser.step(decoder.decode(piece, final=number == len(pieces))))
        return Ending("value", repr(parser.finish()))
    except _JSON_ERRORS as error:
        look(parser._moment())
        return Ending(type(error).__name__)


def read_lenient(pieces: Sequence[bytes], variant: int) -> Ending:
    """The same with repair."""
    return read_json(pieces, variant, lenient=True)


def look(moment: Any) -> None:  # Any: a moment
    """Render all that a step can tell."""
    repr(moment.snapshot)
    if hasattr(moment.snapshot, "model_dump"):
        moment.snapshot.model_dump(mode="json")
    if not 0 <= moment.percent <= 100 or not isinstance(list(moment.completed) + list(moment.changed), list):
        raise Disagreement(f"percent is {moment.percent}")


def read_stream(pieces: Sequence[bytes], variant: int) -> Ending:
    """Feed the whole decoder; it never raises for what comes over the wire."""
    decoder = StreamDecoder(
        TYPES[variant % 4],
        route("openai/gpt-4o").provider.decoder(),
        tool=variant % 2 == 1,
        lenient=variant % 5 == 0,
        cadence=("read", "delta")[variant % 3 == 0],
    )
    for piece in pieces:
        for response in decoder.feed(piece):
            repr(response)
        if decoder.done:
            break
    outcome = decoder.finish().outcome
    if outcome is None:
        raise Disagreement("the last response has no outcome")
    return Ending(outcome.kind.value, repr((outcome.result, outcome.error)))


# --- what must hold of the ending ---


@cache
def adapter(variant: int) -> TypeAdapter[Any]:
    """Return Pydantic's own reader of a type."""
    return TypeAdapter(TYPES[variant])


def as_pydantic(data: bytes, variant: int, ending: Ending) -> None:
    """A value where Pydantic gives one, and the same; an error where it gives one (but for NaN and Infinity)."""
    text = data.decode("utf-8", "replace")
    if "NaN" in text or "Infinity" in text:
        return
    try:
        expected = Ending("value", repr(adapter(variant % len(TYPES)).validate_json(text)))
    except ValidationError:
        expected = Ending("an error")
    if (ending.word == "value") != (expected.word == "value") or ending.result != expected.result:
        raise Disagreement(f"{ending}, and Pydantic says {expected}")


_ERRORS = frozenset({"value", *(error.__name__ for error in _JSON_ERRORS)})
TARGETS = (
    Target("sse", broken_sse, read_sse, frozenset({"value", "SSEError"})),
    Target("json", broken_json, read_json, _ERRORS, as_pydantic),
    Target("lenient", broken_lenient, read_lenient, _ERRORS),
    Target("stream", broken_stream, read_stream, frozenset(kind.value for kind in OutcomeKind)),
)
"""Everything that reads what a network brings."""
