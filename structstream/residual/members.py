"""A JSON object as it is written, cut into its members: each handed over verbatim while it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError
from structstream.jsonstream import JSONStream

if TYPE_CHECKING:
    from structstream.jsonsink import JSONLimits

__all__ = ["MemberReader", "MemberTaker"]


class MemberTaker(Protocol):
    """Receives the members of an object; how their text is cut into pieces depends on how it came."""

    def begin(self, key: str, head: str) -> None:
        """The value of `key` begins; `head` is what stands before it: the key as written, and the colon."""

    def piece(self, raw: str) -> None:
        """More of the value, as it is written."""

    def end(self) -> None:
        """The value has closed."""

    def ended(self) -> None:
        """The object has closed."""


class MemberReader:
    """Reads one JSON object, or a list where that is taken, and hands over its entries.

    A number or a literal is handed over when it has closed, a string or a container as it comes.

    Args:
        taker: receives the members.
        name: what the object is called in an error.
        limits: the bounds of the text.
        lists: whether a list may stand there, too; its items are handed over as members without key and head.
    """

    def __init__(self, taker: MemberTaker, name: str, limits: JSONLimits, *, lists: bool = False) -> None:
        self._taker = taker
        self._name = name
        self._reader = JSONStream(self, limits=limits, allow_nan=True)
        self._lists = lists
        self.is_list = False
        """Whether it is a list."""
        self._depth = 0
        self._key = ""
        self._key_at = 0
        self._from: int | None = None  # offset up to which the value that is open was handed over

    @property
    def done(self) -> bool:
        """Whether the object has closed."""
        return self._reader.done

    @property
    def begun(self) -> bool:
        """Whether any text came."""
        return self._reader.buffer.length > 0

    @property
    def text(self) -> str:
        """All that came."""
        return self._reader.buffer.text()

    def feed(self, text: str) -> None:
        """Take more text.

        Raises:
            JSONSyntaxError, JSONLimitError: the text is not JSON; what stood before the fault was handed over.
            InvalidOutputError: it is no object.
        """
        try:
            self._reader.feed(text)
        except (JSONSyntaxError, JSONLimitError) as error:
            self._hand_over(error.offset)
            raise
        self._hand_over(self._reader.buffer.length)

    def _hand_over(self, end: int) -> None:
        if self._from is not None and end > self._from:
            start, self._from = self._from, end
            self._taker.piece(self._reader.buffer.slice(start, end))

    def _begin(self, at: int) -> None:
        if self._depth == 1:
            self._from = at
            self._taker.begin(self._key, "" if self.is_list else self._reader.buffer.slice(self._key_at, at))

    def _end(self, end: int) -> None:
        if self._depth == 1:
            self._hand_over(end)
            self._from = None
            self._taker.end()

    def _within(self) -> None:
        if not self._depth:
            raise InvalidOutputError(f"{self._name} is to be an object", value=self.text)

    # --- what the reader tells (JSONSink) ---

    def open_object(self, at: int) -> None:
        self._begin(at)
        self._depth += 1

    def open_array(self, at: int) -> None:
        if not self._depth and self._lists:
            self.is_list = True
        else:
            self._within()
            self._begin(at)
        self._depth += 1

    def key(self, name: str) -> None:
        if self._depth == 1:
            self._key, self._key_at = name, self._reader.mark

    def close(self, end: int) -> None:
        self._depth -= 1
        self._end(end)
        if not self._depth:
            self._taker.ended()

    def scalar(self, raw: str, end: int) -> None:
        self._within()
        self._begin(end - len(raw))
        self._end(end)

    def open_string(self, at: int) -> bool:
        self._within()
        self._begin(at)
        return False

    def piece(self, text: str) -> None:
        raise AssertionError("no string's pieces are wanted")

    def close_string(self, end: int) -> None:
        self._end(end)

    def string(self, text: str, at: int) -> None:
        self._within()
        self._begin(at)
        self._end(at + len(text) + 2)

    def container(self, raw: str, at: int) -> bool:
        if not self._depth:
            return False
        self._begin(at)
        self._end(at + len(raw))
        return True
