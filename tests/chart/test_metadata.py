"""What Chart.yaml tells catalogues and Helm agrees with the project and its API."""

from __future__ import annotations

import tomllib

from helm_chart.rendering import CHART, Manifest, rendered
from ruamel.yaml import YAML

from pbx_operator.api.crd import custom_resource_definitions
from support import ROOT

METADATA: Manifest = YAML(typ="safe").load(CHART / "Chart.yaml")


def annotation(name: str) -> list[Manifest]:
    listed: list[Manifest] = YAML(typ="safe").load(METADATA["annotations"][f"artifacthub.io/{name}"])
    return listed


def test_chart_and_operator_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert METADATA["version"] == METADATA["appVersion"] == project["version"]
    assert METADATA["annotations"]["artifacthub.io/license"] == project["license"]


def test_every_kind_is_listed() -> None:
    listed = {(each["kind"], each["version"], each["name"]) for each in annotation("crds")}
    crds = custom_resource_definitions()
    assert listed == {
        (crd["spec"]["names"]["kind"], version["name"], crd["metadata"]["name"])
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    assert all(each["displayName"] and each["description"] for each in annotation("crds"))


def test_the_image_is_the_one_that_runs() -> None:
    (image,) = annotation("images")
    assert f"image: {image['image']}\n" in rendered({})["operator.yaml"]
