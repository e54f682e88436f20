"""Plain data of an open record: under the keys of its model, as Pydantic would dump it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set as AbstractSet
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from .shapes import RecordPart
    from .view import View

__all__ = ["Names", "dump_fields"]

Names = AbstractSet[int | str] | Mapping[Any, Any] | None  # Any: a mapping may go on inside of a field
"""Names of fields; None for no choice."""


def dump_fields(
    view: View, names: Sequence[str], options: Mapping[str, Any], include: Names = None, exclude: Names = None
) -> dict[str, Any]:  # Any: plain data
    """Dump a record under the keys of its model: `names`, which are there or not, and what else is there."""
    part = cast("RecordPart", view._node.part)
    told = part.told
    by_alias = told.by_alias if options.get("by_alias") is None else options["by_alias"]
    visible = dict(view._visible())
    dumped: dict[str, Any] = {}
    for name in dict.fromkeys((*names, *visible)):
        pos = visible.get(name)
        if name in told.hidden or not _is_chosen(name, include, exclude):
            continue
        if pos is None:
            if options.get("exclude_unset"):
                continue
            value = view._empty(name)
        elif pos < view._closed and name in told.hidden_if and told.hidden_if[name](view._at(pos)):
            continue
        else:
            value = view._dumped(pos, options)
        if value is not None or not options.get("exclude_none"):
            if name in part.stated:
                value = {"value": value, "complete": pos is not None and pos < view._closed}
            dumped[told.aliases.get(name, name) if by_alias else name] = value
    return dumped


def _is_chosen(name: str, include: Names, exclude: Names) -> bool:
    if include is not None and name not in include:
        return False
    if isinstance(exclude, Mapping):
        return exclude.get(name) not in (True, ...)
    return exclude is None or name not in exclude
