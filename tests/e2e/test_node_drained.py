"""Nodes are drained one after the other, as to upgrade a cluster: links begin and stay, and nothing is down."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile

import pytest

from e2e.cluster import TIMEOUT, Cluster
from e2e.links import WAIT, await_established, carry_key
from e2e.release import EXCHANGE, OPERATOR, Release
from support import ROOT, until

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("host")]  # only nodes of our own may be drained

OFFICES = ROOT / "examples" / "three-offices"
NAMESPACES = ("paris", "rome", "bern")
PRIVATE = '{"spec":{"visibility":"Private"}}'
WITHOUT_TIM = {"300": "Peer 300@rome.example.com", "400": "NoMatch"}
AVAILABLE = '{.metadata.name} {.status.availableReplicas}{"\\n"}'
CONDITION = '.status.conditions[?(@.type=="Established")]'
ESTABLISHED = (
    f'{{.metadata.namespace}}/{{.metadata.name}} {{{CONDITION}.status}} {{{CONDITION}.lastTransitionTime}}{{"\\n"}}'
)


@pytest.fixture
def to_bern(release: Release) -> Iterator[str]:
    """Link Paris with Rome, and return what links Bern once it is applied; all of it goes in the end."""
    cluster = release.cluster
    cluster.kubectl("apply", "-f", str(OFFICES / "1-offices.yaml"), "-f", str(OFFICES / "2-keys.yaml"))
    cluster.kubectl("wait", "--for=condition=KeyIssued", "interlinks", "--all", "-n", "paris", WAIT)
    for office in ("rome", "bern"):
        carry_key(cluster, cluster, office)
    rome, bern = (OFFICES / "3-links.yaml").read_text(encoding="utf-8").split("\n---\n")
    cluster.kubectl("apply", "-f", "-", stdin=rome)
    cluster.kubectl("wait", "--for=condition=Established", "interlink/to-rome", "-n", "paris", WAIT)
    cluster.kubectl("wait", "--for=condition=Established", "interlink/to-paris", "-n", "rome", WAIT)
    yield bern
    cluster.kubectl("delete", "namespace", *NAMESPACES, WAIT)


@contextmanager
def draining(cluster: Cluster, node: str) -> Iterator[None]:
    """Drain a node, which has to succeed, beside what is done meanwhile; then it takes pods again."""
    try:
        with cluster.beside("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", WAIT) as drain:
            cluster.kubectl("wait", "--for=jsonpath={.spec.unschedulable}=true", f"node/{node}", WAIT)
            yield
            said, _ = drain.communicate(timeout=TIMEOUT)
            assert drain.returncode == 0, said
    finally:
        cluster.kubectl("uncordon", node)


def seen(watch: subprocess.Popen[str]) -> list[str]:
    """End a watch, and return the lines that it has printed."""
    watch.kill()
    lines, _ = watch.communicate()
    return lines.splitlines()


def assert_never_broken(lines: list[str], link: str) -> None:
    """Judge the history of an Interlink: since it became established, it is so without an interruption."""
    history = [line.removeprefix(link) for line in lines if line.startswith(f"{link} ")]
    established = list(dropwhile(lambda state: not state.startswith(" True "), history))
    assert len(set(established)) == 1, f"{link}: {history}"


def test_replicas_share_no_node(release: Release) -> None:
    for component in ("operator", "exchange"):
        assert len(set(release.nodes(component))) == 2


def test_links_begin_and_stay_while_each_node_is_drained(release: Release, to_bern: str) -> None:
    """The second drain finds all pods on its node, so that only the budgets keep one of each kind."""
    cluster = release.cluster
    first = release.kubectl("get", "pod", release.leader(), "--output=jsonpath={.spec.nodeName}")
    (second,) = {*release.nodes("operator"), *release.nodes("exchange")} - {first}
    deployments = ("get", "deployments", "--namespace", release.namespace, "--watch", f"--output=jsonpath={AVAILABLE}")
    interlinks = ("get", "interlinks", "--all-namespaces", "--watch", f"--output=jsonpath={ESTABLISHED}")
    with cluster.beside(*deployments) as availability, cluster.beside(*interlinks) as links:
        with draining(cluster, first):
            cluster.kubectl("apply", "-f", "-", stdin=to_bern)
            await_established(cluster)
        release.await_ready()
        assert {*release.nodes("operator"), *release.nodes("exchange")} == {second}
        with draining(cluster, second):
            cluster.kubectl("patch", "internalnumber", "tim", "-n", "bern", "--type=merge", f"--patch={PRIVATE}")
            until(lambda: cluster.dialled("paris", "300", "400") == WITHOUT_TIM, "Bern's private number is gone")
        release.await_ready()
        assert {*release.nodes("operator"), *release.nodes("exchange")} == {first}
        history, available = seen(links), seen(availability)

    for link in ("paris/to-rome", "rome/to-paris", "paris/to-bern", "bern/to-paris"):
        assert_never_broken(history, link)
    assert {*available} >= {f"{OPERATOR} 2", f"{EXCHANGE} 2"}
    assert {line for line in available if line.partition(" ")[2] in ("", "0")} == set()
