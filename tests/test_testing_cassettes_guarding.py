"""What guardrails keep back does not get into a cassette, in whatever pieces it came."""

from __future__ import annotations

import json

import pytest

from structstream.guardrails import CallableGuardrail, DenyList, PersonalData, Secrets
from structstream.testing.cassettes.errors import CassetteError
from structstream.testing.cassettes.guarding import Guarded
from structstream.testing.cassettes.recording import Chunk, Recording
from tests.test_decoder import DONE, chunk, text

GUARDED = Guarded([PersonalData(on_prompt="allow")])
WHOLE = json.dumps({"note": "Write to ada@example.org now", "other": "and then rest"})


def stream(whole: str, size: int) -> Recording:
    """A recording with a read for each event."""
    events = [text(whole[at : at + size]) for at in range(0, len(whole), size)]
    events += [chunk(None, "stop"), DONE]
    return Recording(chunks=tuple(Chunk(at / 10, event) for at, event in enumerate(events)))


def said(recording: Recording) -> str:
    """The answer's text in a recording."""
    found = [line[6:] for line in recording.body.decode().splitlines() if line.startswith("data: {")]
    return "".join(json.loads(line)["choices"][0]["delta"].get("content") or "" for line in found)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_is_cut_into_deltas_is_taken_out(size: int) -> None:
    heard = stream(WHOLE, size)
    kept = GUARDED.recording(heard)
    assert json.loads(said(kept)) == {"note": "Write to [email] now", "other": "and then rest"}
    assert b"ada" not in kept.body
    assert [each.at for each in kept.chunks] == [each.at for each in heard.chunks]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_where_nothing_is_found_the_bytes_stay(size: int) -> None:
    heard = stream(json.dumps({"note": "Nothing"}), size)
    assert Guarded([]).recording(heard) is heard
    assert said(GUARDED.recording(heard)) == said(heard)


def test_a_datum_that_the_end_has_cut_is_not_kept() -> None:
    heard = stream(WHOLE, 4)
    for stop in range(1, len(heard.body), 3):
        cut = Recording.whole(heard.body[:stop])
        assert b"ada" not in GUARDED.recording(cut).body


def test_texts_beside_the_answer_and_whole_bodies_are_judged() -> None:
    thinking = b"".join(chunk({"reasoning_content": part}) for part in ("of ad", "a@exam", "ple.org"))
    assert b"[email]" in GUARDED.recording(Recording.whole(thinking)).body
    assert b"[email]" in GUARDED.recording(Recording.whole(b'{"error": "no ada@example.org"}')).body
    assert b"[email]" in GUARDED.recording(Recording.whole(b"<p>no ada@example.org</p>")).body
    assert GUARDED.question(b'{"prompt": "ada@example.org"}') == b'{"prompt":"[email]"}'
    assert GUARDED.question(b'{"prompt": "Ada"}') == b'{"prompt": "Ada"}'
    assert GUARDED.headers({"x": "ada@example.org"}) == {"x": "[email]"}


def test_after_a_stop_nothing_is_kept() -> None:
    guarded = Guarded([CallableGuardrail(lambda piece: "ada@" not in piece, unit="field")])
    kept = guarded.recording(stream(WHOLE, 3))
    assert b"ada" not in kept.body
    assert "rest" not in said(kept)


def test_a_guardrail_that_is_awaited_cannot_be_asked() -> None:
    async def check(piece: str) -> bool:
        return True

    with pytest.raises(CassetteError, match="is awaited"):
        Guarded([CallableGuardrail(check)]).recording(stream(WHOLE, 3))


@pytest.mark.parametrize(("name", "wire"), [("args", '{"functionCall": %s}'), ("input", '{"type": "tool_use", %s}')])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_is_json_within_an_event_is_judged_as_json(name: str, wire: str, streamed: bool) -> None:
    document = {"ada@example.org": ["one", {"at": 4111111111111111}, "sk-planted-0123456789abcdefghij"], "note": "two"}
    member = f'"{name}": {json.dumps(document)}'
    event = '{"parts": [' + wire % (f"{{{member}}}" if name == "args" else member) + "]}"
    body = (f"data: {event}\n\n" if streamed else event).encode()
    kept = Guarded([PersonalData(), Secrets()]).recording(Recording.whole(body))
    data = json.loads(kept.body.removeprefix(b"data: "))
    [part] = data["parts"]
    found = part["functionCall"][name] if name == "args" else part[name]
    assert found == {"[email]": ["one", {"at": "[card]"}, "[secret]"], "note": "two"}


def test_an_answer_that_is_json_and_is_stopped_leaves_none() -> None:
    body = b'data: {"args": {"word": "hush"}}\n\n'
    kept = Guarded([DenyList(["hush"])]).recording(Recording.whole(body))
    assert json.loads(kept.body.removeprefix(b"data: ")) == {"args": {}}


def test_json_in_a_question_is_judged_as_json() -> None:
    body = json.dumps({"messages": [{"content": [{"type": "tool_use", "input": {"ada@example.org": 1}}]}]}).encode()
    assert b"ada@" not in Guarded([PersonalData()]).question(body)


@pytest.mark.parametrize("size", [1, 1000])
def test_keys_are_judged_as_texts_but_for_names_of_the_schema(size: int) -> None:
    question = json.dumps({"text": {"format": {"schema": {"properties": {"Ada": {"properties": {"n": {}}}}}}}})
    rail = CallableGuardrail(lambda text: text.replace("Ada", "[name]"), unit="field")
    heard = stream(json.dumps({"Ada": {"by Ada": "of Ada", "n": 1}}), size)
    kept = Guarded([rail], question.encode()).recording(heard)
    assert json.loads(said(kept)) == {"Ada": {"by [name]": "of [name]", "n": 1}}
