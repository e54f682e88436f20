"""As much of PromQL as it takes to tell which metrics an expression asks for, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Selector", "problems", "selectors"]

_TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:[^"\\]|\\.)*") | (?P<name>[A-Za-z_:][\w:]*) | (?P<variable>\$\w+|\$\{\w+\})
    | (?P<number>\d+(?:\.\d+)?[smhdwy]?) | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],])""",
    re.VERBOSE,
)
_FUNCTIONS = {"sum", "max", "min", "avg", "count", "rate", "increase", "histogram_quantile", "min_over_time"}
_GROUPING = {"by", "without"}
_OPERATORS = {"and", "or", "unless", "bool"}
_PAIRS = {")": "(", "}": "{", "]": "["}
_COUNTED = ("_total", "_bucket", "_sum", "_count")

Token = tuple[str, str]


@dataclass
class Selector:
    """One metric that is asked for: its labels, whether over a range, and the labels that it is grouped by."""

    metric: str
    labels: set[str] = field(default_factory=set)
    ranged: bool = False
    grouped: set[str] = field(default_factory=set)


def selectors(expression: str) -> list[Selector]:
    """Return the metrics that an expression asks for.

    Raises:
        ValueError: it is none, or calls a function that is not known here.

    >>> selectors('sum by (le) (rate(a_bucket{model=~"$model"}[5m]))')
    [Selector(metric='a_bucket', labels={'model'}, ranged=True, grouped={'le'})]
    """
    tokens = _balanced(_tokens(expression))
    found: list[Selector] = []
    groups: list[set[str]] = []  # one for each parenthesis that is open
    waiting: set[str] = set()  # what the next parenthesis is grouped by
    while tokens:
        kind, text = tokens.pop(0)
        if text == "(":
            groups.append(waiting)
            waiting = set()
        elif waiting:
            raise ValueError(f"a grouping stands before what is grouped, unlike in {expression!r}")
        elif text == ")":
            groups.pop()
        elif text in _GROUPING:
            waiting = _names_to(")", tokens)
        elif kind == "name" and text not in _OPERATORS | _FUNCTIONS:
            if tokens and tokens[0][1] == "(":
                raise ValueError(f"{text} is no function that is known here")
            found.append(_selector(text, tokens, set().union(*groups)))
    return found


def _tokens(expression: str) -> Iterator[Token]:
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"no PromQL at {expression[at:]!r}")
        at = match.end()
        if match.lastgroup is not None:
            yield match.lastgroup, match[0]


def _balanced(tokens: Iterator[Token]) -> list[Token]:
    found, open_signs = list(tokens), []
    for kind, text in found:
        if kind == "sign" and text in _PAIRS.values():
            open_signs.append(text)
        elif kind == "sign" and text in _PAIRS and (not open_signs or open_signs.pop() != _PAIRS[text]):
            raise ValueError(f"{text} closes nothing")
    if open_signs:
        raise ValueError(f"{open_signs[-1]} is not closed")
    return found


def _names_to(end: str, tokens: list[Token]) -> set[str]:
    names = set()
    while (token := tokens.pop(0))[1] != end:
        if token[0] == "name":
            names.add(token[1])
    return names


def _selector(metric: str, tokens: list[Token], grouped: set[str]) -> Selector:
    labels = _names_to("}", tokens) if tokens and tokens[0][1] == "{" else set()
    return Selector(metric, labels, bool(tokens) and tokens[0][1] == "[", grouped)


def problems(expression: str, exposed: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with an expression.

    Args:
        expression: in PromQL.
        exposed: the labels of each sample name that there is.
    """
    found = selectors(expression)
    if not found:
        yield "asks for no metric"
    for one in found:
        labels = exposed.get(one.metric)
        if labels is None:
            yield f"there is no {one.metric}"
            continue
        yield from (f"{one.metric} has no label {name}" for name in sorted((one.labels | one.grouped) - labels))
        if one.metric.endswith(_COUNTED) and not one.ranged:
            yield f"{one.metric} only grows: ask for its rate"
        if one.metric.endswith("_bucket") and "le" not in one.grouped:
            yield f"{one.metric} is not grouped by le"
