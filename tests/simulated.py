"""As little HTTP as it takes to talk to the simulated provider, so that every byte is seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, TypeAdapter

from structstream.testing import SimulatedProvider

__all__ = ["QUESTION", "Client", "Person", "body_of", "connected", "events", "text"]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


SCHEMA = TypeAdapter(Person).json_schema()
QUESTION: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Who?"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "Person", "schema": SCHEMA}},
    "stream": True,
}


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(
        self, body: Any = QUESTION, path: str = "/v1/chat/completions", headers: str = "", method: str = "POST"
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, _, value in pairs}

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def chunks(self) -> list[bytes]:
        found = []
        while chunk := await self.chunk():
            found.append(chunk)
        return found

    async def answer(self, body: Any = QUESTION, **how: str) -> tuple[int, dict[str, str], bytes]:
        self.ask(body, **how)
        code, headers = await self.head()
        if "content-length" in headers:
            return code, headers, await self.reader.readexactly(int(headers["content-length"]))
        return code, headers, b"".join(await self.chunks())

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def connected(provider: SimulatedProvider) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def events(body: bytes) -> list[Any]:
    return [json.loads(each.removeprefix(b"data: ")) for each in body.split(b"\n\n") if each and b"[DONE]" not in each]


def text(body: bytes) -> str:
    choices = [choice for event in events(body) for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def body_of(*, seed: int = 0) -> bytes:
    async with SimulatedProvider(seed=seed) as provider, connected(provider) as client:
        return (await client.answer())[2]
