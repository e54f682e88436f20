"""What the messages of a caller are made of, read once for all dialects: texts and images.

Callers write the parts of OpenAI's two dialects, or a provider's own, which pass through untouched. Where the URL of an
image may stand, its bytes may stand as well.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from structstream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Image", "image_of", "text_of"]

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,=]+=[^;,]*)*(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL)

# The first bytes of each form that all providers take.
_SIGNATURES: Sequence[tuple[re.Pattern[bytes], str]] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a message: either `url`, or `media_type` and `data`.

    Args:
        url: where it lies; empty where it is here.
        media_type: its kind, such as ``image/png``; empty where it is elsewhere.
        data: its bytes in base64; empty where it is elsewhere.
    """

    url: str = ""
    media_type: str = ""
    data: str = ""

    @property
    def as_url(self) -> str:
        """The URL, or a ``data:`` URL that holds the bytes (RFC 2397)."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


def text_of(part: Mapping[str, Any]) -> str | None:  # Any: JSON
    """Return the text of a text part; None where `part` is something else.

    >>> text_of({"type": "input_text", "text": "Hello"})
    'Hello'
    """
    text = part.get("text") if part.get("type") in ("text", "input_text") else None
    return text if isinstance(text, str) else None


def image_of(part: Mapping[str, Any]) -> Image | None:  # Any: JSON, and bytes
    """Return the image of an ``image_url`` or ``input_image`` part; None where `part` is something else.

    Args:
        part: ``{"type": "image_url", "image_url": {"url": …}}`` or the same with the URL itself; instead of a URL there
            may be the bytes of a PNG, JPEG, GIF or WebP image.

    Raises:
        ConfigurationError: the bytes are none of these, or the ``data:`` URL cannot be read.

    >>> image_of({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}})
    Image(url='', media_type='image/png', data='iVBORw0KGgo=')
    >>> image_of({"type": "input_image", "image_url": b"GIF89a"}).media_type
    'image/gif'
    """
    if part.get("type") not in ("image_url", "input_image"):
        return None
    found = part.get("image_url")
    source = found.get("url") if isinstance(found, dict) else found
    if isinstance(source, bytes | bytearray | memoryview):
        return _of_bytes(bytes(source))
    if not isinstance(source, str):
        return None
    return _of_data_url(source) if source.startswith("data:") else Image(url=source)


def _of_bytes(data: bytes) -> Image:
    for signature, media_type in _SIGNATURES:
        if signature.match(data):
            return Image(media_type=media_type, data=b64encode(data).decode())
    raise ConfigurationError(
        f"an image of a message is no PNG, JPEG, GIF or WebP: it begins with {data[:8]!r}; "
        "give another form as a data: URL with its media type"
    )


def _of_data_url(url: str) -> Image:
    parts = _DATA_URL.fullmatch(url)
    if parts is None:
        raise ConfigurationError(f"an image of a message has a data: URL that cannot be read: {url[:40]!r}")
    data = parts["data"] if parts["base64"] else b64encode(unquote_to_bytes(parts["data"])).decode()
    return Image(media_type=parts["type"] or "text/plain", data=data)
