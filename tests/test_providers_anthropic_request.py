from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, Field

from structstream.errors import ConfigurationError
from structstream.providers import ROUTES, ConcreteMode, ProviderSpec, route
from structstream.providers.anthropic import Anthropic
from structstream.request import HTTPRequest, StreamingStructuredRequest

JSON = Any  # Any: JSON


class Profile(BaseModel):
    """A person."""

    name: str
    age: int = Field(3, ge=0)


HAIKU = "anthropic/claude-haiku-4-5"


def encode(mode: ConcreteMode, response_model: object = Profile, model: str = HAIKU, **options: JSON) -> HTTPRequest:
    options = {"prompt": None if "messages" in options else "Who?", **options}
    request: StreamingStructuredRequest[object] = StreamingStructuredRequest(
        response_model=response_model,  # type: ignore[arg-type]  # any type
        model=model,
        **options,
    )
    found = route(model)
    return found.provider.encode(request, model=found.model, mode=mode)


def test_native_sends_the_strict_schema() -> None:
    request = encode("native")
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "anthropic-version": "2023-06-01",
    }
    assert request.body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "Who?"}],
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "title": "Profile",
                    "description": "A person.",
                    "properties": {
                        "name": {"type": "string", "title": "Name"},
                        "age": {"type": "integer", "title": "Age", "description": "(minimum=0)"},
                    },
                    "required": ["name", "age"],
                    "additionalProperties": False,
                },
            }
        },
        "stream": True,
    }
    assert json.loads(request.content()) == request.body


def test_native_says_what_it_cannot_say() -> None:
    with pytest.raises(ConfigurationError, match=r"anthropic .* dict .* a mapping with free keys; choose mode='auto'"):
        encode("native", dict[str, int])


def test_native_leaves_room_for_an_effort() -> None:
    body = encode("native", extra={"output_config": {"effort": "low"}}).body
    assert body["output_config"].keys() == {"effort", "format"}
    assert encode("tool", extra={"output_config": {"effort": "low"}}).body["output_config"] == {"effort": "low"}


def test_tool_forces_one_call_that_streams() -> None:
    body = encode("tool", list[int]).body
    assert "output_config" not in body
    assert body["tool_choice"] == {"type": "tool", "name": "list", "disable_parallel_tool_use": True}
    (tool,) = body["tools"]
    assert tool == {
        "name": "list",
        "description": "Gives the answer.",
        "input_schema": {
            "type": "object",
            "properties": {"result": {"type": "array", "items": {"type": "integer"}}},
            "required": ["result"],
        },
        "eager_input_streaming": True,
    }
    assert "eager_input_streaming" not in encode("tool", enable_streaming=False).body["tools"][0]


def test_tool_takes_what_strict_cannot_say() -> None:
    (tool,) = encode("tool", dict[str, int]).body["tools"]
    assert tool["input_schema"] == {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("model", "extra", "choice"),
    [
        (HAIKU, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "auto"),
        (HAIKU, {"thinking": {"type": "adaptive"}}, "tool"),
        (HAIKU, {"thinking": {"type": "disabled"}}, "tool"),
        ("claude-fable-5-1", {}, "auto"),
    ],
)
def test_a_tool_is_asked_for_where_it_cannot_be_forced(model: str, extra: JSON, choice: str) -> None:
    body = encode("tool", model=model, extra=extra, system="Be brief.").body
    assert body["tool_choice"]["type"] == choice
    asks = "Give your answer by calling the tool Profile"
    assert (asks in body["system"]) == (choice == "auto")
    assert body["system"].startswith("Be brief.")


def test_a_provider_that_wants_another_word_for_a_forced_tool() -> None:
    spec = ProviderSpec(name="mine", dialect="anthropic", tool_choice="any", strict_tools=True, strict_form="anthropic")
    request: StreamingStructuredRequest[int] = StreamingStructuredRequest(response_model=int, model="m/x", prompt="?")
    body = Anthropic(spec).encode(request, model="x", mode="tool").body
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["input_schema"]["additionalProperties"] is False
    assert body["max_tokens"] == 8192


def test_prompted_tells_the_schema_in_the_system_prompt() -> None:
    body = encode("prompted", system="Be brief.").body
    assert not {"tools", "tool_choice", "output_config"} & set(body)
    assert body["system"].startswith("Be brief.\n\nAnswer with one JSON value")
    assert '"properties": {"name"' in body["system"]
    assert body["messages"] == [{"role": "user", "content": "Who?"}]


