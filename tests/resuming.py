"""Cut a document, go on with it, and say what that came to: for the laws of resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from structstream.continuation import Continuation, OpenLevel
from structstream.errors import InvalidOutputError
from structstream.partial import PartialParser
from structstream.providers import wrap_key
from structstream.request import StreamingStructuredRequest
from structstream.residual import Splice, rest_of, written
from structstream.response import Outcome, OutcomeKind
from structstream.resume import continued_request

__all__ = ["answer_to", "asked_again", "closed_in", "continued", "document_of", "gone_on"]


def document_of(kind: Any, text: str) -> str:  # Any: all that a TypeAdapter takes, here and below
    """The document of a type as it goes over the wire."""
    key = wrap_key(kind)
    return text if key is None else f'{{"{key}":{text}}}'


def continued(kind: Any, text: str, refused: InvalidOutputError | None = None) -> Continuation | None:
    """What follows upon an attempt that got as far as `text`."""
    request: StreamingStructuredRequest[Any] = StreamingStructuredRequest(
        response_model=type(None) if kind is None else kind, model="openai/gpt-4o", prompt="Who?"
    )
    found = continued_request(request, Outcome(OutcomeKind.INCOMPLETE, raw_text=text), refused=refused)
    return None if found is None else found.continuation


def gone_on(
    kind: Any, continuation: Continuation, pieces: Sequence[str], *, lenient: bool = False, context: Any = None
) -> PartialParser[Any]:
    """The parser of an attempt that goes on, once it was fed the pieces of an answer."""
    parser: PartialParser[Any] = PartialParser(
        kind,
        wrap_key=wrap_key(kind),
        prefix=continuation.prefix,
        transducer=Splice(continuation.levels, lenient=lenient),
        context=context,
        lenient=lenient,
    )
    for piece in pieces:
        parser.step(piece)
    return parser


def answer_to(continuation: Continuation, document: str) -> str:
    """What a model that has `document` in mind answers."""
    return written(rest_of(document, continuation.levels)) if continuation.asks else ""


def closed_in(prefix: str, level: OpenLevel) -> set[str]:
    """The keys of an open object that have closed, or are open, by the standard library's own reading."""
    value: Any = json.loads(prefix + _closing(prefix))
    for step in level.path:
        value = value[step]
    return set(value) if isinstance(value, dict) else set()


def _closing(prefix: str) -> str:
    stack: list[str] = []
    in_string = escaped = False
    for char in prefix:
        if in_string:
            escaped, in_string = char == "\\" and not escaped, char != '"' or escaped
        elif char == '"':
            in_string = True
        elif char in "{[":
            stack.append("}" if char == "{" else "]")
        elif char in "}]":
            stack.pop()
    return ('"' if in_string else "") + "".join(reversed(stack))


def asked_again(continuation: Continuation) -> Iterator[str]:
    """What the schema of the rest asks for though it is there."""
    schema = continuation.schema or {"properties": {}}
    named = {level.name: level for level in continuation.levels if level.name}
    if set(schema["properties"]) != set(named):
        yield "levels and schema differ"
    for name, level in named.items():
        closed = closed_in(continuation.prefix, level)
        for each in _alternatives(schema["properties"][name]):
            yield from (f"{name}: {key}" for key in each.get("properties", ()) if key in closed)
            if level.kind == "items" and each.get("prefixItems") and "maxItems" in each:
                yield from ["too many positions"] * (len(each["prefixItems"]) > each["maxItems"])
    for definition in schema.get("$defs", ()):
        if f'"#/$defs/{definition}"' not in json.dumps(schema):
            yield f"{definition} is defined and not used"


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(schema["anyOf"]) if "anyOf" in schema else [schema]
