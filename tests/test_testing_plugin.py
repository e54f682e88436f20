"""The pytest plugin, in runs of its own: every warning is an error there as well."""

from __future__ import annotations

import os
import re
from pathlib import Path

import aiohttp  # noqa: F401
import openai.resources.chat  # noqa: F401
import pytest

import structstream
from structstream import testing
from structstream.testing.cassettes import read_interactions

pytest_plugins = ["pytester"]

# A run in this process forgets what it was the first to load; the next one would load it again, beside what is left.
LOADED = [getattr(package, name) for package in (structstream, testing) for name in package.__all__]

ROOT = Path(__file__).parent.parent
INI = """
[pytest]
addopts = -p structstream.testing.plugin --strict-markers --strict-config -p no:cacheprovider
filterwarnings = error
"""
HEAD = """
import pytest
from pydantic import BaseModel
from structstream import StreamingStructuredRequest
from structstream.testing.cassettes import NotRecordedError

REQUEST = StreamingStructuredRequest(response_model=list[int], model="simulated/gpt-4o", prompt="Some primes")


@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
CITY = """

class City(BaseModel):
    name: str
    sights: list[str]


REQUEST ="""
SYNC = """
@pytest.mark.cassette("primes")
def test_sync(structstream_service):
    assert structstream_service.sync.route_structured(REQUEST) == [2, 3, 5, 7]
"""
ASYNC = """
@pytest.mark.{mark}
@pytest.mark.cassette("primes")
async def test_async(structstream_service):
    assert await structstream_service.route_structured(REQUEST) == [2, 3, 5, 7]
"""
RECORD = """
pytestmark = pytest.mark.simulated_provider(document='{"result": [2, 3, 5, 7]}')


@pytest.fixture(autouse=True)
def provider(simulated_provider):
    return simulated_provider
"""


@pytest.fixture(autouse=True)
def _there(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    # Of the plugins that are installed only those that a run names: what else there is decides nothing here.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, *options: str, test: str, ini: str = INI) -> pytest.RunResult:
    pytester.makeini(ini)
    pytester.makepyfile(HEAD + test)
    return pytester.runpytest_inprocess(*options)


def record(pytester: pytest.Pytester, *options: str) -> Path:
    test = RECORD + SYNC
    run(pytester, "--cassette-mode=all", *options, test=test).assert_outcomes(passed=1)
    return pytester.path / "cassettes" / "primes.yaml"


def test_a_test_is_recorded_and_then_replayed_without_a_provider(pytester: pytest.Pytester) -> None:
    (recorded,) = read_interactions(record(pytester))
    assert recorded.status == 200
    run(pytester, test=SYNC).assert_outcomes(passed=1)


def test_a_cassette_that_is_not_there_says_how_to_record_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, test=SYNC)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no cassette *primes.yaml*record_mode='once'*"])


def test_a_service_without_a_marker_says_what_to_do(pytester: pytest.Pytester) -> None:
    result = run(pytester, test="def test_bare(structstream_service): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_bare: name its cassette with @pytest.mark.cassette('name')*"])


@pytest.mark.parametrize(("plugin", "mark"), [("anyio", "anyio"), ("pytest_asyncio", "asyncio")])
@pytest.mark.parametrize("mode", ["all", "none"])
def test_it_works_with_each_async_plugin(pytester: pytest.Pytester, plugin: str, mark: str, mode: str) -> None:
    pytest.importorskip(plugin)
    record(pytester)
    name = "anyio" if plugin == "anyio" else "pytest_asyncio.plugin"
    ini = INI + "asyncio_default_fixture_loop_scope = function\n" * (plugin == "pytest_asyncio")
    pytester.makeini(ini.replace("addopts =", f"addopts = -p {name}"))
    pytester.makepyfile(HEAD + RECORD * (mode == "all") + ASYNC.format(mark=mark) + SYNC)
    pytester.runpytest_subprocess(f"--cassette-mode={mode}").assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_it_works_in_either_mode_of_pytest_asyncio_with_all_other_plugins_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """As a user's environment is: every plugin that is installed is loaded, ours by its entry point."""
    pytest.importorskip("pytest_asyncio")
    record(pytester)
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pytester.makeini(
        "[pytest]\naddopts = -p no:cacheprovider -p no:cov --strict-markers\nfilterwarnings = error\n"
        f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
    )
    marked = ASYNC.format(mark="asyncio") if mode == "strict" else ASYNC.replace("@pytest.mark.{mark}\n", "")
    fixture = """
@pytest_asyncio.fixture
async def primes(structstream_service):
    async with structstream_service.route_structured_streaming(REQUEST) as stream:
        return await stream.result()
"""
    user = marked.replace("test_async(structstream_service)", "test_fixture(primes)").replace(
        "await structstream_service.route_structured(REQUEST)", "primes"
    )
    cut = marked.replace("test_async(structstream_service)", "test_cut(structstream_service, every_cut)")
    pytester.makepyfile("import pytest_asyncio\n" + HEAD + fixture + marked + user + cut + SYNC)
    pytester.runpytest_subprocess().assert_outcomes(passed=3 + 8)


