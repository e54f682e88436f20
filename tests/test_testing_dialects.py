"""The table of simulated dialects: a path, and who answers it."""

from __future__ import annotations

import pytest

from structstream.testing.dialects import DIALECTS, dialect_for


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai_chat"),
        ("/chat/completions", "openai_chat"),
        ("/openai/deployments/mine/chat/completions", "openai_chat"),
        ("/v1/responses", "openai_responses"),
        ("/responses", "openai_responses"),
        ("/openai/responses", "openai_responses"),
        ("/openai/v1/responses", "openai_responses"),
        ("/v1/messages", "anthropic"),
    ],
)
def test_a_path_has_its_dialect(path: str, name: str) -> None:
    dialect = dialect_for(path)
    assert dialect is not None
    assert dialect.name == name


@pytest.mark.parametrize(
    "path", ["/", "/v1/elsewhere", "/v1/chat/completions/more", "/x/v1/chat/completions", "/v1/responses/resp_1"]
)
def test_other_paths_have_none(path: str) -> None:
    assert dialect_for(path) is None


def test_no_two_dialects_share_a_name() -> None:
    names = [dialect.name for _, dialect in DIALECTS]
    assert len(set(names)) == len(names)
