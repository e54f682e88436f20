"""Guardrails that come with the library: what judges prompts before they are sent and answers before they are shown.

They are given to a service or a request (`guardrails=[...]`); what any guardrail is, stands in `structstream.verdicts`.
"""

from __future__ import annotations

from structstream.verdicts import ALLOW, REDACTED, GuardedText, Guardrail, Judgement, Span, Verdict

from .denylist import DenyList
from .functions import CallableGuardrail
from .length import MaxLength
from .patterns import PatternGuardrail, Rule
from .personal import PersonalData
from .prompt import PromptLength
from .secrets import Secrets

__all__ = [
    "ALLOW",
    "REDACTED",
    "CallableGuardrail",
    "DenyList",
    "GuardedText",
    "Guardrail",
    "Judgement",
    "MaxLength",
    "PatternGuardrail",
    "PersonalData",
    "PromptLength",
    "Rule",
    "Secrets",
    "Span",
    "Verdict",
]
