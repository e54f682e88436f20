"""The faults that the simulated provider can be told to make: one row each in `FAULTS`.

A fault strikes at one of four places: it changes what the model says, changes the events as they are written, replaces
the whole HTTP answer, or ends the body at a byte. All dialects share them.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from structstream.errors import ConfigurationError, ServerError
from structstream.events import (
    Failed,
    Finished,
    FinishReason,
    ProviderEvent,
    RefusalDelta,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)

from .dialects.base import Reply, reply

if TYPE_CHECKING:
    from .dialects.base import WireDialect

__all__ = [
    "FAULTS",
    "Fault",
    "Stop",
    "content_filter",
    "cut_at_byte",
    "drop_at_byte",
    "duplicate_finish",
    "empty_stream",
    "html_200",
    "in_band_error",
    "length",
    "malformed_chunk",
    "malformed_framing",
    "no_finish",
    "no_tool_call",
    "parse_fault",
    "plain_json_200",
    "refusal",
    "reset_at_byte",
    "stall_at_byte",
    "stall_before_first_byte",
    "status",
    "text_after_json",
    "two_tool_calls",
    "unknown_events",
    "whole_200",
]

_Said = Sequence[ProviderEvent]
_Sent = Sequence[bytes]
_Break = Literal["cut", "drop", "reset", "stall", "garble"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a body ends before its time, and how.

    Args:
        how: ``cut`` ends the body in good order; ``drop`` closes the connection in the middle of it (FIN); ``reset``
            does so by RST; ``stall`` keeps silent until released; ``garble`` sends what is no HTTP chunk, then closes.
        at_byte: how many bytes of the body go out before; None for none, not even the head of the answer.
    """

    how: _Break
    at_byte: int | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one answer; made by the functions of this module.

    Two faults are equal if their names and arguments are.
    """

    name: str
    arguments: tuple[object, ...] = ()
    said: Callable[[_Said], _Said] | None = field(default=None, compare=False, repr=False)
    sent: Callable[[_Sent], _Sent] | None = field(default=None, compare=False, repr=False)
    reply: Callable[[WireDialect], Reply] | None = field(default=None, compare=False, repr=False)
    stop: Stop | None = field(default=None, compare=False, repr=False)
    whole: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


def _at_byte(name: str, how: _Break, n: int) -> Fault:
    _need(name, "n", n, 0)
    return Fault(name, (n,), stop=Stop(how, n))


def _need(name: str, argument: str, found: object, least: int, most: int | None = None) -> None:
    if not isinstance(found, int) or found < least or (most is not None and found > most):
        expected = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
        raise ConfigurationError(f"{name}: {argument} must be {expected}, not {found!r}")


# The body ends at a byte. Bytes are those of the decoded body: HTTP's chunk framing does not count.


def cut_at_byte(n: int) -> Fault:
    """The body ends in good order after `n` bytes, without a finish; the connection stays usable.

    A whole answer announces its length, so there the connection closes.
    """
    return _at_byte("cut_at_byte", "cut", n)


def drop_at_byte(n: int) -> Fault:
    """The connection is closed (FIN) in the middle of the body after `n` bytes."""
    return _at_byte("drop_at_byte", "drop", n)


def reset_at_byte(n: int) -> Fault:
    """The connection is reset (RST) after `n` bytes of the body."""
    return _at_byte("reset_at_byte", "reset", n)


def stall_at_byte(n: int) -> Fault:
    """After `n` bytes of the body nothing comes until the provider is told to `release()`; then the rest does."""
    return _at_byte("stall_at_byte", "stall", n)


def malformed_framing(n: int = 0) -> Fault:
    """After `n` bytes of the body comes what is no HTTP chunk, and the connection is closed."""
    return _at_byte("malformed_framing", "garble", n)


def stall_before_first_byte() -> Fault:
    """The request is taken, and not even a status comes back until `release()`."""
    return Fault("stall_before_first_byte", stop=Stop("stall", None))


# The HTTP answer is another one.

_STATUS_MESSAGES: dict[int, tuple[str, str | None]] = {
    400: ("Invalid value for a parameter of this simulated request.", None),
    401: (
        "Incorrect API key provided: sk-simul************0000. Check your account.",
        "invalid_api_key",
    ),
    403: ("You are not allowed to sample from this model.", None),
    404: ("The model does not exist or you do not have access to it.", "model_not_found"),
    408: ("The request took too long to arrive.", None),
    409: ("The request conflicts with another one.", None),
    422: ("The request could not be processed.", None),
    429: ("Rate limit reached for requests. Please try again in 20s.", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", None),
    502: ("Bad gateway.", None),
    503: ("The engine is currently overloaded, please try again later.", None),
    529: ("Overloaded.", "overloaded"),
}


def status(
    code: int, headers: Mapping[str, str] | None = None, body: str | bytes | Mapping[str, Any] | None = None
) -> Fault:
    """The answer is an HTTP error.

    Args:
        code: the status, 400 to 599.
        headers: to add, such as ``{"retry-after": "2"}``; they win over the usual ones.
        body: JSON as plain data, or the body itself; None for the dialect's own error body.
    """
    _need("status", "code", code, 400, 599)
    extra = tuple((name.lower(), value) for name, value in (headers or {}).items())

    def make(dialect: WireDialect) -> Reply:
        message, word = _STATUS_MESSAGES.get(code, (f"Simulated status {code}.", None))
        own: bytes = dialect.error(code, message, code=word)
        if body is not None:
            own = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        kind = () if any(name == "content-type" for name, _ in extra) else (("content-type", "application/json"),)
        return Reply(code, (*kind, *extra), (own,))

    return Fault("status", (code, *(each for each in (headers, body) if each is not None)), reply=make)


def html_200(
    body: str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Sign in</body></html>\n",
) -> Fault:
    """A page with status 200: a proxy or a portal answered."""
    return Fault("html_200", reply=lambda dialect: reply(200, "text/html; charset=utf-8", body.encode()))


def plain_json_200(body: str = '{"message": "Welcome to this API. See the documentation."}') -> Fault:
    """JSON with status 200 that is neither stream nor error."""
    return Fault("plain_json_200", reply=lambda dialect: reply(200, "application/json", body.encode()))


def whole_200() -> Fault:
    """The answer comes in one piece though a stream was asked for: a gateway that ignores ``stream``."""
    return Fault("whole_200", whole=True)


# The model says something else.

_ENDS = (Finished, UsageReported, StreamEnd)
_DELTAS = (TextDelta, ToolDelta)


def _body(said: _Said) -> list[ProviderEvent]:
    """What is said before the finish."""
    return [event for event in said if not isinstance(event, _ENDS)]


def _ended(said: _Said, body: Sequence[ProviderEvent], reason: FinishReason) -> _Said:
    """`body`, then the ends of `said` with another reason in each choice that has said something."""
    spoken = {
        event.choice for event in body if not isinstance(event, Started | UsageReported | Failed | StreamEnd)
    } or {0}
    ends = (event for event in said if isinstance(event, _ENDS))
    other = (Finished(reason, choice=event.choice) if isinstance(event, Finished) else event for event in ends)
    return [*body, *(event for event in other if not isinstance(event, Finished) or event.choice in spoken)]


def _first_deltas(said: _Said, n: int) -> list[ProviderEvent]:
    """What is said up to and with the `n`-th delta."""
    kept: list[ProviderEvent] = []
    for event in _body(said):
        if isinstance(event, _DELTAS):
            if n <= 0:
                break
            n -= bool(event.text)
        kept.append(event)
    return kept


def length(n: int) -> Fault:
    """The model stops at its output limit after `n` characters of each choice."""
    _need("length", "n", n, 0)

    def change(said: _Said) -> _Said:
        left: dict[int, int] = {}
        kept: list[ProviderEvent] = []
        for event in _body(said):
            if isinstance(event, TextDelta | ToolDelta):
                room = left.setdefault(event.choice, n)
                left[event.choice] = max(0, room - len(event.text))
                if room or not event.text:
                    kept.append(_with_text(event, event.text[:room]))
            else:
                kept.append(event)
        return _ended(said, kept, "length")

    return Fault("length", (n,), said=change)


def _with_text(event: TextDelta | ToolDelta, text: str) -> TextDelta | ToolDelta:
    if isinstance(event, TextDelta):
        return TextDelta(text, event.choice)
    return ToolDelta(text, event.call, event.id, event.name, event.choice)


def refusal(text: str = "I'm sorry, I can't help with that request.") -> Fault:
    """The model declines: `text` comes instead of an answer."""

    def change(said: _Said) -> _Said:
        started = [event for event in said if isinstance(event, Started)]
        pieces = [RefusalDelta(text[at : at + 8]) for at in range(0, len(text), 8)]
        return _ended(said, [*started, *pieces], "refused")

    return Fault("refusal", (text,), said=change)


def content_filter(n: int = 3) -> Fault:
    """The provider's filter stops the answer after `n` deltas."""
    _need("content_filter", "n", n, 0)
    return Fault("content_filter", (n,), said=lambda said: _ended(said, _first_deltas(said, n), "filtered"))