@pytest.mark.parametrize(
    ("model", "extra", "most"),
    [
        ("claude-3-haiku-20240307", {}, 4096),
        ("claude-3-5-sonnet-latest", {}, 8192),
        ("claude-3-7-sonnet-latest", {}, 32_000),
        ("claude-opus-4-8", {}, 32_000),
        ("claude-opus-4-8", {"thinking": {"type": "enabled", "budget_tokens": 5000}}, 37_000),
        ("claude-opus-4-8", {"max_tokens": 9}, 9),
    ],
)
def test_the_bound_of_the_answer_is_always_told(model: str, extra: JSON, most: int) -> None:
    assert encode("prompted", model=model, extra=extra).body["max_tokens"] == most
    assert encode("prompted", model=model, max_tokens=7).body["max_tokens"] == 7


def test_parameters_have_the_dialects_names() -> None:
    body = encode("prompted", temperature=0.5, stop=("a", "b"), seed=7).body
    assert (body["temperature"], body["stop_sequences"]) == (0.5, ["a", "b"])
    assert not {"stop", "seed", "stream_options"} & set(body)
    assert encode("prompted", stop="a").body["stop_sequences"] == ["a"]
    assert "stop_sequences" not in encode("prompted", stop=()).body
    with pytest.raises(ConfigurationError, match=r"a temperature from 0 to 1, not 1\.5"):
        encode("prompted", temperature=1.5)


def test_without_streaming() -> None:
    request = encode("native", enable_streaming=False)
    assert request.body["stream"] is False
    assert request.headers["accept"] == "application/json"


def test_extra_and_headers_win() -> None:
    request = encode(
        "native",
        temperature=1,
        extra={"temperature": 0, "metadata": {"user_id": "x"}},
        headers={"Anthropic-Version": "1"},
    )
    assert (request.body["temperature"], request.body["metadata"]) == (0, {"user_id": "x"})
    assert request.headers["anthropic-version"] == "1"


PNG = b"\x89PNG\r\n\x1a\n"
NATIVE = {"type": "document", "source": {"type": "file", "file_id": "f"}, "cache_control": {"type": "ephemeral"}}


def test_every_role_and_part_has_its_place() -> None:
    messages = [
        {"role": "system", "content": "One."},
        {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "input_image", "image_url": PNG},
                NATIVE,
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": [{"type": "input_text", "text": "So?"}]},
    ]
    body = encode("native", messages=messages).body
    assert body["system"] == "One.\n\nTwo."
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                NATIVE,
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}]},
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": [{"type": "text", "text": "So?"}]},
    ]
    json.loads(encode("native", messages=messages).content())


def test_a_system_prompt_with_marks_stays_in_blocks() -> None:
    marked = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "system", "content": [marked]}, {"role": "user", "content": "Who?"}]
    assert encode("native", messages=messages).body["system"] == [marked]
    blocks = encode("prompted", messages=messages).body["system"]
    assert blocks[0] == marked
    assert blocks[1]["text"].startswith("Answer with one JSON value")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "system", "content": "Be brief."}], "a message of the user"),
        (
            [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}],
                }
            ],
            "tool call 'c' are no JSON",
        ),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": b"BM"}]}], "no PNG, JPEG, GIF or WebP"),
    ],
)
def test_messages_that_cannot_be_sent_are_refused(messages: JSON, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        encode("native", messages=messages)


def test_the_row_says_how_to_reach_it() -> None:
    spec = ROUTES["anthropic"]
    assert (spec.base_url, spec.base_url_env) == ("https://api.anthropic.com", "ANTHROPIC_BASE_URL")
    assert (spec.auth, tuple(spec.key_env)) == ("x-api-key", ("ANTHROPIC_API_KEY",))


def test_a_relay_is_one_row() -> None:
    relay = ProviderSpec(
        name="relay", dialect="anthropic", base_url="http://localhost:3000/router/v2/anthropic", strict_form="anthropic"
    )
    found = route("relay/claude-haiku-4-5", {**ROUTES, "relay": relay})
    assert isinstance(found.provider, Anthropic)
    assert (found.model, found.spec.base_url + "/v1/messages") == (
        "claude-haiku-4-5",
        "http://localhost:3000/router/v2/anthropic/v1/messages",
    )
