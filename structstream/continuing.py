"""How an answer that broke off is taken up again: the request for its rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .continuation import AskedFor, Continuation
from .errors import InvalidOutputError
from .partial.moment import shows_open_text
from .partial.schema import shape_of
from .partial.wrapped import wrapper
from .providers import model_schema
from .residual import rests, salvage
from .text import render_path

if TYPE_CHECKING:
    from .request import Message, StreamingStructuredRequest
    from .response import Outcome

__all__ = ["asked", "continued"]

T = TypeVar("T")

_SAID = """\
Your answer broke off. What stands of it is kept, and is not to be said again:

<so_far>
{prefix}
</so_far>

Answer now with what is missing, and with nothing else, in one JSON object with these keys:

{places}"""
_REFUSED = """

What came next was refused. At {path}: {problem}{value}. Say it right this time."""


def continued(request: StreamingStructuredRequest[T], outcome: Outcome[T]) -> StreamingStructuredRequest[T] | None:
    """Return the request for what is missing of an answer.

    Args:
        request: that which the answer was given to.
        outcome: how it ended, and what was saved.

    Returns:
        The same request with a continuation; None where nothing would be gained: no value had closed, or what closed
        is all that there is and was refused as a whole. Where all of it had closed and only the finish was missing,
        nothing is asked for.
    """
    schema = model_schema(request.response_model)
    text = outcome.raw_text if outcome.kept_text is None else outcome.kept_text
    if "" in outcome.completed and not isinstance(outcome.error, InvalidOutputError):
        return replace(request, continuation=Continuation(text, (), None, ""))
    shape = shape_of(request.response_model if schema.wrap is None else wrapper(request.response_model, schema.wrap))
    found = salvage(text, grows=shows_open_text(text, shape))
    plan = None if found is None else rests(found, schema.plain)
    if plan is None or (not any(level.count for level in plan.salvage.levels) and not plan.salvage.text):
        return None
    path = render_path(plan.salvage.path)
    properties = {} if plan.schema is None else plan.schema["properties"]
    said = _SAID.format(
        prefix=plan.salvage.prefix,
        places="\n".join(f"- {name}: {place['description']}" for name, place in properties.items()),
    )
    if isinstance(outcome.error, InvalidOutputError):
        error = outcome.error
        value = "" if error.value is None else f"; it was {error.value}"
        said += _REFUSED.format(path=error.path or "the root", problem=error.problem, value=value)
    continuation = Continuation(plan.salvage.prefix, plan.places, plan.schema, said, path)
    return replace(request, continuation=continuation)


def asked(request: StreamingStructuredRequest[T]) -> StreamingStructuredRequest[T]:
    """Return what goes to the provider for `request`: of one with a continuation, the question for the rest."""
    continuation = request.continuation
    if continuation is None or continuation.schema is None:
        return request
    said: Message = {"role": "user", "content": continuation.said}
    before: tuple[Message, ...] = () if request.prompt is None else ({"role": "user", "content": request.prompt},)
    name = f"{model_schema(request.response_model).name}_rest"
    return replace(
        request,
        response_model=AskedFor(name, continuation.schema),  # type: ignore[arg-type]  # stands for a type, on the wire
        prompt=None,
        messages=(*request.messages, *before, said),
        continuation=None,
    )
