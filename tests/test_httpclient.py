"""What the environment says to the clients that are built here: certificates, proxies; and connections that idle."""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib.util
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme

from structstream.errors import ConfigurationError, ConnectionFailedError, MissingDependencyError, StructStreamError
from structstream.httpclient import build_http_client, check_http2, ending_with_connection
from structstream.providers import ProviderSpec
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import SimulatedProvider
from structstream.transport import SDKTransport
from tests.certificates import authority, server_context
from tests.edge import KEY, PROFILE, Profile, request_for, steps_of
from tests.proxyserver import forward_proxy
from tests.rawserver import http_head, raw_server

pytestmark = pytest.mark.anyio

ADA = Profile.model_validate_json(PROFILE)
SAID = (
    b'{"choices": [{"message": {"content": ' + f"{PROFILE!r}".replace('"', '\\"').replace("'", '"').encode() + b"}}]}"
)
WHOLE = {"model": "mine/gpt-4o", "enable_streaming": False}
every_http = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and certificates of the developer's own have no part in this."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tests' own authority is the one that this machine trusts."""
    path = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


async def answers(writer: asyncio.StreamWriter) -> None:
    writer.write(http_head(headers={"content-type": "application/json"}, length=len(SAID)) + SAID)


@asynccontextmanager
async def asking(base_url: str, *, http2: bool, **others: Any) -> AsyncIterator[StructuredLLMService]:
    row = ProviderSpec(name="mine", base_url=base_url)
    async with StructuredLLMService(providers={"mine": row}, api_keys={"mine": KEY}, http2=http2, **others) as service:
        yield service


async def failure_of(service: StructuredLLMService) -> StructStreamError:
    outcome = (await steps_of(service, request_for(**WHOLE)))[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.PROVIDER_ERROR
    assert outcome.error is not None
    return outcome.error


# --- certificates ---


@every_http
async def test_an_authority_that_the_environment_names_is_trusted(trusted: None, http2: bool) -> None:
    tls = server_context("http/1.1")
    async with raw_server(answers, tls) as server, asking(server.base_url, http2=http2) as service:
        assert await service.route_structured(request_for(**WHOLE)) == ADA


@every_http
async def test_an_authority_that_nobody_names_is_not_trusted_and_not_asked_again(http2: bool) -> None:
    came: list[object] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context("http/1.1"))
    place = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, asking(f"{place}/v1", http2=http2) as service:
        error = await failure_of(service)
    assert isinstance(error, ConnectionFailedError)
    assert not error.retryable
    assert f"the certificate of {place} is not trusted" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert came == []  # it left before the handshake was done


@every_http
async def test_a_certificate_of_another_host_is_not_trusted(trusted: None, http2: bool) -> None:
    tls = server_context()
    authority().issue_cert("elsewhere.example").configure_cert(tls)
    async with raw_server(answers, tls) as server, asking(server.base_url, http2=http2) as service:
        error = await failure_of(service)
    assert isinstance(error, ConnectionFailedError)
    assert not error.retryable


@every_http
@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["absent", "empty", "other"])
async def test_a_file_that_holds_no_certificates_is_the_callers_to_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, http2: bool, content: bytes | None
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with asking("https://localhost:9/v1", http2=http2) as service:
        error = await failure_of(service)
    assert isinstance(error, ConfigurationError)
    assert "no certificates can be read from where SSL_CERT_FILE points" in str(error)


async def test_another_authority_is_not_trusted_because_one_is(trusted: None) -> None:
    other = server_context()
    trustme.CA().issue_cert("127.0.0.1").configure_cert(other)
    async with raw_server(answers, other) as server, asking(server.base_url, http2=False) as service:
        assert "is not trusted" in str(await failure_of(service))


# --- proxies ---


@every_http
async def test_a_plain_request_goes_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, http2: bool
) -> None:
    async with raw_server(answers) as server, forward_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        async with asking(server.base_url, http2=http2) as service:
            assert await service.route_structured(request_for(**WHOLE)) == ADA
        assert proxy.requests == [f"POST {server.base_url}/chat/completions HTTP/1.1"]


@every_http
@pytest.mark.parametrize("scheme", ["", "http://"], ids=["address", "url"])
async def test_an_encrypted_request_goes_through_a_tunnel(
    trusted: None, monkeypatch: pytest.MonkeyPatch, http2: bool, scheme: str
) -> None:
    async with raw_server(answers, server_context("http/1.1")) as server, forward_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", scheme + proxy.address)
        async with asking(server.base_url, http2=http2) as service:
            assert await service.route_structured(request_for(**WHOLE)) == ADA
        assert proxy.requests == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
        assert KEY not in "".join(proxy.heads)  # it is within the tunnel


@every_http
@pytest.mark.parametrize("names", ["127.0.0.1", "example.com, 127.0.0.1", "*"])
async def test_hosts_that_are_excepted_are_asked_directly(
    monkeypatch: pytest.MonkeyPatch, http2: bool, names: str
) -> None:
    async with raw_server(answers) as server, forward_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", names)
        async with asking(server.base_url, http2=http2) as service:
            assert await service.route_structured(request_for(**WHOLE)) == ADA
        assert proxy.requests == []
        assert len(server.requests) == 1


@every_http
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("right", [False, True])
async def test_the_password_of_a_proxy_is_told_to_it_and_shown_nowhere(
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    http2: bool,
    encrypted: bool,
    right: bool,
) -> None:
    tls = server_context("http/1.1") if encrypted else None
    wanted = "Basic " + base64.b64encode(b"user:planted-word" if right else b"user:another").decode()
    async with raw_server(answers, tls) as server, forward_proxy(wanted) as proxy:
        monkeypatch.setenv("HTTPS_PROXY" if encrypted else "HTTP_PROXY", f"http://user:planted-word@{proxy.address}")
        async with asking(server.base_url, http2=http2) as service:
            if right:
                assert await service.route_structured(request_for(**WHOLE)) == ADA
                return
            with caplog.at_level(logging.DEBUG, "structstream"):
                error = await failure_of(service)
    assert "407" in str(error) or "Proxy Authentication Required" in str(error)
    shown = "".join(traceback.format_exception(error)) + "".join(
        record.getMessage() for record in caplog.records if "structstream" in record.name
    )
    assert "planted" not in shown
    assert wanted.split()[1] not in shown


@every_http
async def test_a_proxy_that_is_not_there_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch, http2: bool) -> None:
    async with forward_proxy() as proxy:
        address = proxy.address
    monkeypatch.setenv("HTTP_PROXY", f"http://user:planted-word@{address}")
    async with asking("http://localhost:9/v1", http2=http2) as service:
        error = await failure_of(service)
    assert isinstance(error, ConnectionFailedError)
    assert "planted" not in "".join(traceback.format_exception(error))


@every_http
@pytest.mark.parametrize(
    "value", ["ftp://user:planted@localhost:1", "http://localhost:planted", "socks5://user:planted@localhost:1"]
)
async def test_a_proxy_that_cannot_be_used_is_the_callers_to_change(
    monkeypatch: pytest.MonkeyPatch, http2: bool, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    async with asking("https://localhost:9/v1", http2=http2) as service:
        error = await failure_of(service)
    assert isinstance(error, ConfigurationError)
    assert "proxy" in str(error).lower()
    assert "planted" not in "".join(traceback.format_exception(error))


# --- connections ---


async def test_a_connection_that_idles_is_closed() -> None:
    async with SimulatedProvider(document=PROFILE) as provider:
        transport = SDKTransport.build(provider="simulated", base_url=provider.base_url, api_key=KEY, keepalive=0.05)
        service = StructuredLLMService(transport)
        for _ in range(2):
            assert await service.route_structured(request_for()) == ADA
        assert len({record.connection for record in provider.requests}) == 1  # used again while it was kept
        await provider.wait_until(lambda provider: provider.active == 0)
        assert await service.route_structured(request_for()) == ADA
        assert len({record.connection for record in provider.requests}) == 2
        await transport.aclose()


# --- what is asked for ---


@pytest.mark.parametrize(("asked", "meant"), [(None, False), (False, False), (True, True)])
def test_http_2_is_spoken_where_it_is_asked_for(asked: bool | None, meant: bool) -> None:
    assert check_http2(asked) is meant


def test_http_2_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("structstream.httpclient.find_spec", lambda name: None if name == "h2" else found(name))
    for make in (lambda: StructuredLLMService(http2=True), lambda: build_http_client(http2=True)):
        with pytest.raises(MissingDependencyError, match=r"pip install 'structstream\[http2\]'"):
            make()
    StructuredLLMService(http2=None)


def test_http_2_is_no_other_word() -> None:
    with pytest.raises(ConfigurationError, match="http2 must be True, False or None, not 'yes'"):
        StructuredLLMService(http2="yes")  # type: ignore[arg-type]  # what is tried


async def test_a_body_is_read_to_its_end_though_its_connection_is_gone_and_a_connection_keeps_no_answer() -> None:
    """aiohttp lets its reader wait where bytes came that are no HTTP; and it holds a connection beyond many answers."""
    loop, reported = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _, problem: reported.append(problem))
    protocol = aiohttp.client_proto.ResponseHandler(loop)
    answers = [Answering(aiohttp.StreamReader(protocol, 100, loop=loop), protocol) for _ in range(3)]
    for answer in answers[:2]:
        ending_with_connection(answer)()  # type: ignore[arg-type]  # as much of an answer as is looked at
    ending_with_connection(answers[2])  # type: ignore[arg-type]
    assert protocol.closed is not None
    assert len(protocol.closed._callbacks) == 2  # that of the last answer, and one for all
    answers[2].content.feed_data(b"what had come")
    protocol.connection_lost(OSError("reset"))
    await asyncio.sleep(0)
    assert [await answers[2].content.readany(), await answers[2].content.readany()] == [b"what had come", b""]
    assert not answers[0].content.is_eof()
    assert ending_with_connection(answers[2])() is None  # type: ignore[arg-type]
    del protocol, answers, answer
    gc.collect()
    assert reported == []
    loop.set_exception_handler(None)


class Answering:
    """An answer of aiohttp's, as far as it is looked at."""

    def __init__(self, content: aiohttp.StreamReader, protocol: aiohttp.client_proto.ResponseHandler) -> None:
        self.content = content
        self.connection = SimpleNamespace(protocol=protocol)
