"""The operator for those who have no Helm: `examples/install/operator.yaml`, what the chart makes of its defaults.

It is rendered, so that both ways of installing run the same Pod, and a release of the chart named `pbx-operator` can
take the Deployment over in place.  Who looks after an object is the one thing that plain manifests do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from helm_chart.rendering import NAMESPACE, chart_with, rendered

RELEASE = "pbx-operator"
TEMPLATES = ("service-accounts.yaml", "operator.yaml")
OF_HELM = ("app.kubernetes.io/managed-by:", "helm.sh/chart:")
HEADER = """\
# The operator as a Pod, with the rights of rbac.yaml. The image is one that you build: none is published yet.
# Generated from the chart by tools/generate.py; do not edit.
"""


def plain_operator(generated: Mapping[str, str]) -> str:
    """Return the manifests, for the chart with these generated files, by their paths in the repository."""
    with chart_with(generated) as chart:
        texts = rendered({}, chart, release=RELEASE, namespace=NAMESPACE)
    documents = "---\n".join(f"{texts[name].strip()}\n" for name in TEMPLATES)
    lines = (line for line in documents.splitlines(True) if not line.lstrip().startswith(OF_HELM))
    return HEADER + "".join(lines)
