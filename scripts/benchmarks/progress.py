"""Percent against the true share of characters, over recorded answers where they lie here, and generated ones."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, create_model

from structstream.events import TextDelta, ToolDelta
from structstream.partial import Estimate, PartialParser, Typical
from structstream.providers import DIALECTS, ProviderSpec
from structstream.sse import SSEDecoder
from structstream.testing import generate

from .children import ROOT
from .documents import Record
from .report import Bar, Section, Table

if TYPE_CHECKING:
    from .options import Options

__all__ = ["KINDS", "Typical", "error_of", "made", "run", "schemas_of"]

JSON = Any  # Any: JSON
Type = Any  # Any: all that a TypeAdapter takes

LOOKS = 200  # percent is looked at so often in an answer
SEEN = 5  # answers of a kind after which percent must be good
ANSWERS = 16  # generated of each kind
LONG = 12  # items of the lists in the long ones


class Chapter(BaseModel):
    """A text in parts."""

    title: str
    paragraphs: list[str]


class Book(BaseModel):
    """A record of lists of records."""

    title: str
    authors: list[str]
    chapters: list[Chapter]
    published: date


class Line(BaseModel):
    """A row of an order."""

    sku: str
    description: str
    quantity: int = Field(ge=1, le=20)
    price: Decimal


class Order(BaseModel):
    """Every common kind of value."""

    id: UUID
    created: datetime
    customer: Record
    lines: list[Line]
    notes: str | None = None


class Sentence(BaseModel):
    """A row of an analysis."""

    text: str
    kind: Literal["question", "statement", "order"]
    confidence: float


class Analysis(BaseModel):
    """Free keys, and a bounded text."""

    summary: str
    sentences: list[Sentence]
    topics: dict[str, float]
    language: str = Field(max_length=2)


KINDS: dict[str, Type] = {
    "a record": Record,
    "a book": Book,
    "an order": Order,
    "an analysis": Analysis,
    "a list of rows": list[Line],
    "a list of sentences": list[Sentence],
}
"""What is generated."""


def error_of(kind: Type, text: str, typical: Typical | None = None) -> float:
    """Return the mean distance, in points, of percent from the share of characters that is there."""
    parser: PartialParser[Any] = PartialParser(kind, fail_fast=False, estimate=Estimate(typical=typical))
    size = max(1, len(text) // LOOKS)
    errors = []
    for at in range(0, len(text), size):
        percent = parser.step(text[at : at + size]).percent
        errors.append(abs(percent - 100 * min(len(text), at + size) / len(text)))
    parser.finish()
    return fmean(errors)


def run(options: Options) -> Section:
    """Measure the answers of each kind, first from the schema alone, then after those before."""
    rows, bars = [], []
    sets: dict[str, Mapping[str, tuple[Type, Sequence[str]]]] = {"generated": generated()}
    if (corpus := find_corpus()) is not None:
        sets["recorded"] = recorded(corpus)
    for name, kinds in sets.items():
        alone, seen = [], []
        for kind, (model, texts) in kinds.items():
            typical = Typical()
            alone_here = [error_of(model, text) for text in texts]
            learning = [error_of(model, text, typical) for text in texts]
            alone += alone_here
            seen += learning[SEEN:]
            if name == "generated":
                rows.append((kind, len(texts), fmean(alone_here), fmean(learning[SEEN:])))
        rows.append((f"all {name}", len(alone), fmean(alone), fmean(seen)))
        bars.append(Bar(f"{name}: from the schema alone", fmean(alone), 15, "points"))
        bars.append(Bar(f"{name}: once {SEEN} answers were seen", fmean(seen), 6, "points"))
    table = Table(
        "Mean distance of percent from the share of characters, in points",
        ("answers", "number", "schema alone", f"{SEEN} seen"),
        rows,
    )
    notes = [] if "recorded" in sets else ["No recorded answers lie here: set STRUCTSTREAM_CORPUS to where they are."]
    return Section("progress", "How true percent is", [table], bars, notes)


def generated() -> dict[str, tuple[Type, list[str]]]:
    """Return answers of `KINDS`, with short lists and with long ones."""
    found = {}
    for name, kind in KINDS.items():
        schema = TypeAdapter(kind).json_schema()
        for items, what in ((None, name), (LONG, f"{name}, long")):
            texts = [json.dumps(generate(schema, seed, items=items)) for seed in range(ANSWERS)]
            found[what] = kind, texts
    return found


# --- recorded answers, whose types are made of the schemas that were sent ---


def find_corpus() -> Path | None:
    """Return the folder of recorded streams, if there is one."""
    named = os.environ.get("STRUCTSTREAM_CORPUS")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    return folder if folder.is_dir() else None


FOLDERS = {"openai-chat": "openai_chat", "openai-responses": "openai_responses", "anthropic": "anthropic"}
FOLDERS["gemini"] = "google"


def recorded(corpus: Path) -> dict[str, tuple[Type, list[str]]]:
    """Return the recorded answers of which the schema is known, by schema."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder, dialect in FOLDERS.items():
        for side in sorted((corpus / "sse" / folder).glob("*.json")):
            request = json.loads(side.read_text("utf-8")).get("request_body")
            if isinstance(request, dict):
                for schema, text in answers(request, side.with_suffix(".sse").read_bytes(), dialect):
                    found[json.dumps(schema)].append(text)
    return {schema: (made(json.loads(schema)), texts) for schema, texts in found.items()}


