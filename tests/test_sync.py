"""The facade for callers without an event loop: truly streaming, and closed in every way of leaving."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structstream.errors import ConfigurationError, TruncatedError
from structstream.history import AnswerHistory
from structstream.policies import CachePolicy, Policies
from structstream.providers import ProviderSpec
from structstream.response import OutcomeKind
from structstream.service import StructuredLLMService
from structstream.testing import Script, SimulatedProvider, length, stall_at_byte, unknown_events
from tests.edge import PROFILE, Profile, request_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from structstream.response import StreamingResponse
    from structstream.testing import ThreadedProvider

ADA = Profile.model_validate_json(PROFILE)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def service() -> Iterator[StructuredLLMService]:
    service = StructuredLLMService()
    yield service
    service.sync.close()


def point_to(provider: ThreadedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", provider.base_url)


def test_closing_closes_the_files_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept and learned is on the disk then, and what is asked for later finds it."""
    answers, learned = tmp_path / "answers.sqlite3", tmp_path / "history.sqlite3"
    service = StructuredLLMService(
        policies=Policies(cache=CachePolicy(path=str(answers))), history=AnswerHistory(learned)
    )
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        with service.sync as sync:
            assert sync.route_structured(request_for()) == ADA
        for path, table in ((answers, "answers"), (learned, "structstream_answers")):
            assert not path.with_name(f"{path.name}-wal").exists()  # which SQLite takes away when the last one closes
            with closing(sqlite3.connect(path)) as database:
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
        with service.sync as sync:
            assert sync.route_structured(request_for()) == ADA
        assert len(provider.requests) == 1


def test_a_whole_answer(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        assert service.sync.route_structured(request_for()) == ADA
        assert service.sync.route_structured(request_for()) == ADA


def test_the_statistics_of_the_cache(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.sync.cache_statistics() is None
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        cached = StructuredLLMService(policies=Policies(cache=CachePolicy(path=":memory:"))).sync
        assert [cached.route_structured(request_for()) for _ in range(3)] == [ADA] * 3
        found = cached.cache_statistics()
        assert found is not None
        assert (found.hits, found.rows, len(provider.requests)) == (2, 1, 1)
        asyncio.run(cached._service.aclose())


def test_a_failure_is_raised(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[length(20)]) as provider:
        point_to(provider, monkeypatch)
        with pytest.raises(TruncatedError) as raised:
            service.sync.route_structured(request_for(max_retries=0))
        assert raised.value.outcome is not None


def test_steps_arrive_while_the_provider_is_still_speaking(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(4000)]) as provider:
        point_to(provider, monkeypatch)
        with service.sync.route_structured_streaming(request_for()) as stream:
            step = next(stream)
            assert not step.is_complete
            assert step.partial_result is not None
            provider.release()
            steps = list(stream)
        assert steps[-1].partial_result == ADA
        assert stream.outcome is steps[-1].outcome


def test_the_result_of_a_stream(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, script=Script(delta_size=1)) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for(cadence="delta"))
        next(stream)
        assert stream.result() == ADA
        assert list(stream) == []


@pytest.mark.parametrize("leave", ["with", "close", "break", "drop"])
def test_leaving_closes_the_connection(
    leave: str, service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(2000)]) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for())
        if leave == "with":
            with stream:
                next(stream)
        elif leave == "close":
            next(stream)
            stream.close()
        elif leave == "break":
            for _ in stream:
                break
            del stream
        else:
            next(stream)
            del stream
        left = time.monotonic()
        record = provider.wait_for_disconnect(0, within=5)
        assert record.disconnected_at is not None
        assert record.disconnected_at - left <= 0.1


def test_values_come_by_pattern_and_by_callback(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, script=Script(delta_size=1)) as provider:
        point_to(provider, monkeypatch)
        heard: list[object] = []
        with service.sync.route_structured_streaming(request_for(cadence="delta")) as stream:
            stream.on_complete("age", lambda path, value: heard.append((path, value)))
            assert list(stream.each("tags[*]")) == ["engines", "notes", "numbers"]
            assert stream.result() == ADA
        assert heard == [("age", 36)]


def test_many_streams_come_through_one_loop(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[length(20), unknown_events()]) as provider:
        point_to(provider, monkeypatch)
        requests = [request_for(max_retries=0, cadence="delta") for _ in range(5)]
        seen: dict[int, list[bool]] = {}
        results = []
        for number, step in service.sync.stream_many(iter(requests), concurrency=2):
            seen.setdefault(number, []).append(step.is_complete)
            if step.outcome is not None and step.outcome.error is None:
                results.append(step.outcome.result)
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert all(found.count(True) <= 1 and len(found) > 1 for found in seen.values())
    assert results
    assert set(map(repr, results)) == {repr(ADA)}


