"""The pytest plugin: a service that plays cassettes, one test under many cuts, a fake clock, a simulated provider.

    @pytest.mark.cassette("profile")
    async def test_profile(structstream_service):
        profile = await structstream_service.route_structured(request)

It is there wherever this library is installed, and loads nothing before a test asks for one of its fixtures. The
fixtures are plain ones, so that they work with the anyio plugin, with pytest-asyncio and in tests without a loop.

PYTEST_DONT_REWRITE: it asserts nothing, and may have been imported before.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from structstream import StructuredLLMService
    from structstream.testing import FakeClock, ThreadedProvider
    from structstream.testing.cassettes import Cassette, Playback

__all__ = [
    "UnusedInteractionWarning",
    "every_cut",
    "fake_clock",
    "pytest_addoption",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "simulated_provider",
    "structstream_cassette",
    "structstream_options",
    "structstream_service",
]

_MODES = ("none", "once", "new_episodes", "all")
_UNUSED = ("ignore", "warn", "fail")
_SIMULATED = "STRUCTSTREAM_SIMULATED_BASE_URL"
_MARKERS = (
    "cassette(name, play=None, record_mode=None, **options): the cassette that structstream_service plays, and how; "
    "options are those of structstream.testing.cassettes.Cassette\n"
    "cuts(seeds=5): how many drawn cuts every_cut adds to the three fixed ones\n"
    "simulated_provider(**options): the arguments of the simulated_provider fixture's SimulatedProvider"
)
_failed = pytest.StashKey[bool]()


class UnusedInteractionWarning(pytest.PytestWarning):
    """A cassette holds answers that a test did not ask for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, under names that no other cassette plugin uses."""
    group = parser.getgroup("structstream")
    group.addoption(
        "--cassette-mode", choices=_MODES, help="record mode of every cassette (default: the marker's, none)"
    )
    group.addoption("--cassette-unused", choices=_UNUSED, help="what to do about answers nobody asked for")
    parser.addini(
        "cassette_dir", "folder of the cassettes, from the root (default: cassettes beside the test)", default=""
    )
    parser.addini("cassette_unused", "what to do about answers nobody asked for: ignore, warn, fail", default="warn")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for line in _MARKERS.splitlines():
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `every_cut` once for each cut."""
    if "every_cut" in metafunc.fixturenames:
        from structstream.testing.cassettes import every_cut as cuts

        marker = metafunc.definition.get_closest_marker("cuts")
        plays = cuts() if marker is None else cuts(*marker.args, **marker.kwargs)
        metafunc.parametrize("every_cut", plays, ids=repr, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed: then answers that it did not ask for are no news."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or not report.passed
    return report


@pytest.fixture
def every_cut(request: pytest.FixtureRequest) -> Playback:
    """The cut that this run of the test is under; `structstream_service` plays its cassette so."""
    found: Playback = request.param
    return found


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that the test turns; `structstream_service` goes by it where both are asked for."""
    from structstream.testing import FakeClock

    return FakeClock()


@pytest.fixture
def simulated_provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedProvider]:
    """A simulated provider in a thread of its own; models named ``simulated/…`` lead to it meanwhile."""
    from structstream.testing import SimulatedProvider

    marker = request.node.get_closest_marker("simulated_provider")
    with SimulatedProvider.in_thread(**(marker.kwargs if marker is not None else {})) as provider:
        monkeypatch.setenv(_SIMULATED, provider.base_url)
        yield provider


@pytest.fixture
def structstream_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """The cassette that the test's marker names, open; written and looked over when the test has ended.

    While it only plays, connections beyond this machine are refused.
    """
    from contextlib import ExitStack

    from structstream.testing.network import refused_connections

    cassette = _open(request)
    with ExitStack() as stack:
        hosts = [] if cassette.writes else stack.enter_context(refused_connections())
        with cassette:
            yield cassette
    _look_over(request, cassette, hosts)


@pytest.fixture
def structstream_options() -> Mapping[str, Any]:  # Any: whatever a StructuredLLMService takes
    """What `structstream_service` is given beside the cassette, such as ``providers``; a test suite overrides it."""
    return {}


@pytest.fixture
def structstream_service(
    request: pytest.FixtureRequest, structstream_options: Mapping[str, Any]
) -> Iterator[StructuredLLMService]:
    """A service that plays the marker's cassette, and records to it where the mode says so.

    Without the marker, but together with `simulated_provider`, it is a plain service.
    """
    import asyncio

    from structstream import StructuredLLMService

    options = dict(structstream_options)
    if "fake_clock" in request.fixturenames:
        options["clock"] = request.getfixturevalue("fake_clock")
    if request.node.get_closest_marker("cassette") is None and "simulated_provider" in request.fixturenames:
        request.getfixturevalue("simulated_provider")
        service = StructuredLLMService(**options)
    else:
        cassette: Cassette = request.getfixturevalue("structstream_cassette")
        service = StructuredLLMService(cassette.client, wrap_transport=cassette.wrap, **options)
    yield service
    # A loop of its own, which becomes nobody's current one: whoever runs the tests has his.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(service.aclose())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _open(request: pytest.FixtureRequest) -> Cassette:
    from structstream.testing.cassettes import Cassette, exact, parse_play

    marker = request.node.get_closest_marker("cassette")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(f"{request.node.nodeid}: name its cassette with @pytest.mark.cassette('name')")
    options: dict[str, Any] = dict(marker.kwargs)  # Any: whatever a Cassette takes
    play = options.pop("play", None) or exact
    if "every_cut" in request.fixturenames:
        play = request.getfixturevalue("every_cut")
    if "fake_clock" in request.fixturenames:
        options.setdefault("clock", request.getfixturevalue("fake_clock"))
    options["record_mode"] = request.config.getoption("--cassette-mode") or options.get("record_mode") or "none"
    options["play"] = parse_play(play) if isinstance(play, str) else play
    return Cassette(_path(request, str(marker.args[0])), **options)


def _path(request: pytest.FixtureRequest, name: str) -> Path:
    folder = request.config.getini("cassette_dir")
    root = request.config.rootpath / folder if folder else request.path.parent / "cassettes"
    return root / (name if name.endswith((".yaml", ".yml", ".json", ".sse")) else f"{name}.yaml")


def _look_over(request: pytest.FixtureRequest, cassette: Cassette, hosts: list[str]) -> None:
    """Say what the test itself may have passed over."""
    if request.node.stash.get(_failed, False):
        return
    if cassette.refused:
        pytest.fail(f"cassette {cassette.path} has no answer to {', '.join(cassette.refused)}", pytrace=False)
    if hosts:
        pytest.fail(f"reached beyond this machine on replay: {', '.join(hosts)}", pytrace=False)
    do = request.config.getoption("--cassette-unused") or request.config.getini("cassette_unused")
    if do not in _UNUSED:
        raise pytest.UsageError(f"cassette_unused must be one of {', '.join(_UNUSED)}, not {do!r}")
    if cassette.writes or not cassette.unused or do == "ignore":
        return
    what = f"cassette {cassette.path}: nobody asked for {'; '.join(cassette.unused)}"
    if do == "fail":
        pytest.fail(what, pytrace=False)
    warnings.warn(UnusedInteractionWarning(what), stacklevel=1)
