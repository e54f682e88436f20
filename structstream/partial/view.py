"""Snapshots: views of an open document at one moment, which read like what they will become.

An open model is a `Partial`, an open list reads like a list, an open mapping like a mapping. Each is made when somebody
looks at it, and kept. Closed values are the real ones, shared between snapshots.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set as AbstractSet
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from pydantic import BaseModel, RootModel
from pydantic_core import core_schema, to_jsonable_python

from structstream.markers import Stated
from structstream.text import parse_path

from .detached import Detachable
from .dumping import dump_fields
from .look import look
from .nodes import ABSENT, Node, OpenPath, TextNode, is_held
from .schema import shape_of
from .shapes import WHITESPACE, ArrayPart, MappingPart, RecordPart, Shape

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

    from .dumping import Names

__all__ = ["ListView", "MappingView", "Partial", "RootPartial", "View", "partial_class", "view_of"]

T = TypeVar("T")


_LATER = frozenset({"_closed", "_has_open", "_inner", "_node"})


def view_of(path: OpenPath, depth: int, length: int) -> Any:  # Any: reads as its shape's type
    """What the place at `depth` of an open path shows, where the innermost place has `length` entries or characters."""
    node = path[depth]
    shape = node.shape
    view: Any  # as above
    if isinstance(node, TextNode):
        view = node.buffer.slice(0, length)
        if shape.text is not None and shape.text.strip:
            view = view.strip(WHITESPACE)
    else:
        view_class: type[View] = node.part.view or _view_class(node.part)
        view = view_class.__new__(view_class)
        view._path, view._depth, view._length = path, depth, length
    if shape.root_model is not None:
        return cast("type[RootPartial[Any]]", partial_class(shape.root_model))._of_root(view)
    return view


def _view_class(part: RecordPart | MappingPart | ArrayPart) -> type[View]:
    if isinstance(part, ArrayPart):
        part.view = ListView
    elif isinstance(part, MappingPart) or part.is_mapping:
        part.view = MappingView
    else:
        part.view = partial_class(part.cls)
    return cast("type[View]", part.view)


class View(Detachable):
    """What all views of an open container share: its closed entries and its open one."""

    __slots__ = ("_closed", "_depth", "_has_open", "_inner", "_length", "_node", "_path")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            # A view is made for each step, and many are not looked into: the rest is set when one is.
            if name not in _LATER:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self._attach(self._path[self._depth], self._path, self._depth, self._length)
            return getattr(self, name)

    def _attach(self, node: Node, path: OpenPath, depth: int, length: int) -> None:
        self._node = node
        self._path = path
        self._depth = depth
        self._length = length
        has_inner = depth + 1 < len(path)
        self._has_open = has_inner and not (path[0].shape.holds and is_held(path, depth + 1, length))
        self._closed = path[depth + 1].pos if has_inner else length
        self._inner: Any = ABSENT  # Any: the view of the open entry, made when looked at

    def _at(self, pos: int) -> Any:  # Any: as its shape's type
        """The value of an entry; ABSENT where it shows nothing."""
        if pos < self._closed:
            return self._node.values[pos]
        if self._inner is ABSENT and self._has_open:
            self._inner = view_of(self._path, self._depth + 1, self._length)
        return self._inner

    def _find(self, name: object) -> int | None:
        """Which entry `name` is; None where it is not there."""
        return self._node.entry(name, self._closed + self._has_open)

    def _child(self, name: Any) -> Any:  # Any: names and values of any type
        pos = self._find(name)
        return ABSENT if pos is None else self._at(pos)

    def _children(self) -> Iterator[tuple[Any, Any]]:  # Any: as above
        for name, pos in self._visible():
            value = self._at(pos)
            if pos < self._closed or isinstance(value, View):
                yield name, value

    def _shape(self, pos: int) -> Shape:
        node = self._node
        part = node.part
        if isinstance(part, ArrayPart):
            return part.at(pos)
        if isinstance(part, MappingPart):
            return part.value
        field = part.by_name.get(str(node.name_of(pos)))
        return field.shape if field is not None else part.extra_shape

    def _stated(self, name: str, value: Any) -> Any:  # Any: as the field's type
        """What a field shows, with its state if it is marked so."""
        if name not in getattr(self._node.part, "stated", ()):
            return value
        pos = self._find(name)
        return Stated(value, pos is not None and pos < self._closed)

    def _empty(self, name: str) -> Any:  # Any: None, [] or {}
        """What a field reads that is not there yet."""
        field = getattr(self._node.part, "by_name", {}).get(name)
        return None if field is None else field.shape.empty()

    def _visible(self) -> Iterator[tuple[Any, int]]:  # Any: a name of the node's own kind
        """The names that show something, each once, with its entry."""
        names = self._node.names
        for pos in range(self._closed + self._has_open):
            name = pos if names is None else names[pos]
            if self._at(pos) is not ABSENT and (names is None or self._find(name) == pos):
                yield name, pos

    def _dumped(self, pos: int, options: Mapping[str, Any]) -> Any:  # Any: plain data
        value = self._at(pos)
        if pos < self._closed:
            return None if value is ABSENT else self._shape(pos).serializer.to_python(value, **options)
        return value._dump(options) if isinstance(value, View) else value

    @abstractmethod
    def _dump(self, options: Mapping[str, Any]) -> Any:  # Any: plain data
        """The whole as plain data."""

    def _is_complete(self, path: Sequence[str | int]) -> bool:
        if not path:
            return False
        pos = self._find(path[0])
        if pos is None:
            return False
        value = self._at(pos)
        if value is not ABSENT and pos < self._closed:
            return look(value, path[1:]) is not ABSENT
        return isinstance(value, View) and value._is_complete(path[1:])

    def is_complete(self, path: str = "") -> bool:
        """Whether the value at `path`, such as ``items[2].price``, has closed.

        The empty path is this value itself, which is open, or it would not be a view.

        Raises:
            ValueError: `path` is no path.
        """
        return self._is_complete(parse_path(path))


class ListView(View, Sequence[Any]):  # Any: items are of the list's own type
    """An open list or tuple: reads like the list so far, its last item perhaps open."""

    __slots__ = ()

    def __len__(self) -> int:
        return self._closed + self._has_open

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:  # Any: as above
        length = len(self)
        if isinstance(index, slice):
            return [self[pos] for pos in range(*index.indices(length))]
        pos = index + length if index < 0 else index
        if not 0 <= pos < length:
            raise IndexError(f"index {index} of a list of {length} so far")
        value = self._at(pos)
        return None if value is ABSENT else value

    def _find(self, name: object) -> int | None:
        return name if isinstance(name, int) and name < len(self) else None

    def _dump(self, options: Mapping[str, Any]) -> list[Any]:
        return [self._dumped(pos, options) for pos in range(len(self))]

    def model_dump(self, *, mode: str = "python") -> list[Any]:
        """Return plain data; `mode` is ``python`` or ``json``, as in Pydantic."""
        return self._dump({"mode": mode})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str | bytes) or not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it reads like a list, which has none

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self))}]"


class MappingView(View, Mapping[Any, Any]):  # Any: keys and values are of the mapping's own types
    """An open mapping or TypedDict: reads like the dict so far, its last value perhaps open."""

    __slots__ = ()

    def _find(self, name: object) -> int | None:
        pos = super()._find(name)
        if pos is None and isinstance(name, str):
            # A path names a key of another type by its text.
            keys = (key for key in self._node.where if not isinstance(key, str) and str(key) == name)
            pos = next((found for key in keys if (found := super(MappingView, self)._find(key)) is not None), None)
        return pos

    def __getitem__(self, key: object) -> Any:
        pos = View._find(self, key)
        value = ABSENT if pos is None else self._at(pos)
        if value is ABSENT:
            raise KeyError(key)
        return self._stated(str(key), value)

    def __iter__(self) -> Iterator[Any]:
        return (name for name, _ in self._visible())

    def __len__(self) -> int:
        return sum(1 for _ in self._visible()) if self._node.repeated else self._closed + self._has_open

    def _dump(self, options: Mapping[str, Any]) -> dict[Any, Any]:
        if isinstance(self._node.part, RecordPart):
            return dump_fields(self, (), options)
        return {self._dumped_key(name, options): self._dumped(pos, options) for name, pos in self._visible()}

    def _dumped_key(self, key: Any, options: Mapping[str, Any]) -> Any:
        return to_jsonable_python(key) if options["mode"] == "json" else key

    def model_dump(self, *, mode: str = "python") -> dict[Any, Any]:
        """Return plain data; `mode` is ``python`` or ``json``, as in Pydantic."""
        return self._dump({"mode": mode})

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{key!r}: {value!r}' for key, value in self.items())}}}"


class Partial(View, Generic[T]):
    """A model, dataclass or RootModel that is still being written.

    ``Partial[UserProfile]`` is a class of its own with the fields of `UserProfile`, and no `UserProfile`: nobody can
    take it for the final object. A field that is not there yet reads None, a list ``[]``, a mapping ``{}``;
    `model_fields_set` and `is_complete` tell "not yet" from "null".

    >>> from pydantic import BaseModel
    >>> class Pet(BaseModel):
    ...     name: str
    ...     legs: int
    >>> from structstream.partial import PartialParser
    >>> parser = PartialParser(Pet)
    >>> parser.feed('{"name": "Fe')
    >>> pet = parser.moment().snapshot
    >>> pet, pet.legs, pet.model_fields_set, isinstance(pet, Partial[Pet])
    (Partial[Pet](name='Fe'), None, {'name'}, True)
    """

    __slots__ = ()

    _names: ClassVar[tuple[str, ...]] = ()
    _model: ClassVar[type]

    if not TYPE_CHECKING:

        def __class_getitem__(cls, item: Any) -> Any:  # Any: a class gives its partial, a type variable an alias
            return partial_class(item) if isinstance(item, type) else super().__class_getitem__(item)

    def _get(self, name: str) -> Any:  # Any: as the field's type
        value = self._child(name)
        return self._stated(name, self._empty(name) if value is ABSENT else value)

    def __getattr__(self, name: str) -> Any:  # Any: an extra's value
        if not name.startswith("_"):
            value = self._child(name)
            if value is not ABSENT:
                return value
        elif name in _LATER:
            return View.__getattr__(self, name)  # type: ignore[attr-defined]  # hidden from type checkers
        raise AttributeError(f"{type(self).__name__!r} has no field {name!r}")

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that show something."""
        return {name for name, _ in self._visible()}

    @property
    def model_extra(self) -> dict[str, Any] | None:  # Any: extras are of any type
        """The values of keys that are no fields; None unless the model allows them."""
        part = self._node.part
        if not isinstance(part, RecordPart) or part.extra != "allow":
            return None
        return {name: self._at(pos) for name, pos in self._visible() if name not in part.by_name}

    def _dump(self, options: Mapping[str, Any], include: Names = None, exclude: Names = None) -> Any:
        return dump_fields(self, self._names, options, include, exclude)

    def model_dump(
        self,
        *,
        mode: str = "python",
        by_alias: bool | None = None,
        include: AbstractSet[str] | None = None,
        exclude: AbstractSet[str] | None = None,
        exclude_unset: bool = False,
        exclude_none: bool = False,
    ) -> dict[str, Any]:  # Any: plain data
        """Return plain data: what is there, and None, ``[]`` or ``{}`` for what is not.

        A field serializer that is a method needs the finished model: the plain value is shown until then. A model
        serializer is not applied before the model has closed, either.

        Args:
            mode: ``python`` or ``json``, as in Pydantic.
            by_alias: name the fields by their serialization aliases; None as the model's configuration says.
            include: the names of the fields to dump, on the top level only; None for all.
            exclude: the names of the fields not to dump, on the top level only; None for none.
            exclude_unset: leave out what is not there.
            exclude_none: leave out what reads None.
        """
        options = {"mode": mode, "by_alias": by_alias, "exclude_unset": exclude_unset, "exclude_none": exclude_none}
        return cast("dict[str, Any]", self._dump(options, include, exclude))

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        by_alias: bool | None = None,
        include: AbstractSet[str] | None = None,
        exclude: AbstractSet[str] | None = None,
        exclude_unset: bool = False,
        exclude_none: bool = False,
    ) -> str:
        """Return the same as JSON text; `indent` in spaces, None for one line, all else as for `model_dump`."""
        options = {"mode": "json", "by_alias": by_alias, "exclude_unset": exclude_unset, "exclude_none": exclude_none}
        return json.dumps(self._dump(options, include, exclude), indent=indent, ensure_ascii=False)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in self._names)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return dict(self._shown()) == dict(other._shown())

    __hash__ = None  # type: ignore[assignment]  # models have none, either

    def _shown(self) -> Iterator[tuple[str, Any]]:
        return ((name, self._get(name)) for name, _ in self._visible())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._shown())})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Any: Pydantic's own signature. What a web framework returns may be the snapshot or the final object.
        return core_schema.union_schema(
            [core_schema.is_instance_schema(cls), handler.generate_schema(cls._model)],
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:  # Any: JSON
        model = next(item for item in schema["choices"] if item["type"] != "is-instance")
        told = dict(handler.resolve_ref_schema(handler(model)))
        told.pop("required", None)
        return {**told, "title": cls.__name__}


def _serialize(value: Any, info: core_schema.SerializationInfo[Any]) -> Any:  # Any: a snapshot or a final object
    # Pydantic tells no difference between by_alias=False and nothing said, where a model's configuration decides.
    options: dict[str, Any] = {"mode": info.mode, "by_alias": True if info.by_alias else None}
    options |= {"exclude_unset": info.exclude_unset, "exclude_none": info.exclude_none}
    if isinstance(value, Partial):
        return value._dump(options, info.include, info.exclude)
    options |= {"include": info.include, "exclude": info.exclude, "exclude_defaults": info.exclude_defaults}
    return shape_of(type(value)).serializer.to_python(value, **options)


class RootPartial(Partial[T]):
    """An open RootModel: its `root` is the view."""

    __slots__ = ("root",)

    root: Any  # Any: as the root's type

    @classmethod
    def _of_root(cls, view: Any) -> RootPartial[T]:  # Any: as above
        partial = cls.__new__(cls)
        partial.root = view
        return partial

    def _child(self, name: Any) -> Any:
        return self.root._child(name) if isinstance(self.root, View) else ABSENT

    def _children(self) -> Iterator[tuple[Any, Any]]:
        return self.root._children() if isinstance(self.root, View) else iter(())

    def _is_complete(self, path: Sequence[str | int]) -> bool:
        return isinstance(self.root, View) and self.root._is_complete(path)

    def _dump(self, options: Mapping[str, Any], include: Names = None, exclude: Names = None) -> Any:
        return self.root._dump(options) if isinstance(self.root, View) else self.root

    def model_dump(self, **options: Any) -> Any:  # Any: a RootModel dumps its root
        """Return the root as plain data; options as for `Partial.model_dump`."""
        return super().model_dump(**options)

    @property
    def model_fields_set(self) -> set[str]:
        """The root is there, or the partial would not be."""
        return {"root"}

    def _shown(self) -> Iterator[tuple[str, Any]]:
        return iter((("root", self.root),))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__!r} has no field {name!r}")


