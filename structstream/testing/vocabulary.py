"""Plausible values: words by the name of a field, and texts by JSON Schema format."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

__all__ = ["FORMATS", "anything", "keys", "number_range", "sentences", "text_for_name"]

_FIRST = ("Ada", "Grace", "Linus", "Margaret", "Alan", "Katherine", "Dennis", "Radia", "Chloé", "José", "Yuki", "Zoë")
_LAST = ("Lovelace", "Hopper", "Hamilton", "Turing", "Johnson", "Ritchie", "Perlman", "Müller", "Nakamura", "García")
_CITIES = ("Lisbon", "Zürich", "Kyoto", "São Paulo", "Nairobi", "Toronto", "Reykjavík", "Melbourne", "Tallinn", "Oslo")
_COUNTRIES = (
    "Portugal",
    "Switzerland",
    "Japan",
    "Brazil",
    "Kenya",
    "Canada",
    "Iceland",
    "Australia",
    "Estonia",
    "Norway",
)
_COMPANIES = ("Northwind Labs", "Blue Harbor", "Atlas Robotics", "Fernweh Travel", "Kite & Co.", "Meridian Health")
_STREETS = ("Maple Street", "Harbour Road", "Rua do Sol", "Birch Lane", "Station Square", "Hill Avenue")
_ROLES = ("Software Engineer", "Data Analyst", "Product Manager", "Site Reliability Engineer", "Technical Writer")
_SKILLS = ("python", "distributed-systems", "sql", "observability", "mentoring", "typescript", "testing", "kubernetes")
_TITLES = (
    "Streaming answers as they form",
    "A field guide to quiet mornings",
    "What the harbour remembers",
    "Notes on building small tools",
    "The second life of old maps",
    "Three ways to cross a river",
)
_WORDS = ("amber", "river", "signal", "orchard", "lantern", "harbor", "meadow", "copper", "willow", "beacon", "ember")
_COLOURS = ("red", "green", "blue", "teal", "amber", "slate", "ivory")
_CODES = ("EUR", "USD", "GBP", "JPY", "CHF")
_LANGUAGES = ("en", "de", "pt", "ja", "fr")
_SUBJECTS = (
    "The team",
    "A small service",
    "The new release",
    "Each request",
    "The report",
    "An early reader",
    "The city",
)
_VERBS = ("keeps", "describes", "improves", "carries", "reveals", "connects", "simplifies", "measures")
_OBJECTS = (
    "the whole picture",
    "what people asked for",
    "a steady pace",
    "the details that matter",
    "every open question",
    "a clear set of results",
)
_ENDINGS = (
    "without any surprises",
    "even under heavy load",
    "from the first day on",
    "for everyone who joins later",
    "in a café by the river",
    "— and says so “out loud”",
    "while the answer is still being written",
)


def _pick(*options: str) -> Callable[[Random], str]:
    return lambda random: random.choice(options)


def sentences(random: Random, count: int) -> str:
    """Return `count` plausible sentences, separated by spaces."""
    made = (
        f"{random.choice(_SUBJECTS)} {random.choice(_VERBS)} {random.choice(_OBJECTS)} {random.choice(_ENDINGS)}."
        for _ in range(count)
    )
    return " ".join(made)


def _person(random: Random) -> str:
    return f"{random.choice(_FIRST)} {random.choice(_LAST)}"


def _email(random: Random) -> str:
    return f"{random.choice(_WORDS)}.{random.choice(_WORDS)}@example.com"


def _url(random: Random) -> str:
    return f"https://www.example.com/{random.choice(_WORDS)}/{random.choice(_WORDS)}"


def _phone(random: Random) -> str:
    return f"+1 555 {random.randint(100, 999)} {random.randint(1000, 9999)}"


def _address(random: Random) -> str:
    return f"{random.randint(1, 240)} {random.choice(_STREETS)}"


def _identifier(random: Random) -> str:
    return f"{random.choice(_WORDS)}-{random.randint(1000, 9999)}"


def _day(random: Random) -> date:
    return date(2019, 1, 1) + timedelta(days=random.randint(0, 2500))


def _clock(random: Random) -> time:
    return time(random.randint(0, 23), random.choice((0, 15, 30, 45)), 0)


def _moment(random: Random) -> str:
    return datetime.combine(_day(random), _clock(random)).isoformat() + "Z"


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _ipv4(random: Random) -> str:
    return f"192.0.2.{random.randint(1, 254)}"


def _ipv6(random: Random) -> str:
    return f"2001:db8::{random.randint(1, 65535):x}"


def _base64(random: Random) -> str:
    return base64.urlsafe_b64encode(random.choice(_WORDS).encode() * 3).decode()


# The first row with a word that the field's name contains decides; so the more special words stand first.
_NAMES: tuple[tuple[tuple[str, ...], Callable[[Random], str]], ...] = (
    (("email",), _email),
    (("url", "website", "link", "homepage"), _url),
    (("phone", "mobile"), _phone),
    (("first_name", "given"), _pick(*_FIRST)),
    (("last_name", "surname", "family"), _pick(*_LAST)),
    (("company", "organization", "organisation", "employer", "brand", "vendor"), _pick(*_COMPANIES)),
    (("username", "handle", "slug", "sku", "identifier"), _identifier),
    (("city", "town", "destination"), _pick(*_CITIES)),
    (("country",), _pick(*_COUNTRIES)),
    (("street", "address"), _address),
    (("zip", "postcode", "postal"), lambda random: str(random.randint(10000, 99999))),
    (("currency",), _pick(*_CODES)),
    (("language", "locale"), _pick(*_LANGUAGES)),
    (("colour", "color"), _pick(*_COLOURS)),
    (("summary", "overview", "abstract"), lambda random: sentences(random, 2)),
    (("description", "biography", "content", "body", "article", "essay", "story"), lambda random: sentences(random, 4)),
    (("bio", "note", "comment", "reason", "explanation", "message", "review", "text", "detail", "instruction", "step"),
     lambda random: sentences(random, 1)),
    (("question",), lambda random: f"How does {random.choice(_OBJECTS)} change over time?"),
    (("answer", "quote", "sentence"), lambda random: sentences(random, 1)),
    (("title", "headline", "subject"), _pick(*_TITLES)),
    (("role", "job", "occupation", "profession", "position"), _pick(*_ROLES)),
    (("skill", "tag", "keyword", "topic", "label", "category"), _pick(*_SKILLS)),
    (("birth", "date", "created_at", "updated_at", "deadline"), lambda random: _day(random).isoformat()),
    (("author", "person", "customer", "owner", "contact", "user", "guest", "name"), _person),
    (("id",), _identifier),
)  # fmt: skip


def _says(name: str, word: str) -> bool:
    # A short word counts only if it stands alone: a page has no age.
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return any(part in (word, f"{word}s") for part in parts.split("_")) or (len(word) > 3 and word in parts)


def text_for_name(name: str, random: Random) -> str:
    """Return text that a field called `name` might hold; a single word where the name says nothing.

    >>> from random import Random
    >>> "@example.com" in text_for_name("contact_email", Random(1))
    True
    """
    for words, make in _NAMES:
        if any(_says(name, word) for word in words):
            return make(random)
    return random.choice(_WORDS)


_NUMBERS: tuple[tuple[tuple[str, ...], tuple[float, float]], ...] = (
    (("year",), (1990, 2026)),
    (("age",), (18, 80)),
    (("percent", "progress"), (0, 100)),
    (("probability", "confidence", "ratio", "fraction"), (0, 1)),
    (("rating", "stars", "priority"), (1, 5)),
    (("price", "cost", "amount", "total", "budget"), (5, 400)),
    (("quantity", "count", "number_of", "servings"), (1, 12)),
    (("minutes", "duration"), (5, 120)),
    (("latitude", "lat"), (-60, 70)),
    (("longitude", "lon", "lng"), (-170, 170)),
)


def number_range(name: str) -> tuple[float, float]:
    """Return the least and the greatest number that a field called `name` would plausibly hold.

    >>> number_range("unit_price"), number_range("x")
    ((5, 400), (1, 100))
    """
    for words, bounds in _NUMBERS:
        if any(_says(name, word) for word in words):
            return bounds
    return (1, 100)


FORMATS: dict[str, Callable[[Random], str]] = {
    "date": lambda random: _day(random).isoformat(),
    "date-time": _moment,
    "time": lambda random: _clock(random).isoformat(),
    "duration": lambda random: f"P{random.randint(1, 20)}DT{random.randint(0, 23)}H{random.randint(0, 59)}M",
    "email": _email,
    "idn-email": _email,
    "name-email": lambda random: f"{_person(random)} <{_email(random)}>",
    "uuid": _uuid,
    "uuid4": _uuid,
    "uri": _url,
    "url": _url,
    "multi-host-uri": lambda random: f"postgres://user:pass@{random.choice(_WORDS)}.example.com:5432/main",
    "hostname": lambda random: f"{random.choice(_WORDS)}.example.com",
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "ipv4network": lambda random: "192.0.2.0/24",
    "ipv6network": lambda random: "2001:db8::/32",
    "ipv4interface": lambda random: _ipv4(random) + "/24",
    "ipv6interface": lambda random: _ipv6(random) + "/64",
    "ipvanyaddress": _ipv4,
    "ipvanynetwork": lambda random: "192.0.2.0/24",
    "ipvanyinterface": lambda random: _ipv4(random) + "/24",
    "path": lambda random: f"{random.choice(_WORDS)}-{random.choice(_WORDS)}.txt",
    "new-path": lambda random: f"{_identifier(random)}-{random.getrandbits(48):x}.txt",
    "directory-path": lambda random: ".",
    "regex": lambda random: f"^{random.choice(_WORDS)}[0-9]+$",
    "base64": _base64,
    "base64url": _base64,
    "byte": _base64,
    "binary": lambda random: random.choice(_WORDS),
    "password": lambda random: f"{random.choice(_WORDS)}-{random.choice(_WORDS)}-{random.randint(10, 99)}",
    "color": lambda random: f"#{random.getrandbits(24):06x}",
    "json-string": lambda random: json.dumps({random.choice(_WORDS): random.randint(1, 9)}),
}
"""Text by JSON Schema format: those of draft 2020-12 (Validation, 7.3) and those that Pydantic adds."""


def anything(random: Random) -> Any:  # Any: JSON of any kind
    """Return a small JSON value, for a schema that allows all."""
    makers: tuple[Callable[[], object], ...] = (
        lambda: random.choice(_WORDS),
        lambda: random.randint(1, 100),
        lambda: random.random() < 0.5,
        lambda: {random.choice(_WORDS): random.choice(_WORDS)},
        lambda: [random.randint(1, 9), random.choice(_WORDS)],
    )
    return random.choice(makers)()


def keys(random: Random, count: int) -> list[str]:
    """Return `count` different keys for an open mapping.

    Years: the schema of ``dict[int, …]`` is that of ``dict[str, …]``, and these are valid in both.
    """
    return [str(year) for year in sorted(random.sample(range(1990, 2027), min(count, 37)))]
