"""How an answer goes over a connection: at its pace, up to the place where it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from structstream.clock import Clock

    from .dialects.base import Reply
    from .faults import Stop
    from .records import Ending, RecordedRequest
    from .script import Script
    from .server import Connection

__all__ = ["Delivery"]

_TURN = 32  # writes in a row before other connections have their turn


class Delivery:
    """Sends one answer.

    Args:
        connection: where to.
        record: where the bytes are counted, and which is released from a stall.
        script: the pace.
        clock: measures the pace.
        changed: called after each thing that the record did not say before.
    """

    def __init__(
        self,
        connection: Connection,
        record: RecordedRequest,
        script: Script,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.record = record
        self.script = script
        self.clock = clock
        self.changed = changed
        self.due = 0.0

    async def send(self, reply: Reply, stop: Stop | None, *, tokens: int = 0) -> Ending:
        """Send `reply` up to `stop`, and return how it ended.

        Args:
            reply: the answer.
            stop: where it breaks; None for nowhere.
            tokens: how many it took to think a whole answer up, which is how long it takes to come.
        """
        if stop is not None and stop.at_byte is None:
            await self.stall()
        if not reply.streamed:
            await self.wait(self.script.first_token_delay + tokens * self.script.interval)
        length = None if reply.streamed else sum(map(len, reply.pieces))
        self.record.status = reply.status
        self.connection.head(reply.status, reply.headers, length)
        self.changed()
        pieces = list(_grouped(reply.pieces, self.script.events_per_write))
        if stop is None or stop.at_byte is None:
            return await self.all_of(pieces, paced=reply.streamed)
        first, rest = _split(pieces, stop.at_byte)
        await self.pieces(first, paced=reply.streamed)
        if stop.how == "stall":
            await self.stall()
            return await self.all_of(rest, paced=reply.streamed)
        if not rest and stop.how == "cut":
            return await self.all_of(rest, paced=False)
        return await self.broken(stop, reply)

    async def all_of(self, pieces: Sequence[bytes], *, paced: bool) -> Ending:
        await self.pieces(pieces, paced=paced)
        self.connection.end()
        return "complete"

    async def broken(self, stop: Stop, reply: Reply) -> Ending:
        if stop.how == "cut" and reply.streamed:
            self.connection.end()
            return "cut"
        if stop.how == "reset":
            await self.connection.reset()
            return "reset"
        if stop.how == "garble" and reply.streamed:
            self.connection.garble()
            return "garbled"
        self.connection.drop()
        return "cut" if stop.how == "cut" else "dropped"

    async def pieces(self, pieces: Sequence[bytes], *, paced: bool) -> None:
        if paced and (self.script.interval or self.script.first_token_delay):
            await self.paced(pieces)
        else:
            await self.flat_out(pieces)

    async def flat_out(self, pieces: Sequence[bytes]) -> None:
        for number, piece in enumerate(pieces, 1):
            self.put(piece)
            await self.turn(number)

    async def paced(self, pieces: Iterable[bytes]) -> None:
        interval = self.script.interval * self.script.events_per_write
        for number, piece in enumerate(pieces, 1):
            # Each is due by the pace of the whole answer, so that a late one does not delay all that follow.
            now = self.clock.now()
            delay = self.script.first_token_delay if self.record.events_sent == 0 else interval
            self.due = (self.due or now) + delay
            await self.wait(self.due - now)
            self.put(piece)
            await self.turn(number)

    async def turn(self, number: int) -> None:
        """After the write of that number, let others have their turn where that is due."""
        if self.connection.full:
            await self.connection.drained()
        elif number % _TURN == 0 or self.connection.lost:
            await self.clock.sleep(0)

    def put(self, piece: bytes) -> None:
        self.connection.body(piece)
        self.record.bytes_sent += len(piece)
        self.record.events_sent += 1
        self.changed()

    async def wait(self, seconds: float) -> None:
        if seconds > 0:
            await self.clock.sleep(seconds)

    async def stall(self) -> None:
        self.record.stalled = True
        self.changed()
        await self.record.released.wait()
        self.record.stalled = False
        self.due = 0.0


def _grouped(pieces: Sequence[bytes], size: int) -> Iterable[bytes]:
    if size == 1:
        return pieces
    return (b"".join(pieces[at : at + size]) for at in range(0, len(pieces), size))


def _split(pieces: Iterable[bytes], at: int) -> tuple[list[bytes], list[bytes]]:
    """What stands before byte `at` and what after it."""
    first: list[bytes] = []
    rest: list[bytes] = []
    for piece in pieces:
        if at > 0:
            first.append(piece[:at])
        if len(piece) > at:
            rest.append(piece[max(at, 0) :])
        at = max(0, at - len(piece))
    return first, rest
