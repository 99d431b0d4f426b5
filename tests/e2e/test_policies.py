"""The release under its own admission policies: people cannot do what they refuse, and its service accounts can.

Each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from e2e.links import WAIT, await_established, carry_key
from e2e.release import VALUES, Release
from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # the programs of a node may have to be built

OFFICES = ROOT / "examples" / "two-clusters"
BOX = ROOT / "examples" / "comm-servers" / "btco.yaml"
NAMESPACES = ("paris", "rome", "lyon")
TO_ROME = ("interlink/to-rome", "--namespace=paris")
CHANGES = {
    "linkrecords": {"policy": {"accountReady": "False"}},
    "dialplanslices": {"rev": "s" * 26},
    "equipmentrecords": {"settings": {"displayName": "Hotel on the harbour"}},
}
"""A change of the spec that the definition of the kind allows."""


@pytest.fixture(scope="module", autouse=True)
def guarded(release: Release) -> Iterator[Cluster]:
    """Return the cluster, with the policies and something that they guard; without them the release can go later."""
    cluster = release.cluster
    release.upgrade({**VALUES, "policies": {"enabled": True}})
    for name in ("1-paris", "1-rome", "2-paris-issues"):
        cluster.kubectl("apply", "-f", str(OFFICES / f"{name}.yaml"))
    cluster.kubectl("apply", "-f", str(BOX))
    yield cluster
    cluster.kubectl("delete", "namespace", *NAMESPACES, WAIT)
    release.upgrade(VALUES)


def refusal(cluster: Cluster, *arguments: str) -> str:
    """Return why kubectl failed, or nothing if it did not."""
    try:
        cluster.kubectl(*arguments)
    except AssertionError as error:
        return str(error)
    return ""


def await_refused(cluster: Cluster, why: str, *arguments: str) -> None:
    """Wait until a request is refused, which is never carried out: a new policy takes a moment."""
    until(lambda: why in refusal(cluster, *arguments, "--dry-run=server"), f"{' '.join(arguments)} is refused: {why}")


def patched(spec: object, *what: str) -> tuple[str, ...]:
    return "patch", *what, "--type=merge", f"--patch={json.dumps({'spec': spec})}"


def first(cluster: Cluster, kind: str) -> list[str]:
    """Return what names one object of a kind."""
    path = "{.items[0].metadata.name} {.items[0].metadata.namespace}"
    name, *namespace = cluster.kubectl("get", kind, "--all-namespaces", f"--output=jsonpath={path}").split()
    return [f"{kind}/{name}", *(f"--namespace={each}" for each in namespace)]


def test_offices_link(guarded: Cluster) -> None:
    guarded.kubectl("wait", "--for=condition=KeyIssued", *TO_ROME, WAIT)
    carry_key(guarded, guarded, "rome")
    guarded.kubectl("apply", "-f", str(OFFICES / "3-rome-redeems.yaml"))
    await_established(guarded)
    guarded.kubectl("wait", "--for=create", "dialplanslice/to-rome.plain", "--namespace=paris", WAIT)


@pytest.mark.parametrize("kind", CHANGES)
def test_nobody_else_writes_records_or_slices(guarded: Cluster, kind: str) -> None:
    until(lambda: guarded.kubectl("get", kind, "--all-namespaces", "--output=name") != "", f"there are {kind}")
    one = first(guarded, kind)
    await_refused(guarded, f"only the operator writes {kind}", *patched(CHANGES[kind], *one))
    if kind != "dialplanslices":  # the operator writes a missing one anew
        await_refused(guarded, f"only the operator writes {kind}", "delete", *one)


def test_definitions_in_use_are_not_deleted(guarded: Cluster) -> None:
    await_refused(guarded, "deletes every Interlink of the cluster", "delete", "crd", "interlinks.pbx-operator.io")


def test_a_protected_link_stays_until_its_protection_is_lifted(guarded: Cluster) -> None:
    guarded.kubectl(*patched({"deletionProtection": "Enabled"}, *TO_ROME))
    await_refused(guarded, "is protected: its spec.deletionProtection is Enabled", "delete", *TO_ROME)
    assert "is protected" in refusal(guarded, "delete", *TO_ROME)
    await_established(guarded)
    guarded.kubectl(*patched({"deletionProtection": "Disabled"}, *TO_ROME))


def test_a_box_connects(guarded: Cluster) -> None:
    """The exchange writes down what it reports."""
    guarded.kubectl("wait", "--for=condition=Ready", "commserver/lyon", "--namespace=lyon", WAIT)
    guarded.kubectl("apply", "-f", str(ROOT / "tests" / "e2e" / "box.yaml"))
    guarded.kubectl("wait", "--for=jsonpath={.status.state}=Running", "commserver/lyon", "--namespace=lyon", WAIT)


def test_the_end_of_one_side_ends_the_other(guarded: Cluster, release: Release) -> None:
    guarded.kubectl("delete", *TO_ROME, WAIT)
    guarded.kubectl("wait", "--for=delete", "interlink/to-paris", "--namespace=rome", WAIT)
    guarded.kubectl("wait", "--for=jsonpath={.spec.state}=Ended", "linkrecords", "--all", WAIT)
    assert guarded.dialled("paris", "300") == {"300": "NoMatch"}
    assert "denied request" not in release.logs() + release.logs("exchange")
