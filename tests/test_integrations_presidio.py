"""Presidio's findings become labels or stops; the real one is used where it is installed."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass

import pytest

from structstream.errors import BlockedError, MissingDependencyError
from structstream.integrations.presidio import PresidioGuardrail
from structstream.verdicts import ALLOW
from tests.guarding import gated


@dataclass
class Result:
    """As Presidio's own."""

    entity_type: str
    start: int
    end: int
    score: float


class Fake:
    """Finds Ada, and what looks like an address, the latter less surely."""

    def analyze(self, text: str, language: str, entities: list[str] | None, score_threshold: float) -> list[Result]:
        patterns = (("PERSON", r"Ada(?: Lovelace)?", 0.85), ("EMAIL_ADDRESS", r"\S+@\S+", 0.6))
        return [
            Result(name, *found.span(), score)
            for name, pattern, score in patterns
            for found in re.finditer(pattern, text)
            if (entities is None or name in entities) and score >= score_threshold and language == "en"
        ]


def test_findings_get_the_label_of_their_kind() -> None:
    text = '["Ask Ada Lovelace or bob@example.org", "nobody"]'
    for pieces in ([text], list(text)):
        assert gated([PresidioGuardrail(Fake())], pieces) == '["Ask [person] or [email_address]", "nobody"]'


def test_of_findings_that_overlap_the_best_counts() -> None:
    assert gated([PresidioGuardrail(Fake())], ['["Ada@example.org"]']) == '["[person]@example.org"]'


def test_entities_and_threshold_are_the_callers() -> None:
    text = '["Ada, bob@example.org"]'
    assert gated([PresidioGuardrail(Fake(), entities=["PERSON"])], [text]) == '["[person], bob@example.org"]'
    assert gated([PresidioGuardrail(Fake(), threshold=0.8)], [text]) == '["[person], bob@example.org"]'
    assert gated([PresidioGuardrail(Fake(), language="de")], [text]) == text


def test_a_finding_may_stop_the_stream_and_a_prompt() -> None:
    with pytest.raises(BlockedError, match="it holds PERSON"):
        gated([PresidioGuardrail(Fake(), on_find="stop")], ['["Ada"]'])
    assert PresidioGuardrail(Fake()).check_prompt("Who is Ada?").reason == "the prompt holds PERSON"
    assert PresidioGuardrail(Fake(), on_prompt="allow").check_prompt("Who is Ada?") is ALLOW


@pytest.mark.skipif(importlib.util.find_spec("presidio_analyzer") is not None, reason="Presidio is installed")
def test_without_presidio_the_sentence_says_what_to_install() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'structstream\[presidio\]'"):
        PresidioGuardrail()


@pytest.mark.skipif(importlib.util.find_spec("presidio_analyzer") is None, reason="Presidio is not installed")
def test_the_real_analyzer_is_one() -> None:
    presidio = importlib.import_module("presidio_analyzer")
    nlp = importlib.import_module("presidio_analyzer.nlp_engine")

    def nothing(self: object, text: str, language: str) -> object:
        return nlp.NlpArtifacts([], [], [], [], self, language)

    # The abstract methods of an engine that knows no language: recognizers of patterns need none.
    answers = {"is_loaded": True, "is_stopword": False, "is_punct": False, "get_supported_entities": []}
    methods = {name: lambda self, *others, answer=answer: answer for name, answer in answers.items()}
    more = {
        "load": lambda self: None,
        "process_text": nothing,
        "process_batch": lambda self, *others, **named: iter(()),
    }
    languages = {"get_supported_languages": lambda self: ["en"]}
    engine = type("NoEngine", (nlp.NlpEngine,), {**methods, **more, **languages})()
    ticket = presidio.PatternRecognizer("TICKET", patterns=[presidio.Pattern("ticket", r"\bT-[0-9]+\b", 0.9)])
    registry = presidio.RecognizerRegistry([ticket], supported_languages=["en"])
    analyzer = presidio.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    assert gated([PresidioGuardrail(analyzer)], ['["See T-4711 now"]']) == '["See [ticket] now"]'
