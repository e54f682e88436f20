"""The table of what HTTP libraries raise holds each of theirs, and nothing of ours or of the language."""

from __future__ import annotations

import subprocess
import sys

import aiohttp
import httpx2
import openai
import pytest

from structstream import errors
from structstream.foreign import foreign

REQUEST = httpx2.Request("POST", "http://127.0.0.1")


@pytest.mark.parametrize(
    "error",
    [
        openai.APIConnectionError(request=REQUEST),
        openai.APITimeoutError(REQUEST),
        httpx2.ReadError("broken"),
        httpx2.InvalidURL("no"),
        httpx2.StreamConsumed(),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ServerDisconnectedError(),
        ConnectionResetError(),
        TimeoutError(),
        EOFError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_http_libraries_raise_is_in_the_table(error: Exception) -> None:
    assert isinstance(error, foreign())


@pytest.mark.parametrize(
    "error", [errors.ConnectionFailedError("x", provider="p"), ValueError(), RuntimeError(), KeyError()], ids=repr
)
def test_nothing_else_is(error: Exception) -> None:
    assert not isinstance(error, foreign())


def test_the_older_httpx_counts_once_somebody_has_imported_it() -> None:
    code = (
        "import sys; from structstream.foreign import foreign; before = len(foreign())\n"
        "class Older: HTTPError, InvalidURL, StreamError = OSError, ValueError, KeyError\n"
        "sys.modules['httpx'] = Older; assert len(foreign()) == before + 3 and KeyError in foreign()"
    )
    without = f"import sys; sys.modules.pop('httpx', None); {code}"
    subprocess.run([sys.executable, "-c", without], check=True)
