"""What an error answer means: the right class of `errors.py`, from status, code, type and sentence.

The bodies differ (``{"error": {…}}``, ``{"error": "…"}``, ``[{"error": {…}}]``, ``{"detail": …}``, HTML), the meaning
does not; so this is one table for all dialects. A provider's own code says more than the HTTP status, which says more
than the sentence.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from jiter import from_json

from structstream.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    UnexpectedResponseError,
    scrub,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import JSONValue

__all__ = ["http_failure", "is_bare_error", "stream_failure"]

_LONGEST_MESSAGE = 500  # characters; some gateways answer with pages

# What Responses finds wrong with a request only once its stream has begun (API reference: the response object, error).
_BAD_REQUEST = (
    *("invalid_prompt", "bio_policy", "data_residency_mismatch", "invalid_image", "invalid_image_format"),
    *("invalid_base64_image", "invalid_image_url", "image_too_large", "image_too_small", "image_parse_error"),
    *("image_content_policy_violation", "invalid_image_mode", "image_file_too_large", "unsupported_image_media_type"),
    *("empty_image_file", "failed_to_download_image", "image_file_not_found"),
    "misalignment_policy_violation",
)

_BY_CODE: Mapping[str, type[ProviderError]] = {
    **dict.fromkeys(_BAD_REQUEST, BadRequestError),
    "insufficient_quota": QuotaExceededError,
    "insufficient_balance": QuotaExceededError,
    "insufficient_credits": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "billing_error": QuotaExceededError,
    "context_length_exceeded": ContextLengthError,
    "string_above_max_length": ContextLengthError,
    "request_too_large": ContextLengthError,
    "rate_limit_exceeded": RateLimitedError,
    "rate_limit_error": RateLimitedError,
    "rate_limited": RateLimitedError,
    "too_many_requests": RateLimitedError,
    "resource_exhausted": RateLimitedError,
    "invalid_api_key": AuthenticationError,
    "authentication_error": AuthenticationError,
    "unauthenticated": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "permission_denied": PermissionDeniedError,
    "model_not_found": NotFoundError,
    "not_found_error": NotFoundError,
    "deploymentnotfound": NotFoundError,
    "overloaded_error": OverloadedError,
    "engine_overloaded": OverloadedError,
    "server_overloaded": OverloadedError,
    "service_unavailable": OverloadedError,
    "insufficient_system_resource": OverloadedError,
    "unavailable": OverloadedError,
    "server_error": ServerError,
    "internal_server_error": ServerError,
    "api_error": ServerError,
    "timeout_error": ServerError,
    "vector_store_timeout": ServerError,
    "not_found": NotFoundError,
}

# Inside a stream the word has to do for a status of 400: OpenAI's and Anthropic's, and Google's (google.aip.dev/193).
_AS_400 = frozenset({"invalid_request_error", "invalid_argument", "failed_precondition", "out_of_range"})

_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,  # the server gave up waiting, or met a conflict: the same call may succeed
    409: ServerError,
    413: ContextLengthError,
    425: ServerError,
    429: RateLimitedError,
    498: OverloadedError,  # Groq: flex tier at capacity
    503: OverloadedError,
    529: OverloadedError,
}

# Providers that name no code of their own; tried only where code and status leave a plain BadRequestError.
_BY_SENTENCE: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (
            r"context (?:length|window)|prompt is too long|too many (?:input )?tokens|reduce the length",
            ContextLengthError,
        ),
        (r"token count .{0,40}exceeds the maximum", ContextLengthError),
        (r"api.?key.{0,20}(?:not valid|invalid)|(?:invalid|incorrect).{0,10}api.?key", AuthenticationError),
        (r"insufficient (?:balance|credits|funds)", QuotaExceededError),
        (r"model .{0,80}(?:does not exist|not found)", NotFoundError),
    )
)

_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-amzn-requestid", "cf-ray")

_WAIT = re.compile(
    r"(?:try again|retry) (?:in|after) (?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m(?!s))?"
    r"(?:(?P<s>\d{1,9}(?:\.\d{1,12})?) ?s|(?P<ms>\d{1,9}(?:\.\d{1,12})?)ms)?",
    re.IGNORECASE,
)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class _Facts:
    message: str
    code: str | None = None
    kind: str = ""
    status: int | None = None
    delay: float | None = None
    cut: bool = False  # whether the message broke off


def http_failure(
    provider: str, status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> ProviderError:
    """Return the error that an HTTP answer means; it is not raised.

    Args:
        provider: the provider's name in the routing table.
        status: the HTTP status; one below 400 means an answer that is no stream of the dialect.
        headers: the answer's headers, in any case.
        body: the answer's body, or its start.
        now: seconds since 1970, to read a ``Retry-After`` that is a date; None leaves such a date unread.

    >>> http_failure("openai", 429, {"Retry-After": "3"}, b'{"error": {"message": "slow down"}}').retry_after
    3.0
    """
    lower = {name.lower(): value for name, value in headers.items()}
    value = _parsed(body)
    facts = _facts(value) if value is not None else None
    if facts is None:
        facts = _unreadable(status, lower, body)
        kind = UnexpectedResponseError if status < 400 else _class(facts, status)
    else:
        kind = _class(facts, status if status >= 400 else facts.status)
    wait = _retry_after(lower, now)
    failure = kind(
        facts.message,
        provider=provider,
        status=status,
        code=facts.code,
        request_id=_request_id(lower, value),
        retry_after=_wait_told(facts) if wait is None else wait,
    )
    if facts.cut:
        failure.cut_off()
    # OpenAI and Anthropic say it themselves, and their own clients obey.
    failure.retryable = {"true": True, "false": False}.get(lower.get("x-should-retry", ""), failure.retryable)
    return failure


def stream_failure(provider: str, value: JSONValue) -> ProviderError:
    """Return the error that an error object inside a stream means; it is not raised.

    Args:
        provider: the provider's name in the routing table.
        value: the parsed event, or plain text.

    >>> type(stream_failure("groq", {"error": {"message": "busy", "code": "rate_limit_exceeded"}})).__name__
    'RateLimitedError'
    """
    facts = _facts(value) or _said(str(value))
    failure = _class(facts, facts.status)(
        facts.message,
        provider=provider,
        code=facts.code,
        request_id=_request_id({}, value),
        retry_after=_wait_told(facts),
    )
    if facts.cut:
        failure.cut_off()
    return failure


def is_bare_error(value: Mapping[str, JSONValue]) -> bool:
    """Return whether an object without the fields of an answer is an error without ``error`` around it.

    So do vLLM, DashScope, and what is built with FastAPI.

    >>> is_bare_error({"code": "InvalidParameter", "message": "bad"}), is_bare_error({"message": "hello"})
    (True, False)
    """
    told = value.get("detail") or (value.get("message") and value.get("code"))
    return value.get("object") == "error" or bool(told)


def _class(facts: _Facts, status: int | None) -> type[ProviderError]:
    names = [name.lower() for name in (facts.code or "", facts.kind) if name]
    by_code = next((_BY_CODE[name] for name in names if name in _BY_CODE), None)
    if status == 413 and by_code is RateLimitedError:
        return ContextLengthError  # Groq: one request larger than a minute's tokens; waiting does not help
    if by_code is ServerError and status in (503, 529):
        return OverloadedError  # its code says no more than that it is the server's fault
    if by_code is not None:
        return by_code
    if status is None and not _AS_400.isdisjoint(names):
        status = 400
    if status is None or status < 400:
        return ServerError
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else BadRequestError)
    if kind is BadRequestError:
        return next((better for pattern, better in _BY_SENTENCE if pattern.search(facts.message)), kind)
    return kind


def _parsed(body: bytes) -> JSONValue:
    try:
        return from_json(body)
    except ValueError:
        return None


def _facts(value: JSONValue) -> _Facts | None:
    if isinstance(value, list):
        return _facts(value[0]) if value else None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    inner = error if isinstance(error, dict) else value
    message = next((_text(inner[key]) for key in ("message", "detail", "msg", "error") if inner.get(key)), "")
    if not message and inner is value:
        return None
    code = inner.get("code")
    kind = inner.get("type") if isinstance(inner.get("type"), str) else inner.get("status")
    numbers = [n for n in (inner.get("status_code"), code, inner.get("status")) if isinstance(n, int)]
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        numbers.append(int(code))
    # Google's code is the status once more, and its status is the code.
    named = kind if code in (None, "") or (isinstance(code, int) and isinstance(kind, str) and kind) else code
    return replace(
        _said(message),
        code=None if named in (None, "") else str(named),
        kind=kind if isinstance(kind, str) else "",
        status=next((n for n in numbers if 400 <= n < 600), None),
        delay=_delay(inner.get("details")),
    )


def _said(message: str) -> _Facts:
    """What an error says, or the error whose body its message is, as clients of clients pass it on."""
    inner = _facts(_parsed(message.encode("utf-8", "replace"))) if message.lstrip().startswith("{") else None
    text, cut = _short(message) if inner is None else (inner.message, inner.cut)
    return _Facts(text or "an error without a word", cut=cut)


def _delay(details: JSONValue) -> float | None:
    """The wait in a list of details that holds a google.rpc.RetryInfo (google.aip.dev/193), in seconds."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and re.fullmatch(r"\d{1,12}(?:\.\d{1,12})?s", delay):
            return float(delay[:-1])
    return None


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> tuple[str, bool]:
    """The beginning of a text, and whether it is not the whole."""
    scrubbed = scrub(text[: 4 * _LONGEST_MESSAGE])  # before it is cut: half a key is not recognised
    whole = len(text) <= 4 * _LONGEST_MESSAGE and len(scrubbed) <= _LONGEST_MESSAGE
    return (scrubbed, False) if whole else (scrubbed[: _LONGEST_MESSAGE - 1], True)


