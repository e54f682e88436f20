"""Guardrails over whole streams: prompts that are not sent, answers that are held, stopped, or ended with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from structstream.clock import Watchdog
from structstream.errors import BlockedError, ConfigurationError
from structstream.facts import Fact, Judged
from structstream.gate import Ask, Rail
from structstream.guardrails import CallableGuardrail, DenyList, PersonalData, PromptLength, Secrets
from structstream.judging import Judging
from structstream.response import OutcomeKind, StreamingResponse
from structstream.testing.clock import FakeClock
from structstream.verdicts import ALLOW, GuardedText, Guardrail, Verdict
from tests.edge import Profile, request_for, serving, steps_of

pytestmark = pytest.mark.anyio
LEAK = json.dumps({"name": "Ada ada@example.org", "age": 36, "tags": ["sk-planted-0123456789abcdefghij", "ok"]})


async def test_the_answer_is_shown_without_what_the_guardrails_take_out() -> None:
    async with serving(document=LEAK) as (service, _):
        steps = await steps_of(service, request_for(guardrails=[PersonalData(), Secrets()], cadence="delta"))
    assert steps[-1].result == Profile(name="Ada [email]", age=36, tags=["[secret]", "ok"])
    assert all("ada@" not in repr(step) and "sk-p" not in repr(step) for step in steps)
    assert all("ada@" not in "".join(step.raw_chunks) for step in steps)


async def test_the_services_guardrails_judge_every_request() -> None:
    async with serving(document=LEAK) as (service, _):
        service._guardrails = (PersonalData(),)
        assert (await service.route_structured(request_for())).name == "Ada [email]"


@pytest.mark.parametrize(
    ("rail", "prompt", "reason"),
    [
        (PromptLength(most=10), "Longer than ten", "15 characters"),
        (DenyList(["confidence"]), "In Confidence, please", "deny-list"),
        (Secrets(), "My key is sk-planted-0123456789abcdefghij", "a key"),
        (PersonalData(), "Write to ada@example.org", "an e-mail address"),
        (CallableGuardrail(prompt=lambda text: False, name="never"), "Anything", "said no"),
    ],
)
async def test_a_prompt_that_is_blocked_is_not_sent(rail: Guardrail, prompt: str, reason: str) -> None:
    async with serving() as (service, provider):
        [last] = await steps_of(service, request_for(prompt=prompt, guardrails=[rail]))
        assert provider.requests == []
    assert last.outcome is not None
    assert last.outcome.kind is OutcomeKind.BLOCKED
    assert last.outcome.attempts == ()
    assert isinstance(last.outcome.error, BlockedError)
    assert reason in str(last.outcome.error)
    assert prompt not in str(last.outcome.error)


class Asking(Guardrail):
    """Gives its verdict later."""

    name = "asking"

    def __init__(self, *answers: Verdict | Exception, **how: Any) -> None:  # Any: attributes of a Guardrail
        self.answers = list(answers)
        self.asked: list[str] = []
        for name, value in how.items():
            setattr(self, name, value)

    async def check_text(self, piece: GuardedText) -> Verdict:
        self.asked.append(piece.text)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else ALLOW
        if isinstance(answer, Exception):
            raise answer
        return answer


async def steps(*rails: Guardrail, **how: Any) -> Sequence[StreamingResponse[Profile]]:
    async with serving(document=LEAK) as (service, provider):
        found = await steps_of(service, request_for(guardrails=rails, cadence="delta", **how))
        assert provider.requests
        return found


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_async_guardrail_holds_each_text_until_it_has_judged_it(streaming: bool) -> None:
    rail = Asking(Verdict.replace("A. L."), unit="field")
    found = await steps(rail, enable_streaming=streaming)
    assert found[-1].result.name == "A. L."
    assert rail.asked == ["Ada ada@example.org", "sk-planted-0123456789abcdefghij", "ok"]
    assert all(getattr(step.partial_result, "name", None) in (None, "", "A. L.") for step in found)


@pytest.mark.parametrize("mode", ["hold", "stream_first"])
async def test_an_async_stop_ends_the_stream_as_blocked(mode: str) -> None:
    found = await steps(Asking(Verdict.stop("not that"), unit="field", mode=mode))
    outcome = found[-1].outcome
    assert outcome is not None
    assert (outcome.kind, str(outcome.error)) == (
        OutcomeKind.BLOCKED,
        "blocked by the guardrail 'asking' at name: not that",
    )
    assert (outcome.raw_text == '{"name": "') == (mode == "hold")


async def test_what_was_shown_first_can_still_be_taken_out_of_the_final_object() -> None:
    found = await steps(Asking(Verdict.redact((4, 19, "[mail]")), unit="field", mode="stream_first"))
    assert found[-1].result.name == "Ada [mail]"
    assert any(getattr(step.partial_result, "name", "") == "Ada ada@example.org" for step in found[:-1])
    assert found[-1].outcome is not None
    assert "ada@" not in found[-1].outcome.raw_text


async def test_a_guardrail_that_fails_closes_the_gate() -> None:
    found = await steps(Asking(ValueError("ada@example.org"), unit="field"))
    outcome = found[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.BLOCKED
    assert "it failed itself (ValueError)" in str(outcome.error)
    assert "ada@" not in repr(outcome)


async def test_a_guardrail_whose_own_await_was_cancelled_fails_and_cancels_nobody() -> None:
    async def cancelled(text: str) -> bool:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        return await task

    outcome = (await steps(CallableGuardrail(cancelled, unit="field")))[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.BLOCKED
    assert "it failed itself (CancelledError)" in str(outcome.error)


async def test_a_guardrail_that_judges_even_its_own_error_is_named_in_it() -> None:
    class Late(Guardrail):
        name, unit = "late", "delta"

        async def check_text(self, piece: GuardedText) -> Verdict:
            return ALLOW

    outcome = (await steps(Late()))[-1].outcome
    assert outcome is not None
    assert (outcome.kind, str(outcome.error)) == (OutcomeKind.BLOCKED, "blocked by the guardrail 'late'")


async def test_a_guardrail_that_fails_open_lets_the_text_through() -> None:
    found = await steps(Asking(ValueError("down"), unit="field", fail_open=True))
    assert found[-1].result.name == "Ada ada@example.org"


async def test_a_guardrail_that_takes_too_long_closes_the_gate() -> None:
    clock = FakeClock()
    told: list[Fact] = []
    rail = Asking(timeout=2.0)
    judging = Judging([rail], told.append, clock, Watchdog(clock))

    async def never() -> Verdict:
        await asyncio.Event().wait()
        return ALLOW

    async def ask() -> Verdict:
        return await judging.verdict(Ask(Rail(rail, told.append), never(), "name"))

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    await clock.advance(2.0)
    with pytest.raises(BlockedError, match="it took too long"):
        await task
    assert told == [Judged("asking", "error", "name")]


async def test_a_request_takes_guardrails_only() -> None:
    with pytest.raises(ConfigurationError, match="guardrails must be a list of Guardrail objects"):
        request_for(guardrails=[len])
    with pytest.raises(ConfigurationError, match="guardrails must be Guardrail objects, not int"):
        Judging([3], None, FakeClock(), Watchdog(FakeClock()))  # type: ignore[list-item]  # that is the test


async def test_a_caller_who_leaves_while_a_verdict_is_awaited_leaves_nothing_behind() -> None:
    begun = asyncio.Event()

    async def wait(text: str) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    async with serving(document=LEAK) as (service, _):
        stream = service.route_structured_streaming(request_for(guardrails=[CallableGuardrail(wait, unit="field")]))
        task = asyncio.create_task(stream.result())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.outcome is not None
        assert stream.outcome.kind is OutcomeKind.CANCELLED
        assert "ada" not in repr(stream.outcome)
