"""From one form of a cassette to another: ours, plain vcrpy's, and bare event streams."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcr.request import Request  # type: ignore[import-untyped]

from structstream.errors import ConfigurationError

from .errors import CassetteError, SecretFoundError
from .file import CassetteFile, read_interactions, serializer_of, write_atomically
from .recording import KEY
from .scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .file import Interaction

__all__ = ["FORMATS", "convert"]

FORMATS = ("structstream", "vcrpy", "sse")
"""A cassette with chunks; one without; the bodies alone, a file for each."""


def convert(
    source: str | Path, target: str | Path, *, to: str | None = None, secrets: Iterable[str] = ()
) -> list[Path]:
    """Write what `source` holds to `target` in another form, and return the files that were written.

    Headers and query are held to the allow-list, and secrets are redacted, as where a cassette is recorded; so this
    also cleans a cassette of another tool. A plain stream becomes an interaction without a URL, which answers anything.

    Args:
        source: a cassette, or a ``.sse`` file.
        target: the file to write; for the bodies of several interactions ``name.sse`` becomes ``name.0.sse`` and so on.
        to: one of `FORMATS`; None for ``sse`` where the target ends so, else ``structstream``.
        secrets: texts that must not stand in the target.

    Raises:
        CassetteError: `source` is no whole cassette, or `target` cannot be written.
        SecretFoundError: a secret stands where it cannot be redacted; nothing was written.
        ConfigurationError: there is no such form.
    """
    target = Path(target)
    to = to or ("sse" if target.suffix == ".sse" else "structstream")
    if to not in FORMATS:
        raise ConfigurationError(f"to must be one of {', '.join(FORMATS)}, not {to!r}")
    scrubber = Scrubber(secrets)
    interactions = read_interactions(source, chunks=to == "structstream")
    if to == "sse":
        if not interactions:
            raise CassetteError(f"cassette {source} holds no interaction, and so no stream: record it first")
        return _write_streams(target, [scrubber.body(each.recording.body) for each in interactions], scrubber)
    cassette = {
        "requests": [_request(each, scrubber) for each in interactions],
        "responses": [_response(each, scrubber, chunks=to == "structstream") for each in interactions],
    }
    CassetteFile(scrubber).save_cassette(target, cassette, serializer_of(target))
    return [target]


def _write_streams(target: Path, bodies: list[bytes], scrubber: Scrubber) -> list[Path]:
    if places := [f"body {number}{place}" for number, body in enumerate(bodies) for place in scrubber.places(body)]:
        raise SecretFoundError(str(target), places)
    stem = target.with_suffix("")
    several = (stem.with_name(f"{stem.name}.{number}.sse") for number in range(len(bodies)))
    files = [target] if len(bodies) == 1 else list(several)
    for file, body in zip(files, bodies, strict=True):
        write_atomically(file, body)
    return files


def _request(each: Interaction, scrubber: Scrubber) -> Any:  # Any: vcrpy's own object
    headers = {"content-type": "application/json"} if each.body else {}
    return Request(each.method, scrubber.url(each.url) if each.url else "", scrubber.body(each.body), headers)


def _response(each: Interaction, scrubber: Scrubber, *, chunks: bool) -> dict[str, Any]:  # Any: YAML
    recording = scrubber.recording(each.recording)
    known = each.status in HTTPStatus._value2member_map_
    return {
        "status": {"code": each.status, "message": HTTPStatus(each.status).phrase if known else ""},
        "headers": {name: [value] for name, value in scrubber.headers(each.headers).items()},
        "body": {"string": recording.body},
        **({KEY: recording.key()} if chunks else {}),
    }
