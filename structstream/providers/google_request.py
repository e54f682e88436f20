"""What Gemini is asked: a request as the body of ``generateContent`` (ai.google.dev/api/generate-content)."""

from __future__ import annotations

import json
from mimetypes import guess_type
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from structstream.errors import ConfigurationError, ProtocolError

from .base import parse_object
from .content import image_of, text_of
from .schema import instruction, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.request import Message, StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec
    from .schema import ModelSchema

__all__ = ["body_of", "function_name", "path_of"]

T = TypeVar("T")

_Body = dict[str, "JSONValue"]

# Callers write OpenAI's roles; all that is no row is the user's.
_ROLES: Mapping[str, str] = {"assistant": "model", "model": "model"}
_SYSTEM = ("system", "developer")


def path_of(model: str, *, stream: bool, events: bool) -> str:
    """Return the path of the call.

    Args:
        model: as the provider calls it.
        stream: whether the answer is to come as it is written.
        events: and that as events, instead of as one JSON array.

    >>> path_of("gemini-2.5-flash", stream=True, events=True)
    '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse'
    """
    resource = quote(model if "/" in model else f"models/{model}", safe="/")
    method = "streamGenerateContent" if stream else "generateContent"
    return f"/v1beta/{resource}:{method}" + ("?alt=sse" if events else "")


def body_of(request: StreamingStructuredRequest[T], spec: ProviderSpec, mode: ConcreteMode) -> _Body:
    """Return the body of the call.

    Raises:
        ConfigurationError: the mode cannot hold the model to the schema, or a message cannot be said.
    """
    schema = schema_of(request, spec.strict_form)
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    asked = {
        "temperature": request.temperature,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": None if stop is None else list(stop),
        "seed": request.seed,
        "responseLogprobs": request.logprobs or None,
    }
    body: _Body = {
        "contents": _contents(request.conversation),
        "generationConfig": {name: value for name, value in asked.items() if value is not None},
    }
    system = [part for message in request.conversation if message["role"] in _SYSTEM for part in _parts(message)]
    if mode == "prompted":
        system.append({"text": instruction(schema)})
    if system:
        body["systemInstruction"] = {"parts": system}
    if mode != "prompted":
        _MODES[mode](spec, schema, body)
    merged = _merged(body, request.extra)
    return (
        merged if merged["generationConfig"] else {name: merged[name] for name in merged if name != "generationConfig"}
    )


def function_name(schema: ModelSchema) -> str:
    """Return the name of the function in ``tool`` mode: that of the model, which here begins with a letter or ``_``."""
    return schema.name if schema.name[0].isalpha() else f"_{schema.name}"


def _native(spec: ProviderSpec, schema: ModelSchema, body: _Body) -> None:
    if schema.strict is None and not spec.any_schema:
        raise ConfigurationError(
            f"{spec.name} cannot hold a model to {schema.name} in mode='native': its schemas cannot say "
            f"{schema.reason}; choose mode='auto', 'tool' or 'prompted'"
        )
    shape = {"responseMimeType": "application/json", "responseJsonSchema": schema.strict or schema.plain}
    body["generationConfig"].update(shape)


def _tool(_spec: ProviderSpec, schema: ModelSchema, body: _Body) -> None:
    name = function_name(schema)
    function = {
        "name": name,
        "description": schema.plain.get("description") or "Gives the answer.",
        "parametersJsonSchema": schema.strict or schema.plain,
    }
    body["tools"] = [{"functionDeclarations": [function]}]
    body["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}


_MODES: Mapping[ConcreteMode, Callable[[ProviderSpec, ModelSchema, _Body], None]] = {"native": _native, "tool": _tool}


def _merged(body: _Body, extra: Mapping[str, JSONValue]) -> _Body:
    """The body with what the caller adds; objects such as ``generationConfig`` are joined, all else is replaced."""
    merged = dict(body)
    for name, value in extra.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _contents(conversation: Sequence[Message]) -> list[_Body]:
    """The messages, system ones apart; those of one role in a row become one, as the roles have to take turns."""
    contents: list[_Body] = []
    names: dict[str, str] = {}  # of the functions, by the ids of their calls
    for message in conversation:
        if message["role"] in _SYSTEM:
            continue
        role = _ROLES.get(message["role"], "user")
        parts = _response(message, names) if message["role"] == "tool" else [*_parts(message), *_calls(message, names)]
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if not contents:
        raise ConfigurationError("messages: Gemini wants at least one message that is no system message")
    return contents


def _parts(message: Message) -> list[_Body]:
    content = message["content"]
    if content is None:  # beside tool calls
        return []
    return [{"text": content}] if isinstance(content, str) else [_part(part) for part in content]


def _part(part: JSONValue) -> _Body:
    if isinstance(part, str):
        return {"text": part}
    if "type" not in part:  # Gemini's own parts have none
        return dict(part)
    if (text := text_of(part)) is not None:
        return {"text": text}
    image = image_of(part)
    if image is None:
        raise ConfigurationError(
            f"messages: Gemini takes text, image_url and its own parts such as inlineData, not type={part['type']!r}"
        )
    if not image.url:
        return {"inlineData": {"mimeType": image.media_type, "data": image.data}}
    kind = guess_type(urlsplit(image.url).path)[0]
    return {"fileData": {**({"mimeType": kind} if kind else {}), "fileUri": image.url}}


def _calls(message: Message, names: dict[str, str]) -> list[_Body]:
    """The tool calls of an earlier answer, as OpenAI writes them."""
    parts = []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        names[call.get("id", "")] = function["name"]
        try:
            arguments = parse_object(function.get("arguments") or "{}", "messages")
        except ProtocolError as problem:
            raise ConfigurationError(f"the arguments of an earlier tool call are no JSON object: {problem}") from None
        parts.append({"functionCall": {"name": function["name"], "args": arguments}})
    return parts


def _response(message: Message, names: Mapping[str, str]) -> list[_Body]:
    """What a tool answered, as OpenAI writes it; Gemini knows it by the function's name and wants an object."""
    content = message["content"]
    try:
        value = json.loads(content)
    except (TypeError, ValueError):
        value = content
    response = value if isinstance(value, dict) else {"result": value}
    name = message.get("name") or names.get(message.get("tool_call_id", ""), "")
    if not name:
        raise ConfigurationError("messages: a tool's answer needs the name of the tool, or its call earlier on")
    return [{"functionResponse": {"name": name, "response": response}}]
