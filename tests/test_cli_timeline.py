"""How a cassette is looked at: its dialect is found, and the time of the recording passes in a moment."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scripts.recording.matrix import CASES, MODELS, Case
from structstream.cli.timeline import replay, request_of, timeline
from structstream.errors import ConfigurationError
from structstream.testing.cassettes import Interaction, Recording, exact, read_interactions

pytestmark = pytest.mark.anyio


def interaction(url: str, body: bytes, asked: bytes = b"", status: int = 200) -> Interaction:
    return Interaction(method="POST", url=url, body=asked, status=status, headers={}, recording=Recording.whole(body))


LOOKED_AT = [case for case in CASES if case.mode == "tool" or case.name == "complete"]


@pytest.mark.parametrize("case", LOOKED_AT, ids=lambda case: f"{case.dialect}-{case.mode}-{case.name}")
async def test_a_cassette_of_the_folder_has_a_timeline(case: Case) -> None:
    (kept,) = read_interactions(case.path)
    lines = await timeline(0, kept)
    assert lines[0].endswith(f"({MODELS[case.dialect]})")
    assert sum("  read " in line for line in lines) == len(kept.recording.chunks)
    times = [float(line.split()[0]) for line in lines[1:] if line.split()[0].replace(".", "").isdigit()]
    assert times == sorted(times)
    if case.name == "complete":
        assert any("%  " in line for line in lines)
        assert lines[-1].startswith('   complete: {"name": "Zürich"')
    if case.name == "cancelled":
        assert lines[-1].endswith("cancelled")


@pytest.mark.parametrize("dialect", MODELS)
def test_the_dialect_of_a_bare_stream_is_known_by_what_it_says(dialect: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.dialect == dialect and case.name == "complete")
    (kept,) = read_interactions(case.path)
    bare = interaction("", kept.recording.body)
    assert request_of(bare).model.partition("/")[0] == MODELS[dialect].partition("/")[0]


@pytest.mark.parametrize(
    ("url", "asked", "model"),
    [
        ("https://x/v1/chat/completions?api-version=1", b'{"model": "m"}', "openai/m"),
        ("https://x/v1/messages", b"", "anthropic/recorded"),
        ("https://x/v1/messages", b"[]", "anthropic/recorded"),
        ("https://x/v1beta/models/gemini:generateContent", b"{}", "google/gemini"),
    ],
)
def test_the_model_is_that_which_was_asked(url: str, asked: bytes, model: str) -> None:
    assert request_of(interaction(url, b"data: {}\n\n", asked)).model == model


@pytest.mark.parametrize(
    ("body", "status", "streams"), [(b"data: 1\n\n", 200, True), (b" {}", 200, False), (b"{}", 500, True)]
)
def test_a_whole_answer_is_asked_for_as_one(body: bytes, status: int, streams: bool) -> None:
    asked = request_of(interaction("https://x/v1/messages", body, status=status))
    assert asked.enable_streaming == streams


@pytest.mark.parametrize(("url", "what"), [("https://x/v1/embeddings", "https://x/v1/embeddings"), ("", "the stream")])
def test_another_dialect_is_refused(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{what} is of no dialect"):
        request_of(interaction(url, b"data: 1\n\n"))


@pytest.mark.parametrize(("name", "code"), [("complete", 0), ("invalid", 1)])
async def test_the_answers_may_have_a_type(name: str, code: int) -> None:
    case = next(case for case in CASES if case.name == name)
    out = io.StringIO()
    assert await replay(read_interactions(case.path), exact, "scripts.recording.matrix:City", out) == code
    assert f"   {name}: " in out.getvalue()
