"""What Helm makes of the chart: the committed renders, Helm's own lint, and the CRDs as they are."""

from __future__ import annotations

import pytest
from helm_chart.rendering import CHART, NOTES, Manifest, ci_values, definitions, golden_files, objects, rendered
from helm_python import chart as helm
from ruamel.yaml import YAML

from support import ROOT

GOLDEN = golden_files({})
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
INFORMATION = 1
"""Helm's severity of a hint."""


@pytest.mark.parametrize("path", sorted(GOLDEN))
def test_the_render_is_the_committed_one(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == GOLDEN[path], "if this is meant: make generate"


@pytest.mark.parametrize("name", sorted(ci_values()))
def test_helm_has_nothing_to_complain_about(name: str) -> None:
    report = helm.lint(CHART, ci_values()[name], strict=True, kube_version="v1.36.3")
    assert report["errors"] == []
    assert [each for each in report["messages"] if each["severity"] > INFORMATION] == []


def test_the_chart_has_each_crd_byte_for_byte() -> None:
    copies = {copy.name: copy.read_bytes() for copy in (CHART / "files/crds").iterdir()}
    assert copies == {original.name: original.read_bytes() for original in CRDS}


@pytest.mark.parametrize("keep", [True, False])
def test_rendered_crds_have_metadata_of_the_release_and_nothing_else_changed(keep: bool) -> None:
    crds = definitions(rendered({"crds": {"keep": keep}}))
    for crd in crds:
        assert crd["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"
        assert crd["metadata"].pop("annotations", {}) == ({"helm.sh/resource-policy": "keep"} if keep else {})
    assert crds == [YAML(typ="safe").load(file) for file in CRDS]


def test_crds_are_left_to_others_if_so_wished() -> None:
    assert definitions(rendered({"crds": {"enabled": False}})) == []


def test_every_object_is_labelled(render: list[Manifest]) -> None:
    ours = [each for each in render if each["kind"] != "ConfigMap"]  # an extra object has what the user gave it
    for each in ours:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "pbx", each
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_common_labels_are_on_everything_that_the_chart_makes_and_those_of_pods_come_before_them() -> None:
    values = ci_values()["everything"]
    texts = rendered(values)
    made = [each for each in [*objects(texts), *definitions(texts)] if each["kind"] != "ConfigMap"]
    for each in (each for each in made if each["kind"] != "Pod"):
        assert each["metadata"]["labels"].items() >= values["commonLabels"].items()
    templates = [each["spec"]["template"] for each in made if each["kind"] in ("Deployment", "Job")]
    wanted = [values["podLabels"]["team"], values["hooks"]["podLabels"]["team"]]
    assert sorted(template["metadata"]["labels"]["team"] for template in templates) == sorted(wanted)
    assert {template["metadata"]["labels"]["cost-center"] for template in templates} == {"4711"}


def test_the_namespace_of_the_installation_can_be_another_than_that_of_the_release() -> None:
    values = ci_values()["routes"]
    namespaces = {each["metadata"].get("namespace") for each in objects(rendered(values))}
    assert namespaces == {None, values["namespaceOverride"], *values["watchNamespaces"]}


def ports(kind: str, **chosen: int) -> Manifest:
    """Return values of an exchange that others shall reach at port 8443."""
    endpoints = ["https://x.example.com:8443"]
    return {"exchange": {"enabled": True, "endpoints": endpoints, "service": {"type": kind, **chosen}}}


@pytest.mark.parametrize("values", [ports("LoadBalancer", port=8443), ports("NodePort"), ports("ClusterIP")])
def test_the_notes_do_not_doubt_ports_that_fit_or_are_not_known(values: Manifest) -> None:
    assert "names a port" not in rendered(values)[NOTES]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "helm test pbx --namespace pbx-system"),
        ({}, "set exchange.enabled and exchange.endpoints"),
        ({"tests": {"enabled": False}}, "kubectl rollout status deployment/pbx-pbx-operator --namespace pbx-system"),
        ({"replicas": 0}, "No operator runs"),
        ({"crds": {"enabled": False}}, "kubectl get crd interlinks.pbx-operator.io"),
        ({"rbac": {"create": False}}, "grant the service account pbx-pbx-operator what it needs"),
        ({"afterRestore": True}, "--set afterRestore=false"),
        ({"uninstall": {"force": True}}, "does not look for objects"),
        ({"watchNamespaces": ["a", "b"]}, "kubectl apply --namespace a -f"),
        ({}, "for example by network.forbid={10.0.0.0/8}"),
        (ports("LoadBalancer", port=443), "https://x.example.com:8443 names a port that the Service does not open"),
        (ports("NodePort", nodePort=30443), "https://x.example.com:8443 names a port that the Service does not open"),
        ({"exchange": {"enabled": True, "endpoints": ["https://x.example.com"]}}, "must reach https://x.example.com."),
    ],
)
def test_the_notes_tell_what_is_next(values: Manifest, told: str) -> None:
    assert told in rendered(values)[NOTES]


@pytest.mark.parametrize("name", [{"nameOverride": "x" * 53}, {"fullnameOverride": "x" * 40}], ids=str)
def test_names_fit_for_the_longest_release(name: Manifest) -> None:
    values = {**ci_values()["exchange"], **name}
    for each in objects(rendered(values, release="r" * 53, namespace="n" * 63)):
        limit = 253 if each["apiVersion"].startswith("rbac.") or each["kind"].startswith("Custom") else 63
        assert len(each["metadata"]["name"]) <= limit
