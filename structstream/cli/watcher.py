"""What the facts of a stream say while it runs, in words: the lower part of the demo's picture."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from structstream.facts import (
    AttemptBegan,
    AttemptEnded,
    BreakerChanged,
    CacheLooked,
    CallbackFailed,
    ConcurrencyChanged,
    FirstToken,
    Hedged,
    Judged,
    Stepped,
    StepsJoined,
    Waited,
)
from structstream.metrics import Gaps

from .figures import seconds_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from structstream.facts import Fact, StreamInfo

__all__ = ["Watcher"]

_ATTEMPTS = 5  # the newest, as an outage makes many


class Watcher:
    """An observer that keeps what a screen shows of pace, attempts, waits, breakers and guardrails; never any text.

    >>> watcher = Watcher()
    >>> watcher(None, Judged("secrets", "redact", "note"))
    >>> watcher.rows()
    [('guardrails', 'secrets: 1 redact')]
    """

    def __init__(self) -> None:
        self._gaps = Gaps()
        self._characters = 0
        self._at: float | None = None  # of the last step
        self._attempts: deque[list[str]] = deque(maxlen=_ATTEMPTS)  # number and what is said of it
        self._waits: Counter[str] = Counter()
        self._waited = 0.0
        self._verdicts: dict[str, Counter[str]] = {}
        self._joined = 0
        self._last: dict[str, str] = {}  # rows of which the newest counts

    def __call__(self, info: StreamInfo | None, fact: Fact) -> None:
        note = _NOTES.get(type(fact))
        if note is not None:
            note(self, fact)

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values: the pace so far, and `happenings`."""
        return [*self._pace(), *self.happenings()]

    def happenings(self) -> list[tuple[str, str]]:
        """Return names and values, of what has happened only."""
        rows = [(f"attempt {number}", ", ".join(said)) for number, *said in self._attempts]
        if self._waits:
            held = ", ".join(f"{limit} {count}" for limit, count in self._waits.items())
            rows.append(("held back by", f"{held}; {seconds_shown(self._waited)} in all"))
        rows += self._last.items()
        if self._verdicts:
            rows.append(("guardrails", "; ".join(_counts(name, found) for name, found in self._verdicts.items())))
        return rows

    def _pace(self) -> Iterator[tuple[str, str]]:
        if self._gaps.total:
            yield "characters a second", f"{self._characters / self._gaps.total:,.0f}"
            gaps = ((f"p{percent}", self._gaps.percentile(percent)) for percent in (50, 95, 99))
            yield "gaps so far", ", ".join(f"{name} {gap * 1e3:.1f} ms" for name, gap in gaps if gap is not None)

    def _step(self, fact: Stepped) -> None:
        if self._at is not None:
            self._gaps.add(fact.at - self._at)
            self._characters += sum(map(len, fact.response.raw_chunks))
        self._at = fact.at

    def _began(self, fact: AttemptBegan) -> None:
        why = [] if fact.plan is None else [fact.plan]
        self._attempts.append([str(fact.number), f"{fact.provider}/{fact.model}", fact.mode, *why])

    def _say(self, number: int, text: str) -> None:
        for attempt in self._attempts:
            if attempt[0] == str(number):
                attempt.append(text)

    def _first(self, fact: FirstToken) -> None:
        self._say(fact.number, f"first token after {seconds_shown(fact.seconds)}")

    def _ended(self, fact: AttemptEnded) -> None:
        self._say(fact.attempt.number, f"{fact.attempt.kind} after {seconds_shown(fact.seconds)}")

    def _held(self, fact: Waited) -> None:
        self._waits[f"{fact.limit} (refused)" if fact.refused else fact.limit] += 1
        self._waited += fact.seconds

    def _judged(self, fact: Judged) -> None:
        self._verdicts.setdefault(fact.guardrail, Counter())[fact.action] += 1

    def _breaker(self, fact: BreakerChanged) -> None:
        self._last["circuit breaker"] = f"{fact.provider}/{fact.model}: {fact.before} → {fact.after}"

    def _concurrency(self, fact: ConcurrencyChanged) -> None:
        self._last["concurrency"] = f"{fact.provider}: {fact.limit} at once"

    def _cache(self, fact: CacheLooked) -> None:
        self._last["cache"] = "hit" if fact.hit else "miss"

    def _hedged(self, fact: Hedged) -> None:
        self._last["hedge"] = f"a second request was sent; won by {fact.won}"

    def _slow(self, fact: StepsJoined) -> None:
        self._joined += fact.steps
        self._last["cadence"] = f"{self._joined} steps shown within later ones"

    def _failed(self, fact: CallbackFailed) -> None:
        self._last["callback"] = f"{fact.callback} raised {fact.error}"


# Any: each takes the fact that it stands beside
_NOTES: Mapping[type, Callable[[Watcher, Any], None]] = {
    Stepped: Watcher._step,
    AttemptBegan: Watcher._began,
    FirstToken: Watcher._first,
    AttemptEnded: Watcher._ended,
    Waited: Watcher._held,
    Judged: Watcher._judged,
    BreakerChanged: Watcher._breaker,
    ConcurrencyChanged: Watcher._concurrency,
    CacheLooked: Watcher._cache,
    Hedged: Watcher._hedged,
    StepsJoined: Watcher._slow,
    CallbackFailed: Watcher._failed,
}


def _counts(name: str, found: Counter[str]) -> str:
    return f"{name}: " + ", ".join(f"{count} {action}" for action, count in found.items())
