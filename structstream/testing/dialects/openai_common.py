"""What OpenAI's two dialects have in common: how a request is checked, errors, headers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .base import BadQuestionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["answered_in", "check_strict", "count_of", "error_body", "headers_of", "texts_of"]


def texts_of(content: object) -> list[str]:
    """Return the texts of a message, whose content is text or a list of parts.

    >>> texts_of([{"type": "text", "text": "a"}, {"type": "image_url"}])
    ['a']
    """
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def answered_in(messages: Sequence[object]) -> str:
    """Return what the model said last in a conversation.

    >>> answered_in([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}])
    'a'
    """
    said = [each for each in messages if isinstance(each, dict) and each.get("role") == "assistant"]
    return "".join(texts_of(said[-1].get("content"))) if said else ""


def count_of(body: Mapping[str, Any], name: str) -> int | None:  # Any: JSON
    """Return the count that a request gives under `name`; None where it gives none.

    Raises:
        BadQuestionError: it is no integer of at least 1.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadQuestionError(
            f"Invalid value for '{name}': expected an integer of at least 1, got {value!r}", param=name
        )
    return value


def check_strict(schema: object, owner: str, param: str) -> None:
    """Refuse, as the provider does, an object in strict mode that is open or has an optional property.

    Args:
        schema: a schema or a list of them.
        owner: whose it is, for the sentence.
        param: the parameter of the request that holds it.

    Raises:
        BadQuestionError: the schema is not in the strict subset.
    """
    if isinstance(schema, list):
        for part in schema:
            check_strict(part, owner, param)
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        start = f"Invalid schema for {owner}: in {schema.get('title', 'the object')}, "
        if schema.get("additionalProperties") is not False:
            raise BadQuestionError(
                start + "'additionalProperties' is required to be supplied and to be false", param=param
            )
        if missing := [name for name in properties if name not in schema.get("required", ())]:
            raise BadQuestionError(
                start
                + f"'required' is required to be an array including every key in properties. Missing {missing[0]!r}.",
                param=param,
                code="invalid_schema",
            )
    for key, part in schema.items():
        if key not in ("enum", "const", "default", "examples", "required"):
            check_strict(list(part.values()) if key in ("properties", "$defs") else part, owner, param)


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
    """Return ``{"error": {...}}`` as the body of an HTTP error.

    >>> error_body(404, "No such model")
    b'{"error": {"message": "No such model", "type": "invalid_request_error", "param": null, "code": null}}'
    """
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


def headers_of(number: int) -> tuple[tuple[str, str], ...]:
    """Return the request id and the rate-limit headers of the answer to request `number`."""
    return (
        ("x-request-id", f"req_simulated_{number}"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", str(max(0, 9999 - number))),
        ("x-ratelimit-reset-requests", "6ms"),
    )
