"""What was found in a text after it was shown is taken out of it: of the final object, as nobody can unsee the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structstream.verdicts import Span, Verdict

from .rewrite import JSONRewriter, encode
from .segments import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structstream.verdicts import TextKind

    from .segments import Ask, Place

__all__ = ["Revision"]


class Revision(JSONRewriter):
    """Copies the text of an answer without what late verdicts take out.

    Args:
        late: what was asked, and the verdict.
    """

    def __init__(self, late: Iterable[tuple[Ask, Verdict]]) -> None:
        super().__init__()
        self._spans: dict[tuple[TextKind, Place], list[Span]] = {}
        self._text: list[str] = []
        for ask, verdict in late:
            spans = [Span(0, ask.size, verdict.text)] if verdict.text is not None else verdict.spans
            found = self._spans.setdefault((ask.kind, ask.place), [])
            found += [Span(ask.offset + span.start, ask.offset + span.end, span.label) for span in spans]

    def _revised(self, kind: TextKind, text: str) -> str:
        spans = self._spans.get((kind, tuple(self._place)))
        return text if spans is None else redacted(text, Verdict.redact(*spans))

    def begin_string(self) -> None:
        self._text = []

    def more_string(self, text: str) -> None:
        self._text.append(text)

    def end_string(self) -> None:
        self.emit(encode(self._revised("value", "".join(self._text)))[1:-1])

    def string(self, text: str, raw: str) -> None:
        revised = self._revised("value", text)
        self.emit(raw if revised == text else encode(revised))

    def key(self, name: str) -> None:
        self.emit(encode(self._revised("key", name)))

    def scalar(self, raw: str) -> None:
        revised = self._revised("scalar", raw)
        self.emit(raw if revised == raw else encode(revised))

    def spares(self, raw: str) -> bool:
        return not any(kind == "scalar" for kind, _ in self._spans)
