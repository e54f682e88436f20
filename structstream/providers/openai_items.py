"""The output items of a response, as they come in pieces or whole: messages, function calls, reasoning.

The reading half of the Responses dialect that knows items only; `openai_responses` knows the events that bring them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from structstream.errors import ProtocolError
from structstream.events import RefusalDelta, TextDelta, ThinkingDelta, ToolDelta

from .base import SurrogateHalves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structstream.events import FinishReason, ProviderEvent

    from .base import JSONValue

    _Out = list[ProviderEvent]
    _Teller = Callable[["OutputItems", str, "OutputItem", str, _Out], None]

__all__ = ["OutputItem", "OutputItems"]


class _All(set[tuple[str, int]]):
    """Holds whatever it is asked for."""

    def __contains__(self, part: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


@dataclass(slots=True)
class OutputItem:
    """What is known of one output item.

    Args:
        index: its place in the response.
        kind: what it is; empty while that is not known.
        commentary: it is a message beside the answer.
        choice: the number of the message; None while it has said nothing.
        call: the number of the function call; None where it is none.
        name: the function's name, once it is known.
        told: the parts of it of which something was told, by kind and place.
    """

    index: int | str
    kind: str = ""
    commentary: bool = False
    choice: int | None = None
    call: int | None = None
    name: str = ""
    told: set[tuple[str, int]] = field(default_factory=set)


class OutputItems:
    """The items of one answer, and what was told of them.

    Args:
        provider: the provider's name, for errors.
        goes_on: of an item that is met without its beginning, whatever came before was told.
    """

    __slots__ = (
        "_answered",
        "_calls",
        "_goes_on",
        "_halves",
        "_items",
        "_others",
        "_provider",
        "_refused",
        "_spoken",
        "_thinking",
    )

    def __init__(self, provider: str, *, goes_on: bool = False) -> None:
        self._provider = provider
        self._goes_on = goes_on
        self._items: dict[int | str, OutputItem] = {}
        self._calls = self._others = 0  # others: messages beside the answer
        self._answered = self._spoken = self._refused = False
        self._thinking = ""  # the form in which it thinks aloud: some send two of the same
        self._halves: SurrogateHalves | None = None

    @property
    def reason(self) -> FinishReason:
        """Why a response that is complete has ended."""
        if self._calls:
            return "tool"
        return "refused" if self._refused and not self._spoken else "stop"

    @property
    def answered(self) -> bool:
        """Whether anything of an answer was told: reasoning is none, the final response may hold all else."""
        return self._goes_on or self._answered or self._refused or self._calls > 0

    def join_halves(self) -> None:
        """From now on join characters that are cut between two pieces; that costs time, so only where one was seen."""
        self._halves = self._halves or SurrogateHalves()

    def forget(self) -> None:
        """Begin to count items anew; calls and messages go on to be counted."""
        self._items = {}

    def at(self, index: JSONValue, id_: JSONValue = None) -> OutputItem:
        """Return the item at `index`, or where that is missing the one with `id_`; a new one where there was none.

        Raises:
            ProtocolError: neither is what it should be.
        """
        if type(index) is not int:
            index = id_ or 0
            if not isinstance(index, str | int):
                raise self._wrong("an output index", index)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = OutputItem(index, told=_All() if self._goes_on else set())
        return item

    def begin(self, index: JSONValue, id_: JSONValue = None) -> OutputItem:
        """Return the item as `at` does, one of which nothing was told if it is new.

        Raises:
            ProtocolError: as `at`.
        """
        item = self.at(index, id_)
        if isinstance(item.told, _All):
            item.told = set()
        return item

    def choice_of(self, item: OutputItem) -> int:
        """Return the number of a message: 0 is the answer."""
        if item.choice is None:
            if item.commentary or self._answered:
                self._others += 1
                item.choice = self._others
            else:
                self._answered = True
                item.choice = 0
        return item.choice

    def open(self, item: OutputItem, said: Mapping[str, JSONValue], out: _Out) -> None:
        """Tell that an item begins: of reasoning that too, for its text is mostly kept back.

        Raises:
            ProtocolError: it is not what the dialect promises.
        """
        kind, known = said.get("type"), item.kind
        item.kind = kind if isinstance(kind, str) else ""
        if kind == "message":
            item.commentary = said.get("phase") == "commentary"
        elif kind == "function_call":
            self._call(item, "", said.get("call_id") or "", said.get("name") or "", out)
        elif kind == "reasoning" and not known:
            out.append(ThinkingDelta(""))

    def tell(self, kind: str, item: OutputItem, place: int, text: JSONValue, out: _Out) -> None:
        """Tell more text of one part of an item.

        Raises:
            ProtocolError: `text` is none.
        """
        if not isinstance(text, str):
            raise self._wrong(f"the text of {kind}", text)
        if self._halves is not None:
            text = self._halves.join(text, kind, item.index, place)
        if text:
            item.told.add((kind, place))
            _PARTS[kind](self, kind, item, text, out)

    def tell_part(self, item: OutputItem, place: int, part: Mapping[str, JSONValue], out: _Out) -> None:
        """Tell a whole part of an item, if nothing of it was told.

        Raises:
            ProtocolError: as `tell`.
        """
        kind = part.get("type")
        if isinstance(kind, str) and kind in _PARTS and (kind, place) not in item.told:
            self.tell(kind, item, place, part.get("refusal" if kind == "refusal" else "text") or "", out)

    def tell_call(self, item: OutputItem, said: Mapping[str, JSONValue], out: _Out) -> None:
        """Tell a whole function call, or what is not known of it yet.

        Raises:
            ProtocolError: as `open`.
        """
        self._call(item, "", said.get("call_id") or "", said.get("name") or "", out)
        if not item.told:
            self.tell("arguments", item, 0, said.get("arguments") or "", out)

    def tell_item(self, item: OutputItem, said: Mapping[str, JSONValue], out: _Out) -> None:
        """Tell a whole item, if nothing of its text was told.

        Raises:
            ProtocolError: as `open`.
        """
        kind = said.get("type")
        if kind == "function_call":
            self.tell_call(item, said, out)
            return
        if kind not in ("message", "reasoning"):
            return
        self.open(item, said, out)
        if not item.told:
            for key in ("summary", "content"):
                for place, part in enumerate(self.objects(said.get(key), key)):
                    self.tell_part(item, place, part, out)
        signature = said.get("encrypted_content")
        if kind == "reasoning" and isinstance(signature, str) and signature and ("seal", 0) not in item.told:
            item.told.add(("seal", 0))
            out.append(ThinkingDelta("", signature))

    def objects(self, value: JSONValue, what: str) -> list[Mapping[str, JSONValue]]:
        """Return `value`, a list of objects or nothing.

        Raises:
            ProtocolError: it is something else.
        """
        if not isinstance(value, list | None) or not all(isinstance(one, dict) for one in value or ()):
            raise self._wrong(what, value)
        return value or []

    def _text(self, _kind: str, item: OutputItem, text: str, out: _Out) -> None:
        self._spoken = True
        out.append(TextDelta(text, self.choice_of(item)))

    def _refusal(self, _kind: str, item: OutputItem, text: str, out: _Out) -> None:
        self._refused = True
        out.append(RefusalDelta(text, self.choice_of(item)))

    def _think(self, kind: str, _item: OutputItem, text: str, out: _Out) -> None:
        self._thinking = self._thinking or kind
        if self._thinking == kind:
            out.append(ThinkingDelta(text))

    def _arguments(self, _kind: str, item: OutputItem, text: str, out: _Out) -> None:
        self._call(item, text, "", "", out)

    def _call(self, item: OutputItem, text: str, id_: JSONValue, name: JSONValue, out: _Out) -> None:
        if not isinstance(id_, str) or not isinstance(name, str):
            raise self._wrong("a function call", [id_, name])
        new = item.call is None
        if item.call is None:
            item.call = self._calls
            self._calls += 1
        if new or text or (name and not item.name):
            out.append(ToolDelta(text, item.call, id_ if new else "", "" if item.name else name))
        item.name = item.name or name

    def _wrong(self, what: str, value: JSONValue) -> ProtocolError:
        return ProtocolError(f"{what} of an unknown form", provider=self._provider, event=repr(value))


_PARTS: Mapping[str, _Teller] = {
    "output_text": OutputItems._text,
    "refusal": OutputItems._refusal,
    "summary_text": OutputItems._think,
    "reasoning_text": OutputItems._think,
    "arguments": OutputItems._arguments,
}
"""How each kind of part is told."""
