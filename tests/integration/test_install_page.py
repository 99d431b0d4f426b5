"""The page of the installation: the commands of plain manifests, typed into a cluster, install what they say."""

from __future__ import annotations

import sys

import pytest

from integration.page import follow
from support import ROOT, Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

PAGE = ROOT / "docs" / "install.md"
BEFORE = """\
```sh
export KUBECONFIG=$(.venv/bin/python -m pbx_operator.sandbox up --name install)
export PATH=$(.venv/bin/python -m pbx_operator.sandbox run printenv PATH)
```

"""
AFTERWARDS = """\
```sh
kubectl auth can-i update linkrecords.pbx-operator.io --as system:serviceaccount:pbx-system:pbx-operator
kubectl get validatingadmissionpolicies -o name | wc -l
kubectl get validatingadmissionpolicies -o yaml | grep -c expression:.*system:serviceaccount:pbx-system:pbx-operator
rm -r $INSTALL
.venv/bin/python -m pbx_operator.sandbox down --name install
```

```text
yes
3
1
```
"""


def section(heading: str) -> str:
    """Return a section of the page."""
    (found,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(f"{heading}\n")]
    return found


def test_plain_manifests_install_the_operator(place: Place) -> None:
    typed = place.folder / "kubectl.md"
    typed.write_text(BEFORE + section("kubectl and kustomize") + AFTERWARDS)
    follow(typed, place)
