"""The recorded streams, for the tests of each dialect: read whole, in cuts and without their framing, and counted."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from structstream.events import ProviderEvent, ServerSentEvent, Started
from structstream.sse import SSEDecoder
from tests.answers import assert_same
from tests.corpus import CORPUS, count_bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from structstream.jsonarray import JSONArrayDecoder
    from structstream.providers import ProviderDecoder

__all__ = ["JSON", "Dialect", "Log", "body_of", "framed", "logs_of", "payloads_of", "recorded"]

JSON = Any  # Any: JSON


def recorded(*folders: str) -> list[JSON]:
    """Return the tags of each recorded body in these folders of the corpus, of all where none is named."""
    if CORPUS is None:
        return []
    found = map(json.loads, (CORPUS / "sse" / "manifest.jsonl").read_bytes().splitlines())
    return [tags for tags in found if not folders or tags["provider"] in folders]


def body_of(tags: JSON) -> bytes:
    """Return the body that `tags` tell of."""
    assert CORPUS is not None
    path: Path = CORPUS / tags["file"]
    return path.read_bytes()


def payloads_of(body: bytes) -> list[JSON]:
    """Return the data of each event, read with nothing but the standard library, but for `[DONE]` and its like."""
    data = [line[5:].strip() for line in body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data:")]
    return [json.loads(one) for one in data if one.startswith(b"{")]


def framed(pieces: Iterable[bytes], framing: type[SSEDecoder | JSONArrayDecoder] = SSEDecoder) -> list[ServerSentEvent]:
    """Return the events of a body that comes in `pieces`."""
    frames = framing()
    events = [event for piece in pieces for event in frames.feed(piece)]
    return events + frames.close(dispatch_unterminated=True)


@dataclass(frozen=True)
class Log:
    """A recorded log of payloads without framing.

    Args:
        name: of its side file.
        about: what the side file says, its tags under ``tags``.
        lines: a payload each.
    """

    name: str
    about: JSON
    lines: list[bytes]

    @property
    def tags(self) -> JSON:
        return self.about["tags"]


def logs_of(*folders: str) -> Iterator[Log]:
    """Yield the logs in these folders."""
    assert CORPUS is not None
    for folder in folders:
        for side in sorted((CORPUS / "chunks" / folder).glob("*.meta.json")):
            lines = side.with_name(side.name.removesuffix(".meta.json")).read_bytes().splitlines()
            yield Log(side.name, json.loads(side.read_bytes()), lines)


@dataclass(frozen=True)
class Dialect:
    """A dialect under test.

    Args:
        name: under which the run counts its bodies.
        decoder: makes a fresh decoder.
        folders: of the corpus that hold its streams.
    """

    name: str
    decoder: Callable[[], ProviderDecoder]
    folders: tuple[str, ...]

    def events_of(
        self, pieces: Iterable[bytes], framing: type[SSEDecoder | JSONArrayDecoder] = SSEDecoder
    ) -> list[ProviderEvent]:
        """Return what a body says that comes in `pieces`."""
        decoder = self.decoder()
        return [said for event in framed(pieces, framing) for said in decoder.feed(event)] + decoder.close()

    def events_of_lines(self, lines: Iterable[bytes], end: bytes = b"\n\n") -> list[ProviderEvent]:
        """Return what payloads without framing say."""
        return self.events_of([b"data: " + line + end for line in lines])

    def said(self, *payloads: JSON, named: bool = False, started: bool = True) -> list[ProviderEvent]:
        """Return what `payloads` say, an event each.

        Args:
            payloads: their data.
            named: whether the events have the name that their ``type`` says.
            started: whether to return that the answer starts as well.
        """
        decoder = self.decoder()
        names = [payload["type"] if named else "message" for payload in payloads]
        fed = [ServerSentEvent(json.dumps(payload), name) for payload, name in zip(payloads, names, strict=True)]
        said = [one for event in fed for one in decoder.feed(event)]
        return [one for one in said if started or not isinstance(one, Started)]

    def recorded(self) -> list[JSON]:
        """Return the tags of each recorded stream."""
        return recorded(*self.folders)

    @contextmanager
    def table(self, folder: str, expected: Mapping[str, int]) -> Iterator[Counter[str]]:
        """Yield a table to count in; at its end it is printed with the run, and held to `expected`."""
        counts: Counter[str] = Counter()
        yield counts
        count_bodies(self.name, folder, counts)
        assert counts == expected

    def assert_same_in(self, body: bytes, ways: Iterable[list[bytes]]) -> int:
        """Hold what `body` says in each of the `ways` to cut it to what it says whole; return how many there were."""
        expected, count = self.events_of([body]), 0
        for pieces in ways:
            assert_same(self.events_of(pieces), expected)
            count += 1
        return count
