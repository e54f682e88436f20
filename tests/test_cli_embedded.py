"""The simulated provider inside the demo's process: there while it is needed, and only then."""

from __future__ import annotations

import os

import pytest

from structstream.cli.embedded import embedded

BASE_URL = "STRUCTSTREAM_SIMULATED_BASE_URL"


def test_it_leads_the_simulated_model_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE_URL, raising=False)
    with embedded("simulated/m", seed=1, speed=0) as provider:
        assert provider is not None
        assert os.environ[BASE_URL] == provider.base_url
        assert provider.script.first_token_delay == 0
    assert BASE_URL not in os.environ


def test_it_lets_go_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE_URL, raising=False)
    failing = embedded("simulated/m", seed=1, speed=50)
    provider = failing.__enter__()
    assert provider is not None
    assert provider.script.tokens_per_second == 50
    assert not failing.__exit__(KeyError, KeyError(), None)
    assert BASE_URL not in os.environ


def test_a_real_model_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE_URL, raising=False)
    with embedded("openai/gpt-4o", seed=1, speed=0) as provider:
        assert provider is None
        assert BASE_URL not in os.environ


def test_one_that_runs_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE_URL, "http://127.0.0.1:1/v1")
    with embedded("simulated/m", seed=1, speed=0) as provider:
        assert provider is None
    assert os.environ[BASE_URL] == "http://127.0.0.1:1/v1"
