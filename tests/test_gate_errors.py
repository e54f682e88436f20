"""A provider's error says only what all guardrails have let through, those for sentences and fields as well."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from structstream.errors import (
    ConnectionFailedError,
    IncompleteError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    StreamTimeoutError,
    StructStreamError,
)
from structstream.facts import Fact, Judged
from structstream.gate import Gate
from structstream.gate.errors import texts_of, withhold
from structstream.guardrails import CallableGuardrail, DenyList, PersonalData
from structstream.providers.failures import http_failure, stream_failure
from structstream.response import OutcomeKind
from structstream.testing import status
from structstream.testing.faults import Fault, in_band_error
from structstream.verdicts import ALLOW, GuardedText, Guardrail, GuardUnit, Verdict
from tests.edge import request_for, serving, steps_of

WITHHELD = "an error whose text a guardrail has stopped"
Made = Callable[[], StructStreamError]


def named(text: str) -> str:
    return text.replace("Mary Somerville", "[name]")


def rail(check: Any = named, unit: Any = "sentence", **how: Any) -> CallableGuardrail:
    return CallableGuardrail(check, unit=unit, **how)


def failure(**how: Any) -> ProviderError:
    return RateLimitedError(
        "Slow down. Mary Somerville has asked too often.", provider="openai", status=429, retry_after=2.0, **how
    )


def broken() -> IncompleteError:
    cause = ConnectionFailedError("reset by Mary Somerville", provider="openai")
    error = IncompleteError(f"the connection ended without a finish: {cause}")
    error.__cause__ = cause
    return error


def all_of(error: BaseException | None) -> str:
    return "" if error is None else f"{error} {error!r} {vars(error)}" + all_of(error.__cause__)


@pytest.mark.parametrize("mode", ["hold", "stream_first"])
@pytest.mark.parametrize("unit", ["sentence", "field"])
def test_a_name_is_taken_out_wherever_an_error_says_it(mode: Any, unit: Any) -> None:
    error = failure(code="Mary Somerville", request_id="of Mary Somerville")
    Gate([rail(unit=unit, mode=mode)], len).guard_error(error)
    assert str(error) == (
        "openai: Slow down. [name] has asked too often. (status 429, code [name], request of [name], retry after 2.0)"
    )
    assert (error.message, error.code, error.request_id) == (
        "Slow down. [name] has asked too often.",
        "[name]",
        "of [name]",
    )
    assert (error.provider, error.status, error.retry_after) == ("openai", 429, 2.0)


MADE: dict[str, Made] = {
    "an event that is none": lambda: ProtocolError("no such event", provider="openai", event="Mary Somerville"),
    "what another error is made of": broken,
    "an error of another's making": lambda: copy.copy(failure(code="Mary Somerville")),
}


@pytest.mark.parametrize("made", MADE)
def test_so_it_is_of_other_errors(made: str) -> None:
    error = MADE[made]()
    assert "Mary Somerville" in all_of(error)
    gate = Gate([rail()], len)
    gate.guard_error(error)
    if error.__cause__ is not None:
        assert isinstance(error.__cause__, StructStreamError)
        gate.guard_error(error.__cause__)
    assert "[name]" in all_of(error)
    assert "Mary Somerville" not in all_of(error)


def raises(text: str) -> str:
    raise ValueError(text)


@pytest.mark.parametrize("check", [lambda text: "Somerville" not in text, raises, lambda text: Verdict.hold()])
def test_a_stop_and_a_failure_cost_an_error_its_words(check: Any) -> None:
    error = failure(code="c")
    Gate([rail(check)], len).guard_error(error)
    assert (str(error), error.message, error.code) == (WITHHELD, "", "")
    assert (error.provider, error.status, error.retry_after, error.retryable) == ("openai", 429, 2.0, True)


def test_a_failure_that_is_let_through_lets_the_error_through() -> None:
    error = failure()
    Gate([rail(raises, fail_open=True)], len).guard_error(error)
    assert "Mary Somerville" in str(error)


def test_the_errors_of_this_library_are_no_ones_words() -> None:
    asked: list[str] = []
    gate = Gate([rail(asked.append)], len)
    gate.guard_error(StreamTimeoutError("total", configured=1.0, elapsed=1.5))
    stopped = failure()
    withhold(stopped)
    gate.guard_error(stopped)
    assert asked == []


def test_verdicts_are_told_and_an_error_is_judged_once() -> None:
    told: list[Fact] = []
    gate = Gate([rail(name="names")], len, tell=told.append)
    error = failure()
    gate.guard_error(error)
    gate.guard_error(error)
    assert told == [Judged("names", "allow"), Judged("names", "redact")]  # a sentence each


def test_the_guardrails_that_look_at_every_delta_come_first() -> None:
    seen: list[str] = []
    error = ProviderError("ada@example.org is unknown", provider="openai")
    Gate([rail(seen.append), PersonalData()], len).guard_error(error)
    assert seen == ["[email] is unknown"]


class Later(Guardrail):
    """Gives its verdict when it is awaited."""

    name = "later"
    unit: GuardUnit = "field"

    def __init__(self, answer: Callable[[GuardedText], Verdict] = lambda piece: ALLOW) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def check_text(self, piece: GuardedText) -> Verdict:
        self.asked.append(piece.text)
        return self.answer(piece)


def close(gate: Gate) -> None:
    ask = gate.asks
    assert ask is not None
    ask.judgement.close()  # type: ignore[union-attr]  # a coroutine: the verdict is given by hand


def test_an_awaited_verdict_keeps_an_error_closed_until_it_comes() -> None:
    gate = Gate([Later()], len)
    first, second = failure(code="c"), ProviderError("busy", provider="openai")
    before = str(first)
    gate.guard_error(first)
    gate.guard_error(second)
    assert (str(first), str(second)) == (WITHHELD, WITHHELD)
    close(gate)
    gate.settle(ALLOW)
    assert str(first) == WITHHELD  # its code waits as well
    close(gate)
    gate.settle(ALLOW)
    assert (str(first), first.code, str(second)) == (before, "c", WITHHELD)
    close(gate)
    gate.settle(Verdict.stop("no"))
    assert str(second) == WITHHELD
    assert gate.asks is None


@pytest.mark.parametrize("leave", [lambda gate: gate.leave(), lambda gate: gate.stop_error()])
def test_what_nobody_settles_is_not_said(leave: Callable[[Gate], object]) -> None:
    gate = Gate([Later()], len)
    error = failure()
    gate.guard_error(error)
    leave(gate)
    assert gate.asks is None
    assert (str(error), texts_of(error)["message"]) == (WITHHELD, "")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "fault",
    [
        status(400, body={"error": {"message": "no such user: Mary Somerville", "code": "unknown"}}),
        in_band_error(after=20, message="no such user: Mary Somerville", code="unknown"),
    ],
    ids=["body", "in the stream"],
)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda piece: Verdict.replace(named(piece.text)), "no such user: [name]"),
        (lambda piece: Verdict.stop("no") if piece.kind == "error" else ALLOW, WITHHELD),
        (lambda piece: 1 / 0 if piece.kind == "error" else ALLOW, WITHHELD),
    ],
    ids=["redacts", "stops", "fails"],
)
async def test_over_the_wire_an_awaited_guardrail_judges_what_the_provider_says(
    fault: Fault, answer: Callable[[GuardedText], Verdict], said: str
) -> None:
    later = Later(answer)
    async with serving(faults=[fault]) as (service, _):
        steps = await steps_of(service, request_for(guardrails=[later], cadence="delta"))
    outcome = steps[-1].outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.PROVIDER_ERROR
    assert "no such user: Mary Somerville" in later.asked
    assert said in str(outcome.error)
    assert said in outcome.attempts[-1].reason
    assert "Somerville" not in f"{outcome!r} {all_of(outcome.error)} {steps[-1].error}"


@pytest.mark.anyio
async def test_a_denied_word_and_a_field_guardrail_go_together() -> None:
    fault = status(500, body={"error": {"message": "hush: Mary Somerville"}})
    async with serving(faults=[fault]) as (service, _):
        steps = await steps_of(service, request_for(guardrails=[rail(unit="field"), DenyList(["hush"])]))
    assert steps[-1].error is not None
    assert WITHHELD in steps[-1].error


CUTS: dict[str, Made] = {
    "a page": lambda: http_failure("openai", 502, {}, b"x " * 240 + b"ada@example.org said so"),
    "a long page": lambda: http_failure("openai", 502, {}, b"x" * 1990 + b" ada@example.org said so"),
    "a sentence": lambda: stream_failure("openai", {"error": {"message": "x " * 245 + "ada@example.org said so"}}),
    "an event": lambda: ProtocolError("no such event", provider="openai", event="x " * 95 + "ada@example.org"),
    "a body that broke": lambda: cut_off(ProviderError("no such user: ada@exa", provider="openai", status=500)),
}


def cut_off(error: ProviderError) -> ProviderError:
    error.cut_off()
    error.cut_off()
    return error


@pytest.mark.parametrize("made", CUTS)
def test_where_a_text_was_cut_nothing_is_said_that_may_be_the_start_of_something(made: str) -> None:
    error = CUTS[made]()
    assert "…" in str(error)
    Gate([PersonalData()], len).guard_error(error)
    assert "…" in str(error)
    assert "ada" not in all_of(error)


def test_where_a_text_was_cut_a_sentence_without_an_end_is_not_said() -> None:
    error = cut_off(ProviderError("It failed. Ask Mary Somerv", provider="openai"))
    Gate([rail()], len).guard_error(error)
    assert (str(error), error.message) == ("openai: It failed.…", "It failed.…")


SAID: dict[str, Made] = {
    "a sentence": lambda: stream_failure("openai", {"error": {"message": "the model is loading…"}}),
    "a body": lambda: http_failure("openai", 503, {}, b'{"error": {"message": "the model is loading\xe2\x80\xa6"}}'),
    "a page": lambda: http_failure("openai", 503, {}, "<title>the model is loading…</title>".encode()),
    "an event": lambda: ProtocolError("no such event", provider="openai", event="the model is loading…"),
}


@pytest.mark.parametrize("made", SAID)
@pytest.mark.parametrize("guardrail", [PersonalData(), rail(), rail(unit="field")])
def test_an_ellipsis_that_the_provider_wrote_costs_no_word(made: str, guardrail: Guardrail) -> None:
    error = SAID[made]()
    Gate([guardrail], len).guard_error(error)
    assert "the model is loading…" in str(error)


def test_what_is_cut_in_an_error_within_an_error_is_cut() -> None:
    inner = json.dumps({"error": {"message": "x " * 245 + "ada@example.org said so"}})
    error = stream_failure("openai", {"error": {"message": inner}})
    Gate([PersonalData()], len).guard_error(error)
    assert str(error).endswith("x …")