def _unreadable(status: int, headers: Mapping[str, str], body: bytes) -> _Facts:
    """What is to be said of a body that is no error of the dialect."""
    text = body[: 4 * _LONGEST_MESSAGE].decode("utf-8", "replace").strip()
    kind = headers.get("content-type", "").partition(";")[0]
    if not text:
        return _Facts(f"HTTP {status} without a body")
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
    if title:
        said, cut = _short(title[1])
        return _Facts(f"expected JSON, found an HTML page: {said}", cut=cut)
    found = f" of type {kind}" if kind else ""
    said, cut = _short(text)
    cut = cut or len(body) > 4 * _LONGEST_MESSAGE
    return _Facts(f"expected JSON or an event stream, found a body{found}: {said}", cut=cut)


def _request_id(headers: Mapping[str, str], value: JSONValue) -> str | None:
    found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    inside = value.get("request_id") if isinstance(value, dict) else None
    return found or (inside if isinstance(inside, str) and inside else None)


def _retry_after(headers: Mapping[str, str], now: float | None) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,12}(?:\.\d{1,12})?", text):
            return float(text) * unit
    if now is None:
        return None
    try:  # RFC 9110, 10.2.3: seconds or an HTTP date
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, IndexError, OverflowError):
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


def _wait_told(facts: _Facts) -> float | None:
    return _wait_in(facts.message) if facts.delay is None else facts.delay


def _wait_in(message: str) -> float | None:
    found = _WAIT.search(message)
    if found is None or not any(found.groups()):
        return None
    return sum(float(number) * _SECONDS[unit] for unit, number in found.groupdict().items() if number)
