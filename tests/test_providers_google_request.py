from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from structstream.errors import ConfigurationError
from structstream.providers import ROUTES, ConcreteMode, ProviderSpec, route
from structstream.providers.google_request import body_of, function_name, path_of
from structstream.providers.schema import instruction, model_schema
from structstream.request import HTTPRequest, StreamingStructuredRequest

JSON = Any  # Any: JSON

PNG = b"\x89PNG\r\n\x1a\n" + bytes(4)
PNG_BASE64 = base64.b64encode(PNG).decode()


class Trip(BaseModel):
    """Where to go."""

    city: str
    days: int = 1


class Node(BaseModel):
    children: list[Node]


def request(**more: JSON) -> StreamingStructuredRequest[Any]:  # Any: any type
    more.setdefault("response_model", Trip)
    more.setdefault("prompt", None if "messages" in more else "Where?")
    return StreamingStructuredRequest(model="gemini-2.5-flash", **more)


def body(mode: ConcreteMode = "native", **more: JSON) -> JSON:
    return body_of(request(**more), ROUTES["google"], mode)


def contents(*messages: JSON) -> JSON:
    return body("tool", messages=messages)["contents"]


def encoded(**more: JSON) -> HTTPRequest:
    asked = request(**more)
    return route(asked.model).encode(asked)


def test_native() -> None:
    assert body() == {
        "contents": [{"role": "user", "parts": [{"text": "Where?"}]}],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {
                "title": "Trip",
                "description": "Where to go.",
                "type": "object",
                "properties": {
                    "city": {"title": "City", "type": "string"},
                    "days": {"title": "Days", "type": "integer"},
                },
                "required": ["city"],
            },
        },
    }


def test_tool() -> None:
    asked = body("tool")
    [function] = asked["tools"][0]["functionDeclarations"]
    assert (function["name"], function["description"]) == ("Trip", "Where to go.")
    assert function["parametersJsonSchema"] == body()["generationConfig"]["responseJsonSchema"]
    assert asked["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["Trip"]}}
    assert "generationConfig" not in asked


def test_prompted() -> None:
    asked = body("prompted", system="Be brief.")
    told = instruction(model_schema(Trip, "google"))
    assert asked["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": told}]}
    assert asked.keys() == {"contents", "systemInstruction"}


def test_a_function_begins_with_a_letter() -> None:
    assert function_name(model_schema(type("3D", (BaseModel,), {}))) == "_3D"
    assert function_name(model_schema(list[int])) == "list"


def test_a_schema_that_cannot_be_said_is_refused_in_native_mode_and_sent_plain_in_a_tool() -> None:
    with pytest.raises(ConfigurationError, match=r"google cannot hold .* Node .*stands within itself.*mode='auto'"):
        body(response_model=Node)
    [function] = body("tool", response_model=Node)["tools"][0]["functionDeclarations"]
    assert function["parametersJsonSchema"] == model_schema(Node).plain
    assert route("gemini-x").mode(request(response_model=Node)) == "tool"
    own = ProviderSpec(name="own", dialect="google", strict_form="google", any_schema=True)
    assert body_of(request(response_model=Node), own, "native")["generationConfig"]["responseJsonSchema"]


def test_old_models_are_prompted() -> None:
    assert route("gemini-1.5-pro").mode(request()) == "prompted"
    assert route("gemini-2.5-pro").mode(request()) == "native"


def test_settings() -> None:
    config = body("prompted", temperature=0.5, max_tokens=9, stop="END", seed=3)["generationConfig"]
    assert config == {"temperature": 0.5, "maxOutputTokens": 9, "stopSequences": ["END"], "seed": 3}
    assert body("prompted", stop=("a", "b"))["generationConfig"] == {"stopSequences": ["a", "b"]}


