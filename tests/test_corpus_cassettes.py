"""Every recorded body of a dialect that is spoken here, wrapped as a vcrpy cassette, replays through the service."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from vcr.request import Request  # type: ignore[import-untyped]
from vcr.serialize import serialize  # type: ignore[import-untyped]
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from structstream.decoder import StreamDecoder
from structstream.providers import DIALECTS, ProviderSpec
from structstream.request import StreamingStructuredRequest
from structstream.testing.cassettes import Playback, exact, recut
from tests.corpus import count_bodies, needs_corpus
from tests.recordings import body_of, recorded
from tests.taping import playing
from tests.test_corpus_table import FOLDERS

if TYPE_CHECKING:
    from structstream.response import Outcome

pytestmark = pytest.mark.anyio

PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
SPOKEN = {folder: dialect for folder, dialect in FOLDERS.items() if dialect is not None}
_LONG = 64 << 10  # bytes: of the few that are longer, one in four


def wrapped(path: Path, dialect: str, bodies: list[bytes]) -> None:
    """Write `bodies` as vcrpy writes what it has heard."""
    headers = {"Content-Type": ["text/event-stream; charset=utf-8"], "Transfer-Encoding": ["chunked"]}
    request = ("POST", f"https://api.example.com{PATHS[dialect]}", b"{}", {"authorization": "DUMMY"})
    answer = {"status": {"code": 200, "message": "OK"}, "headers": headers}
    cassette = {
        "requests": [Request(*request) for _ in bodies],
        "responses": [{**answer, "body": {"string": body}} for body in bodies],
    }
    path.write_text(serialize(cassette, yamlserializer))


def told(outcome: Outcome[Any] | None) -> tuple[object, ...]:
    assert outcome is not None
    on_the_way = outcome.finish_reason is None and outcome.kind != "complete"  # what the service takes for a guess
    usage = None if on_the_way or (outcome.usage is not None and outcome.usage.estimated) else outcome.usage
    return outcome.kind, outcome.raw_text, outcome.prose, outcome.thinking, repr(outcome.error), usage


def decoded(dialect: str, body: bytes) -> tuple[object, ...]:
    """What the decoder makes of a body that it gets whole and without a transport."""
    provider = DIALECTS[dialect](ProviderSpec(name=dialect, dialect=dialect))
    decoder: StreamDecoder[Any] = StreamDecoder(dict[str, Any], provider.decoder(), lenient=True)
    decoder.feed(body)
    return told(decoder.finish().outcome)


@needs_corpus
@pytest.mark.parametrize("play", [exact, recut(1)], ids=repr)
@pytest.mark.parametrize("folder", SPOKEN)
async def test_the_bodies_replay_as_vcrpy_cassettes(tmp_path: Path, folder: str, play: Playback) -> None:
    dialect, path = SPOKEN[folder], tmp_path / "all.yaml"
    bodies = [body_of(tags) for tags in recorded(folder)]
    bodies = [body for number, body in enumerate(bodies) if len(body) <= _LONG or number % 4 == 0]
    bodies = bodies if play is exact else bodies[::4]
    wrapped(path, dialect, bodies)
    request = StreamingStructuredRequest(
        response_model=dict[str, Any], model=f"{dialect}/m", prompt="Whatever was asked", mode="prompted"
    )
    kinds: Counter[str] = Counter()
    async with playing(path, play, match_on=["method", "path"]) as (service, tape):
        for body in bodies:
            async with service.route_structured_streaming(request) as stream:
                async for _ in stream:
                    pass
            assert stream.outcome is not None
            if body.lstrip().startswith(b"{"):  # recorded under the name of a stream, and an error's JSON
                assert stream.outcome.kind == "provider_error"
            else:
                assert told(stream.outcome) == decoded(dialect, body)
            kinds[stream.outcome.kind] += 1
        assert tape.unused == []
    if play is exact:
        count_bodies(dialect, f"{folder} as cassettes", kinds)
