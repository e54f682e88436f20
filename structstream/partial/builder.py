"""JSON events in, open document out: the machine between `JSONStream` and the snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from pydantic_core import SchemaError

from structstream.errors import InvalidOutputError
from structstream.jsonsink import JSONLimits
from structstream.jsonstream import JSONStream
from structstream.text import TextBuffer, render_path

from .estimate import Estimate
from .nodes import ABSENT, CLOSED, Node, TextNode, is_held, open_path
from .shapes import IGNORED, ArrayPart, MappingPart, RecordPart, Shape, Siblings, TaggedPart

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNBOUNDED", "Builder", "Closing", "as_invalid"]

# The text of a replay has passed the bounds already.
UNBOUNDED = JSONLimits(max_depth=2**62, max_keys=2**62, max_string_length=2**62, max_number_length=2**62)

Closing = tuple[Node, int, "str | None", Shape]
"""An entry that closed: its node, its place there, its raw JSON where it came as a whole container, its shape."""


class Builder:
    """A `JSONSink` that judges each value when it closes and keeps what may be shown.

    Args:
        shape: of the root.
        buffer: where the reader keeps the text.
        context: Pydantic's validation context.
        fail_fast: raise when a value closes invalid; False leaves it out and lets the root decide.
        outer: how many items at the start of a path are not told in errors.
        check: False only follows the text, to tell which paths it closes.
        estimate: what is known of the answer's length; None for nothing but its type.
    """

    def __init__(
        self,
        shape: Shape,
        buffer: TextBuffer,
        *,
        context: Any = None,  # Any: Pydantic's own type for it
        fail_fast: bool = True,
        check: bool = True,
        outer: int = 0,
        estimate: Estimate | None = None,
    ) -> None:
        self.reckoning = (estimate or Estimate()).attempt(shape, buffer)
        """What makes percent of the open place."""
        self.holds = shape.holds
        """Some object in it may be held back by one of its fields."""
        self.root = Node(shape, ArrayPart((), shape), None, 0, named=False)
        self.top = self.root
        self.text: TextNode | None = None
        self.closings: list[Closing] = []
        self.opened: Node | TextNode | None = None
        """The place that opened or grew last since the latest moment; None if none did."""
        self.document: Node | None = None
        """The root's node once it has closed: it is shown as a partial until the stream has ended well."""
        self.hidden = False
        """The root was opaque and has closed: it is shown once the stream has ended well."""
        self.refused_at: int | None = None
        """The offset behind the value that closed invalid; None while none did."""
        self.refused_key = False
        """The newest key cannot be: it is unknown where that is forbidden, or not of the mapping's kind."""
        self.work = 0
        """Nodes and values touched: the counted work that the linearity tests hold."""
        self.buffer = buffer
        self._context = context
        self._fail_fast = fail_fast
        self._check = check
        self._outer = outer
        self._slot = shape  # the place of the next value
        self._certain = True  # whether an invalid value there makes the whole invalid
        self._string_start = 0
        self.skipping = 0  # depth within a container that is not shown while open
        self._skip_start = 0
        self._tagged: TaggedPart | None = None  # set while its tag is looked for
        self._at_tag = False

    def take_closings(self) -> list[Closing]:
        """The closings that nobody was told yet, but for those within an object that is held back now."""
        closings = self.closings
        self.closings = []
        if self.holds and self.document is None:
            outermost = self._outermost_held()
            if outermost is not None:
                # Nothing closes around an open object: what is held back came last.
                first = next((at for at, closing in enumerate(closings) if _is_within(closing[0], outermost)), None)
                if first == 0:  # all of them; what waits long is not copied at every step
                    self.closings = closings
                    return []
                if first is not None:
                    closings, self.closings = closings[:first], closings[first:]
        return closings

    def _outermost_held(self) -> Node | None:
        path = open_path(self.text or self.top)
        length = self.text.buffer.length if self.text is not None else len(self.top.values)
        held = (node for depth, node in enumerate(path) if depth and is_held(path, depth, length))
        return cast("Node | None", next(held, None))

    def skipped(self) -> int:
        """The characters of the value that is read and shows nothing yet; -1: the root has closed."""
        return -1 if self.document is not None else self.buffer.length - self._skip_start

    # --- values that open ---

    def open_object(self, at: int) -> None:
        if self.skipping:
            self.skipping += 1
            return
        part = self._slot.record
        if part is None or isinstance(part, TaggedPart):
            self._skip(at, part)
        else:
            self._push(part, at, named=True)

    def open_array(self, at: int) -> None:
        if self.skipping:
            self.skipping += 1
            return
        part = self._slot.array
        if part is None:
            self._skip(at, None)
        else:
            self._push(part, at, named=False)
            self._slot = part.at(0)

    def _push(self, part: RecordPart | MappingPart | ArrayPart, at: int, *, named: bool) -> None:
        self.work += 1
        node = Node(self._slot, part, self.top, at, named=named, certain=self._certain)
        if isinstance(part, RecordPart) and part.siblings:
            node.raw = {}
        self.top = self.opened = node

    def _skip(self, at: int, tagged: TaggedPart | None) -> None:
        self.skipping = 1
        self._skip_start = at
        self._tagged = tagged
        self._at_tag = False

    def open_string(self, at: int) -> bool:
        self._string_start = at
        if self.skipping or self._slot.text is None:
            return False
        self.work += 1
        self.text = self.opened = TextNode(self._slot, self.top)
        return True

    def piece(self, text: str) -> None:
        node = self.text
        if node is not None:
            node.buffer.append(text)
            self.opened = node

    # --- keys ---

    def key(self, name: str) -> None:
        if self.skipping:
            self._at_tag = self._tagged is not None and self.skipping == 1 and name == self._tagged.key
            return
        self.work += 1
        node = self.top
        part = node.part
        if isinstance(part, RecordPart):
            field = part.lookup.get(name)
            if field is None:
                self._extra(node, part, name)
            elif field.certain or field.name not in node.where:
                self._expect(node, field.name, field.shape, certain=field.certain)
            else:
                self._slot = IGNORED
        elif isinstance(part, MappingPart):
            key = name if part.keys is None else self._mapping_key(part.keys, name)
            if key is ABSENT:
                self._slot = IGNORED
            else:
                self._expect(node, key, part.value, certain=True)

    def _expect(self, node: Node, name: Any, shape: Shape, *, certain: bool) -> None:
        """Note what the next value of an object is. Any: a mapping's keys are of the type that it declares."""
        if node.names is not None:
            node.repeated = node.repeated or name in node.where
            node.where[name] = len(node.values)
            node.names.append(name)
        self._slot = shape
        self._certain = node.certain and certain

    def _extra(self, node: Node, part: RecordPart, name: str) -> None:
        if part.extra == "allow" and name not in part.known and name not in part.by_name:
            self._expect(node, name, part.extra_shape, certain=True)
            return
        self._slot = IGNORED
        if part.extra == "forbid" and name not in part.known and self._check and self._fail_fast and node.certain:
            path = [*(node.parent.path_of(node.pos) if node.parent is not None else []), name]
            self.refused_key = True
            raise InvalidOutputError(
                "Extra inputs are not permitted", path=render_path(path[self._outer :]), value=json.dumps(name)
            )

    def _mapping_key(self, keys: Shape, name: str) -> Any:  # Any: as declared; ABSENT where the key is left out
        told = json.dumps(name)
        try:
            return next(iter(keys.validator.validate_json(f"{{{told}: null}}", context=self._context)), ABSENT)
        except Exception as error:  # a caller's validator may raise anything
            if self._check and self._fail_fast and self.top.certain:
                path = self.top.parent.path_of(self.top.pos) if self.top.parent is not None else []
                self.refused_key = True
                raise as_invalid(error, [*path, name], told, self._outer, within=2) from error
            return name

    # --- values that close ---

    def string(self, text: str, at: int) -> None:
        slot = self._slot
        if self.skipping:
            if self._at_tag:
                self._choose(text, at + len(text) + 2)
        elif slot.text is not None and slot.text.plain:
            self._closed(text, slot)
        else:
            self._judge(slot, f'"{text}"', at + len(text) + 2)

    def close_string(self, end: int) -> None:
        if self.skipping:
            if self._at_tag:
                self._choose(json.loads(self.buffer.slice(self._string_start, end)), end)
            return
        slot = self._slot
        node, self.text = self.text, None
        if node is not None:
            node.open_path = CLOSED
        if node is not None and slot.text is not None and slot.text.plain:
            self._closed(node.buffer.text(), slot)
        else:
            self._judge(slot, self.buffer.slice(self._string_start, end), end)

    def scalar(self, raw: str, end: int) -> None:
        if not self.skipping:
            self._judge(self._slot, raw, end)
        elif self._at_tag:
            self._choose(json.loads(raw), end)

    def container(self, raw: str, at: int) -> bool:
        if self.skipping:
            self._at_tag = False
            return True
        slot = self._slot
        if not self._check or self.top is self.root:
            return False
        if slot is IGNORED or slot.deferred:
            self._judge(slot, raw, at + len(raw))
            return True
        try:
            value = slot.validator.validate_json(raw, context=self._context)
        except Exception:  # noqa: BLE001  # a caller's validator may raise anything
            return False  # event by event it fails where it should, or at its end
        self._closed(value, slot, raw)
        return True

    def close(self, end: int) -> None:
        if self.skipping:
            self.skipping -= 1
            self._at_tag = False
            if not self.skipping:
                self._tagged = None
                self.hidden = self.top is self.root
                self._judge(self._slot, self.buffer.slice(self._skip_start, end), end)
            return
        node = self.top
        if node.parent is None:
            raise AssertionError("the reader closes only what it opened")
        node.open_path = CLOSED
        self.closings.extend((node, pos, None, IGNORED) for pos in node.deferred)
        self.top = node.parent
        if node.parent is self.root:
            self.document = node
        self._certain = node.certain
        part = node.part
        if isinstance(part, ArrayPart) and part.adds_up and not node.lacks:
            text = None if self.top.raw is None else self.buffer.slice(node.start, end)
            self._closed(list(node.values), node.shape, text=text)
        else:
            self._judge(node.shape, self.buffer.slice(node.start, end), end)

    def _judge(self, shape: Shape, raw: str, end: int) -> None:
        """Close the value of the current place by what Pydantic makes of its JSON."""
        value: object = ABSENT
        siblings = self._siblings() if shape.deferred else None
        if self._check and shape is not IGNORED and (siblings is not None or not shape.deferred):
            try:
                if siblings is None:
                    value = shape.validator.validate_json(raw, context=self._context)
                else:
                    top = self.top
                    name = str(top.name_of(len(top.values)))
                    value = siblings.judge(name, {**(top.raw or {}), name: raw}, self._context)
            except SchemaError:
                pass  # `OnErrorOmit`: it is left out
            except Exception as error:  # a caller's validator may raise anything
                asks_outside = shape.asks_outside and self.top is not self.root
                if self._fail_fast and self._certain and not asks_outside:
                    self.refused_at = end
                    path = self.top.path_of(len(self.top.values))
                    raise as_invalid(error, path[:-1] if siblings else path, raw, self._outer) from error
        self._closed(value, shape, text=raw, waits=shape.deferred and siblings is None)

    def _siblings(self) -> Siblings | None:
        """What the value that closes depends on, if all of it has closed; None: it waits for the object's end."""
        node = self.top
        if not isinstance(node.part, RecordPart) or node.repeated or not self._certain:
            return None
        pos = len(node.values)
        siblings = node.part.siblings.get(str(node.name_of(pos)))
        if siblings is None:
            return None
        waiting = node.deferred
        entries = [node.where.get(name, pos + 1) for name in siblings.keys]
        return siblings if all(entry <= pos and entry not in waiting for entry in entries) else None

    def _closed(
        self, value: object, shape: Shape, raw: str | None = None, *, text: str | None = None, waits: bool = False
    ) -> None:
        """Keep a value; `raw` is the JSON of a container that came whole, `text` that of another value, if known."""
        if shape is IGNORED:
            return
        self.work += 1
        top = self.top
        pos = len(top.values)
        if waits:
            top.deferred.append(pos)
        else:
            self.closings.append((top, pos, raw, shape))
        if value is ABSENT:
            top.lacks = True
        top.values.append(value)
        self._certain = top.certain
        if top.raw is not None:
            top.raw[str(top.name_of(pos))] = text or raw or json.dumps(value)
        if top.names is None:
            part = top.part
            self._slot = part.at(pos + 1) if isinstance(part, ArrayPart) else IGNORED

    # --- tagged unions ---

    def _choose(self, tag: object, end: int) -> None:
        """The tag is there: read again, as the chosen shape, what came of the object so far."""
        tagged, self._tagged, self._at_tag = self._tagged, None, False
        chosen = tagged.choose(tag) if tagged is not None else None
        if tagged is None or chosen is None or chosen.record is None:
            self._refuse_tag(tagged, tag, chosen, end)
            return
        start, self.skipping = self._skip_start, 0
        # Judged as the union in the end, shown as the choice until then.
        self._slot = self._slot.shown_as(chosen)
        JSONStream(self, limits=UNBOUNDED, allow_nan=True, offset=start).feed(self.buffer.slice(start, end))

    def _refuse_tag(self, tagged: TaggedPart | None, tag: object, chosen: Shape | None, end: int) -> None:
        """A tag that no choice has fails at once, as the object's end would."""
        if tagged is None or chosen is not None or not (self._check and self._fail_fast and self._certain):
            return
        raw = json.dumps({tagged.key: tag})
        try:
            self._slot.validator.validate_json(raw, context=self._context)
        except ValidationError as error:
            if error.errors()[0]["type"] == "union_tag_invalid":
                self.refused_at = end
                raise as_invalid(error, self.top.path_of(len(self.top.values)), raw, self._outer) from error


def _is_within(node: Node, outer: Node) -> bool:
    inner: Node | None = node
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is not None


def as_invalid(
    error: Exception, path: list[Any], raw: str, outer: int, *, within: int = 0
) -> InvalidOutputError:  # Any: mapping keys
    """What a validator found, as our error, at the path where it is, without the first `outer` items.

    `within` tells how many items of Pydantic's own path `path` says already.
    """
    if not isinstance(error, ValidationError):
        # A validator that raises something else than ValueError: Pydantic lets it through, we say where it was.
        problem = f"a validator raised {type(error).__name__}: {error}"
        return InvalidOutputError(problem, path=render_path(path[outer:]), value=raw)
    problems: list[Mapping[str, Any]] = list(error.errors(include_url=False, include_context=False))  # Any: Pydantic's
    places = [(*path, *problem["loc"][within:])[outer:] for problem in problems]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidOutputError(
        f"{problems[0]['msg']}{more}",
        path=render_path(places[0]),
        value=raw,
        errors=[{**problem, "loc": place} for problem, place in zip(problems, places, strict=True)],
    )
