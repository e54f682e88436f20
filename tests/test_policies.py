"""Settings: each has a default, and a value that cannot work is refused with a sentence that names it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from structstream import policies
from structstream.errors import ConfigurationError
from structstream.policies import Policies
from tests.test_request import a_request

CLASSES = [getattr(policies, name) for name in policies.__all__ if isinstance(getattr(policies, name), type)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_setting_has_a_default_and_is_frozen(cls: Any) -> None:
    made = cls()
    assert made == cls()
    assert hash(made) == hash(cls())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(cls)[0].name, None)


@pytest.mark.parametrize(("cls", "name"), [(cls, field.name) for cls in CLASSES for field in dataclasses.fields(cls)])
@pytest.mark.parametrize("value", [-1, "x" * 3, math.nan, math.inf, -(10**400), [5]])
def test_what_cannot_work_is_refused_by_name(cls: Any, name: str, value: object) -> None:
    if (cls.__name__, name, value) == ("CachePolicy", "path", "xxx"):
        return
    with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\.{name} must be "):
        cls(**{name: value})


def test_the_highest_limit_is_not_below_the_first() -> None:
    with pytest.raises(ConfigurationError, match="must not be below start or least"):
        policies.ConcurrencyPolicy(start=5, most=4)


def test_the_first_limit_is_not_below_the_lowest() -> None:
    with pytest.raises(ConfigurationError, match="start=1 must not be below least=5"):
        policies.ConcurrencyPolicy(start=1, least=5)


def test_seconds_that_no_clock_can_count_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"HedgePolicy.after must be a positive number of seconds"):
        policies.HedgePolicy(after=10**400)


def test_a_policy_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Policies.retry must be a RetryPolicy\(...\) or None, not Breaker"):
        Policies(retry=policies.BreakerPolicy())  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Policies) if field.name != "midstream"])
def test_each_can_be_switched_off(name: str) -> None:
    assert getattr(Policies(**{name: None}), name) is None  # type: ignore[arg-type]  # the name is data


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fallback_models": "openai/o3"}, "fallback_models must be a list of names of models"),
        ({"fallback_models": [""]}, "fallback_models must be a list of names of models"),
        ({"midstream": "stop"}, "midstream must be one of resume, restart, hold, fail or None"),
        ({"policies": 5}, "policies must be a Policies(...) or None"),
        ({"idempotency_key": "a\n"}, "idempotency_key must be text that a header can carry"),
        ({"idempotency_key": "schlüssel"}, "idempotency_key must be text that a header can carry"),
    ],
)
def test_a_request_refuses_what_cannot_work(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        a_request(**changes)
    assert sentence in str(caught.value)


def test_policies_do_not_decide_the_answer() -> None:
    other = a_request(policies=Policies(), midstream="hold", idempotency_key="k", fallback_models=["openai/o3"])
    assert other.fingerprint() == a_request().fingerprint()
