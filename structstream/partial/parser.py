"""JSON text in, snapshots out, the validated value at the end."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from structstream.errors import InvalidOutputError, JSONLimitError, JSONSyntaxError
from structstream.jsonsink import DEFAULT_LIMITS, JSONLimits
from structstream.jsonstream import JSONStream
from structstream.repair import JSONRepair
from structstream.text import TextBuffer

from .accepts import accepts
from .builder import Builder, as_invalid
from .moment import ClosedPaths, Moment, Reading
from .nodes import ABSENT, CLOSED
from .schema import shape_of
from .spans import Spans
from .wrapped import Unwrapped, unwrapped_path, wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .estimate import Estimate

__all__ = ["PartialParser", "Transducer"]

T = TypeVar("T")

_CONTAINERS_OR_NULL = frozenset("{[n")
# Characters that wait for somebody to look: enough to step over whole values, little enough to hear of errors soon.
_BLOCK = 4096


class Transducer(Protocol):
    """Turns what a model writes into the JSON text of the document, piece by piece.

    Attributes:
        salvaged: after an error, what stood before it in the `feed` that raised.
    """

    salvaged: str

    def feed(self, text: str) -> str:
        """Take more text; return what is certain by now of the document.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: the text cannot become a document.
        """

    def finish(self) -> str:
        """End the text; return what that adds.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """


class PartialParser(Generic[T]):
    """Reads one JSON document of a type while it is being written.

    The work per `feed` depends on what is fed, not on what came before.

    Args:
        response_model: the type: all that `pydantic.TypeAdapter` takes.
        lenient: repair what models do to JSON (prose around it, trailing commas, single quotes, …); the structure
            only, never the content of a string.
        wrap_key: the key of an object around the value, which is read and not shown; None for no such object.
        limits: the bounds of the document; None for the defaults.
        context: Pydantic's validation context.
        fail_fast: raise when a value closes invalid. False waits for the end, where Pydantic judges the whole.
        prefix: JSON text that stands before what is fed, and was read and told before.
        transducer: turns what is fed into JSON text, instead of what `lenient` does; None for none.
        estimate: what is known of the answer's length; None for nothing but its type.

    Raises:
        ConfigurationError: `response_model` is no type that Pydantic can read.

    >>> parser = PartialParser(list[int])
    >>> parser.feed("[1, 2, 3")
    >>> parser.moment().snapshot
    [1, 2]
    >>> parser.feed("4]"); parser.finish()
    [1, 2, 34]
    """

    def __init__(
        self,
        response_model: type[T],
        *,
        lenient: bool = False,
        wrap_key: str | None = None,
        limits: JSONLimits | None = None,
        context: Any = None,  # Any: Pydantic's own type for it
        fail_fast: bool = True,
        prefix: str = "",
        transducer: Transducer | None = None,
        estimate: Estimate | None = None,
    ) -> None:
        self._key = wrap_key
        self.shape = shape_of(response_model if wrap_key is None else wrapper(response_model, wrap_key))
        self._context = context
        self._limits = limits or DEFAULT_LIMITS
        self._lenient = lenient
        self._text = TextBuffer()
        self._outer = 0 if wrap_key is None else 1
        self._estimate = estimate
        self._builder = Builder(
            self.shape, self._text, context=context, fail_fast=fail_fast, outer=self._outer, estimate=estimate
        )
        self._reader = JSONStream(self._builder, limits=limits, allow_nan=lenient, buffer=self._text)
        self._repair: Transducer | None = transducer or (self._make_repair() if lenient else None)
        self._prefix = prefix
        self._waiting: list[str] = [""] if prefix else []
        self._waiting_length = 0

    def _make_repair(self) -> JSONRepair:
        kinds = accepts(self.shape.schema, self.shape.definitions)
        brackets = "".join(kind for kind in "{[" if kind in kinds)
        return JSONRepair(
            starts=brackets,
            scalars=not kinds <= _CONTAINERS_OR_NULL,
            max_depth=self._limits.max_depth,
            max_number_length=self._limits.max_number_length,
        )

    def take_repair(self) -> Transducer | None:
        """Give away what makes JSON of the text: from now on that comes so. None where there is none to make."""
        repair, self._repair = self._repair, None
        return repair

    def feed(self, text: str) -> None:
        """Take more text.

        It is read at the latest when somebody looks (`moment`, `step`, `done`, `finish`), and in blocks until then:
        whoever looks seldom pays little.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: the text so far cannot become a value of the type;
                the parser is not fed again.
        """
        self._waiting.append(text)
        self._waiting_length += len(text)
        if self._waiting_length >= _BLOCK:
            self.read()

    def step(self, text: str) -> Moment | Unwrapped:
        """Read more text now and return what it brought.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """
        if self._waiting or self._repair is not None:
            self.feed(text)
            self.read()
        else:
            self._reader.feed(text)
        return Moment(self._builder) if self._key is None else self._moment()

    def read(self) -> None:
        """Read what waits.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """
        if self._waiting:
            text = "".join(self._waiting)
            self._waiting = []
            self._waiting_length = 0
            if self._prefix:
                self._read_prefix()
            self._reader.feed(text if self._repair is None else self._repaired(self._repair, text))

    def _read_prefix(self) -> None:
        prefix, self._prefix = self._prefix, ""
        self._reader.feed(prefix)
        Moment(self._builder)  # what closes in it was told before

    def _repaired(self, repair: Transducer, text: str) -> str:
        try:
            return repair.feed(text)
        except (JSONSyntaxError, JSONLimitError, InvalidOutputError):
            # What stood before the fault is read, wherever the text was cut; and once, however often this is said.
            salvaged, repair.salvaged = repair.salvaged, ""
            self._reader.feed(salvaged)
            raise

    @property
    def done(self) -> bool:
        """Whether the root value has closed."""
        self.read()
        return self._reader.done

    @property
    def text(self) -> str:
        """The JSON text so far; in lenient reading the repaired one."""
        self.read()
        return self._text.text()

    @property
    def key(self) -> str | None:
        """The key of the object around the value; None for no such object."""
        return self._key

    @property
    def buffer(self) -> TextBuffer:
        """The text that was read so far, which grows."""
        return self._text

    def spans(self) -> Spans:
        """Return what tells where in the text each value stands."""
        return Spans(self.shape, self._text)

    @property
    def path(self) -> str:
        """The JSON path of the place that was reached."""
        return self._reader.path

    def _moment(self) -> Moment | Unwrapped:
        moment = Moment(self._builder)
        return moment if self._key is None else Unwrapped(moment, self._key)

    def moment(self) -> Moment | Unwrapped:
        """Return what came since the last call, with the snapshot of now.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """
        self.read()
        return self._moment()

    def completed(self) -> Sequence[str]:
        """Return the paths that closed in the text so far, in order; read when somebody looks at them."""
        key = self._key
        rename = str if key is None else functools.partial(unwrapped_path, key=key)
        reading = Reading(self._limits, allow_nan=self._lenient, ended=bool(self._builder.root.values))
        return ClosedPaths(self._accepted_text(), self.shape, reading, rename)

    def _accepted_text(self) -> str:
        """The text without the value or key that was refused: that one stays open."""
        builder = self._builder
        if builder.refused_key:
            return self._text.slice(0, self._reader.mark)
        return self._text.text() if builder.refused_at is None else self._text.slice(0, builder.refused_at - 1)

    def finish(self) -> T:
        """End the text and return the validated value.

        Raises:
            JSONSyntaxError: the document is not complete.
            InvalidOutputError: it does not validate.
        """
        self.read()
        if self._repair is not None:
            repair, self._repair = self._repair, None
            self._reader.feed(repair.finish())
        self._reader.finish()
        root = self._builder.root
        root.open_path = CLOSED
        value = root.values[0]
        if value is ABSENT:
            try:
                value = self.shape.validator.validate_json(self.text, context=self._context)
            except Exception as error:  # a caller's validator may raise anything
                raise as_invalid(error, [], self.text, self._outer) from error
        if self._estimate is not None:
            self._estimate.learn(self.text, self.shape)
        return cast("T", value if self._key is None else getattr(value, self._key))
