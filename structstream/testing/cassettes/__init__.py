"""Cassettes: what a provider said, kept in a file with its wire, and played again without a network.

The file is vcrpy's, with one key more in each response (see `recording`): plain vcrpy replays it whole, `Cassette`
replays it exactly, at its pace, or cut in any other way.

    with Cassette("cassettes/profile.yaml") as cassette:
        service = StructuredLLMService(cassette.client, wrap_transport=cassette.wrap)
"""

from __future__ import annotations

from structstream.errors import MissingDependencyError

try:
    import vcr  # type: ignore[import-untyped]  # noqa: F401  # here, so that its absence is one clear sentence
except ImportError as error:
    raise MissingDependencyError("a cassette", "testing") from error

from .cassette import Cassette
from .converting import FORMATS, convert
from .errors import CassetteError, NotRecordedError, SecretFoundError
from .file import Interaction, read_interactions
from .linting import Problem, lint
from .playback import (
    PLAYS,
    Playback,
    at_once,
    byte_by_byte,
    cut_at_byte,
    every_cut,
    exact,
    parse_play,
    recut,
    stall_at_event,
    timed,
)
from .recording import Chunk, Ending, Recording
from .transports import InteractionTransport

__all__ = [
    "FORMATS",
    "PLAYS",
    "Cassette",
    "CassetteError",
    "Chunk",
    "Ending",
    "Interaction",
    "InteractionTransport",
    "NotRecordedError",
    "Playback",
    "Problem",
    "Recording",
    "SecretFoundError",
    "at_once",
    "byte_by_byte",
    "convert",
    "cut_at_byte",
    "every_cut",
    "exact",
    "lint",
    "parse_play",
    "read_interactions",
    "recut",
    "stall_at_event",
    "timed",
]
