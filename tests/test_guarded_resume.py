"""What a guardrail takes out stays out where an answer goes on, wherever a lost stream has split a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from structstream.continuation import Continuation, OpenLevel
from structstream.decoder import StreamDecoder
from structstream.errors import IncompleteError
from structstream.facts import Fact, StreamInfo
from structstream.guardrails import CallableGuardrail, Guardrail, MaxLength, PersonalData, PromptLength, Secrets
from structstream.policies import HedgePolicy, Midstream, Policies, RetryPolicy
from structstream.progress import ProgressEvent
from structstream.providers import route
from structstream.request import StreamingStructuredRequest
from structstream.residual import rest_of, written
from structstream.response import Outcome, StreamingResponse
from structstream.resume import continued_request
from structstream.service import StructuredLLMService
from structstream.testing import FakeClock, Script, SimulatedProvider, cut_at_byte, drop_at_byte, length
from tests.edge import KEY
from tests.guarding import gated
from tests.taping import AUTH, rows
from tests.test_canary import canaries, told_of
from tests.test_decoder import DONE, chunk, text


class Line(BaseModel):
    """A line of a report."""

    note: str
    size: int


class Report(BaseModel):
    """What is answered."""

    title: str
    lines: list[Line]
    more: dict[str, str]


WINDOW = 8  # characters in a row by which a canary is told


def report_of(planted: Sequence[str]) -> str:
    """A report with canaries in texts of which some are behind words that make them secrets, and behind escapes."""
    lines = [
        {"note": f"Is it {canary}, or not? My password: hunter{at}x9!", "size": at}
        for at, canary in enumerate(planted[:2])
    ]
    more = {"first": f"{planted[0]} and {planted[4]}", "last": planted[5]}
    return json.dumps({"title": f"On {planted[1]}", "lines": lines, "more": more}).replace("@", "\\u0040", 1)


def shown_of(seen: Sequence[str], planted: Sequence[str]) -> list[str]:
    """The stretches of canaries that were seen."""
    everything = "\n".join(seen)
    secrets = [canary.removeprefix("Bearer ") for canary in planted]
    stretches = {secret[at : at + WINDOW] for secret in secrets for at in range(len(secret) - WINDOW + 1)}
    return [stretch for stretch in (*stretches, "hunter") if stretch in everything]


def decoded(
    rails: Sequence[Guardrail], data: str, continuation: Continuation | None = None, *, whole: bool, size: int = 5
) -> list[StreamingResponse[Report]]:
    """The steps of one attempt that brought `data`, and its finish where it is whole."""
    decoder: StreamDecoder[Report] = StreamDecoder(
        Report,
        route("gpt-4o").provider.decoder(),
        cadence="delta",
        guardrails=rails,
        continuation=continuation,
    )
    parts = b"".join(text(data[at : at + size]) for at in range(0, len(data), size))
    steps = decoder.feed(parts + (chunk(None, "stop") + DONE if whole else b""))
    return [*steps, decoder.finish(None if whole else IncompleteError("it broke"))]


def rest_for(continuation: Continuation, document: str, rails: Sequence[Guardrail]) -> str:
    """What a model answers that had `document` in mind and sees what of it was kept."""
    levels = [_as_written(level, document, rails) for level in continuation.levels]
    return written(rest_of(document, levels))


def _as_written(level: OpenLevel, document: str, rails: Sequence[Guardrail]) -> OpenLevel:
    if level.kind != "text":
        return level
    everywhere = both() if any(rail.paths for rail in rails) else rails
    value: Any = json.loads(document)  # Any: JSON
    for step in level.path:
        value = value[step]
    if value.startswith(level.so_far):
        return level
    tail = re.split(r"\]|Hush\.", level.so_far)[-1]  # behind the last that was taken out
    for size in range(len(value) + 1):
        if gated(everywhere, [json.dumps(value[:size], ensure_ascii=False)[:-1]])[1:] == level.so_far:
            return replace(level, so_far=value[: value.rindex(tail, 0, size) + len(tail) if tail else size])
    raise AssertionError("what was kept is no start of what was written")


def broken_and_gone_on(
    rails: Callable[[], Sequence[Guardrail]], document: str, cut: int
) -> tuple[list[StreamingResponse[Report]], Outcome[Report] | None]:
    """All steps of an attempt that broke at a character and of the one that goes on, and the outcome of that."""
    request = StreamingStructuredRequest(response_model=Report, model="openai/gpt-4o", prompt="Who?")
    steps = decoded(rails(), document[:cut], whole=False)
    broken = steps[-1].outcome
    assert broken is not None
    going_on = continued_request(request, broken)
    if going_on is None or going_on.continuation is None:
        return steps, None
    continuation = going_on.continuation
    answer = rest_for(continuation, document, rails()) if continuation.asks else ""
    more = decoded(rails(), answer, continuation, whole=True)
    return [*steps, *more], more[-1].outcome


def both() -> list[Guardrail]:
    return [PersonalData(), Secrets()]


def test_no_canary_that_a_lost_stream_has_split_is_seen_wherever_it_is_cut() -> None:
    planted = canaries(11)
    document = report_of(planted)
    [uncut] = decoded(both(), document, whole=True)[-1:]
    for cut in range(len(document)):
        steps, outcome = broken_and_gone_on(both, document, cut)
        assert (shown_of(told_of(steps), planted), cut) == ([], cut)
        if outcome is not None:
            assert (outcome.kind.value, cut) == ("complete", cut)
            assert (outcome.result, cut) == (uncut.result, cut)


def test_the_canaries_of_the_split_document_are_seen_where_nothing_guards() -> None:
    planted = canaries(11)
    assert len(shown_of(told_of(decoded([], report_of(planted), whole=True)), planted)) > len(planted)


@pytest.mark.parametrize("paths", [["lines[*].note"], ["more"], ["title"], ["*.last"]])
def test_a_guardrail_of_some_fields_looks_at_the_same_ones_where_the_answer_goes_on(paths: list[str]) -> None:
    def rails() -> list[Guardrail]:
        return [PersonalData(paths=paths), Secrets(paths=paths)]

    document = report_of(canaries(12))
    uncut = decoded(rails(), document, whole=True)[-1].result
    for cut in range(0, len(document), 3):
        _, outcome = broken_and_gone_on(rails, document, cut)
        assert outcome is None or (outcome.result, cut) == (uncut, cut)


def test_a_text_is_as_long_as_all_its_pieces() -> None:
    document = json.dumps({"title": "One two three four", "lines": [], "more": {}})
    for cut in range(10, len(document)):
        steps, _ = broken_and_gone_on(lambda: [MaxLength(12, paths=["title"])], document, cut)
        outcome = steps[-1].outcome
        if outcome is None or outcome.kind.value == "incomplete":
            assert "One" not in repr(outcome)  # nothing was won, and a new answer would be asked for
            continue
        assert (outcome.kind.value, cut) == ("blocked", cut)
        assert outcome.error is not None
        assert outcome.error.path == "title"  # type: ignore[attr-defined]  # of a BlockedError


@pytest.mark.parametrize("unit", ["sentence", "field"])
@pytest.mark.parametrize("mode", ["hold", "stream_first"])
def test_sentences_and_fields_are_judged_whole_though_a_lost_stream_has_split_them(unit: Any, mode: Any) -> None:
    def quiet(piece: str) -> str:
        return "Hush." if "secret plan" in piece else piece

    def rails() -> list[Guardrail]:
        return [CallableGuardrail(quiet, unit=unit, mode=mode)]

    note = "All is well. The secret plan is this. It works."
    document = json.dumps({"title": "A secret plan", "lines": [{"note": note, "size": 2}], "more": {"a": note}})
    uncut = decoded(rails(), document, whole=True)[-1].result
    assert "secret" not in repr(uncut)
    for cut in range(len(document)):
        steps, outcome = broken_and_gone_on(rails, document, cut)
        # The blanks around a sentence are a part of it, and gone with it.
        assert outcome is None or (repr(outcome.result).replace(" ", ""), cut) == (repr(uncut).replace(" ", ""), cut)
        if mode == "hold":
            assert ("secret plan" in "\n".join(told_of(steps)), cut) == (False, cut)


# Over HTTP, in each dialect.


def hearing(heard: list[object]) -> Callable[[StreamInfo, Fact], None]:
    def hear(info: StreamInfo, fact: Fact) -> None:
        heard.append(fact)

    return hear


@pytest.mark.anyio
@pytest.mark.parametrize("midstream", ["resume", "restart", "hold", "fail"])
@pytest.mark.parametrize("dialect", AUTH)
async def test_no_canary_is_seen_from_end_to_end_whatever_follows_a_break(dialect: str, midstream: Midstream) -> None:
    planted = canaries(13)
    document = report_of(planted)
    policies = Policies(retry=RetryPolicy(first_wait=0.0), breaker=None, hedge=HedgePolicy(after=1))
    kinds = set()
    async with SimulatedProvider(document=document, script=Script(delta_size=3), clock=FakeClock()) as provider:
        for number, at in enumerate(range(150, 12_000, 1571)):
            mode = ("auto", "tool", "prompted")[number % 3]
            fault = (cut_at_byte, drop_at_byte)[number % 2](at)
            first = len(provider.requests)
            provider._faults.clear()
            provider._faults[first] = fault
            heard: list[object] = []
            async with StructuredLLMService(
                providers=rows(provider.base_url),
                api_keys=dict.fromkeys(AUTH, KEY),
                policies=policies,
                clock=FakeClock(),
                observers=[hearing(heard)],
            ) as service:
                events: list[ProgressEvent] = []
                request = StreamingStructuredRequest(
                    response_model=Report,
                    model=f"{dialect}/m",
                    fallback_models=[f"{dialect}/n"],
                    prompt="Who?",
                    mode=mode,  # type: ignore[arg-type]  # one of them
                    guardrails=both(),
                    cadence="delta",
                    midstream=midstream,
                    progress_callback=events.append,
                )
                steps = [step async for step in service.route_structured_streaming(request)]
            seen = [*told_of(steps), *map(repr, heard), *map(repr, events)]
            assert (shown_of(seen, planted), at) == ([], at)
            assert steps[-1].outcome is not None
            kinds.add(steps[-1].outcome.kind.value)
    assert "complete" in kinds


@pytest.mark.anyio
@pytest.mark.parametrize("dialect", AUTH)
async def test_a_model_that_begins_again_because_its_text_was_changed_is_followed_from_where_it_stood(
    dialect: str,
) -> None:
    """The simulated one has the uncut document in mind, which begins otherwise than what the guardrails have kept."""
    note = "Write to qada@example.org, or to nobody at all if the weather is as good as that."
    document = json.dumps({"title": "T", "lines": [{"note": note, "size": 1}], "more": {}})
    clock = FakeClock()
    async with (
        SimulatedProvider(document=document, script=Script(delta_size=3), clock=clock, faults=[length(62)]) as provider,
        StructuredLLMService(
            providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY), clock=clock
        ) as service,
    ):
        request = StreamingStructuredRequest(
            response_model=Report, model=f"{dialect}/m", prompt="Who?", guardrails=both(), mode="prompted"
        )
        steps = [step async for step in service.route_structured_streaming(request)]
    last = steps[-1].outcome
    assert last is not None
    assert [attempt.kind.value for attempt in last.attempts] == ["truncated", "complete"]
    assert last.result == Report(
        title="T", lines=[Line(note=note.replace("qada@example.org", "[email]"), size=1)], more={}
    )


@pytest.mark.anyio
async def test_a_prompt_that_was_let_through_is_not_stopped_for_what_the_answer_has_added_to_it() -> None:
    document = json.dumps({"title": "a long one " * 9, "lines": [], "more": {}})
    clock = FakeClock()
    async with (
        SimulatedProvider(document=document, script=Script(delta_size=3), clock=clock, faults=[length(20)]) as provider,
        StructuredLLMService(
            providers=rows(provider.base_url), api_keys=dict.fromkeys(AUTH, KEY), clock=clock
        ) as service,
    ):
        request = StreamingStructuredRequest(
            response_model=Report, model="openai_chat/m", prompt="Who?", guardrails=[PromptLength(most=30)]
        )
        assert await service.route_structured(request) == Report.model_validate_json(document)
    assert len(provider.requests) == 2