def test_leaving_many_streams_closes_each(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(4000)]) as provider:
        point_to(provider, monkeypatch)
        with closing(service.sync.stream_many([request_for()] * 3, concurrency=3)) as steps:
            next(steps)
        assert service.sync.route_structured_streaming(request_for()).outcome is None
        assert list(steps) == []
    with pytest.raises(ConfigurationError, match="concurrency"):
        service.sync.stream_many([], concurrency=0)


def test_it_pauses_and_is_cancelled_from_another_thread(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, script=Script(delta_size=1)) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for(cadence="delta"))
        next(stream)
        stream.pause()
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list, stream)
            stream.resume()
            assert rest.result()[-1].result == ADA
            other = service.sync.route_structured_streaming(request_for(cadence="delta"))
            other.pause()
            rest = pool.submit(list, other)
            other.cancel()
            outcome = rest.result()[-1].outcome
        assert outcome is not None
        assert outcome.kind is OutcomeKind.CANCELLED


LONG = Profile(name="Ada", age=36, tags=[f"tag {number}" for number in range(300)])
CLOSED = ["name", "age", *(f"tags[{number}]" for number in range(300)), "tags", ""]


def completed(steps: Iterable[StreamingResponse[Profile]]) -> list[str]:
    return [path for step in steps for path in step.completed]


def test_several_threads_read_one_stream_each_at_its_own_pace(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=LONG.model_dump_json(), script=Script(delta_size=4)) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for(cadence="delta"))
        quick, second, slow = stream.tee(3)
        assert provider.requests == []  # nothing is read before somebody asks
        through = threading.Event()

        def dawdle() -> list[StreamingResponse[Profile]]:
            first = next(slow)
            assert through.wait(30)
            return [first, *slow]

        with ThreadPoolExecutor(3) as pool:
            late = pool.submit(dawdle)
            others = [pool.submit(list, branch) for branch in (quick, second)]
            every, also = (found.result() for found in others)
            through.set()
            few = late.result()
        assert len(provider.requests) == 1
        assert stream.outcome is every[-1].outcome is also[-1].outcome is few[-1].outcome
    assert completed(every) == completed(also) == completed(few) == CLOSED
    assert every[-1].result == few[-1].result == LONG
    # Who dawdles has one step beside the first, that stands for all that came meanwhile: memory is bounded.
    assert len(few) == 2
    assert sum(step.coalesced for step in few) == sum(step.coalesced for step in every) > 100


def test_a_thread_that_leaves_takes_nothing_from_the_others_and_the_last_one_closes(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(4000)]) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for())
        leaving, staying = stream.tee()
        with leaving:
            assert not next(leaving).is_complete
        assert list(leaving) == []
        assert next(staying).partial_result is not None
        assert stream.outcome is None
        staying.close()
        provider.wait_for_disconnect(0, within=5)
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED


def test_nobody_who_reads_is_nobody_who_is_read_for(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Profile(name="A" * 40_000_000, age=36, tags=[])
    with SimulatedProvider.in_thread(document=huge.model_dump_json(), script=Script(delta_size=20_000)) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for())
        first, second = stream.tee()
        next(first)
        next(second)
        [record] = provider.requests
        sent = -1
        while sent != (sent := record.bytes_sent):  # until the socket is full
            for _ in range(200):
                provider.wait_until(lambda _: True)
        assert sent < 20_000_000
        stream.close()


def test_branches_that_nobody_refers_to_close_the_stream(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(4000)]) as provider:
        point_to(provider, monkeypatch)
        first, second = service.sync.route_structured_streaming(request_for()).tee()
        next(first)
        del first, second
        gc.collect()
        provider.wait_for_disconnect(0, within=5)
    with pytest.raises(ConfigurationError, match="count must be a positive integer"):
        service.sync.route_structured_streaming(request_for()).tee(0)


