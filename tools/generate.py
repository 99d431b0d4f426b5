"""Write the files that follow from others: `crds/*.yaml`, pages of reference, much of the Helm chart, plain manifests.

The models and the table of reasons in `pbx_operator.api` are the only source of the API, and those in `helm_chart` of
the chart's values; the plain manifests of the operator and of tenants' roles are what the chart makes.  What comes out
is committed, so that people read it and tools apply it without running Python; `--check` proves that it is not stale.
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click
from argocd_files import argocd_files
from field_reference import field_reference
from helm_chart.documents import values_yaml
from helm_chart.readme import readme
from helm_chart.rendering import golden_files
from helm_chart.schema import values_schema
from kustomize_config import kustomize_config
from metric_reference import metric_reference
from plain_operator import plain_manifests
from policy_template import policy_template
from reason_reference import reason_reference

from pbx_operator.api.crd import custom_resource_definitions
from pbx_operator.api.manifest import to_yaml
from pbx_operator.api.meta import GROUP

ROOT = Path(__file__).resolve().parent.parent
ARGOCD = ROOT / "argocd"
POLICIES = ROOT / "examples/install/policies.yaml"
HEADER = "# Generated from the models by tools/generate.py; do not edit.\n"
CHART = "charts/pbx-operator"
OWNED = ("crds/*.yaml", f"{CHART}/files/crds/*.yaml", "tests/chart/golden/*.yaml")
"""Where every file is generated: one that is not any more is stale."""


def generated_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    definitions = custom_resource_definitions()
    files = {f"crds/{file_name(crd)}": HEADER + to_yaml(crd) for crd in definitions}
    files |= {f"{CHART}/files/{path}": text for path, text in files.items()}
    files["docs/reference/fields.md"] = field_reference(definitions)
    files["docs/reference/reasons.md"] = reason_reference()
    files["docs/metrics.md"] = metric_reference()
    files["kustomize/kustomizeconfig.yaml"] = kustomize_config(definitions)
    files |= {f"argocd/{path}": text for path, text in argocd_files(ARGOCD, GROUP).items()}
    files[f"{CHART}/templates/policies.yaml"] = policy_template(POLICIES.read_text(encoding="utf-8"))
    files[f"{CHART}/values.yaml"] = values_yaml()
    files[f"{CHART}/values.schema.json"] = json.dumps(values_schema(), indent=2) + "\n"
    files[f"{CHART}/README.md"] = readme()
    return files | golden_files(files) | plain_manifests(files)


def file_name(crd: dict[str, Any]) -> str:
    """Name the file as controller-gen does: group, then plural."""
    return f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml"


def differences(files: dict[str, str]) -> str:
    """Return the unified diff from what is in the tree to what should be there; empty if nothing is stale."""
    expected = files | {path: "" for path in _generated_paths() - files.keys()}
    return "".join(_difference(path, text) for path, text in sorted(expected.items()))


def _difference(path: str, text: str) -> str:
    present = ROOT / path
    before = present.read_text(encoding="utf-8") if present.exists() else ""
    lines = difflib.unified_diff(before.splitlines(True), text.splitlines(True), f"{path} (in the tree)", path)
    return "".join(lines)


def _generated_paths() -> set[str]:
    """Return the paths that this tool owns: a file that does not follow from anything is stale."""
    return {path.relative_to(ROOT).as_posix() for pattern in OWNED for path in ROOT.glob(pattern)}


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; print the difference and fail if a file is stale.")
def main(check: bool) -> None:
    """Generate the CRDs and reference pages from the API, and the parts of the chart that follow from others."""
    files = generated_files()
    if check:
        difference = differences(files)
        click.echo(difference, nl=False)
        sys.exit("stale: run tools/generate.py" if difference else 0)
    for path in _generated_paths() - files.keys():
        (ROOT / path).unlink()
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
