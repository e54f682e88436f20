"""The errors, who must act on each, and whether a retry may help.

Every failure that leaves this library is one of these classes::

    StructStreamError
    ├── ConfigurationError         the caller: the request or the set-up cannot work; raised before any request is sent
    │   └── MissingDependencyError     install what the sentence names
    ├── DecodeError                the bytes broke a rule of their format; a retry may help
    │   ├── SSEError                   the event stream passed a bound
    │   ├── JSONSyntaxError            the text is not JSON: offset, line, column, path, expected, found
    │   ├── JSONLimitError             the JSON passed a bound: depth, keys, string or number length
    │   └── ProtocolError              an event is not what its dialect promises
    └── StreamFailedError          the stream ended in an outcome other than `complete`
        ├── TruncatedError             truncated: the model hit its output limit; raise max_tokens
        ├── IncompleteError            incomplete: the connection ended without a finish; retry
        ├── RefusedError               refused: the model declined; change the prompt
        ├── FilteredError              filtered: the provider's content filter cut the answer
        ├── InvalidOutputError         invalid: the text is not JSON or does not validate
        ├── BlockedError               blocked: a guardrail said stop
        │   └── BudgetExceededError        the answer passed a bound of the caller's: bytes, tokens, seconds or cost
        ├── StreamTimeoutError         timeout: names the deadline, configured and elapsed
        ├── StreamCancelledError       cancelled: the caller left
        ├── UnavailableError           unavailable: circuit open or limits; nothing was sent
        │   ├── CircuitOpenError           the provider has failed too often: ask again after `retry_after`
        │   └── LimitReachedError          the wait for a limit would be longer than it may be
        └── ProviderError              provider_error: the provider or the way to it failed
            ├── AuthenticationError        401: the caller: check the key
            ├── PermissionDeniedError      403: the caller: the key may not do this
            ├── NotFoundError              404: the caller: no such model or path
            ├── BadRequestError            400, 422: the caller: the request is wrong
            │   └── ContextLengthError         the prompt is too long for the model
            ├── RateLimitedError           429: wait `retry_after`, then retry
            ├── QuotaExceededError         429 or 402: the account: a retry does not help
            ├── OverloadedError            503, 529: retry later
            ├── ServerError                5xx: retry
            ├── ConnectionFailedError      no connection, or it broke: retry
            └── UnexpectedResponseError    the answer is no event stream (HTML, other JSON)

A stream that reports instead of raising carries the same objects in `Outcome.error`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .response import Outcome

__all__ = [
    "CUT",
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
    "scrub",
]

CUT = "…"
"""What a text ends with whose own end was cut off."""

# Each alternative is a form in which a provider prints a key: its own prefixes, and the value of an auth header.
_SECRET = re.compile(
    r"""(?:sk|pk|rk|gsk|xai|pplx|hf|key|api[-_]key|AIza|AKIA)[-_]?[A-Za-z0-9*][A-Za-z0-9_\-*.]{10,}
    |(?i:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}
    |(?i:(?:x-)?api[-_]?key|authorization|token|secret|password)["']?\s*[:=]\s*["']?
     (?i:(?:bearer|basic)\s+)?[^\s"',;&}]{4,}""",
    re.VERBOSE,
)


def scrub(text: str, *secrets: str) -> str:
    """Return `text` with everything that looks like a key, and each of `secrets`, replaced by ``[redacted]``.

    >>> scrub("Incorrect API key provided: sk-abcdefghijklmnop1234")
    'Incorrect API key provided: [redacted]'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return _SECRET.sub("[redacted]", text)


class StructStreamError(Exception):
    """The root of every error of this library.

    Attributes:
        retryable: whether the same call may succeed later without a change by the caller; a provider may have said so
            itself, else its class tells.
        outcome: all that could be saved of the stream that this ended; None where it ended none.
    """

    retryable: bool = False
    outcome: Outcome[Any] | None = None  # Any: the errors do not know the response model

    def __reduce__(self) -> tuple[Callable[..., StructStreamError], tuple[object, ...], dict[str, object]]:
        return _again, (type(self), *self.args), self.__dict__


def _again(cls: type[StructStreamError], *args: object) -> StructStreamError:
    """An error as it was, for pickle and copy: its sentence is built already, so it is not made of it once more."""
    error = cls.__new__(cls)
    error.args = args
    return error


class ConfigurationError(StructStreamError, ValueError):
    """The request or the set-up cannot work; raised before any request is sent; the caller must change it."""


class MissingDependencyError(ConfigurationError, ImportError):
    """An optional package is not installed; the sentence names the extra to install."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs a package that is not installed: pip install 'structstream[{extra}]'")
        self.feature = feature
        self.extra = extra


class DecodeError(StructStreamError):
    """Bytes that broke a rule of their format, or a bound on it; a retry may help."""

    retryable = True


