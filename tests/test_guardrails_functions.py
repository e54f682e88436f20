"""Any function judges, plain or async, by what it returns."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from structstream.errors import BlockedError, ConfigurationError
from structstream.gate.rails import Rail
from structstream.guardrails import CallableGuardrail
from structstream.guardrails.functions import Answer
from structstream.verdicts import ALLOW, GuardedText, Verdict

ANSWERS: list[tuple[Answer, Verdict]] = [
    (None, ALLOW),
    (True, ALLOW),
    ("text", ALLOW),
    (False, Verdict.stop("the function said no")),
    ("other", Verdict.replace("other")),
    (Verdict.hold(2), Verdict.hold(2)),
]


@pytest.mark.parametrize(("answer", "verdict"), ANSWERS)
@pytest.mark.anyio
async def test_what_a_function_returns_is_a_verdict(answer: Answer, verdict: Verdict) -> None:
    async def later(text: str) -> Answer:
        return answer

    for check in (lambda text: answer, later):
        rail = CallableGuardrail(check, prompt=check)
        for judgement in (rail.check_text(GuardedText("text")), rail.check_prompt("text")):
            assert (await judgement if inspect.isawaitable(judgement) else judgement) == verdict


def test_anything_else_closes_the_gate() -> None:
    rail = Rail(CallableGuardrail(lambda text: 3))  # type: ignore[arg-type,return-value]  # that is the test
    with pytest.raises(BlockedError, match=r"it failed itself \(TypeError\)"):
        rail.check(GuardedText("text"))


def test_it_is_named_after_its_function() -> None:
    def no_shouting(text: str) -> bool:
        return not text.isupper()

    assert CallableGuardrail(no_shouting).name == "no_shouting"
    assert CallableGuardrail(no_shouting, name="quiet").name == "quiet"


def test_one_for_prompts_looks_at_no_answer_and_the_other_way_round() -> None:
    assert CallableGuardrail(prompt=lambda text: False).check_text(GuardedText("x")) is ALLOW
    assert CallableGuardrail(prompt=lambda text: False).kinds == frozenset()
    assert CallableGuardrail(lambda text: False).check_prompt("x") is ALLOW


@pytest.mark.parametrize("wrong", [{"kinds": "value"}, {"paths": "note"}])
def test_kinds_and_paths_are_lists(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be a list of texts, not "):
        CallableGuardrail(bool, **wrong)


def test_there_must_be_a_function() -> None:
    with pytest.raises(ConfigurationError, match="give a function as check, or one as prompt, or both"):
        CallableGuardrail()
