"""What does not work is never counted as deployed: releases of their own, which look after one namespace only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helm_chart.rendering import RELEASE, Manifest
from helm_python.errors import HelmError

from e2e.cluster import Cluster
from e2e.release import Release, released
from support import until

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("release")]  # that one brings the CRDs

TENANT = "pbx-tenant"
NARROW: Manifest = {
    "watchNamespaces": [TENANT],
    "crds": {"enabled": False},
    "leaderElection": {"enabled": False},
    "uninstall": {"force": True},
}
"""Values of an operator that has nothing to look after, beside the one that looks after all namespaces.

Without the Lease there is one Pod at a time: the one that is to be judged.
"""
WITHOUT_RIGHTS: Manifest = {**NARROW, "rbac": {"create": False, "aggregateRoles": False}}
CRASHING: Manifest = {**NARROW, "extraEnv": [{"name": "PYTHONHOME", "value": "/nowhere"}]}
SECONDS = 15


@pytest.fixture(autouse=True)
def tenant(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("create", "namespace", TENANT)
    yield
    cluster.kubectl("delete", "namespace", TENANT)


def status(release: Release, field: str) -> str:
    return release.kubectl("get", "pods", "-o", f"jsonpath={{.items[*].status.{field}}}")


def restarts(release: Release) -> int:
    return int(status(release, "containerStatuses[*].restartCount") or 0)


def test_a_pod_without_its_rights_is_not_ready_and_says_why(cluster: Cluster) -> None:
    """So a rollout waits for it; and once the rights are there it goes on, without a restart."""
    with released(cluster, "pbx-powerless", WITHOUT_RIGHTS, wait=False) as release:
        until(lambda: status(release, "phase") == "Running", "the pod runs")
        until(lambda: "check the operator's" in release.logs(), "the operator tells what is missing")
        (pod,) = release.pods()
        readiness = f"/api/v1/namespaces/{release.namespace}/pods/{pod}:8080/proxy/readyz"
        with pytest.raises(AssertionError, match="neither at work yet nor standing by"):
            cluster.kubectl("get", "--raw", readiness)
        with pytest.raises(HelmError, match="deadline exceeded"):
            release.upgrade(WITHOUT_RIGHTS, seconds=SECONDS)
        assert release.states()[-1] == "failed"
        assert release.pods() == {pod: False}

        release.upgrade(NARROW)
        assert release.states()[-1] == "deployed"
        assert release.pods() == {pod: True}
        assert restarts(release) == 0


def test_a_pod_that_crashes_again_and_again_is_never_ready(cluster: Cluster) -> None:
    with released(cluster, "pbx-crashing", NARROW) as release:
        with pytest.raises(HelmError, match="deadline exceeded"):
            release.upgrade(CRASHING, seconds=SECONDS)
        until(lambda: restarts(release) > 0, "it has crashed and was started again")
        assert release.states()[-1] == "failed"
        assert not any(release.pods().values())

        release.helm.rollback(RELEASE, version=1, wait="watcher", timeout=60)
        assert release.states()[-1] == "deployed"
        assert list(release.pods().values()) == [True]
