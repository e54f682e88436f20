"""Every recorded body is read by somebody: the table that the run prints counts them all, and how each was decoded."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from structstream.errors import ProtocolError
from structstream.events import Failed, Finished, ProviderEvent, ServerSentEvent, StreamEnd
from structstream.providers import DIALECTS, ProviderSpec
from tests.answers import assert_same
from tests.chunking import cut_at
from tests.corpus import count_bodies, needs_corpus
from tests.recordings import JSON, body_of, framed, recorded

# The folders of the corpus and the dialect that reads each; those of other dialects are read as far as events go.
FOLDERS: dict[str, str | None] = {
    "openai-chat": "openai_chat",
    "other-openai-compatible": "openai_chat",
    "openai-responses": "openai_responses",
    "other-openai-responses-compatible": "openai_responses",
    "anthropic": "anthropic",
    "other-anthropic-compatible": "anthropic",
    "gemini": "google",
    "openai-assistants": None,
    "openai-completions-legacy": None,
    "other-cohere": None,
    "other-generic-sse": None,
}


def by_folder() -> dict[str, list[JSON]]:
    """The tags of each body, by folder."""
    found = defaultdict(list)
    for tags in recorded():
        found[tags["provider"]].append(tags)
    return found


def decoded(dialect: str, events: list[ServerSentEvent]) -> list[ProviderEvent]:
    decoder = DIALECTS[dialect](ProviderSpec(name="test", dialect=dialect)).decoder()
    return [said for event in events for said in decoder.feed(event)] + decoder.close()


def how(said: list[ProviderEvent]) -> str:
    """How a body was decoded, in one word."""
    if any(isinstance(event, Failed) for event in said):
        return "failed"
    if any(isinstance(event, Finished) for event in said):
        return "finished"
    return "ended" if any(isinstance(event, StreamEnd) for event in said) else "broken off"


def tried(dialect: str, events: list[ServerSentEvent]) -> str:
    """How a body of another dialect was decoded: nothing but events and `ProtocolError` may come of it."""
    try:
        return "heard" if decoded(dialect, events) else "silent"
    except ProtocolError:
        return "refused"


@needs_corpus
def test_every_folder_of_the_corpus_has_its_row() -> None:
    found = by_folder()
    assert set(found) == set(FOLDERS)
    count_bodies("all", "sse", {"bodies": sum(map(len, found.values()))})
    assert sum(map(len, found.values())) == 914


EXPECTED = {
    "openai-chat": {"finished": 241},
    "other-openai-compatible": {"finished": 40, "failed": 3, "ended": 2},
    "openai-responses": {"finished": 234},
    "other-openai-responses-compatible": {"finished": 10},
    "anthropic": {"finished": 231},
    "other-anthropic-compatible": {"finished": 2},
    "gemini": {"finished": 103, "broken off": 3},
}


@needs_corpus
@pytest.mark.parametrize("folder", [folder for folder, dialect in FOLDERS.items() if dialect is not None])
def test_each_body_is_read_by_its_dialect_the_same_in_any_cut(folder: str) -> None:
    dialect = FOLDERS[folder]
    assert dialect is not None
    counts: Counter[str] = Counter()
    for tags in recorded(folder):
        body = body_of(tags)
        said = decoded(dialect, framed([body]))
        rng = random.Random(tags["file"])
        assert_same(decoded(dialect, framed(cut_at(body, rng.sample(range(1, len(body)), len(body) // 50)))), said)
        word = how(said)
        assert (word == "failed") == tags["has_error_event"], tags["file"]
        assert (word == "finished") == (bool(tags["finish_reasons"]) and word != "failed"), tags["file"]
        counts[word] += 1
    count_bodies(dialect, folder, counts)
    assert counts == EXPECTED[folder]


@needs_corpus
@pytest.mark.parametrize("folder", [folder for folder, dialect in FOLDERS.items() if dialect is None])
def test_bodies_of_other_dialects_are_read_event_by_event_and_break_no_decoder(folder: str) -> None:
    counts: Counter[str] = Counter()
    for tags in recorded(folder):
        body = body_of(tags)
        events = framed([body])
        assert len(events) == tags["n_events"], tags["file"]
        assert framed(cut_at(body, range(1, len(body)))) == events, tags["file"]
        counts["bodies"] += 1
        counts["events"] += len(events)
        for dialect in DIALECTS:
            counts[f"{tried(dialect, events)} as {dialect}"] += 1
    count_bodies("none of ours", folder, counts)
    assert counts["bodies"] == sum(count for what, count in counts.items() if " as openai_chat" in what)


@needs_corpus
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_that_is_fed_with_another_gives_events_or_a_protocol_error(dialect: str) -> None:
    counts: Counter[str] = Counter()
    for folder, own in FOLDERS.items():
        for tags in recorded(folder)[::4] if own not in (None, dialect) else ():
            counts[tried(dialect, framed([body_of(tags)]))] += 1
    assert sum(counts.values()) > 100
