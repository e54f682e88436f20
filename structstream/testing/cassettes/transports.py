"""The two transports of a cassette: one that listens to another, and one that plays what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, cast

from structstream.clock import Clock, SystemClock
from structstream.errors import ConnectionFailedError, scrub

from .errors import CassetteError
from .playback import exact
from .recording import Chunk, Recording

if TYPE_CHECKING:
    from structstream.request import HTTPRequest
    from structstream.transport import HTTPAnswer, Transport

    from .file import Interaction
    from .playback import Playback
    from .recording import Ending

__all__ = ["InteractionTransport", "PlayedAnswer", "Player", "RecordingTransport", "ReplayingTransport", "Take", "Tape"]

_PATIENCE = 1.0  # seconds on top of twice the recorded silence


class Tape(Protocol):
    """What the transports need of a cassette."""

    def play(self, request: HTTPRequest) -> PlayedAnswer | None:
        """Return the recorded answer; None where there is none and the request may be sent.

        Raises:
            NotRecordedError: there is none, and it may not be sent.
        """

    def take(self, request: HTTPRequest) -> Take:
        """Return what an answer is to be written to."""


class Player:
    """Plays recordings on a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def wait_until(self, when: float) -> None:
        """Return at `when`; at once, but after other tasks, if that has passed: as a read from a socket may."""
        await self._clock.sleep(when - self._clock.now())

    async def play(self, recording: Recording, began: float) -> AsyncGenerator[bytes, None]:
        """Yield the body as it came, `began` being the time of the request, and end as it ended.

        Raises:
            ConnectionFailedError: that is how it ended, or the recording goes no further.
        """
        for chunk in recording.chunks:
            await self.wait_until(began + chunk.at)
            yield chunk.data
        if recording.ending == "stall":
            await asyncio.get_running_loop().create_future()
        if recording.ending == "cancelled":
            # Whoever left then, by a deadline perhaps, has time to do so again.
            await self._clock.sleep(2 * recording.silence + _PATIENCE)
            raise ConnectionFailedError(
                "the recording ends here, where its caller left: record it again with one that stays",
                provider=recording.provider or "cassette",
            )
        await self.wait_until(began + recording.ended_at)
        if recording.ending == "reset":
            raise ConnectionFailedError(recording.error, provider=recording.provider or "cassette")


class PlayedAnswer:
    """An answer from a cassette."""

    def __init__(self, status: int, headers: Mapping[str, str], recording: Recording, clock: Clock) -> None:
        self.status = status
        self.headers = headers
        self._recording = recording
        self._player = Player(clock)
        self._began = clock.now()
        self._body = self._player.play(recording, self._began)

    async def head(self) -> None:
        """Return when the head of the answer came."""
        await self._player.wait_until(self._began + self._recording.head_at)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def aclose(self) -> None:
        await self._body.aclose()


