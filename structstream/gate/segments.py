"""The guardrails that look at sentences or whole fields, and those that have to be awaited.

What they have not judged waits here, and all that stands behind it. A verdict that has to be awaited stops the work
until `settle` brings it; whoever reads the stream awaits it (this machine knows no event loop).
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structstream.text import render_path
from structstream.verdicts import GuardedText, Verdict

from .rails import Rail, awaits
from .rewrite import JSONRewriter, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Sequence

    from structstream.verdicts import Judgement, TextEnd, TextKind

__all__ = ["Ask", "Place", "Segments", "redacted"]

# A blank follows the end of a sentence, but for scripts that do without: there it is whatever is no mark and no closing
# quote. Arabic, Urdu, Devanagari, Armenian and Ethiopic have marks of their own.
_FULL = "\u3002\uff01\uff1f\uff61"
_MARKS = f".!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362{_FULL}"
_CLOSING = r"\"')\]\u2019\u201d\u00bb\u203a\u300d\u300f\uff09\u3011\u3009\u300b"
_sentence_ends = re.compile(
    rf"[{_MARKS}][{_CLOSING}]*(?=\s)|[{_FULL}][{_CLOSING}]*(?=[^\s{_CLOSING}{_MARKS}])|\n"
).finditer
_MAX_MARKS = 8  # a sentence's end may be this long and still lack the blank behind it


Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A judgement that has to be awaited.

    Args:
        rail: whose.
        judgement: what to await.
        path: the field; of a key that of the object that it stands in.
        place: the field as the names and indices that lead to it, as they are shown.
        kind: what the text is.
        offset, size: where in the field the text stands that is judged, in characters.
    """

    rail: Rail
    judgement: Judgement
    path: str
    place: Place = ()
    kind: TextKind = "value"
    offset: int = 0
    size: int = 0


_Entry = tuple[str, str, "Place", "Callable[[str], None] | None"]
"""What waits in line: the part, its text, its place, and who takes a whole text once it was judged.

The place of a text that was cut is its kind: it stands beside the answer.
"""


class _Stage:
    """One guardrail over one text after another."""

    def __init__(self, rail: Rail, owner: Segments, *, holds: bool = False) -> None:
        self.rail = rail
        self._owner = owner
        self._shows_first = rail.guardrail.mode == "stream_first" and not holds
        self._looks = True
        self.passes = False
        """Whether the text was judged before: but what is judged behind it is, anew, as its verdict is for the end."""
        self._kind: TextKind = "value"
        self._place: Place = ()
        self._path = ""
        self._parts: list[str] = []  # text that waits for its verdict
        self._size = 0
        self._judged = 0  # how much of it was judged and held
        self._offset = 0

    def begin(self, kind: TextKind, place: Place, path: str, *, looks: bool) -> None:
        """Begin another text; `looks`: whether the guardrail is to see it."""
        self._looks = looks
        self._kind, self._place, self._path = kind, place, path
        self._parts = []
        self._size = self._judged = self._offset = 0

    def feed(self, text: str) -> Generator[Ask, Verdict, str]:
        """Take text; return what goes on to the next stage."""
        if not self._looks:
            return text
        if self.passes and not self._shows_first:
            self._offset += len(text)
            return text
        out = [text] if self._shows_first else []
        while text:
            cut, end = self._cut(text)
            self._parts.append(text[:cut])
            self._size += cut
            text = text[cut:]
            if end is not None:
                out.append((yield from self._judge(end)))
        return "".join(out)

    def close(self) -> Generator[Ask, Verdict, str]:
        """End the text; return the rest of it."""
        if not self._looks or not (self._parts or not self._offset) or (self.passes and not self._shows_first):
            return ""
        return (yield from self._judge("field"))

    def _cut(self, text: str) -> tuple[int, TextEnd | None]:
        """How much of `text` belongs to the stretch that is being gathered, and why that ends there."""
        guardrail = self.rail.guardrail
        if guardrail.unit == "field":
            return len(text), None
        room = max(0, guardrail.window - self._size)
        last = "".join(self._parts[-_MAX_MARKS:])[-_MAX_MARKS:]
        for found in _sentence_ends(last + text):
            cut = found.end() - len(last)
            if 0 <= cut <= room and self._size + cut > self._judged:
                return cut, "sentence"
        return (room, "window") if len(text) >= room else (len(text), None)

    def _judge(self, end: TextEnd) -> Generator[Ask, Verdict, str]:
        text = "".join(self._parts)
        piece = GuardedText(text, kind=self._kind, end=end, offset=self._offset, path=self._path)
        judgement = self.rail.check(piece)
        if self._shows_first:
            ask = Ask(self.rail, judgement, self._path, self._place, self._kind, self._offset, len(text))
            self._parts, self._size = [], 0
            self._offset += len(text)
            self._owner.judge_behind(ask)
            return ""
        if awaits(judgement):
            judgement = yield Ask(self.rail, judgement, self._path)
        verdict = self.rail.settled(judgement, self._path)
        self.rail.tell(verdict.action, self._path)
        return self._taken(text, verdict, end)

    def _taken(self, text: str, verdict: Verdict, end: TextEnd) -> str:
        """Return what may go on, and keep the rest for the next judgement."""
        held = len(text) if verdict.held_from is None else max(0, min(verdict.held_from, len(text)))
        if held < len(text) and end in ("field", "window"):
            what = "the field has ended" if end == "field" else "its window is full"
            self.rail.settled(Verdict.stop(f"it holds text back, and {what}"), self._path)
        self._parts = [text[held:]] if held < len(text) else []
        self._size = self._judged = len(text) - held
        self._offset += held
        if verdict.action != "redact":
            return text[:held]
        self._owner.changed = True
        return redacted(text[:held], verdict)


