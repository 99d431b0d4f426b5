"""The story of the three offices on a release of the chart: from the first link to the end of the release.

Each test goes on where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helm_chart.rendering import RELEASE
from helm_python.errors import HelmError

from e2e.links import WAIT, await_established, carry_key, transitions
from e2e.release import EXCHANGE, OPERATOR, VALUES, Release
from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # the programs of a node may have to be built

OFFICES = ROOT / "examples" / "three-offices"
BOX = ROOT / "examples" / "comm-servers" / "btco.yaml"
NAMESPACES = ("paris", "rome", "bern", "lyon")
PRIVATE = '{"spec":{"visibility":"Private"}}'
DIALLED_IN_PARIS = {
    "112": "Emergency",
    "200": "Own",
    "8200": "Peer 200@rome.example.com",
    "300": "Peer 300@rome.example.com",
    "400": "Peer 400@bern.example.com",
}


@pytest.fixture(scope="module", autouse=True)
def declared(release: Release) -> Iterator[None]:
    """Remove what the tests declare before the release is removed."""
    yield
    release.cluster.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", WAIT)


def test_offices_link_although_the_operator_is_killed(release: Release) -> None:
    kubectl = release.cluster.kubectl
    kubectl("apply", "-f", str(OFFICES / "1-offices.yaml"))
    kubectl("apply", "-f", str(OFFICES / "2-keys.yaml"))
    kubectl("wait", "--for=condition=KeyIssued", "interlinks", "--all", "-n", "paris", WAIT)
    for office in ("rome", "bern"):
        carry_key(release.cluster, release.cluster, office)

    first = release.leader()
    kubectl("apply", "-f", str(OFFICES / "3-links.yaml"))
    release.kubectl("delete", "pod", first, "--grace-period=0", "--force")

    await_established(release.cluster)
    release.await_ready()
    assert first not in release.pods()
    assert release.cluster.dialled("paris", *DIALLED_IN_PARIS) == DIALLED_IN_PARIS
    assert release.cluster.dialled("rome", "300", "400") == {"300": "Own", "400": "NoMatch"}


def test_a_standby_works_when_the_active_pod_is_killed(release: Release) -> None:
    """The pod that was made in its place may be quicker than the one that stood by."""
    first = release.leader()
    release.kubectl("delete", "pod", first, "--grace-period=0", "--force")
    until(lambda: release.leader() not in ("", first), "another pod has the Lease")
    release.cluster.kubectl("patch", "internalnumber", "workshop", "-n", "rome", "--type=merge", f"--patch={PRIVATE}")
    until(lambda: release.cluster.dialled("paris", "300") == {"300": "NoMatch"}, "Rome's private number is gone")
    assert release.cluster.dialled("rome", "300") == {"300": "Own"}
    release.await_ready()


def test_a_box_connects_by_the_service_of_the_exchange(release: Release) -> None:
    kubectl = release.cluster.kubectl
    kubectl("apply", "-f", str(BOX))
    kubectl("wait", "--for=condition=Ready", "commserver/lyon", "-n", "lyon", WAIT)
    kubectl("apply", "-f", str(ROOT / "tests" / "e2e" / "box.yaml"))
    kubectl("wait", "--for=jsonpath={.status.state}=Running", "commserver/lyon", "-n", "lyon", WAIT)
    kubectl(
        "patch", "commserver", "lyon", "-n", "lyon", "--type=merge", '--patch={"spec":{"dialing":{"country":"MC"}}}'
    )
    kubectl("wait", "--for=jsonpath={.spec.settings.country}=MC", "equipmentrecords", "--all", WAIT)


def test_helm_test_finds_all_well(release: Release) -> None:
    logs = release.helm.test(RELEASE, timeout=120, logs=True)["logs"]
    assert "FAILED" not in logs
    assert f"ok      the exchange at https://{EXCHANGE}.{release.namespace}.svc:443" in logs


def test_an_upgrade_leaves_live_links_alone(release: Release) -> None:
    before, pods = transitions(release.cluster), release.pods().keys() | release.pods("exchange").keys()
    release.upgrade({**VALUES, "logLevel": "debug"})
    assert not pods & (release.pods().keys() | release.pods("exchange").keys())
    until(lambda: release.leader() in release.pods(), "an operator of the new revision works")
    release.cluster.kubectl("patch", "internalnumber", "tim", "-n", "bern", "--type=merge", f"--patch={PRIVATE}")
    until(lambda: release.cluster.dialled("paris", "400") == {"400": "NoMatch"}, "the new operator works")
    assert transitions(release.cluster) == before


def test_a_broken_image_never_counts_as_deployed_and_is_rolled_back(release: Release) -> None:
    before, pods = transitions(release.cluster), release.pods()
    with pytest.raises(HelmError):
        release.upgrade({**VALUES, "image": {"tag": "does-not-exist"}}, seconds=15, atomic=True)
    release.await_ready()
    assert release.pods() == pods
    assert release.states()[-2:] == ["failed", "deployed"]
    assert transitions(release.cluster) == before


def test_the_identity_is_rotated_by_the_command_in_a_pod(release: Release) -> None:
    said = release.kubectl("exec", f"deployment/{OPERATOR}", "--", "pbx-operator", "rotate-identity")
    assert "rotation 1, 15 are left" in said


def test_the_end_of_one_side_ends_the_other(release: Release) -> None:
    kubectl = release.cluster.kubectl
    kubectl("delete", "interlink", "to-paris", "-n", "rome", WAIT)
    kubectl("wait", "--for=delete", "interlink/to-rome", "-n", "paris", WAIT)
    assert release.cluster.dialled("paris", "8200") == {"8200": "NoMatch"}
    assert kubectl("get", "interlinks", "--all-namespaces", "--output=name").split() == [
        "interlink.pbx-operator.io/to-paris",
        "interlink.pbx-operator.io/to-bern",
    ]


def test_the_release_stays_while_objects_need_it_and_then_goes(release: Release) -> None:
    kubectl = release.cluster.kubectl
    with pytest.raises(HelmError, match="pre-delete"):
        release.helm.uninstall(RELEASE, wait="watcher", timeout=120)
    log = release.kubectl("logs", f"job/{OPERATOR}-pre-delete")
    assert "FAILED" in log
    assert "Interlink paris/to-bern, which only the operator can let go" in log
    release.await_ready()

    kubectl("delete", "namespace", *NAMESPACES, WAIT)
    release.helm.uninstall(RELEASE, wait="watcher", timeout=120)
    selector = f"--selector=app.kubernetes.io/instance={RELEASE}"
    # Helm leaves the pod of its test.
    until(lambda: release.kubectl("get", "pods", selector, "-o", "name") == f"pod/{OPERATOR}-test\n", "no pod runs")
    left = "deployments,jobs,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,crds"
    assert release.kubectl("get", left, selector, "-o", "name") == ""
