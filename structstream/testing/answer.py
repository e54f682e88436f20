"""What the simulated model says to a question, before any fault."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from random import Random
from typing import TYPE_CHECKING

from structstream.events import Finished, Started, StreamEnd, TextDelta, ThinkingDelta, ToolDelta, UsageReported
from structstream.residual import read_open, rest_of, written
from structstream.response import Usage

from .data import generate
from .vocabulary import sentences

if TYPE_CHECKING:
    from structstream.events import ProviderEvent

    from .dialects.base import Question
    from .script import Script

__all__ = ["Document", "answer", "document_for", "rest_of_document"]

Document = str | Callable[["Question"], str]
"""The text of an answer, or what makes it from the question."""


def document_for(question: Question, script: Script, seed: str) -> str:
    """Return the text that answers `question`: JSON by its schema, or prose."""
    if question.schema is None:
        return sentences(Random(seed), 3)
    value = generate(question.schema, seed, items=script.array_items)
    return json.dumps(value, ensure_ascii=False, indent=script.indent)


def rest_of_document(question: Question, document: str) -> str:
    """Return `document`, or of it the rest that `question` asks for, where it goes on with an answer that broke off.

    What is there is read off the model's last message, and what is asked for off the names in the schema.
    """
    asked = (question.schema or {}).get("properties") or {}
    if not (question.answered and asked and all(map(_REST_NAME, asked))):
        return document
    levels = read_open(question.answered).levels(next(iter(asked)).rstrip("0123456789"))
    try:
        rest = rest_of(document, [level if level.name in asked else replace(level, name="") for level in levels])
    except ValueError:
        return document  # it began otherwise: all that such a model can do is to begin again
    return written(rest)


_REST_NAME = re.compile(r"rest_+[0-9]+").fullmatch


def answer(
    question: Question, script: Script, documents: Sequence[str], response_id: str, seed: str
) -> list[ProviderEvent]:
    """Return all that is said: start, deltas, finish, usage, end.

    Args:
        question: what was asked.
        script: how the answer goes.
        documents: the text of each choice.
        response_id: the provider's id of the answer.
        seed: decides the sizes of the deltas where the script leaves them open.
    """
    spoken = [_choice(question, script, text, number, seed) for number, text in enumerate(documents)]
    reasoning = sum(isinstance(event, ThinkingDelta) for events in spoken for event in events)
    output = sum(len(events) - 1 for events in spoken)
    usage = Usage(question.input_tokens, output, reasoning_tokens=reasoning)
    # Choices are written at the same time, as providers do.
    turns = chain.from_iterable(zip_longest(*spoken))
    deltas = [event for event in turns if event is not None]
    return [Started(response_id, question.model), *deltas, UsageReported(usage), StreamEnd()]


def _choice(question: Question, script: Script, text: str, number: int, seed: str) -> list[ProviderEvent]:
    random = Random(f"{seed}/{number}")
    said: list[ProviderEvent] = []
    if question.form == "tool":
        said += [ThinkingDelta(piece, choice=number) for piece in _pieces(script.thinking, script, random)]
        said.append(ToolDelta("", 0, f"call_simulated_{number}", question.tool, number))
        said += [ToolDelta(piece, choice=number) for piece in _pieces(text, script, random)]
    else:
        thinking = script.thinking if script.thinking_form == "field" else ""
        said += [ThinkingDelta(piece, choice=number) for piece in _pieces(thinking, script, random)]
        said += [TextDelta(piece, number) for piece in _pieces(_dressed(text, script), script, random)]
    if question.max_tokens is not None and len(said) > question.max_tokens:
        return [*said[: question.max_tokens], Finished("length", choice=number)]
    # A forced tool ends with "stop", a chosen one with the dialect's word for tool calls.
    chosen = question.form == "tool" and not question.forced
    return [*said, Finished("tool" if chosen else "stop", choice=number)]


def _dressed(text: str, script: Script) -> str:
    if script.fence:
        text = f"```json\n{text}\n```"
    thinking = f"<think>{script.thinking}</think>\n" if script.thinking and script.thinking_form == "tag" else ""
    return f"{thinking}{script.before}{text}{script.after}"


def _pieces(text: str, script: Script, random: Random) -> Iterator[str]:
    if isinstance(script.delta_size, int):
        size = script.delta_size
        yield from (text[at : at + size] for at in range(0, len(text), size))
        return
    at = 0
    while at < len(text):
        size = random.randint(*script.delta_size)
        yield text[at : at + size]
        at += size
