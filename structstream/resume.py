"""From an attempt that ended early to the request that goes on where it stopped: a pure function of the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .continuation import Continuation, TakeUp
from .errors import InvalidOutputError, JSONLimitError, JSONSyntaxError
from .jsonstream import JSONStream
from .partial.builder import UNBOUNDED, Builder
from .partial.nodes import Node, open_path
from .partial.schema import shape_of
from .partial.shapes import RecordPart
from .partial.wrapped import unwrapped_path, wrapper
from .providers.schema import model_schema
from .residual import read_open, residual_schema, stem_for, walk
from .response import OutcomeKind
from .text import TextBuffer, render_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .partial.shapes import Shape
    from .request import Message, StreamingStructuredRequest
    from .residual import Opened
    from .response import Outcome

__all__ = ["MAX_SHOWN", "continued_request"]

T = TypeVar("T")

MAX_SHOWN = 200_000
"""Characters of what is kept that the model is shown, if the caller does not say."""


def continued_request(
    request: StreamingStructuredRequest[T],
    outcome: Outcome[T],
    *,
    refused: InvalidOutputError | None = None,
    max_shown: int = MAX_SHOWN,
) -> StreamingStructuredRequest[T] | None:
    """Return the request that goes on where the attempt with this outcome stopped; None where nothing was won.

    Every value that had closed is kept, and so is what was there of an open text that grows; the request asks for the
    rest by a schema of only what is missing. Its stream begins with all that is kept, and its raw text is the whole
    document, so that an attempt which goes on can itself be gone on with. Where only brackets are missing, the request
    asks for nothing, and no call is made for it.

    Args:
        request: what was asked for, or went on, in the attempt that ended.
        outcome: how that ended; `kind` and `raw_text` are read.
        refused: the value that closed invalid; it and what follows is asked for again, with what was wrong. Then a
            request is always returned: if nothing could be kept, one for the whole.
        max_shown: how much of what is kept the model is shown, in characters; of a longer text the end.

    Raises:
        ConfigurationError: the response model has no JSON schema.
    """
    schema = model_schema(request.response_model)
    model: Any = request.response_model  # Any: typing constructs are no types
    shape = shape_of(model if schema.wrap is None else wrapper(model, schema.wrap))
    text = outcome.raw_text
    opened = read_open(text)
    if refused is not None:
        opened = _before_refused(text, shape, request.context) or opened
    if opened.done:
        # Read to its end and found wrong, it would be so again.
        is_good = refused is None and outcome.kind is not OutcomeKind.INVALID
        found = Continuation(prefix=text) if is_good else None
    else:
        found = _planned(opened, schema.plain, shape, refused, max_shown)
    if found is None and refused is not None:
        found = Continuation(prefix="", messages=_again(text, refused, max_shown))
    if found is not None and schema.wrap is not None:
        found = replace(found, path=unwrapped_path(found.path, schema.wrap) or "")
    if found is not None and refused is None:
        found = replace(found, take_up=_lost_stream(request, outcome))
    if found is not None:
        found = replace(found, confidence=outcome.confidence)
    return None if found is None else replace(request, continuation=found)


def _lost_stream(request: StreamingStructuredRequest[T], outcome: Outcome[T]) -> TakeUp | None:
    """The stream of the attempt, where the provider sends a lost one on: a background response, whose events count."""
    number, text = outcome.sequence_number, outcome.raw_text
    was_repaired = any(attempt.mode == "prompted" for attempt in outcome.attempts[-1:])
    if request.extra.get("background") is not True or number is None or not outcome.response_id or was_repaired:
        return None
    if outcome.kind not in _LOST:
        return None
    return TakeUp(request.model, outcome.response_id, number, text)


_LOST = frozenset({OutcomeKind.INCOMPLETE, OutcomeKind.TIMEOUT})


def _planned(
    opened: Opened,
    schema: Mapping[str, Any],  # Any: JSON
    shape: Shape,
    refused: InvalidOutputError | None,
    max_shown: int,
) -> Continuation | None:
    """Keep what can be followed in the schema, and plan what is asked for; None where nothing is kept."""
    given = _shown(opened, shape)
    if not given.text_grows:
        opened.string_at = None
    found = walk(schema, opened)
    opened.cut(len(found.containers))
    if not found.texts:
        opened.string_at = None
    if not opened.holds_something:
        return None
    levels = opened.levels(stem_for(schema))
    residual = residual_schema(
        schema, found, levels, [given.at(depth, opened) for depth in range(len(found.containers))]
    )
    asked = residual["properties"]
    return Continuation(
        prefix=opened.prefix,
        levels=tuple(level if level.name in asked else replace(level, name="") for level in levels),
        schema=residual if asked else None,
        messages=_go_on(opened.prefix, asked, refused, max_shown) if asked else (),
        path=render_path(levels[0].path),
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of an open text is shown, and how."""

    text_grows: bool
    """The open string is one that is shown while it grows."""
    closed: list[frozenset[str]]
    """For each open container that is shown, the root first, all the keys of the fields that closed."""
    open: list[frozenset[str]]
    """The same of the field that is open."""

    def at(self, depth: int, opened: Opened) -> frozenset[str]:
        """The keys of all that is there of a container, under whichever of its names it was given."""
        if depth >= len(self.closed):
            return frozenset()
        return self.closed[depth] | (self.open[depth] if opened.goes_on(depth) else frozenset())


