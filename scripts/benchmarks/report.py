"""What a measurement hands back, and how it is written: for the terminal, as Markdown, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

__all__ = ["Bar", "Cell", "Section", "Table", "as_json", "as_markdown", "as_text", "missed"]

Cell = str | int | float | None
"""One field of a table; None is shown as a dash: it was not measured."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns, the first of which names the row.

    Args:
        title: one line, with the unit.
        columns: the names of the columns.
        rows: as many cells each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Bar:
    """One promise and what was measured of it.

    Args:
        name: what is promised.
        measured: what came out; None where it could not be measured here.
        limit: the bar.
        unit: of both.
        sense: whether the measured value may be at most or must be at least the limit.
        portable: whether it holds on any machine (a ratio, a growth, a count); seconds of this machine are shown and do
            not decide the exit code.
    """

    name: str
    measured: float | None
    limit: float
    unit: str = ""
    sense: Literal["at most", "at least"] = "at most"
    portable: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bar holds; None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.limit if self.sense == "at most" else self.measured >= self.limit

    @property
    def verdict(self) -> str:
        """The word of the last column."""
        if self.met is None:
            return "not measured"
        return "met" if self.met else "MISSED" if self.portable else "missed on this machine"


@dataclass(frozen=True)
class Section:
    """All that one command measured.

    Args:
        name: the command.
        title: what it is about.
        tables: what was measured.
        bars: what was promised.
        notes: what a reader must know to judge the figures.
        figures: the measured numbers by name, for the picture and for comparisons.
    """

    name: str
    title: str
    tables: Sequence[Table]
    bars: Sequence[Bar] = ()
    notes: Sequence[str] = ()
    figures: dict[str, float] = field(default_factory=dict)


def missed(sections: Iterable[Section]) -> list[Bar]:
    """Return the bars that any machine can judge and that do not hold."""
    return [bar for section in sections for bar in section.bars if bar.portable and bar.met is False]


def shown(cell: Cell) -> str:
    """Return a cell as text; numbers with three figures that count.

    >>> [shown(cell) for cell in (0.05678, 3.14159, 12345.6, 7, None, "x")]
    ['0.0568', '3.14', '12,346', '7', '-', 'x']
    """
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def bar_table(bars: Sequence[Bar]) -> Table:
    """Return the bars as a table."""
    rows = [
        (bar.name, bar.measured, f"{bar.sense} {shown(bar.limit)}{f' {bar.unit}' if bar.unit else ''}", bar.verdict)
        for bar in bars
    ]
    return Table("Bars", ("bar", "measured", "wanted", "verdict"), rows)


def tables_of(section: Section) -> list[Table]:
    """Return all tables of a section, its bars last."""
    return [*section.tables, *([bar_table(section.bars)] if section.bars else [])]


def as_text(section: Section) -> str:
    """Return a section for the terminal."""
    parts = [f"\n== {section.title}"]
    for table in tables_of(section):
        cells = [list(table.columns), *([shown(cell) for cell in row] for row in table.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(_aligned(cell, width, at) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in cells
        ]
        parts.append("\n".join([table.title, "-" * len(lines[0]), *lines]))
    parts += [f"({note})" for note in section.notes]
    return "\n\n".join(parts)


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)


def as_markdown(section: Section) -> str:
    """Return a section for the docs."""
    parts = [f"## {section.title}"]
    for table in tables_of(section):
        rows = [list(table.columns), ["---", *["---:"] * (len(table.columns) - 1)]]
        rows += [[shown(cell).replace("|", "\\|") for cell in row] for row in table.rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        parts.append("\n".join([f"**{table.title}**", "", *lines]))
    parts += list(section.notes)
    return "\n\n".join(parts)


def as_json(section: Section) -> dict[str, object]:
    """Return a section as plain data, each bar with its verdict."""
    return {**asdict(section), "bars": [{**asdict(bar), "met": bar.met} for bar in section.bars]}
