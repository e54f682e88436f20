"""Cassettes on the disk: those of vcrpy and its kin are read, torn and foreign ones are told, a new one is whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st
from vcr.persisters.filesystem import CassetteNotFoundError  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]
from vcr.serializers import jsonserializer, yamlserializer  # type: ignore[import-untyped]

from structstream.testing.cassettes import Cassette, CassetteError, SecretFoundError, read_interactions
from structstream.testing.cassettes.file import (
    CassetteFile,
    Interaction,
    check_version,
    serializer_of,
    write_atomically,
)
from structstream.testing.cassettes.scrubbing import Scrubber

URI = "https://api.openai.com/v1/chat/completions"
BODY = b"data: 1\n\ndata: \xc3\xa9\xe2\x80\xa8\n\n"


def interaction(**response: Any) -> dict[str, Any]:
    whole = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"Content-Type": ["text/event-stream"]},
        "body": {"string": BODY.decode()},
    } | response
    return {"request": {"method": "POST", "uri": URI, "body": "{}", "headers": {}}, "response": whole}


def written(path: Path, *interactions: dict[str, Any], version: object = 1) -> Path:
    path.write_text(yaml.safe_dump({"interactions": list(interactions), "version": version}))
    return path


FOREIGN = {
    "vcrpy": interaction(),
    "bytes": interaction(body={"string": BODY}),
    "a header that is no list": interaction(headers={"content-type": "text/event-stream"}),
    "compressed": interaction(
        headers={"content-type": ["text/event-stream"], "Content-Encoding": ["gzip"]},
        body={"string": gzip.compress(BODY)},
    ),
    "vcrpy for httpx, before version 6": {
        "request": {"method": "POST", "uri": URI, "body": "{}", "headers": {}},
        "response": {"status_code": 200, "headers": {"content-type": "text/event-stream"}, "content": BODY.decode()},
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_cassettes_of_others_are_read(tmp_path: Path, name: str) -> None:
    (found,) = read_interactions(written(tmp_path / "a.yaml", FOREIGN[name]))
    assert found.recording.body == BODY
    assert (found.method, found.url, found.body, found.status) == ("POST", URI, b"{}", 200)
    assert found.headers["content-type"] == "text/event-stream"
    assert len(Cassette(tmp_path / "a.yaml").unused) == 1


def test_a_plain_stream_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.sse").write_bytes(BODY)
    (found,) = read_interactions(tmp_path / "a.sse")
    assert (found.url, found.recording.body) == ("", BODY)
    with pytest.raises(CassetteError, match="cannot be read"):
        read_interactions(tmp_path / "b.sse")


TORN = {
    "cut within YAML": (b"interactions:\n- request: {body: 'x\n", "is torn, or no cassette (line 3)"),
    "cut within a body": (b"interactions:\n- request: {}\n  response: {body: ab\n", "is torn, or no cassette (line 4)"),
    "cut between two lines": (b"interactions:\n- request: {}\n  response: {}\n", "is torn: its last line"),
    "cut before the number": (b"interactions: []\nversion: ", "is torn: its last line"),
    "not text": (b"\xff\xfe\x00", "is no UTF-8 text"),
    "another file": (b"name: CI\non: [push]\n", "is no cassette: it has no list of interactions"),
    "text": (b"hello", "is no cassette"),
    "empty": (b"", "is no cassette"),
    "vcrpy 0": (b"- request: {}\n  response: {}\n", "written by a vcrpy before 1.0: run `python -m vcr.migration`"),
    "newer": (b"interactions: []\nversion: 2\n", "is of version 2, and this library reads 1: upgrade"),
    "an object of somebody's": (
        b"interactions:\n- !!python/object:os.system {}\nversion: 1\n", "holds what vcrpy does not load"
    ),
    "no request": (b"interactions:\n- response: {}\nversion: 1\n", "is none of vcrpy's (KeyError): record it again"),
    "no response": (
        b"interactions:\n- request: {method: GET, uri: '', body: '', headers: {}}\n  response: 1\nversion: 1\n",
        "the response is not one of vcrpy's",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TORN)
def test_a_file_that_is_no_whole_cassette_says_what_to_do(tmp_path: Path, name: str) -> None:
    data, says = TORN[name]
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(CassetteError) as caught:
        read_interactions(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(CassetteError):
        Cassette(path)


@given(st.data())
def test_every_cut_of_a_cassette_is_told(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = written(tmp_path_factory.mktemp("torn") / "a.yaml", interaction())
    whole = path.read_bytes().rstrip()
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole) - 1))])
    with pytest.raises(CassetteError, match=r"torn|no cassette"):
        read_interactions(path)


def test_a_body_in_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.yaml", interaction(headers={"content-encoding": ["zstd"]}))
    with pytest.raises(CassetteError, match="compressed in a way that vcrpy does not know"):
        read_interactions(path)


def test_a_cassette_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match=r"there is no cassette .*: record it first"):
        read_interactions(tmp_path / "a.yaml")
    with pytest.raises(CassetteNotFoundError):
        CassetteFile().load_cassette(tmp_path / "a.yaml", yamlserializer)
    with pytest.raises(CassetteError, match="cannot be read"):
        read_interactions(tmp_path)


def cassette(body: bytes, **response: Any) -> dict[str, Any]:
    parts = interaction(body={"string": body}, **response)
    return {"requests": [Request(**parts["request"])], "responses": [parts["response"]]}


@given(st.binary())
def test_every_body_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.yaml"
    given = cassette(body)
    CassetteFile().save_cassette(path, given, yamlserializer)
    assert read_interactions(path)[0].recording.body == body
    assert given["responses"][0]["body"]["string"] == body  # what is still to be played stays bytes


def test_a_secret_keeps_the_file_from_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("as it was")
    file = CassetteFile(Scrubber(["swordfish"]))
    with pytest.raises(SecretFoundError, match=r"interaction 0, response\.headers\.X-Mine") as caught:
        file.save_cassette(path, cassette(b"", headers={"X-Mine": ["swordfish"]}), yamlserializer)
    assert "swordfish" not in str(caught.value)
    assert path.read_text() == "as it was"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "a.yaml"
    write_atomically(path, b"first")
    assert path.read_bytes() == b"first"

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CassetteError, match="cannot be written: No space left on device"):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["a.yaml"]


def test_json_cassettes_are_checked_as_well(tmp_path: Path) -> None:
    assert serializer_of(Path("a.json")) is jsonserializer
    assert serializer_of(Path("a.yml")) is yamlserializer
    check_version(tmp_path, json.dumps({"interactions": [], "version": 1}), jsonserializer)
    with pytest.raises(CassetteError, match="is torn, or no cassette"):
        check_version(tmp_path, '{"interactions": [', jsonserializer)


def test_a_request_without_a_body_has_none() -> None:
    found = Interaction.of(Request("GET", URI, None, {}), interaction()["response"], "here")
    assert (found.body, found.method) == (b"", "GET")
