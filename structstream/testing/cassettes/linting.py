"""What is wrong with the cassettes of a repository: secrets, and rot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CassetteError
from .file import CassetteFile, Interaction
from .scrubbing import Scrubber

__all__ = ["Problem", "lint"]

_SUFFIXES = (".yaml", ".yml", ".json", ".sse")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the file, and what to do; never the secret itself."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def lint(paths: Iterable[str | Path], *, secrets: Iterable[str] = ()) -> list[Problem]:
    """Return what is wrong with cassettes.

    Looked for are the secrets that `structstream.testing.cassettes.scrubbing.Scrubber` knows, headers and query that
    are on no allow-list and named as a key is, files that cannot be read or played, and answers without an end.

    Args:
        paths: files, and folders in which every cassette is looked at.
        secrets: texts that must not stand in them.

    Raises:
        CassetteError: a path is not there, or a folder without a cassette: nothing would be looked at.
    """
    scrubber = Scrubber(secrets)
    return [problem for path in _files(paths) for problem in _problems(path, scrubber)]


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
            if not files:
                raise CassetteError(f"there is no cassette in {path}")
            yield from files
        elif path.exists():
            yield path
        else:
            raise CassetteError(f"there is no cassette {path}")


def _problems(path: Path, scrubber: Scrubber) -> Iterator[Problem]:
    try:
        requests, responses = CassetteFile().read(path)
    except CassetteError as error:
        yield Problem(path, f"cannot be read: {error}")
        return
    if not requests:
        yield Problem(path, "holds no interaction: delete it, or record it again")
    for number, (request, response) in enumerate(zip(requests, responses, strict=True)):
        where = f"interaction {number}"
        for place in scrubber.places({"request": request._to_dict(), "response": response}):
            yield Problem(path, f"{where}: a secret stands in {place}: revoke it, and record again")
        for name in scrubber.suspects(request.uri, request.headers) + scrubber.suspects("", response["headers"] or {}):
            yield Problem(path, f"{where}: {name} may hold a secret: drop it with `structstream cassette convert`")
        found = Interaction.of(request, response, where)
        if not found.recording.body and found.status < 300:
            yield Problem(path, f"{where}: the answer has no body: record it again, vcrpy may have lost it")
