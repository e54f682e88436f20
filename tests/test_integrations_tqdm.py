"""tqdm's bar follows a stream, and ends with it."""

from __future__ import annotations

import importlib
import io
import sys

import pytest

from structstream import MissingDependencyError, ProgressEvent
from structstream.testing.faults import length
from tests.edge import PROFILE, request_for, serving

pytest.importorskip("tqdm", reason="tqdm is not installed: pip install 'structstream[tqdm]'")

from tqdm import tqdm  # needs what was looked for above

from structstream.integrations.tqdm import TqdmProgress

pytestmark = pytest.mark.anyio


async def test_the_bar_ends_full_and_closed() -> None:
    screen = io.StringIO()
    bar = TqdmProgress("profile", file=screen)
    async with serving() as (service, _):
        await service.route_structured(request_for(progress_callback=bar))
    assert "profile:   0%" in screen.getvalue()
    assert "profile: 100%" in screen.getvalue()
    assert screen.getvalue().endswith("complete\n")


async def test_a_failure_leaves_the_bar_where_it_was_and_names_the_error_alone() -> None:
    screen = io.StringIO()
    bar = TqdmProgress(file=screen)
    async with serving(faults=[length(40)]) as (service, _):
        async for _ in service.route_structured_streaming(request_for(progress_callback=bar)):
            pass
    assert screen.getvalue().endswith("TruncatedError\n")
    assert "100%" not in screen.getvalue()
    assert PROFILE[:20] not in screen.getvalue()


async def test_left_early_the_bar_closes_with_the_block() -> None:
    screen = io.StringIO()
    with TqdmProgress(file=screen) as bar:
        async with (
            serving() as (service, _),
            service.route_structured_streaming(request_for(progress_callback=bar)) as stream,
        ):
            await anext(stream)
        assert not screen.getvalue().endswith("\n")
    assert screen.getvalue().endswith("\n")


def test_a_bar_of_the_callers_is_moved_and_left_open() -> None:
    screen = io.StringIO()
    with tqdm(total=100, file=screen) as own:
        bar = TqdmProgress(bar=own)
        for kind, percent in (("start", 0.0), ("progress", 40.0), ("complete", 100.0)):
            bar(ProgressEvent(kind, "", percent))  # type: ignore[arg-type]  # mypy sees str
        assert own.n == 100
        assert not own.disable
        assert not screen.getvalue().endswith("\n")


def test_the_next_stream_has_a_bar_of_its_own() -> None:
    screen = io.StringIO()
    bar = TqdmProgress(file=screen)
    for _ in range(2):
        bar(ProgressEvent("start", "the call begins", 0.0))
        bar(ProgressEvent("complete", "the answer is there", 100.0))
    assert screen.getvalue().count("complete\n") == 2


def test_without_tqdm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.delitem(sys.modules, "structstream.integrations.tqdm")
    with pytest.raises(MissingDependencyError, match=r"structstream\[tqdm\]"):
        importlib.import_module("structstream.integrations.tqdm")
