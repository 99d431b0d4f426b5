"""The plain manifests on a real API server: it takes them, and a release of the chart can take them over in place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from helm_chart.rendering import NAMESPACE, Manifest, objects, rendered
from plain_operator import RELEASE

from pbx_operator.api.manifest import to_yaml
from pbx_operator.sandbox import ControlPlane
from support import ROOT, install_crds, kubectl

NAMES = ("rbac.yaml", "operator.yaml", "tenants.yaml", "policies.yaml")
FILES = [f"--filename={ROOT / 'examples/install' / name}" for name in NAMES]
PAGE = (ROOT / "docs/install.md").read_text(encoding="utf-8")
LATER = PAGE.partition("## From kubectl to Helm")[2].partition("\n## ")[0]
"""What the page tells to do then."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """Return a cluster of its own, in which the plain manifests are installed."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        kubectl(control_plane, "apply", "--server-side", *FILES)
        yield control_plane


def release() -> list[Manifest]:
    """Return what Helm makes of the chart with its defaults, and the policies, without hooks."""
    made = objects(rendered({"policies": {"enabled": True}}, release=RELEASE, namespace=NAMESPACE))
    return [each for each in made if "helm.sh/hook" not in each["metadata"].get("annotations", {})]


def test_a_release_takes_everything_over_in_place_and_the_page_deletes_the_rest(cluster: ControlPlane) -> None:
    before = uid_of_the_deployment(cluster)
    manifests = "---\n".join(to_yaml(each) for each in release())
    kubectl(cluster, "apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-", stdin=manifests)
    assert uid_of_the_deployment(cluster) == before
    for command in re.findall(r"^kubectl (delete .*)", LATER, re.MULTILINE):
        kubectl(cluster, *shlex.split(command))
    assert installed(cluster) <= {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in release()}


def installed(cluster: ControlPlane) -> set[str]:
    """Return what is ours in the cluster."""
    kinds = ("clusterrole", "clusterrolebinding", "role", "rolebinding", "serviceaccount", "deployment")
    return {
        f"{kind}/{name.partition('/')[2]}"
        for kind in (*kinds, "validatingadmissionpolicy")
        for name in kubectl(cluster, "get", kind, "--namespace", NAMESPACE, "--output=name").split()
        if "pbx-" in name
    }


def uid_of_the_deployment(cluster: ControlPlane) -> str:
    path = "jsonpath={.metadata.uid}"
    return kubectl(cluster, "get", "deployment", RELEASE, "--namespace", NAMESPACE, f"--output={path}")