def _wants(rail: Rail, kind: TextKind) -> bool:
    """Names and scalars are judged by those who name them: a call to a service for each would be a surprise."""
    return kind not in ("key", "scalar") or (rail.guardrail.kinds is not None and kind in rail.guardrail.kinds)


def redacted(text: str, verdict: Verdict) -> str:
    """Return `text` without what the verdict takes out.

    >>> redacted("Ada Lovelace", Verdict.redact((4, 12, "[name]")))
    'Ada [name]'
    """
    if verdict.text is not None:
        return verdict.text
    out: list[str] = []
    at = 0
    for span in sorted(verdict.spans, key=lambda each: each.start):
        if at <= span.start < span.end <= len(text):
            out += (text[at : span.start], span.label)
            at = span.end
    return "".join((*out, text[at:]))


class Segments(JSONRewriter):
    """Reads JSON text, and lets its strings out as the guardrails have judged them.

    Args:
        rails: the guardrails, in the order in which each sees what the one before let through.
        wrap_key: the key of an object around the answer, which paths do not tell; None for no such object.
        names: the keys that are names of fields; None where all are.
        holds: whether a guardrail that would show first is waited for as well.
    """

    def __init__(
        self,
        rails: Sequence[Rail],
        *,
        wrap_key: str | None = None,
        names: Container[str] | None = None,
        holds: bool = False,
    ) -> None:
        super().__init__()
        self._names = names
        self._wrap_key = wrap_key
        self._stages = [_Stage(rail, self, holds=holds) for rail in rails]
        self._kinds = {kind for kind in ("key", "scalar") if any(_wants(rail, kind) for rail in rails)}
        self._line: deque[_Entry] = deque()
        self._renamed: dict[Place, str] = {}  # keys that are shown as something else
        self._worker = self._work()
        self._waits: Ask | None = None
        self._left = False
        self._behind: deque[Ask] = deque()
        self.changed = False
        """Whether something was taken out."""
        self.late: list[tuple[Ask, Verdict]] = []
        """What is to be taken out of the final object, as it was found in text that had been shown."""

    @property
    def asks(self) -> Ask | None:
        """The judgement that has to be awaited next; None if none has."""
        return self._waits or (self._behind[0] if self._behind else None)

    def run(self) -> None:
        """Work through what came, as far as verdicts allow.

        Raises:
            BlockedError: a guardrail said stop, or failed.
        """
        if self._waits is None and not self._left:
            self._left = True  # a stop leaves nothing to go on with
            self._waits = next(self._worker)
            self._left = False

    def go_on(self, text: str) -> None:
        """Go on behind `text`, which was judged and came out before.

        Raises:
            BlockedError: as `run`.
        """
        for stage in self._stages:
            stage.passes = True
        self.feed(text)
        self.run()
        for stage in self._stages:
            stage.passes = False
        self.take()
        self._scalar = []

    def settle(self, verdict: Verdict) -> None:
        """Bring the verdict that `asks` asked for.

        Raises:
            BlockedError: it says stop, or a later one does.
        """
        if self._waits is not None:
            self._waits, self._left = None, True
            self._waits = self._worker.send(verdict)
            self._left = False
        elif self._behind:
            self._settle_behind(self._behind.popleft(), verdict)

    def leave(self) -> bool:
        """Give up what waits; return whether something did."""
        left = [*self._behind, *([self._waits] if self._waits is not None else [])]
        self._behind.clear()
        self._waits, self._left = None, True
        self._worker.close()
        for ask in left:
            close = getattr(ask.judgement, "close", None)
            if close is not None:
                close()  # a coroutine that nobody awaits says so when it is dropped
        return bool(left)

    def judge(self, text: str, kind: TextKind, take: Callable[[str], None], *, cut: bool = False) -> None:
        """Judge a text that stands beside the answer; `take` gets what may be shown of it.

        Of one that was `cut`, what waits for its end never comes out.
        """
        self._line.append(("cut", text, (kind,), take) if cut else (kind, text, (), take))

    def judge_behind(self, ask: Ask) -> None:
        """Take a judgement on text that was shown already."""
        if awaits(ask.judgement):
            self._behind.append(ask)
        else:
            self._settle_behind(ask, ask.judgement)

    def _settle_behind(self, ask: Ask, judgement: object) -> None:
        verdict = ask.rail.settled(judgement, ask.path)
        ask.rail.tell(verdict.action, ask.path)
        if verdict.action == "redact":
            self.changed = True
            self.late.append((ask, verdict))

    # --- the line ---

    def _shown(self, place: Place) -> Place:
        """A place by the keys that were shown."""
        if not self._renamed:
            return place
        return tuple(self._renamed.get(place[: depth + 1], name) for depth, name in enumerate(place))

    def _unwrapped(self, place: Place) -> Place:
        return place[1:] if self._wrap_key is not None and place and place[0] == self._wrap_key else place

    def emit(self, text: str) -> None:
        self._line.append(("raw", text, (), None))

    def begin_string(self) -> None:
        self._line.append(("begin", "", tuple(self._place), None))

    def more_string(self, text: str) -> None:
        self._line.append(("more", text, (), None))

    def end_string(self) -> None:
        self._line.append(("end", "", (), None))

    def string(self, text: str, raw: str) -> None:
        self._line.append(("value", text, tuple(self._place), self._take_string))

    def key(self, name: str) -> None:
        if not self.judges_key(name):
            self.emit(encode(name))
            return
        place = tuple(self._place)

        def take(judged: str) -> None:
            if judged != name:
                self._renamed[place] = judged
            self._take_string(judged)

        self._line.append(("key", name, place, take))

    def judges_key(self, name: str) -> bool:
        """Whether some guardrail may look at a key."""
        return "key" in self._kinds or self._is_free(name)

    def _is_free(self, name: object) -> bool:
        return self._names is not None and name not in self._names

    def scalar(self, raw: str) -> None:
        def take(judged: str) -> None:
            self._out.append(judged if judged == raw else encode(judged))

        self._line.append(("scalar", raw, tuple(self._place), take))

    def spares(self, raw: str) -> bool:
        return "scalar" not in self._kinds

    def _take_string(self, text: str) -> None:
        self._out.append(encode(text))

    # --- the work ---

    def _work(self) -> Generator[Ask | None, Verdict, None]:
        line = self._line
        while True:
            if not line:
                yield None
                continue
            part, text, place, take = line.popleft()
            if take is not None and part == "cut":
                self._start(place[0], ())  # type: ignore[arg-type]  # its kind stands there
                take((yield from self._through(text)))
            elif take is not None:
                kind: TextKind = part  # type: ignore[assignment]  # whole texts stand in line under their kind
                self._start(kind, place)
                take((yield from self._through(text)) + (yield from self._ends()))
            elif part == "raw":
                self._out.append(text)
            elif part == "begin":
                self._start("value", place)
            else:
                judged = yield from (self._ends() if part == "end" else self._through(text))
                self._out.append(encode(judged)[1:-1])

    def _start(self, kind: TextKind, place: Place) -> None:
        shown = self._shown(place)
        path = render_path(self._unwrapped(shown[:-1] if kind == "key" else shown))  # a key that is judged is not told
        free = kind == "key" and self._is_free(place[-1])
        place = self._unwrapped(place)
        for stage in self._stages:
            looks = stage.rail.looks_at(kind, place) and (free or _wants(stage.rail, kind))
            stage.begin(kind, shown, path, looks=looks)

    def _through(self, text: str) -> Generator[Ask, Verdict, str]:
        for stage in self._stages:
            text = yield from stage.feed(text)
        return text

    def _ends(self) -> Generator[Ask, Verdict, str]:
        text = ""
        for stage in self._stages:
            through = yield from stage.feed(text)
            text = through + (yield from stage.close())
        return text
