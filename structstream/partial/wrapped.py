"""A value within an object of one key: what is asked for where a provider takes objects only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, create_model

from .view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .moment import Moment

__all__ = ["Unwrapped", "unwrap", "unwrapped_path", "wrapper"]


def wrapper(response_model: Any, key: str) -> Any:  # Any: typing constructs are no types
    """The model that holds a `response_model` under `key`, made once per type where the type can be a key."""
    try:
        return _wrapper(response_model, repr(response_model), key)
    except TypeError:
        return _wrapper.__wrapped__(response_model, "", key)


@functools.lru_cache(maxsize=512)
def _wrapper(response_model: Any, spelling: str, key: str) -> type[BaseModel]:  # Any: as above
    fields: dict[str, Any] = {key: (response_model, ...)}  # Any: as above
    return create_model("Wrapped", **fields)


def unwrap(value: Any, key: str) -> Any:  # Any: a wrapper, or a view of an open one
    """What a wrapper holds; None where it holds nothing yet."""
    if value is None or (isinstance(value, View) and value._find(key) is None):
        return None
    return getattr(value, key)


def unwrapped_path(path: str, key: str) -> str | None:
    """A path within what the wrapper holds; None for the wrapper's own.

    >>> unwrapped_path("result[0].name", "result"), unwrapped_path("result.name", "result")
    ('[0].name', 'name')
    """
    return path.removeprefix(key).removeprefix(".") if path else None


class Unwrapped:
    """A moment of a wrapper, told as that of what it holds."""

    __slots__ = ("_key", "_moment")

    def __init__(self, moment: Moment, key: str) -> None:
        self._moment = moment
        self._key = key

    @property
    def begun(self) -> bool:
        """Whether the inner value has begun."""
        return self.snapshot is not None

    @property
    def snapshot(self) -> object:
        """The inner value so far."""
        return unwrap(self._moment.snapshot, self._key)

    @property
    def completed(self) -> Sequence[str]:
        """The paths that closed in this step."""
        return self._inner(self._moment.completed)

    @property
    def changed(self) -> Sequence[str]:
        """The paths that are new or have grown in this step."""
        return self._inner(self._moment.changed)

    @property
    def percent(self) -> float:
        """How much is there, 0 to 99."""
        return self._moment.percent

    def _inner(self, paths: Sequence[str]) -> list[str]:
        return [inner for path in paths if (inner := unwrapped_path(path, self._key)) is not None]
