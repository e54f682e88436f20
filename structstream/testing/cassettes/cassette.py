"""A cassette that is open: what it holds, what it still has to play, and what is recorded to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

from vcr import VCR  # type: ignore[import-untyped]
from vcr.cassette import Cassette as VCRCassette  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]

from structstream.clock import Clock, SystemClock
from structstream.errors import ConfigurationError

from .errors import CassetteError, NotRecordedError
from .file import CassetteFile, Interaction, alone
from .guarding import Guarded
from .matching import MATCH_ON, relative
from .playback import exact
from .recording import KEY, Recording, recut_like
from .scrubbing import Scrubber
from .transports import PlayedAnswer, RecordingTransport, ReplayingTransport, Take

if TYPE_CHECKING:
    from types import TracebackType

    from structstream.request import HTTPRequest
    from structstream.transport import Transport

    from .playback import Playback

__all__ = ["Cassette", "RecordMode"]

RecordMode = Literal["none", "once", "new_episodes", "all"]
"""vcrpy's: never record; record where there is no file; record what is missing; record everything anew."""

# What VCR.get_merged_config returns for its own context manager, and not for a cassette.
_NOT_FOR_CASSETTES = ("path", "path_transformer", "func_path_generator", "record_on_exception")


class Cassette:
    """Records what a service is answered, and plays it again; a ``with`` block, which writes the file at its end.

    ``StructuredLLMService(cassette.client, wrap_transport=cassette.wrap)`` plays what is recorded, without a key or a
    network, and records the rest where `record_mode` allows. The file is one of vcrpy's; a file ending in ``.json`` is
    written as JSON, and one ending in ``.sse`` is a plain event stream that answers any request.

    What is written holds of headers and query only what an allow-list names, and no secret: see
    `structstream.testing.cassettes.scrubbing.Scrubber`. If one is found where it cannot be redacted, there is no file.
    What the guardrails of a request keep back or take out does not get into the file either.

    Args:
        path: the file.
        record_mode: vcrpy's; None for that of `vcr`, or else ``once``.
        play: how an answer is played; see `structstream.testing.cassettes.playback`.
        match_on: vcrpy's matchers by name; None for those of `vcr`, or else method, path and body.
        allow_playback_repeats: whether an answer is played as often as it is asked for, and not just once.
        secrets: texts that must not stand in the file, beside the keys that are found without being told.
        keep_headers: names of headers that may stand in the file beside the usual ones.
        keep_query: the same of the query.
        vcr: a `vcr.VCR` whose filters, matchers and serializers are used; None for a plain one.
        clock: measures what is recorded, and paces what is played; None for the machine's.

    Raises:
        CassetteError: the file is no whole cassette, or it is not there and may not be recorded.
        ConfigurationError: an argument cannot work.

    Example::

        with Cassette("cassettes/profile.yaml") as cassette:
            async with StructuredLLMService(cassette.client, wrap_transport=cassette.wrap) as service:
                profile = await service.route_structured(request)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        record_mode: RecordMode | None = None,
        play: Playback = exact,
        match_on: Sequence[str] | None = None,
        allow_playback_repeats: bool = False,
        secrets: Iterable[str] = (),
        keep_headers: Iterable[str] = (),
        keep_query: Iterable[str] = (),
        vcr: VCR | None = None,
        clock: Clock | None = None,
    ) -> None:
        if record_mode not in (None, *get_args(RecordMode)):
            raise ConfigurationError(
                f"record_mode must be one of {', '.join(get_args(RecordMode))}, not {record_mode!r}"
            )
        self.path = Path(path)
        self.refused: list[str] = []
        """The requests that were asked in vain, such as ``POST /chat/completions``."""
        self._play = play
        self._clock: Clock = clock or SystemClock()
        self._scrubber = Scrubber(secrets, keep_headers=keep_headers, keep_query=keep_query)
        self._takes: list[Take] = []
        self._on_exception = True
        given: dict[str, Any] = {"record_mode": record_mode, "match_on": match_on and tuple(match_on)}
        given = {name: value for name, value in given.items() if value is not None}
        self._lock = threading.Lock()
        self._file = CassetteFile(self._scrubber)
        self._tape = self._load(vcr, given | {"allow_playback_repeats": allow_playback_repeats})

    @property
    def writes(self) -> bool:
        """Whether a request that is not recorded is sent, and recorded."""
        return not self._tape.write_protected

    @property
    def client(self) -> Transport | None:
        """What a service takes as its client: a transport that only plays, or None where requests may be sent."""
        return None if self.writes else ReplayingTransport(self)

    def wrap(self, transport: Transport) -> Transport:
        """Return a transport that plays what is recorded, and else records what `transport` brings."""
        return RecordingTransport(self, transport)

    @property
    def played(self) -> int:
        """How many recorded answers were played so far."""
        return int(self._tape.play_count)

    @property
    def unused(self) -> list[str]:
        """The recorded requests that nobody has asked so far, such as ``0: POST https://api.openai.com/v1/…``."""
        counts = self._tape.play_counts
        return [
            f"{number}: {request.method} {request.uri}"
            for number, request in enumerate(self._tape.requests)
            if not counts[number]
        ]

    def play(self, request: HTTPRequest) -> PlayedAnswer | None:
        """Return the recorded answer; None where there is none and the request may be sent.

        Raises:
            NotRecordedError: there is none, and it may not be sent.
            CassetteError: what is recorded is no whole answer.
        """
        asked = self._asked(request, request.path)
        with self._lock:  # the service's loop, and those of other threads
            played = self._tape.play_response(asked) if self._tape.can_play_response_for(asked) else None
        if played is not None:
            found = Interaction.of(asked, played, f"cassette {self.path}")
            return PlayedAnswer(found.status, found.headers, self._play(found.recording), self._clock)
        if self.writes or not self._tape.filter_request(asked):
            return None
        self.refused.append(f"{request.method} {request.path}")
        raise NotRecordedError(f"cassette {self.path} has no answer to {self.refused[-1]}: {self._why(asked)}")

    def take(self, request: HTTPRequest) -> Take:
        """Return what an answer is to be written to."""
        take = Take(request, self._clock)
        self._takes.append(take)  # in the order of the requests, whichever answer ends first
        return take

    def save(self) -> None:
        """Write the file, if something was recorded.

        What another writer has put there meanwhile, such as a worker of pytest-xdist, stays; not so in mode ``all``.

        Raises:
            SecretFoundError: a secret stands in it; nothing was written.
            CassetteError: it cannot be written.
        """
        with self._lock:
            takes, self._takes = [take for take in self._takes if take.answered], []
            for take in takes:
                self._scrubber.learn(take.url, take.sent_headers)
            if not (takes or self._tape.dirty):
                return
            with alone(self.path):
                self._join_others()
                for take in takes:
                    self._tape.append(self._asked(take.request, self._scrubber.url(take.url)), self._answer(take))
                self._tape._save()

    def _join_others(self) -> None:
        """Take over what others have written since this one read or wrote the file."""
        if self._tape.record_mode == "all" or not self.path.exists():
            return
        requests, responses = CassetteFile().read(self.path)
        for request, response in zip(requests[self._file.count :], responses[self._file.count :], strict=True):
            self._tape.append(request, response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or self._on_exception:
            self.save()

    def __repr__(self) -> str:
        return f"Cassette({str(self.path)!r}, {len(self._tape)} recorded)"

    def _load(self, vcr: VCR | None, given: dict[str, Any]) -> Any:  # Any: vcrpy's options, and its own object
        given = {"path": str(self.path), **given}
        if vcr is None:
            vcr = VCR(match_on=MATCH_ON)
            given["serializer"] = "json" if self.path.suffix == ".json" else "yaml"
        try:
            config = vcr.get_merged_config(**given)
        except KeyError as error:  # a matcher that is not there
            raise ConfigurationError(f"match_on: {error.args[0]}") from None
        transform: Callable[[str], str] | None = config["path_transformer"]
        self.path = Path(transform(str(self.path))) if transform else self.path
        self._on_exception = bool(config["record_on_exception"])
        config = {name: value for name, value in config.items() if name not in _NOT_FOR_CASSETTES}
        clean, change = config["before_record_request"], config["before_record_response"]
        config |= {
            "match_on": relative(config["match_on"]),
            "persister": self._file,
            "before_record_request": lambda request: self._scrubbed(clean(request)),
            "before_record_response": lambda response: _refitted(response, change),
        }
        if self.path.suffix == ".sse":
            return self._of_stream(config)
        tape = VCRCassette.load(path=str(self.path), **config)
        if tape.record_mode == "none" and not tape.rewound:
            raise CassetteError(
                f"there is no cassette {self.path}, and record_mode is 'none': record it with record_mode='once'"
            )
        return tape

    def _of_stream(self, config: dict[str, Any]) -> Any:  # Any: vcrpy's own objects
        requests, responses = CassetteFile().read(self.path)
        tape = VCRCassette(path=str(self.path), **{**config, "record_mode": "none"})
        for request, response in zip(requests, responses, strict=True):
            tape.append(request, response)
        tape.dirty, tape.rewound = False, True
        return tape

    def _asked(self, request: HTTPRequest, url: str) -> Any:  # Any: vcrpy's own object
        headers = {"content-type": "application/json", **request.headers}
        return Request(request.method, url, Guarded(request.guardrails).question(request.content()), headers)

    def _scrubbed(self, request: Any) -> Any:  # Any: vcrpy's own object, a copy; None where a filter dropped it
        if request is None:
            return None
        request.headers = self._scrubber.headers({name: str(value) for name, value in request.headers.items()})
        if isinstance(request.body, bytes):
            request.body = self._scrubber.body(request.body)
        if request.uri.startswith("http"):
            request.uri = self._scrubber.url(request.uri)
        return request

    def _answer(self, take: Take) -> dict[str, Any]:  # Any: YAML
        guarded = Guarded(take.request.guardrails, take.request.content())
        recording = self._scrubber.recording(guarded.recording(take.recording()))
        headers = guarded.headers(self._scrubber.headers(take.headers))
        known = take.status in HTTPStatus._value2member_map_
        return {
            "status": {"code": take.status, "message": HTTPStatus(take.status).phrase if known else ""},
            "headers": {name: [value] for name, value in headers.items()},
            "body": {"string": recording.body},
            KEY: {name: self._clean(value) for name, value in recording.key().items()},
        }

    def _clean(self, value: object) -> object:
        return self._scrubber.text(value) if isinstance(value, str) else value

    def _why(self, asked: Any) -> str:  # Any: vcrpy's own object
        """Which recorded request is the nearest, and by what it differs; never by which values: they are prompts."""
        if not len(self._tape):
            return "it is empty; record it first"
        nearest = self._tape.find_requests_with_most_matches(asked)
        if not nearest:
            return "no recorded request is like it; record it again, or ask as it was recorded"
        _, _, failed = nearest[0]
        if not failed:
            return "every answer to it was played already; ask as often as was recorded, or record it again"
        names = ", ".join(name for name, _ in failed)
        return f"the nearest differs in {names}; record it again, or pass match_on without that"


def _refitted(response: Any, change: Callable[[Any], Any]) -> Any:  # Any: YAML
    """Apply the caller's filter, and keep the chunks in step with what it makes of the body."""
    before = (response.get("body") or {}).get("string")
    key = response.get(KEY)
    changed = change(response)
    if changed is None or key is None:
        return changed
    after = (changed.get("body") or {}).get("string")
    if after != before:
        heard = Recording.read(key, _bytes(before), "before the filter")
        changed = {**changed, KEY: recut_like(heard, _bytes(after)).key()}
    return changed


def _bytes(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else cast("bytes", body or b"")
