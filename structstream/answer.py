"""One answer from its first delta to its outcome: the JSON that is read, and all else that it carried."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .confidence import Confidence
from .errors import (
    ConfigurationError,
    FilteredError,
    IncompleteError,
    InvalidOutputError,
    JSONLimitError,
    JSONSyntaxError,
    RefusedError,
    StreamCancelledError,
    StructStreamError,
    TruncatedError,
)
from .jsonsink import JSONLimits
from .partial import PartialParser, field_names
from .residual import Splice
from .response import Outcome, OutcomeKind, StreamingResponse, ToolCall, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .continuation import Continuation
    from .events import Finished, Started, ToolDelta
    from .partial import Estimate, Step
    from .partial.parser import Transducer
    from .residual.rest import Locate
    from .response import TokenLogprob, Usage
    from .verdicts import TextKind

__all__ = ["AnswerReader", "Said"]

T = TypeVar("T")

# Characters that may wait to be read where steps are far apart: errors are heard of soon all the same.
_BLOCK = 4096


@dataclass(slots=True, eq=False)
class Said:
    """What an answer carried beside the JSON that is read, as it came."""

    prose: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    signature: str = ""
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, tuple[str, str, list[str]]] = field(default_factory=dict)
    choices: dict[int, list[str]] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Finished | None = None
    usage: Usage | None = None
    response_id: str = ""
    sequence_number: int | None = None
    model: str = ""
    service_tier: str = ""

    def note_call(self, delta: ToolDelta) -> None:
        """Take more of a tool call."""
        call = self.calls.get(delta.call)
        if call is None:
            call = self.calls[delta.call] = (delta.name, delta.id, [])
        call[2].append(delta.text)

    def note_choice(self, number: int, text: str) -> None:
        """Take text of an alternative."""
        self.choices.setdefault(number, []).append(text)

    def note_finish(self, event: Finished) -> None:
        """Note why the model stopped; the first word counts, a later one that only says `stop` does not."""
        if self.finish is None or self.finish.reason in ("stop", "other"):
            self.finish = event

    def texts(self) -> Iterator[tuple[TextKind, list[str]]]:
        """Give each text with what it is; the list holds its pieces and may be changed."""
        yield from (("prose", self.prose), ("thinking", self.thinking), ("refusal", self.refusal))
        yield from (("tool_call", parts) for _, _, parts in self.calls.values())
        yield from (("choice", parts) for parts in self.choices.values())

    def withhold(self) -> None:
        """Forget what was said: a guardrail has stopped it, or has not judged it."""
        for _, parts in self.texts():
            parts.clear()
        self.logprobs = []
        self.signature = ""

    def facts(self) -> dict[str, Any]:  # Any: the fields of an Outcome, of several types
        """What of it an outcome tells, by the outcome's own names."""
        return {
            "finish_reason": self.finish.raw if self.finish is not None else None,
            "thinking": "".join(self.thinking),
            "signature": self.signature,
            "refusal": "".join(self.refusal),
            "response_id": self.response_id,
            "sequence_number": self.sequence_number,
            "model": self.model,
            "service_tier": self.service_tier,
            "prose": "".join(self.prose),
            "tool_calls": [ToolCall(name, ident, "".join(parts)) for name, ident, parts in self.calls.values()],
            "logprobs": self.logprobs,
            "usage": self.usage,
            "other_choices": {number: "".join(texts) for number, texts in self.choices.items()},
        }


