"""The front door: quick, lazy, and exactly the names that it promises."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import structstream

HEAVY = ("openai", "instructor", "aiohttp", "httpx2", "langgraph", "ray", "opentelemetry", "pydantic")


def fresh(code: str) -> object:
    """What `code`, run by a fresh interpreter, prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_import_loads_nothing_heavy() -> None:
    code = f"import json, sys, structstream; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    assert fresh(code) == []


def test_the_service_is_imported_without_a_vendors_library() -> None:
    vendors = tuple(name for name in HEAVY if name != "pydantic")
    code = (
        "import json, sys, structstream; structstream.StructuredLLMService(); "
        f"print(json.dumps([name for name in {vendors} if name in sys.modules]))"
    )
    assert fresh(code) == []


@pytest.mark.parametrize("name", structstream.__all__)
def test_every_promised_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(structstream, name)
    assert name in dir(structstream)
    assert value is getattr(structstream, name)


def test_the_promise_is_sorted_and_told_once() -> None:
    assert list(structstream.__all__) == sorted(set(structstream.__all__), key=sort_key)


def sort_key(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_type_checkers_see_the_same_names_from_the_same_homes() -> None:
    tree = ast.parse(Path(structstream.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == structstream._HOME
    assert {*seen, "__version__"} == set(structstream.__all__)


def test_each_name_is_public_at_home_as_well() -> None:
    for name, home in structstream._HOME.items():
        assert name in importlib.import_module(f"structstream.{home}").__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'structstream' has no attribute 'Nothing'"):
        structstream.Nothing  # noqa: B018  # the access is the test


def test_without_instructor_all_else_works_and_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["instructor"] = None  # as where it is not installed
from structstream import MissingDependencyError, StructuredLLMService, parse_stream
StructuredLLMService()
*_, last = parse_stream(['{"a": 1}'], dict[str, int])
try:
    import structstream.integrations.instructor
except MissingDependencyError as error:
    print(last.result, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(
        "{'a': 1} instructor needs a package that is not installed: pip install 'structstream["
    )
