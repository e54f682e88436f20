"""``structstream simulate``: a server that any client can be pointed at, until an interrupt."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from structstream.cli import main
from structstream.testing import FAULTS, SimulatedProvider

COMMAND = [sys.executable, "-m", "structstream", "simulate", "--port", "0", "--speed", "0", "--first-token-delay", "0"]


@contextmanager
def simulating(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    # A shell starts what it runs in the background deaf to interrupts, and so would be what the suite starts there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with started as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)/v1", process.stdout.readline())
            assert found is not None
            yield process, int(found[1])
        finally:
            process.kill()


def answer(port: int) -> tuple[int, str]:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head.encode() + body)
        got = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return int(got.split()[1]), got.partition("\r\n\r\n")[2]


def test_it_answers_until_interrupted_and_says_what_it_did(tmp_path: Path) -> None:
    document = tmp_path / "answer.json"
    document.write_text('{"said": "so"}')
    options = ("--document", str(document), "--fence", "--fault", "none", "--fault", "status(503)")
    with simulating(*options) as (process, port):
        code, body = answer(port)
        assert code == 200
        said = json.loads(body)["choices"][0]["message"]["content"]
        assert said == 'Certainly! Here is the JSON:\n```json\n{"said": "so"}\n```'
        assert answer(port)[0] == 503
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        process.wait()
    assert "export OPENAI_BASE_URL=" in out
    assert out.endswith("answered 2 requests; 0 clients left before the end\n")
    assert err == ""
    assert process.returncode == 0


def test_the_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[0] for line in lines] == sorted(FAULTS)
    assert "cut_at_byte(n)" in "".join(lines)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fault", "explode"], "there is no fault 'explode'"),
        (["--fault", "cut_at_byte"], "write it as cut_at_byte(n)"),
        (["--speed", "-1"], "tokens_per_second must be"),
        (["--document", "no/such/file"], "--document no/such/file"),
    ],
)
def test_bad_options_are_one_sentence(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with SimulatedProvider.in_thread() as provider:
        assert main(["simulate", "--port", str(provider.port)]) == 2
    assert "cannot listen on" in capsys.readouterr().err
