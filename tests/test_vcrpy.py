"""vcrpy beside us: it replays our cassettes whole, we replay its, and it works around the service as it stands.

Around the service vcrpy takes hold of aiohttp (or of httpx2) below our transport. From version 9 on that holds: bodies
are whole however long, and replayed answers have their raw headers, which the HTTP client reads. What it cannot keep is
how a body came; of a body that broke it keeps nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import vcr  # type: ignore[import-untyped]
import yaml
from openai import AsyncOpenAI, DefaultAioHttpClient

from structstream.request import StreamingStructuredRequest
from structstream.service import StructuredLLMService
from structstream.testing import (
    Fault,
    Script,
    SimulatedProvider,
    cut_at_byte,
    empty_stream,
    html_200,
    in_band_error,
    length,
    refusal,
    reset_at_byte,
    status,
)
from structstream.testing.cassettes import Cassette, at_once, byte_by_byte, read_interactions
from tests.edge import BARE, KEY, PROFILE, Profile, request_for, steps_of
from tests.taping import AUTH, playing, recording, rows

if TYPE_CHECKING:
    from structstream.response import Outcome

pytestmark = pytest.mark.anyio
pytest_plugins = ["pytester"]

FAULTS: list[Fault | None] = [
    None,
    status(429, {"retry-after": "7"}),
    cut_at_byte(700),
    in_band_error(2),
    length(20),
    refusal(),
    html_200(),
    empty_stream(),
]
LONG = json.dumps({"name": "é\u2028\r\n\x85" * 20_000, "age": 3, "tags": ["x"] * 500}, ensure_ascii=False)


def told(outcome: Outcome[Profile] | None) -> tuple[str, str, str, object, object]:
    """What does not depend on how the body was cut."""
    assert outcome is not None
    return outcome.kind, outcome.raw_text, repr(outcome.error), outcome.result, outcome.usage


async def outcomes(
    service: StructuredLLMService, request: StreamingStructuredRequest[Profile], count: int
) -> list[Any]:
    return [told((await steps_of(service, request))[-1].outcome) for _ in range(count)]


@pytest.mark.parametrize("dialect", AUTH)
@pytest.mark.parametrize("match_on", [["method", "uri"], ["method", "uri", "raw_body"]], ids=str)
async def test_plain_vcrpy_replays_our_cassette(tmp_path: Path, dialect: str, match_on: list[str]) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=f"{dialect}/m")
    async with recording(path, faults=FAULTS) as (service, provider):
        await outcomes(service, request, len(FAULTS))
        base_url = provider.base_url
    async with playing(path, at_once) as (service, _tape):
        ours = await outcomes(service, request, len(FAULTS))
    with vcr.use_cassette(str(path), record_mode="none", match_on=match_on) as tape:
        async with StructuredLLMService(
            providers=rows(base_url), api_keys=dict.fromkeys(AUTH, KEY), policies=BARE
        ) as service:
            assert await outcomes(service, request, len(FAULTS)) == ours
        assert tape.all_played


async def test_plain_vcrpy_replays_it_below_the_sdks_own_http_client_too(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, provider):
        await service.route_structured(request_for(model="openai_chat/gpt-4o"))
        base_url = provider.base_url
    with vcr.use_cassette(str(path), record_mode="none"):
        async with AsyncOpenAI(api_key=KEY, base_url=base_url) as client:
            service = StructuredLLMService(client)
            assert (await service.route_structured(request_for())).age == 36


AROUND: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "short": ({}, {}),
    "long": ({"document": LONG, "script": Script(delta_size=4000)}, {}),
    "paced": ({"script": Script(tokens_per_second=2000)}, {}),
    "whole": ({}, {"enable_streaming": False}),
    **{fault.name: ({"faults": [fault]}, {}) for fault in FAULTS if fault is not None},
}


# How a body breaks is the business of none of the dialects; how it is whole is that of each.
WHOLE = ("short", "long", "whole")


@pytest.mark.parametrize(
    ("dialect", "name"),
    [(dialect, name) for dialect in AUTH for name in AROUND if dialect == "openai_chat" or name in WHOLE],
)
async def test_plain_vcrpy_around_the_service_records_and_replays_whole_bodies(
    tmp_path: Path, dialect: str, name: str
) -> None:
    options, asked = AROUND[name]
    path, request = str(tmp_path / "a.yaml"), request_for(model=f"{dialect}/m", **asked)
    async with SimulatedProvider(**{"document": PROFILE, **options}) as provider:
        base_url, found = provider.base_url, []
        for _ in range(2):
            with vcr.use_cassette(path, match_on=["method", "uri", "body"]):
                async with StructuredLLMService(
                    providers=rows(base_url), api_keys=dict.fromkeys(AUTH, KEY), policies=BARE
                ) as service:
                    found += await outcomes(service, request, 1)
        assert len(provider.requests) == 1
    assert found[1] == found[0]
    with Cassette(path, record_mode="none") as tape:
        service = StructuredLLMService(tape.client, providers=rows(base_url), policies=BARE)
        assert await outcomes(service, request, 1) == found[:1]


@pytest.mark.parametrize("dialect", AUTH)
def test_plain_vcrpy_around_the_service_works_for_callers_without_an_event_loop(tmp_path: Path, dialect: str) -> None:
    path, request = str(tmp_path / "a.yaml"), request_for(model=f"{dialect}/m")
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        found = []
        for _ in range(2):
            with vcr.use_cassette(path, match_on=["method", "uri", "body"]):
                service = StructuredLLMService(
                    providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY), policies=BARE
                )
                with service.sync as sync, sync.route_structured_streaming(request) as stream:
                    found.append((len(list(stream)) > 0, stream.result()))
        assert len(provider.requests) == 1
    assert found[1] == found[0]


@pytest.mark.parametrize("made", ["aiohttp", "httpx2"])
@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai-responses/gpt-4o"])
async def test_plain_vcrpy_records_below_either_http_client_of_the_sdk(tmp_path: Path, made: str, model: str) -> None:
    path, found = str(tmp_path / "a.yaml"), []
    async with SimulatedProvider(document=PROFILE) as provider:
        for _ in range(2):
            with vcr.use_cassette(path, match_on=["method", "uri", "body"]):
                http = DefaultAioHttpClient() if made == "aiohttp" else None
                async with AsyncOpenAI(api_key=KEY, base_url=provider.base_url, http_client=http) as client:
                    found += await outcomes(StructuredLLMService(client, policies=BARE), request_for(model=model), 1)
        assert len(provider.requests) == 1
    assert found[1] == found[0]
    assert found[0][0] == "complete"
    # What was recorded there replays here, under any cut.
    for play in (at_once, byte_by_byte):
        with Cassette(path, record_mode="none", play=play) as tape:
            service = StructuredLLMService(tape.client, policies=BARE)
            assert await outcomes(service, request_for(model=model), 1) == found[:1]


async def test_a_compressed_answer_that_vcrpy_recorded_replays_here_and_there(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, provider):
        expected = await outcomes(service, request_for(model="openai_chat/m"), 1)
        base_url = provider.base_url
    (found,) = read_interactions(path)
    for coding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        response = {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Type": ["text/event-stream"], "Content-Encoding": [coding]},
            "body": {"string": pack(found.recording.body)},
        }
        asked = {"method": "POST", "uri": f"{base_url}/chat/completions", "headers": {}, "body": found.body.decode()}
        text = yaml.safe_dump({"interactions": [{"request": asked, "response": response}], "version": 1})
        assert "!!binary" in text
        path.write_text(text)
        with vcr.use_cassette(str(path), record_mode="none"):
            async with StructuredLLMService(
                providers=rows(base_url), api_keys=dict.fromkeys(AUTH, KEY), policies=BARE
            ) as service:
                assert await outcomes(service, request_for(model="openai_chat/m"), 1) == expected
        for play in (at_once, byte_by_byte):
            async with playing(path, play) as (service, _):
                assert await outcomes(service, request_for(model="openai_chat/m"), 1) == expected


async def test_of_a_body_that_breaks_vcrpy_keeps_nothing_and_we_do(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "a.yaml", tmp_path / "b.yaml"
    async with SimulatedProvider(document=PROFILE, faults=[reset_at_byte(700)] * 2) as provider:
        service = StructuredLLMService(
            providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY), policies=BARE
        )
        async with service:
            with vcr.use_cassette(str(theirs)) as tape:
                await outcomes(service, request_for(model="openai_chat/m"), 1)
                assert len(tape) == 0
        async with recording(ours, faults=[reset_at_byte(700)]) as (recorded, _):
            await outcomes(recorded, request_for(model="openai_chat/m"), 1)
    assert read_interactions(ours)[0].recording.ending == "reset"


def test_the_marker_of_pytest_recording_works_around_the_service(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pytest_recording")
    root = str(Path(__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p anyio -p pytest_recording.plugin\nfilterwarnings = error\n")
    pytester.makepyfile(
        """
        import pytest
        from structstream import StreamingStructuredRequest, StructuredLLMService

        REQUEST = StreamingStructuredRequest(response_model=dict[str, int], model="simulated/gpt-4o", prompt="Count")


        @pytest.fixture
        def anyio_backend():
            return "asyncio"


        @pytest.mark.vcr(filter_headers=["authorization"])
        @pytest.mark.anyio
        async def test_counts():
            async with StructuredLLMService() as service:
                assert await service.route_structured(REQUEST) == {"a": 1, "b": 2}
        """
    )
    with SimulatedProvider.in_thread(document='{"a": 1, "b": 2}') as provider:
        monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", provider.base_url)
        pytester.runpytest_subprocess("--record-mode=once").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("--record-mode=none", "--block-network").assert_outcomes(passed=1)
