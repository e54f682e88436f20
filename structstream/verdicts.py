"""What a guardrail sees and what it says: the words between `guardrails/`, a caller's own, and the gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import re

__all__ = [
    "ALLOW",
    "REDACTED",
    "Action",
    "GuardMode",
    "GuardUnit",
    "GuardedText",
    "Guardrail",
    "Judgement",
    "Span",
    "TextEnd",
    "TextKind",
    "Verdict",
]

Action = Literal["allow", "redact", "hold", "stop"]
"""Let the text through; let it through without some of it; wait for more of it; end the stream."""

GuardMode = Literal["hold", "stream_first"]
"""``hold``: nothing is shown before it was judged. ``stream_first``: text is shown at once and judged behind it."""

GuardUnit = Literal["delta", "sentence", "field"]
"""When a guardrail looks: at every delta, where a sentence ends, or where a text ends."""

TextKind = Literal["value", "key", "scalar", "prose", "thinking", "refusal", "tool_call", "choice", "error"]
"""What a text is: of the answer a string, a key, a number; or what came beside the answer."""

TextEnd = Literal["delta", "sentence", "window", "field"]
"""Why a text is judged now: more may follow at once, a sentence or the window is full, or the text has ended."""

REDACTED = "[redacted]"
"""What stands in the place of a text that was taken out, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text to take out.

    Args:
        start, end: its place, in characters of the text that was judged.
        label: what stands there instead.
        more: what follows directly behind the stretch and matches this belongs to it, however long it is; None where
            the stretch ends at `end`.
        since: where that begins which makes it what it is, such as ``password:``; None for `start`.
    """

    start: int
    end: int
    label: str = REDACTED
    more: re.Pattern[str] | None = None
    since: int | None = None

    @property
    def begins(self) -> int:
        """Where the text begins that is let out together with it or not at all."""
        return self.start if self.since is None else self.since


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guardrail says about a text. It holds no text of an answer, so that it may be logged.

    Args:
        action: what is to be done.
        spans: what to take out.
        text: what stands in place of the whole text; None for none. Not in the repr.
        held_from: from which character on the text has to wait for more; None for none of it.
        reason: why the stream is to end, one sentence that quotes nothing.

    >>> Verdict.redact((4, 9)).spans
    (Span(start=4, end=9, label='[redacted]', more=None, since=None),)
    """

    action: Action
    spans: tuple[Span, ...] = ()
    text: str | None = field(default=None, repr=False)
    held_from: int | None = None
    reason: str = ""

    @classmethod
    def allow(cls) -> Verdict:
        """Let the text through."""
        return ALLOW

    @classmethod
    def redact(cls, *spans: Span | tuple[int, int] | tuple[int, int, str], held_from: int | None = None) -> Verdict:
        """Take stretches out; the text from `held_from` on waits for more."""
        made = tuple(span if isinstance(span, Span) else Span(*span) for span in spans)
        return cls("redact", made, held_from=held_from)

    @classmethod
    def replace(cls, text: str) -> Verdict:
        """Put `text` in the place of the whole text."""
        return cls("redact", text=text)

    @classmethod
    def hold(cls, start: int = 0) -> Verdict:
        """Let the text through up to `start`; the rest is judged again together with what follows."""
        return cls("hold", held_from=start)

    @classmethod
    def stop(cls, reason: str) -> Verdict:
        """End the stream."""
        return cls("stop", reason=reason)


ALLOW = Verdict("allow")
"""Let the text through."""

Judgement = Verdict | Awaitable[Verdict]
"""A verdict, or what gives one when it is awaited."""


class GuardedText:
    """A text that waits for its verdict.

    Args:
        text: what is to be judged.
        kind: what it is.
        end: why it is judged now.
        before: the end of what stands directly before `text` in the same field and was judged already, at most 16
            characters, as the model wrote it.
        offset: how many characters of the field stand before `text`.
        path: tells the field when it is asked.
    """

    __slots__ = ("_path", "before", "end", "kind", "offset", "text")

    def __init__(
        self,
        text: str,
        *,
        kind: TextKind = "value",
        end: TextEnd = "field",
        before: str = "",
        offset: int = 0,
        path: Callable[[], str] | str = "",
    ) -> None:
        self.text = text
        self.kind = kind
        self.end = end
        self.before = before
        self.offset = offset
        self._path = path

    @property
    def ended(self) -> bool:
        """Whether nothing follows in this field."""
        return self.end == "field"

    @property
    def path(self) -> str:
        """The field, such as ``items[2].note``; empty for the root and for what stands beside the answer."""
        return self._path if isinstance(self._path, str) else self._path()

    def __repr__(self) -> str:
        # The text stays out: a repr ends up in logs.
        return f"GuardedText({len(self.text)} characters, kind={self.kind!r}, end={self.end!r}, path={self.path!r})"


class Guardrail:
    """What judges prompts and answers; derive from it and override what is to be judged.

    The methods may be plain or ``async def``. One that raises, takes longer than `timeout`, or returns what is no
    `Verdict` is taken as a stop, unless `fail_open` says otherwise.

    A guardrail that looks at every delta gets the text that waits and says from where on it has to wait on
    (`Verdict.held_from`): from the first place at which something that it looks for may have begun. What it says about
    a place may depend on the text alone, never on how it was cut. One that looks at sentences or fields gets each
    stretch once.

    Attributes:
        name: told in errors and facts.
        mode: whether text waits for the verdict. With ``stream_first`` a verdict can still end the stream, or take
            stretches out of the final object, which the partials have then shown.
        unit: when it looks. In ``stream_first`` mode ``delta`` is taken as ``sentence``.
        window: characters that wait at most where no sentence ends.
        kinds: what it looks at; None for all, though one that looks at sentences or fields gets numbers, literals and
            the names of fields only where it names their kinds.
        paths: the fields of the answer that it looks at, each with all below it, such as ``items[*].note``, in which
            ``*`` stands for any one name, index or key; empty for all.
        timeout: seconds that an awaited verdict may take; None for no bound.
        fail_open: whether text goes through where the guardrail fails. Judged is told in both cases.
        trigger: a promise that makes it cheap. In a text in which this matches nowhere there is nothing to take out,
            and only what stands behind its last blank may be the start of something. None promises nothing.
        needs: another promise: where this matches nowhere in a text, there is nothing to take out of it, whatever may
            begin in it. None promises nothing.
        number_trigger: as `needs`, for JSON's numbers and literals, of which several may stand in one text.

    >>> class NoShouting(Guardrail):
    ...     name = "no shouting"
    ...     def check_text(self, piece):
    ...         return Verdict.stop("it shouts") if piece.text.isupper() else ALLOW
    >>> NoShouting().check_text(GuardedText("HELLO THERE.")).reason
    'it shouts'
    """

    name: str = "guardrail"
    mode: GuardMode = "hold"
    unit: GuardUnit = "sentence"
    window: int = 2000
    kinds: frozenset[TextKind] | None = None
    paths: Sequence[str] = ()
    timeout: float | None = 10.0
    fail_open: bool = False
    trigger: re.Pattern[str] | None = None
    needs: re.Pattern[str] | None = None
    number_trigger: re.Pattern[str] | None = None

    def check_prompt(self, text: str) -> Judgement:
        """Judge the text of the whole conversation before it is sent; anything but allow keeps it from being sent."""
        return ALLOW

    def check_text(self, piece: GuardedText) -> Judgement:
        """Judge a text of the answer."""
        return ALLOW

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, mode={self.mode!r}, unit={self.unit!r})"
