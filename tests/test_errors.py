"""Errors: the tree is the one that the docstring draws, each says who must act, and none shows a key."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from structstream import errors
from structstream.errors import (
    InvalidOutputError,
    JSONSyntaxError,
    MissingDependencyError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    StreamTimeoutError,
    StructStreamError,
    scrub,
)


def drawn() -> dict[str, str]:
    """Each class of the docstring's tree with its parent."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}((?:[│ ]*[├└]── )?)([A-Z]\w+Error)", line)
        if match:
            depth = len(match[1])
            above = [item for item in above if item[0] < depth]
            if above:
                parents[match[2]] = above[-1][1]
            above.append((depth, match[2]))
    return parents


def test_the_docstring_draws_the_tree() -> None:
    made = {
        name: next(base.__name__ for base in getattr(errors, name).__bases__ if issubclass(base, StructStreamError))
        for name in errors.__all__
        if name not in ("StructStreamError", "scrub", "CUT")
    }
    assert drawn() == made


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz012345",
        "Authorization: Bearer abcdefghijklmnopqrstuv",
        '{"x-api-key": "abcdefghijklmnopqrstuv"}',
        "https://host/v1?key=AIzaSyAbcdefghijklmnopqrstuv",
        "gsk_abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_what_looks_like_a_key_is_redacted(text: str) -> None:
    assert "abcdefghijklmnop" not in scrub(text)
    assert "[redacted]" in scrub(text)


def test_a_known_secret_is_redacted_whatever_it_looks_like() -> None:
    assert scrub("the word is swordfish", "swordfish", "") == "the word is [redacted]"


@pytest.mark.parametrize("text", ["The model gpt-4o does not exist", "Rate limit reached: 3 tokens per minute", ""])
def test_a_plain_sentence_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_providers_error_tells_its_facts_and_no_key() -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz"
    error = RateLimitedError(
        f"slow down, {key}", provider="openai", status=429, code="rate", request_id="req_1", retry_after=2.5
    )
    assert str(error) == "openai: slow down, [redacted] (status 429, code rate, request req_1, retry after 2.5)"
    assert key not in repr(error)
    assert (error.retryable, error.retry_after, error.outcome) == (True, 2.5, None)


def test_a_protocol_error_shows_the_start_of_its_event() -> None:
    error = ProtocolError("not JSON", provider="groq", event="x" * 500 + " Bearer abcdefghijklmnop")
    assert error.provider == "groq"
    assert len(error.event) <= 200
    assert "abcdefghijklmnop" not in str(error)


def test_a_timeout_names_its_deadline_and_is_one() -> None:
    error = StreamTimeoutError("first_token", configured=2.0, elapsed=2.01)
    assert isinstance(error, TimeoutError)
    assert str(error) == "timeout: first_token took 2.01 s of the 2 s allowed"


def test_a_syntax_error_tells_where_and_what() -> None:
    error = JSONSyntaxError(expected="a value", found="'x'", offset=7, line=1, column=8, path="a[0]")
    assert str(error) == "expected a value, found 'x', at line 1 column 8 (offset 7) in a[0]"


def test_an_invalid_value_is_quoted_up_to_a_length() -> None:
    error = InvalidOutputError("too long", path="a", value="x" * 999)
    assert str(error) == "invalid output at a: too long"
    assert error.value is not None
    assert len(error.value) == 200


def test_a_missing_package_says_what_to_install() -> None:
    assert "pip install 'structstream[rich]'" in str(MissingDependencyError("the live screen", "rich"))


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    never = {
        "AuthenticationError",
        "PermissionDeniedError",
        "NotFoundError",
        "BadRequestError",
        "ContextLengthError",
        "QuotaExceededError",
    }
    assert {cls.__name__ for cls in all_below(ProviderError) if not cls.retryable} == never


def all_below(cls: type[ProviderError]) -> set[type[ProviderError]]:
    return {cls}.union(*(all_below(sub) for sub in cls.__subclasses__() if sub.__module__ == errors.__name__))


def one_of(kind: type[StructStreamError]) -> StructStreamError:
    """An error of `kind`, made of arguments as its constructor names them."""
    needed = [
        parameter
        for parameter in inspect.signature(kind.__init__).parameters.values()
        if parameter.default is parameter.empty
        and parameter.name != "self"
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    values: dict[str, Any] = {one.name: 2.0 if "float" in str(one.annotation) else "word" for one in needed}
    named = {one.name for one in needed if one.kind is one.KEYWORD_ONLY}
    return kind(
        *(value for name, value in values.items() if name not in named), **{name: values[name] for name in named}
    )


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("name", [name for name in errors.__all__ if name not in ("scrub", "CUT")])
def test_an_error_crosses_a_process_as_it_was(name: str, copied: Callable[[Any], Any]) -> None:
    error = one_of(getattr(errors, name))
    error.retryable = not error.retryable
    again = copied(error)
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
