"""What guardrails keep back is kept back from a cassette: its events are written as the gate lets their texts through.

A recording holds what came over the wire, cut into deltas, so a datum stands in it in pieces. The texts that one place
in the events brings are put together, go through the gate, and what comes out is put where it came out.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from structstream.errors import BlockedError
from structstream.gate import Gate
from structstream.verdicts import REDACTED, Guardrail

from .errors import CassetteError
from .recording import Chunk

if TYPE_CHECKING:
    from .recording import Recording

__all__ = ["Guarded"]

_BLOCK = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)
_DATA = re.compile(rb"^data:[ ]?(.*)$", re.MULTILINE)
_PLACES = ("index", "output_index", "content_index", "summary_index")

_DOCUMENTS = frozenset({"args", "input"})  # where Gemini and Anthropic put an answer that is JSON, and not text of it

_Leaf = tuple[Any, Any]  # Any: a container of JSON, and a name or an index in it


class Guarded:
    """Lets the texts of one call into a file as its guardrails judge them.

    Args:
        guardrails: those of the call.
        question: the body of its request: keys that stand in a schema there are names of fields, and no texts.

    >>> from structstream.guardrails import PersonalData
    >>> Guarded([PersonalData()]).text("Write to ada@example.org now")
    'Write to [email] now'
    """

    def __init__(self, guardrails: Sequence[Guardrail], question: bytes = b"") -> None:
        self._guardrails = tuple(guardrails)
        self._names = frozenset(_names(_json(question))) if guardrails else frozenset()
        # Of those that have nothing to say about a prompt nothing is asked about it.
        self._asked_of_prompts = [
            rail
            for rail in guardrails
            if type(rail).check_prompt is not Guardrail.check_prompt and rail.unit == "delta"
        ]

    def text(self, text: str) -> str:
        """Return a text that stands alone.

        Raises:
            CassetteError: a guardrail is awaited, and cannot be asked.
        """
        if not self._guardrails or not text:
            return text
        out: list[str] = []
        gate = Gate(self._guardrails, out.append)
        try:
            gate.judge(text, "prose", out.append)
        except BlockedError:
            return REDACTED
        _settled(gate)
        return "".join(out)

    def headers(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return headers, by name."""
        return {name: self.text(value) for name, value in found.items()}

    def question(self, body: bytes) -> bytes:
        """Return the body of a request."""
        if not self._asked_of_prompts:
            return body
        gate = Gate(self._asked_of_prompts, _nothing)

        def judged(text: str) -> str:
            try:
                return gate.redact(text, "prose")
            except BlockedError:
                return REDACTED

        return _rewritten(body, judged, self._asked_of_prompts, self._names)

    def recording(self, recording: Recording) -> Recording:
        """Return what came, as the guardrails let it through; the reads keep their places around what was changed.

        Raises:
            CassetteError: a guardrail is awaited, and cannot be asked.
        """
        if not self._guardrails:
            return recording
        error = self.text(recording.error)
        if recording.body.lstrip()[:1] in (b"{", b"[", b"<"):
            return _recut(replace(recording, error=error), [(recording.body, self._whole(recording.body))])
        blocks = _BLOCK.findall(recording.body)
        rest = recording.body[sum(map(len, blocks)) :]
        # Of an event that the end has cut nobody has read anything.
        pairs = [*zip(blocks, self._events(blocks), strict=True), *([(rest, b"")] if rest else [])]
        return _recut(replace(recording, error=error), pairs)

    def _whole(self, body: bytes) -> bytes:
        return _rewritten(body, self._alone, self._guardrails, self._names)

    def _events(self, blocks: Sequence[bytes]) -> list[bytes]:
        read = [_json(b"\n".join(_DATA.findall(block.replace(b"\r\n", b"\n")))) for block in blocks]
        series: dict[str, list[_Leaf]] = {}
        changed: set[int] = set()
        for block, data in zip(blocks, read, strict=True):
            if data is not None:
                changed |= _judge_documents(data, self._guardrails, self._names)
                for place, leaf in _leaves(data, block.partition(b"data:")[0].decode("utf-8", "replace")):
                    series.setdefault(place, []).append(leaf)
        for leaves in series.values():
            before = [holder[name] for holder, name in leaves]
            after = self._said(before)
            for (holder, name), text in zip(leaves, after, strict=True):
                if holder[name] != text:
                    holder[name] = text
                    changed.add(id(holder))
        return [
            self._block(block, data, changed=data is not None and _holds(data, changed))
            for block, data in zip(blocks, read, strict=True)
        ]

    def _block(self, block: bytes, data: Any, *, changed: bool) -> bytes:  # Any: JSON
        head = block.partition(b"data:")[0] if data is not None else block
        judged = self.text(head.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if data is None:
            return judged if judged.endswith(b"\n\n") else judged + b"\n\n"
        if not changed:
            return judged + block[len(head) :]
        return judged + b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"

    def _said(self, pieces: Sequence[str]) -> list[str]:
        """The texts that one place has brought, in which no more is said than the gate lets through."""
        if len(set(pieces)) == 1:
            return [self._alone(text) for text in pieces]
        whole = "".join(pieces)
        if whole.lstrip()[:1] in ("{", "["):
            return self._through(pieces)
        judged = self._alone(whole)
        return list(pieces) if judged == whole else [*[""] * (len(pieces) - 1), judged]

    def _alone(self, text: str) -> str:
        if text.lstrip()[:1] in ("{", "["):
            return self._through([text])[0]
        return self.text(text)

    def _through(self, pieces: Sequence[str]) -> list[str]:
        return _through(pieces, self._guardrails, self._names)


def _through(pieces: Sequence[str], guardrails: Sequence[Guardrail], names: frozenset[str]) -> list[str]:
    """JSON text through a gate; each piece is what came out of it when the same piece of the other went in."""
    out: list[str] = []
    parts: list[str] = []
    gate = Gate(guardrails, parts.append, names=lambda: names)
    with suppress(BlockedError):  # after a stop nothing comes out
        for piece in pieces:
            gate.feed(piece)
            _settled(gate)
            out.append("".join(parts))
            parts.clear()
        gate.finish()
        _settled(gate)
    out.append("".join(parts))
    out += [""] * (len(pieces) + 1 - len(out))
    out[len(pieces) - 1 :] = ["".join(out[len(pieces) - 1 :])]
    return out


def _settled(gate: Gate) -> None:
    ask = gate.asks
    if ask is not None:
        gate.leave()
        raise CassetteError(
            f"the guardrail {ask.rail.name!r} is awaited, and a cassette cannot ask it what of an answer may be "
            "kept: record without it, or with one that judges at once"
        )


def _judge_documents(
    data: Any,  # Any: JSON
    guardrails: Sequence[Guardrail],
    names: frozenset[str],
) -> set[int]:
    """Judge the answers in an event that are JSON and not text of it; return what holds those that were changed."""
    changed: set[int] = set()
    for holder, name in _documents(data):
        [judged] = _through([json.dumps(holder[name], ensure_ascii=False)], guardrails, names)
        try:
            value = json.loads(judged)
        except ValueError:
            value = {}  # a guardrail has stopped it
        if value != holder[name]:
            holder[name] = value
            changed.add(id(holder))
    return changed


def _names(value: Any) -> Iterator[str]:  # Any: JSON
    """The names of the properties in the schemas of a question, wherever they stand."""
    if isinstance(value, dict):
        properties = value.get("properties")
        yield from properties if isinstance(properties, dict) else ()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(item)


def _documents(value: Any) -> Iterator[_Leaf]:  # Any: JSON
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in list(items):
        if _is_document(name, item):
            yield value, name
        elif isinstance(item, dict | list):
            yield from _documents(item)


def _is_document(name: object, item: object) -> bool:
    return name in _DOCUMENTS and isinstance(item, dict | list)


def _nothing(text: str) -> None:
    pass


def _json(data: bytes) -> Any | None:  # Any: JSON; None for what is none, or holds no text
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict | list) else None


