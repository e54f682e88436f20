"""The locks say all that is installed, and nothing but names, versions and hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "scripts").glob("requirements-*.txt"))
PIN = re.compile(r"([a-z0-9.-]+)==([0-9][0-9a-z.]*) \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(lock: Path) -> dict[str, str]:
    return {match[1]: match[2] for match in PIN.finditer(lock.read_text())}


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, itself left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [asked for asked in map(Requirement, lines) if asked.name != project["name"]]


def test_there_is_a_lock_for_each_step() -> None:
    assert [lock.name for lock in LOCKS] == [f"requirements-{step}.txt" for step in ("check", "newest", "pip", "test")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_names_versions_and_hashes(lock: Path) -> None:
    header, *lines = lock.read_text().splitlines()
    assert header.startswith("# Made by scripts/lock")
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []


def test_no_package_stands_in_two_locks_of_one_environment() -> None:
    names = [name for lock in LOCKS if lock.stem != "requirements-newest" for name in pins(lock)]
    assert len(names) == len(set(names))


def test_the_newest_environment_has_no_instructor_and_nothing_older_than_the_other() -> None:
    newest = pins(ROOT / "scripts" / "requirements-newest.txt")
    other = pins(ROOT / "scripts" / "requirements-test.txt")
    assert "instructor" not in newest
    assert [name for name in newest if name in other and Version(newest[name]) < Version(other[name])] == []
    assert [name for name in ("jiter", "openai", "tenacity") if Version(newest[name]) <= Version(other[name])] == []


@pytest.mark.parametrize("asked", requirements("instructor", "rich", "testing", "test-core", "test"), ids=str)
def test_what_the_tests_need_is_pinned_as_asked_for(asked: Requirement) -> None:
    assert pins(ROOT / "scripts" / "requirements-test.txt")[canonicalize_name(asked.name)] in asked.specifier


@pytest.mark.parametrize(
    "asked", requirements("http2", "otel", "prices", "rich", "testing", "tqdm", "test-core", "test-newest"), ids=str
)
def test_what_the_newest_environment_needs_is_pinned_as_asked_for(asked: Requirement) -> None:
    assert pins(ROOT / "scripts" / "requirements-newest.txt")[canonicalize_name(asked.name)] in asked.specifier


@pytest.mark.parametrize("asked", requirements("dev"), ids=str)
def test_what_the_checks_need_is_pinned_as_asked_for(asked: Requirement) -> None:
    found = {name: version for lock in LOCKS for name, version in pins(lock).items()}
    assert found[canonicalize_name(asked.name)] in asked.specifier
