"""What Roles, ClusterRoles and their bindings grant, one verb on one resource at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from helm_chart.rendering import Manifest


class Right(NamedTuple):
    """One verb on one resource, in one namespace or, if empty, in all."""

    namespace: str
    group: str
    resource: str
    name: str
    """Of the one object; empty: all."""
    verb: str


def rights(manifests: Iterable[Manifest], subject: str) -> set[Right]:
    """Return what these bindings grant a subject, without what a wider right includes."""
    roles = {identity(each): each.get("rules", []) for each in manifests}
    granted = {
        right
        for binding in manifests
        if binding["kind"].endswith("Binding") and subject in {each["name"] for each in binding["subjects"]}
        for rule in roles[granted_by(binding)]
        for right in spread(rule, home(binding))
    }
    return {right for right in granted if not (wider(right) & granted)}


def granted_by(binding: Manifest) -> tuple[str, str, str]:
    """Return the identity of the role; a RoleBinding may name a ClusterRole."""
    role = binding["roleRef"]
    return role["kind"], home(binding) if role["kind"] == "Role" else "", role["name"]


def identity(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["kind"], home(manifest), manifest["metadata"]["name"]


def home(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def spread(rule: dict[str, Any], namespace: str) -> Iterable[Right]:
    return (
        Right(namespace, group, resource, name, verb)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    )


def wider(right: Right) -> set[Right]:
    return {right._replace(namespace=""), right._replace(name=""), right._replace(namespace="", name="")} - {right}
