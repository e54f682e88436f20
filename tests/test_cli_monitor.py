"""What the demo watches a service with."""

from __future__ import annotations

import re
import socket
import sys
from urllib.request import urlopen

import pytest

from structstream import ConfigurationError, Usage
from structstream.cli.monitor import monitoring, price
from structstream.cli.watcher import Watcher
from tests.test_cli_render import Terminal


def test_a_simulated_model_costs_what_its_namesake_does() -> None:
    pytest.importorskip("genai_prices", reason="genai-prices is an extra")
    used = Usage(1_000_000, 0)
    assert price("simulated", "gpt-4o", used) == price("openai", "gpt-4o", used) == 2.5
    assert price("anthropic", "gpt-4o", used) is None


def test_without_the_tables_nothing_has_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "structstream.instrumentation.cost", raising=False)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert price("openai", "gpt-4o", Usage(1, 1)) is None


def test_the_metrics_are_served_on_loopback_until_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with monitoring(0, Watcher()) as settings:
        assert set(settings) == {"metrics", "prices", "observers"}
        url = re.search(r"http://127\.0\.0\.1:\d+/metrics", capsys.readouterr().out)
        assert url is not None
        with urlopen(url[0], timeout=10) as answer:
            assert b"# TYPE structured_llm_streaming_requests_total counter" in answer.read()
    with pytest.raises(OSError, match="refused"):
        urlopen(url[0], timeout=10)


def test_a_person_at_the_terminal_has_time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def person(prompt: str) -> str:
        with urlopen(prompt.split(maxsplit=1)[0], timeout=10) as answer:
            seen.append(answer.read())
        return ""

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", person)
    with monitoring(0, Watcher()):
        assert not seen
    assert b"structured_llm_streaming_active_streams 0.0" in seen[0]


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=f"--metrics-port {port} cannot be had"),
            monitoring(port, Watcher()),
        ):
            pass


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_number_that_is_no_port_is_said(port: int) -> None:
    with pytest.raises(ConfigurationError, match="cannot be had"), monitoring(port, Watcher()):
        pass


def test_nothing_is_served_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    with monitoring(None, Watcher()):
        assert capsys.readouterr().out == ""
