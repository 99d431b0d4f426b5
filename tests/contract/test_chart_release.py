"""Helm itself at work on a real API server: what a release makes, changes and leaves behind.

No node runs here, so nothing waits for Pods, and the guard of the uninstallation, a Job, refuses whatever there is
unless it is turned off first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from helm_chart.rendering import CHART, NAMESPACE, RELEASE, Manifest, ci_values
from helm_python import Config
from helm_python.errors import HelmError

from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.sandbox import ControlPlane
from support import kubectl

CRDS = {f"{kind.resource.plural}.{kind.resource.group}" for kind in KINDS}
GUARDED = "guarded"
FORCED: Manifest = {"uninstall": {"force": True}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """Return a cluster of its own: the CRDs of others belong to kubectl."""
    with ControlPlane.start() as control_plane:
        for namespace in (NAMESPACE, "pbx-other", "tenant-a"):
            kubectl(control_plane, "create", "namespace", namespace)
        yield control_plane


@pytest.fixture(scope="module")
def helm(cluster: ControlPlane) -> Iterator[Config]:
    with Config(kubeconfig_path=str(cluster.kubeconfig), namespace=NAMESPACE) as helm:
        yield helm


def names(cluster: ControlPlane, kind: str) -> list[str]:
    return kubectl(cluster, "get", kind, "--all-namespaces", "--output=name").split()


def test_a_release_comes_and_changes_and_goes_but_leaves_the_crds(cluster: ControlPlane, helm: Config) -> None:
    helm.install(str(CHART), RELEASE, FORCED, namespace=NAMESPACE)
    assert names(cluster, "deployments") == ["deployment.apps/pbx-pbx-operator"]
    helm.upgrade(str(CHART), RELEASE, {**with_exchange(), **FORCED}, namespace=NAMESPACE)
    assert "deployment.apps/pbx-pbx-operator-exchange" in names(cluster, "deployments")
    helm.rollback(RELEASE, version=1)
    assert names(cluster, "deployments") == ["deployment.apps/pbx-pbx-operator"]
    helm.uninstall(RELEASE)
    assert [name for name in names(cluster, "clusterroles") if "pbx" in name] == []
    assert {name.partition("/")[2] for name in names(cluster, "crds")} == CRDS


def test_two_releases_share_a_cluster_if_one_leaves_the_crds_to_the_other(cluster: ControlPlane, helm: Config) -> None:
    narrow = {"watchNamespaces": ["tenant-a"], "crds": {"enabled": False}, **FORCED}
    helm.install(str(CHART), RELEASE, FORCED, namespace=NAMESPACE)
    helm.install(str(CHART), RELEASE, narrow, namespace="pbx-other")
    assert names(cluster, "deployments") == ["deployment.apps/pbx-pbx-operator"] * 2


def test_impossible_values_change_nothing(cluster: ControlPlane, helm: Config) -> None:
    before = kubectl(cluster, "get", "secrets", "-n", NAMESPACE, "--output=name")
    with pytest.raises(HelmError, match="leaves others without an address"):
        helm.upgrade(str(CHART), RELEASE, {"exchange": {"enabled": True}}, namespace=NAMESPACE)
    assert kubectl(cluster, "get", "secrets", "-n", NAMESPACE, "--output=name") == before


def test_a_release_whose_uninstallation_was_refused_goes_on_after_a_rollback_to_the_revision_it_had(
    cluster: ControlPlane, helm: Config
) -> None:
    helm.install(str(CHART), GUARDED, {"crds": {"enabled": False}}, namespace=NAMESPACE)
    helm.upgrade(str(CHART), GUARDED, {"crds": {"enabled": False}, "workers": 7}, namespace=NAMESPACE)
    with pytest.raises(HelmError, match=f"{GUARDED}-pbx-operator-pre-delete"):
        helm.uninstall(GUARDED, timeout=2)
    with pytest.raises(HelmError, match="has no deployed releases"):
        helm.upgrade(str(CHART), GUARDED, FORCED, reuse_values=True, namespace=NAMESPACE)
    helm.rollback(GUARDED, version=2)
    assert "--workers=7" in kubectl(cluster, "get", "deployment", f"{GUARDED}-pbx-operator", "-n", NAMESPACE, "-o=yaml")
    helm.upgrade(str(CHART), GUARDED, FORCED, reuse_values=True, namespace=NAMESPACE)
    helm.uninstall(GUARDED)


def with_exchange() -> Manifest:
    """Return the values of an exchange, without the kinds that no API server has by itself."""
    values: Manifest = json.loads(json.dumps(ci_values()["exchange"]))
    del values["metrics"]
    return values
