"""Secrets that the operator makes for an object: they go with it, and nobody changes them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pbx_operator.api.meta import ObjectKey, ObjectMeta, Resource


def owned_secret(name: ObjectKey, owner: Resource, type_: str, entries: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of an immutable Secret that is collected with its owner."""
    reference = {
        "apiVersion": owner.resource.api_version,
        "kind": owner.resource.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name.name, "namespace": name.namespace, "ownerReferences": [reference]},
        "type": type_,
        "immutable": True,
        "data": {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()},
    }


def holder(found: ObjectMeta, owner: Resource) -> str | None:
    """Return kind and name of what else controls a Secret, and would make it anew; None if nothing does.

    An object of the kind and name of `owner` is an earlier one: its Secret is about to be collected.
    """
    own = (owner.resource.kind, owner.metadata.name)
    controllers = [(o.kind, o.name) for o in found.owner_references if o.controller]
    return next((" ".join(other) for other in controllers if other != own), None)
