"""The gate of one answer: its guardrails in two machines, one after the other, and the texts beside the answer."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from structstream.errors import BlockedError, JSONLimitError, JSONSyntaxError, StructStreamError
from structstream.partial.wrapped import unwrapped_path
from structstream.verdicts import Guardrail, Span, Verdict

from .rails import Rail
from .rewrite import JSONRewriter, encode
from .screen import Screen
from .segments import Ask, Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structstream.facts import Tell
    from structstream.jsonsink import JSONLimits
    from structstream.repair import JSONRepair
    from structstream.verdicts import GuardedText, TextKind

__all__ = ["Gate"]

_literals = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)


class Gate:
    r"""Lets the text of one answer through as its guardrails judge it.

    Args:
        guardrails: in order; those that look at every delta come first, whatever their place.
        take: gets the JSON text that may be shown.
        limits: the bounds of the document; None for the defaults.
        repair: makes JSON of what a model wrote; None where only JSON is taken.
        allow_nan: whether ``NaN`` and ``Infinity`` are taken.
        wrap_key: the key of an object around the answer, which paths do not tell; None for no such object.
        tell: hears each verdict; None for nobody.

    Raises:
        ConfigurationError: one of `guardrails` is none.

    >>> from structstream.guardrails import PersonalData
    >>> shown = []
    >>> gate = Gate([PersonalData()], shown.append)
    >>> for text in ('{"note": "Write to a', 'da@example', '.org now"', "}"): gate.feed(text)
    >>> shown
    ['{"note": "Write to ', '', '[email] now"', '}']
    """

    def __init__(
        self,
        guardrails: Sequence[Guardrail],
        take: Callable[[str], object],
        *,
        limits: JSONLimits | None = None,
        repair: JSONRepair | None = None,
        allow_nan: bool = False,
        wrap_key: str | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._take = take
        self._repair = repair
        self._wrap_key = wrap_key
        rails = [Rail(guardrail, tell) for guardrail in guardrails]
        at_once = [rail for rail in rails if rail.guardrail.unit == "delta" and rail.guardrail.mode == "hold"]
        later = [rail for rail in rails if rail not in at_once]
        self._screened = _ScreenedJSON(at_once, self._path, limits=limits, allow_nan=allow_nan)
        self._segments = (
            Segments(later, limits=limits, allow_nan=allow_nan, wrap_key=wrap_key) if later else None
        )
        self._in_steps = repair is not None or self._segments is not None
        self._broken = False

    # --- the answer ---

    def feed(self, text: str) -> None:
        """Take more of the answer.

        Raises:
            BlockedError: a guardrail said stop, or failed.
            JSONSyntaxError, JSONLimitError: as `JSONStream.feed`; the paths in them are judged as well.
        """
        if self._broken:
            return
        error = self._read(text) if self._in_steps else self._screen(text)
        if error is not None:
            self._broken = True
            raise error

    def _screen(self, text: str) -> StructStreamError | None:
        """As `_read`, where there is one machine only."""
        try:
            self._screened.feed(text)
        except (BlockedError, JSONSyntaxError, JSONLimitError) as error:
            self._take(self._screened.take())
            return self._safe(error)
        out = self._screened.take()
        if out:
            self._take(out)
        return None

    def _read(self, text: str) -> StructStreamError | None:
        """Read text and give what comes of it; return what ends the reading."""
        found: StructStreamError | None = None
        if self._repair is not None:
            try:
                text = self._repair.feed(text)
            except (JSONSyntaxError, JSONLimitError) as error:
                text, found = self._repair.salvaged, error
        try:
            self._screened.feed(text)
        except (BlockedError, JSONSyntaxError, JSONLimitError) as error:
            found = error
        text = self._screened.take()
        if self._segments is not None:
            try:
                self._segments.feed(text)
                self._segments.run()
            except (BlockedError, JSONSyntaxError, JSONLimitError) as error:
                found = error
            text = self._segments.take()
        self._take(text)
        return None if found is None else self._safe(found)

    def finish(self) -> None:
        """End the answer. What waited for the end of a string that did not come is never shown.

        Raises:
            BlockedError: as `feed`.
        """
        if self._broken:
            return
        self._broken = True
        if self._repair is not None:
            with suppress(JSONSyntaxError, JSONLimitError):
                self._read(self._repair.finish())
        with suppress(JSONSyntaxError, JSONLimitError):  # whoever reads what was let through finds the same
            self._screened.finish()
        text = self._screened.take()
        if self._segments is not None:
            with suppress(JSONSyntaxError, JSONLimitError):
                self._segments.feed(text)
                self._segments.finish()
            self._segments.run()
            text = self._segments.take()
        self._take(text)

    # --- verdicts that are awaited ---

    @property
    def asks(self) -> Ask | None:
        """The judgement that has to be awaited before more is shown; None if none has."""
        return None if self._segments is None else self._segments.asks

    def settle(self, verdict: Verdict) -> None:
        """Bring the verdict that `asks` asked for.

        Raises:
            BlockedError: it says stop, or a later one does.
        """
        if self._segments is not None:
            try:
                self._segments.settle(verdict)
            except BlockedError:
                self._broken = True
                raise
            finally:
                self._take(self._segments.take())

    def leave(self) -> bool:
        """Give up what waits for a verdict; return whether something did."""
        return self._segments is not None and self._segments.leave()

    # --- texts beside the answer ---

    def judge(self, text: str, kind: TextKind, take: Callable[[str], None]) -> None:
        """Judge a text that stands beside the answer; `take` gets what may be shown of it, at once or by `settle`.

        Raises:
            BlockedError: as `feed`.
        """
        text = self.redact(text, kind)
        if self._segments is None or not text:
            take(text)
        else:
            self._segments.judge(text, kind, take)
            self._segments.run()

    def redact(self, text: str, kind: TextKind = "error") -> str:
        """Return a whole text as the guardrails that look at every delta let it through.

        Raises:
            BlockedError: as `feed`.
        """
        screen = self._screened.screen
        if "\\" in text:  # what is hidden behind escapes
            text = _literals.sub(lambda literal: _judged_literal(screen, literal[0], kind), text)
        judged = screen.whole(text, kind)
        return text if judged is None else judged

    @property
    def changed(self) -> bool:
        """Whether a guardrail that looks at sentences or fields took something out."""
        return self._segments is not None and self._segments.changed

    def guard_error(self, error: StructStreamError) -> None:
        """Redact what an error says and keeps."""
        try:
            error.args = tuple(self.redact(arg) if isinstance(arg, str) else arg for arg in error.args)
            for name, value in list(vars(error).items()):
                if isinstance(value, str):
                    setattr(error, name, self.redact(value))
        except BlockedError:
            error.args = ("an error whose text a guardrail has stopped",)
            for name, value in list(vars(error).items()):
                if isinstance(value, str):
                    setattr(error, name, "")

    @property
    def has_late(self) -> bool:
        """Whether something is to be taken out of text that was shown."""
        return self._segments is not None and bool(self._segments.late)

    def revised(self, text: str) -> str:
        """Return the JSON text without what was found in it after it was shown."""
        parts: list[str] = []
        late = [] if self._segments is None else self._segments.late
        gate = Gate([_Late(late)], parts.append, wrap_key=self._wrap_key)
        with suppress(JSONSyntaxError, JSONLimitError):
            gate.feed(text)
        gate.finish()
        return "".join(parts)

    # --- paths ---

    def _path(self) -> str:
        # As the model wrote them, keys may hold what is not to be shown.
        path = self._screened.path
        screen = Screen(self._screened.rails, lambda: "")
        with suppress(BlockedError):
            judged = screen.whole(path, "key")
            path = path if judged is None else judged
        return path if self._wrap_key is None else unwrapped_path(path, self._wrap_key) or ""

    def _safe(self, error: StructStreamError) -> StructStreamError:
        """An error whose path may be shown."""
        if isinstance(error, JSONSyntaxError) and error.path:
            return JSONSyntaxError(
                expected=error.expected,
                found=error.found,
                offset=error.offset,
                line=error.line,
                column=error.column,
                path=self._path(),
            )
        if isinstance(error, JSONLimitError) and error.path:
            return JSONLimitError(error.bound, error.limit, offset=error.offset, path=self._path())
        return error


class _ScreenedJSON(JSONRewriter):
    """JSON text through a `Screen`."""

    def __init__(
        self, rails: Sequence[Rail], path: Callable[[], str], *, limits: JSONLimits | None, allow_nan: bool
    ) -> None:
        super().__init__(limits=limits, allow_nan=allow_nan)
        self.rails = [Rail(rail.guardrail) for rail in rails]  # that tell nobody
        self.screen = Screen(rails, path)
        self.whole = self.screen.whole  # type: ignore[method-assign]  # a frame less for each string and number
        self.whole_container = self.screen.is_harmless  # type: ignore[method-assign]

    def begin_string(self) -> None:
        self.screen.begin("value")

    def more_string(self, text: str) -> None:
        text = self.screen.feed(text)
        if text:
            self._out.append(text if '"' not in text and "\\" not in text and text.isprintable() else encode(text)[1:-1])

    def end_string(self) -> None:
        text = self.screen.end()
        if text:
            self._out.append(encode(text)[1:-1])


class _Late(Guardrail):
    """Takes out of a finished text what was found in it after it was shown."""

    name = "late"
    unit = "field"

    def __init__(self, late: Sequence[tuple[Ask, Verdict]]) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        for ask, verdict in late:
            spans = [Span(0, ask.size, verdict.text)] if verdict.text is not None else verdict.spans
            found = self._spans.setdefault((ask.kind, ask.path), [])
            found += [Span(ask.offset + span.start, ask.offset + span.end, span.label) for span in spans]

    def check_text(self, piece: GuardedText) -> Verdict:
        spans = self._spans.get((piece.kind, piece.path), ())
        return Verdict.redact(*spans) if spans else Verdict.allow()


def _judged_literal(screen: Screen, literal: str, kind: TextKind) -> str:
    with suppress(ValueError):
        text = json.loads(literal, strict=False)
        judged = screen.whole(text, kind)
        return literal if judged is None else encode(judged)
    return literal
