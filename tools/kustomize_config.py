"""Kustomize's configuration for our kinds: which fields name other objects, so that a prefix or suffix reaches them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from ruamel.yaml import YAML

from pbx_operator.api.meta import GROUP

_HEAD = """\
# Generated from the models by tools/generate.py; do not edit.
# In kustomization.yaml, so that namePrefix and nameSuffix reach the fields of our kinds that name other objects:
#   configurations: [kustomizeconfig.yaml]
"""
_NAMED: dict[str, tuple[str, str]] = {
    "accountRef": (GROUP, "PBXAccount"),
    "commServer": (GROUP, "CommServer"),
    "secretRef": ("", "Secret"),
}
"""By the last part of its name, what a reference is to."""


def kustomize_config(definitions: Iterable[dict[str, Any]]) -> str:
    """Return the configuration for the kinds that users write; the operator's own have no references of theirs."""
    fields: dict[tuple[str, str], list[dict[str, str]]] = {target: [] for target in _NAMED.values()}
    for crd in definitions:
        kind, version = crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]
        if kind == "DialPlanSlice":
            continue
        for path, target in _references(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec"):
            fields[target].append({"group": GROUP, "kind": kind, "path": f"{path}/name"})
    references = [
        {**({"group": group} if group else {}), "kind": kind, "fieldSpecs": found}
        for (group, kind), found in fields.items()
    ]
    stream = io.StringIO()
    YAML().dump({"nameReference": references}, stream)
    return _HEAD + stream.getvalue()


def _references(schema: dict[str, Any], path: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, field in schema.get("properties", {}).items():
        target = next((t for last, t in _NAMED.items() if name.lower().endswith(last.lower())), None)
        if target is not None and "name" in field.get("properties", {}):
            yield f"{path}/{name}", target
        else:
            yield from _references(field, f"{path}/{name}")