def answers(request: JSON, body: bytes, dialect: str) -> Iterable[tuple[JSON, str]]:
    """The JSON texts of one recorded answer, each with its schema."""
    schemas = schemas_of(request)
    texts: dict[str, str] = defaultdict(str)
    calls: dict[tuple[int, int], list[str]] = defaultdict(lambda: ["", ""])
    decoder = DIALECTS[dialect](ProviderSpec(name="recorded", dialect=dialect)).decoder()
    sse = SSEDecoder()
    for event in [*sse.feed(body), *sse.close(dispatch_unterminated=True)]:
        for said in decoder.feed(event):
            if isinstance(said, TextDelta) and not said.choice:
                texts[""] += said.text
            elif isinstance(said, ToolDelta):
                call = calls[said.choice, said.call]
                call[0] += said.name
                call[1] += said.text
    found = [("", texts[""]), *((name, text) for name, text in calls.values())]
    return [(schemas[name], text) for name, text in found if schemas.get(name) and is_object(text)]


def is_object(text: str) -> bool:
    """Whether a text is a JSON object that holds something."""
    try:
        return bool(json.loads(text)) and text.startswith("{")
    except ValueError:
        return False


def schemas_of(request: JSON) -> dict[str, JSON]:
    """The schemas in a request: that of the answer under the empty name, those of tools under theirs."""
    config = request.get("generationConfig") or request.get("generation_config") or {}
    wanted = [
        ((request.get("response_format") or {}).get("json_schema") or {}).get("schema"),
        ((request.get("text") or {}).get("format") or {}).get("schema"),
        (request.get("output_format") or {}).get("schema"),
        ((request.get("output_config") or {}).get("format") or {}).get("schema"),
        *(config.get(key) for key in ("responseSchema", "responseJsonSchema", "response_schema")),
    ]
    found = {"": next(filter(None, wanted), None)}
    for tool in request.get("tools") or ():
        declared = tool.get("functionDeclarations") or [tool.get("function") or tool]
        for item in declared:
            schema = item.get("parameters") or item.get("input_schema") or item.get("parametersJsonSchema")
            if schema and item.get("name"):
                found[item["name"]] = schema
    return found


SCALARS: dict[str, Type] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}


def made(schema: JSON, root: JSON = None, depth: int = 0) -> Type:
    """Return a type for a JSON schema, as far as recorded requests need it."""
    root = root or schema
    if not isinstance(schema, dict) or depth > 8:
        return Any
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return made((root.get("$defs") or root.get("definitions") or {}).get(name), root, depth + 1)
    if schema.get("enum"):
        return Literal[tuple(schema["enum"])]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return Union[tuple(made(choice, root, depth + 1) for choice in choices)]  # noqa: UP007  # of a list
    kind = str(schema.get("type", "")).lower()
    if kind == "array":
        return list[made(schema.get("items"), root, depth + 1)]  # type: ignore[misc]  # a type made at run time
    if schema.get("properties"):
        return record(schema, root, depth)
    if kind == "object":
        return dict[str, made(schema.get("additionalProperties"), root, depth + 1)]  # type: ignore[misc]  # as above
    return SCALARS.get(kind, Any)


def record(schema: JSON, root: JSON, depth: int) -> Type:
    """Return a model for the schema of an object."""
    required = schema.get("required") or ()
    fields: dict[str, Any] = {
        key: (made(inner, root, depth + 1), ... if key in required else None)
        for key, inner in schema["properties"].items()
    }
    return create_model("Answer", **fields)
