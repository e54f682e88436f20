"""What earlier answers were like: learned by a service, bounded, and kept in a file where that is asked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from structstream.errors import ConfigurationError
from structstream.history import AnswerHistory
from structstream.partial.schema import shape_of
from structstream.service import StructuredLLMService
from structstream.testing import Script
from tests.edge import PROFILE, Profile, aiohttp_client, request_for, serving, steps_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_service_learns_from_every_answer_of_the_kind() -> None:
    async with serving(script=Script(delta_size=1)) as (service, _):
        errors = []
        for _ in range(2):
            steps = await steps_of(service, request_for(cadence="delta"))
            share = [100 * (at + 1) / len(PROFILE) for at in range(len(PROFILE))]
            found = [step.progress_percent for step in steps[:-1]]
            errors.append(sum(abs(percent - true) for percent, true in zip(found, share, strict=False)) / len(found))
    assert errors[1] < 3 < errors[0]


async def test_what_was_learned_is_there_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    async with serving() as (given, provider):
        client = aiohttp_client(provider.base_url)
        async with StructuredLLMService(client, history=AnswerHistory(path)) as service:
            await service.route_structured(request_for())
        await client.close()
        del given
    again = AnswerHistory(path).of("simulated/gpt-4o", Profile)
    assert again.size == pytest.approx(len(PROFILE))
    assert again.parts["tags"].counts == (3,)
    assert AnswerHistory(path).of("simulated/other", Profile).sizes == ()
    assert AnswerHistory(path).of("simulated/gpt-4o", list[int]).sizes == ()
    assert b"Ada" not in path.read_bytes()
    assert b"engines" not in path.read_bytes()


def learn(history: AnswerHistory, model: str, text: str = "[1]") -> None:
    history.of(model, list[int]).learn(text, shape_of(list[int]))


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT kind FROM structstream_answers ORDER BY used").fetchall()
    return [str(row[0]).split()[0] for row in rows]


def test_the_longest_unused_kinds_go_in_memory_and_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    history = AnswerHistory(path, kinds=2)
    for model in ("a", "b", "a", "c"):
        learn(history, model)
        history.save()
    assert history.of("b", list[int]).sizes == ()  # it was written before it went, and trimmed when c came
    assert names(path) == ["a", "c"]
    history.save()
    assert names(path) == ["a", "c"]  # nothing new


def test_a_type_that_cannot_be_hashed_or_told_has_a_history_too(tmp_path: Path) -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]  # as some typing constructs

        def __repr__(self) -> str:
            return "Odd"

    odd: Any = Odd()  # Any: no type at all
    history = AnswerHistory(tmp_path / "answers.sqlite")
    assert history.of("m", odd) is history.of("m", odd)
    assert history.of("m", complex) is not history.of("m", odd)


def test_other_tables_of_the_file_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE mine (a INTEGER)")
    history = AnswerHistory(path)
    learn(history, "m")
    history.save()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_a_file_that_breaks_breaks_no_stream(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "answers.sqlite"
    history = AnswerHistory(path)
    learn(history, "m")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE structstream_answers")
    history.save()
    assert "was not written" in caplog.text
    assert history.of("other", int).sizes == ()
    assert "was not read" in caplog.text
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE structstream_answers (kind TEXT PRIMARY KEY, typical TEXT, used INTEGER)")
    history.save()
    assert names(path) == ["m"]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE structstream_answers SET typical = '[1]'")
    assert AnswerHistory(path).of("m", list[int]).sizes == ()


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and long enough to be told from one" * 40)
    with pytest.raises(ConfigurationError, match="the history's file cannot be used"):
        AnswerHistory(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="kinds must be a positive integer"):
        AnswerHistory(kinds=0)
    wrongs: list[dict[str, Any]] = [{"kinds": True}, {"kinds": "x"}, {"path": 5}, {"path": [1]}]
    for wrong in wrongs:
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} must be"):
            AnswerHistory(**wrong)
    AnswerHistory().save()
