"""The answer to a residual request, turned while it comes into the text that continues the kept one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError
from structstream.jsonsink import DEFAULT_LIMITS, JSONLimits
from structstream.repair import JSONRepair

from .members import MemberReader
from .rest import rest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structstream.continuation import LevelKind, OpenLevel

    from .rest import Locate

__all__ = ["Splice"]

_FAULTS = (JSONSyntaxError, JSONLimitError, InvalidOutputError)


class Splice:
    """A linear transducer from an answer ``{"rest_1": …, "rest_2": …}`` to the text that follows the kept prefix.

    What `feed` returns, joined, does not depend on how the answer was cut. Levels are taken in any order: one that
    comes before its turn is held until then. Members that were there already are dropped; all else stays as it is
    written. Where the answer is no residual one but the whole document again, the missing parts are taken from it
    at its end.

    Args:
        levels: the open places, the innermost first.
        lenient: repair what models do to JSON.
        limits: the bounds of the document; None for the defaults.

    >>> from structstream.continuation import OpenLevel
    >>> splice = Splice([OpenLevel("text", ("a",), "rest_1"), OpenLevel("members", (), "rest_2", frozenset({"a"}), 1)])
    >>> splice.feed('{"rest_1": "lace", "rest'), splice.feed('_2": {"a": 0, "b": 1}}')
    ('lace"', ',"b": 1}')
    """

    def __init__(self, levels: Sequence[OpenLevel], *, lenient: bool = False, limits: JSONLimits | None = None) -> None:
        self._names = {level.name for level in levels if level.name}
        bounds = limits or DEFAULT_LIMITS
        # The answer has its own object and one a level around what goes into the document.
        self._limits = JSONLimits(
            max_depth=bounds.max_depth + 2,
            max_keys=bounds.max_keys,
            max_string_length=bounds.max_string_length,
            max_number_length=bounds.max_number_length,
        )
        self._repair = (
            JSONRepair(starts="{", max_depth=self._limits.max_depth, max_number_length=bounds.max_number_length)
            if lenient and self._names
            else None
        )
        self._levels = levels
        self._answer = MemberReader(self, "the rest", self._limits)
        self._turn = -1  # the level whose rest is due
        self._due = ""  # its name
        self._rest: _Rest | None = None  # takes what is due
        self._current = ""  # the member of the answer that is being written
        self._held: dict[str, list[str]] = {}
        self._done: set[str] = set()
        self._out: list[str] = []
        self.salvaged = ""
        """After an error: what stood before it in the `feed` that raised."""
        self.locate: Locate | None = None
        """Finds where an open text goes on, if what was kept of it may have been changed; None where it was not."""
        self._next()

    @property
    def begun(self) -> bool:
        """Whether anything of the answer was read."""
        return self._answer.begun

    def feed(self, text: str) -> str:
        """Take more of the answer; return the text that it adds to the document.

        Raises:
            JSONSyntaxError, JSONLimitError: the answer is not JSON.
            InvalidOutputError: it is no rest of the document.
        """
        try:
            self._answer.feed(text if self._repair is None else self._repaired(self._repair, text))
        except _FAULTS:
            self.salvaged = self._taken()
            raise
        return self._taken()

    def _repaired(self, repair: JSONRepair, text: str) -> str:
        try:
            return repair.feed(text)
        except (JSONSyntaxError, JSONLimitError):
            self._answer.feed(repair.salvaged)
            raise

    def finish(self) -> str:
        """End the answer; return what that adds: nothing as a rule.

        Raises:
            As `feed`.
        """
        if self._repair is None:
            return self._taken()
        repair, self._repair = self._repair, None
        return self.feed(repair.finish())

    def _taken(self) -> str:
        text = "".join(self._out)
        self._out.clear()  # the rests write to the same list
        return text

    def _next(self) -> None:
        """Close the levels that miss nothing, and take up the next one that does."""
        self._turn += 1
        self._due, self._rest = "", None
        while self._turn < len(self._levels):
            level = self._levels[self._turn]
            if level.name:
                self._due, self._rest = level.name, _RESTS[level.kind](level, self._out, self._limits)
                break
            self._out.append(_BRACKETS[level.kind])
            self._turn += 1

    # --- the members of the answer (MemberTaker) ---

    def begin(self, key: str, head: str) -> None:
        self._current = key
        if key in self._names and key not in self._done:
            self._held[key] = []

    def piece(self, raw: str) -> None:
        held = self._held.get(self._current)
        if held is None or self._current in self._done:
            return
        if self._rest is not None and self._current == self._due:
            self._rest.feed(raw)
        else:
            held.append(raw)

    def end(self) -> None:
        if self._current not in self._held or self._current in self._done:
            return
        self._done.add(self._current)
        if self._current != self._due:
            return
        del self._held[self._current]
        self._next()
        while self._rest is not None and self._due in self._done:
            self._rest.feed("".join(self._held.pop(self._due)))
            self._next()

    def ended(self) -> None:
        if not self._names or self._names <= self._done:
            return
        if self._done:
            missing = ", ".join(sorted(self._names - self._done))
            raise InvalidOutputError(f"the answer lacks {missing}, which it was asked for")
        self._take_from_whole(self._answer.text)

    def _take_from_whole(self, document: str) -> None:
        try:
            rest: Mapping[str, str] = rest_of(document, self._levels, *([self.locate] if self.locate else []))
        except ValueError as error:
            raise InvalidOutputError(f"the answer is neither the rest nor the same again: {error}") from error
        for name, raw in rest.items():
            self.begin(name, "")
            self.piece(raw)
            self.end()


_BRACKETS: Mapping[LevelKind, str] = {"members": "}", "items": "]", "text": '"'}


class _Rest:
    """Turns the rest of one level, as it comes, into what follows in the document."""

    bracket = ""
    what = ""

    def __init__(self, level: OpenLevel, out: list[str], limits: JSONLimits) -> None:
        self._level = level
        self._out = out
        self._limits = limits
        self._begun = False

    def feed(self, raw: str) -> None:
        """Take more of the rest as it is written."""
        if not self._begun and raw:
            if raw[0] != self.bracket:
                raise InvalidOutputError(f"{self._level.name} is to be {self.what}", value=raw)
            self._begun = True
            raw = self._first(raw)
        self._more(raw)

    def _first(self, raw: str) -> str:
        return raw[1:]

    def _more(self, raw: str) -> None:
        self._out.append(raw)


class _Text(_Rest):
    """The quote at its start is dropped; that at its end is the document's own."""

    bracket = '"'
    what = "a text"


