"""What GitOps tools make of our objects: their own evaluators, asked by the program in `tools/verdicts`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from go_program import go_program
from ruamel.yaml import YAML

from support import ROOT

JSON = dict[str, Any]
SCRIPTS = ROOT / "argocd/resource_customizations/pbx-operator.io"
EXPRESSIONS = ROOT / "flux/health-checks.yaml"

JUDGED = ("PBXAccount", "Interlink", "InternalNumber", "CommServer")
"""The kinds that users write, and wait for."""
TABLE = {
    "Ready": ("Current", "Current", "Healthy"),
    "Reconciling": ("InProgress", "InProgress", "Progressing"),
    "Stalled": ("Failed", "Failed", "Degraded"),
}
"""By what an object says, what kstatus, Flux and Argo CD must find."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one object."""

    kstatus: str
    flux: str
    argo: str
    message: str


def load(path: Path) -> JSON:
    """Return a YAML document; times stay text, as the API server has them."""
    document: JSON = json.loads(json.dumps(YAML(typ="safe", pure=True).load(path), default=str))
    return document


def health_script(kind: str) -> str:
    return (SCRIPTS / kind / "health.lua").read_text(encoding="utf-8")


def expressions(kind: str) -> JSON:
    """Return Flux's expressions for a kind, without what selects it."""
    (found,) = [e for e in load(EXPRESSIONS)["spec"]["healthCheckExprs"] if e["kind"] == kind]
    return {name: text for name, text in found.items() if name not in ("apiVersion", "kind")}


def judge(objects: Sequence[JSON]) -> list[Verdict]:
    """Return what each tool finds about objects of one or several kinds."""
    found: dict[int, Verdict] = {}
    for kind in {o["kind"] for o in objects}:
        numbered = [(n, o) for n, o in enumerate(objects) if o["kind"] == kind]
        script = health_script(kind)
        scripts = [{"source": script, "object": o} for _, o in numbered]
        answer = _ask({"expressions": expressions(kind), "objects": [o for _, o in numbered], "scripts": scripts})
        for (n, _), seen, health in zip(numbered, answer["verdicts"], answer["results"], strict=True):
            found[n] = Verdict(seen["kstatus"], seen["flux"], health["status"], health.get("message", ""))
    return [found[n] for n in range(len(objects))]


def run_script(source: str, one: JSON) -> Any:
    """Return what a script of Argo CD returns about an object."""
    neutral = {"current": "true"}
    return _ask({"expressions": neutral, "objects": [], "scripts": [{"source": source, "object": one}]})["results"][0]


def expected(one: JSON) -> tuple[str, str, str]:
    """Return what the tools must find, by the conditions of an object that is not being deleted."""
    status = one.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    if status.get("observedGeneration") != one["metadata"]["generation"]:
        return TABLE["Reconciling"]
    said = [name for name in TABLE if conditions.get(name) == "True"]
    assert len(said) == 1, f"{one['kind']} says {conditions}: not one of Ready, Reconciling, Stalled"
    return TABLE[said[0]]


def disagreements(objects: Iterable[JSON]) -> list[str]:
    """Return what the tools find otherwise than they must, about objects that are not being deleted."""
    shapes = {_shape(o): o for o in objects if "deletionTimestamp" not in o["metadata"]}
    seen = list(shapes.values())
    return [
        f"{o['kind']} {o['metadata']['name']}: {found}, but must be {expected(o)}"
        for o, found in zip(seen, judge(seen), strict=True)
        if (found.kstatus, found.flux, found.argo) != expected(o)
    ]


def _shape(one: JSON) -> tuple[object, ...]:
    """Return all of an object that a verdict can depend on."""
    status = one.get("status", {})
    conditions = frozenset((c["type"], c["status"], c["reason"]) for c in status.get("conditions", []))
    return one["kind"], status.get("observedGeneration") == one["metadata"]["generation"], conditions


def _ask(question: JSON) -> JSON:
    program = go_program("verdicts", "pbx-operator.io/tools/verdicts")
    done = subprocess.run([program], input=json.dumps(question), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: JSON = json.loads(done.stdout)
    return answer
