"""Which provider answers for a model's name: a table, and how a row of it becomes a provider.

A new provider that speaks a known dialect is one row in `compatible.py`; a new dialect is one file and one row in
`DIALECTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from structstream.errors import ConfigurationError

from .anthropic import Anthropic
from .base import ConcreteMode, Provider, ProviderDecoder, ProviderSpec
from .compatible import COMPATIBLE, RESPONSES
from .google import Google
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses
from .schema import WRAP_KEY, ModelSchema, model_schema, schema_of, wrap_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.request import HTTPRequest, StreamingStructuredRequest

__all__ = [
    "DIALECTS",
    "ROUTES",
    "WRAP_KEY",
    "ConcreteMode",
    "ModelSchema",
    "Provider",
    "ProviderDecoder",
    "ProviderSpec",
    "Route",
    "model_schema",
    "resolve_mode",
    "route",
    "schema_of",
    "wrap_key",
]

T = TypeVar("T")

DIALECTS: Mapping[str, Callable[[ProviderSpec], Provider]] = {
    "openai_chat": OpenAIChat,
    "openai_responses": OpenAIResponses,
    "anthropic": Anthropic,
    "google": Google,
}
"""How each dialect is made, by the name that a row of `ROUTES` gives it."""

ROUTES: Mapping[str, ProviderSpec] = {spec.name: spec for spec in (*RESPONSES, *COMPATIBLE)}
"""Each provider, by what stands before the slash of a model's name."""

# Names that need no prefix, by their start.
_BARE: Sequence[tuple[str, str]] = (
    (r"gpt-|chatgpt-|ft:gpt-|o[1-9](?:-|$)", "openai"),
    (r"claude-", "anthropic"),
    (r"gemini-", "google"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers for a model.

    Args:
        provider: the provider in its dialect.
        model: the model as the provider calls it.
    """

    provider: Provider
    model: str

    @property
    def spec(self) -> ProviderSpec:
        """What is known about the provider."""
        return self.provider.spec

    def mode(self, request: StreamingStructuredRequest[T]) -> ConcreteMode:
        """Return the mode in which `request` will be sent; see `resolve_mode`."""
        return resolve_mode(request, self.spec, self.model)

    def encode(self, request: StreamingStructuredRequest[T]) -> HTTPRequest:
        """Return the call for `request` in its mode.

        Raises:
            ConfigurationError: the provider or the mode cannot do it.
        """
        return self.provider.encode(request, model=self.model, mode=self.mode(request))

    def take_up(self, request: StreamingStructuredRequest[T]) -> HTTPRequest | None:
        """Return the call that sends the lost stream of `request` on; None where there is none, or not from here."""
        stream = None if request.continuation is None else request.continuation.take_up
        return None if stream is None or stream.model != request.model else self.provider.take_up(request, stream)


def route(model: str, providers: Mapping[str, ProviderSpec] = ROUTES, *, default: str | None = None) -> Route:
    """Return who answers for `model`.

    Args:
        model: ``provider/name``, where only the first segment names the provider; or a bare name that is known by its
            start.
        providers: the rows to look in; a caller's own rows are added with ``{**ROUTES, "mine": ProviderSpec(...)}``.
        default: the provider of bare names that no start tells; None refuses them.

    Raises:
        ConfigurationError: no row answers for it; the sentence lists those that there are.

    >>> found = route("openrouter/meta-llama/llama-3.1-8b")
    >>> found.spec.name, found.model
    ('openrouter', 'meta-llama/llama-3.1-8b')
    >>> route("gpt-4o").spec.name
    'openai'
    """
    prefix, slash, name = model.strip().partition("/")
    if slash:
        provider: str | None = prefix
    else:
        name = prefix
        provider = next((known for start, known in _BARE if re.match(start, name)), default)
    spec = providers.get(provider) if provider is not None else None
    if spec is None or not name:
        known = ", ".join(sorted(providers))
        raise ConfigurationError(f"no provider for model {model!r}: write provider/model, with one of {known}")
    return Route(DIALECTS[spec.dialect](spec), name)


def resolve_mode(request: StreamingStructuredRequest[T], spec: ProviderSpec, model: str) -> ConcreteMode:
    """Return the request's mode, or for ``auto`` the strictest that provider, model and schema allow.

    An answer that goes on in mode ``native`` does so in another one where its rest cannot be said in that.

    Args:
        request: names the mode and the response model.
        spec: the provider's row.
        model: the model as the provider calls it.

    Raises:
        ConfigurationError: the mode was named and cannot be had; the sentence says why.
    """
    able = spec.modes_for(model)
    if request.mode != "auto":
        if request.mode not in able:
            choice = ", ".join(("auto", *able))
            raise ConfigurationError(f"{spec.name}/{model} cannot do mode={request.mode!r}; choose one of {choice}")
        if request.mode != "native" or request.continuation is None:
            return request.mode
        # The schema of a rest may be more than a strict subset takes though that of the whole is not.
    schema = schema_of(request, spec.strict_form)
    for mode in able:
        if mode != "native" or spec.any_schema or schema.strict is not None:
            return mode
    return "prompted"
