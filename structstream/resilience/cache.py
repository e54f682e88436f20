"""The cache: whole, valid answers under the exact fingerprint of their request, in one SQLite file.

`AnswerCache` keeps them, in a thread of its own, so that no event loop waits for a disk; `caching` is the layer around
it. A cache never breaks a stream: one that cannot be read or written is as good as an empty one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from structstream.errors import ConfigurationError
from structstream.facts import CacheLooked
from structstream.metrics import CacheStatistics
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage

from . import Rest, flowing

if TYPE_CHECKING:
    from structstream.facts import Tell
    from structstream.policies import CachePolicy
    from structstream.request import StreamingStructuredRequest

    from . import Call, Layer, Parts

__all__ = ["AnswerCache", "Kept", "Replay", "caching", "replayed"]

T = TypeVar("T")

Replay = Callable[["StreamingStructuredRequest[Any]", str], Awaitable[Sequence[StreamingResponse[Any]]]]
"""Gives the steps in which the JSON text of an answer to a request is read, the last with its outcome.

The text is judged by the guardrails of the request that found it, who need not be those of the one that left it.
"""

_logger = logging.getLogger("structstream")

_APPLICATION = 0x53745374  # SQLite's application_id: that the file is ours
_VERSION = 2  # of the tables below, in SQLite's user_version
# What is held is counted as it comes and goes: to count all rows anew takes milliseconds where there are many.
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, model TEXT NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_used ON answers (used, size);
CREATE INDEX IF NOT EXISTS answers_created ON answers (created);
CREATE TABLE IF NOT EXISTS totals (rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals SELECT * FROM (SELECT count(*), coalesce(sum(size), 0) FROM answers)
    WHERE NOT EXISTS (SELECT 1 FROM totals);
CREATE TRIGGER IF NOT EXISTS answers_came AFTER INSERT ON answers BEGIN
    UPDATE totals SET rows = rows + 1, bytes = bytes + NEW.size;
END;
CREATE TRIGGER IF NOT EXISTS answers_went AFTER DELETE ON answers BEGIN
    UPDATE totals SET rows = rows - 1, bytes = bytes - OLD.size;
END;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that is kept.

    Args:
        text: its JSON text.
        model: the model that gave it, as the provider calls it.
        age: seconds since it was kept.
    """

    text: str
    model: str
    age: float = 0.0