@pytest.mark.parametrize("workers", [2])
def test_workers_of_xdist_record_one_cassette_together(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    pytest.importorskip("xdist")
    tests = """
from dataclasses import replace


@pytest.mark.cassette("shared")
@pytest.mark.parametrize("n", range(8))
def test_n(structstream_service, n):
    asked = replace(REQUEST, prompt=f"Some primes, {n}")
    assert structstream_service.sync.route_structured(asked) == [2, 3, 5, 7]
"""
    pytester.makeini(INI.replace("addopts =", "addopts = -p xdist.plugin"))
    pytester.makepyfile(HEAD + RECORD + tests)
    options = (f"-n{workers}", "--cassette-unused=ignore")
    pytester.runpytest_subprocess("--cassette-mode=new_episodes", *options).assert_outcomes(passed=8)
    assert len(read_interactions(pytester.path / "cassettes" / "shared.yaml")) == 8
    pytester.makepyfile(HEAD + tests)
    pytester.runpytest_subprocess("--cassette-mode=none", *options).assert_outcomes(passed=8)


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (["--cassette-unused=warn"], {"passed": 1, "errors": 1}),  # where warnings are errors
        (["--cassette-unused=warn", "-W", "default"], {"passed": 1, "warnings": 1}),
        (["--cassette-unused=fail"], {"passed": 1, "errors": 1}),
        (["--cassette-unused=ignore"], {"passed": 1}),
        ([], {"passed": 1, "errors": 1}),
    ],
)
def test_answers_nobody_asked_for_are_told(
    pytester: pytest.Pytester, options: list[str], outcome: dict[str, int]
) -> None:
    record(pytester)
    result = run(pytester, *options, test="@pytest.mark.cassette('primes')\ndef test_idle(structstream_service): pass")
    result.assert_outcomes(**outcome)
    if outcome != {"passed": 1}:
        result.stdout.fnmatch_lines(["*nobody asked for 0: POST http://127.0.0.1:*/v1/chat/completions*"])