class SSEError(DecodeError):
    """The event stream passed a bound.

    Attributes:
        bound: the name of the bound that was passed, as the decoder's argument is called.
        limit: its value, in bytes.
    """

    def __init__(self, bound: str, limit: int) -> None:
        super().__init__(
            f"event stream: more than {bound}={limit} bytes without an end; raise the bound if this is meant"
        )
        self.bound = bound
        self.limit = limit


class JSONSyntaxError(DecodeError):
    """The text is not JSON.

    Attributes:
        offset: how many characters stand before the offending one.
        line, column: the same place, both counted from 1.
        path: the JSON path of the value that was being read, such as ``items[2].price``; empty at the root.
        expected: what would have been right there.
        found: the offending character, or ``end of text``.
    """

    def __init__(self, *, expected: str, found: str, offset: int, line: int, column: int, path: str) -> None:
        where = f" in {path}" if path else ""
        super().__init__(f"expected {expected}, found {found}, at line {line} column {column} (offset {offset}){where}")
        self.expected = expected
        self.found = found
        self.offset = offset
        self.line = line
        self.column = column
        self.path = path


class JSONLimitError(DecodeError):
    """The JSON passed a bound.

    Attributes:
        bound: the name of the bound, as a field of `JSONLimits`.
        limit: its value.
        offset: how many characters stand before the place where it was passed.
        path: the JSON path of that place.
    """

    def __init__(self, bound: str, limit: int, *, offset: int, path: str) -> None:
        where = f" in {path}" if path else ""
        super().__init__(f"JSON passes {bound}={limit} at offset {offset}{where}; raise the bound if this is meant")
        self.bound = bound
        self.limit = limit
        self.offset = offset
        self.path = path


class ProtocolError(DecodeError):
    """An event that is not what its dialect promises.

    Attributes:
        provider: the dialect that was spoken.
        event: the start of the offending event, scrubbed.
        is_cut: whether that is not the whole of it.
    """

    def __init__(self, message: str, *, provider: str, event: str = "") -> None:
        self.provider = provider
        scrubbed = scrub(event[:400])  # before it is cut: half a key is not recognised
        self.is_cut = len(event) > 200
        self.event = scrubbed[:199] + CUT if self.is_cut else scrubbed
        super().__init__(f"{provider}: {message}" + (f": {self.event!r}" if self.event else ""))


class StreamFailedError(StructStreamError):
    """A stream that ended in an outcome other than `complete`; all that could be saved is in `outcome`."""


class TruncatedError(StreamFailedError):
    """The model hit its output limit before the JSON closed; raise `max_tokens` or ask for less."""


class IncompleteError(StreamFailedError):
    """The connection ended without a finish; what came is saved in `outcome`."""

    retryable = True


class RefusedError(StreamFailedError):
    """The model declined to answer; `refusal` is its sentence."""

    def __init__(self, refusal: str) -> None:
        super().__init__(f"the model refused: {refusal}" if refusal else "the model refused without a reason")
        self.refusal = refusal


class FilteredError(StreamFailedError):
    """The provider's content filter cut the answer."""


class InvalidOutputError(StreamFailedError):
    """The text is not JSON, or is no value of the response model.

    Attributes:
        path: where in the answer, such as ``items[2].price``; empty at the root.
        problem: what is wrong there, one sentence.
        value: the offending JSON text, at most 200 characters of it; None where there is none.
        errors: Pydantic's own list of problems, empty where the text is not JSON.
    """

    retryable = True

    def __init__(
        self, problem: str, *, path: str = "", value: str | None = None, errors: Sequence[dict[str, Any]] = ()
    ) -> None:
        super().__init__(f"invalid output at {path}: {problem}" if path else f"invalid output: {problem}")
        self.problem = problem
        self.path = path
        self.value = value if value is None or len(value) <= 200 else value[:199] + "…"
        self.errors = list(errors)


class BlockedError(StreamFailedError):
    """A guardrail said stop, or failed itself.

    Attributes:
        guardrail: its name.
        reason: why, one sentence that quotes neither prompt nor answer.
        path: the field; empty for the prompt, the root, and what stands beside the answer.
    """

    def __init__(self, guardrail: str, reason: str, *, path: str = "") -> None:
        where = f" at {path}" if path else ""
        super().__init__(f"blocked by the guardrail {guardrail!r}{where}: {reason}")
        self.guardrail = guardrail
        self.reason = reason
        self.path = path


class BudgetExceededError(BlockedError):
    """The answer passed a bound that the caller set on its cost; what had come is saved in `outcome`.

    Attributes:
        bound: which one, as a field of `OutputBounds`.
        configured: its value.
        found: what had been reached when it was noticed.
    """

    def __init__(self, bound: str, *, configured: float, found: float) -> None:
        reason = f"the answer passes {bound}={configured:g} with {found:g}; raise the bound if this is meant"
        super().__init__("output bounds", reason)
        self.bound = bound
        self.configured = configured
        self.found = found


