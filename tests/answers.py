"""What an answer says, summed up, and whether two say the same: for the tests of all dialects."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from structstream.events import (
    Failed,
    Finished,
    ProviderEvent,
    RefusalDelta,
    Started,
    StreamEnd,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReported,
)
from structstream.response import Usage

__all__ = ["Answer", "assert_same", "is_json"]


@dataclass
class Answer:
    """What an answer says, summed up."""

    text: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    thinking: str = ""
    refusal: str = ""
    arguments: dict[tuple[int, int], str] = field(default_factory=lambda: defaultdict(str))
    names: dict[tuple[int, int], str] = field(default_factory=lambda: defaultdict(str))
    finishes: list[str] = field(default_factory=list)
    usage: Usage | None = None
    errors: list[str] = field(default_factory=list)
    ended: bool = False
    started: list[Started] = field(default_factory=list)

    @classmethod
    def of(cls, events: Sequence[ProviderEvent]) -> Answer:
        answer = cls()
        for event in events:
            match event:
                case TextDelta(text, choice):
                    answer.text[choice] += text
                case ThinkingDelta(text):
                    answer.thinking += text
                case RefusalDelta(text):
                    answer.refusal += text
                case ToolDelta(text, call, _, name, choice):
                    answer.arguments[choice, call] += text
                    answer.names[choice, call] += name
                case Finished(_, raw):
                    answer.finishes.append(raw)
                case UsageReported(usage):
                    answer.usage = usage
                case Failed(error):
                    answer.errors.append(type(error).__name__)
                case Started():
                    answer.started.append(event)
                case StreamEnd():
                    answer.ended = True
        return answer


def assert_same(found: Sequence[ProviderEvent], expected: Sequence[ProviderEvent]) -> None:
    """Errors are compared by class and sentence: two of them are never equal."""

    def comparable(events: Sequence[ProviderEvent]) -> list[object]:
        return [(type(one.error), str(one.error)) if isinstance(one, Failed) else one for one in events]

    assert comparable(found) == comparable(expected)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
