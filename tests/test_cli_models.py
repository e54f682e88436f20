"""The routing table as the command line prints it: every row, which keys are set, never a key."""

from __future__ import annotations

import re

import pytest

from structstream import ROUTES
from structstream.cli import main

KEY = "sk-a-key-that-nobody-sees"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in ROUTES.values():
        names = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
        for name in filter(None, (*names, *spec.key_env)):
            monkeypatch.delenv(name, raising=False)


def table(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, str]:
    assert main(["models", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["provider", "dialect", "key", "modes", "base", "URL"]
    return {line.split()[0]: line for line in lines[1:]}


def test_every_row_of_the_routing_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(capsys)
    assert list(rows) == sorted(ROUTES)
    for name, spec in ROUTES.items():
        assert spec.dialect in rows[name]
        assert spec.base_url in rows[name]
        assert all(mode in rows[name] for mode in spec.modes)
    assert "native, tool*, prompted" in rows["google"]
    assert re.search(r"native, tool, prompted \(others for some models\) +https://api.openai.com/v1$", rows["openai"])


def test_keys_are_named_and_never_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", " ")
    rows = table(capsys)
    assert "OPENAI_API_KEY is set" in rows["openai"]
    assert "OPENAI_API_KEY is set" in rows["openai-responses"]
    assert "GROQ_API_KEY is not set" in rows["groq"]
    assert "MOONSHOT_API_KEY or MOONSHOTAI_API_KEY is not set" in rows["moonshotai"]
    assert "none needed" in rows["ollama"]
    assert KEY not in "".join(rows.values())


def test_base_urls_of_the_environment_are_shown_without_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{KEY}@proxy.example:8080/v1?key={KEY}")
    rows = table(capsys)
    assert rows["openai"].endswith("https://proxy.example:8080/v1 (OPENAI_BASE_URL)")
    assert rows["azure"].endswith("AZURE_OPENAI_ENDPOINT is not set")


def test_only_those_that_can_be_called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(table(capsys, "--set")) >= {"ollama", "vllm"}
    assert not {"openai", "azure", "simulated"} & set(table(capsys, "--set"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert {"openai", "openai-responses"} <= set(table(capsys, "--set"))
    assert "azure" not in table(capsys, "--set")
