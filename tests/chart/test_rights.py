"""What the chart grants: what `examples/install/rbac.yaml` grants and no more, and less for some namespaces only."""

from __future__ import annotations

import pytest
from helm_chart.rendering import NAMESPACE, Manifest, objects, rendered
from ruamel.yaml import YAML

from chart.rights import Right, rights, spread
from pbx_operator.api.v1alpha1 import KINDS
from support import ROOT


def example(file: str) -> list[Manifest]:
    return list(YAML(typ="safe", pure=True).load_all(ROOT / "examples/install" / file))


IN_A_POD = example("rbac.yaml")
EXAMPLE = [each for each in IN_A_POD if not each["kind"].endswith("Binding")] + example("users.yaml")
"""The plain manifests: of the service account, and of the users outside of the cluster."""
EXCHANGE = {"exchange": {"enabled": True, "endpoints": ["https://pbx.example.com"]}}
CLUSTER_SCOPED = {kind.resource.plural for kind in KINDS if not kind.resource.namespaced} | {"namespaces"}
COMPONENTS = {"pbx-operator": "pbx-pbx-operator", "pbx-exchange": "pbx-pbx-operator-exchange"}
"""The names in the example, and those of the release."""


def test_the_service_account_of_the_example_has_the_rights_of_its_user() -> None:
    assert rights(IN_A_POD, "pbx-operator") == rights(EXAMPLE, "pbx-operator")


def test_without_the_users_only_the_service_account_has_rights() -> None:
    subjects = [subject for each in IN_A_POD for subject in each.get("subjects", [])]
    assert {(each["kind"], each["name"], each["namespace"]) for each in subjects} == {
        ("ServiceAccount", "pbx-operator", "pbx-system")
    }


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_in_all_namespaces_the_rights_are_those_of_the_example(component: str) -> None:
    granted = rights(objects(rendered(EXCHANGE)), COMPONENTS[component])
    assert granted == rights(EXAMPLE, component)


def test_in_some_namespaces_the_rights_are_the_same_there_and_nothing_elsewhere() -> None:
    values = {**EXCHANGE, "watchNamespaces": ["a", "b"]}
    granted = rights(objects(rendered(values)), COMPONENTS["pbx-operator"])
    everywhere = rights(EXAMPLE, "pbx-operator")
    wanted = {right for right in everywhere if right.resource.partition("/")[0] in CLUSTER_SCOPED}
    rest = {right for right in everywhere - wanted if not right.namespace}
    wanted |= {right._replace(namespace=namespace) for right in rest for namespace in ("a", "b")}
    assert {right for right in granted if right.namespace != NAMESPACE} == wanted
    assert {right for right in granted if right.namespace == NAMESPACE} == {
        Right(NAMESPACE, "", "secrets", "pbx-operator-identity", "get"),
        Right(NAMESPACE, "", "secrets", "pbx-operator-identity", "update"),
        Right(NAMESPACE, "", "secrets", "pbx-operator-exchange-tls", "get"),
        Right(NAMESPACE, "", "secrets", "pbx-operator-exchange-tls", "update"),
        Right(NAMESPACE, "", "secrets", "", "create"),
        *(Right(NAMESPACE, "coordination.k8s.io", "leases", "", verb) for verb in ("get", "create", "update")),
    }


def test_the_exchange_has_the_same_rights_whatever_is_watched() -> None:
    name = COMPONENTS["pbx-exchange"]
    narrow = objects(rendered({**EXCHANGE, "watchNamespaces": ["a"]}))
    assert rights(narrow, name) == rights(objects(rendered(EXCHANGE)), name)


def test_no_role_lists_secrets_or_has_a_wildcard(render: list[Manifest]) -> None:
    rules = [rule for each in render if each["kind"].endswith("Role") for rule in each["rules"]]
    for rule in rules:
        assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert "secrets" not in rule["resources"] or not {"list", "watch"} & set(rule["verbs"])


@pytest.mark.parametrize("manifests", [objects(rendered({})), example("tenants.yaml")], ids=["chart", "plain"])
def test_everybody_who_may_view_or_edit_a_namespace_may_so_our_kinds_but_commservers_take_an_admin(
    manifests: list[Manifest],
) -> None:
    """Who writes CommServers can claim any box from stock."""
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    may: dict[str, set[tuple[str, str]]] = {"view": set(), "edit": set(), "admin": set()}
    for role in (each for each in manifests if each["kind"] == "ClusterRole"):
        for name in (label.removeprefix(aggregated) for label in role["metadata"]["labels"] if aggregated in label):
            may[name] |= {(right.resource, right.verb) for rule in role["rules"] for right in spread(rule, "")}
    declared = {kind.resource.plural for kind in KINDS if kind.resource.namespaced}
    assert may["view"] == {(plural, verb) for plural in declared for verb in ("get", "list", "watch")}
    writing = ("create", "update", "patch", "delete", "deletecollection")
    edited = declared - {"dialplanslices", "commservers"}
    assert may["edit"] - may["view"] == {(plural, verb) for plural in edited for verb in writing}
    assert may["admin"] - may["edit"] == {("commservers", verb) for verb in writing}


def test_without_rbac_nothing_is_granted() -> None:
    values = {**EXCHANGE, "rbac": {"create": False, "aggregateRoles": False}}
    assert [each for each in objects(rendered(values)) if each["apiVersion"].startswith("rbac.")] == []
