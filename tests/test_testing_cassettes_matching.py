"""vcrpy's matchers for requests that know only the end of their path."""

from __future__ import annotations

import pytest
from vcr import VCR  # type: ignore[import-untyped]
from vcr.matchers import requests_match  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]

from structstream.testing.cassettes.matching import MATCH_ON, relative

ALL = ("method", "scheme", "host", "port", "path", "query", "uri", "body", "raw_body")
JSON = {"content-type": "application/json"}
CHAT = "https://api.openai.com/v1/chat/completions"
AZURE = "https://mine.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/models/gemini:streamGenerateContent?alt=sse"


def agree(asked: str, recorded: str, match_on: tuple[str, ...], *, method: str = "POST", body: bytes = b"{}") -> bool:
    matchers = relative(VCR()._get_matchers(match_on))
    found: bool = requests_match(
        Request(method, asked, body, JSON), Request("POST", recorded, b"{ }".replace(b" ", b""), JSON), matchers
    )
    return found


@pytest.mark.parametrize(
    ("asked", "recorded"),
    [
        ("/chat/completions", CHAT),
        ("/chat/completions", AZURE),
        ("/models/gemini:streamGenerateContent?alt=sse", GOOGLE),
        (CHAT, CHAT),
        ("/whatever", ""),
    ],
)
@pytest.mark.parametrize("match_on", [ALL, MATCH_ON, ()])
def test_what_is_left_out_agrees(asked: str, recorded: str, match_on: tuple[str, ...]) -> None:
    assert agree(asked, recorded, match_on)


@pytest.mark.parametrize(
    ("asked", "recorded", "differs"),
    [
        ("/completions/chat", CHAT, "path"),
        ("/responses", CHAT, "path"),
        ("/models/gemini:streamGenerateContent?alt=json", GOOGLE, "query"),
        (CHAT.replace("https", "http"), CHAT, "scheme"),
        (CHAT.replace("api", "eu"), CHAT, "host"),
        (AZURE.replace("2024", "2025"), AZURE, "query"),
    ],
)
def test_what_is_said_must_agree(asked: str, recorded: str, differs: str) -> None:
    assert not agree(asked, recorded, (differs,))
    assert agree(asked, recorded, ())


def test_methods_and_bodies_must_agree() -> None:
    assert not agree("/chat/completions", CHAT, MATCH_ON, method="GET")
    assert not agree("/chat/completions", CHAT, MATCH_ON, body=b'{"model": "m"}')
    assert agree("/chat/completions", CHAT, MATCH_ON, body=b" { } ")
    assert not agree("/chat/completions", CHAT, ("raw_body",), body=b" { } ")