def _leaves(value: Any, place: str) -> Iterator[tuple[str, _Leaf]]:  # Any: JSON
    """The texts in an event, each with its place; what is of another choice or another call has another place."""
    if isinstance(value, dict):
        numbers = [f"#{value[name]}" for name in _PLACES if isinstance(value.get(name), int)]
        place += "".join(numbers)
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in list(items):
        inner = f"{place}.{name}" if isinstance(value, dict) else place
        if isinstance(item, str):
            yield inner, (value, name)
        elif isinstance(item, dict | list) and not _is_document(name, item):
            yield from _leaves(item, inner)


def _holds(value: Any, changed: set[int]) -> bool:  # Any: JSON
    if id(value) in changed:
        return True
    items = value.values() if isinstance(value, dict) else value
    return any(_holds(item, changed) for item in items if isinstance(item, dict | list))


def _rewritten(
    body: bytes, judged: Callable[[str], str], guardrails: Sequence[Guardrail], names: frozenset[str]
) -> bytes:
    """A body that is one JSON value or a text, its texts as `judged` has them; the same bytes where it changes none."""
    data = _json(body)
    if data is None:
        return judged(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    changed = _judge_documents(data, guardrails, names)
    leaves = [leaf for _, leaf in _leaves(data, "")]
    found = [(holder, name, judged(holder[name])) for holder, name in leaves]
    if not changed and all(holder[name] == text for holder, name, text in found):
        return body
    for holder, name, text in found:
        holder[name] = text
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _recut(recording: Recording, pairs: Sequence[tuple[bytes, bytes]]) -> Recording:
    """The recording with the second of each pair for the first; a cut within one that was changed moves to its end."""
    olds = [0, *accumulate(len(old) for old, _ in pairs)]
    news = [0, *accumulate(len(new) for _, new in pairs)]

    def moved(cut: int) -> int:
        at = bisect_left(olds, cut) - 1
        if at < 0:
            return 0
        same = pairs[at][0] == pairs[at][1]
        return news[at] + cut - olds[at] if same else news[at + 1]

    body = b"".join(new for _, new in pairs)
    ends = [0, *(moved(end) for end in accumulate(len(chunk.data) for chunk in recording.chunks))]
    cuts = zip(recording.chunks, pairwise(ends), strict=True)
    chunks = tuple(Chunk(chunk.at, body[start:end]) for chunk, (start, end) in cuts)
    return replace(recording, chunks=tuple(chunk for chunk in chunks if chunk.data))
