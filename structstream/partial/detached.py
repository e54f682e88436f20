"""Snapshots that leave their stream: what pickle and `copy.deepcopy` make of a view, a view again that stands alone.

A view looks at a document that goes on to grow, which cannot be copied. What it shows can be: its closed values, and
its open one as a detached view itself. It reads, compares, dumps and tells what is complete as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import RootModel

from .nodes import Node, Open
from .schema import shape_of
from .shapes import ArrayPart, MappingPart, RecordPart, Shape

__all__ = ["Detachable"]

_ANYTHING = shape_of(Any)


class Detachable(Open):
    """A view that can be copied and pickled; its model has to be one that pickle finds by its name."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:  # Any: as `object.__reduce__`
        view: Any = self  # Any: a view of any class
        cls: Any = type(self)
        model = getattr(cls, "_model", None)
        if model is not None and issubclass(model, RootModel):
            return _root_again, (cls.__base__, model, view.root)
        part = view._node.part
        if model is None and isinstance(part, RecordPart) and part.cls is not dict:
            return _again, (cls, part.cls, *_entries(view))
        return _again, (cls if model is None else cls.__base__, model, *_entries(view))


def _entries(view: Any) -> tuple[list[Any] | None, list[Any], bool]:
    """The names and values of what a view shows, and whether the last of them is open; a list has no names."""
    closed = view._closed
    if view._node.names is None:
        values = [view._at(pos) for pos in range(closed + view._has_open)]
        return None, values, len(values) > closed
    entries = list(view._visible())
    return (
        [name for name, _ in entries],
        [view._at(pos) for _, pos in entries],
        bool(entries) and entries[-1][1] == closed,
    )


def _again(base: Any, model: type | None, names: list[Any] | None, values: Sequence[Any], is_open: bool) -> Any:
    """A view of these entries. `base` is its class, or ``base[model]`` where it is a model's partial."""
    shape = _ANYTHING if model is None else shape_of(model)
    part: Any = shape.array if names is None else shape.record  # Any: one of the three
    node = Node(shape, part, None, 0, named=names is not None)
    node.values = list(values[: len(values) - is_open])
    if names is not None:
        node.names = names
        node.where = {name: pos for pos, name in enumerate(names)}
    cls = base[model] if isinstance(part, RecordPart) and not part.is_mapping else base
    view = cls.__new__(cls)
    view._attach(node, [node], 0, len(node.values))
    if is_open:
        view._has_open, view._inner = True, values[-1]
        _adopt(view._inner, view._shape(view._closed))
    return view


def _root_again(base: Any, model: type, root: Any) -> Any:
    """The partial of a RootModel."""
    return base[model]._of_root(root)


def _adopt(inner: Any, shape: Shape) -> None:
    """Let a detached list or mapping know what its place declares, so that its items are dumped as they were."""
    view = inner.root if shape.root_model is not None else inner
    node: Any = getattr(view, "_node", None)
    if node is None:
        return
    part = shape.array if node.names is None else shape.record
    if isinstance(part, ArrayPart | MappingPart) and isinstance(node.part, type(part)):
        node.part = part
        if view._has_open:
            _adopt(view._inner, view._shape(view._closed))
