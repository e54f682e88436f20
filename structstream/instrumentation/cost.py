"""Prices of tokens, from the tables of genai-prices: offline, and as old as the installed version of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from structstream.errors import MissingDependencyError

try:
    from genai_prices import Usage as Tokens, calc_price
except ImportError as error:
    raise MissingDependencyError("cost_of", extra="prices") from error

if TYPE_CHECKING:
    from structstream.response import Usage

__all__ = ["cost_of"]


def cost_of(provider: str, model: str, usage: Usage) -> float | None:
    """Return what `usage` costs in US dollars; None where no price is known.

    Cached input tokens cost what the provider takes for reading its cache. Prices by hour of the day or by length of
    the context are those of the table.

    Args:
        provider: its name in the routing table, such as ``openai`` or ``openai-responses``.
        model: as the provider calls it.
        usage: the tokens.

    >>> from structstream.response import Usage
    >>> cost_of("openai", "gpt-4o", Usage(input_tokens=1_000_000, output_tokens=100_000))
    3.5
    >>> cost_of("openai", "no-such-model", Usage(input_tokens=1)) is None
    True
    """
    tokens = Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=min(usage.cached_input_tokens, usage.input_tokens),
    )
    return _calculated(provider, model, tokens) if _known(provider, model) else None


@lru_cache(maxsize=1024)
def _known(provider: str, model: str) -> bool:
    """A model that is unknown is looked for at length: once is enough."""
    try:
        _calculated(provider, model, Tokens(input_tokens=1, output_tokens=1, cache_read_tokens=0))
    except (LookupError, ValueError):
        return False
    return True


def _calculated(provider: str, model: str, tokens: Tokens) -> float:
    return float(calc_price(tokens, model, provider_id=provider.removesuffix("-responses")).total_price)
