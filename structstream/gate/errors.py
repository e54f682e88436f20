"""What a provider's error says, through the guardrails that look at sentences and fields.

An error is whole when it comes: each of its texts is one field that is closed, and there is nothing to show first. A
stop, or a guardrail that fails, costs the error its words and not its kind: a policy still knows whether to try again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from structstream.errors import CUT, BlockedError, ProtocolError, ProviderError, StructStreamError

from .segments import Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from structstream.verdicts import Verdict

    from .rails import Rail
    from .segments import Ask

__all__ = ["ErrorTexts", "beginning_of", "texts_of", "told_of", "withhold"]

_STOPPED = "an error whose text a guardrail has stopped"
_OURS = frozenset({"provider", "guardrail"})  # the names in the routing table, and of the caller's guardrail


def texts_of(error: StructStreamError) -> dict[str, str]:
    """The texts that an error keeps, by the names of its attributes, but for those that are this library's own."""
    return {name: value for name, value in vars(error).items() if isinstance(value, str) and name not in _OURS}


def beginning_of(error: StructStreamError, text: str) -> str:
    """A text of an error, but for the sign that it was cut off; an ellipsis that somebody has said stays."""
    return text.removesuffix(CUT) if getattr(error, "is_cut", True) else text


def told_of(error: StructStreamError, judged: Mapping[str, str]) -> tuple[object, ...]:
    """The arguments of an error in which the texts that it keeps stand as they were judged."""
    kept = texts_of(error)
    if isinstance(error, ProviderError) and error.args == (error.sentence(),):
        return (error.sentence(judged),)
    changed = [(text, judged[name]) for name, text in kept.items() if text and judged[name] != text]

    def told(arg: object) -> object:
        if not isinstance(arg, str):
            return arg
        for text, other in changed:
            arg = arg.replace(text, other).replace(repr(text)[1:-1], repr(other)[1:-1])
        return arg

    return tuple(map(told, error.args))


def withhold(error: StructStreamError) -> None:
    """Take all texts out of an error."""
    error.args = (f"blocked by the guardrail {error.guardrail!r}" if isinstance(error, BlockedError) else _STOPPED,)
    for name in texts_of(error):
        setattr(error, name, "")


def _quotes(error: BaseException) -> bool:
    """Whether an error says something in the words of others: itself, or of what it was made of."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        if isinstance(found, ProviderError | ProtocolError):
            return True
        seen.add(id(found))
        waiting += (found.__cause__, found.__context__)
    return False


class ErrorTexts:
    """Judges the errors of one answer.

    Args:
        rails: the guardrails that do not look at every delta.
    """

    def __init__(self, rails: Sequence[Rail]) -> None:
        self._rails = rails
        self._open: list[_OfOne] = []
        self._seen: list[StructStreamError] = []

    def judge(self, error: StructStreamError) -> None:
        """Judge an error, once; while verdicts are awaited it says nothing."""
        if error.args == (_STOPPED,) or any(error is seen for seen in self._seen):
            return
        self._seen.append(error)
        if self._rails and _quotes(error):
            one = _OfOne(error, Segments(self._rails, holds=True))
            if one.begin():
                self._open.append(one)

    @property
    def asks(self) -> Ask | None:
        """The judgement that has to be awaited next; None if none has."""
        return self._open[0].segments.asks if self._open else None

    def settle(self, verdict: Verdict) -> None:
        """Bring the verdict that `asks` asked for."""
        if self._open and not self._open[0].settle(verdict):
            del self._open[0]

    def stop(self) -> bool:
        """Keep the words of the error whose verdict failed to come; return whether there is one."""
        if not self._open:
            return False
        self._open.pop(0).segments.leave()
        return True

    def leave(self) -> None:
        """Give up what waits: it stays unsaid."""
        while self.stop():
            pass


class _OfOne:
    """The texts of one error, which stay out of it until all have been judged."""

    def __init__(self, error: StructStreamError, segments: Segments) -> None:
        self.segments = segments
        self._error = error
        self._names = texts_of(error)
        self._args = error.args
        # A sentence that is made of what the error keeps is made again, of what was judged.
        self._is_made = isinstance(error, ProviderError) and error.args == (error.sentence(),)
        self._judged: dict[str, str] = {}

    def begin(self) -> bool:
        """Judge what can be judged at once; return whether more has to be awaited."""
        texts = [text for text in self._names.values() if text]
        if not self._is_made:
            texts += [arg for arg in self._args if isinstance(arg, str)]
        withhold(self._error)
        for text in dict.fromkeys(texts):
            whole = beginning_of(self._error, text)
            take = partial(self._take, text, text[len(whole) :])
            self.segments.judge(whole, "error", take, cut=whole != text)
        return self._goes_on(self.segments.run)

    def settle(self, verdict: Verdict) -> bool:
        """Bring a verdict; return whether more has to be awaited."""
        return self._goes_on(partial(self.segments.settle, verdict))

    def _take(self, text: str, end: str, judged: str) -> None:
        self._judged[text] = judged + end

    def _goes_on(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except BlockedError:
            self.segments.leave()
            return False
        if self.segments.asks is not None:
            return True
        error, judged = self._error, self._judged
        kept = {name: judged.get(text, text) for name, text in self._names.items()}
        for name, text in kept.items():
            setattr(error, name, text)
        if isinstance(error, ProviderError) and self._is_made:
            error.args = (error.sentence(),)
        else:
            error.args = tuple(judged.get(arg, arg) if isinstance(arg, str) else arg for arg in self._args)
        return False
