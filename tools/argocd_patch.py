"""Argo CD's ConfigMap entries for our kinds, out of the scripts that have upstream's layout."""

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


def argocd_patch(scripts: Path) -> str:
    """Return the patch of the ConfigMap `argocd-cm`; `scripts` is the folder of one API group."""
    data: dict[str, Any] = {}
    for kind in sorted(folder for folder in scripts.iterdir() if folder.is_dir()):
        name = f"{scripts.name}_{kind.name}"
        data[f"resource.customizations.health.{name}"] = _text(kind / "health.lua")
        data[f"resource.customizations.actions.{name}"] = LiteralScalarString(_yaml(_actions(kind / "actions")))
    return _HEAD + _yaml({"data": data})


def _actions(folder: Path) -> dict[str, Any]:
    definitions = [
        {"name": action.parent.name, "action.lua": _text(action)} for action in sorted(folder.glob("*/action.lua"))
    ]
    return {"discovery.lua": _text(folder / "discovery.lua"), "definitions": definitions}


def _text(path: Path) -> str:
    text: str = LiteralScalarString(path.read_text(encoding="utf-8"))
    return text


def _yaml(document: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.width = 1000
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
