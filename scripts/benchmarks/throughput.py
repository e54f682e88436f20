"""Throughput: megabytes a second where deltas are large, or where nobody looks before the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from jiter import from_json

from structstream.partial import PartialParser

from .documents import DELTA, Records, deltas, records
from .measure import interleaved
from .report import Bar, Cell, Section, Table

if TYPE_CHECKING:
    from .options import Options

__all__ = ["run"]

LARGE = 4 << 10
CASES = ((LARGE, "snapshot at each delta", 15.0), (DELTA, "one snapshot at the end", 4.0))


def run(options: Options) -> Section:
    """Measure the document of records, and each JSON file of the corpus where there is one."""
    size = (4 if options.full else 1) << 20
    rows: list[Sequence[Cell]] = []
    bars: list[Bar] = []
    for name, text, model in documents(size):
        cases: dict[str, Callable[[], object]] = {"large": stepped(text, model), "small": fed(text, model)}
        cases["jiter"] = jiter_once(text)
        times = interleaved(cases, options.rounds)
        length = len(text.encode())
        speeds = [length / 1e6 / median(times[case]) for case in cases]
        rows.append([name, length / 1e6, *speeds])
        if model is Records:
            bars = [
                Bar(f"{delta}-character deltas, {what}", speed, least, "MB/s", "at least", portable=False)
                for (delta, what, least), speed in zip(CASES, speeds, strict=False)
            ]
    columns = ("document", "MB", "4 KB deltas, a snapshot each", "4-character deltas, one at the end", "jiter, at once")
    return Section("throughput", "Throughput", [Table("Megabytes a CPU second", columns, rows)], bars)


def documents(size: int) -> Iterator[tuple[str, str, Any]]:  # Any: a response model
    """Yield each document: its name, text and type."""
    yield "list of records", records(size), Records
    for path in corpus_files():
        text = path.read_text(encoding="utf-8")
        yield path.name, text, dict[str, Any]


def corpus_files() -> list[Path]:
    """Return the benchmark files of the corpus beside the repository; none on a machine without it."""
    named = os.environ.get("STRUCTSTREAM_CORPUS")
    corpus = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "corpus"
    return sorted((corpus / "json_bench").glob("*.json"))


def stepped(text: str, model: Any) -> Callable[[], None]:
    """A snapshot at every large delta."""
    pieces = deltas(text, LARGE)

    def run() -> None:
        parser: PartialParser[Any] = PartialParser(model)
        for piece in pieces:
            parser.step(piece).snapshot  # noqa: B018  # made when looked at
        parser.finish()

    return run


def fed(text: str, model: Any) -> Callable[[], None]:
    """Small deltas, and one snapshot before the end."""
    pieces = deltas(text)

    def run() -> None:
        parser: PartialParser[Any] = PartialParser(model)
        for piece in pieces:
            parser.feed(piece)
        parser.moment().snapshot  # noqa: B018  # made when looked at
        parser.finish()

    return run


def jiter_once(text: str) -> Callable[[], object]:
    """The finished text at once, untyped: the physical limit."""
    data = text.encode()
    return lambda: from_json(data)