def _shown(opened: Opened, shape: Shape) -> _Shown:
    buffer = TextBuffer()
    builder = Builder(shape, buffer, check=False)
    JSONStream(builder, limits=UNBOUNDED, allow_nan=True, buffer=buffer).feed(opened.prefix)
    shown = _Shown(builder.text is not None, [], [])
    for node in open_path(builder.top)[1:]:
        closed: set[str] = set()
        going_on: set[str] = set()
        if isinstance(node, Node) and isinstance(node.part, RecordPart):
            for key, field in node.part.lookup.items():
                if (entry := node.where.get(field.name)) is not None:
                    (closed if entry < len(node.values) else going_on).add(key)
        shown.closed.append(frozenset(closed))
        shown.open.append(frozenset(going_on))
    return shown


def _before_refused(text: str, shape: Shape, context: object) -> Opened | None:
    """What is open before the value or key that closes invalid in `text`; None where none does."""
    buffer = TextBuffer()
    builder = Builder(shape, buffer, context=context)
    reader = JSONStream(builder, limits=UNBOUNDED, allow_nan=True, buffer=buffer)
    try:
        reader.feed(text)
    except InvalidOutputError as error:
        if builder.refused_at is None:
            return read_open(text[: reader.mark])
        last = text[builder.refused_at - 1]
        opened = read_open(text[: builder.refused_at - 1])
        lacks = bool(error.errors) and all(problem["type"] == "missing" for problem in error.errors)
        if last == '"':
            opened.string_at = None
        elif last in "}]" and not lacks:
            opened.cut(len(opened.containers) - 1)
        return opened
    except (JSONSyntaxError, JSONLimitError):
        return None  # it was no value that was refused
    return None


# --- what is said to the model ---

_GO_ON = (
    "{why} Do not begin again and repeat nothing: what stands there is kept as it is, and your next answer is put "
    "behind it. Give only what is still missing, as one JSON object with these members:\n{members}"
)
_BROKE_OFF = "Your answer above, which is JSON, broke off before its end."
_REFUSED = (
    "Your answer above, which is JSON, was stopped at {path} because the value there cannot be accepted: "
    "{problem}{value} Give that value anew, so that it can."
)
_AGAIN = "Your answer cannot be accepted. At {path}: {problem}{value} Give the whole answer again, so that it can."


def _go_on(
    prefix: str,
    asked: Mapping[str, Any],
    refused: InvalidOutputError | None,
    max_shown: int,  # Any: JSON
) -> tuple[Message, ...]:
    members = "\n".join(f"- {name}: {rest['description']}" for name, rest in asked.items())
    why = _BROKE_OFF if refused is None else _told(_REFUSED, refused)
    return _said(prefix, _GO_ON.format(why=why, members=members), max_shown)


def _again(text: str, refused: InvalidOutputError, max_shown: int) -> tuple[Message, ...]:
    return _said(text, _told(_AGAIN, refused), max_shown)


def _told(sentence: str, refused: InvalidOutputError) -> str:
    value = "." if refused.value is None else f". It was: {refused.value}"
    return sentence.format(path=refused.path or "the root", problem=refused.problem, value=value)


def _said(answer: str, instruction: str, max_shown: int) -> tuple[Message, ...]:
    """The answer so far as the model's own message, then what is asked of it."""
    if len(answer) > max_shown:
        instruction = f"(The first {len(answer) - max_shown} characters of it are left out here.) {instruction}"
        answer = answer[-max_shown:]
    said = [{"role": "assistant", "content": answer}] if answer else []
    return (*said, {"role": "user", "content": instruction})
