"""A picture of figures: horizontal bars on a logarithmic scale, as plain SVG that suits light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

__all__ = ["Panel", "draw"]

_WIDTH, _LABELS, _VALUES = 860, 300, 90  # pixels: the whole, the names on the left, the figures on the right
_ROW, _BAR, _HEAD, _GAP = 26, 16, 44, 18
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 15px }
.bar { fill: #8c959f } .ours { fill: #1a7f37 } .mine { font-weight: 600 } .grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #3fb950 } .grid { stroke: #30363d }
}
"""


@dataclass(frozen=True)
class Panel:
    """One group of bars.

    Args:
        title: what is compared, with the unit.
        figures: positive numbers by name.
        ours: the prefix of the names that are highlighted.
    """

    title: str
    figures: Mapping[str, float]
    ours: str = "structstream"


def draw(panels: Sequence[Panel]) -> str:
    """Return one SVG of all panels that have figures, one below the other.

    >>> draw([Panel("Nothing", {})]).count("<rect")
    0
    """
    parts: list[str] = []
    top = 8
    for panel in panels:
        if panel.figures:
            parts += _panel(panel, top)
            top += _HEAD + _ROW * len(panel.figures) + _GAP
    size = f'viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    ordered = sorted(panel.figures.items(), key=lambda item: item[1])
    low = floor(log10(ordered[0][1]))
    high = floor(log10(ordered[-1][1])) + 1
    room = _WIDTH - _LABELS - _VALUES
    bottom = top + _HEAD + _ROW * len(ordered)
    parts = [f'<text class="title" x="0" y="{top + 15}">{escape(panel.title)}</text>']
    for power in range(low, high + 1):
        x = _LABELS + room * (power - low) / (high - low)
        label = f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"
        parts.append(f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="{top + _HEAD - 4}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.0f}" y="{top + 35}" text-anchor="middle">{label}</text>')
    for number, (name, value) in enumerate(ordered):
        y = top + _HEAD + _ROW * number
        width = max(2.0, room * (log10(value) - low) / (high - low))
        mine = name.startswith(panel.ours)
        text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        weight = ' class="mine"' if mine else ""
        parts.append(f'<text{weight} x="{_LABELS - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        kind = "ours" if mine else "bar"
        parts.append(f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>')
        parts.append(f'<text{weight} x="{_LABELS + width + 6:.0f}" y="{y + 13}">{text}</text>')
    return parts