class AnswerCache:
    """Keeps answers in an SQLite file, which several processes may share.

    A file that is damaged is set aside, under its name with ``.corrupt`` behind it, and a new one is begun.

    Args:
        policy: the settings.
        today: gives the seconds since 1970.

    Raises:
        ConfigurationError: the file cannot be opened, is a database of something else, or was written by a newer
            version of this library.
    """

    def __init__(self, policy: CachePolicy, *, today: Callable[[], float]) -> None:
        self._policy = policy
        self._today = today
        self._path = policy.path or str(_home() / "structstream" / "answers.sqlite3")
        self._counts = CacheStatistics()
        self._closed = False
        self._lock = Lock()  # what is closed in one thread may be asked in another
        self._said = False  # whether a failure was logged
        self._writing: Future[None] | None = None
        self._database = self._opened()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="structstream-cache")

    async def get(self, key: str, *, stale: bool = False) -> Kept | None:
        """Return the answer that is kept under `key`.

        Args:
            key: tells the request, and who is asked.
            stale: also one whose time is over, as far as the settings allow.
        """
        longest = self._policy.ttl + (self._policy.stale if stale else 0.0)
        return await self._run(lambda: self._get(key, longest), None)

    async def put(self, key: str, kept: Kept) -> None:
        """Keep an answer; those that were not used for longest make room.

        Nobody waits for the disk: it is written behind the caller's back, and what is asked for next comes after it. Of
        answers that come faster than they are written one waits.
        """
        while self._writing is not None and not self._writing.done():
            await asyncio.wait({asyncio.wrap_future(self._writing)})
        now = self._today()
        self._writing = self._begun(lambda: self._put(key, kept, now), None)

    async def statistics(self) -> CacheStatistics:
        """Return what the cache holds, and what it was good for."""
        rows, size = await self._run(self._sizes, (0, 0))
        return replace(self._counts, rows=rows, bytes=size)

    def close(self) -> None:
        """Write what is under way and close the file; from now on the cache is empty and keeps nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._thread.submit(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._database.close()  # the one there is by then

    async def _run(self, work: Callable[[], T], instead: T) -> T:
        begun = self._begun(work, instead)
        return instead if begun is None else await asyncio.wrap_future(begun)

    def _begun(self, work: Callable[[], T], instead: T) -> Future[T] | None:
        """Begin `work` in the cache's thread; None where the cache is closed."""
        with self._lock:
            return None if self._closed else self._thread.submit(self._guarded, work, instead)

    def _guarded(self, work: Callable[[], T], instead: T) -> T:
        """Do `work`; where the file refuses, say so once and give what stands in for it."""
        try:
            with self._database:
                return work()
        except sqlite3.Error as error:
            self._counts = replace(self._counts, failures=self._counts.failures + 1)
            if not self._said:
                self._said = True
                _logger.warning("the cache fails (%s): streams go on without it", type(error).__name__)
            if _is_damaged(error):
                with suppress(sqlite3.Error, OSError, ConfigurationError):
                    self._set_aside(self._database)
                    self._database = self._opened()
            return instead

    def _get(self, key: str, longest: float) -> Kept | None:
        now = self._today()
        row = self._database.execute("SELECT text, model, created FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None or now - row[2] > longest:
            self._counts = replace(self._counts, misses=self._counts.misses + 1)
            return None
        self._database.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
        self._counts = replace(self._counts, hits=self._counts.hits + 1)
        return Kept(row[0], row[1], max(0.0, now - row[2]))

    def _put(self, key: str, kept: Kept, now: float) -> None:
        policy, size = self._policy, len(kept.text.encode("utf-8", "surrogatepass"))
        if size > policy.most_bytes:
            return
        # Not replaced in one statement: SQLite's triggers see no row that is replaced.
        self._database.execute("DELETE FROM answers WHERE key = ?", (key,))
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", (key, kept.text, kept.model, size, now, now)
        )
        oldest = now - policy.ttl - policy.stale
        gone = self._database.execute("DELETE FROM answers WHERE created < ?", (oldest,)).rowcount
        rows, total = self._sizes()
        while rows > policy.most_rows or total > policy.most_bytes:
            worst = self._database.execute("SELECT key, size FROM answers WHERE key != ? ORDER BY used LIMIT 1", (key,))
            old, its_size = worst.fetchone()
            self._database.execute("DELETE FROM answers WHERE key = ?", (old,))
            rows, total, gone = rows - 1, total - its_size, gone + 1
        self._counts = replace(self._counts, stored=self._counts.stored + 1, evicted=self._counts.evicted + gone)

    def _sizes(self) -> tuple[int, int]:
        rows, size = self._database.execute("SELECT rows, bytes FROM totals").fetchone()
        return int(rows), int(size)

    def _opened(self) -> sqlite3.Connection:
        try:
            _make_private(self._path)
            database = sqlite3.connect(self._path, timeout=1.0, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise self._refusal(f"cannot be opened ({error})") from error
        try:
            self._prepare(database)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                database.close()
                raise self._refusal(f"cannot be used ({error})") from error
            self._set_aside(database)
            return self._opened()
        except ConfigurationError:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Make the tables in a new file, or those that an older one lacks, and refuse one that is not ours."""
        with closing(database.cursor()) as cursor:
            (version,) = cursor.execute("PRAGMA user_version").fetchone()
            (application,) = cursor.execute("PRAGMA application_id").fetchone()
            (tables,) = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != _APPLICATION and tables:
                raise self._refusal("is a database of something else")
            if version > _VERSION:
                raise self._refusal("was written by a newer version of this library")
            with suppress(sqlite3.OperationalError):  # another process does so at this moment
                cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")  # a crash may lose the newest answers: it is a cache
            if version < _VERSION:
                mine = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION};"
                cursor.executescript(f"BEGIN IMMEDIATE; {mine} {_TABLES} COMMIT;")

    def _set_aside(self, database: sqlite3.Connection) -> None:
        database.close()
        if self._path == ":memory:":
            return
        Path(self._path).replace(f"{self._path}.corrupt")
        for tail in ("-wal", "-shm"):
            Path(f"{self._path}{tail}").unlink(missing_ok=True)
        _logger.warning("the cache's file is damaged: it was set aside as *.corrupt, and a new one is begun")

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"the cache's file {self._path} {what}; give CachePolicy another path")


def _home() -> Path:
    # XDG Base Directory Specification: an empty variable counts as none.
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _make_private(path: str) -> None:
    """Make a new file that its owner alone can read: it will hold answers."""
    if path == ":memory:":
        return
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _is_damaged(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


async def replayed(
    request: StreamingStructuredRequest[Any], kept: Kept, replay: Replay
) -> Sequence[StreamingResponse[Any]] | None:
    """Return the steps of a kept answer, marked as such; None where it is no longer one, or may not be shown.

    The outcome names one attempt whose provider is ``cache``, and which cost nothing.
    """
    steps = await replay(request, kept.text)
    outcome = steps[-1].outcome if steps else None
    if outcome is None or outcome.kind is not OutcomeKind.COMPLETE:
        return None
    attempt = Attempt(1, "cache", kept.model, "cache", OutcomeKind.COMPLETE, usage=Usage())
    steps[-1].outcome = replace(outcome, attempts=(attempt,), model=kept.model, usage=Usage())
    return steps


def caching(
    *, cache: AnswerCache, replay: Replay, tell: Tell, key_of: Callable[[StreamingStructuredRequest[Any]], str]
) -> Layer:
    """Return the layer that gives a kept answer instead of a call, and keeps what a call brought.

    It is the outermost: a hit passes no limit and costs nothing. Only complete answers are kept, and only those that
    the model gave which was asked for.

    Args:
        cache: that of the service.
        replay: reads a kept text as a stream.
        tell: hears whether there was an answer.
        key_of: what an answer to a request is kept under.
    """

    def layer(call: Call) -> Call:
        @flowing
        async def run(request: StreamingStructuredRequest[Any]) -> Parts:
            key = key_of(request)
            kept = await cache.get(key)
            steps = None if kept is None else await replayed(request, kept, replay)
            tell(CacheLooked(hit=steps is not None))
            if steps is not None:
                for step in steps:
                    yield step
                return
            async with aclosing(call(request)) as fresh:
                last = yield Rest(fresh)
                if _may_be_kept(last.outcome):
                    # Before it is handed over: a caller may leave once he has it.
                    await cache.put(key, Kept(last.outcome.raw_text, last.outcome.attempts[-1].model))
                yield last

        return run

    return layer


def _may_be_kept(outcome: Outcome[Any]) -> bool:
    asked = {(attempt.provider, attempt.model) for attempt in outcome.attempts}
    return outcome.kind is OutcomeKind.COMPLETE and len(asked) == 1
