"""Every Python block of the README and of `docs/` runs, against the simulated provider where it asks one."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structstream.testing import SimulatedProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
]

OPTIONAL = ("pocketflow",)
"""What a page may show without being a part of the development environment."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with SimulatedProvider.in_thread(seed=5) as simulated:
        yield simulated.base_url


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTIONAL:
        if f"from {name} import" in block:
            pytest.importorskip(name)
    monkeypatch.setenv("OPENAI_BASE_URL", provider)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("STRUCTSTREAM_SIMULATED_BASE_URL", provider)
    code = compile(block, "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {"__name__": "__main__"})
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(running)


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert targets
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
