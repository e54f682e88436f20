from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ConfigurationError
from structstream.providers.content import Image, image_of, text_of

PNG = b"\x89PNG\r\n\x1a\n\x00\x00"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"type": "text", "text": "a"}, "a"),
        ({"type": "input_text", "text": ""}, ""),
        ({"type": "text", "text": 1}, None),
        ({"type": "output_text", "text": "a"}, None),
        ({"text": "a"}, None),
    ],
)
def test_texts(part: dict[str, Any], text: str | None) -> None:
    assert text_of(part) == text


@pytest.mark.parametrize(
    ("source", "image"),
    [
        ("https://example.com/a.png", Image("https://example.com/a.png")),
        ("data:image/png;base64,AAAA", Image("", "image/png", "AAAA")),
        ("data:image/svg+xml;charset=utf-8,%3Csvg%3E", Image("", "image/svg+xml", base64.b64encode(b"<svg>").decode())),
        ("data:,a", Image("", "text/plain", "YQ==")),
        (PNG, Image("", "image/png", base64.b64encode(PNG).decode())),
        (bytearray(PNG), Image("", "image/png", base64.b64encode(PNG).decode())),
    ],
)
def test_images_by_url_and_by_bytes(source: object, image: Image) -> None:
    assert image_of({"type": "image_url", "image_url": {"url": source, "detail": "low"}}) == image
    assert image_of({"type": "input_image", "image_url": source}) == image


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"RIFF\n\n\n\nWEBP", "image/webp"),
    ],
)
def test_the_form_is_told_by_the_first_bytes(data: bytes, media_type: str) -> None:
    found = image_of({"type": "image_url", "image_url": data})
    assert found is not None
    assert found.media_type == media_type
    assert found.as_url == f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "part", [{"type": "image", "source": {}}, {"type": "image_url"}, {"type": "image_url", "image_url": {}}]
)
def test_other_parts_are_left_to_the_dialect(part: dict[str, Any]) -> None:
    assert image_of(part) is None


@pytest.mark.parametrize("source", [b"BM\x00", b"", "data:image/png;base64"])
def test_what_cannot_be_read_is_refused(source: object) -> None:
    with pytest.raises(ConfigurationError, match="an image of a message"):
        image_of({"type": "image_url", "image_url": source})


@given(st.binary(max_size=64))
def test_bytes_come_back_from_the_url_that_holds_them(data: bytes) -> None:
    found = image_of({"type": "image_url", "image_url": PNG + data})
    assert found is not None
    assert image_of({"type": "image_url", "image_url": found.as_url}) == found
    assert base64.b64decode(found.data) == PNG + data
