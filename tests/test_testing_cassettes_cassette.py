"""A recorded run and its replay: the same steps, in every dialect and however it ended, and no key in the file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import vcr  # type: ignore[import-untyped]

from structstream.errors import ConfigurationError
from structstream.request import HTTPRequest, Timeouts
from structstream.service import StructuredLLMService
from structstream.testing import (
    FakeClock,
    Fault,
    Script,
    SimulatedProvider,
    cut_at_byte,
    drop_at_byte,
    empty_stream,
    html_200,
    in_band_error,
    length,
    malformed_chunk,
    refusal,
    reset_at_byte,
    stall_at_byte,
    status,
    unknown_events,
)
from structstream.testing.cassettes import (
    Cassette,
    CassetteError,
    NotRecordedError,
    Playback,
    SecretFoundError,
    at_once,
    cut_at_byte as played_up_to_byte,
    every_cut,
    read_interactions,
    stall_at_event,
    timed,
)
from structstream.testing.cassettes.recording import Recording
from structstream.testing.cassettes.transports import PlayedAnswer
from tests.edge import BARE, KEY, PROFILE, request_for, steps_of
from tests.taping import AUTH, playing, recording, rows, said

if TYPE_CHECKING:
    from structstream.testing.cassettes.cassette import RecordMode
    from structstream.transport import HTTPAnswer

pytestmark = pytest.mark.anyio

FAULTS: list[Fault | None] = [
    None,
    status(429, {"retry-after": "7"}),
    status(500),
    status(401, body=f'{{"error": {{"message": "Wrong key {KEY}"}}}}'),
    cut_at_byte(700),
    drop_at_byte(700),
    reset_at_byte(700),
    empty_stream(),
    html_200(),
    in_band_error(2),
    length(20),
    malformed_chunk(2),
    refusal(),
    unknown_events(2),
]
CHAT = "openai_chat/gpt-4o"
ASKED = HTTPRequest("POST", "/chat/completions", {}, {"model": "gpt-4o"})


@pytest.mark.parametrize("dialect", AUTH)
async def test_replays_are_the_recorded_run_step_for_step_ten_times_in_a_row(tmp_path: Path, dialect: str) -> None:
    path, request = tmp_path / "all.yaml", request_for(model=f"{dialect}/m")
    async with recording(path, faults=FAULTS) as (service, _):
        run = [[said(step) for step in await steps_of(service, request)] for _ in FAULTS]
    kinds = {steps[-1]["outcome"]["kind"].split("'")[1] for steps in run}
    assert kinds >= {"complete", "truncated", "incomplete", "provider_error"}
    for _ in range(10):
        async with playing(path) as (service, tape):
            assert [[said(step) for step in await steps_of(service, request)] for _ in FAULTS] == run
            assert tape.unused == []
    assert KEY not in path.read_text()


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
async def test_a_replay_that_is_recorded_again_has_the_same_reads_to_the_byte(tmp_path: Path, mode: str) -> None:
    path, again, request = tmp_path / "a.yaml", tmp_path / "b.yaml", request_for(model=CHAT, mode=mode)
    async with recording(path, script=Script(tokens_per_second=200, delta_size=6)) as (service, _):
        await steps_of(service, request)
    with Cassette(path, record_mode="none") as tape, Cassette(again, record_mode="all") as second:
        service = StructuredLLMService(
            tape.client, wrap_transport=second.wrap, providers=rows("http://nowhere.invalid/v1"), policies=BARE
        )
        await steps_of(service, request)
    ((first,), (replayed,)) = (read_interactions(file) for file in (path, again))
    assert len(first.recording.chunks) > 1
    assert [chunk.data for chunk in replayed.recording.chunks] == [chunk.data for chunk in first.recording.chunks]
    assert (replayed.status, replayed.headers, replayed.body) == (first.status, first.headers, first.body)


async def test_a_whole_answer_is_kept_too(tmp_path: Path) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=CHAT, enable_streaming=False)
    async with recording(path) as (service, _):
        run = [said(step) for step in await steps_of(service, request)]
    async with playing(path) as (service, _tape):
        assert [said(step) for step in await steps_of(service, request)] == run


async def test_recording_is_live(tmp_path: Path) -> None:
    async with (
        recording(tmp_path / "a.yaml", faults=[stall_at_byte(900)]) as (service, provider),
        service.route_structured_streaming(request_for(model=CHAT)) as stream,
    ):
        first = await anext(stream)
        await provider.wait_for_stall()
        assert first.partial_result is not None
        provider.release()
        assert (await stream.result()).name == "Ada Lovelace"


@pytest.mark.parametrize("dialect", AUTH)
@pytest.mark.parametrize("left_after", [1, 2])
async def test_a_stream_that_was_left_is_recorded_as_left_and_replays_ten_times(
    tmp_path: Path, left_after: int, dialect: str
) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=f"{dialect}/gpt-4o", cadence="delta")

    async def leave(service: StructuredLLMService) -> list[dict[str, Any]]:
        async with service.route_structured_streaming(request) as stream:
            steps = [said(await anext(stream)) for _ in range(left_after)]
        assert stream.outcome is not None
        assert stream.outcome.kind == "cancelled"
        return steps

    late = stall_at_byte(4000 if dialect == "openai_responses" else 1200)  # its first event is long
    async with recording(path, faults=[late]) as (service, _):
        run = await leave(service)
    assert read_interactions(path)[0].recording.ending == "cancelled"
    for _ in range(10):
        async with playing(path) as (service, _tape):
            assert await leave(service) == run


async def test_a_recorded_silence_ends_by_the_same_deadline(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    request = request_for(model=CHAT, timeouts=Timeouts(between_tokens=0.05))
    async with recording(path, faults=[stall_at_byte(900)]) as (service, _):
        run = await steps_of(service, request)
    assert run[-1].outcome is not None
    assert run[-1].outcome.kind == "timeout"
    async with playing(path) as (service, _tape):
        again = await steps_of(service, request)
    assert [said(step) for step in again[:-1]] == [said(step) for step in run[:-1]]
    assert again[-1].outcome is not None
    assert again[-1].outcome.kind == "timeout"


async def test_who_stays_longer_than_the_recorded_caller_is_told(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.yaml", FakeClock()
    async with (
        recording(path, faults=[stall_at_byte(900)]) as (service, _),
        service.route_structured_streaming(request_for(model=CHAT)) as stream,
    ):
        await anext(stream)
    async with playing(path, clock=clock) as (service, _tape):
        asking = asyncio.create_task(steps_of(service, request_for(model=CHAT)))
        while not asking.done():
            await clock.wait_for_sleepers()
            await clock.advance(1)
    assert "the recording ends here, where its caller left" in str(asking.result()[-1].error)


async def test_a_timed_replay_keeps_the_gaps(tmp_path: Path) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=CHAT, cadence="delta")
    async with recording(path, script=Script(tokens_per_second=200, delta_size=8)) as (service, _):
        await steps_of(service, request)
    (kept,) = read_interactions(path)
    for speed in (1, 4):
        clock = FakeClock(0)
        with Cassette(path, record_mode="none", play=timed(speed), clock=clock) as tape:
            assert tape.client is not None
            answer = asyncio.create_task(
                tape.client.stream(HTTPRequest("POST", "/chat/completions", {}, json.loads(kept.body)))
            )
            while not answer.done():
                await clock.advance(0.001)
            came = asyncio.create_task(_times(answer.result(), clock))
            while not came.done():
                await clock.advance(0.001)
        wanted = [chunk.at / speed for chunk in kept.recording.chunks]
        assert len(came.result()) == len(wanted) > 1
        assert max(abs(got - due) for got, due in zip(came.result(), wanted, strict=True)) < 0.020


async def _times(answer: HTTPAnswer, clock: FakeClock) -> list[float]:
    return [clock.now() async for _ in answer]


@pytest.mark.parametrize("play", every_cut(seeds=3), ids=repr)
@pytest.mark.parametrize("dialect", AUTH)
async def test_every_cut_gives_the_same_result(tmp_path: Path, dialect: str, play: Playback) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=f"{dialect}/m")
    async with recording(path) as (service, _):
        await service.route_structured(request)
    async with playing(path, play) as (service, _tape):
        found = await service.route_structured(request)
    assert (found.name, found.age, found.tags) == ("Ada Lovelace", 36, ["engines", "notes", "numbers"])


async def test_a_replay_can_break_where_the_recording_did_not(tmp_path: Path) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=CHAT)
    async with recording(path) as (service, _):
        await service.route_structured(request)
    async with playing(path, played_up_to_byte(900)) as (service, _tape):
        steps = await steps_of(service, request)
    assert steps[-1].outcome is not None
    assert steps[-1].outcome.kind == "incomplete"
    assert "cut at byte 900" in str(steps[-1].error)
    clock = FakeClock()
    async with playing(path, stall_at_event(3), clock=clock) as (service, _tape):
        asking = asyncio.create_task(steps_of(service, request))
        while not asking.done():
            await clock.wait_for_sleepers()
            await clock.advance(60)
    outcome = asking.result()[-1].outcome
    assert outcome is not None
    assert outcome.kind == "timeout"


# what is matched, and what is recorded when


async def test_an_event_stream_answers_whatever_is_asked(tmp_path: Path) -> None:
    async with recording(tmp_path / "a.yaml") as (service, _):
        await service.route_structured(request_for(model=CHAT))
    stream = tmp_path / "a.sse"
    stream.write_bytes(read_interactions(tmp_path / "a.yaml")[0].recording.body)
    async with playing(stream, at_once) as (service, tape):
        assert (await service.route_structured(request_for(model=CHAT, prompt="Somebody else"))).age == 36
        assert tape.unused == []
        with pytest.raises(NotRecordedError, match="played already"):
            await service.route_structured(request_for(model=CHAT))


async def test_what_is_not_recorded_is_refused_and_says_by_what_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, _):
        await service.route_structured(request_for(model=CHAT))
    async with playing(path) as (service, tape):
        with pytest.raises(NotRecordedError, match="the nearest differs in body; record it again") as caught:
            await service.route_structured(request_for(model=CHAT, prompt="Somebody else"))
        assert "Somebody" not in str(caught.value)
        assert tape.refused == ["POST /chat/completions"]
        assert tape.unused == [f"0: POST {read_interactions(path)[0].url}"]
        assert (await service.route_structured(request_for(model=CHAT))).age == 36
    async with playing(path, match_on=["path"]) as (service, _tape):
        assert (await service.route_structured(request_for(model=CHAT, prompt="Somebody else"))).age == 36


async def test_an_answer_is_played_once_or_as_often_as_is_asked(tmp_path: Path) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=CHAT)
    async with recording(path) as (service, _):
        await service.route_structured(request)
    async with playing(path, allow_playback_repeats=True) as (service, tape):
        assert [(await service.route_structured(request)).age for _ in range(3)] == [36, 36, 36]
        assert tape.played == 3


@pytest.mark.parametrize(
    ("mode", "asked", "kept"), [("once", 0, 1), ("new_episodes", 1, 2), ("all", 2, 2), ("none", 0, 1)]
)
async def test_the_record_modes_are_those_of_vcrpy(tmp_path: Path, mode: str, asked: int, kept: int) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, _):
        await service.route_structured(request_for(model=CHAT))
    async with recording(path, cassette={"record_mode": mode}) as (service, provider):
        await service.route_structured(request_for(model=CHAT))
        steps = await steps_of(service, request_for(model=CHAT, prompt="Somebody else"))
        assert len(provider.requests) == asked
        assert (steps[-1].error is None) == (asked > 0)
    assert len(read_interactions(path)) == kept


async def test_requests_stand_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path, faults=[stall_at_byte(900)]) as (service, provider):
        first = asyncio.create_task(service.route_structured(request_for(model=CHAT, prompt="First")))
        await provider.wait_for_stall()
        await service.route_structured(request_for(model=CHAT, prompt="Second"))
        provider.release()
        await first
    assert [b"First" in each.body for each in read_interactions(path)] == [True, False]


async def test_filters_and_matchers_of_vcrpy_are_used(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"

    def shorten(response: dict[str, Any]) -> dict[str, Any]:
        response["body"]["string"] = response["body"]["string"].replace(b"Ada", b"A")
        return response

    tape = vcr.VCR(before_record_response=shorten, filter_post_data_parameters=["stream_options"], match_on=["path"])
    async with recording(path, cassette={"vcr": tape}, script=Script(delta_size=30)) as (service, _):
        assert (await service.route_structured(request_for(model=CHAT))).name == "Ada Lovelace"
    (kept,) = read_interactions(path)
    assert b"stream_options" not in kept.body
    async with playing(path, vcr=tape) as (service, _tape):
        assert (await service.route_structured(request_for(model=CHAT, prompt="Else"))).name == "A Lovelace"


async def test_a_filter_may_leave_a_request_to_the_network(tmp_path: Path) -> None:
    tape = vcr.VCR(ignore_localhost=True, before_record_request=lambda request: None)
    path = tmp_path / "a.yaml"
    async with recording(path, cassette={"vcr": tape}) as (service, provider):
        await service.route_structured(request_for(model=CHAT))
        assert len(provider.requests) == 1
    assert not path.exists()


def test_a_library_folder_of_vcrpys_is_used(tmp_path: Path) -> None:
    tape = vcr.VCR(cassette_library_dir=str(tmp_path), path_transformer=vcr.VCR.ensure_suffix(".yaml"))
    assert Cassette("a", vcr=tape).path == tmp_path / "a.yaml"


async def test_a_json_cassette_is_written_by_vcrpys_own_serializer(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    async with recording(path) as (service, _):
        await service.route_structured(request_for(model=CHAT))
    assert path.read_text().startswith("{")
    async with playing(path) as (service, _tape):
        assert (await service.route_structured(request_for(model=CHAT))).age == 36


def test_nothing_is_written_where_nothing_was_asked_or_an_exception_forbids_it(tmp_path: Path) -> None:
    with Cassette(tmp_path / "a.yaml"):
        pass
    with suppress(ZeroDivisionError), Cassette(tmp_path / "b.yaml", vcr=vcr.VCR(record_on_exception=False)) as tape:
        tape.take(ASKED).head(PlayedAnswer(200, {}, Recording(chunks=()), FakeClock()))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"record_mode": "sometimes"}, "record_mode must be one of none, once, new_episodes, all"),
        ({"match_on": ["taste"]}, "match_on: Matcher taste"),
        ({"record_mode": "none"}, "there is no cassette"),
    ],
)
def test_arguments_that_cannot_work_say_so(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cassette(tmp_path / "a.yaml", **options)
    assert says in str(caught.value)


async def test_a_cassette_that_cannot_be_played_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, _):
        await service.route_structured(request_for(model=CHAT))
    edited = path.read_text().replace("chat.completion.chunk", "chat.completion.chunks")
    path.write_text(edited)
    with pytest.raises(CassetteError, match="interaction 0: chunks and body do not fit"):
        Cassette(path)


# several writers


async def _ask_for(path: Path, prompts: list[str], mode: RecordMode, provider: SimulatedProvider) -> None:
    with Cassette(path, record_mode=mode) as tape:
        await asyncio.sleep(0)  # the others have opened it as well
        async with StructuredLLMService(
            wrap_transport=tape.wrap, providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY)
        ) as service:
            for prompt in prompts:
                await service.route_structured(request_for(model=CHAT, prompt=prompt))


@pytest.mark.parametrize("mode", ["once", "new_episodes"])
async def test_what_others_wrote_meanwhile_stays(tmp_path: Path, mode: RecordMode) -> None:
    path = tmp_path / "a.yaml"
    async with SimulatedProvider(document=PROFILE) as provider:
        asking = (_ask_for(path, [f"{n}", f"{n} again"], mode, provider) for n in range(5))
        await asyncio.gather(*asking)
    assert len(read_interactions(path)) == 10
    async with playing(path) as (service, tape):
        for n in range(5):
            await service.route_structured(request_for(model=CHAT, prompt=f"{n} again"))
            await service.route_structured(request_for(model=CHAT, prompt=f"{n}"))
        assert not tape.unused


def test_threads_and_processes_write_one_file(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from tests.test_testing_cassettes_cassette import _ask_for
from structstream.testing import SimulatedProvider
from tests.edge import PROFILE
from threading import Thread

async def ask(n):
    async with SimulatedProvider(document=PROFILE) as provider:
        await _ask_for(Path(sys.argv[1]), [f"{sys.argv[2]} {n}"], "new_episodes", provider)

threads = [Thread(target=asyncio.run, args=(ask(n),)) for n in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    path = tmp_path / "a.yaml"
    root = Path(__file__).parent.parent
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), f"{n}"], cwd=root) for n in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    found = {json.loads(each.body)["messages"][-1]["content"] for each in read_interactions(path)}
    assert found == {f"{process} {thread}" for process in range(3) for thread in range(3)}
    assert [file.name for file in tmp_path.iterdir()] == ["a.yaml"]


async def test_a_writer_that_saves_twice_has_everything_once(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path, cassette={"record_mode": "new_episodes"}) as (service, provider):
        await service.route_structured(request_for(model=CHAT, prompt="0"))
        with Cassette(path, record_mode="new_episodes") as tape:
            own = StructuredLLMService(
                wrap_transport=tape.wrap, providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY)
            )
            async with own:
                for prompt in ("1", "2"):
                    await own.route_structured(request_for(model=CHAT, prompt=prompt))
                    tape.save()
                    tape.save()
    found = [json.loads(each.body)["messages"][-1]["content"] for each in read_interactions(path)]
    assert sorted(found) == ["0", "1", "2"]


async def test_one_open_cassette_serves_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path) as (service, _):
        for n in range(40):
            await service.route_structured(request_for(model=CHAT, prompt=f"{n % 4}"))
    with Cassette(path, record_mode="none") as tape:
        service = StructuredLLMService(tape.client, providers=rows("http://nowhere.invalid/v1"), policies=BARE)

        def ask(n: int) -> int:
            return asyncio.run(service.route_structured(request_for(model=CHAT, prompt=f"{n % 4}"))).age

        with ThreadPoolExecutor(8) as threads:
            found = await asyncio.get_running_loop().run_in_executor(None, lambda: list(threads.map(ask, range(40))))
        assert found == [36] * 40
        assert tape.played == 40


# secrets


@pytest.mark.parametrize("dialect", AUTH)
async def test_a_planted_key_is_in_no_cassette(tmp_path: Path, dialect: str) -> None:
    """Under any header name, in query, body or error; the service itself sends it in the header of its dialect."""
    path, odd = tmp_path / "a.yaml", "An0dd-planted:key"
    echo = status(400, {"x-request-id": f"req-{KEY}", "x-echo": KEY}, f'{{"error": {{"message": "no {KEY}, {odd}"}}}}')
    headers = {"x-mine": odd, "x-secret-token": odd, "anthropic-version": KEY}
    async with recording(path, faults=[echo], cassette={"secrets": ["prompted-secret"]}) as (service, _):
        asked = request_for(
            model=f"{dialect}/m", prompt=f"{KEY} and prompted-secret", headers=headers, extra={"user": odd}
        )
        steps = await steps_of(service, asked)
    assert steps[-1].error is not None
    text = path.read_text()
    for secret in (KEY, odd, "prompted-secret"):
        assert secret not in text
    assert b"[redacted] and [redacted]" in read_interactions(path)[0].body


async def test_a_cassette_in_which_a_secret_is_left_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    document = PROFILE.replace("Lovelace", "swordfish-and-shark")
    with pytest.raises(SecretFoundError, match="over several events") as caught:
        async with recording(path, document=document, cassette={"secrets": ["swordfish-and-shark"]}) as (service, _):
            await service.route_structured(request_for(model=CHAT))
    assert "swordfish" not in str(caught.value)
    assert not path.exists()


async def test_a_secret_in_one_piece_is_redacted_and_the_rest_replays(tmp_path: Path) -> None:
    path, request = tmp_path / "a.yaml", request_for(model=CHAT)
    document = PROFILE.replace("Lovelace", "swordfish-and-shark")
    async with recording(
        path, document=document, script=Script(delta_size=200), cassette={"secrets": ["swordfish-and-shark"]}
    ) as (service, _):
        await service.route_structured(request)
    async with playing(path) as (service, _tape):
        assert (await service.route_structured(request)).name == "Ada [redacted]"
