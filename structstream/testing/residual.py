"""What a simulated model says that is asked for the rest of an answer: the rest of its document."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from structstream.continuation import Rest
from structstream.residual import rest_of, salvage
from structstream.text import parse_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from structstream.residual import Level, Salvage

__all__ = ["rest_of_document"]

_SO_FAR = re.compile(r"<so_far>\n(.*)\n</so_far>", re.DOTALL)
_PLACE = re.compile(r"(The rest of the text|The items|What is still missing) (?:at|of) (?:`(.*)`|the whole answer)")
_KINDS = {"The rest of the text": "text", "The items": "array", "What is still missing": "object"}


def rest_of_document(document: str, body: object, schema: Mapping[str, Any] | None) -> str:  # Any: JSON
    """Return what of `document` a request asks for: all of it, or what is missing where the request shows what stands.

    It is understood as a model would: from the text so far in the messages, and the descriptions in the schema.

    Args:
        document: the whole answer, as JSON text.
        body: of the request, parsed.
        schema: that of the request.
    """
    found = next((match[1] for text in _texts(body) if (match := _SO_FAR.search(text))), None)
    standing = None if found is None else salvage(found, grows=True)
    if found is not None and standing is not None and standing.text is None:
        standing = salvage(f"{found} ", grows=True)  # what stands is whole: a number at its end, too
    if schema is None or standing is None:
        return document
    whole = json.loads(document)
    answer: dict[str, Any] = {}  # Any: JSON
    for name, place in schema.get("properties", {}).items():
        match = _PLACE.search(place.get("description", ""))
        if match is None:
            return document
        steps = parse_path(match[2] or "")
        answer[name] = rest_of(whole, _place(_KINDS[match[1]], name, steps, standing))
    return json.dumps(answer, ensure_ascii=False)


def _place(kind: Any, name: str, steps: list[str | int], standing: Salvage) -> Rest:  # Any: one of three words
    if kind == "text":
        return Rest("text", name, tuple(steps), text=standing.text or "")
    depth = len(steps)
    level: Level = standing.levels[depth]
    is_open = standing.is_open(depth)
    taken = frozenset(level.keys) | ({level.key} if is_open and level.key is not None else set())
    return Rest(kind, name, tuple(steps), taken=taken, count=level.count + is_open)


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, the last one first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in reversed(list(value.values())):
            yield from _texts(item)
    elif isinstance(value, list):
        for item in reversed(value):
            yield from _texts(item)
