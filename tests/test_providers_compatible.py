from __future__ import annotations

import re
from dataclasses import replace

import pytest

from structstream.providers import DIALECTS, ROUTES, ProviderSpec
from structstream.providers.compatible import COMPATIBLE, RESPONSES

LOCAL = {"vllm", "ollama", "lmstudio"}
FROM_THE_CALLER = {"azure", "simulated"}


@pytest.mark.parametrize("spec", COMPATIBLE, ids=lambda spec: spec.name)
def test_each_row_is_whole(spec: ProviderSpec) -> None:
    assert re.fullmatch(r"[a-z]+", spec.name)
    assert spec.dialect in DIALECTS
    if spec.name in FROM_THE_CALLER:
        assert not spec.base_url
    else:
        assert re.fullmatch(r"http://localhost:\d+/v1" if spec.name in LOCAL else r"https://\S+[^/]", spec.base_url)
    urls = [spec.base_url_env] if isinstance(spec.base_url_env, str) else spec.base_url_env
    for name in (*urls, *spec.key_env):
        assert re.fullmatch(r"[A-Z][A-Z_]+", name)
    assert spec.key_env or not spec.needs_key
    assert spec.needs_key == (spec.name not in LOCAL | {"simulated"})


@pytest.mark.parametrize("spec", COMPATIBLE, ids=lambda spec: spec.name)
def test_modes_stand_strictest_first_and_end_in_prompted(spec: ProviderSpec) -> None:
    for modes in (spec.modes, *(modes for _, modes in spec.modes_of)):
        assert list(modes) == [mode for mode in ("native", "tool", "prompted") if mode in modes]
        assert modes[-1] == "prompted"


def test_no_name_stands_twice() -> None:
    assert len(ROUTES) == len(COMPATIBLE) + len(RESPONSES)


@pytest.mark.parametrize("spec", RESPONSES, ids=lambda spec: spec.name)
def test_over_responses_a_provider_differs_in_its_dialect_only(spec: ProviderSpec) -> None:
    chat = ROUTES[spec.name.removesuffix("-responses")]
    assert chat.dialect == "openai_chat"
    assert replace(spec, name=chat.name, dialect=chat.dialect, thinking=chat.thinking, base_url=chat.base_url) == chat
    assert spec.base_url.startswith(chat.base_url.removesuffix("/v1"))


def test_a_base_url_that_two_rows_share_is_chats_by_default() -> None:
    names = list(ROUTES)
    assert all(names.index(spec.name) < names.index(spec.name.removesuffix("-responses")) for spec in RESPONSES)
