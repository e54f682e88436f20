"""Microsoft Presidio as a guardrail: names, places and all else that its recognizers find."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from structstream import GuardedText, Guardrail, MissingDependencyError, Span, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

__all__ = ["Analyzer", "Finding", "PresidioGuardrail"]


class Finding(Protocol):
    """What an analyzer finds; `presidio_analyzer.RecognizerResult` is one."""

    entity_type: str
    start: int
    end: int
    score: float


class Analyzer(Protocol):
    """What finds it; `presidio_analyzer.AnalyzerEngine` is one."""

    def analyze(self, text: str, language: str, entities: list[str] | None, score_threshold: float) -> Sequence[Any]:
        """Return the findings."""  # Any: a Finding; foreign classes declare their attributes in their own ways
        ...


class PresidioGuardrail(Guardrail):
    """Takes out, or stops at, what Presidio finds.

    A text waits until its field has ended, so that the recognizers see it whole. The analyzer runs on the event loop:
    give it recognizers that are quick enough for that.

    Args:
        analyzer: the caller's, with the recognizers and language models that it needs; None builds Presidio's default,
            which downloads a language model at its first use if there is none.
        entities: what to look for, by Presidio's names; None for all that it knows.
        language: of the texts.
        threshold: the least score of a finding, 0 to 1.
        on_find: ``redact`` puts a label such as ``[person]`` in its place; ``stop`` ends the stream.
        on_prompt: whether a prompt in which something is found is kept from being sent (``stop``) or not looked at.
        paths: the fields that it looks at; empty for all.

    Raises:
        MissingDependencyError: no analyzer was given and Presidio is not installed.

    Example::

        service.route_structured_streaming(StreamingStructuredRequest(..., guardrails=[PresidioGuardrail()]))
    """

    name = "presidio"
    unit = "field"

    def __init__(
        self,
        analyzer: Analyzer | None = None,
        *,
        entities: Sequence[str] | None = None,
        language: str = "en",
        threshold: float = 0.5,
        on_find: Literal["redact", "stop"] = "redact",
        on_prompt: Literal["stop", "allow"] = "stop",
        paths: Sequence[str] = (),
    ) -> None:
        self._analyzer = _default() if analyzer is None else analyzer
        self._entities = None if entities is None else list(entities)
        self._language = language
        self._threshold = threshold
        self.on_find = on_find
        self.on_prompt = on_prompt
        self.paths = paths

    def check_prompt(self, text: str) -> Verdict:
        """Look at a prompt."""
        found = [] if self.on_prompt == "allow" else self._find(text)
        return Verdict.stop(f"the prompt holds {_names(found)}") if found else Verdict.allow()

    def check_text(self, piece: GuardedText) -> Verdict:
        """Look at a text of an answer."""
        found = self._find(piece.text)
        if not found:
            return Verdict.allow()
        if self.on_find == "stop":
            return Verdict.stop(f"it holds {_names(found)}")
        return Verdict.redact(*(Span(each.start, each.end, f"[{each.entity_type.lower()}]") for each in found))

    def _find(self, text: str) -> list[Finding]:
        """The findings in order; of those that overlap the best."""
        found: list[Finding] = sorted(
            self._analyzer.analyze(
                text=text, language=self._language, entities=self._entities, score_threshold=self._threshold
            ),
            key=lambda each: (-each.score, each.start - each.end),
        )
        kept: list[Finding] = []
        for each in found:
            if not any(each.start < other.end and other.start < each.end for other in kept):
                kept.append(each)
        return sorted(kept, key=lambda each: each.start)


def _default() -> Analyzer:
    try:
        engine: Callable[[], Analyzer] = import_module("presidio_analyzer").AnalyzerEngine
    except ImportError:
        raise MissingDependencyError("the Presidio guardrail", "presidio") from None
    return engine()


def _names(found: Sequence[Finding]) -> str:
    return " and ".join(sorted({each.entity_type for each in found}))
