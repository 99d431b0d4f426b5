"""Two releases with an installation each, which link through the Services of their exchanges, as two clusters do.

This module comes after those whose release looks after all namespaces: no two operators may watch one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from helm_chart.rendering import RELEASE, Manifest

from e2e.cluster import Cluster
from e2e.links import WAIT, await_established, carry_key
from e2e.release import Release, released, with_exchange
from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # the programs of a node may have to be built

CLUSTERS = ROOT / "examples" / "two-clusters"
OFFICES = ("paris", "rome")
HOMES = tuple(f"{office}-system" for office in OFFICES)
SERVICE_NETWORKS = ["198.18.0.0/15", "10.0.0.0/8"]
"""Those of our node and of kind: like all local networks they are not dialled unless that is allowed."""
DECLARED = "interlinks,internalnumbers,pbxaccounts"


@dataclass(frozen=True)
class Pair:
    """Two installations in one cluster: one for each office."""

    cluster: Cluster
    releases: tuple[Release, ...]


def values(office: str, home: str) -> Manifest:
    """Return the values of the installation of an office, which leaves the CRDs to others."""
    return {
        **with_exchange(home),
        "watchNamespaces": [office],
        "crds": {"enabled": False},
        "network": {"allow": SERVICE_NETWORKS},
    }


@pytest.fixture(scope="module")
def pair(cluster: Cluster) -> Iterator[Pair]:
    """Return both installations; what the tests declare is removed before them."""
    with ExitStack() as stack:
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        stack.callback(cluster.kubectl, "delete", "-f", str(ROOT / "crds"), WAIT)
        stack.callback(cluster.kubectl, "delete", "namespace", *OFFICES, "--ignore-not-found", WAIT)
        for office in OFFICES:
            cluster.kubectl("create", "namespace", office)
        releases = tuple(
            stack.enter_context(released(cluster, home, values(office, home)))
            for office, home in zip(OFFICES, HOMES, strict=True)
        )
        yield Pair(cluster, releases)
        for office in OFFICES:  # their namespaces come later: the operators' rights lie in them
            cluster.kubectl("delete", DECLARED, "--all", "--namespace", office, WAIT)


def test_they_link_by_a_key_and_the_end_of_one_side_ends_the_other(pair: Pair) -> None:
    kubectl = pair.cluster.kubectl
    for name in ("1-paris", "1-rome", "2-paris-issues"):
        kubectl("apply", "-f", str(CLUSTERS / f"{name}.yaml"))
    kubectl("wait", "--for=condition=KeyIssued", "interlinks", "--all", "-n", "paris", WAIT)
    carry_key(pair.cluster, pair.cluster, "rome")
    kubectl("apply", "-f", str(CLUSTERS / "3-rome-redeems.yaml"))

    await_established(pair.cluster)
    until(
        lambda: pair.cluster.dialled("paris", "300") == {"300": "Peer 300@rome.example.com"},
        "Paris knows Rome's numbers",
    )
    until(
        lambda: pair.cluster.dialled("rome", "210") == {"210": "Peer 210@paris.example.com"},
        "Rome knows Paris's numbers",
    )

    kubectl("delete", "interlink", "to-paris", "-n", "rome", WAIT)
    kubectl("wait", "--for=delete", "interlink/to-rome", "-n", "paris", WAIT)
    assert pair.cluster.dialled("paris", "300") == {"300": "NoMatch"}


def test_helm_test_finds_all_well_in_both(pair: Pair) -> None:
    for release in pair.releases:
        assert "FAILED" not in release.helm.test(RELEASE, timeout=120, logs=True)["logs"]
