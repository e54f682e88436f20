"""Canaries: personal data and keys are planted wherever text comes in, and looked for wherever anything is shown.

Who adds a place where something is told adds it to `TOLD`: a function from the last outcome and its steps to texts.
"""

from __future__ import annotations

import json
import logging
import os
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from structstream.decoder import StreamDecoder
from structstream.facts import Fact
from structstream.guardrails import Guardrail, MaxLength, PersonalData, Secrets
from structstream.progress import ProgressEvent
from structstream.providers import route
from structstream.response import Outcome, StreamingResponse
from structstream.service import StructuredLLMService
from structstream.testing.faults import Fault, in_band_error, length, refusal, status
from structstream.testing.script import Script
from tests.edge import BARE, aiohttp_client, request_for, serving
from tests.rawserver import EVENT_STREAM, http_head, raw_server
from tests.test_decoder import DONE, chunk, text, tool

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
FEW = 4  # characters of a canary that may be seen: fewer than tell it


def canaries(seed: int) -> list[str]:
    """Random ones: an address, a card, a phone number, an IBAN, keys."""
    rng = random.Random(seed)
    letters = "".join(rng.choices("abcdefghijkmnpqrstuvwxyz", k=8))
    digits = "".join(rng.choices("0123456789", k=15))
    card = next(f"4{digits[:14]}{last}" for last in range(10) if _luhn(f"4{digits[:14]}{last}"))
    account = "".join(rng.choices("123456789", k=18))
    iban = f"DE{98 - int(account + '131400') % 97:02}{account}"
    key = "".join(rng.choices("ABCDEFGHijklmnop0123456789", k=24)) + "7"
    return [f"q{letters}@example.org", card, f"+49 171 {digits[:7]}", iban, f"sk-q{key}", f"Bearer q{key}x"]


def _luhn(number: str) -> bool:
    doubled = [sum(divmod(int(digit) * (1 + at % 2), 10)) for at, digit in enumerate(reversed(number))]
    return sum(doubled) % 10 == 0


class Report(BaseModel):
    """What is answered."""

    title: str
    notes: list[str]
    more: dict[str, Any]  # Any: JSON


def document(planted: Sequence[str]) -> str:
    """A report with a canary in every kind of place, some of them behind escapes."""
    notes = [f"Is it {canary}, or not?" for canary in planted]
    more = {f"key {canary}": {"at": [canary, 1, None]} for canary in planted}
    raw = json.dumps({"title": f"On {planted[0]} and {planted[1]}", "notes": notes, "more": more})
    return raw.replace("@", "\\u0040", 3)


def responses(steps: Sequence[StreamingResponse[Any]]) -> Iterator[str]:
    for step in steps:
        yield repr(step)
        yield from step.raw_chunks
        yield from step.changed
        yield from step.completed
        dump = getattr(step.partial_result, "model_dump", None)
        yield repr(step.partial_result if dump is None else dump())


def outcomes(outcome: Outcome[Any]) -> Iterator[str]:
    yield repr(outcome)
    yield from (outcome.raw_text, outcome.prose, outcome.thinking, outcome.refusal)
    yield from (call.arguments for call in outcome.tool_calls)
    yield from outcome.other_choices.values()
    yield "".join(token.token for token in outcome.logprobs)
    yield from outcome.completed
    yield repr(dict(outcome.headers))
    if outcome.error is not None:
        yield "".join(traceback.format_exception(outcome.error))
        yield repr(vars(outcome.error) | {"outcome": None})


TOLD: list[Callable[[Sequence[StreamingResponse[Any]], Outcome[Any]], Iterator[str]]] = [
    lambda steps, outcome: responses(steps),
    lambda steps, outcome: outcomes(outcome),
]
"""All that tells something of a stream: each gives its texts, in which no canary may be."""


def told_of(steps: Sequence[StreamingResponse[Any]]) -> list[str]:
    """All that is told of a stream, from its steps."""
    outcome = steps[-1].outcome
    assert outcome is not None
    return [text for tell in TOLD for text in tell(steps, outcome)]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What this library has logged; what a vendor's SDK logs at DEBUG is its own."""
    records = [record for record in caplog.records if record.name.startswith("structstream")]
    assert records
    return "\n".join(f"{record.getMessage()} {record.exc_info} {record.args}" for record in records)


def found_in(seen: Iterator[str] | Sequence[str], planted: Sequence[str]) -> list[str]:
    """The canaries that can be recognised in what was seen."""
    # A Bearer token is a secret from its token on; a phone number from where its digits tell something; and five digits
    # of a card may be a port or a time.
    more = {canary: 5 if canary[0].isdigit() else 4 if canary[0] == "+" else 1 for canary in planted}
    starts = [canary.removeprefix("Bearer ")[: FEW + more[canary]] for canary in planted]
    everything = "\n".join(seen)
    return [start for start in starts if start in everything]