class _FieldView:
    """Reads one field of a partial."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, partial: Partial[Any] | None, owner: type) -> Any:  # Any: as the field's type
        return self if partial is None else partial._get(self.name)


@functools.lru_cache(maxsize=1024)
def partial_class(model: type) -> type[Partial[Any]]:
    """The partial's class of a model, a RootModel or a dataclass.

    Raises:
        TypeError: `model` is none of these.
    """
    base: type[Partial[Any]]
    names: tuple[str, ...]
    if issubclass(model, RootModel):
        base, names = RootPartial, ("root",)
    elif issubclass(model, BaseModel):
        base, names = Partial, (*model.model_fields, *model.model_computed_fields)
    elif dataclasses.is_dataclass(model):
        base, names = Partial, tuple(field.name for field in dataclasses.fields(model))
    else:
        raise TypeError(f"Partial[...] takes a model or a dataclass, not {model!r}")
    # A field may hide a method of the same name, but not what a view itself stands on.
    shown = [name for name in names if base is Partial and not (name.startswith("_") and hasattr(base, name))]
    told: dict[str, object] = {name: _FieldView(name) for name in shown}
    told |= {"__slots__": (), "__module__": model.__module__, "_names": names, "_model": model}
    told["__doc__"] = f"{model.__name__}, while it is being written."
    return type(f"Partial[{model.__name__}]", (base,), told)
