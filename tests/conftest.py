"""What holds for every test: asyncio under anyio, repeatable Hypothesis, no network but loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from structstream.testing.network import refused_connections
from tests.corpus import BODIES

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore = ["typing"]  # read by type checkers, run by nobody

_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
# Drawing a model together with a document of it is slow; that says nothing about the code under test.
_PATIENT = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_LONG_TIMEOUT = 3600  # seconds a test

settings.register_profile(
    "quick", derandomize=True, max_examples=60, deadline=None, suppress_health_check=_PATIENT, print_blob=True
)
settings.register_profile("long", max_examples=5000, deadline=None, suppress_health_check=_PATIENT, print_blob=True)
settings.load_profile(_PROFILE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test an hour where the long profile was asked for."""
    if _PROFILE == "long":
        for item in items:
            item.add_marker(pytest.mark.timeout(_LONG_TIMEOUT))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what a worker has read to the process that prints."""
    sent: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if sent is not None:
        sent["bodies"] = [(*key, dict(counts)) for key, counts in BODIES.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take what a worker has read."""
    for dialect, folder, counts in getattr(node, "workeroutput", {}).get("bodies", []):
        BODIES[dialect, folder] = counts


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which recorded bodies were read, so that none is passed over silently."""
    if BODIES:
        terminalreporter.section("recorded bodies")
    for (dialect, folder), counts in sorted(BODIES.items()):
        words = ", ".join(f"{count} {what}" for what, count in counts.items())
        terminalreporter.write_line(f"{dialect:18} {folder:18} {words}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the only loop that the aiohttp transport knows."""
    return "asyncio"


@pytest.fixture(scope="session")
def refused_hosts() -> Iterator[list[str]]:
    """One guard for the whole run: what a fixture of any scope starts is under it too."""
    with refused_connections() as refused:
        yield refused


@pytest.fixture(autouse=True)
def no_network(refused_hosts: list[str]) -> Iterator[None]:
    """A test that tried to leave the machine fails, even if its code took the refusal for a failed connection."""
    refused_hosts.clear()
    yield
    assert not refused_hosts, f"reached beyond this machine: {refused_hosts}"
