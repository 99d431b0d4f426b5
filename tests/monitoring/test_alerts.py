"""The alerts fire when they should, speak of metrics that exist, and each has a runbook with the usual parts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from monitoring.conftest import Promtool
from monitoring.expressions import metrics_in
from support import ROOT

FILES = ROOT / "charts/pbx-operator/files"
RUNBOOKS = ROOT / "docs/runbooks"
RULES: list[dict[str, Any]] = [
    rule
    for group in YAML(typ="safe").load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
each_alert = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))


def test_prometheus_takes_the_rules_and_finds_nothing_odd(promtool: Promtool) -> None:
    assert f"{len(RULES)} rules found" in promtool(
        "check", "rules", "--lint=all", "--lint-fatal", FILES / "alerts.yaml"
    )


def test_they_fire_when_they_should_and_not_before(promtool: Promtool) -> None:
    assert "SUCCESS" in promtool("test", "rules", FILES / "alerts_test.yaml")


@each_alert
def test_there_is_a_test_that_lets_it_fire_and_one_that_does_not(rule: dict[str, Any]) -> None:
    tests = YAML(typ="safe").load((FILES / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    looks = [look for test in tests for look in test["alert_rule_test"] if look["alertname"] == rule["alert"]]
    assert {"exp_alerts" in look for look in looks} == {True, False}


@each_alert
def test_it_speaks_of_metrics_that_exist(rule: dict[str, Any], documented: frozenset[str]) -> None:
    assert metrics_in(rule["expr"])
    assert metrics_in(rule["expr"]) - documented == set()


@each_alert
def test_it_has_a_runbook_that_says_what_to_do(rule: dict[str, Any]) -> None:
    name, annotations = rule["alert"], rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", page, re.M)
    assert headings == [name, "Meaning", "Impact", "Diagnosis", "Mitigation"]


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {rule["alert"] for rule in RULES}
