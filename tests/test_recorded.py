"""The folder `cassettes` replays without a network, a key or an address: outcome and result are what they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import vcr  # type: ignore[import-untyped]

from scripts.recording.matrix import CASES, FOLDER, MODELS, Case, City, take
from structstream import ROUTES, OutcomeKind, ProviderSpec, StructuredLLMService
from structstream.testing.cassettes import (
    Cassette,
    Playback,
    at_once,
    byte_by_byte,
    exact,
    lint,
    read_interactions,
    recut,
)

pytestmark = pytest.mark.anyio

# Where the service has seen enough it closes the connection, and does not wait for the end of the body.
ENDINGS = {"reset": "reset", **dict.fromkeys(("cancelled", "in_band_error", "invalid"), "cancelled")}


def test_the_folder_holds_what_the_matrix_says_and_nothing_else() -> None:
    found = {path for path in FOLDER.rglob("*") if path.is_file()}
    assert found == {case.path for case in CASES} | {FOLDER / "README.md"}
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert [case.name for case in CASES if f"`{case.name}`" not in readme] == []


def test_there_is_nothing_to_complain_of() -> None:
    assert lint([FOLDER]) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}-{case.mode}-{case.name}")
async def test_a_cassette_replays(case: Case) -> None:
    (kept,) = read_interactions(case.path)
    assert kept.recording.ending == ENDINGS.get(case.name, "end")
    for play in (exact, byte_by_byte):
        with Cassette(case.path, record_mode="none", play=play) as tape:
            outcome = await take(StructuredLLMService(tape.client), case)
            assert tape.unused == []
        assert outcome is not None
        assert outcome.kind == case.kind
        assert outcome.result == (_city() if case.kind == OutcomeKind.COMPLETE else None)


@pytest.mark.parametrize("play", [at_once, recut(7)], ids=repr)
@pytest.mark.parametrize("dialect", MODELS)
async def test_other_cuts_end_the_same(dialect: str, play: Playback) -> None:
    for case in CASES:
        if case.dialect == dialect and case.steps is None:
            with Cassette(case.path, record_mode="none", play=play) as tape:
                outcome = await take(StructuredLLMService(tape.client), case)
            assert outcome is not None
            assert outcome.kind == case.kind


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "complete"], ids=lambda case: case.dialect)
async def test_plain_vcrpy_replays_the_same_file(case: Case) -> None:
    (kept,) = read_interactions(case.path)
    name = MODELS[case.dialect].partition("/")[0]
    origin = kept.url.partition("/v1")[0]
    base_url = origin + "/v1" if case.dialect.startswith("openai") else origin
    rows = {name: _at(name, base_url)}
    with vcr.use_cassette(str(case.path), record_mode="none") as tape:
        async with StructuredLLMService(providers=rows, api_keys={name: "any"}) as service:
            assert await service.route_structured(case.request) == _city()
        assert tape.all_played


def _at(name: str, base_url: str) -> ProviderSpec:
    return replace(ROUTES[name], base_url=base_url, base_url_env=())


def _city() -> City:
    return City(name="Zürich", country="Switzerland", population=443037, sights=["Grossmünster", "Uetliberg"])
