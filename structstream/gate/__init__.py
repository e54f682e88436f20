"""What stands between what a provider said and what is read of it: guardrails over JSON text, as it comes.

A gate takes the text of an answer, cut anywhere, and gives text of the same structure in which strings, keys and
scalars are as the guardrails have judged them. All that is shown is made from the text that it gives, so what it keeps
back is seen nowhere. Pure: no clock, no network, no event loop.
"""

from __future__ import annotations

from .gate import Gate
from .rails import Rail, awaits
from .segments import Ask

__all__ = ["Ask", "Gate", "Rail", "awaits"]
