"""A sink that keeps what the JSON reader tells."""

from __future__ import annotations


class EventLog:
    """A sink that keeps each event as a tuple, for tests and for looking at what a text says."""

    def __init__(self, *, pieces: bool = True) -> None:
        self.events: list[tuple[str | int, ...]] = []
        self._pieces = pieces

    def open_object(self, at: int) -> None:
        self.events.append(("open_object", at))

    def open_array(self, at: int) -> None:
        self.events.append(("open_array", at))

    def key(self, name: str) -> None:
        self.events.append(("key", name))

    def close(self, end: int) -> None:
        self.events.append(("close", end))

    def scalar(self, raw: str, end: int) -> None:
        self.events.append(("scalar", raw, end))

    def open_string(self, at: int) -> bool:
        self.events.append(("open_string", at))
        return self._pieces

    def piece(self, text: str) -> None:
        self.events.append(("piece", text))

    def close_string(self, end: int) -> None:
        self.events.append(("close_string", end))

    def string(self, text: str, at: int) -> None:
        self.open_string(at)
        if text and self._pieces:
            self.piece(text)
        self.close_string(at + len(text) + 2)

    def container(self, raw: str, at: int) -> bool:
        return False
