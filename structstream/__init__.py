"""structstream: typed partial objects while the model is still writing.

The front door: everything promised is named here and loaded when it is first used, so that the import is quick and
loads no vendor's SDK. What stands elsewhere and not here may change.

>>> import structstream
>>> structstream.Timeouts(total=30).total
30
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock, SystemClock
    from .decoder import StreamDecoder
    from .errors import (
        AuthenticationError,
        BadRequestError,
        BlockedError,
        ConfigurationError,
        ConnectionFailedError,
        ContextLengthError,
        DecodeError,
        FilteredError,
        IncompleteError,
        InvalidOutputError,
        JSONLimitError,
        JSONSyntaxError,
        MissingDependencyError,
        NotFoundError,
        OverloadedError,
        PermissionDeniedError,
        ProtocolError,
        ProviderError,
        QuotaExceededError,
        RateLimitedError,
        RefusedError,
        ServerError,
        SSEError,
        StreamCancelledError,
        StreamFailedError,
        StreamTimeoutError,
        StructStreamError,
        TruncatedError,
        UnavailableError,
        UnexpectedResponseError,
    )
    from .guardrails import CallableGuardrail, DenyList, MaxLength, PersonalData, PromptLength, Secrets
    from .jsonsink import JSONLimits
    from .parse import parse_stream
    from .partial import ListView, MappingView, Partial
    from .progress import ProgressCallback, ProgressEvent
    from .providers import ROUTES, ProviderSpec
    from .request import Cadence, HTTPRequest, Message, Mode, StreamingStructuredRequest, Timeouts
    from .response import Attempt, Outcome, OutcomeKind, StreamingResponse, Timings, TokenLogprob, ToolCall, Usage
    from .service import StructuredLLMService
    from .stream import StructuredStream
    from .sync import SyncStructuredLLMService, SyncStructuredStream
    from .transport import HTTPAnswer, SDKTransport, Transport
    from .verdicts import GuardedText, Guardrail, Span, Verdict

__version__ = "0.1.0"

# Where each public name lives.
_HOMES = {
    "clock": ("Clock", "SystemClock"),
    "decoder": ("StreamDecoder",),
    "errors": (
        "AuthenticationError",
        "BadRequestError",
        "BlockedError",
        "ConfigurationError",
        "ConnectionFailedError",
        "ContextLengthError",
        "DecodeError",
        "FilteredError",
        "IncompleteError",
        "InvalidOutputError",
        "JSONLimitError",
        "JSONSyntaxError",
        "MissingDependencyError",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "ProtocolError",
        "ProviderError",
        "QuotaExceededError",
        "RateLimitedError",
        "RefusedError",
        "SSEError",
        "ServerError",
        "StreamCancelledError",
        "StreamFailedError",
        "StreamTimeoutError",
        "StructStreamError",
        "TruncatedError",
        "UnavailableError",
        "UnexpectedResponseError",
    ),
    "guardrails": ("CallableGuardrail", "DenyList", "MaxLength", "PersonalData", "PromptLength", "Secrets"),
    "jsonsink": ("JSONLimits",),
    "parse": ("parse_stream",),
    "partial": ("ListView", "MappingView", "Partial"),
    "progress": ("ProgressCallback", "ProgressEvent"),
    "providers": ("ROUTES", "ProviderSpec"),
    "request": ("Cadence", "HTTPRequest", "Message", "Mode", "StreamingStructuredRequest", "Timeouts"),
    "response": (
        "Attempt",
        "Outcome",
        "OutcomeKind",
        "StreamingResponse",
        "Timings",
        "TokenLogprob",
        "ToolCall",
        "Usage",
    ),
    "service": ("StructuredLLMService",),
    "stream": ("StructuredStream",),
    "sync": ("SyncStructuredLLMService", "SyncStructuredStream"),
    "transport": ("HTTPAnswer", "SDKTransport", "Transport"),
    "verdicts": ("GuardedText", "Guardrail", "Span", "Verdict"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ROUTES",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BlockedError",
    "Cadence",
    "CallableGuardrail",
    "Clock",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContextLengthError",
    "DecodeError",
    "DenyList",
    "FilteredError",
    "GuardedText",
    "Guardrail",
    "HTTPAnswer",
    "HTTPRequest",
    "IncompleteError",
    "InvalidOutputError",
    "JSONLimitError",
    "JSONLimits",
    "JSONSyntaxError",
    "ListView",
    "MappingView",
    "MaxLength",
    "Message",
    "MissingDependencyError",
    "Mode",
    "NotFoundError",
    "Outcome",
    "OutcomeKind",
    "OverloadedError",
    "Partial",
    "PermissionDeniedError",
    "PersonalData",
    "ProgressCallback",
    "ProgressEvent",
    "PromptLength",
    "ProtocolError",
    "ProviderError",
    "ProviderSpec",
    "QuotaExceededError",
    "RateLimitedError",
    "RefusedError",
    "SDKTransport",
    "SSEError",
    "Secrets",
    "ServerError",
    "Span",
    "StreamCancelledError",
    "StreamDecoder",
    "StreamFailedError",
    "StreamTimeoutError",
    "StreamingResponse",
    "StreamingStructuredRequest",
    "StructStreamError",
    "StructuredLLMService",
    "StructuredStream",
    "SyncStructuredLLMService",
    "SyncStructuredStream",
    "SystemClock",
    "Timeouts",
    "Timings",
    "TokenLogprob",
    "ToolCall",
    "Transport",
    "TruncatedError",
    "UnavailableError",
    "UnexpectedResponseError",
    "Usage",
    "Verdict",
    "__version__",
    "parse_stream",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
