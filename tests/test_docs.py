"""Every Python block of the README and of `docs/` runs, against the simulated provider where it asks one.

A block whose first line is ``# needs: module`` is skipped where that is not installed, and has a process of its own, as
peers leave things open. Blocks of the tutorial are files (`tests/test_tutorial.py`).
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structstream.testing import SimulatedProvider
from tests import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
_DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(_DOCS.glob("*/*.md")), _DOCS / "index.md"]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
]

OPTIONAL = ("pocketflow",)
"""What a page may show without being a part of the development environment."""


_ALONE = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
running = eval(code, {"__name__": "__main__"})
asyncio.run(running) if inspect.iscoroutine(running) else None
"""


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
    if needed := re.match(r"# needs: (\w+)\n", block):
        pytest.importorskip(needed[1], reason=f"the block needs {needed[1]}, which is not installed here")
        command = [sys.executable, "-W", "ignore", "-c", _ALONE]
        run = subprocess.run(command, input=block, capture_output=True, check=False, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return
    code = compile(block, "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    running = eval(code, {"__name__": "__main__"})
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(running)


@pytest.mark.parametrize("page", [*PAGES, _DOCS / "tutorial.md"], ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"`[^`]*`", "", prose))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_no_block_is_passed_over() -> None:
    """A fence that says anything else than these, or is indented, would be run by nobody."""
    known = {"python", "console", "py", "toml", "ini", "yaml", "json", "text", "{toctree}", "mermaid", "promql"}
    for page in [*PAGES, _DOCS / "tutorial.md"]:
        fences = re.findall(r"^( *)```([^\s`]*).*$", page.read_text("utf-8"), re.MULTILINE)
        opened = fences[::2]
        assert [name for indent, name in opened if indent or (name and name not in known)] == [], page.name


def test_every_page_is_of_one_of_the_four_kinds() -> None:
    kinds = {page.relative_to(ROOT / "docs").parts[0] for page in PAGES[1:-1] if page.parent.name != "figures"}
    assert kinds == {"how-to", "moving", "explanation", "reference"}


@pytest.mark.parametrize("table", drawn.TABLES)
def test_a_table_of_the_policies_is_as_the_code_says(table: str) -> None:
    page = drawn.PAGE.read_text("utf-8")
    assert drawn.TABLES[table]() in page
    assert drawn.drawn(page) == page, "draw it anew: python -m tests.drawn"
