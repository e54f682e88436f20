"""The tables of `docs/resilience.md` that are drawn from the code; run as a script, it draws them anew."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from structstream import policies
from structstream.policies import FallbackPolicy, Policies
from structstream.resilience.breaker import TRANSITIONS

__all__ = ["PAGE", "TABLES", "drawn"]

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "resilience.md"


def _breaker() -> str:
    rows = [f"| {before} | {event} | {after} |" for (before, event), after in TRANSITIONS.items()]
    return "\n".join(["| state | what happens | next state |", "|---|---|---|", *rows])


def _defaults() -> str:
    rows = ["| policy | setting | default |", "|---|---|---|"]
    default = Policies()
    for field in dataclasses.fields(Policies):
        if field.name == "midstream":
            continue
        name = {"bounds": "OutputBounds"}.get(field.name, f"{field.name.capitalize()}Policy")
        off = "" if getattr(default, field.name) is not None else " (off)"
        made = getattr(policies, name)()
        for at, setting in enumerate(dataclasses.fields(made)):
            label = f"`{field.name}`{off}" if at == 0 else ""
            rows.append(f"| {label} | `{setting.name}` | {_shown(getattr(made, setting.name))} |")
    return "\n".join([*rows, f"| `midstream` | | `{default.midstream}` |"])


def _shown(value: object) -> str:
    if value == FallbackPolicy().on:
        return ", ".join(f"`{kind}`" for kind in sorted(FallbackPolicy().on))
    return f"`{value}`"


TABLES: Mapping[str, Callable[[], str]] = {"breaker": _breaker, "defaults": _defaults}


def drawn(text: str) -> str:
    """Return the page with its tables as the code says."""
    for name, draw in TABLES.items():
        begin = re.search(rf"<!-- {name}: [^\n]*-->\n", text)
        if begin is None:
            raise AssertionError(f"the page has no table {name}")
        end = text.index("<!-- end -->", begin.end())
        text = f"{text[: begin.end()]}{draw()}\n{text[end:]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")
