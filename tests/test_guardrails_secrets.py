"""Keys and passwords as they are issued and written, and words that are none."""

from __future__ import annotations

import pytest

from structstream.guardrails import Secrets
from structstream.guardrails.secrets import entropy
from tests.guarding import KEYS, screened


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("around", ["{}", "use {} now", "key={}", "('{}')", "https://x.org/?k={}"])
def test_issued_keys_are_taken_out(key: str, around: str) -> None:
    for pieces in ([around.replace("{}", key)], list(around.replace("{}", key))):
        shown = screened([Secrets()], pieces)[-1]
        assert key[:6] not in shown
        assert "[secret]" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password: hunter2!", "password: [secret]"),
        ("Password = 'open sesame'", "Password = '[secret] sesame'"),
        ('{"api_key": "x1y2z3w4", "n": 1}', '{"api_key": "[secret]", "n": 1}'),
        ("authorization: Bearer abcdefgh01234567 ok", "authorization: Bearer [secret] ok"),
        ("Basic dXNlcjpwYXNzd29yZDEyMw==", "Basic [secret]"),
        ("token=abc123def&x=1", "token=[secret]&x=1"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIB+/=\n-----END RSA PRIVATE KEY-----.",
            "a [secret].",
        ),
    ],
)
def test_assigned_secrets_are_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert screened([Secrets()], [text])[-1] == shown
    assert screened([Secrets()], list(text))[-1] == shown


@pytest.mark.parametrize(
    "text",
    ["a token of thanks", "the secret: love", "sk-learn-compatible-estimators", "the bearer of news", "a--b", "x = 12"],
)
def test_prose_is_spared(text: str) -> None:
    assert screened([Secrets()], list(text))[-1] == text


def test_random_tokens_are_found_where_that_is_asked_for() -> None:
    text = "It is q8Zr2LmX0vBn5TsK7dWy3HcE9f, not aaaaaaaaaaaaaaaaaaaaaaaaa1 nor incomprehensibilitiesandsoon."
    assert screened([Secrets()], [text])[-1] == text
    found = "It is [secret], not aaaaaaaaaaaaaaaaaaaaaaaaa1 nor incomprehensibilitiesandsoon."
    assert screened([Secrets(min_entropy=4.0)], list(text))[-1] == found


def test_entropy_is_that_of_the_characters() -> None:
    assert (entropy(""), entropy("aa"), entropy("ab"), entropy("abcdefgh")) == (0.0, 0.0, 1.0, 3.0)
