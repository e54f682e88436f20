"""What the HTTP stack raises: a closed table, looked up once the libraries are there. None is imported before."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

__all__ = ["foreign"]


def foreign() -> tuple[type[Exception], ...]:
    """Return the errors of the SDK and of the HTTP libraries; a client on the older httpx raises that library's own."""
    older: Any = sys.modules.get("httpx")  # Any: a library that is not ours to import
    return _known() if older is None else (*_known(), older.HTTPError, older.InvalidURL, older.StreamError)


@lru_cache(maxsize=1)
def _known() -> tuple[type[Exception], ...]:
    import aiohttp
    import httpx2
    from aiohttp.http_exceptions import HttpProcessingError
    from openai import OpenAIError

    return (
        OpenAIError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        httpx2.StreamError,
        aiohttp.ClientError,
        HttpProcessingError,
        OSError,
        EOFError,
    )
