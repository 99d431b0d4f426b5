"""What the releases were allowed to do, they did, and nothing else was asked for.

This module comes after all others: the API server's audit log of what they made the pods do is what it judges.
"""

from __future__ import annotations

import pytest
from helm_chart.rendering import NAMESPACE, objects, rendered

from chart.rights import Right, rights
from e2e.audit import Request, requests_of, until_the_end
from e2e.cluster import Cluster
from e2e.release import EXCHANGE, OPERATOR, VALUES
from e2e.test_two_clusters import HOME as FEDERATED
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


@pytest.fixture(scope="module")
def requests(cluster: Cluster) -> list[Request]:
    """Return the requests of the pods of the releases that had all their rights."""
    if cluster.audit is None:
        pytest.skip("the audit log of this cluster is not known: a node of our own shows it")
    noted = requests_of(cluster)
    found = [each for home in (NAMESPACE, *HOMES, FEDERATED) for each in until_the_end(home, noted)]
    if not found:
        pytest.skip("nothing is noted: run it together with the other tests")
    return found


def test_nothing_was_forbidden(requests: list[Request]) -> None:
    assert [each for each in requests if not each.allowed] == []


@pytest.mark.parametrize(("account", "argued"), [(OPERATOR, OPERATORS), (EXCHANGE, EXCHANGES)])
def test_every_right_was_used(requests: list[Request], account: str, argued: dict[Right, str]) -> None:
    done = [each for each in requests if each.account == account and each.allowed]
    granted = rights(objects(rendered(VALUES)), account)
    assert {right for right in granted if not any(each.needs(right) for each in done)} - argued.keys() == set()
    assert argued.keys() - granted == set()