def in_band_error(after: int = 3, message: str = "The server had an error.", code: str = "server_error") -> Fault:
    """An error event comes inside the stream after `after` deltas, and the body ends."""
    _need("in_band_error", "after", after, 0)

    def change(said: _Said) -> _Said:
        return [*_first_deltas(said, after), Failed(ServerError(message, provider="simulated", code=code))]

    return Fault("in_band_error", (after, message, code), said=change)


def no_finish() -> Fault:
    """All of the text comes, but no finish and no mark of the end; the body ends in good order."""
    return Fault("no_finish", said=_body)


def duplicate_finish() -> Fault:
    """The finish comes twice."""

    def change(said: _Said) -> _Said:
        return [copy for event in said for copy in ((event, event) if isinstance(event, Finished) else (event,))]

    return Fault("duplicate_finish", said=change)


def text_after_json(text: str = "\n\nLet me know if you need anything else!") -> Fault:
    """`text` follows the answer, in the same place."""

    def change(said: _Said) -> _Said:
        last = next((event for event in reversed(said) if isinstance(event, TextDelta | ToolDelta)), TextDelta(""))
        more: ProviderEvent = TextDelta(text, last.choice)
        if isinstance(last, ToolDelta):
            more = ToolDelta(text, last.call, choice=last.choice)
        return [*_body(said), more, *(event for event in said if isinstance(event, _ENDS))]

    return Fault("text_after_json", (text,), said=change)