def test_an_interrupt_from_the_keyboard_closes_the_connection(
    service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(2000)]) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for())
        next(stream)
        waiting = stream._background.wait

        def interrupted(future: object) -> object:
            monkeypatch.setattr(stream._background, "wait", waiting)
            raise KeyboardInterrupt

        monkeypatch.setattr(stream._background, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            for _ in stream:
                pass
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
        provider.wait_for_disconnect(0, within=1)


def test_many_threads_share_one_loop(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE) as provider, ThreadPoolExecutor(8) as pool:
        point_to(provider, monkeypatch)
        answers = list(pool.map(lambda _: service.sync.route_structured(request_for()), range(24)))
        assert answers == [ADA] * 24
        assert [thread.name for thread in threading.enumerate()].count("structstream") == 1


def test_it_closes_and_starts_again(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        for _ in range(2):
            with service.sync as sync:
                assert sync.route_structured(request_for()) == ADA
            assert "structstream" not in [thread.name for thread in threading.enumerate()]


def test_closing_ends_the_streams_that_are_open(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(2000)]) as provider:
        point_to(provider, monkeypatch)
        stream = service.sync.route_structured_streaming(request_for())
        next(stream)
        service.sync.close()
        provider.wait_for_disconnect(0, within=1)
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED


def test_the_thread_ends_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        service = StructuredLLMService()
        service.sync.route_structured(request_for())
        del service
        gc.collect()
        assert "structstream" not in [thread.name for thread in threading.enumerate()]


def test_the_async_close_closes_it_too(service: StructuredLLMService, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        point_to(provider, monkeypatch)
        service.sync.route_structured(request_for())
        asyncio.run(service.aclose())
        assert "structstream" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.anyio
async def test_it_refuses_to_block_an_event_loop() -> None:
    sync = StructuredLLMService(api_keys={"openai": "none-at-all"}).sync
    request = request_for(model="openai/gpt-4o")
    with pytest.raises(ConfigurationError, match=r"service\.sync blocks, and an event loop runs in this thread"):
        sync.route_structured(request)
    with pytest.raises(ConfigurationError, match=r"asyncio\.to_thread"):
        sync.route_structured_streaming(request)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="for systems that fork")
def test_a_service_works_in_a_forked_process_too() -> None:
    code = (
        "from tests.edge import *; from structstream.service import StructuredLLMService\n"
        "from structstream.testing import *; import os\n"
        "with SimulatedProvider.in_thread(document=PROFILE) as provider:\n"
        "    os.environ['STRUCTSTREAM_SIMULATED_BASE_URL'] = provider.base_url\n"
        "    service = StructuredLLMService()\n"
        "    service.sync.route_structured(request_for())\n"
        "    child = os.fork()\n"
        "    print(service.sync.route_structured(request_for()).name, flush=True)\n"
        "    if child == 0:\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    service.sync.close()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("Ada Lovelace\n" * 2, 0), done.stderr


def test_a_process_that_ends_with_a_stream_open_ends_quietly() -> None:
    code = (
        "from tests.edge import *; from structstream.service import StructuredLLMService\n"
        "from structstream.testing import *; import os\n"
        "with SimulatedProvider.in_thread(document=PROFILE, faults=[None, stall_at_byte(2000)]) as provider:\n"
        "    os.environ['STRUCTSTREAM_SIMULATED_BASE_URL'] = provider.base_url\n"
        "    service = StructuredLLMService()\n"
        "    print(service.sync.route_structured(request_for()).name)\n"
        "    stream = service.sync.route_structured_streaming(request_for())\n"
        "    next(stream)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("Ada Lovelace\n", "", 0)


@pytest.mark.parametrize("of", ["", ".tee(1)[0]"], ids=["stream", "branch"])
def test_a_stream_that_is_left_open_when_the_process_ends_says_nothing(of: str) -> None:
    code = """
from structstream import StreamingStructuredRequest, StructuredLLMService
from structstream.testing import SimulatedProvider
from structstream.testing.faults import stall_at_byte
from tests.edge import PROFILE, Profile

def steps(service, request):
    with service.sync.route_structured_streaming(request){of} as stream:
        yield from stream

provider = SimulatedProvider.in_thread(document=PROFILE, faults=[stall_at_byte(1500)])
provider.__enter__()
from openai import AsyncOpenAI
service = StructuredLLMService(AsyncOpenAI(base_url=provider.base_url, api_key="k"))
held = steps(service, StreamingStructuredRequest(response_model=Profile, model="openai/gpt-4o", prompt="Who?"))
print(type(next(held)).__name__)
""".replace("{of}", of)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True
    )
    assert (run.stdout, run.stderr) == ("StreamingResponse\n", "")


def test_a_service_that_is_collected_with_its_connections_closes_them_before() -> None:
    """In one go with them, as part of a cycle; that one was left open would be a warning, and so an error."""

    def ask() -> None:
        rows = {"mine": ProviderSpec(name="mine", base_url=provider.base_url, needs_key=False)}
        held: dict[str, object] = {"service": StructuredLLMService(providers=rows)}
        held["itself"] = held
        service = held["service"]
        assert isinstance(service, StructuredLLMService)
        assert service.sync.route_structured(request_for(model="mine/m")).age == 36

    with SimulatedProvider.in_thread(document=PROFILE) as provider:
        for _ in range(3):
            ask()
            gc.collect()
        provider.wait_until(lambda at: at.active == 0)
