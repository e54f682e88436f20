"""Cut a document, go on with it, and say what that came to: for the laws of resuming."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from structstream.continuation import Continuation, OpenLevel
from structstream.errors import InvalidOutputError
from structstream.partial import PartialParser
from structstream.providers import ROUTES, wrap_key
from structstream.request import StreamingStructuredRequest
from structstream.residual import Splice, rest_of, written
from structstream.response import Outcome, OutcomeKind
from structstream.resume import continued_request
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider
from tests.edge import BARE

__all__ = [
    "MODELS",
    "Tried",
    "answer_to",
    "asked_again",
    "closed_in",
    "continued",
    "document_of",
    "gone_on",
    "outcome_of",
    "speaking",
    "tried",
]


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


@asynccontextmanager
async def speaking(dialect: str, **provider: Any) -> AsyncIterator[tuple[StructuredLLMService, SimulatedProvider]]:
    """Run a simulated provider, and a service that speaks one dialect to it."""
    spec = ROUTES[MODELS[dialect].partition("/")[0]]
    async with SimulatedProvider(**provider) as simulated:
        base_url = simulated.base_url.removesuffix("" if spec.base_url.endswith("/v1") else "/v1")
        row = replace(spec, base_url=base_url, base_url_env=())
        async with StructuredLLMService(
            providers={spec.name: row}, api_keys={spec.name: "any"}, policies=BARE
        ) as service:
            yield service, simulated


MODELS = {
    "openai_chat": "openai/gpt-4o",
    "openai_responses": "openai-responses/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "google": "google/gemini-2.5-flash",
}
"""A model that speaks each dialect."""


@dataclass
class Tried:
    """What the attempts for one answer came to."""

    outcome: Outcome[Any]
    plans: list[str] = field(default_factory=list)  # of the attempts after the first: resume or restart
    asked_again: list[str] = field(default_factory=list)


async def tried(
    service: StructuredLLMService, request: StreamingStructuredRequest[Any], fault: str = "", *, most: int = 2
) -> Tried:
    """Make at most `most` attempts, the first with a fault, each going on where the one before stopped."""
    headers = {"x-simulate": fault} if fault else {}
    done = Tried(await outcome_of(service, replace(request, headers=headers)))
    while done.outcome.error is not None and len(done.plans) + 1 < most:
        going_on = continued_request(request, done.outcome)
        done.plans.append("restart" if going_on is None else "resume")
        if going_on is not None and going_on.continuation is not None:
            done.asked_again += asked_again(going_on.continuation)
        request = replace(request, continuation=None) if going_on is None else going_on
        done.outcome = await outcome_of(service, request)
    return done


async def outcome_of(service: StructuredLLMService, request: StreamingStructuredRequest[Any]) -> Outcome[Any]:
    last = None
    async with aclosing(service.route_structured_streaming(request)) as stream:
        async for step in stream:
            last = step.outcome
    assert last is not None
    return last
