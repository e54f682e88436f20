"""What each of several failures ends in, one after another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from structstream import Outcome, StructuredLLMService

__all__ = ["FAILURES", "Failure", "show_failures"]

_SPEED = 400.0  # tokens a second: each failure is to be over soon
_DEADLINE = 0.4  # seconds between two reads


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure to show: what happens, the fault as its header has it, and the outcome that it must end in."""

    what: str
    fault: str
    outcome: str


FAILURES = (
    Failure("nothing goes wrong", "", "complete"),
    Failure("the model hits its output limit", "length(700)", "truncated"),
    Failure("the body ends without a finish", "cut_at_byte(60000)", "incomplete"),
    Failure("the connection is reset", "reset_at_byte(60000)", "incomplete"),
    Failure("the provider falls silent", "stall_at_byte(60000)", "timeout"),
    Failure("an error event inside the stream", "in_band_error(150)", "provider_error"),
    Failure("the model refuses", "refusal()", "refused"),
    Failure("a content filter cuts in", "content_filter(120)", "filtered"),
    Failure("text that is no JSON", "no_tool_call('I would rather not.')", "invalid"),
    Failure("too many requests", "status(429, {'retry-after': '2'})", "provider_error"),
    Failure("a web page instead of an answer", "html_200()", "provider_error"),
)


def show_failures(arguments: argparse.Namespace) -> int:
    """Have each failure happen, print what it ended in and what was saved; return 0 if all ended as they must.

    Raises:
        ConfigurationError: the model is not the simulated one: only that can be told to fail.
    """
    from structstream import ConfigurationError

    from .embedded import embedded

    if not arguments.model.startswith("simulated/"):
        raise ConfigurationError("--simulate-failures works with the simulated model only: leave --model out")
    with embedded(arguments.model, seed=arguments.seed, speed=arguments.speed and _SPEED, first_token_delay=0):
        return asyncio.run(_all(arguments))


async def _all(arguments: argparse.Namespace) -> int:
    from structstream import StructuredLLMService

    wrong = 0
    async with StructuredLLMService() as service:
        for failure in FAILURES:
            outcome = await _one(service, arguments, failure)
            right = outcome.kind.value == failure.outcome
            wrong += not right
            print(f"{failure.what}  —  {failure.fault or 'no fault'}")
            print(f"    outcome  {outcome.kind.value}" + ("" if right else f", but it should be {failure.outcome}"))
            if outcome.error is not None:
                print(f"    error    {type(outcome.error).__name__}: {outcome.error}")
            print(f"    saved    {_saved(outcome)}", flush=True)
    return 1 if wrong else 0


async def _one(service: StructuredLLMService, arguments: argparse.Namespace, failure: Failure) -> Outcome[Any]:
    from structstream import ConfigurationError, Timeouts

    from .schemas import make_request

    request = make_request(
        arguments,
        timeouts=Timeouts(between_tokens=_DEADLINE),
        max_retries=0,
        headers={"x-simulate": failure.fault} if failure.fault else {},
    )
    async with service.route_structured_streaming(request) as stream:
        async for _ in stream:
            pass
    if stream.outcome is None:
        raise ConfigurationError("the stream ended without an outcome")
    return stream.outcome


def _saved(outcome: Outcome[Any]) -> str:  # Any: of any response model
    if outcome.result is not None:
        return "the whole, validated object"
    closed = len([path for path in outcome.completed if path])
    return f"{closed} closed values of {len(outcome.raw_text)} characters" if outcome.raw_text else "nothing had come"
