"""vcrpy's matchers, for requests whose host is not known: what a transport is given has only the end of a path."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["MATCH_ON", "Matcher", "relative"]

MATCH_ON = ("method", "path", "body")
"""What has to agree unless the caller says otherwise, by the names of vcrpy's matchers."""

Matcher = Callable[[Any, Any], Any]  # Any: vcrpy's requests, which have no types


def relative(matchers: Sequence[Matcher]) -> list[Matcher]:
    """Return `matchers` such that what a request leaves out of its URL agrees with whatever was recorded.

    A request for ``/chat/completions`` agrees with one that was sent to ``https://api.openai.com/v1/chat/completions``,
    and one without a URL with any. A request with a whole URL is matched as vcrpy does it.
    """
    return [_relative(matcher) for matcher in matchers]


def _relative(matcher: Matcher) -> Matcher:
    @wraps(matcher)  # vcrpy tells matchers by their names
    def match(asked: Any, recorded: Any) -> Any:
        if not recorded.uri:
            return True  # a plain stream answers whatever is asked
        return matcher(_completed(asked, recorded), recorded)

    return match


def _completed(asked: Any, recorded: Any) -> Any:
    ours, theirs = urlsplit(asked.uri), urlsplit(recorded.uri)
    if ours.scheme:
        return asked
    path = theirs.path if theirs.path.endswith(ours.path) else ours.path
    query = dict(parse_qsl(theirs.query)) | dict(parse_qsl(ours.query))
    whole = copy.copy(asked)
    whole.uri = urlunsplit((theirs.scheme, theirs.netloc, path, urlencode(query), ""))
    return whole
