"""The API server takes every object that the chart renders, and knows every field of it."""

from __future__ import annotations

import json

import pytest
from helm_chart.rendering import CHART, NAMESPACE, NOTES, Manifest, ci_values, definitions, objects, rendered
from ruamel.yaml import YAML

from pbx_operator.sandbox import ControlPlane
from support import ensure_namespace, kubectl

APPLY = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--output=name", "-f", "-")


def judged(control_plane: ControlPlane, manifests: list[Manifest]) -> list[str]:
    """Return the names of what the API server takes, in namespaces that exist."""
    for name in {each["metadata"].get("namespace", NAMESPACE) for each in manifests}:
        ensure_namespace(control_plane, name)
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
    return kubectl(control_plane, *APPLY, stdin=json.dumps(listed)).splitlines()


@pytest.mark.parametrize("name", sorted(ci_values()))
def test_the_api_server_takes_every_object(name: str, vendors_served: ControlPlane) -> None:
    made = objects(rendered(ci_values()[name]))
    assert len(judged(vendors_served, made)) == len(made)


def test_a_field_that_the_api_server_does_not_know_is_an_error(control_plane: ControlPlane) -> None:
    (operator,) = (each for each in objects(rendered({})) if each["kind"] == "Deployment")
    operator["spec"]["strategie"] = operator["spec"].pop("strategy")
    with pytest.raises(AssertionError, match='unknown field "strategie"'):
        judged(control_plane, [operator])


def test_the_api_server_takes_the_crds(control_plane: ControlPlane) -> None:
    crds = definitions(rendered({}))
    assert len(judged(control_plane, crds)) == len(crds)


def test_what_the_notes_tell_to_apply_is_taken(crds_installed: ControlPlane) -> None:
    manifest = rendered({})[NOTES].partition("<<EOF\n")[2].partition("EOF")[0]
    assert judged(crds_installed, [namespaced(YAML(typ="safe").load(manifest))])


def test_the_examples_of_the_catalogue_are_taken(crds_installed: ControlPlane) -> None:
    annotations = YAML(typ="safe").load(CHART / "Chart.yaml")["annotations"]
    examples = YAML(typ="safe").load(annotations["artifacthub.io/crdsExamples"])
    assert len(judged(crds_installed, [namespaced(each) for each in examples])) == len(examples)


def namespaced(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": NAMESPACE}}
