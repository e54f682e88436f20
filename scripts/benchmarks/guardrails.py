"""What guardrails cost the decoder: CPU microseconds an event, without them and with them.

The bar on them is one of events end to end, and stands with that on observers, in the section `metrics`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from pydantic import BaseModel

from structstream import CallableGuardrail, Guardrail, PersonalData, Secrets, StreamDecoder
from structstream.providers import route

from .documents import DELTA, Records, deltas, records
from .measure import interleaved, ratio
from .report import Section, Table

if TYPE_CHECKING:
    from .options import Options

__all__ = ["run"]

SIZE = 64 << 10
OFF, ON = "off", "personal data and secrets"
CASES: dict[str, Sequence[Guardrail]] = {
    OFF: (),
    "personal data": (PersonalData(),),
    ON: (PersonalData(), Secrets()),
    "and a function for each sentence": (PersonalData(), Secrets(), CallableGuardrail(lambda text: True, name="yes")),
}
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
PROSE = (
    "The engine weaves algebraic patterns just as the loom weaves flowers and leaves. It has no pretensions to "
    "originate anything; it can do whatever we know how to order it to perform. In 1843 there were 7 notes, the last "
    "of them the longest. "
)


class Article(BaseModel):
    """Mostly prose."""

    title: str
    paragraphs: list[str]


def run(options: Options) -> Section:
    """Measure prose and records."""
    article = json.dumps({"title": "Notes", "paragraphs": [PROSE * 2] * (SIZE // len(PROSE) // 2)})
    rows: list[Sequence[str | float]] = []
    for name, text, model in (("prose", article, Article), ("records", records(SIZE), Records)):
        events = [*map(frame, deltas(text)), FINISH]
        times = interleaved({case: decoded(events, model, rails) for case, rails in CASES.items()}, options.rounds * 3)
        rows.append([name, *(median(times[case]) / len(events) * 1e6 for case in CASES), ratio(times, ON, OFF)])
    columns = ("document", *CASES, f"{ON}, times off")
    table = Table(f"CPU microseconds an event, {DELTA}-character deltas, a snapshot at each", columns, rows)
    notes = ["Records hold an address, a number with 17 digits and five other numbers in every 400 characters."]
    return Section("guardrails", "Guardrails", [table], [], notes)


def decoded(events: Sequence[bytes], model: type[BaseModel], rails: Sequence[Guardrail]) -> Callable[[], None]:
    """A whole stream, each step looked at."""

    def once() -> None:
        decoder = StreamDecoder(model, route("gpt-4o").provider.decoder(), guardrails=rails)
        for event in events:
            for response in decoder.feed(event):
                response.partial_result  # noqa: B018  # made when looked at
        decoder.finish().result  # noqa: B018  # raises where it failed

    return once


def frame(piece: str) -> bytes:
    """Return a delta as OpenAI sends it, with all that it tells every time."""
    choice = {"index": 0, "delta": {"content": piece}, "logprobs": None, "finish_reason": None}
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [choice],
    }
    return b"data: " + json.dumps(event).encode() + b"\n\n"
