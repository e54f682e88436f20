"""The guard that keeps every test on this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest

from structstream.testing.network import NetworkRefusedError, refused_connections

BEYOND = "192.0.2.1"  # RFC 5737: an address that is nobody's


def test_a_connection_beyond_loopback_is_refused_and_remembered() -> None:
    with refused_connections() as refused, socket.socket() as sock:
        with pytest.raises(NetworkRefusedError, match=BEYOND):
            sock.connect((BEYOND, 80))
        with pytest.raises(NetworkRefusedError):
            sock.connect_ex((BEYOND, 80))
        assert refused == [BEYOND, BEYOND]


def test_a_datagram_beyond_loopback_is_refused() -> None:
    with refused_connections(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(NetworkRefusedError):
            sock.sendto(b"x", (BEYOND, 9))
        with pytest.raises(NetworkRefusedError):
            sock.sendmsg([b"x"], [], 0, (BEYOND, 9))


@pytest.mark.parametrize("host", ["example.com", b"example.com", BEYOND, "2001:db8::1"])
def test_a_name_beyond_loopback_is_not_looked_up(host: str | bytes) -> None:
    with refused_connections(), pytest.raises(NetworkRefusedError):
        socket.getaddrinfo(host, 80)


def test_the_guard_is_on_in_every_test(refused_hosts: list[str]) -> None:
    with pytest.raises(NetworkRefusedError):
        socket.create_connection((BEYOND, 80))
    assert refused_hosts == [BEYOND]
    refused_hosts.clear()


@pytest.mark.anyio
async def test_asyncio_is_refused_too() -> None:
    with refused_connections() as refused:
        with pytest.raises(NetworkRefusedError):
            await asyncio.open_connection(BEYOND, 80)
        assert refused == [BEYOND]


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_is_open(host: str) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()


def test_a_pair_of_connected_sockets_is_open() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendmsg([b"x"])
        assert right.recv(1) == b"x"
