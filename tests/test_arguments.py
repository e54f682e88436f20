"""What cannot work is refused where it is said, with a sentence that says what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from structstream import (
    DenyList,
    JSONLimits,
    MaxLength,
    PersonalData,
    PromptLength,
    Secrets,
    StreamDecoder,
    StreamingStructuredRequest,
    parse_stream,
)
from structstream.errors import ConfigurationError
from structstream.providers import route

# Any: these are called with what their types refuse.
_request: Any = partial(StreamingStructuredRequest, prompt="x", response_model=int, model="openai/gpt-4o")
_decoder: Any = StreamDecoder
_parse: Any = parse_stream
_limits: Any = JSONLimits
_personal: Any = PersonalData
_secrets: Any = Secrets
_deny: Any = DenyList
_length: Any = MaxLength
_prompt: Any = PromptLength


def decoder(**options: Any) -> Any:  # Any: as above
    return _decoder(**{"response_model": int, "provider": route("gpt-4o").provider.decoder(), **options})


ROWS: list[tuple[str, Callable[[], object]]] = [
    ("stop must be text, a list of texts or None, not ''", lambda: _request(stop="")),
    ("stop must be", lambda: _request(stop=["a", ""])),
    ("max_depth must be a positive integer, not 0", lambda: _limits(max_depth=0)),
    ("max_keys must be a positive integer, not 1.5", lambda: _limits(max_keys=1.5)),
    ("max_string_length must be a positive integer, not 'x'", lambda: _limits(max_string_length="x")),
    ("max_number_length must be a positive integer, not True", lambda: _limits(max_number_length=True)),
    ("chunks must be str, bytes or an iterable", lambda: _parse(5, int)),
    ("limits must be a JSONLimits", lambda: _parse("1", int, limits=5)),
    ("wrap_key must be text or None, not 5", lambda: _parse("1", int, wrap_key=5)),
    ("cadence must be one of read, delta, not 'x'", lambda: decoder(cadence="x")),
    ("chunk_size must be a positive integer or None, not 0", lambda: decoder(chunk_size=0)),
    ("max_event_bytes must be a positive integer or None, not 'x'", lambda: decoder(max_event_bytes="x")),
    ("provider must be a fresh decoder of a dialect", lambda: decoder(provider=None)),
    ("on_find must be one of redact, stop, allow, not 'Redact'", lambda: _personal(on_find="Redact")),
    ("on_prompt must be one of redact, stop, allow, not None", lambda: _secrets(on_prompt=None)),
    ("on_find must be one of", lambda: _deny(["x"], on_find=True)),
    ("on_find must be one of stop, redact, not 'allow'", lambda: _length(3, on_find="allow")),
    ("paths must be a list of texts, not 'a.b'", lambda: _secrets(paths="a.b")),
    ("paths must be a list of texts, not 3", lambda: _length(3, paths=3)),
    ("kinds must be a list of some of", lambda: _personal("email")),
    ("words must be a list of texts, not 3", lambda: _deny(3)),
    ("characters must be a positive integer, not 'x'", lambda: _length("x")),
    ("min_entropy must be a number of bits", lambda: _secrets(min_entropy="x")),
    ("least and most must be integers", lambda: _prompt(least="x")),
]


@pytest.mark.parametrize(("sentence", "make"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_work_is_refused_with_what_to_give_instead(sentence: str, make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()
