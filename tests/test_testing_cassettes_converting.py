"""Between our cassettes, plain vcrpy's and event streams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from structstream.errors import ConfigurationError
from structstream.testing import Script, status
from structstream.testing.cassettes import FORMATS, CassetteError, SecretFoundError, convert, read_interactions
from structstream.testing.cassettes.recording import KEY
from tests.edge import request_for, steps_of
from tests.taping import playing, recording

CHAT = "openai_chat/gpt-4o"


@pytest.mark.anyio
async def test_each_form_replays_to_the_same_result(tmp_path: Path) -> None:
    ours, request = tmp_path / "a.yaml", request_for(model=CHAT)
    async with recording(ours, script=Script(tokens_per_second=2000)) as (service, _):
        wanted = await service.route_structured(request)
    plain, stream, back = tmp_path / "b.yaml", tmp_path / "c.sse", tmp_path / "d.yaml"
    assert convert(ours, plain, to="vcrpy") == [plain]
    assert convert(plain, stream) == [stream]
    assert convert(stream, back) == [back]
    for file in (ours, plain, stream, back):
        assert read_interactions(file)[0].recording.body == read_interactions(ours)[0].recording.body
        async with playing(file) as (service, _tape):
            assert await service.route_structured(request) == wanted


def test_a_plain_cassette_has_no_key_of_ours_and_ours_has(tmp_path: Path) -> None:
    (tmp_path / "a.sse").write_bytes(b"data: 1\n\n")
    for form in ("vcrpy", "structstream"):
        convert(tmp_path / "a.sse", tmp_path / "a.yaml", to=form)
        data = yaml.safe_load((tmp_path / "a.yaml").read_text())
        assert (KEY in data["interactions"][0]["response"]) == (form == "structstream")


@pytest.mark.anyio
async def test_several_bodies_become_a_file_each(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    async with recording(path, faults=[status(500), None]) as (service, _):
        for _ in range(2):
            await steps_of(service, request_for(model=CHAT))
    files = convert(path, tmp_path / "out.sse")
    assert [file.name for file in files] == ["out.0.sse", "out.1.sse"]
    assert [file.read_bytes() for file in files] == [each.recording.body for each in read_interactions(path)]


def test_a_cassette_of_another_tool_is_cleaned(tmp_path: Path) -> None:
    key = "sk-planted-0123456789abcdefghij"
    foreign = {
        "request": {
            "method": "POST",
            "uri": f"https://x.invalid/v1/chat/completions?key={key}&alt=sse",
            "body": f'{{"user": "{key} swordfish"}}',
            "headers": {"authorization": [f"Bearer {key}"]},
        },
        "response": {
            "status": {"code": 299, "message": ""},
            "headers": {"set-cookie": [key], "content-type": ["text/event-stream"]},
            "body": {"string": f"data: {key}\n\n"},
        },
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"interactions": [foreign], "version": 1}))
    convert(tmp_path / "a.yaml", tmp_path / "b.yaml", secrets=["swordfish"])
    text = (tmp_path / "b.yaml").read_text()
    assert "planted" not in text
    assert "swordfish" not in text
    (found,) = read_interactions(tmp_path / "b.yaml")
    assert found.url == "https://x.invalid/v1/chat/completions?alt=sse"
    assert found.recording.body == b"data: [redacted]\n\n"
    assert (found.status, found.headers) == (299, {"content-type": "text/event-stream"})


def test_a_form_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=", ".join(FORMATS)):
        convert(tmp_path / "a.yaml", tmp_path / "b.har", to="har")


def test_a_cassette_whose_body_was_edited_becomes_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    (tmp_path / "a.sse").write_bytes(b"data: 1\n\n")
    convert(tmp_path / "a.sse", path)
    path.write_text(path.read_text().replace("data: 1", "data: 100"))
    with pytest.raises(CassetteError, match="convert --to vcrpy"):
        read_interactions(path)
    convert(path, path, to="vcrpy")
    assert read_interactions(path)[0].recording.body == b"data: 100\n\n"


def test_a_secret_in_pieces_is_in_no_plain_stream_either(tmp_path: Path) -> None:
    key = "sk-planted-0123456789abcdefghij"
    pieces = [json.dumps({"choices": [{"index": 0, "delta": {"content": part}}]}) for part in (key[:9], key[9:])]
    (tmp_path / "a.sse").write_text("".join(f"data: {piece}\n\n" for piece in pieces))
    for to in ("sse", "vcrpy", "structstream"):
        with pytest.raises(SecretFoundError):
            convert(tmp_path / "a.sse", tmp_path / "b.file", to=to)
    assert [file.name for file in tmp_path.iterdir()] == ["a.sse"]
