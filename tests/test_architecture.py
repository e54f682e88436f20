"""The house keeps its own rules; and each rule can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import MAX_LINES, RULES, House, read_house

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(ROOT / "structstream", ROOT / "tests")


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(house: House, rule: str) -> None:
    if broken := sorted(RULES[rule](house)):
        pytest.fail("\n".join(broken), pytrace=False)


def test_the_front_door_loads_no_heavy_package() -> None:
    heavy = {"openai", "instructor", "httpx2", "aiohttp", "prometheus_client", "tenacity", "rich"}
    code = "import sys, structstream; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not heavy.intersection(run.stdout.split())


# What breaks each rule: the files of a small package, and what the sentence about it says.
BROKEN: list[tuple[str, dict[str, str], str]] = [
    ("floors", {"errors.py": "from .service import Service"}, "errors:1 (words) imports service"),
    ("floors", {"errors.py": "import structstream.service"}, "errors:1 (words) imports service"),
    ("floors", {"errors.py": "from structstream import service", "service.py": ""}, "errors:1 (words) imports service"),
    ("floors", {"sse.py": "def late() -> None:\n    import asyncio"}, "sse:2 (core) imports asyncio"),
    ("floors", {"jsonstream.py": "if TYPE_CHECKING:\n    from .partial import Part"}, "(core) imports partial"),
    ("floors", {"partial/view.py": "import httpx2"}, "partial.view:1 (core) imports the package httpx2"),
    ("floors", {"partial/view.py": "import urllib.request"}, "(core) imports urllib.request"),
    ("floors", {"providers/google.py": "from .anthropic import x"}, "(dialects) imports providers.anthropic"),
    (
        "floors",
        {"providers/openai_chat.py": "from .openai_items import x"},
        "(dialects) imports providers.openai_items",
    ),
    ("floors", {"providers/google.py": "import google.genai"}, "(dialects) imports the package google"),
    ("floors", {"decoder.py": "from .providers.openai_chat import x"}, "(decoder) imports providers.openai_chat"),
    ("floors", {"decoder.py": "from .providers import openai_chat", "providers/openai_chat.py": ""}, "openai_chat"),
    ("floors", {"transport.py": "from .sse import SSEDecoder"}, "transport:1 (edge) imports sse"),
    ("floors", {"clock.py": "import openai"}, "clock:1 (edge) imports the package openai"),
    ("floors", {"resilience/retry.py": "from .breaker import Breaker"}, "(policies) imports resilience.breaker"),
    ("floors", {"resilience/retry.py": "from ..transport import x"}, "(policies) imports transport"),
    ("floors", {"guardrails/words.py": "from time import sleep"}, "guardrails.words:1 (policies) imports time"),
    ("floors", {"service.py": "from .testing import x"}, "service:1 (service) imports testing"),
    ("floors", {"__init__.py": "from .integrations.rich import x"}, "__init__:1 (front) imports integrations.rich"),
    ("floors", {"testing/simulator.py": "from ..service import x"}, "(leaves) imports service"),
    ("floors", {"cli/demo.py": "from ..errors import x"}, "cli.demo:1 (leaves) imports errors"),
    ("floors", {"integrations/x.py": "import ray\nimport redis"}, "more than one foreign package: ray, redis"),
    ("floors", {"integrations/x.py": "from ..testing import y"}, "(leaves) imports testing"),
    ("floors", {"attic.py": ""}, "attic: stands on no floor"),
    ("cycles", {"errors.py": "from . import events", "events.py": "from .errors import x"}, "errors → events → errors"),
    ("cycles", {"errors.py": "def late():\n    import structstream.errors"}, "errors → errors"),
    (
        "cycles",
        {
            "service.py": "from .stream import x",
            "stream.py": "from .pool import x",
            "pool.py": "from .service import x",
        },
        "pool → service → stream → pool",
    ),
    ("all", {"errors.py": "class Oops(Exception): ..."}, "errors:1 has no __all__, but the names Oops"),
    ("all", {"errors.py": "__all__ = []\ndef scrub(): ..."}, "scrub is public but not in __all__"),
    ("all", {"errors.py": "__all__ = ['a', 'b']\na = 1"}, "b is in __all__ but not there"),
    ("all", {"errors.py": "from x import y\n__all__ = ['y']"}, "y is in __all__ but not there"),
    ("all", {"errors.py": "__all__ = []\ntry:\n    a, (b, _) = 1, 2\nexcept OSError:\n    c: int = 2"}, "c is public"),
    ("all", {"providers/__init__.py": "__all__ = ['y']"}, "providers:1 y is in __all__ but not there"),
    ("tests", {"providers/google.py": ""}, "providers.google has no tests/test_providers_google.py"),
    ("tests", {"partial/_view.py": ""}, "partial._view has no tests/test_partial_view.py"),
    ("tests", {"providers/__init__.py": "ROUTES = {}"}, "providers has no tests/test_providers.py"),
    ("tests", {"__init__.py": "def __getattr__(name): ..."}, "__init__ has no tests/test_init.py"),
    ("sizes", {"errors.py": "x = 1\n" * (MAX_LINES + 1)}, f"errors has {MAX_LINES + 1} lines, 1 too many"),
]


@pytest.mark.parametrize(("rule", "files", "sentence"), BROKEN)
def test_a_broken_rule_is_seen(tmp_path: Path, rule: str, files: dict[str, str], sentence: str) -> None:
    broken = list(RULES[rule](build(tmp_path, files)))
    assert any(sentence in line for line in broken), broken


SOUND: list[tuple[str, dict[str, str]]] = [
    (
        "floors",
        {"partial/view.py": "import json\nfrom ..jsonstream import JSONStream\nfrom ..repair import x\nimport jiter"},
    ),
    ("floors", {"providers/google.py": "from .base import x\nfrom ..events import y\nfrom structstream.sse import z"}),
    ("floors", {"resilience/retry.py": "import tenacity\nfrom . import Call\nfrom ..clock import Clock"}),
    ("floors", {"cli/demo.py": "from structstream import x\nfrom ..testing import y\nimport rich\nimport time"}),
    ("cycles", {"errors.py": "if TYPE_CHECKING:\n    from .response import x", "response.py": "from .errors import y"}),
    ("all", {"errors.py": "from x import y\n__all__ = ['a']\nT = TypeVar('T')\n_b = 2\na = 1"}),
    ("all", {"providers/__init__.py": "from .base import x\n__all__ = ['x']"}),
    ("all", {"_private.py": "a = 1"}),
    ("tests", {"errors.py": "a = 1", "partial/__init__.py": "from .x import y\n__all__ = ['y']"}),
    ("sizes", {"errors.py": "x = 1\n" * MAX_LINES}),
]


@pytest.mark.parametrize(("rule", "files"), SOUND)
def test_what_is_allowed_is_left_alone(tmp_path: Path, rule: str, files: dict[str, str]) -> None:
    assert list(RULES[rule](build(tmp_path, files))) == []


def build(folder: Path, files: dict[str, str]) -> House:
    """Write a small package with these files, and the one test file ``test_errors.py``."""
    package, tests = folder / "structstream", folder / "tests"
    for name, source in {"__init__.py": '"""The front door."""', **files}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)
    tests.mkdir()
    (tests / "test_errors.py").touch()
    return read_house(package, tests)
