"""The API server accepts every example as it is, with no field that it does not know; those for others too."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pbx_operator.sandbox import ControlPlane
from support import ROOT, ensure_namespace, kubectl

FILES = sorted(file for file in (ROOT / "examples").rglob("*.yaml") if file.name != ".sops.yaml")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_api_server_accepts_it(file: Path, vendors_served: ControlPlane) -> None:
    objects = list(YAML(typ="safe", pure=True).load_all(file.read_text()))
    for name in {each["metadata"].get("namespace") for each in objects} - {None}:
        ensure_namespace(vendors_served, name)
    accepted = kubectl(vendors_served, "apply", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert len(accepted.splitlines()) == len(objects)
