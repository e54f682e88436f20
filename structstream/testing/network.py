"""Refuse every connection that would leave this machine."""

from __future__ import annotations

import ipaddress
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NetworkRefusedError", "refused_connections"]

# The audit events of CPython that name a peer, and which argument it is (docs.python.org, "Audit events table").
_PEER = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}

# The lists of those who watch, the innermost last; empty while nobody does.
_watching: list[list[str]] = []


class NetworkRefusedError(RuntimeError):
    """A test tried to leave the machine; no `OSError`, so that no code takes it for an ordinary failure."""


@contextmanager
def refused_connections() -> Iterator[list[str]]:
    """Refuse connections and look-ups beyond loopback, and yield the list of the hosts refused so far.

    The attempt raises `NetworkRefusedError`; the list tells of it even where the code under test swallowed that.

    >>> import socket
    >>> with refused_connections() as refused:
    ...     try:
    ...         socket.create_connection(("192.0.2.1", 80))
    ...     except NetworkRefusedError:
    ...         print(refused)
    ['192.0.2.1']
    """
    refused: list[str] = []
    _watching.append(refused)
    try:
        yield refused
    finally:
        _watching.remove(refused)


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if event not in _PEER or not _watching:
        return
    peer = args[_PEER[event]]
    looks_up = event.startswith("socket.get")
    if not looks_up and not isinstance(peer, tuple):
        return  # the path of a Unix socket, or None where the socket is connected
    host = peer[0] if isinstance(peer, tuple) else peer
    if not _is_local(host):
        _watching[-1].append(str(host))
        raise NetworkRefusedError(f"{event} to {host}: tests reach nothing beyond this machine")


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


sys.addaudithook(_refuse)
