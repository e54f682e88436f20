"""What a guardrail's verdict comes to, and which texts it looks at."""

from __future__ import annotations

import pytest

from structstream.errors import BlockedError, ConfigurationError
from structstream.facts import Fact, Judged
from structstream.gate.rails import Rail, awaits
from structstream.text import parse_path
from structstream.verdicts import ALLOW, GuardedText, Guardrail, Verdict


@pytest.mark.parametrize(
    ("path", "pattern", "below"),
    [
        ("items[2].note", "items[*]", True),
        ("items[2].note", "items[*].note", True),
        ("items[2].notes", "items[*].note", False),
        ("items[2]", "items[*].note", False),
        ("itemset", "items", False),
        ("a.b", "*.b", True),
        ('m["a b"]', "m[*]", True),
        *((path, pattern, True) for path in ("m.a", 'm["a b"]', 'm["a]b"].c', "m[1]") for pattern in ("m.*", "m[*]")),
        ("anything", "", True),
    ],
)
def test_a_path_is_below_a_pattern(path: str, pattern: str, below: bool) -> None:
    guardrail = Guardrail()
    guardrail.paths = [pattern]
    assert Rail(guardrail).looks_at("value", parse_path(path)) is below


def test_a_path_that_is_no_pattern_is_said_to_be_none() -> None:
    guardrail = Guardrail()
    guardrail.paths = ["items[].note"]
    with pytest.raises(ConfigurationError, match=r"'items\[\].note' is no path pattern"):
        Rail(guardrail)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "streamfirst"),
        ("unit", "sentences"),
        ("kinds", "value"),
        ("kinds", {"values"}),
        ("kinds", 3),
        ("paths", "note"),
        ("window", 0),
        ("window", 2.5),
        ("timeout", 0),
        ("timeout", "1"),
    ],
)
def test_what_would_make_a_guardrail_look_at_nothing_or_for_ever_is_refused(name: str, value: object) -> None:
    guardrail = Guardrail()
    setattr(guardrail, name, value)
    with pytest.raises(ConfigurationError, match=f"{name} of the guardrail 'guardrail' must be .*, not "):
        Rail(guardrail)


def test_paths_bound_the_answer_only_and_kinds_all_texts() -> None:
    guardrail = Guardrail()
    guardrail.paths = ("note",)
    rail = Rail(guardrail)
    assert rail.looks_at("value", ["note"])
    assert not rail.looks_at("value", ["title"])
    assert rail.looks_at("prose", [])
    guardrail.kinds = frozenset({"key"})
    assert not rail.looks_at("value", ["note"])


class Failing(Guardrail):
    """Raises whatever it is asked."""

    name = "failing"

    def check_text(self, piece: GuardedText) -> Verdict:
        raise ValueError(piece.text)

    def check_prompt(self, text: str) -> Verdict:
        raise ValueError(text)


def test_a_guardrail_that_raises_closes_the_gate_and_quotes_nothing() -> None:
    told: list[Fact] = []
    rail = Rail(Failing(), told.append)
    with pytest.raises(BlockedError, match=r"it failed itself \(ValueError\)") as of_text:
        rail.check(GuardedText("private", path="note"))
    with pytest.raises(BlockedError, match=r"it failed itself \(ValueError\)") as of_prompt:
        rail.check_prompt("private")
    assert "private" not in f"{of_text.value} {of_prompt.value}"
    assert told == [Judged("failing", "error", "note"), Judged("failing", "error", "")]


def test_a_guardrail_may_fail_open_and_is_told_all_the_same() -> None:
    told: list[Fact] = []
    guardrail = Failing()
    guardrail.fail_open = True
    assert Rail(guardrail, told.append).check(GuardedText("private")) is ALLOW
    assert told == [Judged("failing", "error", "")]


@pytest.mark.parametrize("verdict", [None, "stop", True])
def test_what_is_no_verdict_closes_the_gate(verdict: object) -> None:
    with pytest.raises(BlockedError, match="its verdict is"):
        Rail(Guardrail()).settled(verdict, "")


def test_a_stop_without_a_reason_says_so() -> None:
    with pytest.raises(BlockedError, match="it gave no reason"):
        Rail(Guardrail()).settled(Verdict("stop"), "")


def test_only_a_guardrail_is_one() -> None:
    with pytest.raises(ConfigurationError, match="wrap a function in CallableGuardrail"):
        Rail(len)  # type: ignore[arg-type]  # that is the test
    assert not awaits(ALLOW)
