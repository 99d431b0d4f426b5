"""What Argo CD has of our kinds: scripts in the layout of its own repository, and all of them as a patch.

That layout has each script once for each kind; those that are the same for all have their source in `argocd/common`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

_HEAD = """\
# Generated from argocd/resource_customizations by tools/generate.py; do not edit.
# kubectl patch configmap argocd-cm -n argocd --patch-file argocd/argocd-cm-patch.yaml
"""


def argocd_files(argocd: Path, group: str) -> dict[str, str]:
    """Return the scripts that all kinds of a group share, and the patch of the ConfigMap, by path below `argocd`."""
    health, reconcile = _text(argocd / "common/health.lua"), _text(argocd / "common/reconcile.lua")
    files: dict[str, str] = {}
    data: dict[str, Any] = {}
    for folder in sorted((argocd / "resource_customizations" / group).iterdir()):
        actions = {path.parent.name: _text(path) for path in folder.glob("actions/*/action.lua")}
        actions["reconcile"] = reconcile
        place, name = folder.relative_to(argocd), f"{group}_{folder.name}"
        files |= {f"{place}/health.lua": health, f"{place}/actions/reconcile/action.lua": reconcile}
        definitions = [{"name": action, "action.lua": actions[action]} for action in sorted(actions)]
        offered = {"discovery.lua": _text(folder / "actions/discovery.lua"), "definitions": definitions}
        data[f"resource.customizations.health.{name}"] = health
        data[f"resource.customizations.actions.{name}"] = LiteralScalarString(_yaml(offered))
    return files | {"argocd-cm-patch.yaml": _HEAD + _yaml({"data": data})}


def _text(path: Path) -> str:
    text: str = LiteralScalarString(path.read_text(encoding="utf-8"))
    return text


def _yaml(document: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 1000
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
