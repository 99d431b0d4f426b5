"""Every panel of the dashboard asks for metrics that exist, in expressions that Prometheus understands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from monitoring.conftest import Promtool
from monitoring.expressions import metrics_in
from support import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "charts/pbx-operator/files/dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
VARIABLES = {"$namespace": "pbx-system", "$__rate_interval": "5m"}


def test_every_panel_shows_metrics_that_exist(documented: frozenset[str]) -> None:
    assert len(EXPRESSIONS) >= len(PANELS)
    for expression in EXPRESSIONS:
        assert metrics_in(expression), expression
        assert metrics_in(expression) - documented == set(), expression


def test_every_metric_is_shown_but_those_that_others_tell(documented: frozenset[str]) -> None:
    shown = {name for expression in EXPRESSIONS for name in metrics_in(expression)}
    assert documented - shown == {
        "controller_runtime_active_workers",
        "controller_runtime_max_concurrent_reconciles",
        "leader_election_master_status",
        "pbx_operator_standing_back",
        "workqueue_adds_total",
        "workqueue_retries_total",
        "workqueue_unfinished_work_seconds",
        "workqueue_work_duration_seconds",
    }


def test_prometheus_understands_every_expression(promtool: Promtool, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": plain(text)} for number, text in enumerate(EXPRESSIONS)]
    file = tmp_path / "panels.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"groups": [{"name": "dashboard", "rules": rules}]}, stream)
    assert f"{len(EXPRESSIONS)} rules found" in promtool("check", "rules", file)


def plain(expression: str) -> str:
    """Return an expression as Grafana sends it."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def test_panels_have_a_title_a_description_and_a_place_of_their_own() -> None:
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)
    assert all(panel["description"] for panel in PANELS)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
