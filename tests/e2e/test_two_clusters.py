"""Two clusters with a release each, which link through the ports of their nodes: their pods know nothing of each other.

This module comes after the stories of the release that looks after all namespaces of the first cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from helm_chart.rendering import RELEASE, Manifest
from node.layout import NODE_NETWORK

from e2e.audit import requests_of
from e2e.cluster import Cluster
from e2e.links import WAIT, await_established, carry_key
from e2e.release import Release, released
from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # the programs of a node may have to be built

CLUSTERS = ROOT / "examples" / "two-clusters"
HOME = "pbx-federated"
PORT = 30443
PRIVATE = '{"spec":{"visibility":"Private"}}'


class Offices(NamedTuple):
    """The release of each cluster."""

    paris: Release
    rome: Release


def values(cluster: Cluster) -> Manifest:
    """Return values for an exchange that is reached at each node, and dials nodes, whose addresses are local ones."""
    path = 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}'
    nodes = cluster.kubectl("get", "nodes", "--output", path).split()
    return {
        "exchange": {
            "enabled": True,
            "endpoints": [f"https://{node}:{PORT}" for node in nodes],
            "service": {"type": "NodePort", "nodePort": PORT},
        },
        "network": {"allow": [NODE_NETWORK]},
        "crds": {"keep": False},
    }


@pytest.fixture(scope="module")
def offices(cluster: Cluster, second_cluster: Cluster) -> Iterator[Offices]:
    """Return both releases; what the tests declare is removed before them."""
    with ExitStack() as stack:
        paris, rome = (stack.enter_context(released(each, HOME, values(each))) for each in (cluster, second_cluster))
        yield Offices(paris, rome)
        for release, office in ((paris, "paris"), (rome, "rome")):
            release.cluster.kubectl("delete", "namespace", office, "--ignore-not-found", WAIT)


def test_they_link_by_a_key_that_is_carried_from_one_to_the_other(offices: Offices) -> None:
    paris, rome = offices.paris.cluster, offices.rome.cluster
    for name in ("1-paris", "2-paris-issues"):
        paris.kubectl("apply", "-f", str(CLUSTERS / f"{name}.yaml"))
    rome.kubectl("apply", "-f", str(CLUSTERS / "1-rome.yaml"))
    paris.kubectl("wait", "--for=condition=KeyIssued", "interlink/to-rome", "-n", "paris", WAIT)
    carry_key(paris, rome, "rome")
    rome.kubectl("apply", "-f", str(CLUSTERS / "3-rome-redeems.yaml"))
    for cluster in (paris, rome):
        await_established(cluster)
    until(
        lambda: (
            paris.dialled("paris", "8200", "300", "310")
            == {"8200": "Peer 200@rome.example.com", "300": "Peer 300@rome.example.com", "310": "NoMatch"}
        ),
        "Paris knows Rome's numbers",
    )
    until(lambda: rome.dialled("rome", "210") == {"210": "Peer 210@paris.example.com"}, "Rome knows Paris's numbers")


def test_a_change_on_either_side_reaches_the_other(offices: Offices) -> None:
    paris, rome = offices.paris.cluster, offices.rome.cluster
    rome.kubectl("patch", "internalnumber", "workshop", "-n", "rome", "--type=merge", f"--patch={PRIVATE}")
    paris.kubectl("patch", "internalnumber", "reception", "-n", "paris", "--type=merge", f"--patch={PRIVATE}")
    until(lambda: paris.dialled("paris", "300") == {"300": "NoMatch"}, "Paris has lost Rome's private number")
    until(lambda: rome.dialled("rome", "210") == {"210": "NoMatch"}, "Rome has lost Paris's private number")


def test_helm_test_finds_all_well_in_both(offices: Offices) -> None:
    for release in offices:
        assert "FAILED" not in release.helm.test(RELEASE, timeout=120, logs=True)["logs"]


def test_the_end_of_one_side_ends_the_other(offices: Offices) -> None:
    paris, rome = offices.paris.cluster, offices.rome.cluster
    paris.kubectl("delete", "interlink", "to-rome", "-n", "paris", WAIT)
    rome.kubectl("wait", "--for=delete", "interlink/to-paris", "-n", "rome", WAIT)
    for cluster in (paris, rome):
        cluster.kubectl("wait", "--for=jsonpath={.spec.state}=Ended", "linkrecords", "--all", WAIT)
    assert rome.dialled("rome", "210") == {"210": "NoMatch"}


def test_nothing_was_forbidden_in_the_second_cluster(offices: Offices) -> None:
    assert [each for each in requests_of(offices.rome.cluster) if not each.allowed] == []
