"""Objects that are still there: without an operator those with its finalizer could never be deleted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pbx_operator.api.meta import API_VERSION, TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, Interlink, InternalNumber, PBXAccount
from pbx_operator.cluster import Cluster
from pbx_operator.engine.sync import places

DECLARED = (Interlink, CommServer, InternalNumber, PBXAccount)
"""What users declare, in the order in which it is best deleted."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object that is there."""

    kind: str
    key: ObjectKey
    held: bool
    """It has the operator's finalizer."""
    deleting: bool

    def __str__(self) -> str:
        if self.held and self.deleting:
            return f"{self.kind} {self.key}, being deleted, waits for the operator"
        if self.held:
            return f"{self.kind} {self.key}, which only the operator can let go"
        return f"{self.kind} {self.key}"


async def leftovers(cluster: Cluster, namespaces: Collection[str]) -> list[Leftover]:
    """Return all objects that users declared, in these namespaces or, if there are none, in all. Raises ApiError."""
    served = await cluster.served(API_VERSION)
    found = []
    for kind in DECLARED:
        resource = kind.resource
        for namespace in places(resource, namespaces) if resource.plural in served else ():
            for item in (await cluster.list(resource, namespace, metadata_only=True)).items:
                metadata = item["metadata"]
                key = ObjectKey(metadata["namespace"], metadata["name"])
                held = TEARDOWN_FINALIZER in metadata.get("finalizers", ())
                found.append(Leftover(resource.kind, key, held, "deletionTimestamp" in metadata))
    return sorted(found, key=lambda one: (not one.deleting, not one.held))
