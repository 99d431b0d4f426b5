"""The chart for those who have no Helm: `examples/install/operator.yaml` and `tenants.yaml`, from its defaults.

They are rendered, so that both ways of installing run the same Pod and grant tenants the same, and a release of the
chart named `pbx-operator` can take them over in place.  Who looks after an object is the one thing that plain
manifests do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from helm_chart.rendering import NAMESPACE, chart_with, rendered

RELEASE = "pbx-operator"
TEMPLATES = {
    "operator.yaml": ("service-accounts.yaml", "operator.yaml"),
    "tenants.yaml": ("aggregate-roles.yaml",),
}
OF_HELM = ("app.kubernetes.io/managed-by:", "helm.sh/chart:")
HEADERS = {
    "operator.yaml": """\
# The operator as a Pod, with the rights of rbac.yaml. The image is one that you build: none is published yet.
""",
    "tenants.yaml": """\
# What whoever has the cluster's role view, edit or admin in a namespace may do with the kinds of the operator there.
""",
}
GENERATED = "# Generated from the chart by tools/generate.py; do not edit.\n"


def plain_manifests(generated: Mapping[str, str]) -> dict[str, str]:
    """Return the files, by their paths, for the chart with these generated files, by theirs in the repository."""
    with chart_with(generated) as chart:
        texts = rendered({}, chart, release=RELEASE, namespace=NAMESPACE)
    return {f"examples/install/{file}": _plain(file, texts) for file in TEMPLATES}


def _plain(file: str, texts: Mapping[str, str]) -> str:
    documents = "---\n".join(f"{texts[name].strip()}\n" for name in TEMPLATES[file])
    lines = (line for line in documents.splitlines(True) if not line.lstrip().startswith(OF_HELM))
    return HEADERS[file] + GENERATED + "".join(lines)
