"""JSON text in, snapshots out, the validated value at the end."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from ..jsonstream import JSONLimits, JSONStream
from ..repair import JSONRepair
from ..text import TextBuffer
from .accepts import accepts
from .builder import Builder, as_invalid
from .moment import Moment
from .nodes import ABSENT
from .schema import shape_of

__all__ = ["PartialParser"]

T = TypeVar("T")

_CONTAINERS_OR_NULL = frozenset("{[n")
# Characters that wait for somebody to look: enough to step over whole values, little enough to hear of errors soon.
_BLOCK = 4096


class PartialParser(Generic[T]):
    """Reads one JSON document of a type while it is being written.

    The work per `feed` depends on what is fed, not on what came before.

    Args:
        response_model: the type: all that `pydantic.TypeAdapter` takes.
        lenient: repair what models do to JSON (prose around it, trailing commas, single quotes, …); the structure
            only, never the content of a string.
        limits: the bounds of the document; None for the defaults.
        context: Pydantic's validation context.
        fail_fast: raise when a value closes invalid. False waits for the end, where Pydantic judges the whole.

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
        limits: JSONLimits | None = None,
        context: Any = None,  # Any: Pydantic's own type for it
        fail_fast: bool = True,
    ) -> None:
        self.shape = shape_of(response_model)
        self._context = context
        self._text = TextBuffer()
        self._builder = Builder(self.shape, self._text, context=context, fail_fast=fail_fast)
        self._reader = JSONStream(self._builder, limits=limits, allow_nan=lenient, buffer=self._text)
        self._repair = self._make_repair() if lenient else None
        self._waiting: list[str] = []
        self._waiting_length = 0

    def _make_repair(self) -> JSONRepair:
        kinds = accepts(self.shape.schema, self.shape.definitions)
        brackets = "".join(kind for kind in "{[" if kind in kinds)
        return JSONRepair(starts=brackets if kinds <= _CONTAINERS_OR_NULL else "")

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
            self._read()

    def step(self, text: str) -> Moment:
        """Read more text now and return what it brought.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """
        if self._waiting or self._repair is not None:
            self.feed(text)
            self._read()
        else:
            self._reader.feed(text)
        return Moment(self._builder)

    def _read(self) -> None:
        if self._waiting:
            text = "".join(self._waiting)
            self._waiting = []
            self._waiting_length = 0
            self._reader.feed(text if self._repair is None else self._repair.feed(text))

    @property
    def done(self) -> bool:
        """Whether the root value has closed."""
        self._read()
        return self._reader.done

    @property
    def text(self) -> str:
        """The JSON text so far; in lenient reading the repaired one."""
        self._read()
        return self._text.text()

    @property
    def path(self) -> str:
        """The JSON path of the place that was reached."""
        return self._reader.path

    def moment(self) -> Moment:
        """Return what came since the last call, with the snapshot of now.

        Raises:
            JSONSyntaxError, JSONLimitError, InvalidOutputError: as `feed`.
        """
        self._read()
        return Moment(self._builder)

    def finish(self) -> T:
        """End the text and return the validated value.

        Raises:
            JSONSyntaxError: the document is not complete.
            InvalidOutputError: it does not validate.
        """
        self._read()
        if self._repair is not None:
            self._reader.feed(self._repair.finish())
        self._reader.finish()
        value = self._builder.root.values[0]
        if value is not ABSENT:
            return cast("T", value)
        try:
            return cast("T", self.shape.validator.validate_json(self.text, context=self._context))
        except Exception as error:  # a caller's validator may raise anything
            raise as_invalid(error, [], self.text) from error

