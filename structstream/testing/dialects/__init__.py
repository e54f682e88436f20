"""The dialects that the simulated provider speaks: one file and one row each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .anthropic import Anthropic
from .google import Google
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses

if TYPE_CHECKING:
    from .base import WireDialect

__all__ = ["DIALECTS", "dialect_for"]

DIALECTS: tuple[tuple[re.Pattern[str], WireDialect], ...] = (
    (re.compile(r"(/v1)?/chat/completions|/openai/deployments/[^/]+/chat/completions"), OpenAIChat()),
    (re.compile(r"(/v1)?/responses|/openai(/v1)?/responses"), OpenAIResponses()),
    (re.compile(r"(/v1)?/messages"), Anthropic()),
    (
        re.compile(
            r"(?:/v1(?:alpha|beta1?)?(?:/projects/[^/]+/locations/[^/]+/publishers/google)?)?"
            r"/(?:models|tunedModels)/[^/:]+:(?:generateContent|streamGenerateContent)"
        ),
        Google(),
    ),
)
"""The path of a POST request, and who answers it; the first row that matches the whole path decides."""


def dialect_for(path: str) -> WireDialect | None:
    """Return the dialect that answers a POST to `path`; None where there is none.

    >>> dialect_for("/v1/chat/completions").name
    'openai_chat'
    """
    return next((dialect for pattern, dialect in DIALECTS if pattern.fullmatch(path)), None)