class ReplayingTransport:
    """A `structstream.transport.Transport` that plays a cassette and sends nothing."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        """Return the recorded answer.

        Raises:
            NotRecordedError: there is none.
            CassetteError: a filter of vcrpy's leaves the request to the network.
        """
        answer = self._tape.play(request)
        if answer is None:
            raise CassetteError("a filter of vcrpy's leaves this request to the network, and a cassette has none")
        await answer.head()
        return answer

    async def aclose(self) -> None:
        """Nothing is open."""

    def __repr__(self) -> str:
        return f"ReplayingTransport({self._tape!r})"


class InteractionTransport:
    """A `structstream.transport.Transport` that answers whatever is asked with one interaction.

    Args:
        interaction: what `structstream.testing.cassettes.read_interactions` gives.
        play: how its answer is played.
        clock: paces it; None for the machine's.
    """

    def __init__(self, interaction: Interaction, *, play: Playback = exact, clock: Clock | None = None) -> None:
        self._interaction = interaction
        self._play = play
        self._clock: Clock = clock or SystemClock()

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        """Return the answer."""
        found = self._interaction
        answer = PlayedAnswer(found.status, found.headers, self._play(found.recording), self._clock)
        await answer.head()
        return answer

    async def aclose(self) -> None:
        """Nothing is open."""

    def __repr__(self) -> str:
        return f"InteractionTransport({self._interaction.method} {self._interaction.url})"


class RecordingTransport:
    """A `structstream.transport.Transport` that plays what is recorded, and records what another one brings.

    Each read reaches the caller as it comes.
    """

    def __init__(self, tape: Tape, inner: Transport) -> None:
        self._tape = tape
        self._inner = inner

    async def stream(self, request: HTTPRequest, *, connect_timeout: float | None = None) -> HTTPAnswer:
        """Return the recorded answer, or that of the inner transport, which is then recorded.

        A request that gets no answer leaves nothing.

        Raises:
            NotRecordedError: there is none, and the record mode forbids to send it.
            StructStreamError: what the inner transport raises.
        """
        played = self._tape.play(request)
        if played is not None:
            await played.head()
            return played
        take = self._tape.take(request)
        answer = await self._inner.stream(request, connect_timeout=connect_timeout)
        return _HeardAnswer(answer, take)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def __repr__(self) -> str:
        return f"RecordingTransport({self._tape!r}, {self._inner!r})"


class _Sent(Protocol):
    """What an answer of `SDKTransport` tells of the request as it went out."""

    url: object
    headers: Mapping[str, str]


class Take:
    """One answer while it is recorded.

    Args:
        request: what was asked.
        clock: measures.
    """

    def __init__(self, request: HTTPRequest, clock: Clock) -> None:
        self.request = request
        self.url = ""
        self.sent_headers: Mapping[str, str] = {}
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._clock = clock
        self._began = clock.now()
        self._head_at = 0.0
        self._chunks: list[Chunk] = []
        self._ending: tuple[Ending, float, str, str] | None = None

    @property
    def answered(self) -> bool:
        """Whether there was an answer."""
        return self.status != 0

    def head(self, answer: HTTPAnswer) -> None:
        """Note the head of the answer, and where the request went."""
        self._head_at = self._now()
        self.status, self.headers = answer.status, dict(answer.headers)
        sent = cast("_Sent | None", getattr(answer, "sent", None))
        # A transport of the caller's own may not tell; a name that never is one says so (RFC 2606).
        self.url = f"http://unknown.invalid{self.request.path}" if sent is None else str(sent.url)
        self.sent_headers = {} if sent is None else dict(sent.headers)

    def heard(self, data: bytes) -> None:
        """Note a read."""
        self._chunks.append(Chunk(self._now(), data))

    def end(self, ending: Ending, error: ConnectionFailedError | None = None) -> None:
        """Note the end; only the first counts."""
        if self._ending is None:
            said = ("", "") if error is None else (scrub(error.message), error.provider)
            self._ending = (ending, self._now(), *said)

    def recording(self) -> Recording:
        """Return what was heard; an answer that has not ended was left here."""
        ending, ended_at, error, provider = self._ending or ("cancelled", self._now(), "", "")
        return Recording(
            chunks=tuple(self._chunks),
            head_at=self._head_at,
            ending=ending,
            ended_at=ended_at,
            error=error,
            provider=provider,
        )

    def _now(self) -> float:
        return self._clock.now() - self._began


class _HeardAnswer:
    """An answer that is written to a `Take` while it is read."""

    def __init__(self, answer: HTTPAnswer, take: Take) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._take = take
        self._body = self._read()
        take.head(answer)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def _read(self) -> AsyncGenerator[bytes, None]:
        take = self._take
        try:
            async for data in self._answer:
                take.heard(data)
                yield data
        except ConnectionFailedError as error:
            take.end("reset", error)
            raise
        except BaseException:
            take.end("cancelled")
            raise
        take.end("end")

    async def aclose(self) -> None:
        async with aclosing(self._body):
            self._take.end("cancelled")
            await self._answer.aclose()
