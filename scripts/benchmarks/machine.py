"""The machine's shape: what a figure means nothing without."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["pace", "packages", "shape"]

_PACKAGES = (
    *("pydantic", "jiter", "openai", "httpx2", "aiohttp", "instructor"),
    *("langchain-core", "jsonriver"),
)


def shape() -> dict[str, str]:
    """Return what a reader needs to compare: date, cores, CPU, Python, and how fast the machine was just then."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "pace": f"{pace() * 1e3:.1f} ms CPU to add up a million numbers; {_load()}",
    }


def pace() -> float:
    """Return the CPU seconds that this machine needs now to add up a million numbers: its speed under today's load."""
    numbers = range(1_000_000)
    times = []
    for _ in range(5):
        began = time.process_time()
        sum(numbers)
        times.append(time.process_time() - began)
    return sorted(times)[2]


def packages() -> dict[str, str]:
    """Return the versions of what was measured, without what is not installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else "load unknown"
