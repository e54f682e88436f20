"""What a simulated dialect is: a reader of requests and a writer of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from structstream.errors import StructStreamError
from structstream.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from structstream.events import ProviderEvent

__all__ = ["AnswerForm", "BadQuestionError", "Question", "Reply", "WireDialect", "as_array", "reply"]

AnswerForm = Literal["json", "tool", "text"]
"""Where the answer goes: JSON as text, a tool call's arguments, or free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request as every dialect would have it.

    Args:
        model: the model that is asked for.
        form: where the answer goes.
        stream: whether it is to arrive as an event stream.
        schema: what the answer is to look like; None for free text.
        tool: the name of the tool to call; empty if `form` is not ``tool``.
        forced: whether the request itself forced that tool.
        choices: how many alternatives are wanted.
        max_tokens: bound of the answer; None for none.
        seed: the caller's seed; None for none.
        input_tokens: the length of the prompt, estimated.
        report_usage: whether the stream is to carry the tokens.
        array: the stream is to be one JSON array instead of events.
        answered: what the model said last in the conversation; empty where it said nothing yet.
        in_pieces: the arguments of a tool call are to come value by value, in a dialect that else says them whole.
    """

    model: str
    form: AnswerForm
    stream: bool = False
    schema: Mapping[str, Any] | None = None  # Any: JSON
    tool: str = ""
    forced: bool = False
    choices: int = 1
    max_tokens: int | None = None
    seed: int | None = None
    input_tokens: int = 0
    report_usage: bool = True
    array: bool = False
    answered: str = ""
    in_pieces: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer.

    Args:
        status: the HTTP status.
        headers: beside the framing, which is the server's business.
        pieces: the body; of a stream one event each.
        streamed: whether the body goes out piece by piece in chunked coding, or whole with its length.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Sequence[bytes]
    streamed: bool = False


class BadQuestionError(StructStreamError):
    """A request that the provider refuses.

    Attributes:
        status: the HTTP status that says so.
        param: the offending parameter; None where it is none in particular.
        code: the provider's word for it; None where it has none.
    """

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


class WireDialect(Protocol):
    """One way to speak: a file in this package and a row in its table.

    Answers are said in `ProviderEvent`s, the words of the library, so that one script of faults serves all dialects.
    """

    name: str
    id_prefix: str

    def read(self, body: Mapping[str, Any], path: str) -> Question:
        """Return what is asked.

        Args:
            body: of the request.
            path: of the request, with its query.

        Raises:
            BadQuestionError: the provider would refuse it.
        """

    def stream(self, question: Question, said: Sequence[ProviderEvent]) -> list[bytes]:
        """Return the events of a stream that says `said`, each as it goes over the wire."""

    def whole(self, question: Question, said: Sequence[ProviderEvent]) -> bytes:
        """Return the body of a whole answer that says `said`."""

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
        """Return the body of an HTTP error."""

    def headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return what the provider puts on the answer to request `number`."""


def reply(status: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> Reply:
    """Return a whole answer of one piece."""
    return Reply(status, (("content-type", content_type), *headers), (body,))


def as_array(pieces: Sequence[bytes]) -> list[bytes]:
    r"""Return an event stream as one JSON array of its data, element for event.

    >>> as_array([b'data: {"a": 1}\n\n', b": nothing\n\n", b"data: {}\n\n"])
    [b'[{"a": 1}', b',\r\n{}', b'\n]']
    """
    events = SSEDecoder()
    texts = [event.data.encode() for piece in pieces for event in events.feed(piece)]
    return [*((b",\r\n" if number else b"[") + text for number, text in enumerate(texts)), b"\n]" if texts else b"[]"]
