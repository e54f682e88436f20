"""A bar of tqdm follows a stream, and closes with it."""

from __future__ import annotations

import io
import sys
from typing import Literal

import pytest

from structstream import MissingDependencyError, ProgressEvent
from tests.edge import request_for, serving, steps_of

pytest.importorskip("tqdm", reason="tqdm is an extra")

from tqdm import tqdm

from structstream.integrations.tqdm import TqdmProgress


@pytest.mark.parametrize(("kind", "percent"), [("complete", 100.0), ("error", 40.0)])
def test_a_bar_follows_the_percent_and_closes_at_the_end(kind: Literal["complete", "error"], percent: float) -> None:
    out = io.StringIO()
    bar = TqdmProgress(tqdm(total=100, file=out, mininterval=0, ncols=100))
    bar(ProgressEvent("start", "the call begins", 0.0))
    bar(ProgressEvent("field", "items[2].name closed", 40.0))
    assert bar.bar is not None
    assert bar.bar.n == 40
    bar(ProgressEvent(kind, "it is over", percent))
    assert bar.bar.n == percent
    assert bar.bar.disable  # as tqdm leaves one that is closed
    assert "items[2].name closed" in out.getvalue()
    assert "it is over" in out.getvalue()


@pytest.mark.anyio
async def test_it_is_a_callback_of_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as (service, _):
        bar = TqdmProgress(description="a profile")
        await steps_of(service, request_for(progress_callback=bar))
    assert bar.bar is not None
    assert bar.bar.n == 100
    shown = capsys.readouterr().err
    assert "a profile: 100%" in shown


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.delitem(sys.modules, "structstream.integrations.tqdm")
    with pytest.raises(MissingDependencyError, match=r"structstream\[tqdm\]"):
        import structstream.integrations.tqdm  # noqa: F401  # only to be refused