def no_tool_call(text: str = "I would rather answer in words.") -> Fault:
    """Text comes where a tool call was forced."""

    def change(said: _Said) -> _Said:
        kept = [event for event in said if isinstance(event, Started | ThinkingDelta)]
        return _ended(said, [*kept, TextDelta(text)], "stop")

    return Fault("no_tool_call", (text,), said=change)


def two_tool_calls() -> Fault:
    """Each tool call comes twice, the second after the first, with its own number and id."""

    def change(said: _Said) -> _Said:
        again = [
            ToolDelta(event.text, event.call + 1, event.id and f"{event.id}_again", event.name, event.choice)
            for event in said
            if isinstance(event, ToolDelta)
        ]
        return [*_body(said), *again, *(event for event in said if isinstance(event, _ENDS))]

    return Fault("two_tool_calls", said=change)


# The events are written otherwise.


def empty_stream() -> Fault:
    """An event stream without a single event."""
    return Fault("empty_stream", sent=lambda sent: [])


def malformed_chunk(after: int = 2) -> Fault:
    """After `after` events comes one whose data is no JSON; then the stream goes on."""
    _need("malformed_chunk", "after", after, 0)
    return Fault(
        "malformed_chunk",
        (after,),
        sent=lambda sent: [*sent[:after], b'data: {"id":"broken","choices":[{"delta":}\n\n', *sent[after:]],
    )


def unknown_events(every: int = 3) -> Fault:
    """After each `every` events come a comment, an event of an unknown name and one of an unknown shape."""
    _need("unknown_events", "every", every, 1)
    extra = (
        b': keep-alive\n\nevent: simulated.unknown\ndata: {}\n\ndata: {"object":"simulated.unknown","choices":[]}\n\n'
    )

    def change(sent: _Sent) -> _Sent:
        return [part for at, event in enumerate(sent) for part in ((event, extra) if at % every == 0 else (event,))]

    return Fault("unknown_events", (every,), sent=change)


def _by_name(functions: Iterable[Callable[..., Fault]]) -> dict[str, Callable[..., Fault]]:
    return {function.__name__: function for function in functions}


FAULTS: Mapping[str, Callable[..., Fault]] = _by_name(
    (
        cut_at_byte,
        drop_at_byte,
        reset_at_byte,
        stall_at_byte,
        stall_before_first_byte,
        malformed_framing,
        status,
        html_200,
        plain_json_200,
        whole_200,
        length,
        refusal,
        content_filter,
        in_band_error,
        no_finish,
        duplicate_finish,
        text_after_json,
        no_tool_call,
        two_tool_calls,
        empty_stream,
        malformed_chunk,
        unknown_events,
    )
)
"""Every fault by its name."""


def parse_fault(text: str) -> Fault:
    """Return the fault that `text` writes as a call, such as ``cut_at_byte(100)``; for headers and command lines.

    Raises:
        ConfigurationError: there is no such fault, or its arguments do not fit.

    >>> parse_fault("cut_at_byte(100)")
    Fault(name='cut_at_byte', arguments=(100,))
    >>> parse_fault("no_finish")
    Fault(name='no_finish', arguments=())
    """
    name = text.partition("(")[0].strip()
    make = FAULTS.get(name)
    if make is None:
        raise ConfigurationError(f"there is no fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    try:
        call = ast.parse(text.strip() if "(" in text else f"{name}()", mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError(text)
        positional = [ast.literal_eval(each) for each in call.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        inspect.signature(make).bind(*positional, **named)
    except (SyntaxError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{text!r} is no fault: write it as {name}{_signature(make)}, with plain values"
        ) from error
    return make(*positional, **named)


def _signature(make: Callable[..., Fault]) -> str:
    parts = inspect.signature(make).parameters.values()
    return f"({', '.join(str(part.name) for part in parts)})"
