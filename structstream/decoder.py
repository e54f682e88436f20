"""The whole core in one `feed`: bytes of a provider's answer in, typed steps out, one outcome at the end.

Pure: no clock, no network, no event loop. Usable on bytes that were fetched with anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jiter import from_json

from .answer import AnswerReader
from .beside import guard_errors, guard_said, seal_said
from .errors import BlockedError, ConfigurationError, ProtocolError, StructStreamError
from .events import (
    Failed,
    Finished,
    Logprobs,
    ProviderEvent,
    RefusalDelta,
    ServerSentEvent,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from .gate import Gate
from .jsonarray import JSONArrayDecoder
from .sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .continuation import Continuation
    from .facts import Tell
    from .gate import Ask
    from .jsonsink import JSONLimits
    from .partial import Estimate
    from .providers.base import ProviderDecoder, TextTemplate
    from .request import Cadence
    from .response import StreamingResponse
    from .verdicts import Guardrail, Verdict

__all__ = ["HANDLERS", "StreamDecoder"]

T = TypeVar("T")

_MAX_EVENT_BYTES = 16 * 2**20


class StreamDecoder(Generic[T]):
    r"""Decodes one streamed answer.

    It never raises for what comes over the wire: a failure decides the outcome and sets `done`.

    Args:
        response_model: the type of the answer.
        provider: the decoder of the provider's dialect, a fresh one.
        tool: the JSON comes as the arguments of a tool call; False: as text.
        tool_name: the name of the tool that was asked for: calls of others are noted and passed over. Empty takes the
            first call, whatever its name.
        lenient: repair what models do to JSON.
        wrap_key: the key of an object around the value; None for no such object.
        cadence: one response per `feed`, or one per delta.
        chunk_size: if given, a response once so many characters have come since the last one, instead of by `cadence`.
        limits: the bounds of the JSON; None for the defaults.
        max_event_bytes: the bound of one line and of one event of the stream; None for 16 MiB.
        context: Pydantic's validation context.
        fail_fast: end when a value closes invalid. False waits for the end, where Pydantic judges the whole.
        attempt: the number that the responses carry.
        continuation: what the answer goes on from; None for a new one.
        guardrails: what judges the answer before it is shown; those that have to be awaited show up in `asks`.
        tell: hears each verdict; None for nobody.
        array: the body is one JSON array instead of an event stream, as Gemini's is without ``alt=sse``.
        estimate: what is known of the answer's length; None for nothing but its type.

    Raises:
        ConfigurationError: `response_model` is no type that Pydantic can read, a guardrail is none, or another argument
            is not what it has to be.

    >>> from structstream.providers import route
    >>> decoder = StreamDecoder(list[int], route("gpt-4o").provider.decoder())
    >>> [step] = decoder.feed(b'data: {"choices": [{"delta": {"content": "[1, 2"}}]}\n\n')
    >>> step.partial_result
    [1]
    >>> decoder.feed(b'data: {"choices": [{"delta": {"content": "]"}, "finish_reason": "stop"}]}\n\n')
    [StreamingResponse(partial_result=[1, 2], is_complete=False, progress_percent=99.0)]
    >>> decoder.finish()
    StreamingResponse(partial_result=[1, 2], is_complete=True, progress_percent=100.0)
    """

    def __init__(
        self,
        response_model: type[T],
        provider: ProviderDecoder,
        *,
        tool: bool = False,
        tool_name: str = "",
        lenient: bool = False,
        wrap_key: str | None = None,
        cadence: Cadence = "read",
        chunk_size: int | None = None,
        limits: JSONLimits | None = None,
        max_event_bytes: int | None = None,
        context: Any = None,  # Any: Pydantic's own type for it
        fail_fast: bool = True,
        attempt: int = 1,
        continuation: Continuation | None = None,
        guardrails: Sequence[Guardrail] = (),
        tell: Tell | None = None,
        array: bool = False,
        estimate: Estimate | None = None,
    ) -> None:
        _check(provider, cadence, {"chunk_size": chunk_size, "max_event_bytes": max_event_bytes})
        self._bound = bound = max_event_bytes or _MAX_EVENT_BYTES
        self._sse: SSEDecoder | JSONArrayDecoder = SSEDecoder(max_line_bytes=bound, max_event_bytes=bound)
        if array:
            self.take_array()
        self._provider = provider
        self._answer: AnswerReader[T] = AnswerReader(
            response_model,
            lenient=lenient,
            wrap_key=wrap_key,
            limits=limits,
            context=context,
            fail_fast=fail_fast,
            attempt=attempt,
            continuation=continuation,
            estimate=estimate,
        )
        prefix = "" if continuation is None else continuation.prefix
        self._gate = _gate(guardrails, self._answer, wrap_key=wrap_key, prefix=prefix, tell=tell)
        self._take = self._answer.add if self._gate is None else self._gate.feed
        self._drained = False
        self._tool = tool
        self._tool_name = tool_name.strip("_")
        self._passed_over: set[int] = set()
        template = getattr(provider, "template", None)
        self._template: TextTemplate | None = None if tool or chunk_size else template
        self._each_delta = cadence == "delta" and chunk_size is None
        self._step_size = chunk_size or 1
        self._call: int | None = None  # the tool call that is the answer: the first one
        self.done = False
        """Whether the outcome is decided and no further byte is needed: the caller may close the connection."""

    def take_array(self) -> None:
        """Read the body as one JSON array from here on, where only its start has told what it is."""
        self._sse = JSONArrayDecoder(max_event_bytes=self._bound)

    def feed(self, data: bytes) -> list[StreamingResponse[T]]:
        """Read bytes of the body and return the steps that they make, none, one or more."""
        if self.done:
            return []
        answer = self._answer
        # One read is mostly one event that is one more piece of the text: nothing has to be made of it in between then.
        template = self._template
        if template is not None and self._sse.fresh and len(data) <= self._bound and (text := template.text_of(data)):
            try:
                if self._gate is None:
                    step = answer.take(text)
                else:
                    self._gate.feed(text)
                    step = answer.step() if answer.waiting else None
            except StructStreamError as error:
                return self._fail(error)
            return [] if step is None else [step]
        read = self._provider.feed
        responses: list[StreamingResponse[T]] = []
        try:
            for sse in self._sse.feed(data):
                for event in read(sse):
                    HANDLERS[type(event)](self, event)
                    if self._each_delta and answer.waiting and (step := answer.step()):
                        responses.append(step)
                if self.done:
                    break
            if answer.waiting >= self._step_size and (step := answer.step()):
                responses.append(step)
        except StructStreamError as error:
            responses += self._fail(error)
        return responses

    def feed_events(self, events: Iterable[ProviderEvent]) -> None:
        """Take what a provider said in a whole answer, which was not streamed; `finish` makes the one step of it."""
        try:
            for event in events:
                HANDLERS[type(event)](self, event)
        except StructStreamError as error:
            self._answer.fail(error)
        self.done = True

    @property
    def asks(self) -> Ask | None:
        """The judgement that has to be awaited, and brought to `settle`, before more is shown; None if none has."""
        return None if self._gate is None else self._gate.asks

    def settle(self, verdict: Verdict) -> list[StreamingResponse[T]]:
        """Bring the verdict that `asks` asked for, and return the steps that were waiting for it."""
        if self._gate is None:
            return []
        answer = self._answer
        try:
            self._gate.settle(verdict)
            step = answer.step() if answer.waiting else None
        except StructStreamError as error:
            return self._fail(error)
        return [] if step is None else [step]

    def block(self, error: BlockedError) -> list[StreamingResponse[T]]:
        """End the answer because a guardrail did not give the verdict that `asks` asked for.

        A provider's error that is not judged stays the outcome's, without its words.
        """
        return [] if self._gate is not None and self._gate.stop_error() else self._fail(error)

    def redact(self, text: str) -> str:
        """Return the value of a header as the guardrails let it through; empty where they do not."""
        return text if self._gate is None else self._gate.header(text)

    def drain(self, error: StructStreamError | None = None) -> None:
        """Read what the end of the body brings, so that `asks` tells what has to be judged before `finish`.

        Args:
            error: as for `finish`.
        """
        if self._drained:
            return
        self._drained = True
        if not self.done and error is None:
            self._read_end()
        self.done = True
        if self._gate is not None:
            if self._tool and self._call is not None:
                self._answer.own_the_call(self._call)
            for judge in (self._gate.finish, partial(guard_said, self._gate, self._answer.said)):
                try:
                    judge()
                except StructStreamError as failure:
                    if isinstance(failure, BlockedError) or self._answer.failure is None:
                        self._fail(failure)
            guard_errors(self._gate, error, self._answer.failure)

    def _read_end(self) -> None:
        cut = self._sse.mid_line
        try:
            last = self._sse.close(dispatch_unterminated=True)
            if self._answer.said.finish is None and (stray := self._stray()) is not None:
                last = [*last, stray]
            for event in (event for sse in last for event in self._provider.feed(sse)):
                HANDLERS[type(event)](self, event)
            for event in self._provider.close():
                HANDLERS[type(event)](self, event)
        except ProtocolError as failure:
            if not cut:  # half an event is no fault of the dialect: the connection ended within it
                self._fail(failure)
        except StructStreamError as failure:
            self._fail(failure)

    def _stray(self) -> ServerSentEvent | None:
        """The event that a server meant which wrote JSON without ``data:`` before it, mostly an error."""
        text = self._sse.stray if isinstance(self._sse, SSEDecoder) else ""
        try:
            value = from_json(text.encode()) if text.lstrip()[:1] in ("{", "[") else None
        except ValueError:
            return None
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            return None
        return ServerSentEvent(json.dumps(value), "error" if value.get("error") or value.get("message") else "message")

    def finish(self, error: StructStreamError | None = None) -> StreamingResponse[T]:
        """End the answer and return the last step, with its outcome.

        Args:
            error: why it was ended from outside (deadline, cancellation, broken connection); None if the body ended.
        """
        self.drain(error)
        self._answer.said.sequence_number = self._provider.sequence_number
        if self._gate is None:
            return self._answer.finish(error)
        seal_said(self._gate, self._answer, error)
        self._gate.close()
        return self._answer.finish(error)

    def _fail(self, error: StructStreamError) -> list[StreamingResponse[T]]:
        self.done = True
        if self._gate is not None and isinstance(error, BlockedError):
            self._gate.leave()
        last_good = self._answer.fail(error)
        return [] if last_good is None else [last_good]

    # --- what a provider can say ---

    def _text(self, event: TextDelta) -> None:
        if event.choice:
            self._answer.said.note_choice(event.choice, event.text)
        elif self._tool:
            self._answer.said.prose.append(event.text)
        else:
            self._take(event.text)

    def _tool_delta(self, event: ToolDelta) -> None:
        said = self._answer.said
        if event.choice:
            said.note_choice(event.choice, event.text)
            return
        said.note_call(event)
        if self._call is None and self._is_ours(event):
            self._call = event.call
        if self._tool and event.call == self._call:
            self._take(event.text)

    def _is_ours(self, event: ToolDelta) -> bool:
        # A dialect may have to put an underscore before a name.
        if event.name and self._tool_name not in ("", event.name.strip("_")):
            self._passed_over.add(event.call)
        return event.call not in self._passed_over

    def _thinking(self, event: ThinkingDelta) -> None:
        if not event.choice:
            self._answer.said.thinking.append(event.text)
            self._answer.said.signature += event.signature

    def _refusal(self, event: RefusalDelta) -> None:
        if not event.choice:
            self._answer.said.refusal.append(event.text)

    def _logprobs(self, event: Logprobs) -> None:
        if not event.choice:
            self._answer.said.logprobs.extend(event.tokens)

    def _started(self, event: Started) -> None:
        if self._answer.begin(event):
            self._call = None

    def _usage(self, event: UsageReported) -> None:
        self._answer.said.usage = event.usage

    def _finished(self, event: Finished) -> None:
        if not event.choice:
            self._answer.said.note_finish(event)

    def _failed(self, event: Failed) -> None:
        raise event.error

    def _end(self, event: StreamEnd) -> None:
        self._answer.ended = True
        self.done = True


def _gate(
    guardrails: Sequence[Guardrail], answer: AnswerReader[Any], *, wrap_key: str | None, prefix: str, tell: Tell | None
) -> Gate | None:
    """Return the gate before `answer`; None where nothing is judged."""
    if not guardrails:
        return None
    gate = Gate(
        guardrails,
        answer.add,
        repair=answer.take_repair(),
        wrap_key=wrap_key,
        names=answer.names,
        prefix=prefix,
        tell=tell,
    )
    answer.locate_by(gate.locate)
    return gate


def _check(provider: object, cadence: str, bounds: Mapping[str, object]) -> None:
    for name, value in bounds.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigurationError(f"{name} must be a positive integer or None, not {value!r}")
    if cadence not in ("read", "delta"):
        raise ConfigurationError(f"cadence must be one of read, delta, not {cadence!r}")
    if not callable(getattr(provider, "feed", None)):
        raise ConfigurationError(
            "provider must be a fresh decoder of a dialect, such as route('openai/gpt-4o').provider.decoder(), "
            f"not {provider!r}"
        )


HANDLERS: dict[type, Callable[[StreamDecoder[Any], Any], None]] = {  # Any: each handler takes its own event
    TextDelta: StreamDecoder._text,
    ToolDelta: StreamDecoder._tool_delta,
    ThinkingDelta: StreamDecoder._thinking,
    RefusalDelta: StreamDecoder._refusal,
    Started: StreamDecoder._started,
    UsageReported: StreamDecoder._usage,
    Finished: StreamDecoder._finished,
    Failed: StreamDecoder._failed,
    StreamEnd: StreamDecoder._end,
    Logprobs: StreamDecoder._logprobs,
}
"""What the decoder does with each kind of event: one row a kind."""
