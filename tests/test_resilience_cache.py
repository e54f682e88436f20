"""The cache: exact, bounded in time and size, private, and never the reason why a stream breaks."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structstream.errors import ConfigurationError, IncompleteError, TruncatedError
from structstream.facts import CacheLooked
from structstream.metrics import CacheStatistics
from structstream.policies import CachePolicy
from structstream.request import StreamingStructuredRequest
from structstream.resilience.cache import AnswerCache, Kept, caching, replayed
from structstream.response import Attempt, Outcome, OutcomeKind, StreamingResponse, Usage
from tests.policy import REQUEST, Answer, Facts, FakeProvider, Said, drained, outcome_of

pytestmark = pytest.mark.anyio


class Today:
    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def today() -> Today:
    return Today()


Opens = Callable[..., AnswerCache]


@pytest.fixture
def opens(tmp_path: Path, today: Today) -> Iterator[Opens]:
    opened: list[AnswerCache] = []

    def make(**changes: Any) -> AnswerCache:
        policy = CachePolicy(**{"path": str(tmp_path / "answers.sqlite3"), **changes})
        opened.append(AnswerCache(policy, today=today))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


@pytest.mark.parametrize("path", ["file", ":memory:"])
async def test_an_answer_is_found_until_its_time_is_over(opens: Opens, today: Today, path: str) -> None:
    cache = opens(ttl=10, stale=5, **({} if path == "file" else {"path": path}))
    assert await cache.get("a") is None
    await cache.put("a", Kept("[1]", "large"))
    today.now += 10
    assert await cache.get("a") == Kept("[1]", "large", 10)
    assert await cache.get("b") is None
    today.now += 1
    assert await cache.get("a") is None
    assert await cache.get("a", stale=True) == Kept("[1]", "large", 11)
    today.now += 5
    assert await cache.get("a", stale=True) is None


async def test_what_is_kept_outlives_the_process_and_is_shared(opens: Opens) -> None:
    first = opens()
    await first.put("a", Kept("[1]", "large"))
    await first.statistics()  # asked for after it was written
    assert await opens().get("a") == Kept("[1]", "large")


async def test_those_not_used_for_longest_make_room(opens: Opens, today: Today) -> None:
    cache = opens(most_rows=3)
    for key in "abc":
        today.now += 1
        await cache.put(key, Kept(key, "large"))
    today.now += 1
    await cache.get("a")
    today.now += 1
    await cache.put("d", Kept("d", "large"))
    assert [await cache.get(key) is not None for key in "abcd"] == [True, False, True, True]


async def test_the_texts_are_bounded_in_bytes(opens: Opens, today: Today) -> None:
    cache = opens(most_bytes=10)
    await cache.put("huge", Kept("x" * 11, "large"))
    assert (await cache.statistics()).rows == 0
    for at in range(20):
        today.now += 1
        await cache.put(str(at), Kept("äö", "large"))
        assert (await cache.statistics()).bytes <= 10
    assert [await cache.get(str(at)) is not None for at in (17, 18, 19)] == [False, True, True]


async def test_what_can_never_be_given_again_is_deleted(opens: Opens, today: Today) -> None:
    cache = opens(ttl=10, stale=5)
    await cache.put("a", Kept("1", "large"))
    today.now += 16
    await cache.put("b", Kept("2", "large"))
    assert await cache.statistics() == CacheStatistics(rows=1, bytes=1, stored=2, evicted=1)


async def test_it_says_what_it_was_good_for(opens: Opens) -> None:
    cache = opens()
    await cache.put("a", Kept("[1]", "large"))
    for key in "aab":
        await cache.get(key)
    assert await cache.statistics() == CacheStatistics(rows=1, bytes=3, hits=2, misses=1, stored=1)


async def test_the_file_is_its_owners_alone(opens: Opens, tmp_path: Path) -> None:
    cache = opens(path=str(tmp_path / "new" / "answers.sqlite3"))
    await cache.put("a", Kept("[1]", "large"))
    for file in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("given", [True, False])
def test_without_a_path_it_lies_in_the_users_cache_folder(
    given: bool, tmp_path: Path, today: Today, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg") if given else "")
    AnswerCache(CachePolicy(), today=today).close()
    folder = tmp_path / "xdg" if given else tmp_path / ".cache"
    assert (folder / "structstream" / "answers.sqlite3").exists()


async def test_a_file_that_is_none_is_set_aside(opens: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "answers.sqlite3").write_bytes(b"this is no database" * 500)
    with caplog.at_level(logging.WARNING):
        cache = opens()
    assert "set aside" in caplog.text
    await cache.put("a", Kept("[1]", "large"))
    assert await cache.get("a") is not None
    assert (tmp_path / "answers.sqlite3.corrupt").read_bytes().startswith(b"this is no database")


async def test_a_file_that_is_damaged_later_costs_its_answers_and_no_stream(
    opens: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.sqlite3"
    first = opens()
    for at in range(300):
        await first.put(str(at), Kept("x" * 2000, "large"))
    first.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        cache = opens()
        assert await cache.get("7") is None
        await cache.put("7", Kept("[1]", "large"))
        assert await cache.get("7") is not None
    assert (await cache.statistics()).failures == 1
    assert "xxx" not in caplog.text


def test_a_database_of_something_else_is_left_alone(opens: Opens, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is a database of something else; give CachePolicy another path"):
        opens()
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_left_alone(opens: Opens, tmp_path: Path) -> None:
    opens().close()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as other:
        other.execute("PRAGMA user_version = 3")
    with pytest.raises(ConfigurationError, match="newer version"):
        opens()


async def test_a_file_of_an_older_version_is_brought_up_to_this_one(opens: Opens, tmp_path: Path) -> None:
    first = opens()
    for at in range(3):
        await first.put(str(at), Kept("x" * at, "large"))
    first.close()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as older:  # as version 1 was: without what is counted
        older.executescript("DROP TRIGGER answers_came; DROP TRIGGER answers_went; DROP TABLE totals;")
        older.execute("PRAGMA user_version = 1")
    caches = [opens(), opens()]
    assert await caches[0].get("2") is not None
    await caches[1].put("1", Kept("y" * 10, "large"))
    sizes = await caches[1].statistics(), await caches[0].statistics()
    assert [(each.rows, each.bytes) for each in sizes] == [(3, 12), (3, 12)]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.integers(0, 30))))
def test_what_is_counted_is_what_is_there(changes: list[tuple[str, int, int]]) -> None:
    """Law: whatever comes, is replaced, makes room or is too old, the sums are those of all rows."""

    async def changed() -> None:
        today = Today()
        policy = CachePolicy(path=":memory:", most_bytes=100, most_rows=3, ttl=40, stale=0)
        with closing(AnswerCache(policy, today=today)) as cache:
            for key, size, later in changes:
                today.now += later
                await cache.put(key, Kept("ä" * size, "large"))
                counted = await cache.statistics()
                rows = cache._database.execute("SELECT length(CAST(text AS BLOB)) FROM answers").fetchall()
                assert (counted.rows, counted.bytes) == (len(rows), sum(length for (length,) in rows))
                assert counted.bytes <= 100
                assert counted.rows <= 3

    asyncio.run(changed())


def test_two_who_make_the_tables_at_once_count_once(opens: Opens, tmp_path: Path) -> None:
    """Both saw a file without them, and one comes after the other."""
    opens().close()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as seen:
        seen.execute("PRAGMA user_version = 0")
    opens().close()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as after:
        assert after.execute("SELECT rows, bytes FROM totals").fetchall() == [(0, 0)]


async def test_a_cache_that_is_closed_while_an_answer_is_to_be_kept_breaks_nothing(tmp_path: Path) -> None:
    def closes() -> float:
        cache.close()
        return 0.0

    cache = AnswerCache(CachePolicy(path=str(tmp_path / "answers.sqlite3")), today=closes)
    await cache.put("a", Kept("[1]", "large"))
    assert await cache.get("a") is None


async def test_who_keeps_an_answer_waits_for_no_disk_but_behind_another(opens: Opens, tmp_path: Path) -> None:
    cache = opens()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")  # holds the file
        await cache.put("a", Kept("[1]", "large"))
        second = asyncio.ensure_future(cache.put("b", Kept("[2]", "large")))
        await asyncio.sleep(0)
        assert not second.done()
        other.rollback()
    await second
    assert [kept and kept.text for kept in (await cache.get("a"), await cache.get("b"))] == ["[1]", "[2]"]


def test_a_path_that_cannot_be_is_refused(opens: Opens, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        opens(path=str(tmp_path / "file" / "answers.sqlite3"))
    with pytest.raises(ConfigurationError, match="cannot be"):
        opens(path=str(tmp_path))


async def test_a_database_that_refuses_is_as_good_as_an_empty_one(
    opens: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = opens()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite3")) as other:
        other.executescript("DROP TABLE answers; DROP TABLE totals;")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await cache.put("a", Kept("[1]", "large"))
            assert await cache.get("a") is None
    assert caplog.text.count("the cache fails") == 1
    assert await cache.statistics() == CacheStatistics(failures=7)


async def test_a_cache_that_was_closed_is_empty_and_closes_once(opens: Opens) -> None:
    cache = opens()
    await cache.put("a", Kept("[1]", "large"))
    cache.close()
    cache.close()
    assert await cache.get("a") is None


async def test_many_at_once_are_served_one_after_the_other(opens: Opens) -> None:
    caches = [opens(), opens()]
    await asyncio.gather(*(caches[at % 2].put(str(at), Kept(str(at), "large")) for at in range(60)))
    found = await asyncio.gather(*(caches[at % 2].get(str(at)) for at in range(60)))
    assert [kept and kept.text for kept in found] == [str(at) for at in range(60)]


# The layer.


def key_of(request: StreamingStructuredRequest[Any]) -> str:
    return request.fingerprint()


async def replay(request: StreamingStructuredRequest[Any], text: str) -> list[StreamingResponse[Any]]:
    steps: list[StreamingResponse[Any]] = [
        StreamingResponse(Said(text[: at + 2]), [text[at : at + 2]]) for at in range(0, len(text), 2)
    ]
    error = None if text.endswith("]") else IncompleteError("it does not close")
    kind = OutcomeKind.COMPLETE if error is None else OutcomeKind.INCOMPLETE
    return [*steps, StreamingResponse(Said(text), outcome=Outcome(kind, result=text, error=error, raw_text=text))]


async def test_a_second_equal_request_costs_nothing_and_comes_as_a_stream(opens: Opens) -> None:
    provider, facts = FakeProvider(Answer(["[1,", " 2]"], usage=Usage(5, 6))), Facts()
    call = caching(cache=opens(), replay=replay, tell=facts.tell, key_of=key_of)(provider.call)
    first = await drained(call)
    second = await drained(call, replace(REQUEST, headers={"x-trace": "2"}))
    assert outcome_of(first).result == outcome_of(second).result == "[1, 2]"
    assert [step.partial_result for step in second] == ["[1", "[1, ", "[1, 2]", "[1, 2]"]
    assert facts == [CacheLooked(hit=False), CacheLooked(hit=True)]
    outcome = outcome_of(second)
    assert (len(provider.requests), outcome.usage, outcome.model) == (1, Usage(), "large")
    assert [(attempt.provider, attempt.model, attempt.mode) for attempt in outcome.attempts] == [
        ("cache", "large", "cache")
    ]
    await drained(call, replace(REQUEST, temperature=0.5))
    assert len(provider.requests) == 2


async def test_an_answer_is_kept_before_the_caller_has_it(opens: Opens) -> None:
    cache = opens()
    call = caching(cache=cache, replay=replay, tell=Facts().tell, key_of=key_of)(FakeProvider(Answer(["[1]"])).call)
    async with aclosing(call(REQUEST)) as steps:
        async for step in steps:
            if step.is_complete:
                break
    assert await cache.get(REQUEST.fingerprint()) is not None


@pytest.mark.parametrize(
    "answer", [Answer(["[1"], IncompleteError("ended")), Answer(["[1"], TruncatedError("cut")), Answer(["[1]"])]
)
async def test_errors_partials_and_what_another_model_gave_are_not_kept(opens: Opens, answer: Answer) -> None:
    provider, cache = FakeProvider(answer), opens()
    if answer.error is None:
        provider.attempts = [Attempt(0, "other", "small", "native", OutcomeKind.PROVIDER_ERROR)]
    await drained(caching(cache=cache, replay=replay, tell=Facts().tell, key_of=key_of)(provider.call))
    assert (await cache.statistics()).rows == 0


async def test_a_kept_text_that_is_no_answer_any_more_gives_way_to_the_next_one(opens: Opens) -> None:
    cache, facts = opens(), Facts()
    await cache.put(REQUEST.fingerprint(), Kept("[1", "large"))
    provider = FakeProvider(Answer(["[2]"]))
    assert (
        outcome_of(
            await drained(caching(cache=cache, replay=replay, tell=facts.tell, key_of=key_of)(provider.call))
        ).result
        == "[2]"
    )
    assert facts == [CacheLooked(hit=False)]
    kept = await cache.get(REQUEST.fingerprint())
    assert kept is not None
    assert kept.text == "[2]"


async def test_a_replay_without_steps_is_none() -> None:
    async def nothing(request: StreamingStructuredRequest[Any], text: str) -> list[StreamingResponse[Any]]:
        return []

    assert await replayed(REQUEST, Kept("", "large"), nothing) is None
