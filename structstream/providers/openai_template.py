"""Chunks of the chat dialect that differ in their text only: read by what stands around it, which costs a fraction.

JSON in which one string stands for another one is the same JSON otherwise, so only the string has to be parsed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic_core import from_json

from structstream.errors import ProtocolError
from structstream.events import TextDelta

from .base import parse_object

if TYPE_CHECKING:
    from structstream.events import ProviderEvent

    from .base import JSONValue

__all__ = ["Template"]

# What stands around the text is learned so often at most, as some providers put something new into each chunk.
_TRIES = 16


class Template:
    r"""What stands before and behind the text in a chunk, once it is known.

    >>> template = Template(("tool_calls",), "openai")
    >>> data = '{"choices": [{"delta": {"content": "On"}}]}'
    >>> template.learn(data, parse_object(data, "openai"), TextDelta("On"))
    >>> template.text_within('{"choices": [{"delta": {"content": "ce"}}]}')
    'ce'
    >>> template.text_of(b'data: {"choices": [{"delta": {"content": " upon"}}]}\n\n')
    ' upon'
    """

    __slots__ = ("_after", "_begins", "_beside", "_ends", "_from", "_provider", "_tries", "_until", "before")

    def __init__(self, beside: tuple[str, ...], provider: str) -> None:
        self.before = self._after = ""  # empty while it is not known
        self._begins = self._ends = b""  # the same, with what makes an event of the stream of it
        self._from = self._until = 0
        self._beside = beside
        self._provider = provider
        self._tries = _TRIES

    def text_within(self, data: str) -> str:
        """Return the text of a chunk that is in all else as the one before; empty where it is not."""
        before, after = self.before, self._after
        if not (data.startswith(before) and data.endswith(after)):
            return ""
        raw = data[len(before) : -len(after)]
        if '"' not in raw and "\\" not in raw and raw.isprintable():
            return raw
        try:
            text: str = from_json(f'"{raw}"')
        except ValueError:
            return ""
        return text

    def text_of(self, event: bytes) -> str:
        """Return the text of such a chunk, of which these bytes are the whole event; empty where they are not."""
        if not (event.startswith(self._begins) and event.endswith(self._ends)):
            return ""
        try:
            text: str = from_json(event[self._from : self._until])  # which takes no line end within a string
        except ValueError:
            return ""
        return text

    def learn(self, data: str, chunk: dict[str, JSONValue], event: ProviderEvent) -> None:
        """Note what stands around the text of a chunk that holds nothing else: another text is put there for a test."""
        if not self._tries or type(event) is not TextDelta or event.choice or not event.text.isprintable():
            return
        before, found, after = data.rpartition(f'"{event.text}"')
        [choice, *others] = chunk["choices"]
        delta = choice.get("delta")
        beside = others or choice.get("finish_reason") or not delta or any(delta.get(key) for key in self._beside)
        if not found or beside:
            return
        self._tries -= 1
        delta["content"] = other = f"{event.text}?"
        with suppress(ProtocolError):
            if parse_object(f'{before}"{other}"{after}', self._provider) == chunk:
                self.before, self._after = f'{before}"', f'"{after}'
                self._begins, self._ends = f"data: {self.before}".encode(), f"{self._after}\n\n".encode()
                self._from, self._until = len(self._begins) - 1, 1 - len(self._ends)  # with the quotes

    def forget(self) -> None:
        """Read every chunk whole from now on."""
        self.before = self._after = ""
        self._begins = self._ends = b""
        self._from = self._until = self._tries = 0
