"""The demo: the main job without a key, in a pipe, on a terminal, with the user's own type, and its failures."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from pydantic import BaseModel

from structstream.cli import demo, main
from structstream.cli.schemas import Trip
from structstream.testing import Script, SimulatedProvider, ThreadedProvider, content_filter
from tests.test_cli_render import Terminal

BASE_URL = "STRUCTSTREAM_SIMULATED_BASE_URL"


class Shopping(BaseModel):
    shop: str
    items: list[str]


Numbers = list[int]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE_URL, raising=False)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedProvider]:
    with SimulatedProvider.in_thread(faults=[content_filter(60)], script=Script()) as running:
        monkeypatch.setenv(BASE_URL, running.base_url)
        yield running


def printed_object(out: str) -> str:
    """The validated result among the lines."""
    return out[re.search(r"^[{\[]", out, re.MULTILINE).start() :].rpartition("\n\noutcome")[0]  # type: ignore[union-attr]  # a result was printed


def test_in_a_pipe_it_prints_lines_the_result_and_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "0"]) == 0
    out = capsys.readouterr().out
    assert re.search(r'^ *\d+ %  traveller\.name = "', out, re.MULTILINE)
    assert re.search(r'^ *\d+ %  days\[1\]\.steps\[0\]\.kind = "', out, re.MULTILINE)
    trip = Trip.model_validate_json(printed_object(out))
    assert f'title = "{trip.title}"' in out
    assert re.search(r"^outcome +complete$", out, re.MULTILINE)
    for figure in ("time to first partial", "total time", "tokens", "deltas"):
        assert re.search(rf"^{figure} +\d", out, re.MULTILINE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)


def test_the_seed_decides(capsys: pytest.CaptureFixture[str]) -> None:
    made = []
    for seed in ("1", "1", "2"):
        main(["demo", "--speed", "0", "--seed", seed])
        made.append(printed_object(capsys.readouterr().out))
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("name", ["Shopping", "Numbers"])
def test_the_users_own_type(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "0", "--schema", f"{__name__}:{name}", "--prompt", "Anything"]) == 0
    out = capsys.readouterr().out
    assert "Anything" in out
    made = json.loads(printed_object(out))
    assert Shopping.model_validate(made) if name == "Shopping" else all(isinstance(each, int) for each in made)


def test_a_bad_argument_is_said_before_anything_is_sent(
    provider: ThreadedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--temperature", "7"]) == 2
    assert "temperature must be" in capsys.readouterr().err
    assert provider.requests == []


def test_another_outcome_than_complete_is_exit_code_1(
    provider: ThreadedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--temperature", "0.5"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^outcome +filtered$", out, re.MULTILINE)
    assert re.search(r"^saved +\d+ closed values, \d+ characters$", out, re.MULTILINE)
    assert provider.requests[0].body["temperature"] == 0.5
    assert main(["demo"]) == 0  # the provider that runs already was asked, and is well again
    assert len(provider.requests) == 2


def test_a_real_model_is_asked_at_its_own_address_with_its_key(
    provider: ThreadedProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    for model in ("openai/gpt-4o", "gpt-4o"):
        main(["demo", "--model", model])
        assert provider.requests[-1].body["model"] == "gpt-4o"
        assert "sk-of-the-environment" not in capsys.readouterr().out
    assert provider.requests[-1].ending == "complete"


def test_performance_is_printed_as_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "0", "--monitor-performance"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^gaps between steps +p50 \d+\.\d ms, p95 ", out, re.MULTILINE)
    assert re.search(r"^rate +\d+ tokens a second, \d+ characters a second$", out, re.MULTILINE)
    assert re.search(r"^attempts +1$", out, re.MULTILINE)
    assert re.search(
        r"^attempt 1 +simulated/gpt-4o, native, first token after \d.*, complete after \d", out, re.MULTILINE
    )
    assert re.search(r"^CPU per step +p50 \d+ µs, p95 ", out, re.MULTILINE)


def test_the_metrics_are_served_meanwhile(
    free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    printed = demo._print_rows

    def asked(rows: list[tuple[str, str]]) -> None:
        with urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=10) as answer:  # the service still runs
            seen.append(answer.read().decode())
        printed(rows)

    monkeypatch.setattr(demo, "_print_rows", asked)
    assert main(["demo", "--speed", "0", "--metrics-port", str(free_port)]) == 0
    assert f"http://127.0.0.1:{free_port}/metrics" in capsys.readouterr().out
    assert 'structured_llm_streaming_requests_total{model="simulated/gpt-4o",outcome="complete"} 1.0' in seen[0]


def test_guardrails_run_and_their_verdicts_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "0", "--enable-guardrails"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^guardrails +personal data: .*secrets: ", out, re.MULTILINE)


@pytest.mark.parametrize(("hidden", "screen"), [(None, "LiveScreen"), ("rich.live", "TerminalScreen")])
def test_on_a_terminal_there_is_a_bar(hidden: str | None, screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if hidden is None:
        pytest.importorskip("rich", reason="rich is not installed: pip install 'structstream[rich]'")
    else:
        monkeypatch.delitem(sys.modules, "structstream.cli.live", raising=False)
        monkeypatch.setitem(sys.modules, hidden, None)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["demo", "--speed", "0"]) == 0
    assert "█" in out.getvalue()
    assert type(demo._screen_for(out)).__name__ == screen
