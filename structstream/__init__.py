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
        BudgetExceededError,
        CircuitOpenError,
        ConfigurationError,
        ConnectionFailedError,
        ContextLengthError,
        DecodeError,
        FilteredError,
        IncompleteError,
        InvalidOutputError,
        JSONLimitError,
        JSONSyntaxError,
        LimitReachedError,
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
    from .history import AnswerHistory
    from .jsonsink import JSONLimits
    from .markers import HoldParent, ShowWhenComplete, Stated, WithState
    from .metrics import CacheStatistics, StreamingMetrics
    from .parse import parse_stream
    from .partial import ListView, MappingView, Partial
    from .policies import (
        BreakerPolicy,
        CachePolicy,
        ConcurrencyPolicy,
        FallbackPolicy,
        HedgePolicy,
        LimitsPolicy,
        Midstream,
        OutputBounds,
        PausePolicy,
        Policies,
        RetryPolicy,
    )
    from .progress import ProgressCallback, ProgressEvent, ProgressFilter
    from .providers import ROUTES, WRAP_KEY, ProviderSpec
    from .request import Cadence, HTTPRequest, Message, Mode, StreamingStructuredRequest, Timeouts
    from .response import Attempt, Outcome, OutcomeKind, StreamingResponse, Timings, TokenLogprob, ToolCall, Usage
    from .service import StructuredLLMService
    from .stream import StructuredStream
    from .sync import SyncStructuredLLMService, SyncStructuredStream
    from .tee import tee
    from .tracker import ProgressTracker
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
        "BudgetExceededError",
        "CircuitOpenError",
        "ConfigurationError",
        "ConnectionFailedError",
        "ContextLengthError",
        "DecodeError",
        "FilteredError",
        "IncompleteError",
        "InvalidOutputError",
        "JSONLimitError",
        "JSONSyntaxError",
        "LimitReachedError",
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
    "history": ("AnswerHistory",),
    "guardrails": ("CallableGuardrail", "DenyList", "MaxLength", "PersonalData", "PromptLength", "Secrets"),
    "jsonsink": ("JSONLimits",),
    "markers": ("HoldParent", "ShowWhenComplete", "Stated", "WithState"),
    "metrics": ("CacheStatistics", "StreamingMetrics"),
    "parse": ("parse_stream",),
    "partial": ("ListView", "MappingView", "Partial"),
    "policies": (
        "BreakerPolicy",
        "CachePolicy",
        "ConcurrencyPolicy",
        "FallbackPolicy",
        "HedgePolicy",
        "LimitsPolicy",
        "Midstream",
        "OutputBounds",
        "PausePolicy",
        "Policies",
        "RetryPolicy",
    ),
    "providers": ("ROUTES", "WRAP_KEY", "ProviderSpec"),
    "progress": ("ProgressCallback", "ProgressEvent", "ProgressFilter"),
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
    "tee": ("tee",),
    "tracker": ("ProgressTracker",),
    "transport": ("HTTPAnswer", "SDKTransport", "Transport"),
    "verdicts": ("GuardedText", "Guardrail", "Span", "Verdict"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ROUTES",
    "WRAP_KEY",
    "AnswerHistory",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BlockedError",
    "BreakerPolicy",
    "BudgetExceededError",
    "CachePolicy",
    "CacheStatistics",
    "Cadence",
    "CallableGuardrail",
    "CircuitOpenError",
    "Clock",
    "ConcurrencyPolicy",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContextLengthError",
    "DecodeError",
    "DenyList",
    "FallbackPolicy",
    "FilteredError",
    "GuardedText",
    "Guardrail",
    "HTTPAnswer",
    "HTTPRequest",
    "HedgePolicy",
    "HoldParent",
    "IncompleteError",
    "InvalidOutputError",
    "JSONLimitError",
    "JSONLimits",
    "JSONSyntaxError",
    "LimitReachedError",
    "LimitsPolicy",
    "ListView",
    "MappingView",
    "MaxLength",
    "Message",
    "Midstream",
    "MissingDependencyError",
    "Mode",
    "NotFoundError",
    "Outcome",
    "OutcomeKind",
    "OutputBounds",
    "OverloadedError",
    "Partial",
    "PausePolicy",
    "PermissionDeniedError",
    "PersonalData",
    "Policies",
    "ProgressCallback",
    "ProgressEvent",
    "ProgressFilter",
    "ProgressTracker",
    "PromptLength",
    "ProtocolError",
    "ProviderError",
    "ProviderSpec",
    "QuotaExceededError",
    "RateLimitedError",
    "RefusedError",
    "RetryPolicy",
    "SDKTransport",
    "SSEError",
    "Secrets",
    "ServerError",
    "ShowWhenComplete",
    "Span",
    "Stated",
    "StreamCancelledError",
    "StreamDecoder",
    "StreamFailedError",
    "StreamTimeoutError",
    "StreamingMetrics",
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
    "WithState",
    "__version__",
    "parse_stream",
    "tee",
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
