"""The simulated provider without an event loop."""

from __future__ import annotations

import socket
import threading

import pytest

from structstream.errors import ConfigurationError
from structstream.testing import Script, SimulatedProvider, stall_before_first_byte
from structstream.testing.thread import ThreadedProvider

REQUEST = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
QUESTION = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(QUESTION) + QUESTION


def test_it_answers_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with SimulatedProvider.in_thread(seed=1) as provider:
        assert provider.base_url == f"http://127.0.0.1:{provider.port}/v1"
        with socket.create_connection(("127.0.0.1", provider.port)) as client:
            client.sendall(REQUEST)
            assert client.recv(20).startswith(b"HTTP/1.1 200")
            assert provider.wait_for_end().status == 200
        provider.wait_for_disconnect()
        assert (provider.active, provider.disconnects, len(provider.requests)) == (0, 0, 1)
    assert threading.active_count() == before


def test_it_releases_and_sees_a_client_leave() -> None:
    with SimulatedProvider.in_thread(faults=[stall_before_first_byte()] * 2) as provider:
        provider.script = Script(delta_size=100)
        assert provider.script.delta_size == 100
        for number in range(2):
            with socket.create_connection(("127.0.0.1", provider.port)) as client:
                client.sendall(POST)
                provider.wait_until(lambda each: [record.stalled for record in each.requests][-1:] == [True])
                if number == 0:
                    provider.release()
                    assert client.recv(20).startswith(b"HTTP/1.1 200")
                    provider.wait_for_end(0)
        assert provider.wait_for_disconnect(1).ending == "disconnected"
        assert provider.disconnects == 1


def test_what_cannot_start_says_so_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with (
        SimulatedProvider.in_thread() as provider,
        pytest.raises(ConfigurationError, match="cannot listen"),
        SimulatedProvider.in_thread(port=provider.port),
    ):
        pass
    assert threading.active_count() == before


def test_it_must_be_entered_first() -> None:
    with pytest.raises(ConfigurationError, match="not running"):
        ThreadedProvider(SimulatedProvider()).wait_for_end()
