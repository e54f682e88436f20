"""No canary in any channel, wherever it was planted, in each dialect; and each channel is known to tell what it can."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.canaries import CHANNELS, PLACES, How, Left, leaks, run
from tests.taping import AUTH
from tests.test_canary import canaries

pytestmark = pytest.mark.anyio


async def left_by(
    name: str, how: How, planted: list[str], path: Path, caplog: pytest.LogCaptureFixture, **changed: Any
) -> Left:
    """What a run of a place leaves."""
    caplog.clear()
    caplog.set_level(logging.DEBUG, "structstream")
    left = await run(replace(PLACES[name], **changed), planted, path, how)
    left.log = [record for record in caplog.records if re.match("structstream|asyncio", record.name)]
    assert left.log
    return left


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("dialect", AUTH)
async def test_no_channel_tells_what_was_planted(
    name: str, dialect: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = canaries(len(name))
    left = await left_by(name, How(dialect), planted, tmp_path / "it.yaml", caplog)
    assert left.ended().kind == PLACES[name].kind_in(dialect)
    assert leaks(left, planted) == {}


CONTROLS = ("the answer", "an error body", "an error in the stream", "an error in the stream, and another attempt")


@pytest.mark.parametrize("dialect", AUTH)
async def test_where_nothing_guards_every_channel_tells_what_was_planted(
    dialect: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found: dict[str, set[str]] = {}
    for name in CONTROLS:
        planted = canaries(len(name))
        left = await left_by(name, How(dialect, guarded=False), planted, tmp_path / "it.yaml", caplog)
        for channel in leaks(left, planted):
            found.setdefault(channel, set()).add(name)
    assert set(found) == set(CHANNELS)
