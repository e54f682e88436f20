"""The gate of one answer: its guardrails in two machines, one after the other, and the texts beside the answer."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from structstream.errors import (
    BlockedError,
    InvalidOutputError,
    JSONLimitError,
    JSONSyntaxError,
    StructStreamError,
)
from structstream.jsongrammar import SHORT
from structstream.text import render_path
from structstream.verdicts import REDACTED

from .errors import ErrorTexts, beginning_of, texts_of, told_of, withhold
from .rails import Rail
from .revision import Revision
from .rewrite import JSONRewriter, encode, is_plain
from .screen import Screen
from .segments import Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from structstream.continuation import OpenLevel
    from structstream.facts import Tell
    from structstream.partial.parser import Transducer
    from structstream.verdicts import Guardrail, TextKind, Verdict

    from .segments import Ask

__all__ = ["Gate"]

_SHORT_FIND = 8  # characters: one, in quotes, perhaps escaped
_literals = re.compile(r'"(?:[^"\\]|\\.)*+(?:(?P<closed>")|\\?\Z)', re.DOTALL)  # also one that the end has cut
# Words with a digit, such as a number, a time or an id; a date of HTTP; a yes or no.
_figures = re.compile(
    r"(?:(?=\S*[0-9])\S+)(?: (?=\S*[0-9])\S+)*+|true|false|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
)
_cut_escape = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")


class Gate:
    r"""Lets the text of one answer through as its guardrails judge it.

    Args:
        guardrails: in order; those that look at every delta come first, whatever their place.
        take: gets the JSON text that may be shown.
        repair: makes the document of what a model wrote; None where that is the document itself.
        prefix: text of the document that stands before what comes, and was judged: it is not let out again.
        wrap_key: the key of an object around the answer, which paths do not tell; None for no such object.
        names: gives the keys that are names of fields: no text of the answer, so that guardrails for sentences and
            fields look at them only where they ask for it. None: all keys are such.
        tell: hears each verdict; None for nobody.

    Raises:
        ConfigurationError: one of `guardrails` is none.

    >>> from structstream.guardrails import PersonalData
    >>> shown = []
    >>> gate = Gate([PersonalData()], shown.append)
    >>> for text in ('{"note": "Write to a', 'da@example', '.org now"', "}"): gate.feed(text)
    >>> shown
    ['{"note": "Write to ', '[email] now"', '}']
    """

    def __init__(
        self,
        guardrails: Sequence[Guardrail],
        take: Callable[[str], object],
        *,
        repair: Transducer | None = None,
        prefix: str = "",
        wrap_key: str | None = None,
        names: Callable[[], Container[str]] | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._take = take
        self._repair = repair
        self._prefix = prefix
        self._wrap_key = wrap_key
        rails = [Rail(guardrail, tell) for guardrail in guardrails]
        at_once = [rail for rail in rails if rail.guardrail.unit == "delta" and rail.guardrail.mode == "hold"]
        later = [rail for rail in rails if rail not in at_once]
        self._screened = _ScreenedJSON(at_once, self._path, self._place)
        self._segments = None
        if later:
            self._segments = Segments(later, wrap_key=wrap_key, names=None if names is None else names())
        self._errors = ErrorTexts(later)
        self._feed_string = self._screened.screen.feed
        self._at_once = repair is None and self._segments is None
        self._fault: StructStreamError | None = None  # of what the repair does not take

    # --- the answer ---

    def feed(self, text: str) -> None:
        """Take more of the answer.

        Raises:
            BlockedError: a guardrail said stop, or failed.
            JSONSyntaxError, JSONLimitError: the text is nothing that `repair` takes. Without a repair it is up to
                whoever reads what is let through to find what is no JSON: no more comes out.
        """
        screened = self._screened
        # What most deltas of a model are; `is_plain` stands here in full, as a call costs as much as all it does.
        if (
            screened.in_text
            and self._at_once
            and len(text) <= SHORT
            and '"' not in text
            and "\\" not in text
            and text.isprintable()
        ):
            text = self._feed_string(text)
            if text:
                plain = '"' not in text and "\\" not in text and text.isprintable()
                self._take(text if plain else encode(text)[1:-1])
            return
        try:
            if self._prefix:
                self._go_on()
            if self._repair is not None:
                text = self._repaired(self._repair, text)
            screened.feed(text)
        finally:
            if self._segments is None:
                self._take(screened.take())
            else:
                self._segments.feed(screened.take())
                self._work(self._segments)
        if self._fault is not None:
            raise self._safe(self._fault)

    def _go_on(self) -> None:
        prefix, self._prefix = self._prefix, ""
        open_text = self._screened.go_on_from(prefix)
        if open_text is not None:
            self._screened.screen.go_on(open_text)
        if self._segments is not None:
            self._segments.go_on(prefix)

    def _repaired(self, repair: Transducer, text: str) -> str:
        try:
            return repair.feed(text)
        except (JSONSyntaxError, JSONLimitError, InvalidOutputError) as error:
            self._fault = self._fault or error
            return repair.salvaged

    def _work(self, segments: Segments) -> None:
        try:
            segments.run()
        finally:
            self._take(segments.take())

    def finish(self) -> None:
        """End the answer. What waited for the end of a string that did not come is never shown.

        Raises:
            BlockedError: as `feed`.
            InvalidOutputError: the text is no rest of the document.
        """
        if self._prefix:
            self._go_on()
        lacks: InvalidOutputError | None = None
        if self._repair is not None and self._fault is None:
            try:
                self._screened.feed(self._repair.finish())
            except InvalidOutputError as error:
                lacks = error
            except (JSONSyntaxError, JSONLimitError):
                pass  # the text is open, or there is none: whoever reads it finds that
        self._screened.finish()
        text = self._screened.take()
        if self._segments is None:
            self._take(text)
        else:
            self._segments.feed(text)
            self._segments.finish()
            self._work(self._segments)
        if lacks is not None:
            raise self._safe(lacks)

    def locate(self, level: OpenLevel, text: str) -> int | None:
        """Return how much of `text`, as the model wrote it, is what was let through of it; None where it is not.

        Where several places may be meant, it is the last: then nothing of a long secret is behind it.
        """
        kept, place = level.so_far, self._unwrapped(level.path)
        screen = Screen(self._screened.rails, lambda: render_path(place), lambda: place)
        screen.begin("value")
        shown, found = "", 0 if not kept else None
        with suppress(BlockedError):
            for char in text:
                shown += screen.feed(char)
                if len(shown) > len(kept):
                    break
                if shown == kept:
                    found = screen.released
        return found

    # --- verdicts that are awaited ---

    @property
    def asks(self) -> Ask | None:
        """The judgement that has to be awaited before more is shown; None if none has."""
        ask = None if self._segments is None else self._segments.asks
        return ask or self._errors.asks

    def settle(self, verdict: Verdict) -> None:
        """Bring the verdict that `asks` asked for.

        Raises:
            BlockedError: it says stop, or a later one does, of what is no error.
        """
        if self._segments is None or self._segments.asks is None:
            self._errors.settle(verdict)
            return
        try:
            self._segments.settle(verdict)
        finally:
            self._take(self._segments.take())

    def leave(self) -> bool:
        """Give up what waits for a verdict; return whether some of the answer did."""
        self._errors.leave()
        return self._segments is not None and self._segments.leave()

    def close(self) -> None:
        """Let nothing out any more, and forget who took it: the gate stands in a circle, and is freed late."""
        self._take = _to_nobody

    def stop_error(self) -> bool:
        """Where the verdict on an error is what `asks` asked for: keep its words, as none came; else return False."""
        return (self._segments is None or self._segments.asks is None) and self._errors.stop()

    # --- texts beside the answer ---

    def judge(self, text: str, kind: TextKind, take: Callable[[str], None], *, cut: bool = False) -> None:
        """Judge a text that stands beside the answer; `take` gets what may be shown of it, at once or by `settle`.

        Args:
            text: the whole of it.
            kind: what it is.
            take: gets the rest.
            cut: whether it broke off before its end: then it may have ended within what is not to be shown.

        Raises:
            BlockedError: as `feed`.
        """
        text = self.redact(text, kind, cut=cut)
        if self._segments is None or not text:
            take(text)
        else:
            self._segments.judge(text, kind, take, cut=cut)
            self._segments.run()

    def redact(self, text: str, kind: TextKind = "error", *, cut: bool = False) -> str:
        """Return a whole text as the guardrails that look at every delta let it through.

        Args:
            text: the whole of it.
            kind: what it is.
            cut: as `judge`.

        Raises:
            BlockedError: as `feed`.
        """
        screen = self._screened.screen
        if "\\" in text:  # what is hidden behind escapes
            text = _literals.sub(lambda found: _judged_literal(screen, found, kind), text)
        if cut:
            screen.begin(kind)
            return screen.feed(text)
        judged = screen.whole(text, kind)
        return text if judged is None else judged

    def header(self, text: str) -> str:
        """Return the value of a header as it may be shown: empty where a guardrail stops it.

        A guardrail that looks at sentences or fields is not asked about each, it may be a service: where there is one,
        nothing is shown that could be words.
        """
        try:
            judged = self.redact(text)
        except BlockedError:
            return ""
        return judged if self._segments is None or _figures.fullmatch(judged.strip()) else ""

    @property
    def changed(self) -> bool:
        """Whether a guardrail that looks at sentences or fields took something out."""
        return self._segments is not None and self._segments.changed

    def guard_error(self, error: StructStreamError) -> None:
        """Take out of an error what is not to be shown; what has to be awaited first is out of it until then."""
        try:
            judged = {name: self._of_error(error, text) for name, text in texts_of(error).items()}
            args = told_of(error, judged)
            error.args = tuple(self._of_error(error, arg) if isinstance(arg, str) else arg for arg in args)
            for name, text in judged.items():
                setattr(error, name, text)
        except BlockedError:
            withhold(error)
        self._errors.judge(error)

    def _of_error(self, error: StructStreamError, text: str) -> str:
        whole = beginning_of(error, text)
        return self.redact(text) if whole == text else self.redact(whole, cut=True) + text[len(whole) :]

    @property
    def has_late(self) -> bool:
        """Whether something is to be taken out of text that was shown."""
        return self._segments is not None and bool(self._segments.late)

    def revised(self, text: str) -> str:
        """Return the JSON text without what was found in it after it was shown."""
        revision = Revision([] if self._segments is None else self._segments.late)
        revision.feed(text)
        revision.finish()
        return revision.take()

    # --- paths ---

    def _path(self) -> str:
        place = self._place()
        return render_path([self._shown(place[: depth + 1]) for depth in range(len(place))])

    def _place(self) -> Sequence[str | int]:
        return self._unwrapped(self._screened.place)

    def _unwrapped(self, place: Sequence[str | int]) -> Sequence[str | int]:
        return place[1:] if self._wrap_key is not None and place and place[0] == self._wrap_key else place

    def _shown(self, place: Sequence[str | int]) -> str | int:
        """The last key of a place as it may be told: as the model wrote it, it may hold what is not to be shown."""
        key = place[-1]
        if isinstance(key, int):
            return key
        if self._segments is not None and self._segments.judges_key(key):
            return REDACTED  # these verdicts come later
        try:
            judged = Screen(self._screened.rails, lambda: "", lambda: place).whole(key, "key")
        except BlockedError:
            return REDACTED
        return key if judged is None else judged

    def _safe(self, error: StructStreamError) -> StructStreamError:
        """An error that tells neither a path nor a word as the model wrote them."""
        if isinstance(error, JSONSyntaxError):
            return JSONSyntaxError(
                expected=error.expected,
                found=error.found if len(error.found) <= _SHORT_FIND or error.found == "end of text" else "a word",
                offset=error.offset,
                line=error.line,
                column=error.column,
                path=self._path(),
            )
        if isinstance(error, JSONLimitError) and error.path:
            return JSONLimitError(error.bound, error.limit, offset=error.offset, path=self._path())
        if isinstance(error, InvalidOutputError):
            return InvalidOutputError(error.problem, path=self._path())  # its value is a piece that nobody judged
        return error


class _ScreenedJSON(JSONRewriter):
    """JSON text through a `Screen`."""

    def __init__(
        self, rails: Sequence[Rail], path: Callable[[], str], place: Callable[[], Sequence[str | int]]
    ) -> None:
        super().__init__()
        self.rails = [Rail(rail.guardrail) for rail in rails]  # that tell nobody
        self.screen = Screen(rails, path, place)
        self.spares = self.screen.spares_numbers  # type: ignore[method-assign, assignment]  # a frame less for each structure

    def begin_string(self) -> None:
        self.screen.begin("value")

    def more_string(self, text: str) -> None:
        text = self.screen.feed(text)
        if text:
            self._out.append(text if is_plain(text) else encode(text)[1:-1])

    def end_string(self) -> None:
        text = self.screen.end()
        if text:
            self._out.append(encode(text)[1:-1])

    def string(self, text: str, raw: str) -> None:
        judged = self.screen.whole(text, "value")
        self._out.append(raw if judged is None else encode(judged))

    def key(self, name: str) -> None:
        judged = self.screen.whole(name, "key")
        self._out.append(encode(name if judged is None else judged))

    def scalar(self, raw: str) -> None:
        judged = self.screen.whole(raw, "scalar")
        self._out.append(raw if judged is None else encode(judged))


def _to_nobody(text: str) -> None:
    pass


def _judged_literal(screen: Screen, found: re.Match[str], kind: TextKind) -> str:
    literal, closed = found[0], bool(found["closed"])
    with suppress(ValueError):
        text = json.loads(literal if closed else _cut_escape.sub("", literal) + '"', strict=False)
        judged = screen.whole(text, kind)
        return literal if judged is None else encode(judged) if closed else encode(judged)[:-1]
    return literal
