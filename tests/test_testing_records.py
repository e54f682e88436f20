"""What is remembered of a request holds no key."""

from __future__ import annotations

import pytest

from structstream.testing import RecordedRequest
from structstream.testing.records import without_secrets


@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"])
def test_no_header_that_carries_a_key_is_kept(name: str) -> None:
    assert without_secrets({name: "sk-1", "accept": "*/*"}) == {name: "[redacted]", "accept": "*/*"}


def test_a_fresh_record_has_not_ended() -> None:
    record = RecordedRequest(0, "POST", "/", {}, None, 0, 1.5)
    assert (record.ending, record.ended_at, record.disconnected_at, record.status, record.bytes_sent) == (None,) * 4 + (
        0,
    )
    assert not record.released.is_set()