class _Items(_Rest):
    """A comma takes the place of the bracket at its start, if items come before and after it."""

    bracket = "["
    what = "a list"
    _at_start = True

    def _more(self, raw: str) -> None:
        if self._at_start:
            raw = raw.lstrip(" \t\n\r")
            if not raw:
                return
            self._at_start = False
            if self._level.count and raw[0] != "]":
                self._out.append(",")
        self._out.append(raw)


class _Members(_Rest):
    """Each member that is not there yet follows behind a comma."""

    bracket = "{"
    what = "an object"

    def __init__(self, level: OpenLevel, out: list[str], limits: JSONLimits) -> None:
        super().__init__(level, out, limits)
        self._reader = MemberReader(self, level.name, limits)
        self._any = level.count > 0
        self._drops = False  # the member that is being written was there already

    def _first(self, raw: str) -> str:
        return raw

    def _more(self, raw: str) -> None:
        self._reader.feed(raw)

    # --- its members (MemberTaker) ---

    def begin(self, key: str, head: str) -> None:
        self._drops = key in self._level.keys
        if not self._drops:
            self._out.append(f",{head}" if self._any else head)
            self._any = True

    def piece(self, raw: str) -> None:
        if not self._drops:
            self._out.append(raw)

    def end(self) -> None:
        pass

    def ended(self) -> None:
        self._out.append("}")


_RESTS: Mapping[LevelKind, Callable[[OpenLevel, list[str], JSONLimits], _Rest]] = {
    "text": _Text,
    "items": _Items,
    "members": _Members,
}
