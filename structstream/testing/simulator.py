"""The simulated provider: a real HTTP server on loopback that answers with plausible data, and fails on demand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from structstream.clock import Clock, SystemClock
from structstream.errors import ConfigurationError, StructStreamError

from .answer import Document, answer, document_for, rest_of_document
from .delivery import Delivery
from .dialects import DIALECTS, dialect_for
from .dialects.base import BadQuestionError, Reply, as_array, reply
from .faults import Fault, parse_fault
from .records import RecordedRequest, without_secrets
from .script import Script
from .server import Connection, HTTPQuestion

if TYPE_CHECKING:
    from types import TracebackType

    from structstream.events import ProviderEvent

    from .dialects.base import Question, WireDialect
    from .records import Ending
    from .thread import ThreadedProvider

__all__ = ["SimulatedProvider", "WaitTimeoutError"]

_JSON = "application/json"
_STREAM = "text/event-stream; charset=utf-8"
_RESPONSE = re.compile(r"(?:/v1)?/responses/([^/]+)").fullmatch
_NUMBER = re.compile(rb'"sequence_number": (\d+)').search
_MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "simulated")


class WaitTimeoutError(StructStreamError, TimeoutError):
    """What a test waited for did not happen in time; the sentence says how things stood instead."""


class SimulatedProvider:
    """A provider that lives in this process and can be talked to by any client of its dialects.

    It listens on loopback while its ``async with`` block runs. It makes seeded, plausible data for the JSON schema that
    a request carries (response format, forced tool, or the first schema in the messages), or says what it is told to;
    paced, or as fast as the client reads. It speaks every dialect of `dialects.DIALECTS`, streamed and whole, on the
    paths of the real providers, and ``GET /v1/models``, and sends a background response
    of ``/v1/responses`` on with ``starting_after``; clients of Anthropic and Google want the base URL without its
    ``/v1``. A request's own fault may stand in its header ``x-simulate: cut_at_byte(100)``.

    Args:
        seed: decides the data; the same seed and the same requests in the same order give the same bytes.
        script: how answers go; may be replaced between requests.
        faults: what goes wrong, by the number of the POST request: a sequence in order, None for nothing; or a mapping.
        repeat_faults: begin again at the first of a sequence of faults after the last.
        document: the text of every answer, or a function that makes it from the question; None for generated data. A
            question for the rest of an answer that broke off is answered with the rest of it.
        models: what ``GET /v1/models`` lists.
        api_key: the only key that is taken; None for any and none.
        clock: measures pace and times; None for the machine's.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.

    Raises:
        ConfigurationError: an argument cannot work; the sentence says which.

    Example::

        async with SimulatedProvider(seed=1, faults=[None, cut_at_byte(500)]) as provider:
            client = AsyncOpenAI(base_url=provider.base_url, api_key="any")
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        script: Script | None = None,
        faults: Sequence[Fault | None] | Mapping[int, Fault] = (),
        repeat_faults: bool = False,
        document: Document | None = None,
        models: Sequence[str] = _MODELS,
        api_key: str | None = None,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.seed = seed
        self.script = script if script is not None else Script()
        self.document = document
        self.models = tuple(models)
        self.requests: list[RecordedRequest] = []
        """Every request so far, in the order in which they came."""
        self.connections = 0
        """How many connections were opened so far."""
        self.disconnects = 0
        """How many answers the client left before their end."""
        self._faults = _checked(faults)
        # How many requests it takes until the faults begin again; a mapping ends with its highest number.
        period = len(faults) if isinstance(faults, Sequence) else max(self._faults, default=-1) + 1
        self._period = period if repeat_faults else 0
        self._api_key = api_key
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: dict[Connection, list[RecordedRequest]] = {}  # what came over it
        self._asked = 0
        self._stored: dict[str, Sequence[bytes]] = {}  # the events of background responses, by their ids
        self._waiting: list[tuple[Callable[[SimulatedProvider], bool], asyncio.Future[None]]] = []

    @classmethod
    def in_thread(
        cls,
        *,
        seed: int = 0,
        script: Script | None = None,
        faults: Sequence[Fault | None] | Mapping[int, Fault] = (),
        repeat_faults: bool = False,
        document: Document | None = None,
        api_key: str | None = None,
        port: int = 0,
    ) -> ThreadedProvider:
        """Return a provider for callers without an event loop: a plain ``with`` block, with a thread of its own."""
        from .thread import ThreadedProvider

        return ThreadedProvider(
            cls(
                seed=seed,
                script=script,
                faults=faults,
                repeat_faults=repeat_faults,
                document=document,
                api_key=api_key,
                port=port,
            )
        )

    # its life

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), self._host, self._port, backlog=2048)
        except (OSError, OverflowError) as error:
            problem = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(f"cannot listen on {self._host}:{self._port}: {problem}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop listening, close every connection, and return when nothing runs any more."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection, records in list(self._open.items()):
            self._finish(records, "closed")
            await connection.close()
        await server.wait_closed()
        await self.wait_until(lambda provider: not provider._open)

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises:
            ConfigurationError: it is not running.
        """
        if self._server is None:
            raise ConfigurationError("the simulated provider is not running: enter its async with block first")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, such as ``http://127.0.0.1:45321/v1``."""
        return f"http://{self._host}:{self.port}/v1"

    # what a test looks at

    @property
    def active(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def answering(self) -> int:
        """How many answers are under way now."""
        return sum(records[-1].ending is None for records in self._open.values() if records)

    async def wait_until(self, condition: Callable[[SimulatedProvider], bool], within: float = 5.0) -> None:
        """Return as soon as `condition` holds; it is looked at after each thing that happens here.

        Raises:
            WaitTimeoutError: `within` real seconds passed before.
            Exception: what `condition` itself raises.
        """
        if condition(self):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            last = self.requests[-1] if self.requests else "no request"
            raise WaitTimeoutError(
                f"waited {within} s in vain: {self.active} connections are open; last: {last}"
            ) from None
        finally:
            self._waiting.remove(entry)

    async def wait_for_request(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once it has come.

        Raises:
            WaitTimeoutError: it did not come in time.
        """
        await self.wait_until(lambda provider: len(provider.requests) > number, within)
        return self.requests[number]

    async def wait_for_end(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once its answer has ended, however it did.

        Raises:
            WaitTimeoutError: it did not end in time.
        """
        await self.wait_for_request(number, within)
        await self.wait_until(lambda provider: provider.requests[number].ending is not None, within)
        return self.requests[number]

    async def wait_for_disconnect(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once the connection that it came over is gone.

        Raises:
            WaitTimeoutError: it was not closed in time.
        """
        await self.wait_for_request(number, within)
        await self.wait_until(lambda provider: provider.requests[number].disconnected_at is not None, within)
        return self.requests[number]

    async def wait_for_stall(self, number: int = 0, within: float = 5.0) -> RecordedRequest:
        """Return the record of request `number` once its answer has stalled.

        Raises:
            WaitTimeoutError: it did not stall in time.
        """
        await self.wait_for_request(number, within)
        await self.wait_until(lambda provider: provider.requests[number].stalled, within)
        return self.requests[number]

    def release(self) -> None:
        """Let every stalled answer go on."""
        for record in self.requests:
            if record.stalled:
                record.released.set()

    # what a connection tells (ConnectionOwner)

    def opened(self, connection: Connection) -> None:
        """Count a new connection."""
        connection.number = self.connections
        self.connections += 1
        self._open[connection] = []
        self._changed()

    def lost(self, connection: Connection) -> None:
        """Note that a connection is gone, and whether an answer was under way."""
        records = self._open.pop(connection)
        self._finish(records, "disconnected")
        for record in records:
            record.disconnected_at = self._clock.now()
        self._changed()

    async def respond(self, connection: Connection, question: HTTPQuestion) -> None:
        """Record a request, answer it, and record how that ended."""
        record = RecordedRequest(
            number=len(self.requests),
            method=question.method,
            path=question.path,
            query=re.sub(r"(?<![^&])key=[^&]*", "key=[redacted]", question.query),
            headers=without_secrets(question.headers),
            body=_json(question.body),
            connection=connection.number,
            started_at=self._clock.now(),
        )
        self.requests.append(record)
        records = self._open[connection]
        records.append(record)
        self._changed()
        try:
            plan = self._plan(record, question)
            delivery = Delivery(connection, record, self.script, self._clock, self._changed)
            stop = record.fault.stop if record.fault is not None else None
            tokens = 0 if plan.streamed else sum(map(len, record.documents)) // 4
            self._finish(records, await delivery.send(plan, stop, tokens=tokens))
        finally:
            self._finish(records, "failed")

    # the answer

    def _plan(self, record: RecordedRequest, question: HTTPQuestion) -> Reply:
        if self._api_key is not None and self._api_key not in _keys(question):
            return _error(dialect_for(question.path), 401, "Incorrect API key provided.", code="invalid_api_key")
        if question.method == "GET" and question.path.removeprefix("/v1").startswith("/models"):
            return self._models(question.path.removeprefix("/v1").removeprefix("/models").strip("/"))
        if question.method == "GET" and (stored := _RESPONSE(question.path)):
            record.fault = parse_fault(question.headers["x-simulate"]) if "x-simulate" in question.headers else None
            return self._sent_on(stored[1], question.query)
        dialect = dialect_for(question.path)
        if dialect is None:
            return _error(None, 404, f"Invalid URL ({question.method} {question.path})")
        if question.method != "POST":
            return _error(dialect, 405, f"Not allowed to {question.method} on {question.path}")
        headers = dialect.headers(record.number)
        try:
            record.fault = self._fault(question.headers.get("x-simulate"))
            planned = self._answered(record, dialect)
        except BadQuestionError as error:
            return _error(dialect, error.status, str(error), headers, param=error.param, code=error.code)
        except ConfigurationError as error:  # a bad x-simulate, a schema that allows nothing
            return _error(dialect, 400, str(error), headers)
        own = {name for name, _ in planned.headers}
        usual = tuple(each for each in headers if each[0] not in own)
        return Reply(planned.status, (*usual, *planned.headers), planned.pieces, planned.streamed)

    def _fault(self, header: str | None) -> Fault | None:
        number, self._asked = self._asked, self._asked + 1
        if header is not None:
            return parse_fault(header)
        if self._period:
            number %= self._period
        return self._faults.get(number)

    def _answered(self, record: RecordedRequest, dialect: WireDialect) -> Reply:
        fault = record.fault
        if fault is not None and fault.reply is not None:
            return fault.reply(dialect)
        if not isinstance(record.body, dict):
            raise BadQuestionError("We could not parse the JSON body of your request.")
        question = record.question = dialect.read(
            record.body, f"{record.path}?{record.query}" if record.query else record.path
        )
        # A caller's seed asks for the same answer each time; without one each request has its own.
        seed = f"{self.seed}/{f'#{record.number}' if question.seed is None else question.seed}"
        record.documents = tuple(self._document(question, f"{seed}/{choice}") for choice in range(question.choices))
        response_id = f"{dialect.id_prefix}simulated-{self.seed}-{record.number}"
        said: Sequence[ProviderEvent] = answer(question, self.script, record.documents, response_id, seed)
        if fault is not None and fault.said is not None:
            said = fault.said(said)
        if not question.stream or (fault is not None and fault.whole):
            return reply(200, _JSON, dialect.whole(question, said))
        sent: Sequence[bytes] = dialect.stream(question, said)
        if dialect.name == "openai_responses" and record.body.get("background") is True:
            self._stored[response_id] = sent
        if fault is not None and fault.sent is not None:
            sent = fault.sent(sent)
        kind, sent = (_JSON, as_array(sent)) if question.array else (_STREAM, sent)
        return Reply(200, (("content-type", kind), ("cache-control", "no-cache")), sent, streamed=True)

    def _document(self, question: Question, seed: str) -> str:
        if self.document is None:
            return document_for(question, self.script, seed)
        return rest_of_document(question, self.document if isinstance(self.document, str) else self.document(question))

    def _sent_on(self, response_id: str, query: str) -> Reply:
        """The events of a background response after a given one, or from the first on."""
        events = self._stored.get(response_id)
        if events is None:
            return _error(None, 404, f"Response with id '{response_id}' not found.")
        after = re.search(r"(?:^|&)starting_after=(\d+)(?:&|$)", query)
        last = -1 if after is None else int(after[1])
        rest = [event for event in events if (found := _NUMBER(event)) is not None and int(found[1]) > last]
        return Reply(200, (("content-type", _STREAM), ("cache-control", "no-cache")), rest, streamed=True)

    def _models(self, wanted: str) -> Reply:
        rows = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "simulated"} for name in self.models
        ]
        if not wanted:
            return reply(200, _JSON, json.dumps({"object": "list", "data": rows}).encode())
        row = next((row for row in rows if row["id"] == wanted), None)
        if row is None:
            return _error(None, 404, f"The model '{wanted}' does not exist", code="model_not_found")
        return reply(200, _JSON, json.dumps(row).encode())

    def _finish(self, records: Sequence[RecordedRequest], ending: Ending) -> None:
        """Note how the last of these ended, unless that is known."""
        if not records or records[-1].ending is not None:
            return
        record = records[-1]
        record.ending = ending
        record.ended_at = self._clock.now()
        self.disconnects += ending == "disconnected"
        self._changed()

    def _changed(self) -> None:
        # Looked at here and now, so that nothing is missed that holds for a moment only.
        for condition, future in self._waiting:
            try:
                if not future.done() and condition(self):
                    future.set_result(None)
            except Exception as error:  # noqa: BLE001 — the condition is the waiter's, and so is its error
                future.set_exception(error)


def _checked(faults: object) -> dict[int, Fault]:
    if not isinstance(faults, Mapping | Sequence) or isinstance(faults, str):
        raise ConfigurationError(f"faults must be a list by request number or a mapping from it, not {faults!r} itself")
    rows = dict(faults) if isinstance(faults, Mapping) else dict(enumerate(faults))
    for number, fault in rows.items():
        if not isinstance(number, int) or number < 0:
            raise ConfigurationError(f"faults: a request number is an integer from 0 on, not {number!r}")
        if not isinstance(fault, Fault | None):
            raise ConfigurationError(
                f"faults: request {number} has {fault!r}, which is no Fault; make it by cut_at_byte(100) or so"
            )
    return {number: fault for number, fault in rows.items() if fault is not None}


def _keys(question: HTTPQuestion) -> list[str]:
    """The key of a request, in any of the places where one of the dialects puts it."""
    headers = question.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    in_query = [
        value for name, _, value in (each.partition("=") for each in question.query.split("&")) if name == "key"
    ]
    return [
        bearer if scheme == "Bearer" else "",
        headers.get("x-api-key", ""),
        headers.get("x-goog-api-key", ""),
        *in_query,
    ]


def _json(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _error(
    dialect: WireDialect | None,
    status: int,
    message: str,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    param: str | None = None,
    code: str | None = None,
) -> Reply:
    speaker = dialect if dialect is not None else DIALECTS[0][1]
    return reply(status, _JSON, speaker.error(status, message, param=param, code=code), *headers)
