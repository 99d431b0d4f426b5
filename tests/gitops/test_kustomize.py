"""Kustomize's prefixes and suffixes reach every reference between our objects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from gitops.judges import JSON
from pbx_operator.sandbox.binaries import find_binaries
from support import ROOT

CONFIG = ROOT / "kustomize/kustomizeconfig.yaml"
OBJECTS = """\
apiVersion: v1
kind: Secret
metadata: {name: login}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
---
apiVersion: pbx-operator.io/v1alpha1
kind: PBXAccount
metadata: {name: paris}
spec:
  country: FR
  provider:
    type: TelecomCenter
    telecomCenter: {credentialsSecretRef: {name: login}}
---
apiVersion: pbx-operator.io/v1alpha1
kind: CommServer
metadata: {name: lyon}
spec:
  accountRef: {name: paris}
  provider:
    type: Rainbow
    rainbow: {company: Hotels, credentialsSecretRef: {name: login}, applicationSecretRef: {name: login}}
---
apiVersion: pbx-operator.io/v1alpha1
kind: InternalNumber
metadata: {name: reception}
spec:
  accountRef: {name: paris}
  number: "200"
  destination: {type: CommServer, commServer: {name: lyon}}
---
apiVersion: pbx-operator.io/v1alpha1
kind: Interlink
metadata: {name: to-rome}
spec:
  accountRef: {name: paris}
  redeemKey: {secretRef: {name: key}}
---
apiVersion: pbx-operator.io/v1alpha1
kind: Interlink
metadata: {name: to-oslo}
spec:
  accountRef: {name: paris}
  issueKey: {fromSecretRef: {name: key}}
"""


def shown() -> JSON:
    """Return the kustomization of the page."""
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(resources: .*?)^```", page, re.DOTALL | re.MULTILINE)
    kustomization: JSON = YAML(typ="safe", pure=True).load(text)
    return kustomization


def built(directory: Path, objects: str) -> list[JSON]:
    """Return what `kubectl kustomize` makes of objects with the page's prefix and with a suffix."""
    kustomization = {**shown(), "nameSuffix": "-2"}
    (resource,) = kustomization["resources"]
    (directory / resource).write_text(objects, encoding="utf-8")
    shutil.copy(CONFIG, directory)
    (directory / "kustomization.yaml").write_text(json.dumps(kustomization), encoding="utf-8")
    done = subprocess.run(
        [find_binaries().kubectl, "kustomize", str(directory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(YAML(typ="safe", pure=True).load_all(done.stdout))


def names(value: object) -> list[str]:
    """Return every `name` in an object."""
    if isinstance(value, list):
        return [found for item in value for found in names(item)]
    if not isinstance(value, dict):
        return []
    own = [value["name"]] if isinstance(value.get("name"), str) else []
    return own + [found for item in value.values() for found in names(item)]


def test_every_reference_follows_its_object(tmp_path: Path) -> None:
    objects = built(tmp_path, OBJECTS)
    found = [name for one in objects for name in names(one)]
    assert len(found) == 17, "seven objects, and ten references"
    assert [name for name in found if not (name.startswith("test-") and name.endswith("-2"))] == []


def test_every_field_of_a_reference_is_tried_here() -> None:
    paths = [spec["path"] for entry in YAML(typ="safe").load(CONFIG)["nameReference"] for spec in entry["fieldSpecs"]]
    for path in paths:
        *_, parent, _ = path.split("/")
        assert f"{parent}: {{" in OBJECTS, path
