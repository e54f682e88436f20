"""A cassette on the disk: read with a clear word on what is wrong with it, written whole or not at all."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from vcr.filters import decode_response  # type: ignore[import-untyped]
from vcr.persisters.filesystem import CassetteNotFoundError  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]
from vcr.serialize import deserialize, serialize  # type: ignore[import-untyped]
from vcr.serializers import jsonserializer, yamlserializer  # type: ignore[import-untyped]

from .errors import CassetteError, SecretFoundError
from .recording import KEY, Recording

if TYPE_CHECKING:
    from .scrubbing import Scrubber

__all__ = [
    "CassetteFile",
    "Interaction",
    "alone",
    "check_version",
    "read_interactions",
    "serializer_of",
    "write_atomically",
]

_VERSION = 1
_OLD = "written by a vcrpy before 1.0: run `python -m vcr.migration` on it, or record it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One request of a cassette and the answer to it.

    Args:
        method, url, body: of the request.
        status: of the answer.
        headers: of the answer, by lower-case name.
        recording: its body, and how that came.
    """

    method: str
    url: str
    body: bytes
    status: int
    headers: Mapping[str, str]
    recording: Recording

    # Any: vcrpy's own objects, which have no types
    @classmethod
    def of(cls, request: Any, response: dict[str, Any], where: str, *, chunks: bool = True) -> Interaction:
        """Return what vcrpy has read; with `chunks` or, without a look at those, whole.

        Raises:
            CassetteError: it is no answer, is compressed in a way that vcrpy does not know, or its chunks do not fit.
        """
        try:
            response = decode_response(_modern(response))
            headers = {name.lower(): _joined(values) for name, values in (response["headers"] or {}).items()}
            body, status = (response["body"] or {}).get("string") or b"", int(response["status"]["code"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CassetteError(f"{where}: the response is not one of vcrpy's ({error!r}): record it again") from None
        if headers.pop("content-encoding", "identity") != "identity":
            raise CassetteError(f"{where}: the body is compressed in a way that vcrpy does not know: record it again")
        body = body.encode() if isinstance(body, str) else bytes(body)
        asked = request.body_bytes or b""
        return cls(
            method=request.method,
            url=request.uri,
            body=asked.encode() if isinstance(asked, str) else bytes(asked),
            status=status,
            headers=headers,
            recording=Recording.read(response.get(KEY) if chunks else None, body, where),
        )


def _modern(response: dict[str, Any]) -> dict[str, Any]:  # Any: YAML
    """What vcrpy once wrote for httpx, in its usual form."""
    if "status_code" not in response:
        return response
    content = response.get("content") or b""
    content = content.encode() if isinstance(content, str) else content
    headers = {
        name: values if isinstance(values, list) else [values] for name, values in (response["headers"] or {}).items()
    }
    return {**response, "headers": headers, "body": {"string": content}, "status": {"code": response["status_code"]}}


def _joined(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


def read_interactions(path: str | Path, *, chunks: bool = True) -> list[Interaction]:
    """Return what a cassette or a ``.sse`` file holds.

    Args:
        path: the file.
        chunks: False passes over how the bodies came, and so reads a file whose bodies were edited.

    Raises:
        CassetteError: the file is not there, or is no whole cassette.
    """
    path = Path(path)
    requests, responses = CassetteFile(chunks=chunks).read(path)
    return [
        Interaction.of(request, response, f"cassette {path}, interaction {number}", chunks=chunks)
        for number, (request, response) in enumerate(zip(requests, responses, strict=True))
    ]


class CassetteFile:
    """What vcrpy calls a persister: reads a cassette and writes it, if no secret stands in it.

    Args:
        scrubber: knows the secrets; None where nothing is to be written.
        chunks: whether how the bodies came is looked at.
    """

    def __init__(self, scrubber: Scrubber | None = None, *, chunks: bool = True) -> None:
        self.count = 0
        """How many interactions the file had when it was last read or written here."""
        self._scrubber = scrubber
        self._chunks = chunks

    # Any: vcrpy's own objects, which have no types
    def load_cassette(self, path: str | Path, serializer: Any) -> tuple[list[Any], ...]:
        """Return requests and responses, and the metadata that vcrpy keeps, if there are any.

        Raises:
            CassetteNotFoundError: vcrpy's own: there is no such file.
            CassetteError: it is no whole cassette.
        """
        path = Path(path)
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            raise CassetteNotFoundError(str(path)) from None
        except UnicodeDecodeError as error:
            raise CassetteError(f"cassette {path} is no UTF-8 text ({error.reason}): record it again") from None
        except OSError as error:
            raise CassetteError(f"cassette {path} cannot be read: {error.strerror}") from error
        check_version(path, text, serializer)
        try:
            found = tuple(deserialize(text, serializer))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CassetteError(f"cassette {path} is none of vcrpy's ({_first_line(error)}): record it again") from None
        for number, (request, response) in enumerate(zip(found[0], found[1], strict=True)):
            # What cannot be played is told now.
            Interaction.of(request, response, f"cassette {path}, interaction {number}", chunks=self._chunks)
        self.count = len(found[0])
        return found

    def read(self, path: Path) -> tuple[list[Any], list[Any]]:
        """Return requests and responses of a cassette, or those that a ``.sse`` file stands for.

        Raises:
            CassetteError: the file is not there, or is no whole cassette.
        """
        if path.suffix == ".sse":
            return _of_stream(path)
        try:
            requests, responses, *_ = self.load_cassette(path, serializer_of(path))
        except CassetteNotFoundError:
            raise CassetteError(f"there is no cassette {path}: record it first") from None
        return requests, responses

    def save_cassette(self, path: str | Path, cassette_dict: dict[str, Any], serializer: Any) -> None:
        """Write a cassette whole or not at all.

        Raises:
            SecretFoundError: a secret stands in it; nothing was written.
            CassetteError: it cannot be written.
        """
        # vcrpy turns bytes into text in place, and what it was given is still to be played.
        written = copy.deepcopy(cassette_dict)
        if self._scrubber is not None:
            pairs = zip(written["requests"], written["responses"], strict=True)
            plain = [{"request": request._to_dict(), "response": response} for request, response in pairs]
            places = [
                f"interaction {number}, {place}"
                for number, each in enumerate(plain)
                for place in self._scrubber.places(each)
            ]
            if places:
                raise SecretFoundError(str(path), places)
        count = len(written["requests"])  # before vcrpy turns it to text, in place
        write_atomically(Path(path), serialize(written, serializer).encode("utf-8"))
        self.count = count


def serializer_of(path: Path) -> Any:  # Any: a module of vcrpy's
    """The serializer for a file of that name."""
    return jsonserializer if path.suffix == ".json" else yamlserializer


def check_version(path: Path, text: str, serializer: Any) -> None:  # Any: a module of vcrpy's
    """Say what is wrong with a file before vcrpy stumbles over it.

    Raises:
        CassetteError: it is torn, foreign, too old or too new.
    """
    try:
        data = serializer.deserialize(text)
    except yaml.constructor.ConstructorError as error:
        raise CassetteError(
            f"cassette {path} holds what vcrpy does not load ({error.problem}): record it again"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CassetteError(
            f"cassette {path} is torn, or no cassette ({_first_line(error)}): restore it, or delete it and record again"
        ) from None
    if isinstance(data, list) and data and isinstance(data[0], Mapping) and "request" in data[0]:
        raise CassetteError(f"cassette {path}: {_OLD}")
    if not isinstance(data, Mapping) or not isinstance(data.get("interactions"), list):
        raise CassetteError(f"{path} is no cassette: it has no list of interactions; name a file that vcrpy wrote")
    if data.get("version") is None:
        raise CassetteError(
            f"cassette {path} is torn: its last line, the version, is missing; restore it, or delete it and record it "
            "again"
        )
    if data["version"] != _VERSION:
        raise CassetteError(
            f"cassette {path} is of version {data['version']!r}, and this library reads {_VERSION}: upgrade vcrpy and "
            "structstream, or record it again"
        )


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other threads and processes that ask for the same from writing in the folder of `path` meanwhile.

    Where the machine has no such lock, as Windows, or the folder takes none, nobody is kept.

    Raises:
        CassetteError: there is no such folder, and it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CassetteError(f"cassette {path} cannot be written: {error.strerror}") from error
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            folder = os.open(path.parent, os.O_RDONLY)
            stack.callback(os.close, folder)  # which also ends the lock
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path` and put it in its place: whoever reads sees the old file or the new one.

    Raises:
        CassetteError: it cannot be written there.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # a temporary file is for its owner alone; a cassette is for the repository
        Path(temporary).replace(path)
    except OSError as error:
        raise CassetteError(f"cassette {path} cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _of_stream(path: Path) -> tuple[list[Any], list[Any]]:  # Any: vcrpy's own objects
    try:
        body = path.read_bytes()
    except OSError as error:
        raise CassetteError(f"{path} cannot be read: {error.strerror}") from error
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"]},
        "body": {"string": body},
    }
    return [Request("POST", "", b"", {})], [response]


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}"
    return type(error).__name__
