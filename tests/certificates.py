"""An authority of the tests' own, and servers that it vouches for."""

from __future__ import annotations

import ssl
from functools import cache

import trustme

__all__ = ["authority", "server_context"]


@cache
def authority() -> trustme.CA:
    """Return the one authority of this run; `authority().cert_pem` is what a client has to trust."""
    return trustme.CA()


def server_context(*protocols: str) -> ssl.SSLContext:
    """Return the TLS of a server on loopback that offers `protocols` by ALPN; with none it knows nothing of it.

    >>> server_context("h2").verify_mode.name
    'CERT_NONE'
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
