"""The dashboard and the alert rules: of the documented shape, and every metric and label that they name exists."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from structstream.facts import StreamInfo
from structstream.instrumentation.prometheus import PrometheusObserver
from tests.edge import request_for
from tests.everyfact import EVERY_FACT
from tests.promql import problems, selectors

yaml = pytest.importorskip("yaml", reason="it comes with vcrpy")

DOCS = Path(__file__).parent.parent / "docs"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text("utf-8"))
ALERTS = yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))
PREFIX = "structured_llm_streaming_"


class Shape(BaseModel):
    """All that a thing may have, as documented: another key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


# The classic model of Grafana's page "Dashboard JSON model", and of the JSON schema in grafana-foundation-sdk.
# Any: options are each panel's own.
class Source(Shape):
    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Place(Shape):
    h: int = Field(ge=1)
    w: int = Field(ge=1, le=24)
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)


class Target(Shape):
    ref_id: str = Field(pattern="^[A-Z]$")
    datasource: Source
    expr: str
    legend_format: str
    instant: bool
    range: bool


class FieldConfig(Shape):
    defaults: dict[str, Any]
    overrides: list[Any]


class Panel(Shape):
    id: int
    type: Literal["timeseries", "stat", "state-timeline"]
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    datasource: Source
    grid_pos: Place
    field_config: FieldConfig
    options: dict[str, Any]
    targets: list[Target] = Field(min_length=1)


class RowPanel(Shape):
    id: int
    type: Literal["row"]
    title: str
    collapsed: bool
    grid_pos: Place
    panels: list[Panel]


class Current(Shape):
    text: str | list[str]
    value: str | list[str]


class Variable(Shape):
    type: Literal["datasource", "query"]
    name: str
    label: str
    query: str | dict[str, str]
    refresh: Literal[0, 1, 2]
    current: Current
    datasource: Source | None = None
    sort: int = Field(0, ge=0, le=8)
    multi: bool = False
    include_all: bool = False
    all_value: str | None = None


class Span(Shape):
    from_: str = Field(alias="from")
    to: str


class Templating(Shape):
    list: list[Variable]


class Dashboard(Shape):
    uid: str = Field(min_length=8, max_length=40)
    title: str
    description: str
    tags: list[str]
    timezone: str
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    schema_version: int = Field(ge=36)
    version: int
    refresh: str
    time: Span
    timepicker: dict[str, Any]
    links: list[Any]
    annotations: dict[Literal["list"], list[Any]]
    templating: Templating
    panels: list[Panel | RowPanel]


# https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
class Rule(Shape):
    alert: str = Field(pattern=r"^[A-Za-z_]\w*$")
    expr: str
    for_: str = Field("0s", alias="for", pattern=r"^\d+[smhd]$")
    labels: dict[Literal["severity"], Literal["critical", "warning"]]
    annotations: dict[Literal["summary", "description"], str]


class Group(Shape):
    name: str
    rules: list[Rule]


READ = TypeAdapter(Dashboard).validate_python(DASHBOARD)
PANELS = [panel for panel in READ.panels if isinstance(panel, Panel)]
RULES = [rule for group in TypeAdapter(list[Group]).validate_python(ALERTS["groups"]) for rule in group.rules]
EXPRESSIONS = [
    *(pytest.param(target.expr, id=f"{panel.title}-{target.ref_id}") for panel in PANELS for target in panel.targets),
    *(pytest.param(rule.expr, id=rule.alert) for rule in RULES),
]

REQUEST = request_for()


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The labels of each sample that an observer exposes which has heard every fact."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, prices=lambda provider, model, usage: 1.0)
    for fact in EVERY_FACT:
        observer(StreamInfo(1, REQUEST.model, "Profile", REQUEST), fact)
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_exists(expression: str, exposed: dict[str, set[str]]) -> None:
    plain = expression.replace("$__rate_interval", "5m")
    assert list(problems(plain, exposed)) == []


def test_every_metric_has_a_panel(exposed: dict[str, set[str]]) -> None:
    asked = " ".join(target.expr for panel in PANELS for target in panel.targets)
    stems = {name.removesuffix("_bucket") for name in exposed if not name.endswith(("_created", "_sum", "_count"))}
    assert [stem for stem in sorted(stems) if stem not in asked] == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (f"sum(rate({PREFIX}nothing_total[5m]))", "there is no"),
        (f"sum by (colour) (rate({PREFIX}requests_total[5m]))", "has no label colour"),
        (f'sum(rate({PREFIX}requests_total{{provider="a"}}[5m]))', "has no label provider"),
        (f"sum({PREFIX}requests_total)", "only grows"),
        (f"sum(rate({PREFIX}latency_seconds_bucket[5m]))", "not grouped by le"),
        ("1 + 2", "asks for no metric"),
    ],
)
def test_a_wrong_expression_is_found(expression: str, problem: str, exposed: dict[str, set[str]]) -> None:
    (found,) = problems(expression, exposed)
    assert problem in found


@pytest.mark.parametrize("expression", ["sum(rate(a_total[5m])", "sum(a))", "total(a)", "a ? b", "sum by (x) a"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"closed|closes|no function|no PromQL|grouping"):
        selectors(expression)


def test_groupings_hold_within_their_parentheses() -> None:
    found = selectors("sum by (a) (x) / max by (b) (y) + z")
    assert [(one.metric, one.grouped) for one in found] == [("x", {"a"}), ("y", {"b"}), ("z", set())]


def test_legends_and_annotations_name_labels_that_are_there(exposed: dict[str, set[str]]) -> None:
    said = [(target.legend_format, target.expr) for panel in PANELS for target in panel.targets]
    said += [(" ".join(rule.annotations.values()).replace("$labels.", ""), rule.expr) for rule in RULES]
    for text, expression in said:
        grouped = set().union(*(one.grouped for one in selectors(expression.replace("$__rate_interval", "5m"))))
        assert set(re.findall(r"\{\{ ?([a-z_]+) ?\}\}", text)) <= grouped, (text, expression)


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    assert len({panel.id for panel in READ.panels}) == len(READ.panels)
    places = [panel.grid_pos for panel in READ.panels]
    assert all(place.x + place.w <= 24 for place in places)
    apart = [
        one.x + one.w <= two.x or two.x + two.w <= one.x or one.y + one.h <= two.y or two.y + two.h <= one.y
        for one, two in combinations(places, 2)
    ]
    assert all(apart)


def test_every_variable_exists_and_reads_a_label_that_exists(exposed: dict[str, set[str]]) -> None:
    names = {variable.name for variable in READ.templating.list}
    used = set(re.findall(r"\$\{?(\w+)", (DOCS / "grafana.json").read_text("utf-8"))) - {"__rate_interval", "__all"}
    assert used == names
    for variable in READ.templating.list:
        if isinstance(variable.query, dict):
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.query["query"]).groups()  # type: ignore[union-attr]  # no match is a failure
            assert label in exposed[metric]


def test_an_alert_has_a_name_of_its_own_and_says_what_is_wrong() -> None:
    assert len({rule.alert for rule in RULES}) == len(RULES)
    assert all(set(rule.annotations) == {"summary", "description"} for rule in RULES)