class StreamTimeoutError(StreamFailedError, TimeoutError):
    """A deadline passed.

    Attributes:
        deadline: which one: ``connect``, ``first_token``, ``between_tokens`` or ``total``.
        configured: its length in seconds.
        elapsed: the seconds that had passed.
    """

    retryable = True

    def __init__(self, deadline: str, *, configured: float, elapsed: float) -> None:
        super().__init__(f"timeout: {deadline} took {elapsed:.3g} s of the {configured:.3g} s allowed")
        self.deadline = deadline
        self.configured = configured
        self.elapsed = elapsed


class StreamCancelledError(StreamFailedError):
    """The caller left before the end."""


class UnavailableError(StreamFailedError):
    """Nothing was sent: a circuit is open or a limit is reached.

    Attributes:
        retry_after: seconds until it is worth asking again; None where that is not known.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CircuitOpenError(UnavailableError):
    """The provider's model has failed too often of late, and is left alone for `retry_after` seconds.

    Attributes:
        provider: the provider's name in the routing table.
        model: the model that is left alone.
    """

    def __init__(self, provider: str, model: str, *, retry_after: float) -> None:
        super().__init__(
            f"{provider}/{model}: the circuit is open: too many calls failed or were slow; "
            f"ask again in {retry_after:.3g} s",
            retry_after=retry_after,
        )
        self.provider = provider
        self.model = model


class LimitReachedError(UnavailableError):
    """A limit would hold the call back for longer than it may wait.

    Attributes:
        limit: ``requests``, ``tokens``, ``concurrency`` or ``pause``.
        provider: the provider's name in the routing table.
        max_wait: the seconds that the call might have waited.
    """

    def __init__(self, limit: str, *, provider: str, max_wait: float, retry_after: float | None) -> None:
        wait = f"{retry_after:.3g} s" if retry_after is not None else "longer"
        super().__init__(
            f"{provider}: the limit of {limit} is reached: the wait is {wait}, and the call may wait {max_wait:.3g} s; "
            "raise max_wait, or the deadline total",
            retry_after=retry_after,
        )
        self.limit = limit
        self.provider = provider
        self.max_wait = max_wait


class ProviderError(StreamFailedError):
    """The provider, or the way to it, failed.

    Attributes:
        provider: the provider's name in the routing table.
        status: the HTTP status; None where there was no answer, or where the error came inside a stream.
        code: the provider's own code for it, as text; None where it gave none.
        request_id: the provider's id for the call, to quote in a support request; None where it gave none.
        retry_after: the seconds that the provider asked to wait; None where it did not say.
        is_cut: whether what it said broke off before its end.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = scrub(message)
        self.provider = provider
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.is_cut = False
        super().__init__(self.sentence())

    def cut_off(self) -> None:
        """Note that what was said broke off before its end."""
        self.is_cut = True
        if not self.message.endswith(CUT):
            self.message += CUT
            self.args = (self.sentence(),)

    def sentence(self, said: Mapping[str, str] | None = None) -> str:
        """Return what the error says.

        Args:
            said: texts that stand in the place of attributes, by their names; None for those that it has.
        """
        said = said or {}
        facts = [
            f"{name} {value}"
            for name, value in (
                ("status", self.status),
                ("code", said.get("code", self.code)),
                ("request", said.get("request_id", self.request_id)),
                ("retry after", self.retry_after),
            )
            if value is not None
        ]
        return f"{self.provider}: {said.get('message', self.message)}" + (f" ({', '.join(facts)})" if facts else "")


class AuthenticationError(ProviderError):
    """401: the key is missing, wrong or expired; the caller must check it."""

    retryable = False


class PermissionDeniedError(ProviderError):
    """403: the key may not do this."""

    retryable = False


class NotFoundError(ProviderError):
    """404: no such model or path."""

    retryable = False


class BadRequestError(ProviderError):
    """400, 422 and other 4xx: the request is wrong; the same request fails again."""

    retryable = False


class ContextLengthError(BadRequestError):
    """The prompt is too long for the model."""


class RateLimitedError(ProviderError):
    """429: too many requests or tokens; wait `retry_after` seconds."""


class QuotaExceededError(ProviderError):
    """The account has no credit left; a retry does not help."""

    retryable = False


class OverloadedError(ProviderError):
    """503 or 529: the provider has no capacity now."""


class ServerError(ProviderError):
    """5xx: the provider failed."""


class ConnectionFailedError(ProviderError):
    """No connection could be made, or it broke."""


class UnexpectedResponseError(ProviderError):
    """The answer is no event stream of the dialect: HTML, or JSON that is neither stream nor error."""
