"""Import time in a fresh interpreter, and what must not be loaded by it."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING

from .children import answer_of
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from .options import Options

__all__ = ["run"]

TIMES = 7
FORBIDDEN = ("openai", "instructor", "langgraph", "ray", "opentelemetry", "anthropic", "httpx2", "httpx", "aiohttp")
STATEMENTS = (
    ("import structstream", "import structstream"),
    (
        "import structstream, and name the service",
        "import structstream; structstream.StructuredLLMService, structstream.StreamingStructuredRequest",
    ),
    ("import pydantic", "import pydantic; pydantic.BaseModel, pydantic.TypeAdapter"),
    ("import openai", "import openai"),
)
PROGRAM = """
import json, sys, time
began = time.process_time()
{statement}
spent = time.process_time() - began
print(json.dumps({{"seconds": spent, "modules": len(sys.modules), **{{n: 1 for n in {names!r} if n in sys.modules}}}}))
"""


def run(options: Options) -> Section:
    """Import each in interpreters of its own, in turn."""
    found: dict[str, list[float]] = {name: [] for name, _ in STATEMENTS}
    loaded: dict[str, set[str]] = {name: set() for name, _ in STATEMENTS}
    for _ in range(TIMES):
        for name, statement in STATEMENTS:
            answer = answer_of("-c", PROGRAM.format(statement=statement, names=FORBIDDEN))
            found[name].append(answer["seconds"])
            loaded[name].update(set(answer) & set(FORBIDDEN))
    rows = [(name, median(found[name]) * 1e3, ", ".join(sorted(loaded[name])) or "none") for name, _ in STATEMENTS]
    ours = [name for name, _ in STATEMENTS if "structstream" in name]
    bars = [Bar(name, median(found[name]) * 1e3, 150, "ms", portable=False) for name in ours]
    bars += [Bar(f"{name}: heavy modules loaded", len(loaded[name]), 0) for name in ours]
    columns = ("statement", "ms", "heavy modules loaded")
    note = f"Heavy modules: {', '.join(FORBIDDEN)}. Python {sys.version.split()[0]}, bytecode cached."
    return Section("import", "Import", [Table(f"Fresh interpreter, median of {TIMES}", columns, rows)], bars, [note])
