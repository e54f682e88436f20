"""What earlier answers of each kind were like, so that percent means something: in memory, or kept in a file."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import sqlite3
from collections import OrderedDict
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import SchemaError

from .errors import ConfigurationError
from .partial import Typical

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

__all__ = ["AnswerHistory"]

_logger = logging.getLogger("structstream")

_TABLE = "CREATE TABLE IF NOT EXISTS structstream_answers (kind TEXT PRIMARY KEY, typical TEXT NOT NULL, used INTEGER)"
_READ = "SELECT typical FROM structstream_answers WHERE kind = ?"
_NEXT = "SELECT 1 + coalesce(max(used), 0) FROM structstream_answers"
_WRITE = f"INSERT OR REPLACE INTO structstream_answers VALUES (?, ?, ({_NEXT}))"  # noqa: S608  # of constants
_NEWEST = "SELECT kind FROM structstream_answers ORDER BY used DESC LIMIT ?"
_TRIM = f"DELETE FROM structstream_answers WHERE kind NOT IN ({_NEWEST})"  # noqa: S608  # of constants


class AnswerHistory:
    """Lengths and counts of the newest answers, by model and response model; never their text.

    Keys of mappings are not kept, either: of an answer there remain the names of its type's fields, and numbers.

    Args:
        path: an SQLite file, made where there is none; other tables in it are left alone. None keeps all in memory.
        kinds: how many models with their response models are kept; the longest unused ones go first.

    Raises:
        ConfigurationError: the file cannot be opened as a database, or `kinds` is no positive integer.

    Example::

        history = AnswerHistory("answers.sqlite")
        service = StructuredLLMService(history=history)
        ...
        history.save()  # `service.aclose()` does it, too
    """

    def __init__(self, path: str | Path | None = None, *, kinds: int = 256) -> None:
        if not (path is None or isinstance(path, str | os.PathLike)):
            raise ConfigurationError(f"path must be that of a file or None, not {path!r}")
        if type(kinds) is not int or kinds < 1:
            raise ConfigurationError(f"kinds must be a positive integer, not {kinds!r}")
        self._path = path
        self._kinds = kinds
        self._kept: OrderedDict[Hashable, tuple[str, Typical]] = OrderedDict()
        self._saved: dict[str, int] = {}
        if path is not None:
            try:
                with closing(sqlite3.connect(path)) as database, database:
                    database.execute(_TABLE)
            except sqlite3.Error as error:
                raise ConfigurationError(f"the history's file cannot be used: {error}") from error

    def of(self, model: str, response_model: Any) -> Typical:  # Any: all that a TypeAdapter takes
        """Return what answers of `model` for `response_model` were like; it learns of every further one."""
        key: Hashable = (model, _hashable(response_model))
        found = self._kept.get(key)
        if found is None:
            name = "" if self._path is None else f"{model} {_digest(response_model)}"
            found = self._kept[key] = name, self._read(name)
            if len(self._kept) > self._kinds:
                gone, _ = self._kept.popitem(last=False)[1]
                self._saved.pop(gone, None)
        self._kept.move_to_end(key)
        return found[1]

    def _read(self, name: str) -> Typical:
        if self._path is not None:
            try:
                with closing(sqlite3.connect(self._path)) as database:
                    row = database.execute(_READ, (name,)).fetchone()
                if row is not None:
                    return Typical.of_json(json.loads(row[0]))
            except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
                _logger.warning("the history of answers was not read: %s", type(error).__name__)
        return Typical()

    def save(self) -> None:
        """Write what was learned since the last time; nothing where no file was given.

        A file that cannot be written is logged and tried again with the next call: a stream is never worse for it.
        """
        if self._path is None:
            return
        news = [(name, known) for name, known in list(self._kept.values()) if known.answers > self._saved.get(name, 0)]
        rows = [(name, json.dumps(known.as_json())) for name, known in news]
        if not rows:
            return
        try:
            with closing(sqlite3.connect(self._path)) as database, database:
                database.executemany(_WRITE, rows)
                database.execute(_TRIM, (self._kinds,))
        except sqlite3.Error as error:
            _logger.warning("the history of answers was not written: %s", error)
        else:
            self._saved.update({name: known.answers for name, known in news})


def _hashable(response_model: Any) -> Hashable:  # Any: typing constructs are no types
    try:
        hash(response_model)
    except TypeError:
        return repr(response_model)
    return response_model, repr(response_model)


def _digest(response_model: Any) -> str:  # Any: as above
    """What a type is called in the file: the same in every process, and another one once its fields change."""
    try:
        return _cached_digest(response_model)
    except TypeError:
        return _cached_digest.__wrapped__(response_model)


@functools.lru_cache(maxsize=512)
def _cached_digest(response_model: Any) -> str:  # Any: as above
    try:
        told: object = TypeAdapter(response_model).json_schema()
    except (PydanticUserError, SchemaError, NameError):
        told = repr(response_model)
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=repr).encode()).hexdigest()
