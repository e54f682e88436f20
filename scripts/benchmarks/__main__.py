"""Measure this library beside its peers, in one run: ``scripts/bench``, or ``scripts/bench parse e2e``.

All of it takes some minutes. Figures are those of this machine; ratios, growth and counts hold on any, and decide the
exit code: 1 where such a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import e2e, first, growth, guardrails, imports, metrics, parse, policies, progress, replay, streams, throughput
from .chart import Panel, draw
from .children import ROOT
from .machine import packages, shape
from .options import Options
from .report import Section, as_json, as_markdown, as_text, missed

__all__ = ["SECTIONS", "main"]

SECTIONS: dict[str, Callable[[Options], Section]] = {
    "parse": parse.run,
    "growth": growth.run,
    "throughput": throughput.run,
    "first": first.run,
    "progress": progress.run,
    "import": imports.run,
    "guardrails": guardrails.run,
    "e2e": e2e.run,
    "metrics": metrics.run,
    "policies": policies.run,
    "streams": streams.run,
    "replay": replay.run,
}
"""What can be measured, in the order in which it is."""

PANELS = {
    "parse": "Parse and build partials, 64 KB in 4-character deltas: CPU ms",
    "e2e": "End to end: CPU µs per event",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    arguments = parser().parse_args(argv)
    options = Options(rounds=arguments.rounds, full=arguments.full, peers=arguments.peers)
    machine = shape()
    print("; ".join(machine.values()), flush=True)
    sections = []
    for name in arguments.sections or SECTIONS:
        began = time.monotonic()
        section = SECTIONS[name](options)
        sections.append(section)
        print(as_text(section), f"[{time.monotonic() - began:.0f} s]", sep="\n\n", flush=True)
    folder = arguments.out or (None if arguments.sections else ROOT / "docs" / "figures")
    if folder is not None:
        write(folder, machine, sections)
    failures = missed(sections)
    for bar in failures:
        print(f"missed: {bar.name}: {bar.measured:.3g}, wanted {bar.sense} {bar.limit:g} {bar.unit}".rstrip())
    return 1 if failures and arguments.judge else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure; default: all of {', '.join(SECTIONS)}"
    )
    made.add_argument("--full", action="store_true", help="documents up to 4 MB, 1,000 streams: many minutes")
    made.add_argument("--peers", action="store_true", help="every other library that is installed")
    made.add_argument("--rounds", type=int, default=3, help="how often each case is measured (default: %(default)s)")
    made.add_argument("--no-judge", dest="judge", action="store_false", help="only print: exit code 0 in any case")
    made.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write (default: docs/figures, if all is measured)"
    )
    return made


def write(folder: Path, machine: dict[str, str], sections: Sequence[Section]) -> None:
    """Write the figures as JSON, as tables and as a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine, "packages": packages(), "sections": [as_json(section) for section in sections]}
    (folder / "bench.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(page(machine, sections), encoding="utf-8")
    found = {section.name: section.figures for section in sections}
    panels = [Panel(title, found[name]) for name, title in PANELS.items() if found.get(name)]
    (folder / "bench.svg").write_text(draw(panels), encoding="utf-8")


def page(machine: dict[str, str], sections: Sequence[Section]) -> str:
    """Return the figures as a page of the docs."""
    names = ", ".join(f"{name} {version}" for name, version in packages().items())
    head = [
        "# Figures",
        "Made by `scripts/bench`. Figures are CPU time on one machine and compare only within this page.",
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        f"- packages: {names}",
        "![Bars of the CPU time of each client](bench.svg)",
    ]
    return "\n\n".join([*head[:2], "\n".join(head[2:4]), head[4], *map(as_markdown, sections)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
