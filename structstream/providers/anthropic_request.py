"""The body of a request in Anthropic's Messages dialect (platform.claude.com, "Messages")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from jiter import from_json

from structstream.errors import ConfigurationError

from .content import image_of, text_of
from .schema import instruction, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.request import Message, StreamingStructuredRequest

    from .base import ConcreteMode, JSONValue, ProviderSpec

    _Body = dict[str, JSONValue]

__all__ = ["body_of"]

T = TypeVar("T")

# The bound of an answer must be told. The largest that each family takes, less where it is larger than anyone needs.
_MAX_TOKENS: Sequence[tuple[str, int]] = (
    (r"claude-(?:instant|2|3-(?:opus|sonnet|haiku))", 4096),
    (r"claude-3-5", 8192),
    (r"claude-", 32_000),
    (r"", 8192),
)

# These refuse a request that forces a tool.
_UNFORCED = re.compile(r"claude-(?:fable|mythos)-")


def body_of(
    spec: ProviderSpec, request: StreamingStructuredRequest[T], *, model: str, mode: ConcreteMode
) -> dict[str, JSONValue]:
    """Return the body that asks `model` for what `request` wants.

    Args:
        spec: what is known about the provider.
        request: what the caller asks for. Its ``extra`` may hold ``thinking``, whose budget is added to the default of
            ``max_tokens``, and an ``output_config``, which is joined with ours. The dialect has no seed: none is sent.
        model: the model as the provider calls it.
        mode: how the provider is held to the schema.

    Raises:
        ConfigurationError: the dialect cannot say it.
    """
    if request.temperature is not None and request.temperature > 1:
        raise ConfigurationError(f"{spec.name} takes a temperature from 0 to 1, not {request.temperature}")
    draft = _Draft(spec, model, request)
    _MODES[mode](draft)
    stop = [request.stop] if isinstance(request.stop, str) else request.stop and list(request.stop)
    asked = {
        "system": draft.system(),
        "temperature": request.temperature,
        "stop_sequences": stop or None,
        "stream": request.enable_streaming,
    }
    body = draft.body | {name: value for name, value in asked.items() if value is not None} | dict(request.extra)
    if "output_config" in request.extra and "output_config" in draft.body:
        body["output_config"] = draft.body["output_config"] | dict(request.extra["output_config"])
    return body


class _Draft:
    """The body of one request while it is written."""

    def __init__(self, spec: ProviderSpec, model: str, request: StreamingStructuredRequest[T]) -> None:
        self.spec = spec
        self.model = model
        self.streams = request.enable_streaming
        self.schema = schema_of(request, spec.strict_form)
        thinking = request.extra.get("thinking")
        thinking = thinking if isinstance(thinking, dict) and thinking.get("type") == "enabled" else {}
        self.thinks = bool(thinking)
        room = next(most for start, most in _MAX_TOKENS if re.match(start, model)) + thinking.get("budget_tokens", 0)
        self.body: _Body = {"model": model, "max_tokens": request.max_tokens or room, "messages": []}
        self._system: list[_Body] = []
        for message in request.conversation:
            self._add(message)
        if not self.body["messages"]:
            raise ConfigurationError(f"{spec.name} wants a message of the user beside the system's")

    def system(self) -> str | list[_Body] | None:
        """The system prompt, as text unless a block of it carries more, such as a cache mark."""
        if any(block.keys() != {"type", "text"} for block in self._system):
            return self._system
        return "\n\n".join(block["text"] for block in self._system) or None

    def tell(self, text: str) -> None:
        """Add to the system prompt."""
        self._system.append({"type": "text", "text": text})

    def _add(self, message: Message) -> None:
        role, content = message["role"], message["content"]
        if role in ("system", "developer"):
            self._system += _blocks(content)
        elif role == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": _parts(content)}
            self.body["messages"].append({"role": "user", "content": [result]})
        elif message.get("tool_calls"):
            calls = [_tool_use(call) for call in message["tool_calls"]]
            self.body["messages"].append({"role": role, "content": [*_blocks(content), *calls]})
        else:
            self.body["messages"].append({"role": role, "content": _parts(content)})


def _parts(content: JSONValue) -> JSONValue:
    return content if isinstance(content, str) else _blocks(content)


def _blocks(content: JSONValue) -> list[_Body]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content or ()]


def _block(part: Mapping[str, JSONValue]) -> _Body:
    if text_of(part) is not None:
        return {**part, "type": "text"}
    image = image_of(part)
    if image is None:
        return dict(part)  # the dialect's own
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}


def _tool_use(call: Mapping[str, JSONValue]) -> _Body:
    function = call["function"]
    try:
        arguments = from_json((function.get("arguments") or "{}").encode())
    except ValueError as problem:
        raise ConfigurationError(f"messages: the arguments of tool call {call.get('id')!r} are no JSON") from problem
    return {"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": arguments}


def _native(draft: _Draft) -> None:
    schema = draft.schema.native(draft.spec.name, any_schema=draft.spec.any_schema)
    draft.body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}


def _tool(draft: _Draft) -> None:
    spec, schema = draft.spec, draft.schema
    strict = schema.strict if spec.strict_tools else None
    tool: _Body = {
        "name": schema.name,
        "description": schema.plain.get("description") or "Gives the answer.",
        "input_schema": strict or schema.plain,
    }
    if strict is not None:
        tool["strict"] = True
    if draft.streams:
        tool["eager_input_streaming"] = True  # else each member of the arguments comes in one piece
    choice: _Body = {"type": "tool", "name": schema.name} if spec.tool_choice == "named" else {"type": "any"}
    if draft.thinks or _UNFORCED.match(draft.model):  # a budget for thinking and a forced tool exclude one another
        choice = {"type": "auto"}
        draft.tell(f"Give your answer by calling the tool {schema.name}, once, and with nothing else.")
    draft.body["tools"] = [tool]
    draft.body["tool_choice"] = {**choice, "disable_parallel_tool_use": True}


def _prompted(draft: _Draft) -> None:
    draft.tell(instruction(draft.schema))


_MODES: Mapping[ConcreteMode, Callable[[_Draft], None]] = {"native": _native, "tool": _tool, "prompted": _prompted}
