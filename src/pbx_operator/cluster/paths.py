"""How objects and collections are addressed in the Kubernetes API.

A path that lacks a name means the whole collection, and deleting a collection deletes every object in it.
So an address that is not complete is refused here, before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pbx_operator.api.meta import ObjectKey, ResourceType

if TYPE_CHECKING:
    from collections.abc import Mapping


def collection_path(resource: ResourceType, namespace: str = "") -> str:
    """Return the path of all objects of a kind, in one namespace or (without) in all."""
    root = "/apis" if resource.group else "/api"
    scope = f"/namespaces/{_segment(namespace)}" if namespace else ""
    if scope and not resource.namespaced:
        raise ValueError(f"{resource.kind} has no namespace, but {namespace!r} was given")
    return f"{root}/{resource.api_version}{scope}/{resource.plural}"


def creation_path(resource: ResourceType, body: Mapping[str, Any]) -> str:
    """Return the path to which a new object is posted."""
    namespace = body["metadata"].get("namespace", "")
    if resource.namespaced and not namespace:
        raise ValueError(f"{resource.kind}: metadata.namespace is empty")
    return collection_path(resource, namespace)


def object_path(resource: ResourceType, key: ObjectKey) -> str:
    """Return the path of one object."""
    if resource.namespaced and not key.namespace:
        raise ValueError(f"{resource.kind} {key.name!r}: the namespace is empty")
    return f"{collection_path(resource, key.namespace)}/{_segment(key.name)}"


def _segment(name: str) -> str:
    """Quote a name; refuse what cannot be one, by the rule of apimachinery's IsValidPathSegmentName."""
    if name in {"", ".", ".."} or "/" in name or "%" in name:
        raise ValueError(f"{name!r} cannot be the name of a Kubernetes object")
    return quote(name, safe=":")
