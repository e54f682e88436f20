"""How a recorded body is played: each way is a function from a `Recording` to another one.

So they can be put together: ``lambda recording: timed(2)(cut_at_byte(400)(recording))``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from structstream.errors import ConfigurationError
from structstream.sse import SSEDecoder

from .recording import Chunk

if TYPE_CHECKING:
    from .recording import Recording

__all__ = [
    "PLAYS",
    "Playback",
    "at_once",
    "byte_by_byte",
    "cut_at_byte",
    "every_cut",
    "exact",
    "parse_play",
    "recut",
    "stall_at_event",
    "timed",
]

Playback = Callable[["Recording"], "Recording"]
"""A way to play a recording."""


@dataclass(frozen=True)
class _Named:
    """A playback that says how it was made, for the names of tests."""

    name: str
    change: Playback

    def __call__(self, recording: Recording) -> Recording:
        return self.change(recording)

    def __repr__(self) -> str:
        return self.name


exact: Playback = _Named("exact", lambda recording: recording.unpaced(chunk.data for chunk in recording.chunks))
"""Each read as it was recorded, and how it ended; no waiting in between."""


def timed(speed: float = 1.0) -> Playback:
    """Each read as it was recorded, and when.

    Args:
        speed: how many times as fast as it was recorded, above 0.

    Raises:
        ConfigurationError: `speed` is not above 0.
    """
    if not speed > 0:
        raise ConfigurationError(f"timed: speed must be above 0, not {speed!r}")

    def change(recording: Recording) -> Recording:
        chunks = tuple(Chunk(chunk.at / speed, chunk.data) for chunk in recording.chunks)
        return replace(recording, chunks=chunks, head_at=recording.head_at / speed, ended_at=recording.ended_at / speed)

    return _Named(f"timed({speed:g})", change)


at_once: Playback = _Named("at_once", lambda recording: recording.cut([len(recording.body)]))
"""The whole body in one read."""

byte_by_byte: Playback = _Named("byte_by_byte", lambda recording: recording.cut([1] * len(recording.body)))
"""One byte a read."""


def recut(seed: int) -> Playback:
    """The body in reads of other sizes, most of them small, drawn by `seed`."""

    def change(recording: Recording) -> Recording:
        random, sizes, left = Random(seed), [], len(recording.body)
        while left > 0:
            sizes.append(min(left, random.choice((1, 2, 3, 7, 16, 61, 256, 1024))))
            left -= sizes[-1]
        return recording.cut(sizes)

    return _Named(f"recut({seed})", change)


def cut_at_byte(n: int) -> Playback:
    """As recorded up to byte `n`; there the connection breaks.

    Raises:
        ConfigurationError: `n` is negative.
    """
    _need("cut_at_byte", "n", n)
    error = f"the connection broke: the replay was cut at byte {n}"
    return _Named(f"cut_at_byte({n})", lambda recording: replace(_stopped(recording, n), ending="reset", error=error))


def stall_at_event(n: int) -> Playback:
    """As recorded up to the end of the `n`-th server-sent event; then nothing comes any more.

    Raises:
        ConfigurationError: `n` is negative.
    """
    _need("stall_at_event", "n", n)
    return _Named(
        f"stall_at_event({n})",
        lambda recording: replace(_stopped(recording, _end_of_event(recording.body, n)), ending="stall"),
    )


def every_cut(seeds: int = 5) -> list[Playback]:
    """Return the ways to cut a body that a test should hold under: exact, at once, byte by byte, and `seeds` drawn.

    >>> every_cut(seeds=2)
    [exact, at_once, byte_by_byte, recut(0), recut(1)]
    """
    return [exact, at_once, byte_by_byte, *(recut(seed) for seed in range(seeds))]


def _need(name: str, argument: str, found: object) -> None:
    if not isinstance(found, int) or found < 0:
        raise ConfigurationError(f"{name}: {argument} must be an integer of at least 0, not {found!r}")


def _stopped(recording: Recording, at: int) -> Recording:
    kept = []
    for chunk in recording.chunks:
        kept.append(chunk.data[: max(0, at)])
        at -= len(chunk.data)
    return recording.unpaced(data for data in kept if data)


def _end_of_event(body: bytes, number: int) -> int:
    """How many bytes there are up to the end of an event; all of them where there are fewer events."""
    decoder, seen = SSEDecoder(), 0
    lines = [0, *(match.end() for match in re.finditer(rb"\r\n|\n|\r", body)), len(body)]
    for start, end in pairwise(lines):
        if seen >= number:
            return start
        seen += len(decoder.feed(body[start:end]))
    return len(body)


PLAYS: Mapping[str, Callable[..., Playback]] = {
    "exact": lambda: exact,
    "at_once": lambda: at_once,
    "byte_by_byte": lambda: byte_by_byte,
    "timed": timed,
    "recut": recut,
    "cut_at_byte": cut_at_byte,
    "stall_at_event": stall_at_event,
}
"""Every way to play, by the name that `parse_play` takes."""


def parse_play(text: str) -> Playback:
    """Return the way that `text` writes, such as ``timed(2)``; for command lines and markers.

    Raises:
        ConfigurationError: there is no such way, or its argument does not fit.

    >>> parse_play("recut(3)"), parse_play("exact")
    (recut(3), exact)
    """
    match = re.fullmatch(r"(\w+)(?:\((-?[\d.]*)\))?", text.strip())
    make = PLAYS.get(match[1]) if match else None
    if match is None or make is None:
        raise ConfigurationError(f"{text!r} is no way to play a cassette; there are {', '.join(PLAYS)}")
    given = match[2]
    try:
        arguments = [] if not given else [float(given) if "." in given else int(given)]
        return make(*arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{text!r}: {match[1]} does not take that; write for example recut(3)") from None