def body(planted: Sequence[str], *, as_tool: bool) -> bytes:
    whole = document(planted)
    say = (lambda part: tool(part, name="Report")) if as_tool else text
    first = [chunk({"reasoning_content": f"I think of {canary}"}) for canary in planted[:2]]
    beside = [chunk({"content": f"Other: {canary}"}, index=1) for canary in planted[2:4]]
    parts = [
        say(whole[at : at + 7]) if not at or not as_tool else tool(whole[at : at + 7]) for at in range(0, len(whole), 7)
    ]
    return b"".join((*first, *parts, *beside, chunk(None, "stop"), DONE))


@pytest.mark.parametrize("as_tool", [False, True])
@pytest.mark.parametrize("ended", [True, False])
def test_no_canary_of_an_answer_is_seen_wherever_it_is_cut(as_tool: bool, ended: bool) -> None:
    planted = canaries(1)
    data = body(planted, as_tool=as_tool)
    every = 1 if LONG else 97 if ended else 41  # each byte takes many minutes
    places = [1, *range(2, len(data), every), len(data)]
    for place in places:
        told: list[Fact] = []
        decoder: StreamDecoder[Report] = StreamDecoder(
            Report,
            route("gpt-4o").provider.decoder(),
            tool=as_tool,
            tool_name="Report",
            cadence="delta",
            guardrails=[PersonalData(), Secrets()],
            tell=told.append,
        )
        steps = [*decoder.feed(data[:place]), *(decoder.feed(data[place:]) if ended else [])]
        last = decoder.finish()
        assert last.outcome is not None
        assert last.outcome.kind == "complete" or not ended
        seen = [*told_of([*steps, last]), *map(repr, told)]
        assert found_in(seen, planted) == []
        assert told or place < len(data)


def test_no_canary_is_seen_where_the_answer_comes_byte_by_byte() -> None:
    planted = canaries(2)
    decoder: StreamDecoder[Report] = StreamDecoder(
        Report, route("gpt-4o").provider.decoder(), guardrails=[PersonalData(), Secrets()]
    )
    steps = [step for byte in body(planted, as_tool=False) for step in decoder.feed(bytes((byte,)))]
    last = decoder.finish()
    assert last.result.notes[0] == "Is it [email], or not?"
    assert found_in(responses([*steps, last]), planted) == []


