"""A server that streams the items of a list to many clients, each with the time at which it was sent.

``python -m scripts.benchmarks.ticker '{"speed": 20, "events": 200}'``; much cheaper than the simulated provider.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

__all__ = ["Ticker", "main"]

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_FRAME = 'data: {"id":"1","object":"chat.completion.chunk","created":0,"model":"m","choices":[%s]}\n\n'
_DELTA = '{"index":0,"delta":{"content":%s},"finish_reason":null}'
_FINISH = '{"index":0,"delta":{},"finish_reason":"stop"}'


class Ticker(asyncio.Protocol):
    """Answers each request on a connection with `events` items, `speed` of them a second."""

    def __init__(self, speed: float, events: int) -> None:
        self._interval = 1 / speed
        self._events = events
        self._seen = b""
        self._sent = 0
        self._due = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)  # set before anything else is called

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole; its body is JSON and ends with a brace."""
        self._seen += data
        if b"\r\n\r\n" in self._seen and self._seen.endswith(b"}"):
            self._seen = b""
            self._sent = 0
            self._transport.write(_HEAD)
            self._due = self._loop.time()
            self._tick()

    def _tick(self) -> None:
        if self._transport.is_closing():
            return
        if self._sent == self._events:
            self._write((_FRAME % (_DELTA % json.dumps("]}"))).encode())
            self._write((_FRAME % _FINISH).encode() + b"data: [DONE]\n\n")
            self._transport.write(b"0\r\n\r\n")
            return
        # The space ends the number: one that might still grow is not shown, and would be seen an event later.
        item = ("," if self._sent else '{"items":[') + f"{time.monotonic():.6f} "
        self._write((_FRAME % (_DELTA % json.dumps(item))).encode())
        self._sent += 1
        self._due += self._interval
        self._loop.call_at(self._due, self._tick)

    def _write(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


async def main(speed: float, events: int) -> None:
    """Serve until standard input ends; prints the base URL first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Ticker(speed, events), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
