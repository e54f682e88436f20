"""What is wrong with the cassettes of a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from structstream.testing.cassettes import CassetteError, Problem, lint

KEY = "sk-planted-0123456789abcdefghij"


def written(path: Path, *, uri: str = "https://x.invalid/v1", headers: Any = None, **response: Any) -> Path:
    whole = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "data: 1\n\n"}} | response
    request = {"method": "POST", "uri": uri, "body": "{}", "headers": headers or {}}
    path.write_text(yaml.safe_dump({"interactions": [{"request": request, "response": whole}], "version": 1}))
    return path


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"body": {"string": f"data: {KEY}\n\n"}}, "interaction 0: a secret stands in response.body.string: revoke it"),
        ({"uri": f"https://x.invalid/v1?q={KEY}"}, "a secret stands in request.uri"),
        ({"headers": {"X-Mine": [KEY]}}, "a secret stands in request.headers.X-Mine"),
        ({"headers": {"X-Api-Key": ["abc123"]}}, "header X-Api-Key may hold a secret: drop it with"),
        ({"uri": "https://x.invalid/v1?key=abc123"}, "query parameter key may hold a secret"),
        ({"body": {"string": ""}}, "the answer has no body: record it again"),
        ({"structstream": {"format": 9}}, "interaction 0: written in format 9"),
        ({"structstream": {"format": 1}}, "interaction 0: chunks and body do not fit"),
        ({"body": {"string": "data: the swordfish\n\n"}}, "a secret stands in response.body.string"),
    ],
)
def test_secrets_and_rot_are_found(tmp_path: Path, what: dict[str, Any], says: str) -> None:
    path = written(tmp_path / "a.yaml", **what)
    (problem,) = lint([path], secrets=["swordfish"])
    assert problem.path == path
    assert says in str(problem)
    assert str(problem).startswith(f"{path}: ")
    assert "planted" not in str(problem)


def test_a_clean_cassette_has_no_problem(tmp_path: Path) -> None:
    headers = {"Authorization": ["DUMMY"], "x-request-id": ["r1"]}
    written(tmp_path / "a.yaml", headers=headers)
    assert lint([tmp_path]) == []


def test_folders_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    torn = tmp_path / "deep" / "torn.yml"
    torn.write_text("interactions: [")
    (tmp_path / "notes.md").write_text("not one")
    (tmp_path / "a.sse").write_bytes(b"data: 1\n\n")
    empty = tmp_path / "empty.yaml"
    empty.write_text("interactions: []\nversion: 1\n")
    found = lint([tmp_path])
    assert [problem.path for problem in found] == [torn, empty]
    assert "cannot be read: " in found[0].what
    assert found[1] == Problem(empty, "holds no interaction: delete it, or record it again")


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="there is no cassette"):
        lint([tmp_path / "none.yaml"])
