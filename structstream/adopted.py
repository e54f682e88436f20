"""Clients of instructor, taken over: whom they speak to, in which mode, and who listens.

Nothing is imported from instructor: whoever holds a client of its has imported it already. Its client is not patched
and not called; what it was made with is used.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, InvalidOutputError
from .facts import AttemptBegan, AttemptEnded, StreamEnded
from .providers import ROUTES
from .response import OutcomeKind, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openai import AsyncOpenAI

    from .facts import Fact, Observer, StreamInfo
    from .providers import ProviderSpec
    from .request import Mode
    from .response import Outcome

__all__ = ["Adopted", "adopted", "is_instructor"]


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a client of instructor was made with.

    Args:
        client: its client of OpenAI, in the async form; None where it is another vendor's.
        twin: makes that client anew; None where it is the caller's own, who closes it.
        providers: rows that replace those of the table, as its client's own base URL says.
        api_keys: its keys, by the provider's name.
        mode: how it holds the provider to the schema, for requests that leave it open.
        observer: tells its hooks what happens.
    """

    client: AsyncOpenAI | None
    mode: Mode
    observer: Observer
    twin: Callable[[], AsyncOpenAI] | None = None
    providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def is_instructor(client: object) -> bool:
    """Whether `client` is one of instructor's, sync or async."""
    instructor = sys.modules.get("instructor")
    return instructor is not None and isinstance(client, instructor.Instructor)


def adopted(client: Any) -> Adopted:  # Any: a class of a library that is not ours to import
    """Return what a client of instructor was made with.

    Raises:
        ConfigurationError: its own client is of a vendor whose dialect is not spoken here.
    """
    own, mode, observer = client.client, _mode_of(client.mode), _Hooks(client.hooks)
    openai, anthropic = sys.modules.get("openai"), sys.modules.get("anthropic")
    if openai is not None and isinstance(own, openai.AsyncOpenAI | openai.OpenAI):
        twin = _async_twin(own)
        return Adopted(own if twin is None else twin(), mode, observer, twin)
    if anthropic is not None and isinstance(own, anthropic.AsyncAnthropic | anthropic.Anthropic) and own.api_key:
        row = replace(ROUTES["anthropic"], base_url=str(own.base_url).rstrip("/"), base_url_env="")
        return Adopted(None, mode, observer, providers={"anthropic": row}, api_keys={"anthropic": own.api_key})
    raise ConfigurationError(
        f"instructor's client holds a {type(own).__name__}, whose dialect is not spoken here: use create_partial and "
        "create_iterable of structstream.integrations.instructor, which read the streams of all its providers"
    )


def _async_twin(client: Any) -> Callable[[], AsyncOpenAI] | None:  # Any: the SDK's blocking or async client
    """What makes an async client with the key and address of a blocking one; None for one that is async already.

    The HTTP client is the SDK's default: that of the blocking one cannot serve.
    """
    from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

    if not isinstance(client, OpenAI):
        return None
    shared: dict[str, Any] = {  # Any: arguments of several types
        "api_key": client.api_key,
        "organization": client.organization,
        "project": client.project,
        "base_url": str(client.base_url),
        "default_headers": client._custom_headers,
        "default_query": client._custom_query,
    }
    if isinstance(client, AzureOpenAI):
        return partial(AsyncAzureOpenAI, api_version=client._api_version, **shared)
    return partial(AsyncOpenAI, **shared)


def _mode_of(mode: Any) -> Mode:  # Any: instructor's enumeration
    """What its mode means in words that name no provider."""
    name = str(mode.name)
    if name.endswith(("JSON_SCHEMA", "STRUCTURED_OUTPUTS")):
        return "native"
    if "TOOLS" in name or name == "FUNCTIONS":
        return "tool"
    return "prompted"


class _Hooks:
    """An observer that tells the hooks of a client of instructor."""

    def __init__(self, hooks: Any) -> None:  # Any: instructor's own class
        self._hooks = hooks
        self._streams: dict[int, _Heard] = {}  # those under way, by the id of their stream

    def __call__(self, info: StreamInfo, fact: Fact) -> None:
        if isinstance(fact, AttemptBegan):
            heard = self._streams.setdefault(info.id, _Heard())
            if heard.failed is not None and heard.failed.error is not None:
                self._tell_of(heard.failed.error, heard.failed.attempt.number, info, last=False)
                heard.failed = None
            self._hooks.emit_completion_arguments(**_arguments(info, fact))
        elif isinstance(fact, AttemptEnded):
            self._note(self._streams[info.id], fact)
        elif isinstance(fact, StreamEnded):
            self._streams.pop(info.id, None)
            self._end(info, fact.outcome)

    def _note(self, heard: _Heard, fact: AttemptEnded) -> None:
        heard.failed = None if fact.error is None else fact
        if fact.attempt.usage is not None:
            heard.usage += fact.attempt.usage
            self._hooks.emit_completion_usage(heard.usage, attempt_number=fact.attempt.number)

    def _end(self, info: StreamInfo, outcome: Outcome[Any]) -> None:  # Any: of any response model
        if outcome.error is None:
            self._hooks.emit_completion_response(outcome)
        elif outcome.kind is not OutcomeKind.CANCELLED:
            self._tell_of(outcome.error, max(len(outcome.attempts), 1), info, last=True)

    def _tell_of(self, error: Exception, number: int, info: StreamInfo, *, last: bool) -> None:
        most = info.request.max_retries + 1
        told = {"attempt_number": number, "max_attempts": most, "is_last_attempt": last}
        parsing = isinstance(error, InvalidOutputError)
        (self._hooks.emit_parse_error if parsing else self._hooks.emit_completion_error)(error, **told)
        if last:
            self._hooks.emit_completion_last_attempt(error, **told)


@dataclass(slots=True)
class _Heard:
    """What was heard of a stream so far: its tokens, and the attempt that failed last."""

    usage: Usage = field(default_factory=Usage)
    failed: AttemptEnded | None = None


def _arguments(info: StreamInfo, fact: AttemptBegan) -> dict[str, Any]:  # Any: arguments of several types
    """What a vendor's client would be called with."""
    request = info.request
    given = {name: getattr(request, name) for name in ("temperature", "max_tokens", "stop", "seed")}
    said = {name: value for name, value in given.items() if value is not None}
    return {"model": fact.model, "messages": list(request.conversation), "stream": True, **said, **request.extra}