def test_a_test_that_failed_is_not_told_of_unused_answers(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = "@pytest.mark.cassette('primes')\ndef test_broken(structstream_service): assert 0"
    run(pytester, test=test).assert_outcomes(failed=1)


def test_a_request_that_is_not_recorded_fails_the_test_even_if_it_looks_away(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = """
@pytest.mark.cassette("primes")
def test_other(structstream_service):
    assert structstream_service.sync.route_structured(REQUEST) == [2, 3, 5, 7]
    with pytest.raises(NotRecordedError, match="every answer to it was played already"):
        structstream_service.sync.route_structured(REQUEST)
"""
    result = run(pytester, test=test)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*has no answer to POST /chat/completions*"])


def test_the_network_is_refused_on_replay(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = """
@pytest.mark.cassette("primes")
def test_leaves(structstream_service):
    import socket
    structstream_service.sync.route_structured(REQUEST)
    with pytest.raises(RuntimeError, match="192.0.2.1"):
        socket.create_connection(("192.0.2.1", 80))
"""
    result = run(pytester, test=test)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*reached beyond this machine on replay: 192.0.2.1*"])


def test_one_test_runs_under_every_cut(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = """
@pytest.mark.cuts(seeds=2)
@pytest.mark.cassette("primes")
def test_cuts(structstream_service, every_cut):
    assert structstream_service.sync.route_structured(REQUEST) == [2, 3, 5, 7]
"""
    result = run(pytester, "-v", test=test)
    result.assert_outcomes(passed=5)
    names = ("exact", "at_once", "byte_by_byte", "recut(0)", "recut(1)")
    assert all(f"test_cuts[{name}]" in result.stdout.str() for name in names)


def test_a_fake_clock_paces_a_timed_replay(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = """
import asyncio

@pytest.mark.cassette("primes", play="timed(0.001)")
def test_paced(structstream_service, fake_clock):
    async def main():
        asking = asyncio.create_task(structstream_service.route_structured(REQUEST))
        while not asking.done():
            await fake_clock.wait_for_sleepers()
            await fake_clock.advance(30)
        return await asking

    assert asyncio.run(main()) == [2, 3, 5, 7]
    assert fake_clock.now() > 1000
"""
    run(pytester, test=test).assert_outcomes(passed=1)


def test_the_folder_of_the_cassettes_can_be_named(pytester: pytest.Pytester) -> None:
    ini = INI + "cassette_dir = recorded\n"
    run(pytester, "--cassette-mode=all", test=RECORD + SYNC, ini=ini).assert_outcomes(passed=1)
    assert (pytester.path / "recorded" / "primes.yaml").exists()
    run(pytester, test=SYNC, ini=ini).assert_outcomes(passed=1)


def test_a_plain_service_speaks_to_the_simulated_provider(pytester: pytest.Pytester) -> None:
    test = """
@pytest.mark.simulated_provider(document='{"result": [11]}')
def test_live(structstream_service, simulated_provider):
    assert structstream_service.sync.route_structured(REQUEST) == [11]
    assert len(simulated_provider.requests) == 1
"""
    run(pytester, test=test).assert_outcomes(passed=1)


def test_a_suite_gives_its_service_options_of_its_own(pytester: pytest.Pytester) -> None:
    record(pytester)
    test = """
from dataclasses import replace

from structstream import JSONLimits


@pytest.fixture
def structstream_options():
    return {"limits": JSONLimits(max_depth=1)}


@pytest.mark.cassette("primes")
def test_limited(structstream_service):
    with pytest.raises(Exception, match="max_depth=1"):
        structstream_service.sync.route_structured(replace(REQUEST, max_retries=0))
"""
    run(pytester, test=test).assert_outcomes(passed=1)


def test_a_word_that_is_no_way_to_report_is_refused(pytester: pytest.Pytester) -> None:
    record(pytester)
    result = run(pytester, test=SYNC, ini=INI + "cassette_unused = shout\n")
    result.stdout.fnmatch_lines(["*cassette_unused must be one of ignore, warn, fail*"])


def test_it_lives_beside_pytest_recording(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_recording")
    record(pytester)
    pytester.makeini(INI.replace("addopts =", "addopts = -p pytest_recording.plugin"))
    pytester.makepyfile(HEAD + SYNC)
    pytester.runpytest_subprocess("--record-mode=none", "--block-network").assert_outcomes(passed=1)


def test_it_loads_nothing_before_it_is_asked(pytester: pytest.Pytester) -> None:
    test = "def test_light():\n    import sys\n    assert not {'vcr', 'openai', 'aiohttp'} & sys.modules.keys()"
    pytester.makeini(INI)
    pytester.makepyfile(test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_tests_of_the_documentation_pass(pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "how-to" / "cassettes.md").read_text("utf-8")
    (block,) = re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    head = HEAD.replace("list[int]", "City").replace("REQUEST =", CITY)
    record = """
@pytest.mark.cassette("city")
def test_record(structstream_service):
    structstream_service.sync.route_structured(REQUEST)
"""
    document = '{"name": "Zürich", "sights": ["Grossmünster", "Uetliberg"]}'
    pytester.makeini(INI.replace("addopts =", "addopts = -p anyio"))
    pytester.makepyfile(head + RECORD.replace("'{\"result\": [2, 3, 5, 7]}'", repr(document)) + record)
    pytester.runpytest_inprocess("--cassette-mode=all").assert_outcomes(passed=1)
    pytester.makepyfile(head + block)
    pytester.runpytest_inprocess().assert_outcomes(passed=10)
