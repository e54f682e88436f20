"""What an answer carries beside its JSON is judged before it is told, and nothing of it is told that was not."""

from __future__ import annotations

import pytest

from structstream.answer import AnswerReader
from structstream.beside import guard_said, seal_said
from structstream.errors import BlockedError, ConnectionFailedError, IncompleteError
from structstream.events import Finished
from structstream.gate import Gate
from structstream.guardrails import CallableGuardrail, PersonalData
from structstream.response import TokenLogprob
from structstream.verdicts import Guardrail, Verdict

MAIL = "ada@example.org"


def reader() -> AnswerReader[list[str]]:
    answer = AnswerReader(list[str], lenient=False, wrap_key=None, limits=None, context=None, fail_fast=True, attempt=1)
    answer.said.prose.append(f"Ask {MAIL}")
    answer.said.thinking += ("Who is ada", "@example.org?")
    answer.said.note_choice(1, f'["{MAIL}"]')
    answer.said.note_finish(Finished("stop", "stop"))
    return answer


def test_each_text_is_judged_as_a_whole() -> None:
    answer = reader()
    gate = Gate([PersonalData()], answer.add)
    guard_said(gate, answer.said)
    told = answer.said.facts()
    assert (told["prose"], told["thinking"]) == ("Ask [email]", "Who is [email]?")
    assert told["other_choices"] == {1: '["[email]"]'}


async def later(text: str) -> bool:
    return True


@pytest.mark.parametrize("error", [None, IncompleteError("cut")])
def test_what_nobody_judged_is_not_told(error: IncompleteError | None) -> None:
    answer = reader()
    gate = Gate([CallableGuardrail(later)], answer.add)
    guard_said(gate, answer.said)
    assert gate.asks is not None
    seal_said(gate, answer, error)
    assert gate.asks is None
    assert [text for _, parts in answer.said.texts() for text in parts] == []
    assert (answer.failure is None) == (error is not None)


def test_awaited_verdicts_bring_the_texts_back() -> None:
    answer = reader()
    gate = Gate([CallableGuardrail(later)], answer.add)
    guard_said(gate, answer.said)
    while (ask := gate.asks) is not None:
        ask.judgement.close()  # type: ignore[union-attr]  # a coroutine: the verdict is given by hand
        gate.settle(Verdict.allow())
    assert answer.said.facts()["prose"] == f"Ask {MAIL}"


def test_a_stop_withholds_all_that_was_said() -> None:
    answer = reader()
    answer.said.logprobs.append(TokenLogprob("x", -1.0))
    answer.fail(BlockedError("one", "two"))
    seal_said(Gate([PersonalData()], answer.add), answer, None)
    assert (answer.said.facts()["prose"], answer.said.logprobs) == ("", [])


def test_the_tokens_that_spell_a_finding_are_dropped() -> None:
    answer = reader()
    tokens = ['{"a": "', "plain", '", "b": "', "ada@", "example", ".org", '", "c": 1', "2}"]
    answer.said.logprobs.extend(TokenLogprob(token, -1.0) for token in tokens)
    seal_said(Gate([PersonalData()], answer.add), answer, None)
    assert [token.token for token in answer.said.logprobs] == ['{"a": "', "plain", "2}"]


def test_errors_are_redacted_down_to_what_they_were_made_of() -> None:
    answer = reader()
    cause = ConnectionFailedError(f"lost {MAIL}", provider="openai")
    error = IncompleteError(f"cut at {MAIL}")
    error.__cause__ = cause
    seal_said(Gate([PersonalData()], answer.add), answer, error)
    assert (str(error), str(cause)) == ("cut at [email]", "openai: lost [email]")


def test_a_guardrail_that_sees_no_kind_but_values_leaves_the_rest_alone() -> None:
    rail = Guardrail()
    rail.kinds = frozenset({"value"})
    answer = reader()
    guard_said(Gate([rail], answer.add), answer.said)
    assert answer.said.facts()["prose"] == f"Ask {MAIL}"


@pytest.mark.parametrize("ended", [None, Finished("length", "length"), Finished("stop", "stop")])
@pytest.mark.parametrize("rail", [PersonalData(), CallableGuardrail(lambda text: text.replace(MAIL, "[email]"))])
def test_of_a_text_that_broke_off_nothing_is_told_that_may_have_been_the_start_of_something(
    ended: Finished | None, rail: Guardrail
) -> None:
    answer = reader()
    answer.said.prose[:] = ["First this. Then ask ada@exam"]
    answer.said.finish = ended
    guard_said(Gate([rail], answer.add), answer.said)
    prose = answer.said.facts()["prose"]
    whole = ended is not None and ended.reason == "stop"
    assert prose.startswith("First this.")
    assert ("ada@" in prose) == whole
