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
            "a [secret]",
        ),
        ('a -----BEGIN PRIVATE KEY-----\\nMIIB+/=\\n-----END PRIVATE KEY-----\\n", b', 'a [secret]", b'),
        (
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMIIB+/=\n! b",
            "[secret]! b",
        ),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v1.4.11 (GNU/Linux)\n\nlQOY+/=\n! b", "[secret]! b"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MD+x", "aws_secret_access_key = [secret]"),
        ("AccountName=a;AccountKey=Eby8vdM02xNO/q==;x", "AccountName=a;AccountKey=[secret];x"),
        ("Uid=me;Pwd=hunter22;", "Uid=me;Pwd=[secret];"),
        ("密码 password\uff1ahunter22 好", "密码 password\uff1a[secret] 好"),
        (
            "to postgresql://ada:S3cr:t@db.example.org:5432/x now",
            "to postgresql://ada:[secret]@db.example.org:5432/x now",
        ),
        ("redis://:p4ss@10.0.0.1", "redis://:[secret]@10.0.0.1"),
    ],
)
def test_assigned_secrets_are_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert screened([Secrets()], [text])[-1] == shown
    assert screened([Secrets()], list(text))[-1] == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://localhost:8080/@ada",
            "ssh://git@example.org:22/x",
            "a://b:c d@e",
            "see https://example.org:443, @ada",
        ),
        *(
            "a token of thanks",
            "the secret: love",
            "sk-learn-compatible-estimators",
            "the bearer of news",
            "a--b",
            "x = 12",
        ),
    ],
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
