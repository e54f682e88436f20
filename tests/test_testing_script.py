"""A script that cannot work is refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from structstream.errors import ConfigurationError
from structstream.testing import Script


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"first_token_delay": -1}, "first_token_delay"),
        ({"tokens_per_second": -1}, "tokens_per_second"),
        ({"delta_size": 0}, "delta_size"),
        ({"delta_size": (3, 2)}, "delta_size"),
        ({"events_per_write": 0}, "events_per_write"),
        ({"thinking_form": "aloud"}, "thinking_form"),
        ({"indent": -1}, "indent"),
        ({"array_items": -1}, "array_items"),
    ],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{named} must be .*, not"):
        Script(**arguments)


@pytest.mark.parametrize(("rate", "interval"), [(None, 0.0), (0, 0.0), (50, 0.02)])
def test_the_interval_follows_the_rate(rate: float | None, interval: float) -> None:
    assert Script(tokens_per_second=rate).interval == interval