@pytest.mark.parametrize(
    "broken",
    [
        "hello {} there",
        '{{"title": {}}}',
        '{{"title": "{}\x01"}}',
        '{{"{}": tru}}',
        '{{"title": "x", "title2 {}": [}}',
        "{}",
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_no_canary_of_a_broken_answer_is_seen(broken: str, lenient: bool) -> None:
    for planted in canaries(3):
        for size in (1, 1000):
            whole = broken.format(planted)
            parts = [text(whole[at : at + size]) for at in range(0, len(whole), size)]
            decoder: StreamDecoder[Report] = StreamDecoder(
                Report, route("gpt-4o").provider.decoder(), lenient=lenient, guardrails=[PersonalData(), Secrets()]
            )
            steps = decoder.feed(b"".join((*parts, chunk(None, "stop"), DONE)))
            last = decoder.finish()
            assert last.outcome is not None
            assert last.outcome.kind != "complete"
            assert found_in(told_of([*steps, last]), [planted]) == []


def test_no_canary_of_a_stopped_answer_is_seen_beside_it() -> None:
    planted = canaries(4)
    rails: list[Guardrail] = [MaxLength(3, paths=["title"]), PersonalData(), Secrets()]
    decoder: StreamDecoder[Report] = StreamDecoder(
        Report, route("gpt-4o").provider.decoder(), tool=True, guardrails=rails
    )
    decoder.feed(body(planted, as_tool=True))
    last = decoder.finish()
    assert last.outcome is not None
    assert last.outcome.kind == "blocked"
    assert (last.outcome.thinking, last.outcome.tool_calls[0].arguments) == ("", last.outcome.raw_text)
    assert found_in(outcomes(last.outcome), planted) == []


def test_no_canary_is_seen_in_log_probabilities() -> None:
    planted = canaries(5)
    whole = document(planted)
    events = []
    for at in range(0, len(whole), 5):
        token = whole[at : at + 5]
        logprobs = {"content": [{"token": token, "logprob": -0.5}]}
        choice = {"index": 0, "delta": {"content": token}, "finish_reason": None, "logprobs": logprobs}
        events.append(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    decoder: StreamDecoder[Report] = StreamDecoder(
        Report, route("gpt-4o").provider.decoder(), guardrails=[PersonalData(), Secrets()]
    )
    decoder.feed(b"".join((*events, chunk(None, "stop"), DONE)))
    last = decoder.finish()
    assert last.outcome is not None
    assert last.outcome.logprobs
    assert found_in(["".join(token.token for token in last.outcome.logprobs)], planted) == []


def test_no_canary_of_another_dialect_is_seen() -> None:
    planted = canaries(6)
    whole = document(planted)
    payloads: list[dict[str, Any]] = [  # Any: JSON
        {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": char}} for char in whole),
        {"type": "error", "error": {"type": "overloaded_error", "message": f"busy with {planted}"}},
    ]
    decoder: StreamDecoder[Report] = StreamDecoder(
        Report, route("claude-x").provider.decoder(), guardrails=[PersonalData(), Secrets()]
    )
    steps = [
        step
        for payload in payloads
        for step in decoder.feed(f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode())
    ]
    last = decoder.finish()
    assert last.outcome is not None
    assert last.outcome.kind == "provider_error"
    assert found_in(told_of([*steps, last]), planted) == []


FAULTS: Mapping[str, Callable[[str], Fault | None]] = {
    "none": lambda canary: None,
    "error body": lambda canary: status(400, body={"error": {"message": f"no: {canary}", "code": canary}}),
    "error in the stream": lambda canary: in_band_error(after=5, message=f"failed at {canary}"),
    "refusal": lambda canary: refusal(f"I must not tell {canary}"),
    "cut off": lambda canary: length(20),
}


@pytest.mark.anyio
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_canary_is_seen_from_end_to_end(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "structstream")
    planted = canaries(7)
    heard: list[ProgressEvent] = []
    answer = json.dumps({"name": f"{planted[0]} {planted[1]}", "age": 36, "tags": planted})
    script = Script(thinking=f"of {planted[4]}", delta_size=3)
    async with serving(document=answer, script=script, faults=[FAULTS[fault](planted[0])]) as (service, provider):
        request = request_for(
            prompt=f"Who is {planted}?",
            guardrails=[PersonalData(on_prompt="allow"), Secrets(on_prompt="allow")],
            progress_callback=heard.append,
            cadence="delta",
        )
        steps = [step async for step in service.route_structured_streaming(request)]
        assert provider.requests
    last = steps[-1].outcome
    assert last is not None
    seen = [*told_of(steps), repr(request), *map(repr, heard), logged(caplog)]
    assert found_in(seen, planted) == []


@pytest.mark.anyio
async def test_no_canary_of_a_header_or_a_body_that_is_no_stream_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "structstream")
    planted = canaries(8)

    async def answer(writer: Any) -> None:  # Any: a StreamWriter
        headers = {**EVENT_STREAM, "x-request-id": planted[4], "x-user": planted[0], "set-cookie": f"k={planted[5]}"}
        writer.write(http_head("500 Internal Server Error", headers) + f"<html>{planted}</html>".encode())
        await writer.drain()
        writer.close()

    async with (
        raw_server(answer) as server,
        aiohttp_client(server.base_url) as client,
        StructuredLLMService(client, policies=BARE) as service,
    ):
        request = request_for(guardrails=[PersonalData(), Secrets()])
        steps = [step async for step in service.route_structured_streaming(request)]
    last = steps[-1].outcome
    assert last is not None
    assert last.kind == "provider_error"
    assert found_in([*told_of(steps), logged(caplog)], planted) == []


def test_the_canaries_are_found_where_nothing_guards() -> None:
    planted = canaries(9)
    decoder: StreamDecoder[Report] = StreamDecoder(Report, route("gpt-4o").provider.decoder())
    decoder.feed(body(planted, as_tool=False))
    last = decoder.finish()
    assert last.outcome is not None
    assert len(found_in(outcomes(last.outcome), planted)) == len(planted)


def last_of(document: str, *rails: Guardrail) -> list[str]:
    """All that is told of an answer that is a list of texts."""
    decoder: StreamDecoder[Any] = StreamDecoder(
        list[Any], route("gpt-4o").provider.decoder(), guardrails=rails or [PersonalData(), Secrets()]
    )
    steps = decoder.feed(b"".join((*map(text, document), chunk(None, "stop"), DONE)))
    return told_of([*steps, decoder.finish()])


def test_a_datum_in_several_strings_is_no_datum_to_a_guardrail_as_the_page_says() -> None:
    mail, card, phone, _, key, _ = canaries(10)
    for name, domain in ((mail[:-5], mail[-5:]), (key[:5], key[5:]), (card[:8], card[8:]), (phone[:5], phone[5:])):
        told = "\n".join(last_of(json.dumps([name, {"a": domain}])))
        assert name.removesuffix("@example") in told
        assert domain in told or domain.isdecimal()  # a half of digits may be a telephone number by itself


def test_what_is_written_in_hex_is_taken_out_where_long_tokens_are_and_only_there() -> None:
    mail, *_, key, _ = canaries(11)
    for hidden in (mail.encode().hex(), key.encode().hex(), key.encode().hex().upper()):
        document = json.dumps([f"It is {hidden} now", {hidden: hidden}])
        assert hidden in "\n".join(last_of(document))
        assert found_in(last_of(document, Secrets(min_entropy=3.0)), [hidden]) == []


@pytest.mark.parametrize("wrap", ["\\u{:04x}", "{}"])
def test_each_string_is_judged_by_itself_and_wholly_though_another_stands_before_it(wrap: str) -> None:
    planted = canaries(12)
    written = ["".join(wrap.format(ord(char) if "u" in wrap else char) for char in canary) for canary in planted]
    document = '["sk-", ' + ", ".join(f'"{canary}", "@", {{"{canary}": "+49"}}' for canary in written) + "]"
    assert found_in(last_of(document), planted) == []
