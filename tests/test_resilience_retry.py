"""The decision table of the retries, as data; waits, budgets and what is said of an error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from structstream import errors
from structstream.errors import StructStreamError
from structstream.policies import RetryPolicy
from structstream.providers.failures import http_failure
from structstream.resilience.retry import RetryBudget, delay, judged, keyed, reasked, repeatable
from structstream.response import Outcome, kind_of
from tests.policy import REQUEST

POLICY = RetryPolicy()


def of(error: StructStreamError, **headers: str) -> Outcome[object]:
    return Outcome(kind_of(error), error=error, headers={k.replace("_", "-"): v for k, v in headers.items()})


STATUSES = {
    **dict.fromkeys((408, 409, 425, 429, 500, 502, 503, 504, 529), "retry"),
    **dict.fromkeys((400, 401, 402, 403, 404, 413, 422), "end"),
}


@pytest.mark.parametrize(("status", "verdict"), STATUSES.items())
def test_a_status_is_retried_or_final(status: int, verdict: str) -> None:
    assert judged(of(http_failure("openai", status, {}, b"")), POLICY) == verdict


@pytest.mark.parametrize(("status", "said", "verdict"), [(500, "false", "end"), (400, "true", "retry")])
def test_the_provider_may_say_itself_whether_to_retry(status: int, said: str, verdict: str) -> None:
    assert judged(of(http_failure("openai", status, {"x-should-retry": said}, b"")), POLICY) == verdict
    error = http_failure("openai", status, {}, b"")
    assert judged(of(error, x_should_retry=said), POLICY) == verdict


def test_a_conflict_is_final_where_the_body_must_not_be_repeated() -> None:
    conflict = of(http_failure("openai", 409, {}, b""))
    assert judged(conflict, POLICY, repeatable=False) == "end"
    assert judged(of(http_failure("openai", 500, {}, b"")), POLICY, repeatable=False) == "retry"
    assert repeatable(REQUEST)
    assert not repeatable(replace(REQUEST, extra={"conversation": "conv_1"}))


TIMEOUTS = {"connect": "retry", "first_token": "retry", "between_tokens": "retry", "total": "end"}
OTHERS: list[tuple[StructStreamError, str]] = [
    (errors.ConnectionFailedError("refused", provider="openai"), "retry"),
    (errors.UnexpectedResponseError("a page", provider="openai"), "retry"),
    (errors.ProtocolError("no JSON", provider="openai"), "retry"),
    (errors.SSEError("max_line_bytes", 5), "retry"),
    (errors.IncompleteError("ended"), "retry"),
    (errors.TruncatedError("cut"), "continue"),
    (errors.InvalidOutputError("no number"), "reask"),
    (errors.RefusedError("no"), "end"),
    (errors.FilteredError("cut"), "end"),
    (errors.BlockedError("rail", "no"), "end"),
    (errors.BudgetExceededError("max_bytes", configured=5, found=6), "end"),
    (errors.StreamCancelledError("left"), "end"),
    (errors.QuotaExceededError("no credit", provider="openai", status=429), "end"),
    (errors.UnavailableError("no"), "end"),
    (errors.LimitReachedError("tokens", provider="openai", max_wait=1, retry_after=0.5), "end"),
    (errors.CircuitOpenError("openai", "o3", retry_after=60), "end"),
    (errors.CircuitOpenError("openai", "o3", retry_after=1), "retry"),
    *((errors.StreamTimeoutError(name, configured=1, elapsed=2), verdict) for name, verdict in TIMEOUTS.items()),
]


@pytest.mark.parametrize(("error", "verdict"), OTHERS, ids=lambda value: type(value).__name__)
def test_an_end_is_followed_by_what_may_help(error: StructStreamError, verdict: str) -> None:
    assert judged(of(error), POLICY) == verdict


def test_a_whole_answer_is_followed_by_nothing() -> None:
    assert judged(Outcome(kind_of(errors.IncompleteError("x")).COMPLETE), POLICY) == "end"


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_drawn_between_nothing_and_a_bound_that_doubles(failures: int, drawn: float) -> None:
    wait = delay(of(errors.IncompleteError("x")), POLICY, failures=failures, random=lambda: drawn)
    assert wait == drawn * min(30.0, 0.5 * 2 ** min(failures - 1, 10))


@given(st.floats(0, 60), st.floats(0, 1))
def test_a_wait_that_is_asked_for_is_never_shortened(asked: float, drawn: float) -> None:
    slow = of(errors.RateLimitedError("slow", provider="openai", retry_after=asked))
    wait = delay(slow, POLICY, failures=1, random=lambda: drawn)
    assert wait is not None
    assert asked <= wait <= asked + 0.5


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    slow = of(errors.RateLimitedError("slow", provider="openai", retry_after=61))
    assert delay(slow, POLICY, failures=1, random=lambda: 0) is None


@given(st.lists(st.sampled_from(["enter", "leave", "take", "give"]), max_size=60), st.integers(0, 4))
def test_retries_under_way_stay_within_a_share_of_the_calls(moves: list[str], least: int) -> None:
    budget, policy = RetryBudget(), RetryPolicy(share=0.5, least=least)
    calls = retries = 0
    for move in moves:
        if move == "enter":
            budget.enter()
            calls += 1
        elif move == "leave" and calls:
            budget.leave()
            calls -= 1
        elif move == "give" and retries:
            budget.give()
            retries -= 1
        elif move == "take":
            there = retries < max(least, calls // 2)
            assert budget.take(policy) is there
            retries += there
        assert (budget.calls, budget.retries) == (calls, retries)


def test_a_wrong_answer_is_shown_to_the_model_up_to_a_bound() -> None:
    wrong = errors.InvalidOutputError("too long", path="name", value="x" * 500)
    request = reasked(REQUEST, replace(of(wrong), raw_text="y" * 100_000))
    assert [len(turn["content"]) for turn in request.conversation][1] == 20_000
    assert len(request.conversation[2]["content"]) < 400
    assert reasked(REQUEST, of(errors.IncompleteError("x"))) is REQUEST
    (first, told) = reasked(replace(REQUEST, system=None), of(wrong)).conversation
    assert (first["role"], told["role"]) == ("user", "user")


def test_a_key_is_told_apart_for_each_body_and_other_headers_stay() -> None:
    request = replace(REQUEST, headers={"x-team": "a"})
    assert keyed(request, "k", 1).headers == {"x-team": "a", "Idempotency-Key": "k"}
    assert keyed(request, "k", 3).headers["Idempotency-Key"] == "k-3"
