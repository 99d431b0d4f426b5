"""What the releases were allowed to do, they did, and nothing else was asked for.

This module comes after all others: the API server's audit log of what they made the pods do is what it judges.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from helm_chart.rendering import NAMESPACE, objects, rendered

from chart.rights import Right, rights
from e2e.cluster import Cluster
from e2e.release import EXCHANGE, OPERATOR, VALUES
from e2e.test_two_installations import HOMES

AFTER_CONFLICTS = "reads an object again if a write meets a change that its watch has not told yet"
RENEWAL = "renews the certificate, which is valid for 90 days, after 60"
OPERATORS: dict[Right, str] = {
    **{
        Right("", "pbx-operator.io", kind, "", "get"): AFTER_CONFLICTS
        for kind in ("pbxaccounts", "internalnumbers", "commservers", "dialplanslices")
    },
    Right("", "pbx-operator.io", "linkrecords", "", "delete"): "deletes the record of an ended link after a day",
    Right("", "pbx-operator.io", "equipmentrecords/status", "", "update"): (
        "writes down what boxes report if the exchange runs in its own process; `pbx-operator check` asks for it"
    ),
    Right(NAMESPACE, "", "secrets", "pbx-operator-exchange-tls", "update"): RENEWAL,
}
EXCHANGES: dict[Right, str] = {
    Right(NAMESPACE, "", "secrets", "", "create"): "makes the certificate if the operator was not first",
    Right(NAMESPACE, "", "secrets", "pbx-operator-exchange-tls", "update"): RENEWAL,
    Right(NAMESPACE, "coordination.k8s.io", "leases", "", "update"): "a peer that speaks for more than a minute",
}
"""What the stories need not use, by account, and what it is granted for."""


class Request(NamedTuple):
    """A request of a pod, as the API server noted it."""

    home: str
    """The namespace of its service account."""
    account: str
    pod: str
    verb: str
    uri: str
    asked: dict[str, str]
    allowed: bool
    """Whether it was authorized; that a namespace is being deleted, for example, is asked after that."""

    def needs(self, right: Right) -> bool:
        """Tell whether this right, which the chart grants a release in NAMESPACE, was needed for it."""
        resource = "/".join(filter(None, (self.asked.get("resource"), self.asked.get("subresource"))))
        return (
            (self.verb, self.asked.get("apiGroup", ""), resource) == (right.verb, right.group, right.resource)
            and (right.namespace == "" or self.asked.get("namespace") == self.home)
            and right.name in ("", self.asked.get("name"))
        )


@pytest.fixture(scope="module")
def requests(cluster: Cluster) -> list[Request]:
    """Return the requests of the pods of the releases that had all their rights."""
    if cluster.audit is None:
        pytest.skip("the audit log of this cluster is not known: a node of our own shows it")
    noted = list(map(request, cluster.audit.read_text(encoding="utf-8").splitlines()))
    found = [each for home in (NAMESPACE, *HOMES) for each in until_the_end(home, noted)]
    if not found:
        pytest.skip("nothing is noted: run it together with the other tests")
    return found


def request(line: str) -> Request:
    event = json.loads(line)
    _, _, home, account = event["user"]["username"].split(":")
    (pod,) = event["user"]["extra"]["authentication.kubernetes.io/pod-name"]
    decision = event["annotations"]["authorization.k8s.io/decision"]
    asked: dict[str, Any] = event.get("objectRef", {})
    return Request(home, account, pod, event["verb"], event["requestURI"], asked, decision == "allow")


def until_the_end(home: str, noted: list[Request]) -> Iterator[Request]:
    """Return the requests of a release until the guard's pod let its uninstallation begin.

    That takes the rights while the operator still gives its Lease back.
    """
    own = [each for each in noted if each.home == home]
    while own and not own[-1].pod.startswith(f"{OPERATOR}-pre-delete"):
        own.pop()
    return iter(own)


def test_nothing_was_forbidden(requests: list[Request]) -> None:
    assert [each for each in requests if not each.allowed] == []


@pytest.mark.parametrize(("account", "argued"), [(OPERATOR, OPERATORS), (EXCHANGE, EXCHANGES)])
def test_every_right_was_used(requests: list[Request], account: str, argued: dict[Right, str]) -> None:
    done = [each for each in requests if each.account == account and each.allowed]
    granted = rights(objects(rendered(VALUES)), account)
    assert {right for right in granted if not any(each.needs(right) for each in done)} - argued.keys() == set()
    assert argued.keys() - granted == set()
