"""What can be wrong with a cassette; each sentence says what to do."""

from __future__ import annotations

from structstream.errors import ConfigurationError

__all__ = ["CassetteError", "NotRecordedError", "SecretFoundError"]


class CassetteError(ConfigurationError):
    """The file is no cassette, or not a whole one, or the library is too old for it."""


class NotRecordedError(CassetteError):
    """A request that the cassette does not hold, or no longer, and that may not be sent."""


class SecretFoundError(CassetteError):
    """A secret stands where it cannot be redacted: the cassette is not written.

    Attributes:
        places: where, such as ``interaction 0, response.body.string``; what was found there is never told.
    """

    def __init__(self, path: str, places: list[str]) -> None:
        super().__init__(
            f"cassette {path} is not written: a secret stands in {'; '.join(places)}; "
            "keep it out of the prompt, or redact it with a filter of vcrpy's (before_record_response)"
        )
        self.places = places
