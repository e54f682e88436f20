"""Layers stack in the order in which they are written, and a call that was not made ends in its outcome."""

from __future__ import annotations

import pytest

from structstream.errors import UnavailableError
from structstream.request import StreamingStructuredRequest
from structstream.resilience import Call, Layer, Steps, ended, stack
from structstream.response import OutcomeKind

REQUEST = StreamingStructuredRequest(response_model=int, model="openai/gpt-4o", prompt="Legs of a cat?")


@pytest.mark.anyio
async def test_the_first_layer_is_the_outermost_and_none_is_left_out() -> None:
    seen: list[str] = []

    def noting(name: str) -> Layer:
        def layer(call: Call) -> Call:
            async def run(request: StreamingStructuredRequest[int]) -> Steps:
                seen.append(name)
                async for step in call(request):
                    yield step

            return run

        return layer

    async def call(request: StreamingStructuredRequest[int]) -> Steps:
        yield ended(OutcomeKind.UNAVAILABLE, UnavailableError("the circuit is open"))

    steps = [step async for step in stack(call, noting("retry"), None, noting("breaker"))(REQUEST)]
    assert seen == ["retry", "breaker"]
    assert [step.is_complete for step in steps] == [True]


def test_a_call_that_was_not_made_ends_in_its_outcome() -> None:
    error = UnavailableError("the circuit is open", retry_after=3)
    step = ended(OutcomeKind.UNAVAILABLE, error, attempt=2)
    assert step.outcome is not None
    assert (step.outcome.kind, step.outcome.error, step.attempt) == (OutcomeKind.UNAVAILABLE, error, 2)
    assert error.outcome is step.outcome
