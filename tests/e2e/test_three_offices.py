"""The story of the three offices, with the operator as a pod that is killed in the middle of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # the programs of a node may have to be built

OFFICES = ROOT / "examples" / "three-offices"
INSTALLED = (
    ROOT / "crds",
    ROOT / "examples" / "install" / "rbac.yaml",
    ROOT / "tests" / "e2e" / "operator.yaml",
)
SYSTEM = ("--namespace", "pbx-system")
WAIT = "--timeout=120s"


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """Return the cluster with the operator, which is ready; it and what the tests declared are removed again."""
    for path in INSTALLED:
        cluster.kubectl("apply", "--server-side", "-f", str(path))
    try:
        await_operator(cluster)
    except AssertionError:
        print(cluster.kubectl("describe", "pods", *SYSTEM), cluster.kubectl("logs", "deployment/pbx-operator", *SYSTEM))
        raise
    yield cluster
    cluster.kubectl("delete", "--ignore-not-found", WAIT, "-f", str(OFFICES / "1-offices.yaml"))
    for path in reversed(INSTALLED):
        cluster.kubectl("delete", "--ignore-not-found", WAIT, "-f", str(path))


def names(cluster: Cluster) -> list[str]:
    """Return the names of the operator's pods."""
    return cluster.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}", *SYSTEM).split()


def phases(cluster: Cluster) -> list[str]:
    """Return how far the operator's pods are."""
    return cluster.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.phase}", *SYSTEM).split()


def logs(cluster: Cluster) -> str:
    """Return what the operator's pods, which have to run, have logged."""
    return cluster.kubectl("logs", "--selector=app.kubernetes.io/name=pbx-operator", "--tail=-1", *SYSTEM)


def await_operator(cluster: Cluster) -> None:
    """Wait until the operator is ready."""
    cluster.kubectl("rollout", "status", "deployment/pbx-operator", WAIT, *SYSTEM)


def carry_key(cluster: Cluster, office: str) -> None:
    """Bring the key that Paris made for an office into the office's namespace."""
    key = json.loads(cluster.kubectl("get", "secret", f"to-{office}-key", "-n", "paris", "-o", "json"))["data"]["key"]
    literal = f"--from-literal=key={base64.b64decode(key).decode()}"
    cluster.kubectl("create", "secret", "generic", "from-paris", "-n", office, literal)


def test_offices_link_although_the_operator_is_killed(installed: Cluster) -> None:
    kubectl = installed.kubectl
    kubectl("apply", "-f", str(OFFICES / "1-offices.yaml"))
    kubectl("apply", "-f", str(OFFICES / "2-keys.yaml"))
    kubectl("wait", "--for=condition=KeyIssued", "interlinks", "--all", "-n", "paris", WAIT)
    for office in ("rome", "bern"):
        carry_key(installed, office)

    (first,) = names(installed)
    kubectl("apply", "-f", str(OFFICES / "3-links.yaml"))
    kubectl("delete", "pod", first, "--grace-period=0", "--force", *SYSTEM)

    kubectl("wait", "--for=condition=Established", "interlinks", "--all", "--all-namespaces", WAIT)
    await_operator(installed)
    assert names(installed) != [first]
    assert installed.dialled("paris", "112", "200", "8200", "300", "400") == {
        "112": "Emergency",
        "200": "Own",
        "8200": "Peer 200@rome.example.com",
        "300": "Peer 300@rome.example.com",
        "400": "Peer 400@bern.example.com",
    }
    assert installed.dialled("rome", "300", "400") == {"300": "Own", "400": "NoMatch"}


def test_the_end_of_one_side_ends_the_other(installed: Cluster) -> None:
    installed.kubectl("delete", "interlink", "to-paris", "-n", "rome", WAIT)
    installed.kubectl("wait", "--for=delete", "interlink/to-rome", "-n", "paris", WAIT)
    assert installed.dialled("paris", "8200", "400") == {"8200": "NoMatch", "400": "Peer 400@bern.example.com"}


def test_a_pod_without_its_rights_is_not_ready_and_says_why(installed: Cluster) -> None:
    """So a rollout waits for it; and once the rights are there it goes on, without a restart."""
    kubectl = installed.kubectl
    kubectl("delete", "clusterrolebinding", "pbx-operator-pod")
    kubectl("delete", "pods", "--all", *SYSTEM)
    until(lambda: phases(installed) == ["Running"], "the new pod runs")
    until(lambda: "check the operator's ClusterRole" in logs(installed), "the operator tells what is missing")
    (pod,) = names(installed)
    readiness = f"/api/v1/namespaces/pbx-system/pods/{pod}:8080/proxy/readyz"
    with pytest.raises(AssertionError, match="neither at work yet nor standing by"):
        kubectl("get", "--raw", readiness)
    assert kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[*].ready}", *SYSTEM) == "false"

    kubectl("apply", "--server-side", "-f", str(INSTALLED[-1]))
    await_operator(installed)
    assert names(installed) == [pod]
    assert kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[*].restartCount}", *SYSTEM) == "0"
