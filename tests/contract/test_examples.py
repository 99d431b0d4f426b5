"""The API server accepts every example as it is, with no field that it does not know; those for others are not its."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl

FILES = sorted([*(ROOT / "examples").glob("*/*.yaml"), *(ROOT / "examples/gitops/phones").glob("*.yaml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_api_server_accepts_it(file: Path, crds_installed: ControlPlane) -> None:
    objects = list(YAML(typ="safe", pure=True).load_all(file.read_text()))
    for name in {each["metadata"].get("namespace") for each in objects} - {None}:
        manifest = kubectl(crds_installed, "create", "namespace", name, "--dry-run=client", "--output=yaml")
        kubectl(crds_installed, "apply", "-f", "-", stdin=manifest)
    accepted = kubectl(crds_installed, "apply", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert len(accepted.splitlines()) == len(objects)
