"""What older releases left, as `tests/releases` has it: every kind, with statuses and Secrets; put into a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ruamel.yaml import YAML

from integration.api import Raw
from integration.etcd import Etcd
from integration.harness import RESOURCES, Stage
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey, format_time
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.engine.identity import CONFIRM_ANNOTATION
from support import ROOT

RELEASES = [path.parent for path in sorted((ROOT / "tests" / "releases").glob("*/crds"))]
OFFICES = "offices"
"""The namespace of all captured objects that have one, beside that of the operator."""
_IDENTITY = ObjectKey("pbx-system", "pbx-operator-identity")


def captured(release: Path) -> list[Raw]:
    """Return all objects as if the older operator had left them just now, owners before what they own."""
    yaml = YAML(typ="safe", pure=True)
    found: list[Raw] = [raw for file in sorted((release / "objects").glob("*.yaml")) for raw in yaml.load_all(file)]
    assert {raw["kind"] for raw in found} == {*(kind.resource.kind for kind in KINDS), "Secret"}
    now = format_time(datetime.now(UTC))
    for raw in found:
        _just_now(raw, now)
    return sorted(found, key=lambda raw: "ownerReferences" in raw["metadata"])


def _just_now(raw: Raw, now: str) -> None:
    """Let ends and reports be of this moment: old ends are forgotten, and boxes that reported long ago are missed."""
    spec, status = raw.get("spec", {}), raw.get("status", {})
    for told in (spec.get("end"), status.get("ended"), status.get("report")):
        if told is not None:
            told["time"] = now
    if "lastSeenTime" in status:
        status["lastSeenTime"] = now


async def leave(etcd: Etcd, objects: list[Raw]) -> None:
    """Put objects where the API server keeps them: it would give them other UIDs, and drop what it does not know."""
    for raw in objects:
        resource, metadata = RESOURCES[raw["kind"]], raw["metadata"]
        group = [resource.group] if resource.group else []
        path = [*group, resource.plural, *filter(None, [metadata.get("namespace")]), metadata["name"]]
        await etcd.put("/".join(["/registry", *path]), raw)


async def confirm(stage: Stage) -> None:
    """Let the identity serve in this cluster, whose UID is not the one that it was made in."""
    home = await stage.api.cluster.get(NAMESPACES, ObjectKey("", "kube-system"))
    patch = {"metadata": {"annotations": {CONFIRM_ANNOTATION: home["metadata"]["uid"]}}}
    await stage.api.cluster.patch(SECRETS, _IDENTITY, patch)
