"""The dashboard and the alert rules ask for metrics and labels that exist, in a shape that can be read.

It is that of Grafana's page "Dashboard JSON model" and of Prometheus' page "Alerting rules".
"""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric

from structstream.instrumentation.prometheus import Instruments

yaml = pytest.importorskip("yaml", reason="it comes with vcrpy")

DOCS = Path(__file__).parent.parent / "docs"
BOARD: dict[str, Any] = json.loads((DOCS / "grafana.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ASKED = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ASKED += [(rule["alert"], rule["expr"]) for rule in RULES]
ASKED += [("model", variable["definition"]) for variable in BOARD["templating"]["list"] if variable["type"] == "query"]


def exposed() -> dict[str, frozenset[str]]:
    """The names of all series, with their labels."""
    registry = CollectorRegistry()
    made = Instruments(registry)
    labels = {name: set(getattr(made, name)._labelnames) for name in vars(made) if name != "gaps"} | {"gaps": {"model"}}
    found: dict[str, frozenset[str]] = {}
    for name, own in labels.items():
        family: Metric = next(iter(getattr(made, name).describe()))
        endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[family.type]
        for ending in endings:
            found[family.name + ending] = frozenset(own | ({"le"} if ending == "_bucket" else set()))
    return found


SERIES = exposed()


@pytest.mark.parametrize(("where", "expr"), ASKED, ids=[f"{at}-{where}" for at, (where, _) in enumerate(ASKED)])
def test_every_metric_and_label_that_is_asked_for_exists(where: str, expr: str) -> None:
    names = set(re.findall(r"\bstructured_llm_streaming_\w+", expr))
    assert names
    assert names <= SERIES.keys()
    labels = {label for name in names for label in SERIES[name]}
    asked = {
        label for inside in re.findall(r"\{([^}]*)\}", expr) for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)
    }
    grouped = {label.strip() for inside in re.findall(r"by \(([^)]*)\)", expr) for label in inside.split(",")}
    assert asked | grouped <= labels
    assert expr.count("(") == expr.count(")")


def test_every_metric_is_shown() -> None:
    shown = {name for _, expr in ASKED for name in re.findall(r"\bstructured_llm_streaming_\w+", expr)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in SERIES}
    assert families == {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}


FIELDS = {
    "title": str,
    "uid": str,
    "tags": list,
    "timezone": str,
    "editable": bool,
    "graphTooltip": int,
    "time": dict,
    "timepicker": dict,
    "templating": dict,
    "annotations": dict,
    "refresh": str,
    "schemaVersion": int,
    "version": int,
    "panels": list,
    "links": list,
}


@pytest.mark.parametrize(("name", "kind"), FIELDS.items())
def test_the_dashboard_has_the_fields_of_the_json_model(name: str, kind: type) -> None:
    assert isinstance(BOARD[name], kind)


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert BOARD["id"] is None
    assert len(BOARD["uid"]) <= 40
    assert BOARD["schemaVersion"] >= 36
    assert set(BOARD["time"]) == {"from", "to"}
    sources = [panel["datasource"] for panel in PANELS]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert {name: variable["type"] for name, variable in variables.items()} == {
        "datasource": "datasource",
        "model": "query",
    }


def test_every_panel_has_its_place_and_its_queries() -> None:
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert set(place) == {"h", "w", "x", "y"}
        assert 0 < place["w"] <= 24 - place["x"]
        assert panel["title"]
    for panel in PANELS:
        assert panel["type"] == "timeseries"
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_no_panel_lies_on_another() -> None:
    for one, other in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_can_be_read_by_prometheus(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    grouped = {label.strip() for inside in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in inside.split(",")}
    assert named <= grouped
