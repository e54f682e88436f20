"""Break an input: some bytes less, some more, some others, and the bombs that parsers are known to fear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["cuts", "mutated"]

_MAX = 1 << 16  # bytes of an input
_WORDS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b",",
        b":",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b" ",
        b"\t",
        b"\0",
        b"/*",
        b"//",
    ),
    *(
        b"null",
        b"true",
        b"false",
        b"NaN",
        b"Infinity",
        b"-",
        b"0",
        b"1e999",
        b"-0",
        b".5",
        b"1e",
        b"12345678901234567890",
    ),
    *(
        b"\\u",
        b"\\ud83d",
        b"\\ude00",
        b"\\ud83d\\ude00",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc3",
        b"\xf0\x9f\x98\x80",
    ),
    *(
        b"data:",
        b"data: ",
        b"event: error\n",
        b"id: 1\n",
        b"retry: 5\n",
        b": ping\n\n",
        b"data: [DONE]\n\n",
        b"data: {}\n\n",
    ),
    *(b'"choices"', b'"delta"', b'"content"', b'"tool_calls"', b'"finish_reason"', b'"stop"', b'"length"', b'"index"'),
    *(b'"kind"', b'"items"', b'"name"', b"```json\n", b"```", b"<think>", b"</think>", b"'", b"None", b"True", b"..."),
)

_Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of `seeds` with some changes, mostly few."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 5, 10))):
        random.choice(_CHANGES)(data, random, seeds)
    return bytes(data[:_MAX])


def cuts(random: Random, size: int) -> list[int]:
    """Return places, in order, at which an input of `size` comes in pieces: none, some, or all."""
    if size < 2:
        return []
    count = random.choice((0, 1, 2, size // 7, size // 3, size - 1 if size < 400 else 40))
    return sorted(random.sample(range(1, size), min(count, size - 1)))


def _place(data: bytearray, random: Random) -> int:
    return random.randint(0, len(data))


def _range(data: bytearray, random: Random) -> tuple[int, int]:
    start = _place(data, random)
    return start, min(len(data), start + int(random.expovariate(1 / 12)) + 1)


def _delete(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    start, end = _range(data, random)
    del data[start:end]


def _double(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    start, end = _range(data, random)
    data[start:start] = data[start:end]


def _change_byte(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _insert_word(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.choice(_WORDS)


def _replace_word(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    start, end = _range(data, random)
    data[start:end] = random.choice(_WORDS)


def _end_early(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    del data[_place(data, random) :]


def _splice(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    data[_place(data, random) :] = other[random.randint(0, len(other)) :]


def _repeat(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.choice((*_WORDS, b'{"a":', b"[{", b"9")) * random.choice((3, 30, 300))


_CHANGES: tuple[_Change, ...] = (
    *(_delete, _double, _change_byte, _change_byte, _insert_word, _insert_word),
    *(_replace_word, _replace_word, _end_early, _splice, _repeat),
)