def test_what_the_caller_adds_is_joined_with_ours_and_wins() -> None:
    thinking = {"thinkingBudget": 1024, "includeThoughts": True}
    extra = {
        "generationConfig": {"thinkingConfig": thinking, "temperature": 1},
        "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}},
        "safetySettings": [{"category": "c"}],
    }
    asked = body("tool", temperature=0.5, max_tokens=5, extra=extra)
    assert asked["generationConfig"] == {"temperature": 1, "maxOutputTokens": 5, "thinkingConfig": thinking}
    assert asked["toolConfig"]["functionCallingConfig"].keys() == {
        *("mode", "allowedFunctionNames", "streamFunctionCallArguments")
    }
    assert asked["safetySettings"] == [{"category": "c"}]


def test_roles() -> None:
    said = [("system", "a"), ("user", "b"), ("user", "c"), ("assistant", "d"), ("developer", "e"), ("user", "f")]
    asked = body(messages=[{"role": role, "content": text} for role, text in said])
    assert asked["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "e"}]}
    assert [(one["role"], [part["text"] for part in one["parts"]]) for one in asked["contents"]] == [
        ("user", ["b", "c"]),
        ("model", ["d"]),
        ("user", ["f"]),
    ]
    with pytest.raises(ConfigurationError, match="at least one message"):
        body(messages=[{"role": "system", "content": "a"}])


@pytest.mark.parametrize(
    ("part", "native"),
    [
        ({"type": "text", "text": "a"}, {"text": "a"}),
        ("a", {"text": "a"}),
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png?b=c", "detail": "low"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png?b=c"}},
        ),
        ({"type": "image_url", "image_url": {"url": "gs://b/a"}}, {"fileData": {"fileUri": "gs://b/a"}}),
        ({"type": "image_url", "image_url": PNG}, {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}),
        (
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklG"}},
            {"inlineData": {"mimeType": "image/webp", "data": "UklG"}},
        ),
        ({"inlineData": {"mimeType": "audio/wav", "data": ""}}, {"inlineData": {"mimeType": "audio/wav", "data": ""}}),
        ({"fileData": {"fileUri": "u"}, "videoMetadata": {}}, {"fileData": {"fileUri": "u"}, "videoMetadata": {}}),
    ],
)
def test_parts(part: JSON, native: JSON) -> None:
    assert contents({"role": "user", "content": [part]}) == [{"role": "user", "parts": [native]}]


def test_a_part_that_gemini_has_no_word_for_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not type='input_audio'"):
        contents({"role": "user", "content": [{"type": "input_audio"}]})


def test_tool_calls_of_earlier_answers() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    assert contents(
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": '{"b": 2}'},
        {"role": "tool", "name": "g", "content": "text"},
    )[1:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"b": 2}}},
                {"functionResponse": {"name": "g", "response": {"result": "text"}}},
            ],
        },
    ]
    broken = [{"id": "1", "function": {"name": "f", "arguments": "{"}}]
    with pytest.raises(ConfigurationError, match="no JSON object: messages"):
        contents({"role": "assistant", "content": None, "tool_calls": broken})
    with pytest.raises(ConfigurationError, match="name of the tool"):
        contents({"role": "tool", "tool_call_id": "2", "content": "x"})


def test_the_call() -> None:
    streamed, whole = encoded(headers={"X-Mine": "1"}), encoded(enable_streaming=False)
    assert (streamed.method, streamed.path) == ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    assert streamed.headers == {"content-type": "application/json", "accept": "text/event-stream", "x-mine": "1"}
    assert whole.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert whole.headers["accept"] == "application/json"
    assert streamed.body == whole.body
    row = replace(ROUTES["google"], name="relay", asks_for_events=False)
    request = StreamingStructuredRequest(response_model=Trip, model="relay/gemini-x", prompt="Where to?")
    relayed = route(request.model, {"relay": row}).encode(request)
    assert relayed.path == "/v1beta/models/gemini-x:streamGenerateContent"
    assert relayed.headers["accept"] == "application/json"
    assert path_of("tunedModels/a b?", stream=False, events=False) == "/v1beta/tunedModels/a%20b%3F:generateContent"
