"""kstatus, Flux's expressions and Argo CD's scripts find the same in every status that an object may have."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gitops.judges import JSON, JUDGED, SCRIPTS, TABLE, disagreements, expected, judge, load, run_script
from pbx_operator.api.reasons import REASONS

GENERATION = 3


def saying(kind: str, said: str, ready: str, reason: str, observed: int = GENERATION) -> JSON:
    """Return an object that says one thing of the three, as the operator writes it."""
    conditions = [{"type": "Ready", "status": ready, "reason": reason, "message": "why"}]
    if said != "Ready":
        conditions.append({"type": said, "status": "True", "reason": reason, "message": "why"})
    about = {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "generation": GENERATION},
    }
    return {**about, "spec": {}, "status": {"observedGeneration": observed, "conditions": conditions}}


EVERY = [
    saying(kind, said, ready, "Why", observed)
    for kind, observed in product(JUDGED, (-1, GENERATION - 1, GENERATION))
    for said, ready in (("Ready", "True"), ("Reconciling", "False"), ("Reconciling", "Unknown"), ("Stalled", "False"))
]


def test_every_status_is_found_as_the_table_has_it() -> None:
    for one, verdict in zip(EVERY, judge(EVERY), strict=True):
        assert (verdict.kstatus, verdict.flux, verdict.argo) == expected(one), one


def test_an_object_that_nobody_has_looked_at_is_on_its_way() -> None:
    unseen = [{**one, "status": {"observedGeneration": -1}} for one in EVERY]
    assert {(v.kstatus, v.flux, v.argo) for v in judge(unseen)} == {TABLE["Reconciling"]}


def test_every_reason_has_its_place_in_the_table() -> None:
    rows = [(r, type_) for r in REASONS for type_, status in r.places if type_ in TABLE and status == "True"]
    objects = [saying("Interlink", type_, "True" if type_ == "Ready" else "False", r.name) for r, type_ in rows]
    assert len(objects) > 100
    assert disagreements(objects) == []


SAMPLES = sorted(SCRIPTS.glob("*/testdata/*.yaml"))


def test_what_was_captured_is_found_as_the_table_has_it() -> None:
    samples = [one for one in map(load, SAMPLES) if "status" in one]
    assert {one["kind"] for one in samples} == set(JUDGED)
    assert disagreements(samples) == []


@pytest.mark.parametrize("kind", JUDGED)
def test_argo_cd_finds_what_its_table_of_tests_says(kind: str) -> None:
    """The table has upstream's form: docs/operator-manual/health.md of Argo CD."""
    folder = SCRIPTS / kind
    rows = load(folder / "health_test.yaml")["tests"]
    assert {folder / row["inputPath"] for row in rows} == set((folder / "testdata").glob("*.yaml"))
    script = (folder / "health.lua").read_text(encoding="utf-8")
    for row in rows:
        assert run_script(script, load(folder / row["inputPath"])) == row["healthStatus"]
    assert {row["healthStatus"]["status"] for row in rows} == {"Healthy", "Degraded", "Progressing"}


ACTIONS = sorted(SCRIPTS.glob("*/actions/*/action.lua"))


@pytest.mark.parametrize("script", ACTIONS, ids=lambda path: f"{path.parts[-4]}-{path.parts[-2]}")
def test_an_action_changes_what_it_is_for_and_nothing_else(script: Path) -> None:
    folder = script.parents[2]
    for before in map(load, sorted((folder / "testdata").glob("healthy-*.yaml"))):
        after = run_script(script.read_text(encoding="utf-8"), before)
        assert changes(before, after) == CHANGES[script.parent.name]


CHANGES = {
    "reconcile": {"metadata.annotations.pbx-operator.io/reconcile-requested-at"},
    "suspend": {"spec.gate"},
    "resume": set(),
    "rotate-key": {"spec.issueKey.revision"},
    "rotate-code": {"spec.activation.revision"},
}


def changes(before: Any, after: Any, path: str = "") -> set[str]:
    """Return the paths of what differs; Lua does not know an empty list from an empty object."""
    if before == after or (not before and not after):
        return set()
    if not isinstance(after, dict) or not isinstance(before, dict | None):
        return {path}
    known = before or {}
    return {
        found
        for name in known.keys() | after.keys()
        for found in changes(known.get(name), after.get(name), f"{path}.{name}".lstrip("."))
    }


@pytest.mark.parametrize("kind", JUDGED)
def test_every_action_is_offered_and_only_where_it_makes_sense(kind: str) -> None:
    discovery = (SCRIPTS / kind / "actions/discovery.lua").read_text(encoding="utf-8")
    for one in map(load, sorted((SCRIPTS / kind / "testdata").glob("healthy-*.yaml"))):
        offered = run_script(discovery, one)
        assert set(offered) == {path.parent.name for path in ACTIONS if path.parts[-4] == kind}
        assert all(action["displayName"] and action["iconClass"] for action in offered.values())
        disabled = {name for name, action in offered.items() if action.get("disabled")}
        assert disabled <= {"resume"}, "the gate is open, and the issuer can make keys"


@pytest.mark.parametrize(
    ("issue", "offered"), [({}, True), ({"revision": 2}, True), ({"fromSecretRef": {"name": "key"}}, False)]
)
def test_another_key_is_offered_only_where_the_operator_makes_it(issue: Any, offered: bool) -> None:
    discovery = (SCRIPTS / "Interlink/actions/discovery.lua").read_text(encoding="utf-8")
    action = run_script(discovery, {"spec": {"gate": "Open", "issueKey": issue}})["rotate-key"]
    assert bool(action.get("disabled")) is not offered


def test_what_is_suspended_can_be_resumed_and_only_an_issuer_makes_keys() -> None:
    folder = SCRIPTS / "Interlink"
    discovery = (folder / "actions/discovery.lua").read_text(encoding="utf-8")
    redeemer = load(folder / "testdata/degraded-secret-missing.yaml")
    redeemer["spec"]["gate"] = "Closed"
    offered = run_script(discovery, redeemer)
    assert {name for name, action in offered.items() if action.get("disabled")} == {"suspend", "rotate-key"}
    resumed = run_script((folder / "actions/resume/action.lua").read_text(encoding="utf-8"), redeemer)
    assert resumed["spec"]["gate"] == "Open"


def test_scripts_have_no_more_than_argo_cd_gives_them() -> None:
    names = ("string", "math", "io", "debug", "os")
    assert run_script("return {" + ",".join(f"{n} = ({n} ~= nil)" for n in names) + "}", {}) == dict.fromkeys(
        names, False
    )
