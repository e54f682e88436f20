from __future__ import annotations

from typing import Any

import pytest

from structstream.errors import ConfigurationError, ProtocolError
from structstream.providers import ROUTES, Provider, ProviderDecoder, ProviderSpec, route
from structstream.providers.base import parse_object, parse_object_with_halves


def test_an_object_is_parsed_from_text_and_bytes() -> None:
    assert parse_object('{"a": "ü"}', "p") == parse_object('{"a": "ü"}'.encode(), "p") == {"a": "ü"}


@pytest.mark.parametrize("data", ["", "{", "[1]", "null", '{"a": 1} x', "\ud800"])
def test_anything_else_is_a_protocol_error_that_shows_its_start(data: str) -> None:
    with pytest.raises(ProtocolError, match=r"^p: not ") as caught:
        parse_object(data, "p")
    assert caught.value.provider == "p"
    assert len(caught.value.event) <= 200


def test_half_a_character_is_kept_only_where_there_is_one() -> None:
    assert parse_object_with_halves(r'{"a": "\uDE00"}', "p") == {"a": "\ude00"}
    assert parse_object_with_halves('{"a": 1', "p") is None
    for data in (r'{"a": "\ud83d', r'["\ud83d"]', "[" * 100_000 + r'"\ud83d"'):
        with pytest.raises(ProtocolError):
            parse_object_with_halves(data, "p")


def test_a_key_in_an_event_is_not_shown() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_object("sk-abcdefghijklmnopqrst", "p")
    assert "abcdefgh" not in str(caught.value)


WRONG = [
    ({"name": ""}, "name of a ProviderSpec must be text that is not empty, not str"),
    ({"dialect": 5}, "dialect of a ProviderSpec must be text that is not empty, not int"),
    ({"base_url": None}, "base_url of a ProviderSpec must be text, not NoneType"),
    ({"base_url_env": [5]}, "must be text or a list of texts, not list"),
    ({"key_env": "KEY"}, "key_env of a ProviderSpec must be a list of texts, not str"),
    ({"needs_key": 1}, "needs_key of a ProviderSpec must be True or False, not int"),
    ({"auth": "basic"}, "must be one of bearer, x-api-key, x-goog-api-key, not basic"),
    ({"thinking": []}, "thinking of a ProviderSpec must be one of reasoning_effort, .*None, not list"),
    ({"modes": ["json"]}, "must be a list of native, tool, prompted that is not empty"),
    ({"modes": []}, "must be a list of native, tool, prompted that is not empty"),
    ({"whole_modes": "tool"}, "whole_modes of a ProviderSpec must be a list of native, tool, prompted, not str"),
    ({"modes_of": [("(", ["tool"])]}, "must be a list of pairs of a regular expression and modes"),
    ({"headers": [("x-key", b"secret")]}, "must be a list of pairs of names and values, not list$"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_a_row_that_cannot_work_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        ProviderSpec(**{"name": "mine", **wrong})


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_every_row_gives_a_provider(name: str) -> None:
    provider: Provider = route(f"{name}/m").provider
    decoder: ProviderDecoder = provider.decoder()
    assert provider.spec.name == name
    assert decoder.close() == []
    assert provider.decoder() is not decoder
