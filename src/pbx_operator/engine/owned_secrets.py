"""Secrets that the operator makes for an object: they go with it, and nobody changes them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pbx_operator.api.meta import ObjectKey, Resource


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
