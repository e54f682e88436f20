"""The interactions of a cassette as a caller would get them, and as a timeline."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from pydantic import RootModel

from structstream import (
    ConfigurationError,
    OutcomeKind,
    StreamingStructuredRequest,
    StructuredLLMService,
    SystemClock,
    Timeouts,
)
from structstream.testing.cassettes import InteractionTransport, timed

from .render import LineScreen, plain

if TYPE_CHECKING:
    from structstream import Clock, Outcome, StreamingResponse, StructuredStream
    from structstream.testing.cassettes import Interaction, Playback

__all__ = ["replay", "request_of", "timeline"]

_WIDTH = 96  # characters of a partial on a line

# How each dialect is known: by the path that was asked, or, of a plain stream, by what its events say.
_DIALECTS: Sequence[tuple[str, bytes, str]] = (
    (r"/chat/completions$", rb'"choices"\s*:', "openai"),
    (r"/responses$", rb'"type"\s*:\s*"response\.', "openai-responses"),
    (r"/messages$", rb'"type"\s*:\s*"message_start"', "anthropic"),
    (r":(?:streamG|g)enerateContent$", rb'"candidates"\s*:', "google"),
)


def request_of(interaction: Interaction, schema: str | None = None) -> StreamingStructuredRequest[Any]:
    """Return a request that an interaction answers.

    Args:
        interaction: of a cassette.
        schema: the type of the answer as ``module:Class``; None for any JSON object.

    Raises:
        ConfigurationError: it is of none of the dialects that are spoken here.
    """
    from .schemas import load_type

    path = interaction.url.partition("?")[0]
    head = interaction.recording.body[:4096]
    found = next(
        (name for ends, says, name in _DIALECTS if re.search(ends, path) or (not path and re.search(says, head))), None
    )
    if found is None:
        what = path or "the stream"
        raise ConfigurationError(f"{what} is of no dialect that is spoken here; see `structstream models`")
    tool = _tool(interaction)
    whole = interaction.status < 300 and interaction.recording.body.lstrip().startswith((b"{", b"["))
    return StreamingStructuredRequest(
        response_model=_anything(tool) if schema is None else load_type(schema),
        model=f"{found}/{_model(interaction)}",
        prompt="as recorded",
        mode="prompted" if tool is None else "tool",
        timeouts=Timeouts(connect=None, first_token=None, between_tokens=None, total=None),
        enable_streaming=not whole,
        max_retries=0,  # what was recorded is one call
    )


def _model(interaction: Interaction) -> str:
    in_path = re.search(r"/models/([^/:?]+):", interaction.url)
    if in_path:
        return in_path[1]
    return str(_asked(interaction).get("model", "recorded"))


def _tool(interaction: Interaction) -> str | None:
    """The name of the tool whose call is the answer; None where it is text."""
    tools = _asked(interaction).get("tools")
    found = re.search(r'"name":\s*"([^"]+)"', json.dumps(tools)) if tools else None
    return found[1] if found else None


def _asked(interaction: Interaction) -> dict[str, Any]:  # Any: JSON
    with suppress(ValueError):
        body = json.loads(interaction.body)
        if isinstance(body, dict):
            return body
    return {}


def _anything(name: str | None) -> Any:  # Any: a type
    """Any JSON object; called as the tool is, if there is one: a call of another tool would not be the answer."""
    return dict[str, Any] if name is None else type(name, (RootModel[dict[str, Any]],), {})


async def replay(interactions: Sequence[Interaction], play: Playback, schema: str | None, out: TextIO) -> int:
    """Show each interaction as it comes, and return the exit code: 0 if all are complete."""
    worst = 0
    for number, interaction in enumerate(interactions):
        print(f"{number}: {interaction.method} {interaction.url or 'a stream'}", file=out)
        async with _stream(interaction, play, SystemClock(), schema) as stream:
            with LineScreen(out) as screen:
                async for response in stream:
                    screen.step(response)
        print("\n".join(_ended(stream.outcome)), file=out)
        worst = max(worst, int(stream.outcome is None or stream.outcome.kind != OutcomeKind.COMPLETE))
    return worst


async def timeline(number: int, interaction: Interaction, schema: str | None = None) -> list[str]:
    """Return the lines that tell how an interaction went."""
    recording, clock = interaction.recording, _Skipping()
    asked = request_of(interaction, schema)
    lines = [
        f"{number}: {interaction.method} {interaction.url or 'a stream'}  ({asked.model})",
        f"   {recording.head_at:9.4f}  {interaction.status} {interaction.headers.get('content-type', '')}",
    ]
    steps: list[tuple[float, str]] = []
    async with _stream(interaction, timed(), clock, schema) as stream:
        async for response in stream:
            steps += [(clock.now(), text) for text in _partial(response)]
    reads = [(chunk.at, f"read {len(chunk.data)} bytes{_events(chunk.data)}") for chunk in recording.chunks]
    lines += [f"   {at:9.4f}  {text}" for at, text in sorted([*reads, *steps], key=lambda row: row[0])]
    said = f": {_line(recording.error)}" if recording.error else ""
    lines.append(f"   {recording.ended_at:9.4f}  {recording.ending}{said}")
    outcome = stream.outcome
    if recording.ending == "cancelled" and outcome is not None and outcome.kind == OutcomeKind.INCOMPLETE:
        return lines  # what the caller would have got is not known
    return lines + _ended(outcome)


def _stream(interaction: Interaction, play: Playback, clock: Clock, schema: str | None) -> StructuredStream[Any]:
    transport = InteractionTransport(interaction, play=play, clock=clock)
    return StructuredLLMService(transport, clock=clock).route_structured_streaming(request_of(interaction, schema))


def _partial(response: StreamingResponse[Any]) -> Iterator[str]:  # Any: of any response model
    if response.outcome is None:
        text = json.dumps(plain(response.partial_result), ensure_ascii=False)
        yield f"  {response.progress_percent:3.0f} %  {text if len(text) <= _WIDTH else text[: _WIDTH - 1] + '…'}"


def _events(data: bytes) -> str:
    count = len(re.findall(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)", data))
    return f", {count} event{'s' * (count != 1)}" if count else ""


def _ended(outcome: Outcome[Any] | None) -> list[str]:  # Any: of any response model
    if outcome is None:
        return ["   no outcome"]
    if outcome.error is None:
        return [f"   {outcome.kind}: {json.dumps(plain(outcome.result), ensure_ascii=False)}"]
    return [f"   {outcome.kind}: {_line(str(outcome.error))}"]


def _line(text: str) -> str:
    return " ".join(text.split())


class _Skipping:
    """A clock that passes over every wait: a recording of a minute is looked at in a moment."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)

    def call_at(self, when: float, callback: Callable[[], None]) -> _NoTimer:
        """Never call back: whoever looks at a recording has no deadline."""
        return _NoTimer()


class _NoTimer:
    def cancel(self) -> None:
        """Nothing was set."""
