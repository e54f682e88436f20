"""How the body of one answer came: the bytes of each read, when, and how it ended.

In a cassette this stands beside the whole body, in a key that plain vcrpy ignores::

    structstream:
      format: 1
      head: 0.0041                    # seconds from the request to the head of the answer
      chunks: 212@0.0043 180@0.0098   # bytes of each read, and the seconds at which it came
      ended: reset                    # or end, or cancelled
      ended_at: 0.0121
      error: 'the connection broke'   # of a reset alone: what the transport said, and of whom
      provider: openai
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal, cast

from .errors import CassetteError

__all__ = ["FORMAT", "KEY", "Chunk", "Ending", "Recording", "recut_like"]

FORMAT = 1
"""The version of the key that this library writes, and the newest that it reads."""

KEY = "structstream"
"""The key of a response under which a `Recording` stands."""

Ending = Literal["end", "reset", "cancelled", "stall"]
"""``end`` in good order, ``reset`` by the other side, ``cancelled`` by the caller; a replay may also ``stall``."""

_RECORDED = ("end", "reset", "cancelled")


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of one read, and the seconds from the request until they came."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How one body came.

    Args:
        chunks: in order, none empty.
        head_at: seconds from the request to the head of the answer.
        ending: how it ended.
        ended_at: seconds from the request to the end.
        error: what the transport said of a reset; empty otherwise.
        provider: of whom it said so.

    >>> Recording.whole(b"data: 1").body
    b'data: 1'
    """

    chunks: tuple[Chunk, ...]
    head_at: float = 0.0
    ending: Ending = "end"
    ended_at: float = 0.0
    error: str = ""
    provider: str = ""

    @classmethod
    def whole(cls, body: bytes) -> Recording:
        """Return the recording of a body of which nothing more is known: in one piece, at once, to its end."""
        return cls(chunks=(Chunk(0.0, body),) if body else ())

    @property
    def body(self) -> bytes:
        """All bytes."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def silence(self) -> float:
        """Seconds between the last bytes and the end."""
        return self.ended_at - (self.chunks[-1].at if self.chunks else self.head_at)

    def cut(self, sizes: Sequence[int]) -> Recording:
        """Return the same body in pieces of `sizes`, all at once; what they do not cover is the last piece."""
        body, bounds = self.body, [0, *accumulate(sizes)]
        if bounds[-1] < len(body):
            bounds.append(len(body))
        pieces = (body[start:end] for start, end in pairwise(bounds))
        return self.unpaced(piece for piece in pieces if piece)

    def unpaced(self, pieces: Iterable[bytes]) -> Recording:
        """Return `pieces` as the body, all at once; the silence before the end stays as long as it was."""
        chunks = tuple(Chunk(0.0, piece) for piece in pieces)
        return replace(self, chunks=chunks, head_at=0.0, ended_at=self.silence)

    def key(self) -> dict[str, object]:
        """Return what stands in the cassette beside the body."""
        found: dict[str, object] = {
            "format": FORMAT,
            "head": round(self.head_at, 4),
            "chunks": " ".join(f"{len(chunk.data)}@{chunk.at:.4f}" for chunk in self.chunks),
            "ended": self.ending,
            "ended_at": round(self.ended_at, 4),
        }
        if self.ending == "reset":
            found |= {"error": self.error, "provider": self.provider}
        return found

    @classmethod
    def read(cls, key: object, body: bytes, where: str) -> Recording:
        """Return what `key` says of `body`.

        Args:
            key: what stands under `KEY`; None where nothing does.
            body: the whole body.
            where: the cassette and the interaction, for errors.

        Raises:
            CassetteError: the key is of a newer format, or does not fit the body.
        """
        if key is None:
            return cls.whole(body)
        if not isinstance(key, Mapping) or "format" not in key:
            raise CassetteError(f"{where}: the key {KEY!r} is not one of this library's: record it again")
        if key["format"] != FORMAT:
            raise CassetteError(
                f"{where}: written in format {key['format']!r}, and this version reads {FORMAT}: upgrade structstream, "
                "or record it again"
            )
        try:
            return cls._read(key, body)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CassetteError(
                f"{where}: chunks and body do not fit ({error}): the file was edited; record it again, or drop the "
                "chunks with `structstream cassette convert --to vcrpy`"
            ) from None

    @classmethod
    def _read(cls, key: Mapping[str, Any], body: bytes) -> Recording:  # Any: YAML
        marks = [mark.partition("@") for mark in str(key["chunks"] or "").split()]
        sizes, times = [int(size) for size, _, _ in marks], [float(at) for _, _, at in marks]
        if sum(sizes) != len(body) or not all(size > 0 for size in sizes):
            raise ValueError(f"{sum(sizes)} and {len(body)} bytes")
        if key["ended"] not in _RECORDED:
            raise ValueError(f"ended is {key['ended']!r}, not one of {', '.join(_RECORDED)}")
        ends = list(accumulate(sizes))
        chunks = (Chunk(at, body[end - size : end]) for at, size, end in zip(times, sizes, ends, strict=True))
        return cls(
            chunks=tuple(chunks),
            head_at=float(key["head"]),
            ending=cast("Ending", key["ended"]),
            ended_at=float(key["ended_at"]),
            error=str(key.get("error", "")),
            provider=str(key.get("provider", "")),
        )


def recut_like(recording: Recording, body: bytes) -> Recording:
    """Return `recording` with another body, such as a filter has left: the cuts stay where the text around them did.

    >>> recut_like(Recording(chunks=(Chunk(1.0, b"a key"), Chunk(2.0, b": b"))), b"a [-]: b").chunks
    (Chunk(at=1.0, data=b'a [-]'), Chunk(at=2.0, data=b': b'))
    """
    old = recording.body
    head = _common(old, body)
    tail = min(_common(old[::-1], body[::-1]), len(old) - head, len(body) - head)
    grown = len(body) - len(old)
    chunks, start, end = [], 0, 0
    for chunk in recording.chunks:
        end += len(chunk.data)
        # A cut within what was changed moves to its end.
        cut = end if end <= head else max(end + grown, len(body) - tail)
        chunks.append(Chunk(chunk.at, body[start:cut]))
        start = cut
    return replace(recording, chunks=tuple(chunk for chunk in chunks if chunk.data))


def _common(one: bytes, other: bytes) -> int:
    """How many bytes from the start are the same."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)