class AnswerReader(Generic[T]):
    """Reads the JSON of one answer, makes the steps, and decides the outcome.

    Args: as for `StreamDecoder`.
    """

    def __init__(
        self,
        response_model: type[T],
        *,
        lenient: bool,
        wrap_key: str | None,
        limits: JSONLimits | None,
        context: Any,  # Any: Pydantic's own type for it
        fail_fast: bool,
        attempt: int,
        continuation: Continuation | None = None,
        estimate: Estimate | None = None,
    ) -> None:
        if limits is not None and not isinstance(limits, JSONLimits):
            raise ConfigurationError(f"limits must be a JSONLimits(...) or None, not {limits!r}")
        if wrap_key is not None and not isinstance(wrap_key, str):
            raise ConfigurationError(f"wrap_key must be text or None, not {wrap_key!r}")
        self._document = (response_model, wrap_key, limits, context, estimate)
        self._continuation = continuation
        self._splice: Splice | None = None
        self._kept = 0  # characters that a continuation keeps
        self._parser = self._make_parser(lenient=lenient, fail_fast=fail_fast)
        self._call: list[str] | None = None  # where the arguments are told of the call that is the answer
        self._attempt = attempt
        self._chunks: list[str] = []  # deltas since the last step, read or not
        self._unread: list[str] = []
        self._last: Step | None = None
        self._failure: StructStreamError | None = None
        self._confidence: Confidence | None = None
        kept = None if continuation is None else continuation.confidence
        self._kept_confidence = kept if isinstance(kept, Confidence) else None
        self.waiting = 0
        """Characters that came since the last step."""
        stream = None if continuation is None else continuation.take_up
        self.said = Said(response_id="" if stream is None else stream.response_id)
        self._cut = "the connection ended without a finish"
        self.ended = continuation is not None and not continuation.asks
        """Whether the provider's own mark of the end came, or nothing was asked of it."""

    def _make_parser(self, *, lenient: bool, fail_fast: bool) -> PartialParser[T]:
        """A reader of the whole document, which begins with what a continuation keeps."""
        model, key, limits, context, estimate = self._document
        going_on = self._continuation
        prefix = "" if going_on is None else going_on.prefix
        if going_on is not None and going_on.take_up is not None:
            prefix, lenient = going_on.take_up.text, False  # what follows is the middle of a text
        elif going_on is not None and prefix:
            self._splice = Splice(going_on.levels, lenient=lenient, limits=limits)
        self._kept = len(prefix)
        return PartialParser(
            model,
            lenient=lenient,
            wrap_key=key,
            limits=limits,
            context=context,
            fail_fast=fail_fast,
            prefix=prefix,
            transducer=self._splice,
            estimate=estimate,
        )

    @property
    def _has_come(self) -> bool:
        """Whether JSON came in this attempt."""
        return bool(self._parser.text) if self._splice is None else self._splice.begun

    @property
    def failure(self) -> StructStreamError | None:
        """Why the answer failed, as far as that is known before its end."""
        return self._failure

    def own_the_call(self, call: int) -> None:
        """Tell the arguments of a tool call as they were read, and not as they came."""
        parts = self._call = self.said.calls[call][2]
        parts.clear()

    def take_repair(self) -> Transducer | None:
        """Give away what makes the document of what the model writes: from now on its text is what comes."""
        return self._parser.take_repair()

    def locate_by(self, locate: Locate) -> None:
        """Let `locate` find where an open text goes on of which guardrails may have changed what was kept."""
        if self._splice is not None:
            self._splice.locate = locate

    def revise(self, change: Callable[[str], str]) -> None:
        """Make the end from what `change` makes of the JSON text, instead of the text that was added."""
        text = ""
        with suppress(StructStreamError):  # a fault of the text is found again in the new one
            self._parser.feed(self._take_unread())
            self._parser.read()
        with suppress(StructStreamError):
            text = change(self._parser.text)
        model, key, limits, context, estimate = self._document
        self._parser = PartialParser(model, wrap_key=key, limits=limits, context=context, estimate=estimate)
        self._unread = [text]
        self._kept = 0

    def names(self) -> frozenset[str]:
        """Return the keys that are names of the response model's fields."""
        return field_names(self._parser.shape)

    def begin(self, event: Started) -> bool:
        """Take the start of an answer; return whether it is another one's, which voids what was said before it.

        Raises:
            IncompleteError: the provider broke its answer off in the middle of the JSON, and began another one.
        """
        said = self.said
        again = bool(event.response_id) and said.response_id not in ("", event.response_id)
        if again:
            if self._has_come or self._unread or said.choices:
                raise IncompleteError(
                    "the provider broke its answer off and began another; what had closed is in outcome.last_partial"
                )
            said = self.said = Said()
        said.response_id = event.response_id or said.response_id
        said.model = event.model or said.model
        said.service_tier = event.service_tier or said.service_tier
        return again

    def add(self, text: str) -> None:
        """Take more JSON text.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: the text cannot become a value of the type.
        """
        if text:
            self._chunks.append(text)
            self._unread.append(text)
            self.waiting += len(text)
            if self.waiting > _BLOCK:
                self._parser.feed(self._take_unread())

    def _take_unread(self) -> str:
        unread, self._unread = self._unread, []
        return unread[0] if len(unread) == 1 else "".join(unread)

    def step(self) -> StreamingResponse[T] | None:
        """Return what came since the last step; None while no value has begun.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `add`.
        """
        self.waiting = 0
        return self._step_at(self._parser.step(self._take_unread()))

    def take(self, text: str) -> StreamingResponse[T] | None:
        """Add `text` and return the step; as `add` and `step`, where each piece makes a step of its own.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `add`.
        """
        self._chunks.append(text)
        if self._unread:
            self._unread.append(text)
            return self.step()
        return self._step_at(self._parser.step(text))

    def _step_at(self, moment: Step) -> StreamingResponse[T] | None:
        if self._last is None and not moment.begun:  # what has begun to be shown stays so
            return None
        self._last = moment
        chunks, self._chunks = self._chunks, []
        said = self.said
        response: StreamingResponse[T] = StreamingResponse(moment, chunks, self._attempt, None, said.usage)
        if said.logprobs or self._kept_confidence is not None:
            response.confidence = self._sure_of
        return response

    def _sure_of(self, path: str) -> float | None:
        """How sure the model was of a value; see `Confidence.of`."""
        return self._sureness().of(path)

    def _sureness(self) -> Confidence:
        if self._confidence is None or not self._confidence.is_of(self._parser, self.said.logprobs):
            self._confidence = Confidence(
                self._parser, self.said.logprobs, prefix=self._kept, kept=self._kept_confidence
            )
        return self._confidence

    def fail(self, error: StructStreamError) -> StreamingResponse[T] | None:
        """Note why the answer failed; return the step of what was good until then, if there was more."""
        self._failure = error
        try:
            return self.step() if self.waiting else None
        except StructStreamError as earlier:
            self._failure = earlier  # of text that came before the fault
            return self._step_at(self._parser.moment())

    def finish(self, error: StructStreamError | None) -> StreamingResponse[T]:
        """End the answer; `error` tells why it was ended from outside, None that the body ended."""
        result: T | None = None
        if self._failure is None:
            try:
                self._parser.feed(self._take_unread())
                self._parser.read()
            except (JSONSyntaxError, JSONLimitError, InvalidOutputError) as invalid:
                self._failure = invalid
        problem = self._failure or self._verdict(error)
        if problem is None:
            try:
                result = self._value()
            except (JSONSyntaxError, JSONLimitError, InvalidOutputError) as invalid:
                problem = invalid
        if isinstance(problem, JSONSyntaxError | JSONLimitError):
            problem = self._not_json(problem)
        last = self._parser.moment()
        if last.begun:
            self._last = last
        return StreamingResponse(last, self._chunks, self._attempt, self._outcome(result, problem), self.said.usage)

    def _verdict(self, error: StructStreamError | None) -> StructStreamError | None:
        """Why there is no result, as far as that does not depend on the JSON's end."""
        reason = self.said.finish.reason if self.said.finish is not None else None
        if isinstance(error, StreamCancelledError):
            return error
        if reason == "refused" or (self.said.refusal and not self._parser.done):
            return RefusedError("".join(self.said.refusal))
        if reason == "filtered":
            return FilteredError("the provider's content filter cut the answer")
        if reason is None:
            try:
                whole = self.ended and self._closes()
            except InvalidOutputError as invalid:
                return invalid
            if not whole:
                return error or IncompleteError(f"{self._cut}; what had closed is in outcome.last_partial")
        if reason == "length" and not self._parser.done:
            return TruncatedError(
                "the model hit its output limit before the JSON closed: raise max_tokens or ask for less"
            )
        return None

    def _closes(self) -> bool:
        """Whether the text, if it ends here, is a whole document; a number at the root ends with the text."""
        with suppress(JSONSyntaxError, JSONLimitError):
            self._parser.finish()
        return self._parser.done

    def _value(self) -> T:
        text = "".join(self.said.prose) or next(("".join(parts) for _, _, parts in self.said.calls.values()), "")
        if text and not self._has_come:
            # A tool call was due and text came, or the other way round: many compatible providers do so.
            self._parser = self._make_parser(lenient=True, fail_fast=True)
            self._parser.feed(text)
        return self._parser.finish()

    def _not_json(self, error: JSONSyntaxError | JSONLimitError) -> InvalidOutputError:
        if not (self._has_come and self._parser.text.strip()):
            where = (
                "the model answered with text instead of the tool call" if self.said.prose else "the answer is empty"
            )
            invalid = InvalidOutputError(f"{where}: no JSON came{self._ending()}")
        else:
            invalid = InvalidOutputError(f"{error}{self._ending()}", path=error.path)
        invalid.__cause__ = error
        return invalid

    def _ending(self) -> str:
        """The provider's own word for an end that is none of the usual ones."""
        finish = self.said.finish
        return f" (the provider ended with {finish.raw!r})" if finish is not None and finish.reason == "other" else ""

    def _outcome(self, result: T | None, problem: StructStreamError | None) -> Outcome[T]:
        if self._call is not None:
            self._call[:] = [self._parser.text]
        facts = self.said.facts()
        if self.said.logprobs or self._kept_confidence is not None:
            facts["confidence"] = self._sureness()
        outcome = Outcome(
            kind=OutcomeKind.COMPLETE if problem is None else kind_of(problem),
            result=result,
            error=problem,
            last_partial=self._last.snapshot if self._last is not None else None,
            completed=self._parser.completed(),
            raw_text=self._parser.text,
            **facts,
        )
        if problem is not None:
            problem.outcome = outcome
        return outcome

    def note_end_of_text(self) -> None:
        """Note that the text ended where its source did: if the value is whole, that is its finish."""
        self.ended = True
        self._cut = "the text ended before its value closed"
