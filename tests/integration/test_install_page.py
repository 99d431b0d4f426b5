"""The pages of the installation: the commands of plain manifests, typed into a cluster, do what they say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from integration.page import follow
from support import ROOT, Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

INSTALLATION, OPERATIONS = ROOT / "docs" / "install.md", ROOT / "docs" / "operations.md"
BEFORE = """\
```sh
export KUBECONFIG=$(.venv/bin/python -m pbx_operator.sandbox up --name install)
export PATH=$(.venv/bin/python -m pbx_operator.sandbox run printenv PATH)
```

"""
INSTALLED = """\
```sh
kubectl auth can-i update linkrecords.pbx-operator.io --as system:serviceaccount:pbx-system:pbx-operator
kubectl auth can-i update linkrecords.pbx-operator.io --as pbx-operator || true
kubectl get validatingadmissionpolicies -o name | wc -l
```

```text
yes
no
3
```

"""
THE_SAME = """\
```sh
kubectl get deployment pbx-operator -n pbx-system -o jsonpath='{.metadata.generation} {..image}{"\\n"}'
```

```text
1 registry.example.com/pbx-operator:0.1.0
```

"""
REMOVED = """\
```sh
kubectl get clusterroles,clusterrolebindings,validatingadmissionpolicies,crds,namespaces -o name | grep -c pbx || true
.venv/bin/python -m pbx_operator.sandbox down --name install
rm -r ~/pbx-operator
```

```text
0
```
"""


def section(page: Path, heading: str) -> str:
    """Return a section of a page, without its title; one of a higher level ends at its first subsection."""
    (found,) = re.findall(rf"^(?:##|###) {heading}\n(.*?)(?=^##|\Z)", page.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def test_plain_manifests_install_the_operator_and_change_and_remove_it(place: Place) -> None:
    typed = place.folder / "kubectl.md"
    upgrade, downgrade = section(OPERATIONS, "With kubectl"), section(OPERATIONS, "Downgrade").partition("does both")[2]
    removal = section(INSTALLATION, "Remove it") + section(INSTALLATION, "kubectl")
    installation = section(INSTALLATION, "kubectl and kustomize")
    typed.write_text(
        "".join((BEFORE, installation, INSTALLED, upgrade, THE_SAME, downgrade, THE_SAME, removal, REMOVED))
    )
    follow(typed, place)
