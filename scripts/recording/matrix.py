"""Which cassettes there are: each dialect, in each mode, with each way in which a stream ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from structstream import Mode, Outcome, OutcomeKind, Policies, StreamingStructuredRequest, StructuredLLMService
from structstream.testing import (
    Fault,
    content_filter,
    cut_at_byte,
    in_band_error,
    length,
    refusal,
    reset_at_byte,
    status,
)

__all__ = ["CASES", "FOLDER", "MODELS", "Case", "City", "take"]

FOLDER = Path(__file__).parents[2] / "cassettes"


class City(BaseModel):
    """A city and what to see there."""

    name: str
    country: str
    population: int
    sights: list[str]


_CITY = '{"name": "Zürich", "country": "Switzerland", "population": 443037, "sights": ["Grossmünster", "Uetliberg"]}'

MODELS: Mapping[str, str] = {
    "openai_chat": "openai/gpt-4o",
    "openai_responses": "openai-responses/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "google": "google/gemini-2.5-flash",
}
"""The model that is asked for in each dialect."""

_MODES: Sequence[Mode] = ("native", "tool", "prompted")


# What is recorded is one call.
_ONE_CALL = Policies(retry=None, breaker=None, concurrency=None, pause=None, fallback=None)


@dataclass(frozen=True)
class Case:
    """One cassette.

    Args:
        dialect, mode, name: where it lies in the folder.
        kind: the outcome.
        fault: what goes wrong with the answer; None for nothing.
        document: what the model says.
        steps: how many the caller takes before he leaves; None for all.
    """

    dialect: str
    mode: Mode
    name: str
    kind: OutcomeKind
    fault: Fault | None = None
    document: str = _CITY
    steps: int | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / self.dialect / self.mode / f"{self.name}.yaml"

    @property
    def request(self) -> StreamingStructuredRequest[City]:
        """What is asked."""
        return StreamingStructuredRequest(
            response_model=City,
            model=MODELS[self.dialect],
            prompt="A city by a lake",
            mode=self.mode,
            policies=_ONE_CALL,
        )


def _cases(dialect: str, mode: Mode) -> list[Case]:
    # To Google a model that declines is a case for its filter; to Anthropic what the filter stops has declined.
    refused = OutcomeKind.FILTERED if dialect == "google" else OutcomeKind.REFUSED
    filtered = OutcomeKind.REFUSED if dialect == "anthropic" else OutcomeKind.FILTERED
    # Google sends a tool call in one piece.
    byte, steps = (200, 1) if (dialect, mode) == ("google", "tool") else (850, 3)
    invalid = _CITY.replace("443037", '"about half a million"')
    return [
        Case(dialect, mode, "complete", OutcomeKind.COMPLETE),
        Case(dialect, mode, "truncated", OutcomeKind.TRUNCATED, length(48)),
        Case(dialect, mode, "refused", refused, refusal()),
        Case(dialect, mode, "filtered", filtered, content_filter(2)),
        Case(dialect, mode, "incomplete", OutcomeKind.INCOMPLETE, cut_at_byte(byte)),
        Case(dialect, mode, "reset", OutcomeKind.INCOMPLETE, reset_at_byte(byte)),
        Case(dialect, mode, "rate_limited", OutcomeKind.PROVIDER_ERROR, status(429, {"retry-after": "20"})),
        Case(dialect, mode, "server_error", OutcomeKind.PROVIDER_ERROR, status(500)),
        Case(dialect, mode, "in_band_error", OutcomeKind.PROVIDER_ERROR, in_band_error(2)),
        Case(dialect, mode, "invalid", OutcomeKind.INVALID, document=invalid),
        Case(dialect, mode, "cancelled", OutcomeKind.CANCELLED, steps=steps),
    ]


CASES = [case for dialect in MODELS for mode in _MODES for case in _cases(dialect, mode)]
"""Every cassette."""


async def take(service: StructuredLLMService, case: Case) -> Outcome[City] | None:
    """Take the steps of a case, and return its outcome."""
    async with service.route_structured_streaming(case.request) as stream:
        steps = 0
        async for _ in stream:
            steps += 1
            if steps == case.steps:
                break
    return stream.outcome
