"""What of a request and its answer may stand in a file: headers and query by allow-list, bodies without secrets."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit, urlunsplit

from structstream.errors import StructStreamError
from structstream.sse import SSEDecoder

from .recording import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recording import Recording

__all__ = ["REDACTED", "Scrubber"]

REDACTED = "[redacted]"

_KEPT_HEADERS = re.compile(
    r"accept|content-type|date|location|retry-after|user-agent|x-should-retry|anthropic-version|anthropic-beta"
    r"|openai-beta|openai-version|openai-processing-ms"
    r"|(?:x-|anthropic-)?ratelimit(?:-.*)?|(?:[a-z-]+-)?request-id",
)
_KEPT_QUERY = frozenset({"alt", "api-version", "beta"})

_SECRET_NAMES = re.compile(r"key|token|secret|auth|cookie|password|signature|credential", re.IGNORECASE)
_SECRET_VARIABLES = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_LEAST = 8  # characters of a key that is taken from a request: shorter ones are words such as "any"
_LEAST_VARIABLE = 12  # the same of the environment

# Forms that nothing but a key has. Unlike `structstream.errors.scrub` this leaves alone what only a name before it
# makes suspect: in a body that is part of the answer, and its JSON must stay JSON.
_KEYS = (
    rb"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)[-_][A-Za-z0-9_\-]{16,}|(?:gsk|hf|ghp|gho|glpat|r8)[-_][A-Za-z0-9_\-]{16,}"
    rb"|(?:xai|pplx|csk)-[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_\-]{30,}|AKIA[A-Z0-9]{16}(?![A-Z0-9])"
    rb"|eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"
    rb"|[Bb]earer\s+[A-Za-z0-9._~+/\-]{16,}=*)"
)


class Scrubber:
    """Knows the secrets of one cassette, and takes them out of what is to be written.

    Known are the secrets that are given, those of the environment (variables whose names end in KEY, TOKEN, SECRET or
    PASSWORD), those that a request carried to where it went, and whatever has the form of a provider's key. Each is
    known as it is, and as JSON, HTML, a URL, hexadecimal and Base64 write it, in these with whatever stands before and
    after it there.

    Args:
        secrets: those that nothing else tells.
        keep_headers: names of headers that may stand in the file beside the usual ones.
        keep_query: the same of the query.

    >>> Scrubber(["hunter2"]).body(b'{"said": "hunter2, sk-abcdefghijklmnop1234"}')
    b'{"said": "[redacted], [redacted]"}'
    """

    def __init__(
        self, secrets: Iterable[str] = (), *, keep_headers: Iterable[str] = (), keep_query: Iterable[str] = ()
    ) -> None:
        self._headers = frozenset(name.lower() for name in keep_headers)
        self._query = _KEPT_QUERY | frozenset(keep_query)
        self._known: set[bytes] = set()
        self._add(secrets)
        self._add(
            value
            for name, value in os.environ.items()
            if _SECRET_VARIABLES.search(name) and len(value.strip()) >= _LEAST_VARIABLE
        )

    def learn(self, url: str, headers: Mapping[str, str]) -> None:
        """Take what a request carried as its keys for secrets from now on."""
        carried = [value for name, value in headers.items() if _SECRET_NAMES.search(name)]
        carried = [value.partition(" ")[2] if " " in value else value for value in carried]
        carried += [value for name, value in parse_qsl(urlsplit(url).query) if name not in self._query]
        carried.append(urlsplit(url).password or "")
        self._add(value for value in carried if len(value) >= _LEAST)

    def suspects(self, url: str, headers: Mapping[str, object]) -> list[str]:
        """Return the headers and parameters that are on no allow-list, are named as a key is, and hold one still."""
        names = [
            f"header {name}"
            for name, value in headers.items()
            if not self._keeps(name.lower()) and _SECRET_NAMES.search(name) and not _is_placeholder(value)
        ]
        query = parse_qsl(urlsplit(url).query)
        return names + [
            f"query parameter {name}"
            for name, value in query
            if name not in self._query and _SECRET_NAMES.search(name) and not _is_placeholder(value)
        ]

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that may stand in the file, by lower-case name."""
        kept = {
            name: _without_query(value) if name == "location" else value
            for name, value in ((name.lower(), value) for name, value in headers.items())
            if self._keeps(name)
        }
        return {name: self.text(value) for name, value in kept.items()}

    def url(self, url: str) -> str:
        """Return `url` with nothing of its query but what may stand in the file, and without its user."""
        parts = urlsplit(url)
        query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name in self._query])
        return self.text(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, "")))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.body(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def body(self, body: bytes) -> bytes:
        """Return `body` without secrets."""
        clean, done = b"", 0
        for start, end in self._spans(body):
            clean, done = clean + body[done:start] + REDACTED.encode(), end
        return clean + body[done:]

    def recording(self, recording: Recording) -> Recording:
        """Return `recording` without secrets; a cut within one moves to its end."""
        body = recording.body
        spans = self._spans(body)

        def moved(cut: int) -> int:
            before = [(start, end) for start, end in spans if start < cut]
            return max(cut, before[-1][1] if before else 0) + sum(len(REDACTED) - end + start for start, end in before)

        clean, ends = self.body(body), accumulate(len(chunk.data) for chunk in recording.chunks)
        bounds = [0, *(moved(end) for end in ends)]
        chunks = (
            Chunk(chunk.at, clean[start:end])
            for chunk, (start, end) in zip(recording.chunks, pairwise(bounds), strict=True)
        )
        return replace(recording, chunks=tuple(chunk for chunk in chunks if chunk.data))

    def places(self, value: object, *, joined: bool = True) -> list[str]:
        """Return where secrets stand in `value`, which is plain data, at whatever depth; never what stands there.

        Args:
            value: texts, bytes, mappings, lists.
            joined: also look at the texts that a stream of events, or a list of answers, brings piece by piece.
        """
        return list(dict.fromkeys(self._places(value, "", joined=joined)))

    def _places(self, value: object, path: str, *, joined: bool) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, item in value.items():
                if self._is_secret(str(name).encode("utf-8", "replace")):
                    yield f"a name in {path or 'the file'}"
                yield from self._places(item, f"{path}.{name}".lstrip("."), joined=joined)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self._places(item, path, joined=joined)
        elif isinstance(value, str | bytes):
            data = value.encode("utf-8", "replace") if isinstance(value, str) else value
            if self._is_secret(data):
                yield path
            elif joined:
                said = (text.encode("utf-8", "replace") for text in _said(data))
                yield from (f"{path}, over several events" for text in said if self._is_secret(text))

    def _is_secret(self, data: bytes) -> bool:
        return bool(self._spans(data))

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand, in order, apart from one another."""
        pattern = self._pattern()
        found = [match.span() for match in pattern.finditer(data)]
        for runs, decoded in _CODES:
            found += [run.span() for run in runs.finditer(data) if any(map(pattern.search, decoded(run[0])))]
        apart: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if apart and start < apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        return apart

    def _pattern(self) -> re.Pattern[bytes]:
        known = sorted(self._known, key=len, reverse=True)  # a secret within a longer one must not leave its rest
        return re.compile(b"|".join([*map(re.escape, known), _KEYS]))

    def _keeps(self, header: str) -> bool:
        return bool(_KEPT_HEADERS.fullmatch(header)) or header in self._headers

    def _add(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            if secret.strip():
                self._known.update(form(secret.strip()).encode("utf-8", "replace") for form in _FORMS)


_ESCAPES = re.compile(r"\\u[0-9a-f]{4}")
_FORMS: tuple[Callable[[str], str], ...] = (
    lambda secret: secret,
    lambda secret: quote(secret, safe=""),
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: _ESCAPES.sub(lambda escape: escape[0][:2] + escape[0][2:].upper(), json.dumps(secret)[1:-1]),
    lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    lambda secret: json.dumps(json.dumps(secret)[1:-1])[1:-1],  # as JSON within JSON: the arguments of a tool
    lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
    lambda secret: base64.b64encode(secret.encode("utf-8", "replace")).decode(),
    lambda secret: base64.b32encode(secret.encode("utf-8", "replace")).decode().rstrip("="),
    html.escape,
    lambda secret: html.escape(secret, quote=False),
)

_STANDARD = bytes.maketrans(b"-_", b"+/")


def _of_base64(run: bytes) -> Iterator[bytes]:
    """What `run` says as Base64 that begins at any of its first four characters: more may stand before it."""
    digits = run.rstrip(b"=").translate(_STANDARD)
    for start in range(4):
        whole = digits[start:]
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]  # a single digit over says nothing
        yield base64.b64decode(whole + b"=" * (-len(whole) % 4))


def _of_hex(run: bytes) -> Iterator[bytes]:
    """What `run` says as hexadecimal that begins at either of its first two digits."""
    for start in range(2):
        digits = run[start:]
        yield bytes.fromhex(digits[: len(digits) - len(digits) % 2].decode())


def _of_url(run: bytes) -> Iterator[bytes]:
    """What `run` says as a part of a URL, and as one within another."""
    if b"%" in run:
        once = unquote_to_bytes(run.replace(b"+", b" "))
        yield once
        yield unquote_to_bytes(once)


def _of_json(run: bytes) -> Iterator[bytes]:
    """What `run` says with its escapes of characters undone."""
    if b"\\" in run:
        yield _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)).encode("utf-8", "replace"), run)


_ESCAPED = re.compile(rb"\\{1,4}u([0-9A-Fa-f]{4})")

# The ways in which a text may be written out, as runs that are long enough to hold a key, and what each says.
_CODES: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Iterator[bytes]]], ...] = (
    (re.compile(rb"[A-Za-z0-9+/_\-]{11,}={0,2}"), _of_base64),
    (re.compile(rb"[0-9A-Fa-f]{16,}"), _of_hex),
    (re.compile(rb"[%A-Za-z0-9._~+/=\-]{11,}"), _of_url),
    (re.compile(rb"(?:\\{1,4}u[0-9A-Fa-f]{4}|[A-Za-z0-9._\-]){8,}"), _of_json),
)


def _is_placeholder(value: object) -> bool:
    """Whether a filter left only a word in the place of a key: what people write there has no digit in it."""
    return not re.search(r"\d", str(value[0] if isinstance(value, list | tuple) and value else value))


def _without_query(location: str) -> str:
    try:
        parts = urlsplit(location)
    except ValueError:  # such as brackets around what is no address
        return REDACTED
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _said(body: bytes) -> list[str]:
    """The texts of a stream of JSON: of each place in its events all that came there, put together.

    Once by the indices that the events name, as what they bring of several choices is mixed, and once without, as what
    one block begins the next may end.
    """
    texts: dict[tuple[str, bool, str], list[str]] = {}
    for name, data in _events(body):
        for indexed in (True, False):
            with suppress(RecursionError):
                for path, text in _leaves(data, "", indexed=indexed):
                    texts.setdefault((name, indexed, path), []).append(text)
    return ["".join(pieces) for pieces in texts.values()]


def _events(body: bytes) -> Iterator[tuple[str, object]]:
    if body.lstrip()[:1] == b"[":
        with suppress(ValueError, RecursionError):
            yield "", json.loads(body)
    if b"data:" not in body:
        return
    decoder = SSEDecoder()
    try:
        events = [*decoder.feed(body), *decoder.close(dispatch_unterminated=True)]
    except StructStreamError:
        return
    for event in events:
        with suppress(ValueError, RecursionError):
            yield event.event, json.loads(event.data)


_INDICES = ("index", "output_index", "content_index", "summary_index")


def _leaves(value: object, path: str, *, indexed: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if indexed:
            path += "".join(f"[{value[name]}]" for name in _INDICES if isinstance(value.get(name), int))
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}", indexed=indexed)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path, indexed=indexed)
    elif isinstance(value, str):
        yield path, value
